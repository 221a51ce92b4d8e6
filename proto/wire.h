/*
 * wire.h - little-endian integers and texts in bytes, at any alignment.
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

#include <endian.h>

static inline uint16_t wire_load_u16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return le16toh(value);
}

static inline uint32_t wire_load_u32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static inline uint64_t wire_load_u64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

static inline int64_t wire_load_i64(const uint8_t *at)
{
    return (int64_t)wire_load_u64(at);
}

static inline int128 wire_load_i128(const uint8_t *at)
{
    return (int128)((uint128)wire_load_u64(at) | (uint128)wire_load_u64(at + 8) << 64);
}

static inline void wire_store_u16(uint8_t *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof(value));
}

static inline void wire_store_u32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof(value));
}

static inline void wire_store_u64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof(value));
}

static inline void wire_store_i64(uint8_t *at, int64_t value)
{
    wire_store_u64(at, (uint64_t)value);
}

static inline void wire_store_i128(uint8_t *at, int128 value)
{
    wire_store_u64(at, (uint64_t)(uint128)value);
    wire_store_u64(at + 8, (uint64_t)((uint128)value >> 64));
}

/* Where two of these overlap they write the same bytes twice: cheaper than a call. */
static inline void wire_copy_ends(uint8_t *at, const char *from, size_t length, size_t half)
{
    memcpy(at, from, half);
    memcpy(at + length - half, from + length - half, half);
}

/* Of eight bytes or more. */
static inline void wire_store_long(uint8_t *at, struct text text)
{
    if (text.length <= 16)
        wire_copy_ends(at, text.at, text.length, 8);
    else if (text.length <= 32)
        wire_copy_ends(at, text.at, text.length, 16);
    else if (text.length <= 64)
        wire_copy_ends(at, text.at, text.length, 32);
    else
        memcpy(at, text.at, text.length);
}

/* The text's bytes; returns the place behind them. Nearly all have 1 to 64. */
ALWAYS_INLINE static inline uint8_t *wire_store_bytes(uint8_t *at, struct text text)
{
    if (text.length >= 8)
        wire_store_long(at, text);
    else if (text.length >= 4)
        wire_copy_ends(at, text.at, text.length, 4);
    else if (text.length >= 2)
        wire_copy_ends(at, text.at, text.length, 2);
    else if (text.length == 1)
        *at = (uint8_t)*text.at;
    return at + text.length;
}

enum { WIRE_TEXT_ABSENT = 0xffff }; /* in place of a length */

/* Its length in two bytes, then its bytes; it has less than WIRE_TEXT_ABSENT. */
ALWAYS_INLINE static inline uint8_t *wire_store_present(uint8_t *at, struct text text)
{
    wire_store_u16(at, (uint16_t)text.length);
    return wire_store_bytes(at + 2, text);
}

/* The same of a text that may be absent. */
ALWAYS_INLINE static inline uint8_t *wire_store_text(uint8_t *at, struct text text)
{
    if (!text_is_absent(text))
        return wire_store_present(at, text);
    wire_store_u16(at, WIRE_TEXT_ABSENT);
    return at + 2;
}
