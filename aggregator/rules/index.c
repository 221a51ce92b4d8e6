#include "aggregator/rules/index.h"

#include "aggregator/rules/pages.h"

#include <assert.h>

enum { INDEX_FIRST_ROOM = 64 };

void index_deinit(struct index *index)
{
    pages_free(index->slots, index->room * sizeof(*index->slots));
    *index = (struct index){0};
}

void index_clear(struct index *index)
{
    index_deinit(index);
}

static void place(struct index *index, uint64_t hash, uint32_t id)
{
    uint64_t at = hash & (index->room - 1);

    while (index->slots[at].is_used)
        at = (at + 1) & (index->room - 1);
    index->slots[at] = (struct index_slot){.hash = hash, .id = id, .is_used = 1};
}

static void grow(struct index *index)
{
    struct index old = *index;

    index->room = old.room ? old.room * 2 : INDEX_FIRST_ROOM;
    index->slots = pages_new(index->room * sizeof(*index->slots));
    for (uint64_t i = 0; i < old.room; i++)
        if (old.slots[i].is_used)
            place(index, old.slots[i].hash, old.slots[i].id);
    pages_free(old.slots, old.room * sizeof(*old.slots));
}

uint32_t index_find(const struct index *index, uint64_t hash, index_equal *equal, const void *owner,
                    const void *wanted)
{
    uint64_t at;

    if (index->room == 0)
        return INDEX_NONE;
    for (at = hash & (index->room - 1); index->slots[at].is_used; at = (at + 1) & (index->room - 1))
        if (index->slots[at].hash == hash && equal(owner, index->slots[at].id, wanted))
            return index->slots[at].id;
    return INDEX_NONE;
}

uint32_t index_guess(const struct index *index, uint64_t hash)
{
    uint64_t at;

    if (index->room == 0)
        return INDEX_NONE;
    for (at = hash & (index->room - 1); index->slots[at].is_used; at = (at + 1) & (index->room - 1))
        if (index->slots[at].hash == hash)
            return index->slots[at].id;
    return INDEX_NONE;
}

void index_add(struct index *index, uint64_t hash, uint32_t id)
{
    assert(id < INDEX_NONE);
    if (index->count * 5 >= index->room * 3)
        grow(index);
    place(index, hash, id);
    index->count++;
}

void index_prefetch(const struct index *index, uint64_t hash)
{
    if (index->room)
        __builtin_prefetch(&index->slots[hash & (index->room - 1)]);
}
