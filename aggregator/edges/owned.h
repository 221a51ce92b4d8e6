/*
 * owned.h - the partitions that this process owns, for its HTTP threads to read.
 *
 * A partition's store is open while it is owned and until its last reader has let go of it.
 *
 * Threads    Any.
 */
#pragma once

#include "common/io/store.h"

struct owned;

/* What a reader sees of a partition. */
struct owned_view {
    int32_t partition;
    struct store *store;
};

struct owned *owned_new(int32_t partitions);
struct owned *owned_free(struct owned *owned); /* accepts NULL */
int32_t owned_partitions(const struct owned *owned);
void owned_add(struct owned *owned, int32_t partition, struct store *store);
/* No new reader from now on; waits for those that are there. Missing is fine. */
void owned_remove(struct owned *owned, int32_t partition);

bool owned_has(struct owned *owned, int32_t partition);
/* False when the partition isn't owned. Else owned_release must follow, soon. */
MUST_USE bool owned_hold(struct owned *owned, int32_t partition, struct owned_view *view);
void owned_release(struct owned *owned, int32_t partition);
