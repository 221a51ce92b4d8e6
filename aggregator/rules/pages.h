/*
 * pages.h - zeroed memory for tables that are read at random: from 2 MiB on, on pages of that size,
 * so that finding a page doesn't take as long as reading it.
 *
 * From 128 KiB on it is cleared by the system as it is touched, a page at a time: of a table with
 * room to grow what isn't used takes no memory.
 *
 * Ownership  pages_free, with the same size; it accepts NULL. It aborts without memory.
 * Threads    Any.
 */
#pragma once

#include <stddef.h>

void *pages_new(size_t bytes); /* at least one; aligned to a cache line */
/* The same on small pages: what isn't touched takes no memory. */
void *pages_new_sparse(size_t bytes);
size_t pages_whole(size_t bytes); /* what so many take, to be used up: whole lines, or pages */
/* More of what pages_new gave, or NULL; the rest is zeroed. Large ones change their address
 * alone.*/
void *pages_grow(void *old, size_t old_bytes, size_t bytes);
void pages_free(void *pages, size_t bytes);
