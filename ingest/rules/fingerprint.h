/*
 * fingerprint.h - who an event is, in 96 bits, and what it says, in 32 (metering.md 13, 14).
 *
 * XXH3-128 under a secret that is grown from the bucket's seed: fast, and nobody without the seed
 * can choose events that collide. Or, for a bucket that was made so, HMAC-SHA-256 under that
 * secret, for producers who may be hostile and learn what is a duplicate of what. Every part is
 * hashed with its length, so that no two different lists of parts have the same bytes. The day is
 * in neither: the aggregator keeps a table for each.
 *
 * Threads    Any.
 */
#pragma once

#include "proto/catalog.h"

enum { FINGERPRINT_SECRET_BYTES = 192, FINGERPRINT_SEED_BYTES = 16 };

struct fingerprint_key {
    uint8_t secret[FINGERPRINT_SECRET_BYTES];
    enum catalog_hash hash;
};

void fingerprint_key_init(struct fingerprint_key *key, const uint8_t seed[FINGERPRINT_SEED_BYTES],
                          enum catalog_hash hash);

/* Both of what content.h writes (metering.md 13). The identity of a numbered source, whose events
 * are told apart by their numbers, is no event's: those name a subscription and an id. */
void fingerprint_identity(const struct fingerprint_key *key, struct text written,
                          uint8_t identity[12]);
uint32_t fingerprint_payload(const struct fingerprint_key *key, struct text written);

/* What stands for a series, or a type, in the payload: XXH3-64 under the secret, in every bucket.
 * Who found two that are alike could only hide a conflict among events of his own. */
uint64_t fingerprint_text(const struct fingerprint_key *key, struct text text);

/* The hash that stands for a text of UNIQUE_COUNT. */
void fingerprint_unique(const struct fingerprint_key *key, struct text text, uint8_t unique[16]);
