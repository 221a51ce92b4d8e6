/*
 * numbered.h - which numbers of each numbered source were counted: a bit a number, for ever
 * (metering.md 13).
 *
 * A source's numbers are cut into chunks of 4,096. In memory are the chunks that were touched
 * lately, each a bitmap; all lie in the store, packed. A chunk that isn't in memory counts as
 * empty, so who keeps a store loads the chunks that a batch asks for before it is counted
 * (numbered_missing, numbered_load). Only chunks that the store has as they are leave the memory.
 *
 * Packed, a chunk is the shortest of: its bitmap, the numbers that are there, the numbers that are
 * missing. Full neighbours are one row that says how many, so a source without gaps takes no room.
 *
 * Ownership  numbered_deinit, which accepts a zeroed one; a zeroed one is empty. Chunks stay where
 *            they are until numbered_committed.
 * Threads    One at a time.
 */
#pragma once

#include "aggregator/rules/dedup.h"
#include "common/base/text.h"

enum {
    NUMBERED_BITS = 4096, /* of a chunk */
    NUMBERED_WORDS = NUMBERED_BITS / 64,
    NUMBERED_KEPT_MAX = 16384, /* chunks in memory after a commit: 10 MB */
    NUMBERED_HELD_MAX = 65536, /* and before one: commit at this */
    NUMBERED_KEY_BYTES = 20,
    NUMBERED_ROW_MAX = 1 + NUMBERED_BITS / 8,
};

struct numbered_key {
    uint8_t source[12];
    uint64_t chunk; /* its numbers are from chunk * NUMBERED_BITS on */
};

struct numbered_chunk {
    uint64_t bits[NUMBERED_WORDS];
    struct numbered_key key;
    uint64_t touched; /* the commits before it was last looked at */
    uint128 stored;   /* its share of the digest as the store has it */
    bool is_dirty;
};

struct numbered_slot {
    uint64_t hash;
    struct numbered_chunk *chunk; /* NULL: free */
};

struct numbered {
    struct numbered_slot *slots;
    uint64_t room; /* a power of two, or 0 */
    uint64_t count, kept_max /* 0: NUMBERED_KEPT_MAX */;
    struct numbered_chunk **dirty; /* since the last commit */
    uint64_t dirty_count, dirty_room;
    struct numbered_chunk *last; /* looked up */
    uint64_t commits;
    uint128 sum; /* the digest's share of all that is in the store */
};

void numbered_deinit(struct numbered *numbered);
void numbered_prefetch(const struct numbered *numbered, const struct usage_event *event);
enum dedup_verdict numbered_look(struct numbered *numbered, const struct usage_event *event);
/* numbered_look, and takes the number when it is new. */
enum dedup_verdict numbered_take(struct numbered *numbered, const struct usage_event *event);
/* Does the source's number ask for a chunk that isn't in memory? */
bool numbered_missing(struct numbered *numbered, const uint8_t source[12], uint64_t number);
/* A chunk that is missing, as the store has it. */
void numbered_load(struct numbered *numbered, const struct numbered_key *key,
                   const uint64_t bits[NUMBERED_WORDS]);
/* What is dirty, ascending by key. */
void numbered_sort(struct numbered *numbered);
/* The store has what is dirty, and `sum` is its share of the digest. */
void numbered_committed(struct numbered *numbered, uint128 sum);
uint64_t numbered_bytes(const struct numbered *numbered);

/* --- rows of the store --- */

enum numbered_form {
    NUMBERED_FULL, /* u64: so many full chunks from this one on */
    NUMBERED_BITMAP,
    NUMBERED_SET,   /* u16 each: the numbers that are there */
    NUMBERED_HOLES, /* u16 each: those that aren't */
};

struct numbered_row {
    uint64_t span; /* chunks from the key's on that are as `bits` says; more than one: full */
    uint64_t bits[NUMBERED_WORDS];
};

bool numbered_is_full(const uint64_t bits[NUMBERED_WORDS]);
void numbered_key_encode(const struct numbered_key *key, uint8_t bytes[NUMBERED_KEY_BYTES]);
MUST_USE bool numbered_key_decode(struct text bytes, struct numbered_key *key);
/* Returns the row's length; span counts where `bits` are full. */
size_t numbered_row_encode(const struct numbered_row *row, uint8_t bytes[NUMBERED_ROW_MAX]);
/* False unless it is what numbered_row_encode writes of a row that isn't empty. */
MUST_USE bool numbered_row_decode(struct text bytes, struct numbered_row *row);
/* A chunk's share of the digest; 0 when it is empty. */
uint128 numbered_digest(const struct numbered_key *key, const uint64_t bits[NUMBERED_WORDS]);
