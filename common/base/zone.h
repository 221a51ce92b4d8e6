/*
 * zone.h - time zones: what the clock on the wall of a place shows, and when.
 *
 * Read from the system's compiled tz database (TZif, version 2 and later, with its footer for the
 * years to come); no environment variable and nothing global is touched. UTC needs no file.
 *
 * Units      Seconds since 1970-01-01T00:00:00Z; local seconds are the same count of what the wall
 *            clock shows; offsets are seconds east.
 * Errors     ZONE_UNKNOWN: no such zone, or its file isn't one.
 * Ownership  zone_new gives, zone_free takes. zone_utc's is nobody's.
 * Threads    A zone never changes: any.
 */
#pragma once

#include "common/base/text.h"

enum { ZONE_NAME_MAX = 64, ZONE_FILE_BYTES_MAX = 256 * 1024 };

struct zone;

enum zone_outcome { ZONE_UNKNOWN = 1 };

/* "Europe/Berlin": letters, digits, _ + - and / alone. */
MUST_USE int zone_new(struct text name, struct zone **zone);
/* The same from a TZif file's bytes. */
MUST_USE int zone_new_from(struct text name, struct text bytes, struct zone **zone);
struct zone *zone_free(struct zone *zone);
const struct zone *zone_utc(void);
const char *zone_name(const struct zone *zone);

/* A stretch of time with one offset, as long as it is: its neighbours' differ. */
struct zone_segment {
    int64_t from, to; /* INT64_MIN, INT64_MAX: without end */
    int32_t offset;
};
struct zone_segment zone_segment_of(const struct zone *zone, int64_t seconds);

/*
 * When the wall clock shows `local`. A time that the zone skips is moved on by the length of the
 * gap; of one that it shows twice the first counts.
 */
int64_t zone_seconds_of_local(const struct zone *zone, int64_t local);
