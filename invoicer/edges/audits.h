/*
 * audits.h - recomputes issued invoices from the log and compares every quantity and every cent.
 *
 * The log is read from its beginning up to the position that each invoice names, counted by
 * audit_count.h and priced by audit_rate.h: code of their own. Prices are those that the invoices
 * carry.
 *
 * Errors     A fault when the log or the store can't be read.
 * Ownership  struct audit_report owns its texts: audit_report_deinit.
 * Threads    One.
 */
#pragma once

#include "common/io/kafka.h"
#include "common/io/store.h"

struct audit_request {
    struct kafka_config kafka;
    const char *usage_topic;
    int32_t partitions;
    const int64_t *horizons_ms;         /* by partition */
    const char *invoice, *subscription; /* these alone; NULL: all */
};

struct audit_difference {
    char *invoice, *line; /* line: NULL for the invoice as a whole */
    char *what;           /* "quantity", "total", … */
    char *stated, *found;
};

struct audit_report {
    size_t invoices, lines, quantities, amounts; /* compared */
    uint64_t events, late;                       /* read; of them older than the horizon */
    size_t missing; /* partitions whose log doesn't go back to offset 0 any more */
    struct audit_difference *differences;
    size_t count, room;
};

enum audits_outcome { AUDITS_NO_INVOICE = 1 };

/* A horizon for each of the request's partitions: what the aggregators say in their marks. Those
 * without one get what the others have; *are_known is false, and they the usual one, where none
 * says it. */
MUST_USE int audits_horizons(struct store_txn *txn, int32_t partitions, int64_t *horizons_ms,
                             bool *are_known);

/* Called now and then: messages read, of as many. */
typedef void audit_progress(void *context, int64_t done, int64_t total);

MUST_USE int audits_run(struct store_txn *txn, const struct audit_request *request,
                        audit_progress *progress, void *context, struct audit_report *report);
void audit_report_deinit(struct audit_report *report);
