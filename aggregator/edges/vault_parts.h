/*
 * vault_parts.h - what vault's files share among themselves; nobody else includes it.
 */
#pragma once

#include "aggregator/edges/vault.h"

enum { STATE_BYTES = 144, ID_KEY_BYTES = 8, CHECKSUM_BYTES = 8, FOLLOWED_BYTES = 16 };

/* Pages of sealed ids stand in the table of the runs: their number has a bit for it, and one for
 * their generation. */
#define PAGE_BIT        (UINT32_C(1) << 31)
#define PAGE_GENERATION (UINT32_C(1) << 30)
#define PAGE_MASK       (PAGE_GENERATION - 1)

extern const char VAULT_STATE_KEY[];

/* Writes "followed". */
MUST_USE int vault_write_followed(struct store_txn *txn, int64_t followed);
void state_encode(const struct vault_state *state, uint8_t bytes[STATE_BYTES]);
void id_key(int32_t day, uint32_t run, uint8_t key[ID_KEY_BYTES]);
void page_key(int32_t day, uint32_t generation, uint32_t page, uint8_t key[ID_KEY_BYTES]);
/* The content of a value that ends with its checksum; false when that doesn't match. */
bool sealed_open(struct text key, struct text value, struct text *content);
/* Appends the checksum of what the buffer holds. */
void sealed_close(struct text key, struct buffer *content);
/* The digest of a tally with these day sums; `rest` is the share of its ledger, numbers and
 * names. */
uint128 vault_digest(const struct tally *tally, uint128 rest);
/* Deletes some rows that have aged. */
MUST_USE int vault_prune(struct store_txn *txn, const struct tally *tally);
/* Loads the chunk that is missing from the tally's memory. */
MUST_USE int vault_load_chunk(struct store_txn *txn, struct tally *tally,
                              const struct numbered_key *key);
/* Writes the dirty chunks; *sum is the digest's share of all numbers then. */
MUST_USE int vault_write_numbers(struct store_txn *txn, struct tally *tally, struct buffer *value,
                                 uint128 *sum);
/* Adds a row's share of the digest; false for a damaged one. */
MUST_USE bool vault_sum_numbers(struct text key, struct text value, uint128 *sum);
