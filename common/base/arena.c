/*
 * arena.c - memory in blocks that die together.
 */
#include "common/base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK_BYTES = 64 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t room; /* whole steps */
    alignas(ARENA_STEP) unsigned char bytes[];
};
_Static_assert(ARENA_STEP % alignof(max_align_t) == 0, "what is taken suits any type");

void arena_init(struct arena *arena, size_t limit)
{
    *arena = (struct arena){.limit = limit};
}

static void free_blocks(struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;

        free(block);
        block = next;
    }
}

void arena_deinit(struct arena *arena)
{
    free_blocks(arena->blocks);
    *arena = (struct arena){.limit = arena->limit};
}

static void begin_block(struct arena *arena)
{
    size_t most = (arena->limit - arena->used) / ARENA_STEP * ARENA_STEP;

    arena->next = arena->blocks->bytes;
    arena->left = arena->blocks->room < most ? arena->blocks->room : most;
}

/* The newest block is the one that stays: the largest requests are the last to get one. */
void arena_reset(struct arena *arena)
{
    arena->used = 0;
    if (arena->blocks) {
        free_blocks(arena->blocks->next);
        arena->blocks->next = NULL;
        begin_block(arena);
    }
}

static void add_block(struct arena *arena, size_t size)
{
    size_t room = size > ARENA_BLOCK_BYTES ? size : ARENA_BLOCK_BYTES;
    struct arena_block *block = malloc(sizeof(*block) + room);

    if (!block)
        abort();
    *block = (struct arena_block){.next = arena->blocks, .room = room};
    arena->blocks = block;
    begin_block(arena);
}

/* Where the newest block has no room, or there is none. */
void *arena_take_of_new(struct arena *arena, size_t size)
{
    size_t least = size ? size : ARENA_STEP; /* none is a place of its own, too */

    if (least > arena->limit - arena->used)
        return NULL;
    least = (least + ARENA_STEP - 1) / ARENA_STEP * ARENA_STEP;
    if (least > arena->limit - arena->used)
        return NULL;
    if (least > arena->left)
        add_block(arena, least);
    return arena_take_unset(arena, least);
}

void *arena_take(struct arena *arena, size_t size)
{
    void *taken = arena_take_unset(arena, size);

    return taken ? memset(taken, 0, size) : NULL;
}

struct text arena_copy(struct arena *arena, struct text text)
{
    char *at;

    if (text_is_absent(text))
        return text;
    at = arena_take_unset(arena, text.length + 1);
    if (!at)
        return (struct text){0};
    *text_write(at, text) = '\0';
    return (struct text){at, text.length};
}
