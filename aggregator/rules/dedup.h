/*
 * dedup.h - the ids of one UTC day: was this event counted already?
 *
 * An open-addressing table of 16-byte fingerprints with linear probing, on 2 MiB pages where the
 * system has them. Ids that are new since the last commit are kept apart as well: they are that
 * commit's run, in memory of malloc that goes back with it.
 *
 * At load 0.65 the table becomes half as large again, where it stands: its memory is lengthened,
 * and the ids move up a few at a time, so no event waits for all of them (dedup.c says how).
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
    uint64_t slot_count; /* the last one is always free */
    uint64_t room;       /* so many of them are homes, the first ones; 0: nothing is there yet */
    uint64_t old_room;   /* while the table grows: the homes that there were before */
    uint64_t boundary;   /* ids whose old home lies below it have that one still; 0: none has */
    uint64_t count;
    struct fingerprint *fresh;
    uint64_t fresh_count, fresh_room;
    uint64_t fresh_usual; /* room that is enough by the commit before */
    uint128 sum; /* of every id in the table as a 128-bit number, mod 2^128: the digest's part */
};

void dedup_deinit(struct dedup *dedup);
/* Brings near what dedup_take will look at. */
void dedup_fetch(const struct dedup *dedup, const struct fingerprint *id);
enum dedup_verdict dedup_look(const struct dedup *dedup, const struct fingerprint *id);
void dedup_add(struct dedup *dedup, const struct fingerprint *id); /* is DEDUP_NEW; is fresh */
/* dedup_look, and dedup_add when it is new. */
enum dedup_verdict dedup_take(struct dedup *dedup, const struct fingerprint *id);
void dedup_load(struct dedup *dedup,
                const struct fingerprint *id);           /* from the store; isn't fresh */
void dedup_reserve(struct dedup *dedup, uint64_t count); /* room for so many in all, at once */
void dedup_committed(struct dedup *dedup);               /* nothing is fresh any more */
uint64_t dedup_bytes(const struct dedup *dedup);         /* of memory */
