/*
 * backtest.h - what subscriptions would have paid by another plan on the usage that was counted.
 *
 * Both plans are priced by invoice_build, the same way as they are billed: every charge that falls
 * due within the range counts, fees in advance at its first moment included and at its last left
 * out, arrears the other way round. Credits and adjustments are left out: they are of what was
 * billed, not of what a plan costs.
 *
 * Units      Money in each subscription's currency.
 * Ownership  A row's texts are the caller's.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/invoice.h"

/* What the subscription pays for the range, by its plan: an outcome of invoice_build, or 0. */
MUST_USE int backtest_price(const struct subscription *subscription, struct window range,
                            const struct invoice_sources *sources, struct arena *arena,
                            struct money *total);

struct backtest_row {
    struct text subscription, customer, plan; /* the plan that it has: "pro@2" */
    const struct currency *currency;
    struct money now, then; /* by its own plan, by the other */
    struct text why_not;    /* absent: it was compared */
};

/* Of the rows of one currency that were compared. */
struct backtest_sums {
    const struct currency *currency;
    size_t more, less, same;
    struct money now, then;
};

enum { BACKTEST_CURRENCIES_MAX = 300 }; /* more than ISO 4217 has */

struct backtest {
    struct text plan; /* the other one: "team@1" */
    struct window range;
    struct backtest_row *rows;
    size_t count;
    size_t compared; /* of them, the first ones */
    struct backtest_sums sums[BACKTEST_CURRENCIES_MAX];
    size_t sum_count;
};

/* Sorts the rows by currency and by what they would pay more, falling, those that weren't compared
 * last, and sums them up; MONEY_OVERFLOW. */
MUST_USE int backtest_finish(struct backtest *backtest);

/* Finished ones. A table names the first and the last `shown` rows of each currency: those with the
 * largest differences. */
void backtest_table(const struct backtest *backtest, size_t shown, struct buffer *text);
void backtest_json(const struct backtest *backtest, struct buffer *json);
void backtest_html(const struct backtest *backtest, struct buffer *html);
