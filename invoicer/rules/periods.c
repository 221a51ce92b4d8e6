/*
 * periods.c - phases, billing periods and charge periods of a subscription.
 */
#include "invoicer/rules/periods.h"

#include "common/base/civil.h"

#include <assert.h>

static const struct instant FAR_FUTURE = {INT64_MAX};

static struct instant earlier(struct instant a, struct instant b)
{
    return instant_compare(a, b) < 0 ? a : b;
}

static bool is_empty(struct window window)
{
    return instant_compare(window.from, window.to) >= 0;
}

/*
 * Where a phase begins: `months` after `base`. Phases of whole months are counted from one base, so
 * that 31 January + 1 month + 1 month is 31 March; a phase of any other length begins a new one.
 */
struct start {
    struct instant base;
    int32_t months;
};

static struct instant instant_of(const struct subscription *subscription, struct start start)
{
    return calendar_add(subscription->zone, start.base, (struct duration){.months = start.months},
                        1);
}

static struct start start_of(const struct subscription *subscription, size_t phase)
{
    struct start start = {subscription->active_from, 0};

    for (size_t i = 0; i < phase; i++) {
        struct duration duration = subscription->plan->phases[i].duration;

        if (duration.days == 0 && duration.seconds == 0) {
            start.months += duration.months;
            continue;
        }
        start.base = calendar_add(subscription->zone, instant_of(subscription, start), duration, 1);
        start.months = 0;
    }
    return start;
}

static struct instant phase_start(const struct subscription *subscription, size_t phase)
{
    return instant_of(subscription, start_of(subscription, phase));
}

struct window periods_phase(const struct subscription *subscription, size_t phase)
{
    const struct plan *plan = subscription->plan;
    struct window window = {phase_start(subscription, phase), FAR_FUTURE};

    assert(phase < plan->phase_count);

    if (!plan->phases[phase].is_open)
        window.to = phase_start(subscription, phase + 1);
    window.to = earlier(window.to, subscription->active_to);
    if (is_empty(window))
        window.to = window.from;
    return window;
}

/* An anchor of the subscription's own holds in every phase; without one, each phase is its own. */
static struct recurrence recurrence_of(const struct subscription *subscription, size_t phase,
                                       struct duration cadence)
{
    bool has_own = instant_compare(subscription->anchor, subscription->active_from) != 0;
    struct start start = start_of(subscription, phase);

    return (struct recurrence){
        .zone = subscription->zone,
        .anchor = has_own ? subscription->anchor : start.base,
        .cadence = cadence,
        .months = has_own ? 0 : start.months,
    };
}

/* The recurrence's period that holds the instant, cut to the phase, and its number from the one
 * that holds the phase's start. */
static struct card_period period_at(const struct recurrence *recurrence, struct window phase,
                                    struct instant at)
{
    struct card_period period;

    period.index = recurrence_find(recurrence, at, &period.window);
    if (instant_compare(period.window.from, phase.from) <= 0) {
        period.window.from = phase.from;
        period.index = 0;
    } else {
        period.index -= recurrence_index(recurrence, phase.from);
    }
    period.window.to = earlier(period.window.to, phase.to);
    return period;
}

/* The billing period that holds the instant; none after the subscription's end. */
static struct billing_period billing_period_at(const struct subscription *subscription,
                                               struct instant at)
{
    for (size_t i = 0; i < subscription->plan->phase_count; i++) {
        struct window phase = periods_phase(subscription, i);
        struct recurrence recurrence = recurrence_of(subscription, i, subscription->plan->cadence);

        if (instant_compare(at, phase.from) >= 0 && instant_compare(at, phase.to) < 0)
            return (struct billing_period){(int)i, period_at(&recurrence, phase, at).window};
    }
    return (struct billing_period){.phase = PERIODS_NONE};
}

struct billing_period periods_at(const struct subscription *subscription, struct instant at)
{
    return billing_period_at(subscription, at);
}

enum { LEAP_MONTHS = 8 * 12 }; /* within which there is a 29 February */

/* Of the boundaries up to the phase's start the one that lies latest in its month: counted from
 * it, no other loses more days than it does already. */
static struct instant least_clipped(const struct recurrence *recurrence)
{
    struct instant found = recurrence_boundary(recurrence, 0);

