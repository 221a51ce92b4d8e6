/*
 * limits.h - at most 10,000 combinations of dimensions a subscription, meter and UTC day; what
 * comes after them counts as `__other__` (metering.md 17).
 *
 * A combination is a series. While a group has at most 10,000 series over all days, no day can pass
 * the limit and nothing is looked up. Beyond, the series seen on the day are counted once and the
 * number is kept. `__other__` itself takes no place.
 *
 * Threads    One at a time.
 */
#pragma once

#include "aggregator/rules/days.h"
#include "aggregator/rules/series.h"

enum { LIMITS_COMBINATIONS_MAX = 10000 };

struct limits_row {
    uint32_t group;
    int32_t day;
    uint32_t combinations; /* seen on the day */
};

struct limits {
    uint32_t combinations_max; /* LIMITS_COMBINATIONS_MAX; less in tests */
    struct limits_row *rows;
    uint32_t count, room;
    struct index by_day;
};

void limits_deinit(struct limits *limits);
void limits_clear(struct limits *limits); /* forgets what it has counted, not the limit */
/*
 * Has the day room for one more combination of the group? If so it is taken: the caller sees a
 * series on the day that it hasn't seen before. `group` INDEX_NONE: one without series yet.
 */
bool limits_take(struct limits *limits, const struct registry *registry, const struct day *day,
                 uint32_t group);
