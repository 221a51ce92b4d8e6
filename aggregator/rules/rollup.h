/*
 * rollup.h - when what was counted ages: days whose ids and minutes go, days whose quarters go.
 *
 * All three levels are written with each commit, so ageing is deletion alone. It goes by whole UTC
 * days and by the partition's *clock*, so it is a function of the log's prefix:
 *
 *   The clock follows arrivals, and forwards by at most ten minutes an event. An ingest host with a
 *   wrong clock can so not age a partition with one message. (It starts at the first arrival.)
 *   A day's ids and minutes go once clock > end of the day + horizon + slack. By then no event of
 *   that day can pass the horizon any more, unless its arrival is older than the clock by more than
 *   the slack; such an event is late, as one whose day is gone.
 *   A day's quarter-hours go 400 days after its end, or with its ids where these are kept longer.
 *
 * Units      Milliseconds since the epoch, days since the epoch.
 * Threads    Any.
 */
#pragma once

#include <stdint.h>

enum { ROLLUP_CLOCK_STEP_MS = 10 * 60 * 1000, ROLLUP_QUARTER_DAYS = 400, ROLLUP_SLACK_DAYS = 3 };
#define ROLLUP_DAY_MS INT64_C(86400000)

/* The clock after an arrival. */
int64_t rollup_clock(int64_t clock_ms, int64_t arrival_ms);
/* The first day whose ids and minutes are kept. */
int32_t rollup_first_open_day(int64_t clock_ms, int64_t horizon_ms);
/* The first day whose quarter-hours are kept; at most the one above. */
int32_t rollup_first_quarter_day(int64_t clock_ms, int64_t horizon_ms);
