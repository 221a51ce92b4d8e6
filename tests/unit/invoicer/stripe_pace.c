/*
 * stripe_pace.c - how fast requests may go, against what the header promises and a slow model.
 */
#include "invoicer/rules/stripe_pace.h"

#include "common/base/attrs.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { TAKEN_MAX = 20000 };

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (random_state >> 33) % bound;
}

/* In thousandths of a token. */
static int64_t most_kept(int64_t rate)
{
    return rate > 10 ? rate * 100 : 1000;
}

/* --- what went, and when --- */

struct log {
    int64_t at_ms[TAKEN_MAX];
    size_t count;
};

/* In no window of any length more than rate × length and what was kept: of all those that begin
 * and end with a request, so of all. */
static void assert_never_faster(const struct log *log, int64_t rate)
{
    for (size_t i = 0; i < log->count; i++)
        for (size_t k = i; k < log->count; k++) {
            int64_t length_ms = log->at_ms[k] - log->at_ms[i];

            cr_assert_leq((int64_t)(k - i + 1) * 1000, rate * length_ms + most_kept(rate),
                          "%zu requests in %lld ms at %lld a second", k - i + 1,
                          (long long)length_ms, (long long)rate);
        }
}

Test(stripe_pace, never_goes_faster_than_either_rate_in_any_window)
{
    static const int64_t rates[][2] = {{20, 80}, {20, 20}, {7, 13}, {1, 1}, {25, 100}, {3, 1000}};
    static struct log all, each[STRIPE_ENDPOINTS];

    random_state = 11;
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        struct stripe_pace pace;
        int64_t now_ms = 1000000;

        all.count = 0;
        for (int e = 0; e < STRIPE_ENDPOINTS; e++)
            each[e].count = 0;
        stripe_pace_init(&pace, rates[i][0], rates[i][1], now_ms);
        for (int k = 0; k < 4000; k++) {
            int e = (int)random_below(STRIPE_ENDPOINTS);

            now_ms += random_below(4) ? (int64_t)random_below(20) : 0;
            now_ms += random_below(500) ? 0 : (int64_t)random_below(5000);
            if (stripe_pace_take(&pace, (enum stripe_endpoint)e, now_ms))
                continue;
            all.at_ms[all.count++] = now_ms;
            each[e].at_ms[each[e].count++] = now_ms;
        }
        assert_never_faster(&all, rates[i][1]);
        for (int e = 0; e < STRIPE_ENDPOINTS; e++)
            assert_never_faster(&each[e], rates[i][0]);
    }
}

/* Where more than a token is kept: otherwise what comes while a whole one waits is lost. */
Test(stripe_pace, neither_wastes_nor_adds_a_token_however_often_it_is_asked)
{
    static const int64_t rates[] = {20, 25, 77, 99, 999};

    for (size_t i = 0; i < ARRAY_LEN(rates); i++)
        for (int64_t step_ms = 1; step_ms <= 7; step_ms += 3) {
            struct stripe_pace pace;
            int64_t count = 0;

            stripe_pace_init(&pace, rates[i], 1000, 0);
            for (int64_t now_ms = 0; now_ms <= 70000; now_ms += step_ms)
                while (stripe_pace_take(&pace, STRIPE_CREATE, now_ms) == 0)
                    count++;
            cr_assert_geq(count, rates[i] * 70, "%lld a second", (long long)rates[i]);
            cr_assert_leq(count, rates[i] * 70 + most_kept(rates[i]) / 1000);
        }
}

/* --- a slow model: a bucket that is filled millisecond by millisecond, in parts of a token --- */

enum { PARTS = 100000 };

struct model {
    int64_t rates[2], parts[2], percent, slowed_ms, now_ms;
};

static int64_t model_most(const struct model *model, int i)
{
    int64_t most = model->rates[i] * PARTS / 10;

    return most > PARTS ? most : PARTS;
}

static void model_tick(struct model *model)
{
    for (int i = 0; i < 2; i++) {
        model->parts[i] += model->rates[i] * model->percent;
        if (model->parts[i] > model_most(model, i))
            model->parts[i] = model_most(model, i);
    }
    model->now_ms++;
    if (model->percent < 100 && (model->now_ms - model->slowed_ms) % 100 == 0)
        model->percent++;
}

static bool model_take(struct model *model)
{
    if (model->parts[0] < PARTS || model->parts[1] < PARTS)
        return false;
    model->parts[0] -= PARTS;
    model->parts[1] -= PARTS;
    return true;
}

static void model_slow_down(struct model *model)
{
    if (model->slowed_ms >= 0 && model->now_ms - model->slowed_ms < 1000)
        return;
    model->percent = model->percent / 2 < 5 ? 5 : model->percent / 2;
    model->slowed_ms = model->now_ms;
}

