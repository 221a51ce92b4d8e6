/*
 * close.h - bills everything that is due by a time, from where the partitions of usage stand.
 *
 * A close is *waiting* until every partition of the store's mirror stands at its first mark that
 * has passed the end of `usage` as of the close's start, in a state of the catalog that knows the
 * subscriptions; then it is *billing* from those totals, which stand still until it is *done*. Each
 * state is stored, and published with the invoices. A crash leaves a close that the next one, of
 * any time, continues first: same positions, same totals, so the same invoices. Done again, it
 * finds nothing that is due.
 *
 * A subscription that can't be billed (an amount without room) is left out and reported; the next
 * close tries it again.
 *
 * Should the folder be lost amid a close, or another host take over, what was issued comes back
 * from the topic; for the rest the close waits once more, and bills from newer positions, which
 * each invoice names.
 *
 * Threads    As engine.h.
 */
#pragma once

#include "common/base/instant.h"
#include "invoicer/edges/engine.h"
#include "invoicer/rules/invoice.h"

enum { CLOSE_ID_MAX = 96, CLOSE_FAILURES_MAX = 100 };

struct close_request {
    struct instant at;
    const char *only; /* a subscription; NULL: all */
    int64_t interval_ms;
    const char *bucket;
    struct kafka_config kafka;
};

struct close_failure {
    char subscription[64];
    char why[256];
};

struct close_report {
    char id[CLOSE_ID_MAX];
    size_t invoices, nothing, failed;
    struct close_failure failures[CLOSE_FAILURES_MAX]; /* the first of them */
};

enum close_stage { CLOSE_WAITS, CLOSE_BILLS, CLOSE_WRITES };
/* Called now and then: `done` of `total` partitions, subscriptions, or 0. */
typedef void close_progress(void *context, enum close_stage stage, size_t done, size_t total);
struct close_watch {
    close_progress *on_progress;
    void *context;
};

/* The name of a request's close: "2026-02-01T01:00:00Z", with "/ID" behind it for one alone. */
void close_id(const struct close_request *request, char id[CLOSE_ID_MAX]);
/* Runs it to its end, an unfinished one before it. The report is of both. */
MUST_USE int close_run(struct engine *engine, const struct close_request *request,
                       const struct close_watch *watch, struct close_report *report);
/* Sees an invoice of a preview; faults are passed on. */
typedef int close_visit(void *context, const struct invoice *invoice);
/* Builds what would be billed from the totals as they are at each partition's last mark, and keeps
 * nothing. Waits for a mark where usage has none that can be trusted. */
MUST_USE int close_preview(struct engine *engine, const struct close_request *request,
                           close_visit *visit, void *context, struct close_report *report);

/* FAULT_RETRY while a close is under way: what it bills from stands still, the catalog too. */
MUST_USE int close_none_is_under_way(struct store_txn *txn);
