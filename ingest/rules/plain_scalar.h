/*
 * plain_scalar.h - the string scan of plain.h, byte by byte: for other targets and tails.
 *
 * Threads    Any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { PLAIN_SAME_BYTES = 32 };

/* The first special byte at or behind `at`, or `end`. */
static inline const char *plain_end_scalar(const char *at, const char *end)
{
    while (at < end) {
        unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\' || c < 0x20 || c >= 0x80)
            break;
        at++;
    }
    return at;
}

/* How many of the 16 bytes at `at` stand before the first special one. */
static inline size_t plain_run_scalar(const char *at)
{
    return (size_t)(plain_end_scalar(at, at + 16) - at);
}

static inline bool plain_same_scalar(const char *a, const char *b, size_t length)
{
    return memcmp(a, b, length) == 0;
}
