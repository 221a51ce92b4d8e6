/*
 * billed.h - what the records of <bucket>.invoices say: invoices, closes, and what was billed by
 * them.
 *
 * Written here or read back from the topic, a record puts the same rows, so a store that was lost
 * comes back the same. An invoice that is there is never taken again: what is issued
 * stays.
 *
 *   {invoice id}      render.h's JSON, with the close that made it as a first member, "close",
 *                     which is taken off again
 *   close/{close}     the state of a close (close.h)
 *   nothing/{close}/{number}   {"boundaries":[[subscription, minute],…]}: boundaries without an
 *                     invoice
 *   stripe/…          stripe_books.h
 *
 * In BILLED, behind the subscription and a 0:
 *   b {boundary, 8 bytes}   the invoice's id, or nothing: the boundary is done with
 *   u {from, to, 8 bytes each} {phase}/{card}    {"quantity","total","adjustments"} of a closed
 * period
 *   c                       how much of the subscription's credit was used
 *   l, s                    late.h
 *
 * Threads    As store.h.
 */
#pragma once

#include "common/base/decimal.h"
#include "common/base/instant.h"
#include "common/io/store.h"
#include "invoicer/rules/invoice.h"

#include <jansson.h>

/* A key of BILLED up to its kind's letter. */
void billed_key(struct buffer *key, struct text subscription, char kind);
#define BILLED_LATEST "billed/latest" /* in STATE: the greatest boundary that is done with */

/* Takes a record in: into INVOICES, CLOSES and BILLED. */
MUST_USE int billed_take(struct store_txn *txn, struct text key, struct text json);
/* The same for who has parsed it already: `record` is an object. */
MUST_USE int billed_take_parsed(struct store_txn *txn, struct text key, struct text json,
                                const json_t *record);

/* The same for an invoice that a close just built and wrote as `json`: without reading it again. */
MUST_USE int billed_take_built(struct store_txn *txn, const struct invoice *invoice,
                               struct text close, struct text json);

/* A boundary without an invoice, noted by the close that found nothing to bill there. */
MUST_USE int billed_nothing(struct store_txn *txn, struct text subscription, int64_t minute);

/* How much of the subscription's credit its invoices have used so far, as money_parse reads it. */
enum { BILLED_CREDIT_MAX = 48 };
MUST_USE int billed_credit(struct store_txn *txn, struct text subscription,
                           char used[BILLED_CREDIT_MAX]);

enum billed_outcome { BILLED_NOT = 1 };
/* An invoice as it was issued, and the close that made it; BILLED_NOT when there is none. */
MUST_USE int billed_invoice(struct store_txn *txn, struct text id, struct text *json);
MUST_USE int billed_close(struct store_txn *txn, struct text id, struct text *close);
/* The same for who knows its close: it is there. */
MUST_USE int billed_invoice_of(struct store_txn *txn, struct text close, struct text id,
                               struct text *json);
/* Visits all invoices in the order of their ids. */
MUST_USE int billed_each_invoice(struct store_txn *txn,
                                 int (*visit)(void *context, struct text id, struct text json),
                                 void *context);
/* The last boundary of a subscription that is done with; BILLED_NOT when there is none. */
MUST_USE int billed_last(struct store_txn *txn, struct text subscription, int64_t *minute);
/* Until when the card's fees were billed at that boundary; BILLED_NOT: none of them was. */
MUST_USE int billed_fees_until(struct store_txn *txn, struct text subscription, int64_t minute,
                               struct text phase, struct text card, int64_t *until_minute);
MUST_USE int billed_has(struct store_txn *txn, struct text subscription, int64_t minute, bool *has);

struct billed_period {
    char quantity[DECIMAL_TEXT_MAX];
    char total[48]; /* money_parse reads it */
    int64_t adjustments;
};
/* What was billed of a card's closed period; zeros when no line says anything. */
MUST_USE int billed_of(struct store_txn *txn, struct text subscription, struct text phase,
                       struct text card, int64_t from_minute, int64_t to_minute,
                       struct billed_period *billed);
