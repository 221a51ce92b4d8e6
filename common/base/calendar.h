/*
 * calendar.h - windows of a wall clock, and boundaries that recur from an anchor.
 *
 * rating.md 19 to 21 and metering.md 19: the n-th boundary is always counted from the anchor, so 31
 * January + 1 month is 28 or 29 February, and + 2 months 31 March. PT1H counts elapsed hours; every
 * longer cadence keeps the anchor's time on the wall clock (zone.h says how it meets gaps).
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/duration.h"
#include "common/base/zone.h"

struct window {
    struct instant from, to; /* from ≤ t < to */
};

enum window_size { WINDOW_MINUTE, WINDOW_HOUR, WINDOW_DAY, WINDOW_MONTH };

const char *window_size_name(enum window_size size); /* "HOUR" */
MUST_USE bool window_size_from(struct text name, enum window_size *size);
/* The window that holds an instant; the next one holds its end. */
struct window calendar_window(const struct zone *zone, enum window_size size,
                              struct instant instant);

/* anchor + duration × count on the zone's calendar: months, then days, then seconds. */
struct instant calendar_add(const struct zone *zone, struct instant anchor,
                            struct duration duration, int64_t count);

struct recurrence {
    const struct zone *zone;
    struct instant anchor;
    struct duration cadence; /* more than nothing */
    /* Boundary 0 lies this many months after the anchor, counted with every boundary's own: 31
     * January as the anchor of 28 February keeps later boundaries on the 31st. */
    int32_t months;
};

/* Boundary n. */
struct instant recurrence_boundary(const struct recurrence *recurrence, int64_t index);
/* The last boundary that lies at or before the instant: the number of the period that holds it. */
int64_t recurrence_index(const struct recurrence *recurrence, struct instant instant);
/* The same with the period: from that boundary to the next one. */
int64_t recurrence_find(const struct recurrence *recurrence, struct instant instant,
                        struct window *period);
