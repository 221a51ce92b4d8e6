/*
 * bills.h - what the rules of an invoice need, read from the store: subscriptions, what is due of
 * them, their usage, what was billed of it before.
 *
 * Plans are read once and kept: the catalog doesn't change while a close is under way.
 *
 * Errors     Outcomes below; FAULT_REFUSE for a subscription that can't be billed.
 * Ownership  Subjects and invoices are the arena's and the plans' that bills owns.
 * Threads    As store.h.
 */
#pragma once

#include "common/io/store.h"
#include "invoicer/edges/late.h"
#include "invoicer/rules/invoice.h"
#include "proto/catalog.h"

struct bills;
struct bills *bills_new(int32_t partitions);
struct bills *bills_free(struct bills *bills);
/* For a transaction in which partitions may stand elsewhere than in the one before. */
void bills_forget_positions(struct bills *bills);

/* A version of a plan, as in "pro@2", in a currency that it has prices in; absent: its own. It
 * stays good as long as `bills`. */
MUST_USE int bills_plan(struct bills *bills, struct store_txn *txn, const char *id,
                        struct text currency, const struct plan **plan);

/* A subscription with what else its billing takes. */
struct bill_subject {
    struct subscription subscription;
    uint16_t cuts[CATALOG_CUTS_MAX];
    size_t cut_count;
    struct late_record record; /* what all this was read from */
};
/* `record` is the subscription's, of the catalog. */
MUST_USE int bills_subject(struct bills *bills, struct store_txn *txn, struct text record,
                           struct arena *arena, struct bill_subject *subject);

/* When boundaries fall due: at their time, and those that end a period an interval later. */
struct bill_terms {
    struct instant at;
    int64_t interval_ms;
};

enum bills_outcome { BILLS_NONE = 1, BILLS_UNREAD };
/* Which of those that are over are of interest: with usage that came late, or any. */
enum bills_ended { BILLS_ENDED_NONE, BILLS_ENDED_LATE, BILLS_ENDED_ANY };
/* Whether something is due of a subscription, from two rows of the store; BILLS_UNREAD: only its
 * record can tell. */
MUST_USE int bills_glance(struct store_txn *txn, struct text id, struct text record,
                          const struct bill_terms *terms, enum bills_ended ended);
/* The first boundary that isn't done with and is due; BILLS_NONE when there is none. */
MUST_USE int bills_due(struct store_txn *txn, const struct bill_subject *subject,
                       const struct bill_terms *terms, struct billing_boundary *boundary);
/* After a boundary is done with, in the same transaction: the next one; BILLS_NONE when it isn't
 * due or there is none. */
MUST_USE int bills_settle(struct store_txn *txn, const struct bill_subject *subject,
                          const struct bill_terms *terms, const struct billing_boundary *done,
                          struct billing_boundary *next);
/* Of a subscription that is over and billed to its end: a boundary at terms->at for late usage
 * alone. */
MUST_USE int bills_afterwards(struct store_txn *txn, const struct bill_subject *subject,
                              const struct bill_terms *terms, struct billing_boundary *boundary);
/* As fees_until of struct invoice_sources; to the period's end where no invoice has one of them. */
MUST_USE int bills_fees_until(struct store_txn *txn, struct text subscription,
                              const struct phase *phase, const struct rate_card *card,
                              const struct billing_period *period, struct instant *until);
/* As invoice_build, from the totals that the store holds. */
MUST_USE int bills_build(struct bills *bills, struct store_txn *txn,
                         const struct bill_subject *subject,
                         const struct billing_boundary *boundary, struct arena *arena,
                         struct invoice *invoice);
