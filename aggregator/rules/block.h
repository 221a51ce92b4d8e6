/*
 * block.h - sixty-four counters as one value of the store.
 *
 * Key: level u8, window u32 BE (level.h), block u32 BE; series s stands in block s / 64 at place
 * s % 64. Value, little-endian: bitmap u64 of the places that are present; u8 each the form of a
 * value, the bytes of a count (1, 2, 4 or 8), those of a time (0 or 8): the fewest that hold all of
 * the block; then the values, the counts, the times of the places in order; then the checksum, 16
 * bytes: XXH3-128 of what is before it, seeded with the key's XXH3-64. Equal contents are equal
 * bytes, and the checksum is the block's share of the digest (digest.h).
 *
 * A value's form: 0 where all are zero; 16 where one needs more than eight bytes: all have sixteen;
 * else in the upper half how many zeros all values end with (12 at most), which aren't written, and
 * in the lower half the bytes of each, signed (1 to 8). Up to format 3 of the store it was 0, 8 or
 * 16: such blocks are read, and written anew when they change.
 *
 * But for blocks of very large numbers a value stays below half a page, so LMDB needs no overflow
 * pages.
 *
 * Errors     block_decode is false for a value that isn't whole: its store is damaged.
 * Threads    Any.
 */
#pragma once

#include "aggregator/rules/cells.h"

enum {
    BLOCK_CELLS = CHUNK_CELLS,
    BLOCK_KEY_BYTES = 9,
    BLOCK_SUM_BYTES = 16,
    BLOCK_BYTES_MAX = 8 + 3 + BLOCK_CELLS * 32 + BLOCK_SUM_BYTES
};

struct block {
    uint64_t bitmap;
    struct cell cells[BLOCK_CELLS]; /* zero where nothing is present */
};

struct block_key {
    enum level level;
    int64_t window;
    uint32_t number;
};

void block_key_encode(struct block_key key, uint8_t bytes[BLOCK_KEY_BYTES]);
MUST_USE bool block_key_decode(struct text bytes, struct block_key *key);
/* Returns the length; *sum is the checksum. */
size_t block_encode(const struct block *block, struct text key, uint8_t bytes[BLOCK_BYTES_MAX],
                    uint128 *sum);
MUST_USE bool block_decode(struct text key, struct text value, struct block *block, uint128 *sum);
/* Merges a chunk of the block's series, whose aggregations these are. UNIQUE_COUNT is left out. */
void block_merge(struct block *block, const struct cell_run *run,
                 const uint8_t aggregations[BLOCK_CELLS]);

/* The checksum that every other value of the store ends with: of `bytes` under `key`. */
uint64_t block_checksum(struct text key, const void *bytes, size_t length);
/* Appends the one of blocks to the first `length` of the bytes; returns the new length. */
size_t block_seal(struct text key, uint8_t *bytes, size_t length, uint128 *sum);
/* Is the last of the value the sum of what is before it? Then it goes into *sum. */
MUST_USE bool block_sealed(struct text key, struct text value, uint128 *sum);
