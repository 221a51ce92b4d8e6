/*
 * plain_scalar.h - the string scan of plain.h, byte by byte: for targets without SSE2, and for
 * tails.
 *
 * Threads    Any.
 */
#pragma once

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
