/*
 * json_scan.h - reads JSON with full validation, straight into a json_document.
 *
 * The grammar is RFC 8259's, whole. Beyond it are refused, anywhere: bytes that aren't UTF-8, NUL,
 * lone surrogates, a name twice in one object, and levels past JSON_DEPTH_MAX. After such a refusal
 * the rest is still read by the grammar, so that the neighbours of one bad event can be used; only
 * a broken grammar ends the reading.
 *
 * Errors     enum json_outcome; struct json_error says what, where, and the JSON pointer.
 * Ownership  As json_document.h; the error's texts are in the `strings` arena.
 * Threads    Any, each document by one.
 */
#pragma once

#include "ingest/rules/json_document.h"

enum json_outcome {
    JSON_BROKEN = 1, /* not JSON: nothing behind it can be read */
    JSON_TOO_DEEP,
    JSON_NAME_TWICE,
    JSON_BAD_STRING,
    JSON_TOO_LONG, /* more nodes or bytes than one event may have */
};

struct json_error {
    const char *what;    /* "a string doesn't end" */
    size_t offset;       /* bytes from the start of the text */
    struct text pointer; /* the value it is in, from the document's root; absent without memory */
};

/*
 * Scans one value at *position, white space before it included, and adds it at `place`; a container
 * there is on level `level` (1 for an event). 0 with *position behind the value. An outcome other
 * than JSON_BROKEN too leaves *position behind it, the document undefined and *error filled.
 */
MUST_USE int json_scan(struct json_document *document, struct text text, size_t *position,
                       const struct json_place *place, unsigned level, struct json_error *error);

/* The same for a text that holds one value and white space alone. */
MUST_USE int json_scan_whole(struct json_document *document, struct text text,
                             const struct json_place *place, unsigned level,
                             struct json_error *error);

/* The position of the first byte that isn't white space. */
size_t json_skip_space(struct text text, size_t position);

/* The elements of an array that is the whole text, one at a time. */
struct json_elements {
    struct text text;
    size_t position;
    size_t count;
};
/* False when the text doesn't begin with '['. */
MUST_USE bool json_elements_begin(struct json_elements *elements, struct text text);
/* Whether another element follows, at elements->position: true, scan it and set position behind it.
 * False with *broken NULL at the end, else with what is wrong. */
MUST_USE bool json_elements_next(struct json_elements *elements, const char **broken);
