/*
 * close_record.h - a close as it is stored and published.
 *
 *   {"at","catalogNext","digest","interval_ms","only","positions":[{"catalogOffset","digest",
 *    "nextOffset","partition"},…],"state","targets":[…]}
 *
 * `digest` is over the catalog that it bills by.
 *
 * Threads    As store.h.
 */
#pragma once

#include "invoicer/edges/close.h"

enum close_state { CLOSE_WAITING, CLOSE_BILLING, CLOSE_DONE };

struct close_record {
    char id[CLOSE_ID_MAX];
    struct instant at;
    char only[CLOSE_ID_MAX]; /* "": all */
    int64_t interval_ms;
    enum close_state state;
};

enum close_record_outcome { CLOSE_RECORD_NONE = 1 };
/* The one that isn't done. */
MUST_USE int close_record_unfinished(struct store_txn *txn, struct close_record *record);
MUST_USE int close_record_get(struct store_txn *txn, const char *id, struct close_record *record);

/* Stores a new one, waiting for its targets, and lets the mirror stop there. */
MUST_USE int close_record_begin(struct store_txn *txn, const struct close_request *request,
                                const int64_t *targets, int32_t partitions, int64_t catalog_next,
                                int64_t *sequence);
/* waiting → billing, with the marks at which the partitions stand. */
MUST_USE int close_record_bill(struct store_txn *txn, const struct close_record *record,
                               int32_t partitions, int64_t *sequence);
/* billing → done; the mirror goes on. */
MUST_USE int close_record_finish(struct store_txn *txn, const struct close_record *record,
                                 int64_t *sequence);
