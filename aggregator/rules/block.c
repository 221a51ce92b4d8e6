#include "aggregator/rules/block.h"

#include "aggregator/rules/order.h"
#include "proto/wire.h"

#include <string.h>
#include <xxhash.h>

enum { CELL_BYTES = 32, SUM_BYTES = 8 };

void block_key_encode(struct block_key key, uint8_t bytes[BLOCK_KEY_BYTES])
{
    bytes[0] = (uint8_t)key.level;
    order_store_u32(bytes + 1, window_biased(key.window));
    order_store_u32(bytes + 5, key.number);
}

bool block_key_decode(struct text bytes, struct block_key *key)
{
    const uint8_t *at = (const uint8_t *)bytes.at;

    if (bytes.length != BLOCK_KEY_BYTES || at[0] >= LEVELS)
        return false;
    *key = (struct block_key){.level = (enum level)at[0],
                              .window = window_unbiased(order_load_u32(at + 1)),
                              .number = order_load_u32(at + 5)};
    return true;
}

uint64_t block_checksum(struct text key, const void *bytes, size_t length)
{
    return XXH3_64bits_withSeed(bytes, length, XXH3_64bits(key.at, key.length));
}

size_t block_encode(const struct block *block, struct text key, uint8_t bytes[BLOCK_BYTES_MAX])
{
    uint8_t *at = bytes + 8;

    wire_store_u64(bytes, block->bitmap);
    for (size_t i = 0; i < BLOCK_CELLS; i++) {
        if (!(block->bitmap >> i & 1))
            continue;
        wire_store_i128(at, block->cells[i].value.units);
        wire_store_u64(at + 16, block->cells[i].count);
        wire_store_i64(at + 24, block->cells[i].time.ns);
        at += CELL_BYTES;
    }
    wire_store_u64(at, block_checksum(key, bytes, (size_t)(at - bytes)));
    return (size_t)(at - bytes) + SUM_BYTES;
}

bool block_decode(struct text key, struct text value, struct block *block)
{
    const uint8_t *bytes = (const uint8_t *)value.at, *at = bytes + 8;
    size_t body = value.length - SUM_BYTES;

    if (value.length < 8 + SUM_BYTES ||
        wire_load_u64(bytes + body) != block_checksum(key, bytes, body))
        return false;
    block->bitmap = wire_load_u64(bytes);
    if (body != 8 + (size_t)__builtin_popcountll(block->bitmap) * CELL_BYTES ||
        block->bitmap >> BLOCK_CELLS != 0)
        return false;
    for (size_t i = 0; i < BLOCK_CELLS; i++) {
        if (!(block->bitmap >> i & 1))
            continue;
        block->cells[i].value.units = wire_load_i128(at);
        block->cells[i].count = wire_load_u64(at + 16);
        block->cells[i].time.ns = wire_load_i64(at + 24);
        at += CELL_BYTES;
    }
    return true;
}
