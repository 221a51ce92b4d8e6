/*
 * content.h - what an event is known by and what it says, as bytes: to be hashed.
 *
 * Its identity is its subscription, source and id. What it says is its type, subject and time, then
 * of each part the meter, value and dimensions. The dimensions stand there as a series has them, so
 * each is written once. Every text has its length before it: no two different lists of texts have
 * the same bytes.
 *
 * Threads    Any.
 */
#pragma once

#include "ingest/rules/event.h"

enum { CONTENT_IDENTITY_MAX = CATALOG_ID_MAX + EVENT_TEXT_BYTES_MAX + EVENT_ID_BYTES_MAX + 3 * 2 };

/* Writes it; `subscription` is the id. Absent: the event is known by its number, and its identity
 * is its source's. */
struct text content_write_identity(const struct event *event, struct text subscription,
                                   uint8_t bytes[CONTENT_IDENTITY_MAX]);

/* What an event counts for. */
struct content {
    const struct event *event;
    struct usage_part *parts; /* ascending by the meter's slug; their dimensions aren't set yet */
    size_t count;
    const struct catalog_dimension *dimensions[USAGE_METERS_MAX]; /* of each part */
    struct text *values;                                          /* of them, part by part */
    size_t size; /* of the parts, written, at the most: content_size_of_part, and their values */
};
/* How much a part of the meter takes, but for its dimensions' values. */
size_t content_size_of_part(const struct catalog_meter *meter);
/* Writes what it says into the arena, and sets the dimensions of each part, in there. The absent
 * text, and nothing set, when the arena is full. */
MUST_USE struct text content_write(const struct content *content, struct arena *arena);