Test(stripe_pace, does_what_a_slow_model_does_slowed_down_or_not)
{
    random_state = 5;
    for (int round = 0; round < 40; round++) {
        int64_t a = 1 + (int64_t)random_below(60), b = 1 + (int64_t)random_below(120);
        struct model model = {.rates = {a, b}, .percent = 100, .slowed_ms = -1};
        struct stripe_pace pace;

        model.parts[0] = model_most(&model, 0);
        model.parts[1] = model_most(&model, 1);
        stripe_pace_init(&pace, a, b, 0);
        for (int step = 0; step < 2000; step++) {
            int64_t passed = random_below(50) ? (int64_t)random_below(12) : 3000;

            for (; passed > 0; passed--)
                model_tick(&model);
            if (random_below(150) == 0) {
                model_slow_down(&model);
                stripe_pace_slow_down(&pace, model.now_ms);
            }
            cr_assert_eq(stripe_pace_take(&pace, STRIPE_FINALIZE, model.now_ms) == 0,
                         model_take(&model), "round %d, step %d, at %lld ms", round, step,
                         (long long)model.now_ms);
        }
    }
}

/* --- waiting, slowing down, and how long it takes --- */

Test(stripe_pace, says_when_it_is_worth_asking_again)
{
    struct stripe_pace pace;

    stripe_pace_init(&pace, 20, 80, 0);
    cr_assert_eq(stripe_pace_take(&pace, STRIPE_CREATE, 0), 0);
    cr_assert_eq(stripe_pace_take(&pace, STRIPE_CREATE, 0), 0);

    cr_assert_eq(stripe_pace_take(&pace, STRIPE_CREATE, 0), 50);
    cr_assert_eq(stripe_pace_take(&pace, STRIPE_CREATE, 30), 20);
    cr_assert_eq(stripe_pace_take(&pace, STRIPE_CREATE, 30), 20, "asking costs nothing");
    cr_assert_eq(stripe_pace_take(&pace, STRIPE_ADD_LINES, 30), 0, "another endpoint's is its own");
    cr_assert_eq(stripe_pace_take(&pace, STRIPE_CREATE, 50), 0);
}

Test(stripe_pace, refusals_of_one_second_halve_it_once)
{
    struct stripe_pace pace;

    stripe_pace_init(&pace, 10, 1000, 0);
    for (int i = 0; i < 40; i++)
        stripe_pace_slow_down(&pace, i);
    cr_assert_eq(pace.percent, 50);

    stripe_pace_slow_down(&pace, 1000);
    cr_assert_eq(pace.percent, 30, "half of the 60 that it had come back to");
}

Test(stripe_pace, goes_on_at_a_twentieth_at_least_and_comes_back_in_time)
{
    struct stripe_pace pace;
    int64_t now_ms = 0;

    stripe_pace_init(&pace, 10, 10, now_ms);
    for (int i = 0; i < 100; i++, now_ms += 1000)
        stripe_pace_slow_down(&pace, now_ms);
    cr_assert_geq(pace.percent, 5);

    (void)stripe_pace_take(&pace, STRIPE_CREATE, now_ms + 9500);
    cr_assert_eq(pace.percent, 100);
}

Test(stripe_pace, a_clock_that_stands_or_goes_back_fills_nothing)
{
    struct stripe_pace pace;

    stripe_pace_init(&pace, 1, 1, 1000);
    cr_assert_eq(stripe_pace_take(&pace, STRIPE_CREATE, 1000), 0);

    cr_assert_eq(stripe_pace_take(&pace, STRIPE_CREATE, 1000), 1000);
    cr_assert_eq(stripe_pace_take(&pace, STRIPE_CREATE, 0), 1000);
    cr_assert_eq(stripe_pace_take(&pace, STRIPE_CREATE, 2000), 0);
}

Test(stripe_pace, a_night_fills_no_more_than_what_is_kept)
{
    struct stripe_pace pace;

    stripe_pace_init(&pace, STRIPE_RATE_MAX, 50, 0);
    stripe_pace_slow_down(&pace, 0);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(stripe_pace_take(&pace, STRIPE_CREATE, INT64_MAX / 2), 0);

    cr_assert_eq(stripe_pace_take(&pace, STRIPE_CREATE, INT64_MAX / 2), 20);
}

Test(stripe_pace, tells_how_long_deliveries_take)
{
    struct stripe_pace live, test;

    stripe_pace_init(&live, 20, 80, 0);
    stripe_pace_init(&test, 20, 20, 0);

    cr_assert_eq(stripe_pace_eta_ms(&live, 0), 0);
    cr_assert_eq(stripe_pace_eta_ms(&live, 10000), 500000);
    cr_assert_eq(stripe_pace_eta_ms(&test, 10000), 2000000);
}
