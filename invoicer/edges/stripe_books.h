/*
 * stripe_books.h - what the store knows of Stripe: the records stripe/… of <bucket>.invoices.
 *
 *   stripe/account         {"id":"acct_…","mode":"test"|"live","from","connectedAt"}
 *   stripe/customer/{key}  how a customer came to Stripe (stripe_delivery.h)
 *   stripe/invoice/{id}    how an invoice did
 *
 * In STRIPE they stand under their keys without "stripe/". Beside them nothing/{id} says of an
 * invoice that it comes to zero: it isn't handed over. That is no record, and comes back by
 * looking.
 *
 * Errors     As store.h.
 * Threads    As store.h.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/instant.h"
#include "common/io/store.h"

enum stripe_books_outcome { STRIPE_BOOKS_NOT = 1 };

/* Takes a record in, `key` without "stripe/". */
MUST_USE int stripe_books_take(struct store_txn *txn, struct text key, struct text json);
/* The same, and into the outbox. */
MUST_USE int stripe_books_put(struct store_txn *txn, struct text key, struct text json,
                              int64_t *sequence);
/* STRIPE_BOOKS_NOT when there is no such record. */
MUST_USE int stripe_books_get(struct store_txn *txn, struct text key, struct text *json);

struct stripe_account {
    struct text id, mode; /* good as long as the transaction's texts */
    struct instant from;  /* invoices of earlier boundaries aren't for Stripe */
};
MUST_USE int stripe_books_account(struct store_txn *txn, struct arena *arena,
                                  struct stripe_account *account);

/* An invoice that comes to zero. */
MUST_USE int stripe_books_note_nothing(struct store_txn *txn, struct text invoice);
/* Visits the ids of those invoices behind `after` that aren't settled and whose boundary is `from`
 * or later, in order, until `visit`, which writes nothing, returns other than 0. A million of which
 * none is due take a fifth of a second. */
MUST_USE int stripe_books_each_due(struct store_txn *txn, struct text after, struct instant from,
                                   int (*visit)(void *context, struct text invoice), void *context);
/* Visits the records under "customer/" or "invoice/", each by its key without that. */
MUST_USE int stripe_books_each(struct store_txn *txn, const char *kind,
                               int (*visit)(void *context, struct text key, struct text json),
                               void *context);
