/*
 * bloom.h - a blocked Bloom filter of ids: 16 bits an id, eight of them in one cache line.
 *
 * An id that was added is always there; one in a thousand others seems to be.
 *
 * Ownership  bloom_deinit, which accepts a zeroed one; a zeroed one holds every id.
 * Threads    One at a time.
 */
#pragma once

#include "proto/usage.h"

enum { BLOOM_BITS = 512 /* of a block */, BLOOM_BITS_AN_ID = 16, BLOOM_PROBES = 8 };

struct bloom_block {
    uint64_t words[BLOOM_BITS / 64];
};

struct bloom {
    struct bloom_block *blocks;
    uint64_t count;
};

void bloom_init(struct bloom *bloom, uint64_t ids); /* empty, for so many */
void bloom_deinit(struct bloom *bloom);
void bloom_add(struct bloom *bloom, const struct fingerprint *id);
bool bloom_may_hold(const struct bloom *bloom, const struct fingerprint *id);
void bloom_prefetch(const struct bloom *bloom, const struct fingerprint *id);
uint64_t bloom_bytes(const struct bloom *bloom);
