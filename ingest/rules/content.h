/*
 * content.h - what an event says, as bytes: its type, subject and time, then of each part the
 * meter, value and dimensions.
 *
 * The payload is their hash, and the dimensions stand there as a series has them, so each is
 * written once. Every text has its length before it: no two different contents have the same bytes.
 *
 * Ownership  The bytes are the arena's.
 * Threads    Any.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/instant.h"
#include "proto/catalog.h"

struct content {
    struct text type, subject; /* subject absent: none */
    struct instant time;
    bool time_is_absent;
    struct usage_part *parts; /* ascending by the meter's slug */
    size_t count;
    const struct catalog_dimension *const *dimensions; /* of each part */
    const struct text *values;                         /* of all parts' dimensions; absent: null */
};

/* The bytes, and in there the dimensions of each part, which are set. The absent text, and nothing
 * set, when the arena is full. */
MUST_USE struct text content_write(const struct content *content, struct arena *arena);
