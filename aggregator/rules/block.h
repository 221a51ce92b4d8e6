/*
 * block.h - sixty counters as one value of the store.
 *
 * Key: level u8, window u32 BE (level.h), block u32 BE; series s stands in block s / 60 at place
 * s % 60. Value, little-endian: bitmap u64 of the places that are present, for each of them value
 * 16, count 8, time 8, then checksum u64 (XXH3-64 of what is before it, seeded with the key's).
 * Sixty keep a value below half a page, so LMDB needs no overflow pages.
 *
 * Errors     block_decode is false for a value that isn't whole: its store is damaged.
 * Threads    Any.
 */
#pragma once

#include "aggregator/rules/cells.h"

enum { BLOCK_CELLS = 60, BLOCK_KEY_BYTES = 9, BLOCK_BYTES_MAX = 8 + BLOCK_CELLS * 32 + 8 };

struct block_cell {
    struct decimal value;
    uint64_t count;
    struct instant time;
};

struct block {
    uint64_t bitmap;
    struct block_cell cells[BLOCK_CELLS];
};

struct block_key {
    enum level level;
    int64_t window;
    uint32_t number;
};

void block_key_encode(struct block_key key, uint8_t bytes[BLOCK_KEY_BYTES]);
MUST_USE bool block_key_decode(struct text bytes, struct block_key *key);
/* Returns the length. */
size_t block_encode(const struct block *block, struct text key, uint8_t bytes[BLOCK_BYTES_MAX]);
MUST_USE bool block_decode(struct text key, struct text value, struct block *block);

/* The checksum that every value of the store ends with: of `bytes` under `key`. */
uint64_t block_checksum(struct text key, const void *bytes, size_t length);
