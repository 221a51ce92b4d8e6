#include "invoicer/rules/change.h"

#include <stdarg.h>
#include <stdio.h>

static const int64_t NS_MINUTE = INT64_C(60000000000);

enum subscription_status subscription_status(const struct subscription *subscription,
                                             struct instant now)
{
    if (instant_compare(subscription->deleted_at, now) <= 0)
        return SUBSCRIPTION_INACTIVE;
    if (instant_compare(subscription->active_from, now) > 0)
        return SUBSCRIPTION_SCHEDULED;
    if (subscription->active_to.ns == INT64_MAX)
        return SUBSCRIPTION_ACTIVE;
    return instant_compare(now, subscription->active_to) < 0 ? SUBSCRIPTION_CANCELED
                                                             : SUBSCRIPTION_INACTIVE;
}

const char *subscription_status_name(enum subscription_status status)
{
    static const char *const names[] = {"scheduled", "active", "canceled", "inactive"};

    return names[status];
}

bool change_timing_parse(struct text text, struct change_timing *timing)
{
    struct change_timing read = {.kind = TIMING_AT};

    if (text_is(text, "immediate"))
        read.kind = TIMING_IMMEDIATE;
    else if (text_is(text, "next_billing_cycle"))
        read.kind = TIMING_NEXT_CYCLE;
    else if (instant_parse(text, &read.at) || read.at.ns % NS_MINUTE != 0)
        return false;
    *timing = read;
    return true;
}

int change_refuse(struct change_refusal *refusal, const char *code, const char *format, ...)
{
    va_list arguments;

    refusal->code = code;
    va_start(arguments, format);
    (void)vsnprintf(refusal->detail, sizeof(refusal->detail), format, arguments);
    va_end(arguments);
    return CHANGE_REFUSED;
}

static const char *text_of_instant(struct instant instant, char text[INSTANT_TEXT_MAX])
{
    (void)instant_format(instant, text);
    return text;
}

/* What the status forbids, in its own words. */
static int refuse_status(const struct subscription *subscription, enum subscription_status status,
                         struct change_refusal *refusal)
{
    char at[INSTANT_TEXT_MAX];

    switch (status) {
    case SUBSCRIPTION_SCHEDULED:
        return change_refuse(refusal, "subscription_scheduled",
                             "it begins at %s: until then it can only be deleted",
                             text_of_instant(subscription->active_from, at));
    case SUBSCRIPTION_ACTIVE:
        return change_refuse(refusal, "subscription_active",
                             "it has no end that could be taken back, and has begun");
    case SUBSCRIPTION_CANCELED:
        return change_refuse(refusal, "subscription_canceled", "it ends at %s: restore it first",
                             text_of_instant(subscription->active_to, at));
    default:
        return change_refuse(refusal, "subscription_inactive",
                             "it is over: make a new subscription");
    }
}

int change_is_legal(const struct subscription *subscription, enum change_action action,
                    struct instant now, struct change_refusal *refusal)
{
    static const enum subscription_status needed[] = {
        [CHANGE_PLAN] = SUBSCRIPTION_ACTIVE,
        [CHANGE_CANCEL] = SUBSCRIPTION_ACTIVE,
        [CHANGE_RESTORE] = SUBSCRIPTION_CANCELED,
        [CHANGE_DELETE] = SUBSCRIPTION_SCHEDULED,
    };
    enum subscription_status status = subscription_status(subscription, now);

    return status == needed[action] ? 0 : refuse_status(subscription, status, refusal);
}

static bool has_billable_item(const struct phase *phase)
{
    for (size_t i = 0; i < phase->card_count; i++)
        if (phase->cards[i].has_price)
            return true;
    return false;
}

static int next_cycle(const struct subscription *subscription, struct instant now,
                      struct instant *at, struct change_refusal *refusal)
{
    struct billing_period period = periods_at(subscription, now);
    const struct phase *phase = &subscription->plan->phases[period.phase];

    if (!has_billable_item(phase))
        return change_refuse(refusal, "no_billable_item",
                             "phase %.*s of plan %.*s costs nothing and has no billing cycle: use "
                             "immediate",
                             (int)phase->key.length, phase->key.at,
                             (int)subscription->plan->key.length, subscription->plan->key.at);
    *at = period.window.to;
    return 0;
}

/* A time of one's own: not past, and on a boundary where the plan wants that. */
static int time_given(const struct subscription *subscription, enum change_action action,
                      struct instant given, struct instant now, struct change_refusal *refusal)
{
    struct billing_period period;
    char text[INSTANT_TEXT_MAX];

    if (instant_compare(given, now) < 0)
        return change_refuse(refusal, "timing_in_the_past", "%s is over",
                             text_of_instant(given, text));
    period = periods_at(subscription, given);
    if (action == CHANGE_CANCEL && subscription->plan->must_align &&
        instant_compare(period.window.from, given) != 0)
        return change_refuse(refusal, "timing_not_on_boundary",
                             "the plan's items must align, and no billing period begins at %s",
                             text_of_instant(given, text));
    return 0;
}

static struct instant next_minute(struct instant now)
{
    int64_t minute = instant_minute(now);

    return instant_from_minute(instant_compare(instant_from_minute(minute), now) < 0 ? minute + 1
                                                                                     : minute);
}

int change_time(const struct subscription *subscription, enum change_action action,
                const struct change_timing *timing, struct instant now, struct instant billed,
                struct change_timing *effect, struct change_refusal *refusal)
{
    struct change_timing found = {.kind = timing->kind, .at = next_minute(now)};
    char text[INSTANT_TEXT_MAX];
    int r = 0;

    if (timing->kind == TIMING_NEXT_CYCLE) {
        r = next_cycle(subscription, now, &found.at, refusal);
    } else if (timing->kind == TIMING_AT) {
        r = time_given(subscription, action, timing->at, now, refusal);
        if (instant_compare(timing->at, found.at) <= 0)
            found.kind = TIMING_IMMEDIATE;
        found.at = timing->at;
    }
    if (r)
        return r;
    if (instant_compare(found.at, subscription->active_from) <= 0)
        return change_refuse(refusal, "invalid_term",
                             "it begins at %s and can't end before it has run a minute",
                             text_of_instant(subscription->active_from, text));
    if (instant_compare(found.at, billed) < 0)
        return change_refuse(refusal, "subscription_billed",
                             "it has been invoiced up to %s, which can't be taken back",
                             text_of_instant(billed, text));
    *effect = found;
    return 0;
}
