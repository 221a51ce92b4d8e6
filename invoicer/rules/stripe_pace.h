/*
 * stripe_pace.h - how fast requests may go: a token bucket an endpoint and one for the account.
 *
 * A request takes a token of both. Told to go slower, the rates halve, and come back by a tenth of
 * theirs a second.
 *
 * Units      Milliseconds of a monotonic clock that the caller gives; requests a second.
 * Threads    One.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
    int64_t endpoint_rate, account_rate; /* as set */
    int64_t slowed_until_ms;
    int64_t tokens[STRIPE_ENDPOINTS + 1]; /* thousandths; the account's last */
    int64_t filled_ms;
    int64_t percent; /* of the rates, now */
};

void stripe_pace_init(struct stripe_pace *pace, int64_t endpoint_rate, int64_t account_rate,
                      int64_t now_ms);
/* 0: go, a token is taken. Otherwise how many ms to wait before it is worth asking again. */
int64_t stripe_pace_take(struct stripe_pace *pace, enum stripe_endpoint endpoint, int64_t now_ms);
void stripe_pace_slow_down(struct stripe_pace *pace, int64_t now_ms);
/* How long so many requests to each of the endpoints of a delivery take at the set rates, in ms. */
int64_t stripe_pace_eta_ms(const struct stripe_pace *pace, size_t deliveries);
