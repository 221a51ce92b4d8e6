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

struct arena {
    struct arena_block *blocks;
    size_t used;
    size_t limit; /* bytes in all */
};

void arena_init(struct arena *arena, size_t limit);
void arena_deinit(struct arena *arena);
void arena_reset(struct arena *arena); /* forgets everything, keeps one block for reuse */
MUST_USE void *arena_take(struct arena *arena, size_t size); /* zeroed, aligned for any type */
/* The same but for the zeros: for who writes all of it. */
MUST_USE void *arena_take_unset(struct arena *arena, size_t size);
MUST_USE struct text arena_copy(struct arena *arena, struct text text); /* absent when full */
