/*
 * duration.h - ISO 8601 durations: lengths on the calendar, and how billing cadences divide.
 *
 * Units      Whole months, days and seconds, which don't convert into each other: a month has 28 to
 *            31 days, a day 23 to 25 hours.
 * Errors     duration_parse: outcome below.
 * Threads    Any.
 */
#pragma once

#include "common/base/instant.h"

enum { DURATION_TEXT_MAX = 48 };

struct duration {
    int32_t months, days;
    int64_t seconds;
};

enum duration_outcome {
    DURATION_NOT_ONE = 1, /* isn't `P[nY][nM][nW][nD][T[nH][nM][nS]]` with whole numbers, or is
                             longer than 10,000 years */
    DURATION_HAS_MONTHS,  /* no exact length */
};

MUST_USE int duration_parse(struct text text, struct duration *duration);
/* "P1M", "P1Y", "P7300D", "PT1H", "PT0S" and a NUL; weeks are written as days. */
size_t duration_format(struct duration duration, char text[DURATION_TEXT_MAX]);
bool duration_is_zero(struct duration duration);
bool duration_equal(struct duration a, struct duration b);
/* Days as 24 hours, for horizons and time-outs: DURATION_HAS_MONTHS when there are any. */
MUST_USE int duration_to_span(struct duration duration, struct span *span);
/* At least an hour, whatever the calendar does. */
bool duration_lasts_an_hour(struct duration duration);

/* PT1H, P1D, P1W, P2W, P4W, P1M, P3M, P6M, P1Y (P12M): what bills and charges recur by. */
bool duration_is_cadence(struct duration duration);
/* Whether every boundary of the longer of two cadences, from the same anchor, is one of the other.
 */
bool duration_align(struct duration a, struct duration b);