    for (int64_t back = 1; back * recurrence->cadence.months <= LEAP_MONTHS; back++) {
        struct instant boundary = recurrence_boundary(recurrence, -back);

        if (civil_from_day(instant_day(boundary)).day > civil_from_day(instant_day(found)).day)
            found = boundary;
    }
    return found;
}

struct instant periods_anchor(const struct subscription *subscription, size_t phase)
{
    struct recurrence recurrence = recurrence_of(subscription, phase, subscription->plan->cadence);
    int32_t cadence = recurrence.cadence.months;

    /* Whole cadences after the anchor: the same boundaries, on the anchor's own day. */
    if (recurrence.months == 0 || (cadence && recurrence.months % cadence == 0))
        return recurrence.anchor;
    return cadence ? least_clipped(&recurrence) : phase_start(subscription, phase);
}

bool periods_first(const struct subscription *subscription, struct billing_boundary *boundary)
{
    struct billing_period begins = billing_period_at(subscription, subscription->active_from);

    if (begins.phase == PERIODS_NONE)
        return false;
    *boundary = (struct billing_boundary){
        .at = subscription->active_from,
        .ended = {.phase = PERIODS_NONE},
        .begins = begins,
    };
    return true;
}

bool periods_next(const struct subscription *subscription, const struct billing_boundary *boundary,
                  struct billing_boundary *next)
{
    struct billing_period ended = boundary->begins;

    if (ended.phase == PERIODS_NONE || instant_compare(ended.window.to, FAR_FUTURE) >= 0)
        return false;
    *next = (struct billing_boundary){
        .at = ended.window.to,
        .ended = ended,
        .begins = billing_period_at(subscription, ended.window.to),
    };
    return true;
}

/* The period that ended at this instant: the one that holds the last moment before it. */
static struct billing_period billing_period_before(const struct subscription *subscription,
                                                   struct instant at)
{
    return billing_period_at(subscription, (struct instant){at.ns - 1});
}

bool periods_last_due(const struct subscription *subscription, struct instant at,
                      struct billing_boundary *boundary)
{
    struct billing_boundary first;
    struct billing_period holding;

    if (!periods_first(subscription, &first) || instant_compare(at, first.at) < 0)
        return false;
    holding = billing_period_at(subscription, at);
    first.at = holding.phase == PERIODS_NONE ? subscription->active_to : holding.window.from;
    first.begins = holding;
    if (instant_compare(first.at, subscription->active_from) > 0)
        first.ended = billing_period_before(subscription, first.at);
    *boundary = first;
    return true;
}

/* --- charges --- */

bool periods_card_at(const struct subscription *subscription, size_t phase,
                     const struct rate_card *card, struct instant at, struct card_period *period)
{
    struct window window = periods_phase(subscription, phase);
    struct recurrence recurrence;

    if (instant_compare(at, window.from) < 0 || instant_compare(at, window.to) >= 0)
        return false;
    if (card->is_once) {
        *period = (struct card_period){0, window};
        return true;
    }
    recurrence = recurrence_of(subscription, phase, card->cadence);
    *period = period_at(&recurrence, window, at);
    return true;
}

bool periods_card_first(const struct subscription *subscription, size_t phase,
                        const struct rate_card *card, struct card_period *period)
{
    return periods_card_at(subscription, phase, card, phase_start(subscription, phase), period);
}

bool periods_card_next(const struct subscription *subscription, size_t phase,
                       const struct rate_card *card, const struct card_period *period,
                       struct card_period *next)
{
    return periods_card_at(subscription, phase, card, period->window.to, next);
}

bool periods_owes(const struct subscription *subscription, struct instant at)
{
    struct instant last = {at.ns - 1};
    struct billing_period period = billing_period_at(subscription, last);
    const struct phase *phase;

    if (period.phase == PERIODS_NONE)
        return false;
    phase = &subscription->plan->phases[period.phase];
    for (size_t i = 0; i < phase->card_count; i++) {
        const struct rate_card *card = &phase->cards[i];
        struct card_period running;

        if (card->has_price && card->price.term == PRICE_IN_ARREARS &&
            periods_card_at(subscription, (size_t)period.phase, card, last, &running) &&
            instant_compare(running.window.to, at) > 0)
            return true;
    }
    return false;
}
