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

static void place(struct index *index, struct index_slot slot)
{
    uint64_t at = slot.hash & (index->room - 1);

    while (index->slots[at].id)
        at = (at + 1) & (index->room - 1);
    index->slots[at] = slot;
}

static void grow(struct index *index, uint64_t room)
{
    struct index old = *index;

    index->room = room;
    assert(index->room <= (uint64_t)UINT32_MAX + 1); /* half a hash finds any place */
    index->slots = pages_new(index->room * sizeof(*index->slots));
    for (uint64_t i = 0; i < old.room; i++)
        if (old.slots[i].id)
            place(index, old.slots[i]);
    pages_free(old.slots, old.room * sizeof(*old.slots));
}

uint32_t index_find(const struct index *index, uint64_t hash, index_equal *equal, const void *owner,
                    const void *wanted)
{
    uint64_t at;

    if (index->room == 0)
        return INDEX_NONE;
    for (at = hash & (index->room - 1); index->slots[at].id; at = (at + 1) & (index->room - 1))
        if (index->slots[at].hash == (uint32_t)hash &&
            equal(owner, index->slots[at].id - 1, wanted))
            return index->slots[at].id - 1;
    return INDEX_NONE;
}

void index_make_room(struct index *index, uint64_t count)
{
    uint64_t room = index->room ? index->room : INDEX_FIRST_ROOM;

    while (count * 5 > room * 3)
        room *= 2;
    if (room > index->room)
        grow(index, room);
}

void index_add(struct index *index, uint64_t hash, uint32_t id)
{
    assert(id < INDEX_NONE);
    index_make_room(index, index->count + 1);
    place(index, (struct index_slot){.hash = (uint32_t)hash, .id = id + 1});
    index->count++;
}
