/*
 * instant.h - points in time and spans of it.
 *
 * Units      Nanoseconds since 1970-01-01T00:00:00Z, without leap seconds. Years outside 1678..2261
 * saturate to the nearest end, which every rule treats as "far past" or "far future". Errors
 * instant_parse: outcomes below. Threads    Any. Rules get the time as an argument; only
 * instant_now reads a clock.
 */
#pragma once

#include "common/base/text.h"

struct instant {
    int64_t ns;
};

struct span {
    int64_t ns; /* an exact length of time; calendar lengths are struct duration */
};

enum { INSTANT_TEXT_MAX = 40 };

enum instant_outcome {
    INSTANT_NOT_A_TIME = 1, /* isn't RFC 3339 (metering.md 7: T, Z in either case; :60 rule) */
};

struct instant instant_now(void);
struct instant instant_from_seconds(int64_t seconds);
struct instant instant_from_ms(int64_t ms);
int64_t instant_ms(struct instant instant);     /* floored */
int64_t instant_minute(struct instant instant); /* minutes since the epoch, floored */
struct instant instant_from_minute(int64_t minute);
int64_t instant_day(struct instant instant); /* UTC days since the epoch, floored */
static inline int instant_compare(struct instant a, struct instant b)
{
    return (a.ns > b.ns) - (a.ns < b.ns);
}
MUST_USE int instant_parse(struct text text, struct instant *instant);
/* Its minute, floored, for any year that RFC 3339 can write. */
MUST_USE int instant_parse_minute(struct text text, int64_t *minute);
/* "2026-11-24T10:00:00Z", with .mmm, .mmmmmm or all nine digits when needed; returns the length. */
size_t instant_format(struct instant instant, char text[INSTANT_TEXT_MAX]);
size_t instant_format_minute(int64_t minute, char text[INSTANT_TEXT_MAX]); /* years 0 to 9999 */
