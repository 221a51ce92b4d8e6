/*
 * vault.h - a partition's tally in its store: loaded at assignment, committed in one transaction,
 * recomputed to be verified.
 *
 * Tables of the environment (every value but those of `names` and `uniques`, which have none, ends
 * with a checksum of key and content):
 *
 *   state    "state" → vault_state: position, watermark, clock, gross, digest …;
 *            "followed" → vault_state: followed
 *   series   number u32 BE → encoded series (rules/series.h)
 *   names    meter, NUL, subscription, NUL, number u32 BE → nothing: finds a meter's series
 *   cells    level, window, block → sixty-four counters (rules/block.h)
 *   uniques  level, window, series, hash → nothing (rules/uniques.h)
 *   ids      day u32 BE, run u32 BE → fingerprints; a short last run is written again, longer.
 *            Behind them the pages of sealed ids, sorted (rules/sealed.h)
 *   accounts number u32 BE → the subscription of a row of the ledger
 *   ledger   block u32 BE → the six counts of sixty-four rows (rules/ledger.h)
 *   cuts     block u32 BE → what their totals were published on
 *   days     day u32 BE → its shares of the digest (rules/days.h)
 *   numbers  source, chunk u64 BE → which of its numbers were counted (rules/numbered.h)
 *
 * Of a store that format 3 wrote, blocks keep their longer values until they change; until then its
 * digest isn't that of one made anew from the log.
 *
 * Rows that have aged (rules/rollup.h) are deleted some thousand a commit; nobody reads them
 * meanwhile.
 *
 * Errors     VAULT_… outcomes with a sentence in *reason. A store that LMDB itself refuses is a
 *            fault. A commit that met FAULT_RETRY may be tried again: the tally is as it was.
 * Threads    The writer's own, but for vault_read_state.
 */
#pragma once

#include "aggregator/rules/count.h"
#include "common/io/store.h"

enum vault_table {
    VAULT_STATE,
    VAULT_SERIES,
    VAULT_NAMES,
    VAULT_CELLS,
    VAULT_IDS,
    VAULT_UNIQUES,
    VAULT_LEDGER,
    VAULT_DAYS,
    VAULT_NUMBERS,
    VAULT_ACCOUNTS,
    VAULT_CUTS,
};
enum {
    VAULT_TABLES = VAULT_CUTS + 1,
    VAULT_FORMAT = 4,
    VAULT_FORMAT_LEAST = 3,
    VAULT_RUN_IDS_MAX = 4000,
    VAULT_UNFOLLOWED = -2 /* the beginning of the topic */
};

enum vault_outcome {
    VAULT_EMPTY = 1, /* nothing was ever committed */
    VAULT_DAMAGED,   /* a checksum or the digest doesn't match */
    VAULT_OTHER,     /* it is of another partition, partition count or horizon */
};

struct vault_state {
    int32_t partition, partitions;
    int64_t horizon_ms;
    int64_t next_offset;
    int64_t watermark_ms, clock_ms;
    uint128 gross;
    uint128 ledger_sum;
    uint128 numbers_sum;
    uint128 names_sum; /* of series and accounts */
    uint128 digest;
    int64_t published_offset; /* what is on `counters` for certain is the state before it */
    uint64_t last_message;    /* XXH3-64 of the message before next_offset; 0: none */
    int64_t followed;         /* struct published's; VAULT_UNFOLLOWED in an older store */
};

struct vault {
    struct store *store;
    struct vault_state
        state; /* as committed; published_offset, last_message and followed as to be committed */
};

MUST_USE int vault_open(const char *folder, int64_t map_bytes, struct vault *vault);
void vault_close(struct vault *vault); /* accepts a zeroed one */

/* Fills a new tally of that partition; on VAULT_EMPTY it stays as it is. */
MUST_USE int vault_load(struct vault *vault, struct tally *tally, struct buffer *reason);
/* Loads into `tally` and recomputes the whole digest from the rows. */
MUST_USE int vault_verify(struct vault *vault, struct tally *tally, struct buffer *reason);
/* Brings into the tally's memory what the batch asks for and only the store has: before
 * tally_count. */
MUST_USE int vault_recall(struct vault *vault, struct tally *tally,
                          const struct usage_batch *batch);
/* Writes what the tally has counted since the last commit, and its position. */
MUST_USE int vault_commit(struct vault *vault, struct tally *tally);

/*
 * Seals open days: their ids go into sorted pages and leave the memory. Nothing may be pending. Of
 * each day some `held_ids` are held in memory at once, or a sixteenth; the last of them are written
 * in one transaction, which makes the pages hold, so that a kill before leaves the days as they
 * were.
 */
MUST_USE int vault_seal(struct vault *vault, struct tally *tally, struct day *const *days,
                        size_t count, size_t held_ids);

/* The state that a transaction sees: 0, VAULT_EMPTY or VAULT_DAMAGED. */
MUST_USE int vault_read_state(struct store_txn *txn, struct vault_state *state);
/* Only the state of a folder, which is there: for choosing among copies. */
MUST_USE int vault_peek(const char *folder, struct vault_state *state);
