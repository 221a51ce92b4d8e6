/*
 * duration.c - ISO 8601 durations.
 */
#include "common/base/duration.h"

#include <stdio.h>

enum { YEARS_MAX = 10000, HOUR = 3600, DAY_SECONDS = 86400 };

struct unit {
    char letter;
    int32_t months, days;
    int64_t seconds;
    int64_t most;
};

/* in the order in which they may stand */
static const struct unit date_units[] = {{'Y', 12, 0, 0, YEARS_MAX},
                                         {'M', 1, 0, 0, YEARS_MAX * 12},
                                         {'W', 0, 7, 0, YEARS_MAX * 52},
                                         {'D', 0, 1, 0, YEARS_MAX * 365}};
static const struct unit time_units[] = {{'H', 0, 0, HOUR, (int64_t)YEARS_MAX * 365 * 24},
                                         {'M', 0, 0, 60, (int64_t)YEARS_MAX * 365 * 24 * 60},
                                         {'S', 0, 0, 1, (int64_t)YEARS_MAX * 365 * DAY_SECONDS}};

/* Cuts "12" off; false when there is no digit or too many. */
static bool cut_number(struct text *rest, int64_t *number)
{
    int64_t value = 0;
    size_t count = 0;

    for (; rest->length && *rest->at >= '0' && *rest->at <= '9'; count++) {
        if (value > INT64_MAX / 100)
            return false;
        value = value * 10 + (*rest->at++ - '0');
        rest->length--;
    }
    *number = value;
    return count > 0;
}

/* Cuts "2Y6M" off, of these units, each once and in order; false when it isn't that. */
static bool cut_parts(struct text *rest, const struct unit *units, size_t unit_count,
                      struct duration *sum)
{
    size_t next = 0, found = 0;

    for (; rest->length && *rest->at != 'T'; found++) {
        int64_t number;

        if (!cut_number(rest, &number) || !rest->length)
            return false;
        while (next < unit_count && units[next].letter != *rest->at)
            next++;
        if (next == unit_count || number > units[next].most)
            return false;
        sum->months += (int32_t)number * units[next].months;
        sum->days += (int32_t)number * units[next].days;
        sum->seconds += number * units[next].seconds;
        next++;
        rest->at++;
        rest->length--;
    }
    return found > 0;
}

int duration_parse(struct text text, struct duration *duration)
{
    struct duration sum = {0};
    struct text rest;

    if (!text_starts(text, "P"))
        return DURATION_NOT_ONE;
    rest = text_from(text.at + 1, text.length - 1);
    if (!text_starts(rest, "T") && !cut_parts(&rest, date_units, ARRAY_LEN(date_units), &sum))
        return DURATION_NOT_ONE;
    if (text_starts(rest, "T")) {
        rest = text_from(rest.at + 1, rest.length - 1);
        if (!cut_parts(&rest, time_units, ARRAY_LEN(time_units), &sum))
            return DURATION_NOT_ONE;
    }
    if (rest.length)
        return DURATION_NOT_ONE;
    *duration = sum;
    return 0;
}

static int add_part(char *text, int length, int64_t number, char letter)
{
    if (number == 0)
        return length;
    return length + snprintf(text + length, DURATION_TEXT_MAX - (size_t)length, "%lld%c",
                             (long long)number, letter);
}

size_t duration_format(struct duration duration, char text[DURATION_TEXT_MAX])
{
    int length = snprintf(text, DURATION_TEXT_MAX, "%s", duration_is_zero(duration) ? "PT0S" : "P");

    length = add_part(text, length, duration.months / 12, 'Y');
    length = add_part(text, length, duration.months % 12, 'M');
    length = add_part(text, length, duration.days, 'D');
    if (duration.seconds)
        length += snprintf(text + length, DURATION_TEXT_MAX - (size_t)length, "T");
    length = add_part(text, length, duration.seconds / HOUR, 'H');
    length = add_part(text, length, duration.seconds / 60 % 60, 'M');
    length = add_part(text, length, duration.seconds % 60, 'S');
    return (size_t)length;
}

bool duration_is_zero(struct duration duration)
{
    return !duration.months && !duration.days && !duration.seconds;
}

bool duration_equal(struct duration a, struct duration b)
{
    return a.months == b.months && a.days == b.days && a.seconds == b.seconds;
}

int duration_to_span(struct duration duration, struct span *span)
{
    int128 ns;

    if (duration.months)
        return DURATION_HAS_MONTHS;
    ns = ((int128)duration.days * DAY_SECONDS + duration.seconds) * 1000000000;
    span->ns = ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
    return 0;
}

bool duration_lasts_an_hour(struct duration duration)
{
    return duration.months > 0 || duration.days > 0 || duration.seconds >= HOUR;
}

bool duration_is_cadence(struct duration duration)
{
    static const struct duration cadences[] = {
        {.seconds = HOUR}, {.days = 1},   {.days = 7},   {.days = 14},   {.days = 28},
        {.months = 1},     {.months = 3}, {.months = 6}, {.months = 12},
    };

    for (size_t i = 0; i < ARRAY_LEN(cadences); i++) {
        if (duration_equal(duration, cadences[i]))
            return true;
    }
    return false;
}

/* A month is no whole number of weeks, but always one of days, as a day always is one of hours. */
static bool divides_coarser_kinds(struct duration finer)
{
    return duration_equal(finer, (struct duration){.days = 1}) ||
           duration_equal(finer, (struct duration){.seconds = HOUR});
}

bool duration_align(struct duration a, struct duration b)
{
    if (duration_is_zero(a) || duration_is_zero(b))
        return false;
    if (a.months && b.months)
        return a.months % b.months == 0 || b.months % a.months == 0;
    if (a.months || b.months)
        return divides_coarser_kinds(a.months ? b : a);
    if (a.days && b.days)
        return a.days % b.days == 0 || b.days % a.days == 0;
    if (a.days || b.days)
        return divides_coarser_kinds(a.days ? b : a);
    return a.seconds % b.seconds == 0 || b.seconds % a.seconds == 0;
}
