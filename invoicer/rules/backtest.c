/*
 * backtest.c - prices a range by a plan, and sums up who would pay more and who less.
 */
#include "invoicer/rules/backtest.h"

#include <stdlib.h>

/* The boundary with what of it lies in the range; false: nothing does. */
static bool cut_to_range(struct window range, struct billing_boundary *boundary)
{
    if (instant_compare(boundary->at, range.from) <= 0)
        boundary->ended.phase = PERIODS_NONE;
    if (instant_compare(boundary->at, range.from) < 0 ||
        instant_compare(boundary->at, range.to) >= 0)
        boundary->begins.phase = PERIODS_NONE;
    return boundary->ended.phase != PERIODS_NONE || boundary->begins.phase != PERIODS_NONE;
}

static int add_boundary(const struct subscription *subscription, struct window range,
                        struct billing_boundary boundary, const struct invoice_sources *sources,
                        struct arena *arena, struct money *sum)
{
    struct invoice invoice;
    int r;

    if (!cut_to_range(range, &boundary))
        return 0;
    r = invoice_build(subscription, &boundary, sources, arena, &invoice);
    if (r)
        return r == INVOICE_NOTHING ? 0 : r;
    return money_add(*sum, invoice.total, sum) ? INVOICE_OVERFLOW : 0;
}

int backtest_price(const struct subscription *subscription, struct window range,
                   const struct invoice_sources *sources, struct arena *arena, struct money *total)
{
    struct subscription priced = *subscription;
    struct billing_boundary boundary;
    struct money sum = {0};
    bool found;
    int r = 0;

    priced.credit = (struct money){0};
    found = instant_compare(priced.active_from, range.from) >= 0
                ? periods_first(&priced, &boundary)
                : periods_last_due(&priced, range.from, &boundary);
    while (r == 0 && found && instant_compare(boundary.at, range.to) <= 0) {
        r = add_boundary(&priced, range, boundary, sources, arena, &sum);
        found = periods_next(&priced, &boundary, &boundary);
    }
    if (r)
        return r;
    *total = sum;
    return 0;
}

/* --- who pays more --- */

/* Differences of amounts that were added up have room. */
static struct money difference_of(const struct backtest_row *row)
{
    return (struct money){row->then.minor - row->now.minor};
}

static int by_difference(const void *a, const void *b)
{
    const struct backtest_row *left = a, *right = b;
    int order = text_is_absent(right->why_not) - text_is_absent(left->why_not); /* compared first */

    if (order == 0)
        order = text_compare(text_of(left->currency->code), text_of(right->currency->code));
    if (order == 0)
        order = money_compare(difference_of(right), difference_of(left));
    return order ? order : text_compare(left->subscription, right->subscription);
}

static int add_row(const struct backtest_row *row, struct backtest_sums *sums)
{
    int order = money_compare(row->then, row->now);

    sums->more += order > 0;
    sums->less += order < 0;
    sums->same += order == 0;
    if (money_add(sums->now, row->now, &sums->now) || money_add(sums->then, row->then, &sums->then))
        return MONEY_OVERFLOW;
    return 0;
}

int backtest_finish(struct backtest *backtest)
{
    int r = 0;

    if (backtest->count)
        qsort(backtest->rows, backtest->count, sizeof(*backtest->rows), by_difference);
    backtest->compared = backtest->sum_count = 0;
    for (size_t i = 0; r == 0 && i < backtest->count; i++) {
        const struct backtest_row *row = &backtest->rows[i];
        struct backtest_sums *sums = backtest->sums;

        if (!text_is_absent(row->why_not))
            break;
        backtest->compared++;
        if (i == 0 || backtest->rows[i - 1].currency != row->currency)
            sums[backtest->sum_count++] = (struct backtest_sums){.currency = row->currency};
        r = add_row(row, &sums[backtest->sum_count - 1]);
    }
    return r;
}
