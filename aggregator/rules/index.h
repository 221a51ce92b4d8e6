/*
 * index.h - finds small numbers by a hash: open addressing, doubled at load 0.6.
 *
 * It knows half a hash and the id alone; whether a candidate is the one that is looked for is asked
 * of the caller, so equal halves are no trouble.
 *
 * Ownership  index_deinit, which accepts a zeroed one; a zeroed one is an empty index.
 * Threads    One at a time.
 */
#pragma once

#include "common/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

enum { INDEX_NONE = 0xffffffff >> 1 }; /* no id: ids are below it */

struct index_slot {
    uint32_t hash; /* its lower half, which its place is found by as well */
    uint32_t id;   /* plus one; 0: free */
};

struct index {
    struct index_slot *slots;
    uint64_t room; /* a power of two, or 0 */
    uint64_t count;
};

/* Is `id` of `owner` the wanted one? */
typedef bool index_equal(const void *owner, uint32_t id, const void *wanted);

void index_deinit(struct index *index);
/* The id under the hash that `equal` agrees to; INDEX_NONE when there is none. */
uint32_t index_find(const struct index *index, uint64_t hash, index_equal *equal, const void *owner,
                    const void *wanted);
/* The first id under the half, nobody having been asked; INDEX_NONE when there is none. */
static inline uint32_t index_guess(const struct index *index, uint64_t hash)
{
    if (index->room == 0)
        return INDEX_NONE;
    for (uint64_t at = hash & (index->room - 1); index->slots[at].id;
         at = (at + 1) & (index->room - 1))
        if (index->slots[at].hash == (uint32_t)hash)
            return index->slots[at].id - 1;
    return INDEX_NONE;
}
/* Adds one that isn't there. */
void index_add(struct index *index, uint64_t hash, uint32_t id);
void index_clear(struct index *index);
void index_make_room(struct index *index, uint64_t count); /* for so many in all */
static inline void index_prefetch(const struct index *index, uint64_t hash)
{
    if (index->room)
        __builtin_prefetch(&index->slots[hash & (index->room - 1)]);
}
