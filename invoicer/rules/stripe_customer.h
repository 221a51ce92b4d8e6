/*
 * stripe_customer.h - the way to the Stripe customer of one of ours, which the first delivery to it
 * makes: as stripe_flow.h, for one request.
 *
 * The record stripe/customer/{key} is a delivery (stripe_delivery.h) of one step: begun before the
 * request is sent, finalised with `stripe`, the customer's id. Too old for its key, the customers
 * made since are listed and ours is found by its metadata; none is there: a new attempt.
 *
 * Ownership  As stripe_flow.h.
 * Threads    One a way.
 */
#pragma once

#include "invoicer/rules/stripe_flow.h"

struct stripe_customer {
    struct text customer; /* our key: metadata tollway_customer */
    const struct stripe_terms *terms;
    const struct stripe_delivery *delivery;
    struct arena *arena;
    bool is_looking; /* it lists instead of making it */
    struct text page;
    int tries;

    struct text stripe;
    bool has_slowed;
    char why[STRIPE_WHY_MAX];
};

void stripe_customer_init(struct stripe_customer *way, struct text customer,
                          const struct stripe_delivery *delivery, const struct stripe_terms *terms,
                          int64_t now_ms, struct arena *arena);
void stripe_customer_request(const struct stripe_customer *way, struct stripe_request *request);
MUST_USE enum stripe_flow_end stripe_customer_answer(struct stripe_customer *way,
                                                     const struct stripe_answer *answer,
                                                     uint64_t jitter, int64_t *wait_ms);
