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

#include "common/base/arena.h"
#include "proto/catalog.h"

enum { FINGERPRINT_SECRET_BYTES = 192, FINGERPRINT_SEED_BYTES = 16 };

struct fingerprint_key {
    uint8_t secret[FINGERPRINT_SECRET_BYTES];
    enum catalog_hash hash;
};

void fingerprint_key_init(struct fingerprint_key *key, const uint8_t seed[FINGERPRINT_SEED_BYTES],
                          enum catalog_hash hash);

/* Subscription, source, id (metering.md 13). False when the arena is full. */
MUST_USE bool fingerprint_identity(const struct fingerprint_key *key, struct text subscription,
                                   struct text source, struct text id, struct arena *arena,
                                   uint8_t identity[12]);

/* A numbered source: its events have this identity, and are told apart by their numbers. */
MUST_USE bool fingerprint_source(const struct fingerprint_key *key, struct text source,
                                 struct arena *arena, uint8_t identity[12]);

/* What the event says: content.h. */
uint32_t fingerprint_payload(const struct fingerprint_key *key, struct text content);

/* The hash that stands for a text of UNIQUE_COUNT. */
void fingerprint_unique(const struct fingerprint_key *key, struct text text, uint8_t unique[16]);
