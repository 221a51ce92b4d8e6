#include "aggregator/rules/rollup.h"

#include "aggregator/rules/level.h"

static int32_t first_day(int64_t clock_ms, int64_t kept_ms)
{
    int64_t since;

    if (__builtin_sub_overflow(clock_ms, kept_ms + ROLLUP_SLACK_DAYS * ROLLUP_DAY_MS, &since))
        return INT32_MIN;
    since = floor_divide(since - 1, ROLLUP_DAY_MS);
    return since < INT32_MIN ? INT32_MIN : (int32_t)since;
}

int64_t rollup_clock(int64_t clock_ms, int64_t arrival_ms)
{
    if (arrival_ms <= clock_ms)
        return clock_ms;
    return arrival_ms - clock_ms < ROLLUP_CLOCK_STEP_MS ? arrival_ms
                                                        : clock_ms + ROLLUP_CLOCK_STEP_MS;
}

int32_t rollup_first_open_day(int64_t clock_ms, int64_t horizon_ms)
{
    return first_day(clock_ms, horizon_ms);
}

int32_t rollup_first_quarter_day(int64_t clock_ms, int64_t horizon_ms)
{
    int64_t kept_ms = ROLLUP_QUARTER_DAYS * ROLLUP_DAY_MS;

    return first_day(clock_ms, horizon_ms > kept_ms ? horizon_ms : kept_ms);
}
