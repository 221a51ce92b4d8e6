/*
 * ledger.h - what became of every event on `usage`, by subscription (metering.md 34).
 *
 * accepted = counted + duplicate + rejected + late, held by every row at any time. Conflicts are
 * part of `duplicate`. What can't be decoded names no subscription: such a message counts as one
 * event of the row without one.
 *
 * Rows have numbers in the order in which subscriptions are first met, so they are a function of
 * the log. In the store 64 neighbours are one value, as counters are (block.h).
 *
 * Ownership  The ledger owns its texts; ledger_deinit accepts a zeroed one, which is empty.
 * Threads    One at a time.
 */
#pragma once

#include "aggregator/rules/index.h"
#include "common/base/arena.h"

enum { LEDGER_ROWS = 64 }; /* of a value of the store */

struct account_counts {
    uint64_t accepted, counted, duplicate, conflict, rejected, late;
};

struct account {
    struct account_counts counts;
    uint64_t cuts; /* hash of the cuts that it was published on; 0: never */
};

struct ledger {
    struct account *accounts; /* their counts: see ledger_counts */
    /* Nearly all events are counted. Those since the last commit are so here, where many rows lie
     * in a cache line, and in `accounts` from then on. */
    uint32_t *counted;
    uint64_t *misplaced; /* a bit a row: the subscription belongs to another partition */
    struct text *names;  /* absent: of what can't be decoded */
    struct arena texts;  /* theirs */
    uint32_t count, room;
    uint32_t committed_count; /* of them are in the store */
    struct account_counts sum, committed_sum;
    struct index by_subscription;
    struct ledger_dirty { /* a bit a block of 64 rows: since the last commit */
        uint64_t *counts, *cuts;
        uint32_t words;
    } dirty;
};

static inline void account_counts_add(struct account_counts *into,
                                      const struct account_counts *more)
{
    into->accepted += more->accepted;
    into->counted += more->counted;
    into->duplicate += more->duplicate;
    into->conflict += more->conflict;
    into->rejected += more->rejected;
    into->late += more->late;
}

void ledger_deinit(struct ledger *ledger);
/* The number of the subscription's row, made when it isn't there. */
uint32_t ledger_take(struct ledger *ledger, struct text subscription);
uint32_t ledger_find(const struct ledger *ledger, struct text subscription); /* or INDEX_NONE */
struct account_counts ledger_counts(const struct ledger *ledger, uint32_t number);
void ledger_set_misplaced(struct ledger *ledger, uint32_t number, bool is_misplaced);
static inline bool ledger_is_misplaced(const struct ledger *ledger, uint32_t number)
{
    return ledger->misplaced[number / 64] >> number % 64 & 1;
}

/* Adds to the counts of a row. */
void ledger_add(struct ledger *ledger, uint32_t number, const struct account_counts *more);
/* Adds an event that was counted. */
static inline void ledger_add_counted(struct ledger *ledger, uint32_t number)
{
    uint32_t block = number / LEDGER_ROWS;

    ledger->dirty.counts[block / 64] |= UINT64_C(1) << block % 64;
    ledger->counted[number]++; /* there are fewer than 2^32 events between two commits */
    ledger->sum.accepted++;
    ledger->sum.counted++;
}

void ledger_set_cuts(struct ledger *ledger, uint32_t number, uint64_t cuts);
void ledger_committed(struct ledger *ledger);
/* All rows are as the store has them. */
void ledger_loaded(struct ledger *ledger);
bool account_balances(const struct account_counts *counts);

/* --- rows of the store --- */

/* A row's name: 0x01 and the subscription, or 0x00 for the row without one. */
void account_name_encode(struct text subscription, struct buffer *name);
MUST_USE bool account_name_decode(struct text name, struct text *subscription);

/*
 * The counts of sixty-four rows: their number u8; for each of the six counts the bytes u8 of a
 * number (0, 1, 2, 4 or 8), then the least of them u64; then for each count what each row has more
 * than the least; then the checksum as a block has it, which is their share of the digest.
 */
enum {
    LEDGER_COLUMNS = 6,
    LEDGER_BYTES_MAX = 1 + LEDGER_COLUMNS * 9 + LEDGER_ROWS * LEDGER_COLUMNS * 8 + 16,
};
/* Returns the length, the checksum in *sum; the block has a row at least. */
size_t ledger_encode(const struct ledger *ledger, uint32_t block, struct text key,
                     uint8_t bytes[LEDGER_BYTES_MAX], uint128 *sum);
struct ledger_rows {
    struct account at[LEDGER_ROWS]; /* their counts */
    size_t count;
    uint128 sum;
};
/* False for a damaged one. */
MUST_USE bool ledger_decode(struct text key, struct text value, struct ledger_rows *rows);
/* The cuts of sixty-four rows: u64 each. They hang on the catalog, so the digest doesn't know them.
 */
void ledger_encode_cuts(const struct ledger *ledger, uint32_t block, struct buffer *value);
MUST_USE bool ledger_decode_cuts(struct text value, struct ledger *ledger, uint32_t block);
/* The dirty blocks, ascending: the first one from `block` on; UINT32_MAX past the last. */
uint32_t ledger_next_dirty(const struct ledger *ledger, const uint64_t *dirty, uint32_t block);
