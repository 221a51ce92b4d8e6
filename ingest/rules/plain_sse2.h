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
#include <stdint.h>

/* How many of the 16 bytes at `at` stand before the first special one. */
static inline size_t plain_run_sse2(const char *at)
{
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    /* Signed: bytes of 0x80 or more are negative, so one comparison finds them too. */
    const __m128i special = _mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)),
                                         _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                                      _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))));

    return (size_t)__builtin_ctz((unsigned)_mm_movemask_epi8(special) | 0x10000);
}

/* The first special byte at or behind `at`, or `end`. */
static inline const char *plain_end_sse2(const char *at, const char *end)
{
    while (end - at >= 16) {
        size_t run = plain_run_sse2(at);
        if (run < 16)
            return at + run;
        at += 16; /* not run: the next load needn't wait for it */
    }
    return plain_end_scalar(at, end);
}

/* A bit for each of 16 bytes that is the same. */
static inline uint32_t same_bytes(const char *a, const char *b)
{
    const __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)a),
                                        _mm_loadu_si128((const __m128i *)(const void *)b));

    return (uint32_t)_mm_movemask_epi8(same);
}

static inline bool plain_same_sse2(const char *a, const char *b, size_t length)
{
    const uint64_t same = same_bytes(a, b) | same_bytes(a + 16, b + 16) << 16;

    return (size_t)__builtin_ctzll(~same) >= length;
}
