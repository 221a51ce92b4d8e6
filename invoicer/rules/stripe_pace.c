/*
 * stripe_pace.c - token buckets in integers.
 *
 * A rate of r a second at p percent fills r × p parts of 1/100000 of a token in a millisecond:
 * nothing is rounded, so nothing drifts, however often the time is looked at.
 */
#include "invoicer/rules/stripe_pace.h"

#include <assert.h>

enum {
    TOKEN = 100000, /* parts */
    KEPT_MS = 100,  /* so much of a rate is kept */
    PERCENT_LEAST = 5,
    PERCENT_BACK_MS = 100, /* one comes back in so many */
    SLOWED_MS = 1000,      /* what is told within them is told once */
};

static int64_t rate_of(const struct stripe_pace *pace, int bucket)
{
    return bucket == STRIPE_ENDPOINTS ? pace->account_rate : pace->endpoint_rate;
}

static int64_t most_of(const struct stripe_pace *pace, int bucket)
{
    int64_t most = rate_of(pace, bucket) * 100 * KEPT_MS;

    return most > TOKEN ? most : TOKEN;
}

void stripe_pace_init(struct stripe_pace *pace, int64_t endpoint_rate, int64_t account_rate,
                      int64_t now_ms)
{
    assert(endpoint_rate > 0 && endpoint_rate <= STRIPE_RATE_MAX);
    assert(account_rate > 0 && account_rate <= STRIPE_RATE_MAX);
    *pace = (struct stripe_pace){
        .endpoint_rate = endpoint_rate,
        .account_rate = account_rate,
        .filled_ms = now_ms,
        .percent = 100,
    };
    for (int i = 0; i <= STRIPE_ENDPOINTS; i++)
        pace->tokens[i] = most_of(pace, i);
}

/* More than what is kept fills no more. */
static void add_tokens(struct stripe_pace *pace, int64_t passed_ms)
{
    for (int i = 0; i <= STRIPE_ENDPOINTS; i++) {
        int64_t most = most_of(pace, i), a_ms = rate_of(pace, i) * pace->percent;
        int64_t missing_ms = (most - pace->tokens[i] + a_ms - 1) / a_ms;

        if (passed_ms >= missing_ms)
            pace->tokens[i] = most;
        else
            pace->tokens[i] += a_ms * passed_ms;
    }
}

/* Up to each moment at which a percent comes back by the rate before it. */
static void fill(struct stripe_pace *pace, int64_t now_ms)
{
    while (pace->percent < 100 && now_ms - pace->percent_ms >= PERCENT_BACK_MS) {
        int64_t back_ms = pace->percent_ms + PERCENT_BACK_MS;

        if (back_ms > pace->filled_ms) {
            add_tokens(pace, back_ms - pace->filled_ms);
            pace->filled_ms = back_ms;
        }
        pace->percent++;
        pace->percent_ms = back_ms;
    }
    if (now_ms > pace->filled_ms) {
        add_tokens(pace, now_ms - pace->filled_ms);
        pace->filled_ms = now_ms;
    }
}

/* At the rate of now: it only grows. */
static int64_t wait_of(const struct stripe_pace *pace, int bucket)
{
    int64_t missing = TOKEN - pace->tokens[bucket], a_ms = rate_of(pace, bucket) * pace->percent;

    return missing <= 0 ? 0 : (missing + a_ms - 1) / a_ms;
}

int64_t stripe_pace_take(struct stripe_pace *pace, enum stripe_endpoint endpoint, int64_t now_ms)
{
    int64_t endpoint_ms, account_ms;

    assert(endpoint < STRIPE_ENDPOINTS);
    fill(pace, now_ms);
    endpoint_ms = wait_of(pace, (int)endpoint);
    account_ms = wait_of(pace, STRIPE_ENDPOINTS);
    if (endpoint_ms || account_ms)
        return endpoint_ms > account_ms ? endpoint_ms : account_ms;
    pace->tokens[endpoint] -= TOKEN;
    pace->tokens[STRIPE_ENDPOINTS] -= TOKEN;
    return 0;
}

void stripe_pace_slow_down(struct stripe_pace *pace, int64_t now_ms)
{
    if (pace->has_slowed && now_ms - pace->slowed_ms < SLOWED_MS)
        return;
    fill(pace, now_ms);
    pace->percent = pace->percent / 2 < PERCENT_LEAST ? PERCENT_LEAST : pace->percent / 2;
    pace->percent_ms = pace->slowed_ms = now_ms;
    pace->has_slowed = true;
}

int64_t stripe_pace_eta_ms(const struct stripe_pace *pace, size_t deliveries)
{
    int64_t by_endpoint = (int64_t)deliveries * 1000 / pace->endpoint_rate;
    int64_t by_account = (int64_t)deliveries * 4 * 1000 / pace->account_rate;

    return by_endpoint > by_account ? by_endpoint : by_account;
}
