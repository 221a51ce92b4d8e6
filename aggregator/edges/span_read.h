/*
 * span_read.h - what series have counted in a range of minutes, read from a partition's store.
 *
 * It keeps the last block: neighbouring series, asked for one after the other, are read once.
 *
 * Errors     FAULT_STOP when a block is damaged.
 * Ownership  span_read_deinit, which accepts a zeroed one.
 * Threads    Any, each by one at a time, within the read transaction.
 */
#pragma once

#include "aggregator/rules/block.h"
#include "aggregator/rules/count.h"
#include "common/io/store.h"

struct span_read {
    struct store_txn *txn;
    struct total total; /* UNIQUE_COUNT: after span_read_finish */
    uint8_t (*hashes)[16];
    size_t hash_count, hash_room;
    bool has_block;
    uint8_t key[BLOCK_KEY_BYTES]; /* of the last block */
    struct block block;           /* empty where the store has none */
};

void span_read_init(struct span_read *read, struct store_txn *txn); /* borrowed */
void span_read_deinit(struct span_read *read);
/* Begins a range of series of one aggregation. */
void span_read_begin(struct span_read *read, enum aggregation aggregation);
/* Adds a series' share of [from, to). */
MUST_USE int span_read_series(struct span_read *read, uint32_t series, int64_t from, int64_t to);
/* Unites the unique values: sorted, each once. */
void span_read_finish(struct span_read *read);

/* Does the store still hold the levels that the range needs? */
bool span_is_stored(const struct tally *tally, int64_t from, int64_t to);
