/*
 * stripe_text.h - texts of JSON, and texts within Stripe's limits.
 *
 * Ownership  What is returned points into what is given.
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

#include <jansson.h>

/* A member that is a string; absent otherwise, and where `object` isn't one. */
struct text stripe_member(const json_t *object, const char *name);
/* At most so many bytes of it, of whole UTF-8 characters. */
struct text stripe_cut(struct text text, size_t most);
/* Appends it as a part of one line: what would be a line's end, or obeyed by a terminal, is a
 * space. */
void stripe_add_plain(struct buffer *line, struct text text);
/* Copies a line to where there is room for `room` bytes, with a NUL; cut where it must be. */
void stripe_say(const struct buffer *line, char *out, size_t room);
