/*
 * order.h - big-endian integers: keys whose bytes sort as their numbers do.
 *
 * Threads    Any.
 */
#pragma once

#include <stdint.h>

static inline void order_store_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static inline uint32_t order_load_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void order_store_u64(uint8_t *at, uint64_t value)
{
    order_store_u32(at, (uint32_t)(value >> 32));
    order_store_u32(at + 4, (uint32_t)value);
}

static inline uint64_t order_load_u64(const uint8_t *at)
{
    return (uint64_t)order_load_u32(at) << 32 | order_load_u32(at + 4);
}
