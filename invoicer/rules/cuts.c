#include "invoicer/rules/cuts.h"

#include "common/base/instant.h"
#include "common/base/duration.h"
#include "invoicer/rules/shape.h"

#include <assert.h>

enum { DAY_MINUTES = 1440, HOUR_MINUTES = 60 };

struct marks {
    bool minute[DAY_MINUTES];
};

static int64_t minute_of_day(int64_t minute)
{
    return ((minute % DAY_MINUTES) + DAY_MINUTES) % DAY_MINUTES;
}

static void mark(struct marks *marks, int64_t minute, bool is_hourly)
{
    int64_t step = is_hourly ? HOUR_MINUTES : DAY_MINUTES;

    for (int64_t i = 0; i < DAY_MINUTES; i += step)
        marks->minute[minute_of_day(minute + i)] = true;
}

static bool has_hourly_card(const json_t *plan)
{
    json_t *phase, *card;
    size_t i, j;

    if (text_is(shape_text(plan, "billingCadence"), "PT1H"))
        return true;
    json_array_foreach(json_object_get(plan, "phases"), i, phase)
        json_array_foreach(json_object_get(phase, "rateCards"), j, card)
    {
        struct duration cadence;

        if (duration_parse(shape_text(card, "billingCadence"), &cadence) == 0 && cadence.seconds)
            return true;
    }
    return false;
}

static int64_t minute_of(const json_t *subscription, const char *member, int64_t usual)
{
    struct instant instant;

    if (instant_parse(shape_text(subscription, member), &instant))
        return usual;
    return instant_minute(instant);
}

/* Phases begin where those before them end; months and days keep the minute of the day. */
static void mark_phases(struct marks *marks, const json_t *plan, int64_t start, bool is_hourly)
{
    json_t *phase;
    size_t i;

    json_array_foreach(json_object_get(plan, "phases"), i, phase)
    {
        struct duration duration;

        mark(marks, start, is_hourly);
        if (duration_parse(shape_text(phase, "duration"), &duration) == 0)
            start += duration.seconds / 60;
    }
}

static size_t count_of(const struct marks *marks)
{
    size_t count = 0;

    for (int i = 0; i < DAY_MINUTES; i++)
        count += marks->minute[i];
    return count;
}

int cuts_of(const json_t *subscription, const json_t *plan, uint16_t *cuts, size_t *count)
{
    bool is_hourly = has_hourly_card(plan);
    int64_t start = minute_of(subscription, "activeFrom", 0);
    struct marks marks = {0};

    mark(&marks, start, is_hourly);
    mark(&marks, minute_of(subscription, "billingAnchor", start), is_hourly);
    mark_phases(&marks, plan, start, is_hourly);
    if (count_of(&marks) > CUTS_RECURRING_MAX)
        return CUTS_TOO_MANY;
    mark(&marks, minute_of(subscription, "activeTo", start), false);
    *count = 0;
    for (int i = 0; i < DAY_MINUTES; i++)
        if (marks.minute[i])
            cuts[(*count)++] = (uint16_t)i;
    assert(*count > 0);
    return 0;
}
