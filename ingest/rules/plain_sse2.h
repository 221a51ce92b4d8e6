/*
 * plain_sse2.h - the string scan of plain.h, 16 bytes at a time.
 *
 * Strings of usage events average 20 bytes, so wider registers gain nothing.
 *
 * Threads    Any.
 */
#pragma once

#include "ingest/rules/plain_scalar.h"

#include <emmintrin.h>

/* The first special byte at or behind `at`, or `end`. */
static inline const char *plain_end_sse2(const char *at, const char *end)
{
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);

    while (end - at >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        /* Signed: bytes of 0x80 or more are negative, so one comparison finds them too. */
        __m128i special = _mm_or_si128(
            _mm_cmplt_epi8(bytes, space),
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
        int mask = _mm_movemask_epi8(special);
        if (mask != 0)
            return at + __builtin_ctz((unsigned)mask);
        at += 16;
    }
    return plain_end_scalar(at, end);
}
