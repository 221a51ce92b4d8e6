/*
 * content.h - what an event is known by and what it says, as bytes: to be hashed.
 *
 * Its identity is its subscription, source and id. What it says is its type, subject and time, then
 * of each part the meter, value and dimensions. A part's series names subject, meter and dimensions
 * as the batch will have them, so they are written and hashed once, and the series' hash stands for
 * them. Every text has its length before it: no two different lists of texts have the same bytes.
 *
 * Threads    Any.
 */
#pragma once

#include "ingest/rules/event.h"

enum {
    CONTENT_IDENTITY_MAX = CATALOG_ID_MAX + EVENT_TEXT_BYTES_MAX + EVENT_ID_BYTES_MAX + 3 * 2,
    CONTENT_PART_BYTES = 8 + 16, /* hash of the series, value */
    CONTENT_PAYLOAD_MAX = 3 * 8 + USAGE_METERS_MAX * CONTENT_PART_BYTES,
};

/* Writes it; `subscription` is the id. Absent: the event is known by its number, and its identity
 * is its source's. */
struct text content_write_identity(const struct event *event, struct text subscription,
                                   uint8_t bytes[CONTENT_IDENTITY_MAX]);

/* What an event says of a meter's dimensions. */
struct content_values {
    size_t size;                              /* their bytes */
    struct text values[USAGE_DIMENSIONS_MAX]; /* as many as the meter has dimensions */
};
/* The meter's series as a batch has it; absent when the arena is full. */
struct text content_write_series(const struct catalog_meter *meter, struct text subscription,
                                 struct text subject, const struct content_values *values,
                                 struct arena *arena);

/* Writes what the event says, once its parts, ascending by the meter's slug, have their hashes. */
struct text content_write_payload(const struct event *event, uint64_t type_hash,
                                  const struct usage_part *parts, size_t count,
                                  uint8_t bytes[CONTENT_PAYLOAD_MAX]);
