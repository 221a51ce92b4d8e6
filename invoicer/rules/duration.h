/*
 * duration.h - ISO 8601 durations as the catalog uses them: P1M, P2W, PT1H, P1Y.
 *
 * Units      Three that don't convert into each other: months, days, minutes.
 * Errors     duration_parse: false for anything else, seconds that aren't whole minutes included.
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

enum { DURATION_PART_MAX = 1000000 };

struct duration {
    int64_t months, days, minutes;
};

MUST_USE bool duration_parse(struct text text, struct duration *duration);
/* At least an hour, whatever the calendar. */
bool duration_reaches_an_hour(struct duration duration);
/*
 * Whether every boundary of one falls on a boundary of the other when both start together: equal,
 * or one divides the other. A day is a whole number of hours and a month of days (UTC), but a month
 * isn't one of weeks.
 */
bool duration_aligns(struct duration a, struct duration b);
