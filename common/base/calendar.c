/*
 * calendar.c - windows and recurrences, by way of local time.
 */
#include "common/base/calendar.h"

#include "common/base/civil.h"

#include <assert.h>

enum { MINUTE = 60, HOUR = 3600, DAY_SECONDS = 86400 };

static const int64_t NS_SECOND = 1000000000;

static int64_t divide_floored(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t seconds_of(struct instant instant)
{
    return divide_floored(instant.ns, NS_SECOND);
}

static const char *const size_names[] = {"MINUTE", "HOUR", "DAY", "MONTH"};

const char *window_size_name(enum window_size size)
{
    return size_names[size];
}

bool window_size_from(struct text name, enum window_size *size)
{
    for (size_t i = 0; i < ARRAY_LEN(size_names); i++) {
        if (text_is(name, size_names[i])) {
            *size = (enum window_size)i;
            return true;
        }
    }
    return false;
}

/* --- windows --- */

static struct window window_of_seconds(int64_t from, int64_t to)
{
    return (struct window){instant_from_seconds(from), instant_from_seconds(to)};
}

/* One local date, hour and offset: cut where the offset changes. */
static struct window hour_of(const struct zone *zone, int64_t seconds)
{
    struct zone_segment segment = zone_segment_of(zone, seconds);
    int64_t local = seconds + segment.offset;
    int64_t from = divide_floored(local, HOUR) * HOUR - segment.offset;
    int64_t to = from + HOUR;

    return window_of_seconds(from > segment.from ? from : segment.from,
                             to < segment.to ? to : segment.to);
}

/* The first day of the n-th month since the year 0. */
static int64_t day_of_month_number(int64_t number)
{
    int64_t year = divide_floored(number, 12);

    return civil_to_day((struct civil_date){year, (int)(number - year * 12) + 1, 1});
}

static int64_t month_number_of_day(int64_t day)
{
    struct civil_date date = civil_from_day(day);

    return date.year * 12 + date.month - 1;
}

static int64_t start_of(const struct zone *zone, enum window_size size, int64_t number)
{
    int64_t day = size == WINDOW_MONTH ? day_of_month_number(number) : number;

    return zone_seconds_of_local(zone, day * DAY_SECONDS);
}

/* By number, and not by the date on the clock: where it shows 23:45 again after midnight, that
 * quarter-hour belongs to the day that has begun. */
static struct window days_of(const struct zone *zone, enum window_size size, int64_t seconds)
{
    int64_t local = seconds + zone_segment_of(zone, seconds).offset;
    int64_t number = divide_floored(local, DAY_SECONDS);

    if (size == WINDOW_MONTH)
        number = month_number_of_day(number);
    while (start_of(zone, size, number) > seconds)
        number--;
    while (start_of(zone, size, number + 1) <= seconds)
        number++;
    return window_of_seconds(start_of(zone, size, number), start_of(zone, size, number + 1));
}

struct window calendar_window(const struct zone *zone, enum window_size size,
                              struct instant instant)
{
    int64_t seconds = seconds_of(instant);
    int64_t minute = divide_floored(seconds, MINUTE) * MINUTE;

    if (size == WINDOW_MINUTE)
        return window_of_seconds(minute, minute + MINUTE);
    if (size == WINDOW_HOUR)
        return hour_of(zone, seconds);
    return days_of(zone, size, seconds);
}

/* --- recurrences --- */

/* A day that the month doesn't have becomes its last. */
static int64_t add_months(int64_t day, int64_t months)
{
    struct civil_date date = civil_from_day(day);
    int64_t number = date.year * 12 + date.month - 1 + months;
    int most;

    date.year = divide_floored(number, 12);
    date.month = (int)(number - date.year * 12) + 1;
    most = civil_month_days(date.year, date.month);
    if (date.day > most)
        date.day = most;
    return civil_to_day(date);
}

/* Counts so large that the calendar would overflow lead to the far past or future anyway. */
static bool is_far(struct duration duration, int64_t count)
{
    const int64_t most = (int64_t)1000000 * 366 * DAY_SECONDS; /* a million years */
    int128 seconds =
        ((int128)duration.months * 31 + duration.days) * DAY_SECONDS + duration.seconds;

    seconds *= count;
    return seconds > most || seconds < -most;
}

/* anchor + first + duration × count */
static struct instant add_all(const struct zone *zone, struct instant anchor, int32_t first_months,
                              struct duration duration, int64_t count)
{
    int64_t seconds = seconds_of(anchor), local, day;
    int128 ns;

    if (is_far(duration, count))
        return (struct instant){count > 0 ? INT64_MAX : INT64_MIN};
    ns = anchor.ns - (int128)seconds * NS_SECOND;
    if (first_months || duration.months || duration.days) {
        local = seconds + zone_segment_of(zone, seconds).offset;
        day = divide_floored(local, DAY_SECONDS);
        local -= day * DAY_SECONDS;
        day = add_months(day, first_months + duration.months * count) + duration.days * count;
        seconds = zone_seconds_of_local(zone, day * DAY_SECONDS + local);
    }
    ns += ((int128)seconds + (int128)duration.seconds * count) * NS_SECOND;
    if (ns > INT64_MAX)
        return (struct instant){INT64_MAX};
    return (struct instant){ns < INT64_MIN ? INT64_MIN : (int64_t)ns};
}

struct instant calendar_add(const struct zone *zone, struct instant anchor,
                            struct duration duration, int64_t count)
{
    return add_all(zone, anchor, 0, duration, count);
}

struct instant recurrence_boundary(const struct recurrence *recurrence, int64_t index)
{
    /* The anchor is what it is, even where the clock showed it twice. */
    if (index == 0 && recurrence->months == 0)
        return recurrence->anchor;
    return add_all(recurrence->zone, recurrence->anchor, recurrence->months, recurrence->cadence,
                   index);
}

/* By the cadence's mean length, in Gregorian months; a few periods off at the most. */
static int64_t guess_index(const struct recurrence *recurrence, struct instant instant)
{
    const int64_t month = 146097 * (int64_t)DAY_SECONDS / 4800; /* 30.436875 days */
    struct duration cadence = recurrence->cadence;
    int64_t mean = cadence.months * month + cadence.days * (int64_t)DAY_SECONDS + cadence.seconds;
    int64_t distance = seconds_of(instant) - seconds_of(recurrence->anchor);

    return divide_floored(distance - recurrence->months * month, mean);
}

/* From the guess to the truth; where the calendar ends no boundary is passed any more. */
int64_t recurrence_find(const struct recurrence *recurrence, struct instant instant,
                        struct window *period)
{
    int64_t index = guess_index(recurrence, instant);
    struct window found;

    assert(!duration_is_zero(recurrence->cadence));
    assert(recurrence->months >= 0);

    found.from = recurrence_boundary(recurrence, index);
    while (instant_compare(found.from, instant) > 0)
        found.from = recurrence_boundary(recurrence, --index);
    found.to = recurrence_boundary(recurrence, index + 1);
    while (found.to.ns != INT64_MAX && instant_compare(found.to, instant) <= 0) {
        found.from = found.to;
        found.to = recurrence_boundary(recurrence, ++index + 1);
    }
    *period = found;
    return index;
}

int64_t recurrence_index(const struct recurrence *recurrence, struct instant instant)
{
    struct window period;

    if (recurrence->months == 0 && instant_compare(instant, recurrence->anchor) == 0)
        return 0;
    return recurrence_find(recurrence, instant, &period);
}
