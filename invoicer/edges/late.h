/*
 * late.h - which closed periods have to be compared with what was billed of them.
 *
 * Every invoice would have to look at all periods before it, for usage that came late. Instead a
 * total that changes is noted when its window begins before its subscription's last boundary, and
 * an invoice looks at the periods of those notes alone, however long the subscription has been
 * there. That is the whole truth only of a subscription that is *settled*: its closed periods were
 * compared when its last boundary was billed, by this very folder, from this very record. Of any
 * other - its cuts or its end have changed, its invoices come from the topic - every period has to
 * be looked at, once.
 *
 * In BILLED, behind the subscription and a 0:
 *   l {from, 8 bytes}   a window that begins then has changed
 *   s                   settled: XXH3-128 of the subscription's record, 16 bytes, and the minute of
 *                       its next boundary, 8 bytes
 *
 * Threads    As store.h.
 */
#pragma once

#include "common/io/store.h"

enum { LATE_RECORD_BYTES = 16 };
static const int64_t LATE_NO_BOUNDARY = INT64_MAX; /* it is over, and billed to its end */

/* The subscription's record, in short. */
struct late_record {
    uint8_t digest[LATE_RECORD_BYTES];
};
struct late_record late_record_of(struct text json);

/* A total of a window has changed: noted when what it belongs to may be billed already. */
MUST_USE int late_note(struct store_txn *txn, struct text subscription, int64_t from_minute);

enum late_outcome { LATE_UNSETTLED = 1 };
/* The minute of its next boundary; LATE_UNSETTLED: notes don't say everything. */
MUST_USE int late_settled(struct store_txn *txn, struct text subscription,
                          const struct late_record *record, int64_t *next_minute);
/* Where the noted windows begin, in order. *minutes is the caller's to free. */
MUST_USE int late_minutes(struct store_txn *txn, struct text subscription, int64_t **minutes,
                          size_t *count);
/* What is noted was compared, and what follows it will be noted. */
MUST_USE int late_settle(struct store_txn *txn, struct text subscription,
                         const struct late_record *record, int64_t next_minute);
/* A boundary of it was billed elsewhere. */
MUST_USE int late_unsettle(struct store_txn *txn, struct text subscription);
