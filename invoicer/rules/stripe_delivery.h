/*
 * stripe_delivery.h - one invoice's way to Stripe, as the record stripe/invoice/{id} holds it.
 *
 *   {"state":"begun"|"finalized"|"held","attempt":1,"begunAt":"…","customer":"cus_…",
 *    "stripe":"in_…"|null,"number":…|null,"status":…|null,"reason":…|null,
 *    "steps":[{"path":"/v1/invoices","key":"…","body":"…"},…]}
 *
 * Members stand in this order. `steps` are the bytes that may have been sent: of a begun delivery
 * all, in order; none of any other.
 *
 * Errors     Outcomes below.
 * Ownership  Everything in a delivery is the arena's or borrowed from its inputs.
 * Threads    Any.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/instant.h"

enum stripe_state {
    STRIPE_BEGUN,
    STRIPE_FINALIZED, /* Stripe collects it, or has: `status` as Stripe said it last */
    STRIPE_HELD,      /* waits for somebody; `reason` says what to do */
};
const char *stripe_state_name(enum stripe_state state);

struct stripe_step {
    struct text path; /* with {invoice} for Stripe's id of it */
    struct text key;  /* Idempotency-Key */
    struct text body; /* application/x-www-form-urlencoded */
};

struct stripe_delivery {
    enum stripe_state state;
    int64_t attempt; /* from 1: each has keys of its own */
    struct instant begun_at;
    struct text customer;
    struct text stripe;         /* absent: not known */
    struct text number, status; /* as Stripe said last; absent: nothing yet */
    struct text reason;         /* of a held one */
    const struct stripe_step *steps;
    size_t step_count;
};

enum stripe_delivery_outcome {
    STRIPE_DELIVERY_MALFORMED = 1,
    STRIPE_DELIVERY_NO_MEMORY,
};
MUST_USE int stripe_delivery_read(struct text json, struct arena *arena,
                                  struct stripe_delivery *delivery);
void stripe_delivery_write(const struct stripe_delivery *delivery, struct buffer *json);
/* Whether a record says that nothing is left to do: without reading it all. */
bool stripe_delivery_is_settled(struct text json);
