/*
 * level.h - the three grains that counters are kept in: UTC minutes, quarter-hours, days.
 *
 * Units      A window is a number counted from the epoch in its level's length, floored; minutes
 *            count from the epoch as well. Both may be negative.
 * Threads    Any.
 */
#pragma once

#include "common/base/attrs.h"

#include <stdint.h>

enum level { LEVEL_MINUTE, LEVEL_QUARTER, LEVEL_DAY };
enum { LEVELS = LEVEL_DAY + 1, MINUTES_A_DAY = 1440, MINUTES_A_QUARTER = 15 };

static inline int64_t level_minutes(enum level level)
{
    return level == LEVEL_DAY ? MINUTES_A_DAY : level == LEVEL_QUARTER ? MINUTES_A_QUARTER : 1;
}

static inline int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static inline int64_t level_window(enum level level, int64_t minute)
{
    return floor_divide(minute, level_minutes(level));
}

/* A window as 32 bits whose unsigned order is the order of time. Instants of 64-bit nanoseconds
 * fit. */
static inline uint32_t window_biased(int64_t window)
{
    return (uint32_t)(window + INT32_MAX + 1);
}

static inline int64_t window_unbiased(uint32_t biased)
{
    return (int64_t)biased - INT32_MAX - 1;
}

/* (window, series) as one number that sorts by window first. */
static inline uint64_t cell_key(int64_t window, uint32_t series)
{
    return (uint64_t)window_biased(window) << 32 | series;
}

static inline int64_t cell_window(uint64_t key)
{
    return window_unbiased((uint32_t)(key >> 32));
}

static inline uint32_t cell_series(uint64_t key)
{
    return (uint32_t)key;
}
