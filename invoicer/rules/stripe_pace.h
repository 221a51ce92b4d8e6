/*
 * stripe_pace.h - how fast requests may go: a token bucket an endpoint and one for the account.
 *
 * A request takes a token of both. A bucket keeps a tenth of a second's worth at the most, or one
 * token: in any t seconds no more than rate × t and that go. Told to go slower, the rates halve,
 * once a second at the most, as many requests that are under way are told so at a time; they come
 * back by a tenth of the set ones a second.
 *
 * Units      Milliseconds of a monotonic clock that the caller gives; requests a second.
 * Threads    One.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STRIPE_RATE_MAX = 1000000 }; /* asserted */

enum stripe_endpoint {
    STRIPE_CREATE,
    STRIPE_ADD_LINES,
    STRIPE_LIST_LINES,
    STRIPE_FINALIZE,
    STRIPE_LIST_INVOICES,
    STRIPE_OTHER,
    STRIPE_ENDPOINTS,
};

struct stripe_pace {
    int64_t endpoint_rate, account_rate;  /* as set */
    int64_t tokens[STRIPE_ENDPOINTS + 1]; /* in parts of 1/100000; the account's last */
    int64_t filled_ms;
    int64_t percent;    /* of the rates, now */
    int64_t percent_ms; /* when they changed last */
    int64_t slowed_ms;  /* when they halved last */
    bool has_slowed;
};

/* Both rates are at least 1. */
void stripe_pace_init(struct stripe_pace *pace, int64_t endpoint_rate, int64_t account_rate,
                      int64_t now_ms);
/* 0: go, a token is taken. Otherwise how many ms to wait before it is worth asking again. */
int64_t stripe_pace_take(struct stripe_pace *pace, enum stripe_endpoint endpoint, int64_t now_ms);
void stripe_pace_slow_down(struct stripe_pace *pace, int64_t now_ms);
/* How long so many deliveries take at the set rates, in ms, with one request to each of a
 * delivery's four endpoints: those of few lines. */
int64_t stripe_pace_eta_ms(const struct stripe_pace *pace, size_t deliveries);
