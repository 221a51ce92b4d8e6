/*
 * arena.h - memory that lives as long as one batch, request or invoice and dies as a whole.
 *
 * Errors     arena_take returns NULL when the arena's limit is reached: an outcome for the caller.
 * Ownership  Everything taken is the arena's, until arena_reset or arena_deinit.
 * Threads    One at a time.
 */
#pragma once

#include "common/base/text.h"

struct arena_block;

enum { ARENA_STEP = 16 }; /* alignment that suits any type */

struct arena {
    struct arena_block *blocks; /* the newest first */
    unsigned char *next;        /* what is left of the newest: whole steps */
    size_t left;                /* no more than the limit leaves */
    size_t used;
    size_t limit; /* bytes in all */
};

void arena_init(struct arena *arena, size_t limit);
void arena_deinit(struct arena *arena);
void arena_reset(struct arena *arena); /* forgets everything, keeps one block for reuse */
MUST_USE void *arena_take(struct arena *arena, size_t size); /* zeroed, aligned for any type */
MUST_USE void *arena_take_of_new(struct arena *arena, size_t size); /* for arena_take_unset */
/* The same as arena_take but for the zeros: for who writes all of it. Inline, as an event takes
 * several. */
MUST_USE static inline void *arena_take_unset(struct arena *arena, size_t size)
{
    size_t whole = (size + ARENA_STEP - 1) / ARENA_STEP * ARENA_STEP;
    unsigned char *taken = arena->next;

    if (size - 1 >= arena->left) /* or none at all */
        return arena_take_of_new(arena, size);
    arena->next += whole;
    arena->left -= whole;
    arena->used += whole;
    return taken;
}
MUST_USE struct text arena_copy(struct arena *arena, struct text text); /* absent when full */
