/*
 * runs.h - a range of minutes as the fewest stretches that the stored levels give exactly: minutes
 * up to a quarter-hour, quarter-hours up to a day, days, and the same back.
 *
 * Units      Minutes since the epoch; a range is half-open.
 * Threads    Any.
 */
#pragma once

#include "aggregator/rules/level.h"

#include <stddef.h>

enum { RUNS_MAX = 5 };

struct run {
    enum level level;
    int64_t from, to; /* multiples of the level's length; from < to */
};

/* Splits [from, to) with levels up to `coarsest`; returns the number of runs, in order. */
size_t runs_of(int64_t from, int64_t to, enum level coarsest, struct run runs[RUNS_MAX]);
