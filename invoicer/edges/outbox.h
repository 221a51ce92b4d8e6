/*
 * outbox.h - what the invoicer has written into its store and Kafka is yet to have.
 *
 * A change and its messages are put in one transaction. Who holds the tenure sends them in order,
 * each with its epoch, and drops one when it was read back from the topic in front of any newer
 * epoch: only then every reader has taken it, and only then it is answered. Sent twice, a message
 * changes nothing.
 *
 * Errors     As store.h.
 * Threads    The outbox belongs to the engine's thread; outbox_put to any that has a transaction.
 */
#pragma once

#include "common/io/kafka.h"
#include "common/io/store.h"
#include "proto/topics.h"

enum { OUTBOX_IN_FLIGHT_MAX = 2000 };

/*
 * Adds a message in the caller's write transaction. `json` is an object without epoch, not empty;
 * absent: a tombstone. *sequence grows by one with each.
 */
MUST_USE int outbox_put(struct store_txn *txn, enum topic topic, struct text key, struct text json,
                        int64_t *sequence);
/* The same for an invoice that the store holds: its JSON is taken from there when it is sent, with
 * the close that made it in front. */
MUST_USE int outbox_put_invoice(struct store_txn *txn, struct text id, struct text close,
                                int64_t *sequence);
/* Whether a message with that topic and key waits: what is read from the topic is older then. */
MUST_USE int outbox_has(struct store_txn *txn, enum topic topic, struct text key, bool *waits);
/* All up to *sequence are confirmed; -1: none was ever. */
MUST_USE int outbox_confirmed(struct store_txn *txn, int64_t *sequence);
MUST_USE int outbox_is_empty(struct store_txn *txn, bool *is_empty);

struct outbox;
struct outbox *outbox_new(struct store *store, const char *bucket);
struct outbox *outbox_free(struct outbox *outbox);
/* Forgets what was sent: everything that is stored is sent again. */
void outbox_restart(struct outbox *outbox);
/* Sends what waits, with `epoch`. */
MUST_USE int outbox_send(struct outbox *outbox, struct producer *producer, int64_t epoch);
/* Drops what was read back: each topic was followed up to (not including) its offset. */
MUST_USE int outbox_confirm(struct outbox *outbox, int64_t catalog_next, int64_t invoices_next);
