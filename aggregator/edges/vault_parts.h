/*
 * vault_parts.h - what vault's files share among themselves; nobody else includes it.
 */
#pragma once

#include "aggregator/edges/vault.h"

enum { STATE_BYTES = 128, ID_KEY_BYTES = 8, CHECKSUM_BYTES = 8 };

extern const char VAULT_STATE_KEY[];

void state_encode(const struct vault_state *state, uint8_t bytes[STATE_BYTES]);
void id_key(int32_t day, uint32_t run, uint8_t key[ID_KEY_BYTES]);
/* The content of a value that ends with its checksum; false when that doesn't match. */
bool sealed_open(struct text key, struct text value, struct text *content);
/* Appends the checksum of what the buffer holds. */
void sealed_close(struct text key, struct buffer *content);
/* The digest of a tally with these day sums; `rest` is the share of its ledger and numbers. */
uint128 vault_digest(const struct tally *tally, uint128 rest);
/* Deletes some rows that have aged. */
MUST_USE int vault_prune(struct store_txn *txn, const struct tally *tally);
/* Writes the dirty chunks; *sum is the digest's share of all numbers then. */
MUST_USE int vault_write_numbers(struct store_txn *txn, struct tally *tally, struct buffer *value,
                                 uint128 *sum);
/* Adds a row's share of the digest; false for a damaged one. */
MUST_USE bool vault_sum_numbers(struct text key, struct text value, uint128 *sum);
