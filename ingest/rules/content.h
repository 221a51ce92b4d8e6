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

/* What an event counts for. */
struct content {
    const struct event *event;
    struct usage_part *parts; /* ascending by the meter's slug */
    size_t count;
    const struct catalog_meter *meters[USAGE_METERS_MAX]; /* of each part */
    struct text *values;                                  /* of their dimensions, part by part */
    size_t values_size;                                   /* their bytes */
    size_t series_size; /* content_size_of_series of the meters, or of more */
};
/* How much the meter's series takes, but for subscription, subject and its dimensions' values. */
size_t content_size_of_series(const struct catalog_meter *meter);
/* Writes each part's series into the arena, and sets it; its hash isn't set. -1, and none is set,
 * when the arena is full. */
MUST_USE int content_write_series(const struct content *content, struct text subscription,
                                  struct arena *arena);
/* Writes what it says, once its parts have their hashes. */
struct text content_write_payload(const struct content *content, uint64_t type_hash,
                                  uint8_t bytes[CONTENT_PAYLOAD_MAX]);
