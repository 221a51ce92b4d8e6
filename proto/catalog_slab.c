/*
 * catalog_slab.c - strings in blocks, with a list of holes for each size.
 */
#include "proto/catalog_slab.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROOM = 64 * 1024 - 64 };

struct catalog_slab_block {
    struct catalog_slab_block *before;
    char room[BLOCK_ROOM];
};

struct catalog_slab_hole {
    struct catalog_slab_hole *next;
};

_Static_assert(sizeof(struct catalog_slab_hole) <= CATALOG_SLAB_STEP, "a hole fits each string");

void catalog_slab_deinit(struct catalog_slab *slab)
{
    while (slab->blocks) {
        struct catalog_slab_block *block = slab->blocks;

        slab->blocks = block->before;
        free(block);
    }
    *slab = (struct catalog_slab){0};
}

static void *take(struct catalog_slab *slab, size_t size)
{
    void *taken;

    if (!slab->blocks || slab->used + size > BLOCK_ROOM) {
        struct catalog_slab_block *block = malloc(sizeof(*block));

        if (!block)
            abort();
        block->before = slab->blocks;
        slab->blocks = block;
        slab->used = 0;
    }
    taken = slab->blocks->room + slab->used;
    slab->used += size;
    return taken;
}

static struct catalog_slab_hole **holes_of(struct catalog_slab *slab, size_t length)
{
    return &slab->holes[(length - 1) / CATALOG_SLAB_STEP];
}

struct text catalog_slab_copy(struct catalog_slab *slab, struct text text)
{
    struct catalog_slab_hole **holes;
    void *place;

    assert(text.length <= CATALOG_SLAB_TEXT_MAX);

    if (text.length == 0)
        return text_of(text_is_absent(text) ? NULL : "");
    holes = holes_of(slab, text.length);
    place = *holes;
    if (place)
        *holes = (*holes)->next;
    else
        place = take(slab,
                     (text.length + CATALOG_SLAB_STEP - 1) / CATALOG_SLAB_STEP * CATALOG_SLAB_STEP);
    memcpy(place, text.at, text.length);
    return text_from(place, text.length);
}

void catalog_slab_give_back(struct catalog_slab *slab, struct text text)
{
    struct catalog_slab_hole **holes;
    struct catalog_slab_hole *hole;

    if (text.length == 0)
        return;
    holes = holes_of(slab, text.length);
    hole = (struct catalog_slab_hole *)(uintptr_t)text.at;
    hole->next = *holes;
    *holes = hole;
}

void catalog_slab_replace(struct catalog_slab *slab, struct text *held, struct text text)
{
    struct text before = *held;

    if (text_equal(before, text))
        return;
    *held = catalog_slab_copy(slab, text);
    catalog_slab_give_back(slab, before);
}
