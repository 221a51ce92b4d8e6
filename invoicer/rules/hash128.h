/*
 * hash128.h - XXH3-128 of a text, as the bytes that keys and digests hold: most significant first.
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

#include <stdint.h>

enum { HASH128_BYTES = 16 };

void hash128(struct text text, uint8_t bytes[HASH128_BYTES]);
