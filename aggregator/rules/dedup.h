/*
 * dedup.h - the ids of one UTC day: was this event counted already?
 *
 * An open-addressing table of 16-byte fingerprints with linear probing, on 2 MiB pages where the
 * system has them. Ids that are new since the last commit are kept apart as well: they are that
 * commit's run.
 *
 * At load 0.6 a table of twice the room is begun and the old one moves over a few slots with each
 * id that is added, so no event waits for all of it. Meanwhile an id belongs to the old table or to
 * the new one by its place in the old one: a look-up still probes one table.
 *
 * Ownership  dedup_deinit, which accepts a zeroed one; a zeroed one is an empty table.
 * Threads    One at a time.
 */
#pragma once

#include "proto/usage.h"

enum dedup_verdict {
    DEDUP_NEW,
    DEDUP_DUPLICATE, /* the identity is there, with this payload */
    DEDUP_CONFLICT,  /* the identity is there, with another payload */
};

struct dedup {
    struct fingerprint *slots;
    uint64_t room; /* a power of two, or 0 */
    uint64_t count;
    struct fingerprint *old; /* half the room, while the table grows; else NULL */
    uint64_t moved;          /* slots of the old table that were passed */
    struct fingerprint *fresh;
    uint64_t fresh_count, fresh_room;
    uint128 sum; /* of every id in the table as a 128-bit number, mod 2^128: the digest's part */
};

void dedup_deinit(struct dedup *dedup);
void dedup_prefetch(const struct dedup *dedup, const struct fingerprint *id);
enum dedup_verdict dedup_look(const struct dedup *dedup, const struct fingerprint *id);
void dedup_add(struct dedup *dedup, const struct fingerprint *id); /* is DEDUP_NEW; is fresh */
/* dedup_look, and dedup_add when it is new. */
enum dedup_verdict dedup_take(struct dedup *dedup, const struct fingerprint *id);
void dedup_load(struct dedup *dedup,
                const struct fingerprint *id);           /* from the store; isn't fresh */
void dedup_reserve(struct dedup *dedup, uint64_t count); /* room for so many in all, at once */
void dedup_committed(struct dedup *dedup);               /* nothing is fresh any more */
uint64_t dedup_bytes(const struct dedup *dedup);         /* of memory */
