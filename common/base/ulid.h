/*
 * ulid.h - identifiers that sort by the time at which they were made.
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/instant.h"

enum { ULID_TEXT_MAX = 27, ULID_RANDOM_BYTES = 10 };

/* 26 characters of Crockford's base 32 and a NUL: the millisecond, then the random bytes. */
void ulid_format(struct instant made, const uint8_t random[ULID_RANDOM_BYTES],
                 char text[ULID_TEXT_MAX]);
