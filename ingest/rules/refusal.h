/*
 * refusal.h - why an event isn't taken: a code, a place, and what to do about it.
 *
 * Where several things are wrong with one event the code that stands first below is given, and of
 * several places with that code the first one looked at. So the answer never depends on the order
 * of members, and two readers of metering.md 30 give the same one.
 *
 * Ownership  Texts are in the arena, or static.
 * Threads    Any.
 */
#pragma once

#include "common/base/arena.h"

enum refusal_code {
    REFUSAL_NONE,
    REFUSAL_INVALID_JSON,
    REFUSAL_INVALID_EVENT,
    REFUSAL_TOO_DEEP,
    REFUSAL_DUPLICATE_KEY,
    REFUSAL_INVALID_STRING,
    REFUSAL_TOO_LONG,
    REFUSAL_MISSING_ATTRIBUTE,
    REFUSAL_INVALID_ATTRIBUTE,
    REFUSAL_UNSUPPORTED_ATTRIBUTE,
    REFUSAL_UNSUPPORTED_CONTENT,
    REFUSAL_INVALID_DATA,
    REFUSAL_UNKNOWN_TYPE,
    REFUSAL_MISSING_SUBSCRIPTION,
    REFUSAL_UNKNOWN_SUBSCRIPTION,
    REFUSAL_AMBIGUOUS_SUBJECT,
    REFUSAL_SUBSCRIPTION_INACTIVE,
    REFUSAL_TIME_IN_FUTURE,
    REFUSAL_BEFORE_EVENT_FROM,
    REFUSAL_MISSING_VALUE,
    REFUSAL_INVALID_VALUE,
    REFUSAL_NEGATIVE_VALUE,
    REFUSAL_VALUE_TOO_LARGE,
    REFUSAL_VALUE_TOO_PRECISE,
    REFUSAL_INVALID_DIMENSION,
    /* Of records on `events` alone. */
    REFUSAL_UNSUPPORTED_MEDIA_TYPE,
    REFUSAL_TOMBSTONE,
    REFUSAL_INVALID_BATCH,
    REFUSAL_COUNT,
};

struct refusal {
    enum refusal_code code; /* REFUSAL_NONE: nothing is wrong so far */
    struct text detail;
    struct text pointer; /* absent: the event as a whole has none */
};

enum refusal_outcome { EVENT_REFUSED = 1 };

/* As on the wire: "invalid_json". */
const char *refusal_name(enum refusal_code code);

/* Records what is wrong, unless a code before it is recorded already. */
void refuse(struct refusal *refusal, struct arena *arena, enum refusal_code code,
            struct text pointer, const char *format, ...) PRINTF_LIKE(5, 6);
