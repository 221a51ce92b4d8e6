/*
 * crc32.h - zlib's CRC-32, several times as fast where the processor multiplies without carries.
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

#include <zlib.h>

#if defined(__x86_64__)
#include "proto/crc32_clmul.h"
static inline uint32_t crc32_of_text(struct text text)
{
    if (text.length >= CRC32_CLMUL_LEAST && __builtin_cpu_supports("pclmul"))
        return crc32_clmul((const uint8_t *)text.at, text.length);
    return (uint32_t)crc32_z(0, (const uint8_t *)text.at, text.length);
}
#else
static inline uint32_t crc32_of_text(struct text text)
{
    return (uint32_t)crc32_z(0, (const uint8_t *)text.at, text.length);
}
#endif
