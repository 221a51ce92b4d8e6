/*
 * stripe_flow.h - one delivery's way through Stripe: which request is next, and what its answer
 * means.
 *
 * No request is sent here: whoever has the network asks for the request, sends it, and gives the
 * answer, until the flow has ended. Killed anywhere, a flow that is made anew from the same record
 * ends with the same invoice.
 *
 *   a begun delivery    its steps in order; before the last one, which finalises, what Stripe holds
 * is listed and compared, line by line one that is too old for its keys, that contradicts its
 * answers, or that was held the customer's invoices are listed and ours is found by its metadata;
 * lines that it lacks are added; then as above. None is there: a new attempt.
 *
 * Units      Milliseconds since 1970.
 * Ownership  What a flow is made from is borrowed until it is forgotten; what it says is the
 * arena's. Threads    One a flow.
 */
#pragma once

#include "invoicer/rules/stripe_answer.h"
#include "invoicer/rules/stripe_request.h"

/* A key is good for so long: Stripe keeps them for 24 h, and clocks can be wrong by hours. */
enum { STRIPE_KEY_S_MAX = 12 * 3600 };

enum stripe_flow_end {
    STRIPE_FLOW_GOES_ON,
    STRIPE_FLOW_FINALIZED,
    STRIPE_FLOW_HELD,        /* somebody has to look: `why` */
    STRIPE_FLOW_NEW_ATTEMPT, /* nothing of it is at Stripe, and its keys are spent */
    STRIPE_FLOW_LATER,       /* no answer that decides anything, time and again: as it was */
    STRIPE_FLOW_STOP,        /* Stripe refuses us: `why` */
};

enum stripe_flow_phase {
    STRIPE_FLOW_STEPS,
    STRIPE_FLOW_FINDS,
    STRIPE_FLOW_LISTS,
    STRIPE_FLOW_ADDS,
    STRIPE_FLOW_FINALIZES,
};

struct stripe_flow {
    const struct stripe_expected *expected;
    const struct stripe_terms *terms;
    const struct stripe_delivery *delivery;
    struct arena *arena;
    int64_t now_ms;

    enum stripe_flow_phase phase;
    bool is_reconciling;
    int round;                /* how often it was looked for */
    bool is_final;            /* Stripe's is no draft any more */
    size_t step;              /* of the delivery's */
    size_t next_missing;      /* of the lines that are looked at */
    bool *seen;               /* a line each */
    struct text page;         /* the last id of the page before */
    size_t void_count;        /* of those found */
    struct stripe_step again; /* a request that isn't one of the delivery's steps */
    int tries;                /* of the request at hand */

    struct text stripe, number, status; /* as Stripe said last; absent: nothing yet */
    int64_t total;                      /* so, too */
    bool has_slowed;                    /* the last answer asks all to go slower */
    char why[STRIPE_WHY_MAX];
};

/* False: the arena is full. */
MUST_USE bool stripe_flow_init(struct stripe_flow *flow, const struct stripe_delivery *delivery,
                               const struct stripe_expected *expected,
                               const struct stripe_terms *terms, int64_t now_ms,
                               struct arena *arena);
/* The request at hand; good until the next call of stripe_flow_answer. */
void stripe_flow_request(const struct stripe_flow *flow, struct stripe_request *request);
/* Takes its answer. When it goes on, the next request, which may be the same one, is to be sent
 * after *wait_ms. */
MUST_USE enum stripe_flow_end stripe_flow_answer(struct stripe_flow *flow,
                                                 const struct stripe_answer *answer,
                                                 uint64_t jitter, int64_t *wait_ms);
