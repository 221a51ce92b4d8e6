/*
 * shape.h - what members a JSON object may have and of which form: one table an object.
 *
 * Checking also makes the object strict, so that two spellings of one thing are stored as one:
 * null members are dropped, numbers become decimal strings in their shortest form, times become
 * UTC. A member that breaks its form is reported and dropped, so that later checks see it as
 * absent.
 *
 * Units      Amounts: struct decimal's; durations: ISO 8601 texts.
 * Ownership  Works in place on the caller's value.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/issue.h"

#include <jansson.h>

enum shape_kind {
    SHAPE_KEY,         /* ^[a-z0-9]+(_[a-z0-9]+)*$, 1..64 */
    SHAPE_ID,          /* 1..256 bytes without control characters: keys of a customer's own */
    SHAPE_NAME,        /* 1..256 characters, no control characters */
    SHAPE_DESCRIPTION, /* 0..1024 characters */
    SHAPE_TEXT,        /* 1..1024 bytes */
    SHAPE_ULID,        /* 26 characters of Crockford's base 32, either case */
    SHAPE_TIME,        /* RFC 3339, a whole minute */
    SHAPE_INSTANT,     /* RFC 3339 */
    SHAPE_DURATION,    /* ISO 8601, positive */
    SHAPE_AMOUNT,      /* decimal string or integer, not negative */
    SHAPE_SUM,         /* the same of any size: what amounts add up to */
    SHAPE_PERCENT,     /* the same, 0 to 100 */
    SHAPE_CURRENCY,    /* ISO 4217: three capitals, of those in use */
    SHAPE_SWITCH,      /* true or false */
    SHAPE_COUNT,       /* integer >= 0 */
    SHAPE_MAP,         /* name to text; true and false are taken as texts */
    SHAPE_OBJECT,      /* checked by its own table */
    SHAPE_ARRAY,       /* likewise its elements */
    SHAPE_ANY,
};

struct member {
    const char *name;
    enum shape_kind kind;
    bool is_required;
};

/* Returns false when `value` isn't an object at all; what else is wrong stands in `issues`. */
MUST_USE bool shape_check(struct issues *issues, const struct pointer *where, json_t *value,
                          const struct member *members, size_t count);

/* The member's text; absent when there is none, or it is no text. */
struct text shape_text(const json_t *object, const char *name);
const char *shape_string(const json_t *object, const char *name); /* NULL likewise */
/* Both keep what is there already. */
void shape_default_string(json_t *object, const char *name, const char *value);
void shape_default(json_t *object, const char *name, json_t *value); /* steals `value` */

bool key_is_valid(struct text text);
bool ulid_is_valid(struct text text);
