/*
 * tenure.h - who acts as the bucket's invoicer: the one that holds the only partition of `control`.
 *
 * The group <bucket>.invoicer gives the partition to one member. It writes a record there, whose
 * offset is its *epoch*; then one of that epoch to catalog and to invoices, a fence: what an
 * earlier holder writes behind it is ignored by every reader. Once it has read both topics up to
 * its fences it knows all that was written before, and acts. One that loses the partition stops at
 * once; what it sends nevertheless, having slept, stands behind the other's fence.
 *
 * In the store: tenure/acting (1: somebody acts on this store), tenure/epoch (whose),
 * tenure/claimed (the fence's), tenure/foreign (1: another store's invoicer has acted since).
 *
 * Threads    The engine's.
 */
#pragma once

#include "common/io/kafka.h"
#include "common/io/store.h"

enum tenure_state {
    TENURE_WAITING,  /* another one holds the partition, or the group is being formed */
    TENURE_ASSIGNED, /* the partition is ours; its record is to be written */
    TENURE_CLAIMING, /* it is on its way */
    TENURE_CLAIMED,  /* the epoch is known; the fences are to be written */
    TENURE_FENCING,  /* they are on their way */
    TENURE_FENCED,   /* both topics are to be read up to them */
    TENURE_ACTING,
};

struct tenure;
MUST_USE int tenure_new(const struct kafka_config *kafka, const char *bucket, struct store *store,
                        struct producer *producer, struct tenure **tenure);
struct tenure *tenure_free(struct tenure *tenure); /* leaves the group */
/* Moves on as far as it can, waiting up to timeout_ms for the group. */
MUST_USE int tenure_step(struct tenure *tenure, int timeout_ms, int64_t catalog_next,
                         int64_t invoices_next);
enum tenure_state tenure_state(const struct tenure *tenure);
int64_t tenure_epoch(const struct tenure *tenure);
/* Another's epoch was read: whatever the group believes, this one is over. */
MUST_USE int tenure_lose(struct tenure *tenure);
const char *tenure_state_name(enum tenure_state state);
