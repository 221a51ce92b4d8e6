/*
 * wire.h - little-endian integers in bytes, at any alignment.
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/attrs.h"

#include <stdint.h>

static inline uint16_t wire_load_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | (unsigned)at[1] << 8);
}

static inline uint32_t wire_load_u32(const uint8_t *at)
{
    return (uint32_t)wire_load_u16(at) | (uint32_t)wire_load_u16(at + 2) << 16;
}

static inline uint64_t wire_load_u64(const uint8_t *at)
{
    return (uint64_t)wire_load_u32(at) | (uint64_t)wire_load_u32(at + 4) << 32;
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
    at[0] = (uint8_t)(value & 0xff);
    at[1] = (uint8_t)(value >> 8);
}

static inline void wire_store_u32(uint8_t *at, uint32_t value)
{
    wire_store_u16(at, (uint16_t)(value & 0xffff));
    wire_store_u16(at + 2, (uint16_t)(value >> 16));
}

static inline void wire_store_u64(uint8_t *at, uint64_t value)
{
    wire_store_u32(at, (uint32_t)(value & 0xffffffff));
    wire_store_u32(at + 4, (uint32_t)(value >> 32));
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
