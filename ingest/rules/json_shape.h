/*
 * json_shape.h - what stands around the values of an event, as a guess for the next one.
 *
 * A producer writes the same members in the same order, event after event. So a shape keeps, for
 * each value of one event that was right, the bytes between it and the value before. Where they are
 * met again behind the same bytes, the grammar has been read and the name is known: the scanner
 * goes on with the value. A guess changes how fast an event is read, never what is read.
 *
 * A shape ends early at an array, at a name with escapes, and where the bytes are too many.
 *
 * Ownership  Bytes are copied: a shape outlives the events.
 * Threads    One at a time.
 */
#pragma once

#include "ingest/rules/json_document.h"
#include "ingest/rules/plain.h"

enum {
    JSON_STEPS_MAX = 40, /* fewer than make an object large */
    JSON_STEP_BYTES = PLAIN_SAME_BYTES,
    JSON_PATIENCE_LEAST = 2,
    JSON_PATIENCE_MAX = 64,
    JSON_FITS_WORTH = 8, /* learning one costs as much as they save */
    JSON_PLACES_MAX = 16,
    JSON_SOURCE_MAX = 64, /* bytes; a longer one is checked each time */
};

/* The way from the value before to this one. */
struct json_step {
    char bytes[JSON_STEP_BYTES]; /* with the quote, the bracket or the literal that begins it */
    uint32_t length;
    uint32_t name;         /* where it begins among the bytes */
    struct json_node node; /* but for its name, and what a number or string is */
};

struct json_shape {
    struct json_step steps[JSON_STEPS_MAX + 1]; /* one each node, in order */
    uint32_t number;                            /* from 1, another one each time it is learned */
    uint32_t count;                             /* nodes */
    uint32_t fits;                              /* events since it was learned */
    uint32_t misses;                            /* events that didn't fit, in a row */
    uint32_t patience; /* as many of them make it stale, unless it was worth learning */
    bool is_whole;     /* steps[count] leads from the last value to the event's end */

    /* What the reader of the events left for the next one: where it found what it asks for by name,
     * forgotten with the steps; and the last source that was a URI reference. */
    bool has_places;
    uint32_t places[JSON_PLACES_MAX];
    uint32_t source_length;
    char source[JSON_SOURCE_MAX];
};

/*
 * Scans the text at `at` into the empty document for as long as it goes on as its shape. Returns
 * behind the last node's value, or its bracket; `at` when there is no node. With
 * document->is_as_shape it is behind all of the event; else containers that are open have a wrong
 * length and end.
 */
const char *json_shape_follow(struct json_document *document, const char *at, const char *end);

/* Whether it is time to learn another one. */
static inline bool json_shape_is_stale(const struct json_shape *shape)
{
    bool was_worth_it = shape->fits >= JSON_FITS_WORTH;

    return shape->misses >= (was_worth_it ? JSON_PATIENCE_LEAST : shape->patience);
}

/* Takes the shape of the document that was scanned, without any refusal, from all of `text`. */
void json_shape_learn(struct json_shape *shape, const struct json_document *document,
                      struct text text);
