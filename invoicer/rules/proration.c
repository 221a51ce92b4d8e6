/*
 * proration.c - the share that is used up, then the credit for the rest of it.
 */
#include "invoicer/rules/proration.h"

#include <assert.h>

static const int64_t NS_SECOND = 1000000000;

static const char *const mode_names[] = {"max_consumption_based", "time_based", "none"};

/* part / whole, from 0 to 1. */
struct share {
    int128 part, whole;
};

const char *proration_mode_name(enum proration_mode mode)
{
    return mode_names[mode];
}

bool proration_mode_from(struct text name, enum proration_mode *mode)
{
    for (size_t i = 0; i < ARRAY_LEN(mode_names); i++) {
        if (text_is(name, mode_names[i])) {
            *mode = (enum proration_mode)i;
            return true;
        }
    }
    return false;
}

static int64_t seconds_of(struct instant instant)
{
    return instant.ns / NS_SECOND - (instant.ns % NS_SECOND < 0);
}

static struct share share_of_time(const struct proration_question *question)
{
    int64_t from = seconds_of(question->period.from), to = seconds_of(question->period.to);
    int64_t at = seconds_of(question->at);

    if (at < from)
        at = from;
    if (at > to)
        at = to;
    return (struct share){at - from, to - from};
}

static struct share share_of_quota(const struct proration_use *use)
{
    assert(use->usage.units >= 0);
    assert(use->quota.units >= 0);

    if (use->quota.units == 0)
        return (struct share){0, 1};
    if (decimal_compare(use->usage, use->quota) >= 0)
        return (struct share){1, 1};
    return (struct share){use->usage.units, use->quota.units};
}

/* a.part / a.whole > b.part / b.whole, by products of 256 bits, whose scale is the same. */
static bool is_larger(struct share a, struct share b)
{
    struct exact left = exact_percent((struct decimal){a.part}, (struct decimal){b.whole});
    struct exact right = exact_percent((struct decimal){b.part}, (struct decimal){a.whole});

    return exact_compare(left, right) > 0;
}

static struct share used_share(const struct proration_question *question)
{
    struct share used = share_of_time(question);

    if (question->mode == PRORATION_NONE)
        return (struct share){1, 1};
    if (question->mode == PRORATION_TIME_BASED)
        return used;
    for (size_t i = 0; i < question->use_count; i++) {
        struct share consumed = share_of_quota(&question->uses[i]);

        if (is_larger(consumed, used))
            used = consumed;
    }
    return used;
}

int proration_of(const struct proration_question *question, struct proration *proration)
{
    struct proration done;
    struct share used;
    int r;

    assert(question->price.minor >= 0);

    if (seconds_of(question->period.from) >= seconds_of(question->period.to))
        return PRORATION_NO_PERIOD;
    used = used_share(question);
    r = decimal_divide((struct decimal){used.part}, (struct decimal){used.whole}, DECIMAL_PLACES,
                       DECIMAL_HALF_AWAY, &done.ratio);
    assert(r == 0); /* at most 1 */
    done.credit =
        money_share(question->price, used.whole - used.part, used.whole, HALF_AWAY_FROM_ZERO);
    done.charge.minor = question->price.minor - done.credit.minor;
    *proration = done;
    return 0;
}
