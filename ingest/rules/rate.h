/*
 * rate.h - a token bucket for each API key: how many events it may send a second.
 *
 * A bucket holds one second's worth, or the cost of one request where that is more: so every
 * request passes at last, and the rate holds over time.
 *
 * Units      Times in ms on any one clock.
 * Limits     RATE_KEYS_MAX keys; the one unused for longest makes room for a new one.
 * Threads    One at a time.
 */
#pragma once

#include "common/base/text.h"

enum { RATE_KEYS_MAX = 1024 };

struct rate;
struct rate *rate_new(int64_t per_second);
struct rate *rate_free(struct rate *rate);
/* 0 when the key may send now, else the ms until it may. */
int64_t rate_wait(struct rate *rate, struct text key, int64_t now_ms);
/* Takes what a request that was let through has cost. */
void rate_spend(struct rate *rate, struct text key, int64_t events);
