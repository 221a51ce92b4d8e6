/*
 * books.h - the invoicer's store: tables, keys and the small numbers beside them.
 *
 * The folder is a cache of the topics catalog, invoices and counters: lost, it is read again from
 * them. Several processes of one bucket may have it open; whoever holds the folder's lock
 * (engine.h) moves it on, the others read, and write through the outbox.
 *
 *   STATE     name to number: positions in the topics, tenure, outbox, the close under way
 *   CATALOG   kind/id to the offset on the topic (i64, -1: not there yet) and the record's JSON
 *             without its epoch
 *   TOTALS    counters of billing windows (mirror.h)
 *   MARKS     partition to the last mark that was applied, as JSON
 *   CLOSES    time and scope to the close (close.h); these, a 0 and an invoice's id to the JSON
 *             of an invoice that it made: what a close writes lies together
 *   INVOICES  invoice id to the close that made it
 *   BILLED    what invoices say was billed (billed.h)
 *   STRIPE    what went to Stripe (stripe_books.h)
 *   OUTBOX    sequence to what isn't confirmed by Kafka yet (outbox.h)
 *   PENDING   topic and key to the greatest sequence in the outbox
 *
 * Threads    As store.h.
 */
#pragma once

#include "common/io/store.h"

enum books_table {
    BOOKS_STATE,
    BOOKS_CATALOG,
    BOOKS_TOTALS,
    BOOKS_MARKS,
    BOOKS_CLOSES,
    BOOKS_INVOICES,
    BOOKS_BILLED,
    BOOKS_OUTBOX,
    BOOKS_PENDING,
    BOOKS_STRIPE,
    BOOKS_TABLES,
};

/* Format 2 is 3 without STRIPE, and is gone on with. */
enum { BOOKS_FORMAT = 3, BOOKS_FORMAT_LEAST = 2, BOOKS_PARTITIONS_MAX = 10000 };

/* Opens <data>/<bucket>/invoicer and writes that path into *folder (caller's to free). */
MUST_USE int books_open(const char *data, const char *bucket, struct store **store, char **folder);

MUST_USE int books_number(struct store_txn *txn, const char *name, int64_t usual, int64_t *number);
MUST_USE int books_set_number(struct store_txn *txn, const char *name, int64_t number);
/* In a transaction of its own. */
MUST_USE int books_read_number(struct store *store, const char *name, int64_t usual,
                               int64_t *number);

/* STORE_NOT_FOUND when there is no such record. `json` as store.h says. */
enum books_outcome { BOOKS_NOT_FOUND = 1 };
MUST_USE int books_catalog_get(struct store_txn *txn, struct text key, struct text *json,
                               int64_t *offset);
MUST_USE int books_catalog_put(struct store_txn *txn, struct text key, struct text json,
                               int64_t offset);
/* Visits the pairs whose keys start with `prefix`, in order, until `visit` returns other than 0. */
MUST_USE int books_each(struct store_txn *txn, enum books_table table, struct text prefix,
                        int (*visit)(void *context, struct text key, struct text value),
                        void *context);
/* Empties every table: the topics are read from their beginning next. */
MUST_USE int books_wipe(struct store_txn *txn);

/* Big-endian with the sign turned, so that bytes sort as numbers do. */
void books_add_be64(struct buffer *key, int64_t number);
int64_t books_be64(const char *at);
