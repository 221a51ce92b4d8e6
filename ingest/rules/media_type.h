/*
 * media_type.h - a Content-Type or datacontenttype, by RFC 9110: type, subtype, parameters.
 *
 * Ownership  Texts point into the input.
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

struct media_type {
    struct text name;    /* "application/cloudevents+json", as spelled */
    struct text charset; /* without quotes; absent when none is given */
};

/* False when the text isn't a media type. */
MUST_USE bool media_type_parse(struct text text, struct media_type *type);
/* Compares names; ASCII letters in either case. */
bool media_type_is(const struct media_type *type, const char *name);
/* Whether it begins with `prefix`, in either case. */
bool media_type_starts(const struct media_type *type, const char *prefix);
/* Whether its charset is UTF-8, or none. */
bool media_type_is_utf8(const struct media_type *type);
