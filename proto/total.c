/*
 * total.c - what windows add up to.
 *
 * Every aggregation is independent of the order in which its parts are merged: sums and counts add,
 * least and greatest compare, an average keeps sum and count until it is asked for, and of the
 * latest the greatest time wins, then the greatest value (metering.md 18).
 */
#include "proto/counters.h"

#include <assert.h>

static bool is_later(const struct total *a, const struct total *b)
{
    int order = instant_compare(a->time, b->time);

    return order > 0 || (order == 0 && decimal_compare(a->value, b->value) > 0);
}

static bool replaces(const struct total *more, const struct total *held)
{
    switch (held->aggregation) {
    case AGGREGATION_MIN:
        return decimal_compare(more->value, held->value) < 0;
    case AGGREGATION_MAX:
        return decimal_compare(more->value, held->value) > 0;
    case AGGREGATION_LATEST:
        return is_later(more, held);
    default:
        return false;
    }
}

/* What an aggregation doesn't use is zero, so that equal totals are equal bytes. */
static struct total plain(struct total total)
{
    if (total.aggregation != AGGREGATION_LATEST)
        total.time.ns = 0;
    if (total.aggregation == AGGREGATION_COUNT || total.aggregation == AGGREGATION_UNIQUE_COUNT)
        total.value.units = 0;
    return total;
}

int total_merge(struct total *into, const struct total *more)
{
    struct total merged = *into;

    assert(into->aggregation == more->aggregation);

    if (more->count == 0)
        return 0;
    if (into->count == 0) {
        *into = plain(*more);
        return 0;
    }
    if (more->count > (uint64_t)INT64_MAX - into->count)
        return TOTAL_OVERFLOW;
    if (into->aggregation == AGGREGATION_SUM || into->aggregation == AGGREGATION_AVG) {
        if (decimal_add(into->value, more->value, &merged.value) != 0)
            return TOTAL_OVERFLOW;
    } else if (replaces(more, into)) {
        merged = *more;
    }
    merged.count = into->count + more->count;
    *into = plain(merged);
    return 0;
}

struct decimal total_answer(const struct total *total)
{
    if (total->count == 0)
        return decimal_from_int(0);
    switch (total->aggregation) {
    case AGGREGATION_COUNT:
    case AGGREGATION_UNIQUE_COUNT:
        return decimal_from_int((int64_t)total->count);
    case AGGREGATION_AVG:
        return decimal_divide_rounded(total->value, total->count);
    default:
        return total->value;
    }
}
