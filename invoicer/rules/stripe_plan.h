/*
 * stripe_plan.h - the requests that make one of our invoices one of Stripe's, as bytes; and what
 * Stripe must hold then.
 *
 * A pure function of the invoice as issued (render.h's JSON) and of the terms: the same bytes and
 * keys whenever and wherever it is made. Keys are the SHA-256, in hex, of account, mode, bucket,
 * invoice, attempt and step.
 *
 * Source     Stripe's API reference: invoices, add_lines, finalize; idempotent requests.
 * Errors     Outcomes below.
 * Ownership  Everything is the arena's.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/stripe_delivery.h"

enum {
    STRIPE_LINES_MAX = 250,     /* an invoice's at Stripe */
    STRIPE_LINES_PER_CALL = 50, /* ours */
    STRIPE_METADATA_MAX = 500,  /* bytes of a value; Stripe counts characters */
    STRIPE_WHY_MAX = 512,
};

struct stripe_terms {
    struct text account; /* acct_… */
    struct text bucket;
    bool is_live;
    bool is_sent;           /* send_invoice; otherwise charge_automatically */
    int64_t days_until_due; /* of one that is sent */
};

/* A line as Stripe must hold it. */
struct stripe_line {
    char key[8];    /* "1", "2", …: metadata tollway_line */
    int64_t amount; /* minor units as Stripe counts them */
    struct text description;
    int64_t from_s, to_s; /* the service period's first and last second, Unix time */
    struct text our_line; /* its id, at most 500 bytes of it: metadata tollway_line_id */
};

/* What Stripe must hold when all is well. */
struct stripe_expected {
    struct text invoice; /* our id: metadata tollway_invoice */
    char currency[4];    /* lower case, as Stripe writes it */
    const struct stripe_line *lines;
    size_t line_count;
    int64_t total;
};

enum stripe_plan_outcome {
    STRIPE_PLAN_NOTHING = 1, /* the total is zero: nothing to hand over */
    STRIPE_PLAN_UNFIT,       /* Stripe can't take it; `why` says what, and what to do */
    STRIPE_PLAN_MALFORMED,   /* not an invoice of ours */
    STRIPE_PLAN_NO_MEMORY,
};

MUST_USE int stripe_expect(struct text invoice, struct arena *arena,
                           struct stripe_expected *expected, char why[STRIPE_WHY_MAX]);
/* `invoice`: the JSON that `expected` was made from. */
MUST_USE int stripe_plan(struct text invoice, const struct stripe_expected *expected,
                         const struct stripe_terms *terms, struct text customer, int64_t attempt,
                         struct arena *arena, const struct stripe_step **steps, size_t *count);
/*
 * For reconciling: the request that adds those lines that weren't `seen`, up to
 * STRIPE_LINES_PER_CALL of them from *next on; *next moves behind the last one looked at. Its key
 * is of the attempt, of how often it was looked what is missing, and of its body. 1: here it is; 0:
 * none is missing from there on; -1: no memory.
 */
MUST_USE int stripe_plan_missing(const struct stripe_expected *expected, const bool *seen,
                                 const struct stripe_terms *terms, int64_t attempt, int round,
                                 size_t *next, struct arena *arena, struct stripe_step *step);
/* The request that finalises, with a key of that moment and of how often it was looked for: done
 * twice, it is done once. */
MUST_USE int stripe_plan_finalize(const struct stripe_expected *expected,
                                  const struct stripe_terms *terms, int64_t attempt, int64_t now_ms,
                                  int round, struct arena *arena, struct stripe_step *step);
/* A request that makes the customer; `customer` is the catalog's record of it. */
MUST_USE int stripe_plan_customer(struct text customer, const struct stripe_terms *terms,
                                  int64_t attempt, struct arena *arena, struct stripe_step *step);
