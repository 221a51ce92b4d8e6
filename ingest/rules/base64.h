/*
 * base64.h - decodes `data_base64` (RFC 4648, section 4: padded, no line breaks).
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

/* The room that decoding may need. */
static inline size_t base64_room(struct text text)
{
    return text.length / 4 * 3;
}
/* False when it isn't base64. */
MUST_USE bool base64_decode(struct text text, char *into, size_t *length);
