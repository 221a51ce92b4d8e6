/*
 * json_string.h - where a JSON string ends, whether it may stand, what it spells.
 *
 * Errors     A broken string (grammar) is told from one whose content is refused: behind the latter
 *            the scan can go on, so that one bad event of a batch never costs its neighbours.
 * Ownership  Texts point into the input.
 * Threads    Any.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/text.h"

struct json_string {
    struct text raw;     /* between the quotes */
    bool escaped;        /* holds a backslash: json_string_decode */
    const char *refused; /* NULL, or what of its content can't stand: UTF-8, NUL, lone surrogate */
};

enum json_string_outcome { JSON_STRING_BROKEN = 1 };

/*
 * Scans from behind the opening quote. Returns 0 with *at behind the closing one;
 * JSON_STRING_BROKEN with *at where the grammar breaks and `*why`.
 */
MUST_USE int json_string_scan(const char **at, const char *end, struct json_string *string,
                              const char **why);

/* Writes what a scanned string without refusal spells, never longer than raw; returns the length.
 */
size_t json_string_decode(struct text raw, char *into);
/* The same in the arena; absent without room. */
struct text json_string_spelled(struct text raw, struct arena *arena);

/* The length of the UTF-8 sequence at `at`; 0 when it isn't one (overlong, surrogate, cut off). */
size_t utf8_sequence(const char *at, const char *end);
/* Whether all of it is UTF-8 without NUL. */
bool utf8_is_valid(struct text text);
