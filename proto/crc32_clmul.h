/*
 * crc32_clmul.h - the CRC-32 of crc32.h by PCLMULQDQ, 64 bytes at a time.
 *
 * A CRC is the remainder of the message as a polynomial over GF(2), and 16 bytes that stand n bits
 * before others leave the same remainder when they are multiplied by x^n mod P and added to those.
 * So four lanes of 16 bytes are carried over the message, each onto what stands 512 bits behind
 * it, and then onto each other; zlib divides what is left. Bits are reflected, as the CRC's are: a
 * key is x^n mod P reversed and doubled, n being 32 more or less than the distance, for the lower
 * and the upper half of a lane.
 *
 * Threads    Any.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <wmmintrin.h>
#include <zlib.h>

enum { CRC32_CLMUL_LANES = 4, CRC32_CLMUL_LEAST = 64 };

__attribute__((target("pclmul"))) static inline __m128i crc32_carry(__m128i lane, __m128i keys,
                                                                    __m128i onto)
{
    __m128i lower = _mm_clmulepi64_si128(lane, keys, 0x00);
    __m128i upper = _mm_clmulepi64_si128(lane, keys, 0x11);

    return _mm_xor_si128(_mm_xor_si128(lower, upper), onto);
}

static inline __m128i crc32_lane_at(const uint8_t *at, size_t lane)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at + lane);
}

/* Of at least CRC32_CLMUL_LEAST bytes. */
__attribute__((target("pclmul"))) static inline uint32_t crc32_clmul(const uint8_t *at,
                                                                     size_t length)
{
    const __m128i by_512 = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
    const __m128i by_128 = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    __m128i lanes[CRC32_CLMUL_LANES];
    uint8_t left[16];

    for (size_t i = 0; i < CRC32_CLMUL_LANES; i++)
        lanes[i] = crc32_lane_at(at, i);
    lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128(-1)); /* a CRC-32 begins with ones */
    for (at += sizeof(lanes), length -= sizeof(lanes); length >= sizeof(lanes);
         at += sizeof(lanes), length -= sizeof(lanes))
        for (size_t i = 0; i < CRC32_CLMUL_LANES; i++)
            lanes[i] = crc32_carry(lanes[i], by_512, crc32_lane_at(at, i));
    for (size_t i = 1; i < CRC32_CLMUL_LANES; i++)
        lanes[i] = crc32_carry(lanes[i - 1], by_128, lanes[i]);
    _mm_storeu_si128((__m128i *)(void *)left, lanes[CRC32_CLMUL_LANES - 1]);
    /* zlib complements what it begins with: these ones are its nothing. */
    return (uint32_t)crc32_z(crc32_z(0xffffffff, left, sizeof(left)), at, length);
}
