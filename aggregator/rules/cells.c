#include "aggregator/rules/cells.h"

#include "aggregator/rules/pages.h"

#include <stdlib.h>
#include <string.h>

enum {
    CELLS_FIRST_ROOM = 256,
    CELLS_KEPT_SLABS = 1, /* of a burst's memory twice what is used stays, and so much */
    SLAB_BYTES = SLAB_CHUNKS * CHUNK_CELLS * sizeof(struct cell),
    DIGIT_BITS = 8,
    DIGITS = 1 << DIGIT_BITS
};

#define EVEN_PLACES UINT64_C(0x5555555555555555) /* two cells share a cache line */

static uint64_t key_of(int64_t minute, uint32_t series)
{
    return cell_key(minute, series / CHUNK_CELLS);
}

static uint64_t place_of(const struct cells *cells, uint64_t key)
{
    uint64_t hash = key * 0x9e3779b97f4a7c15u;

    return (hash ^ hash >> 32) & (cells->room - 1);
}

/* The chunk's slot, or the free one that it would get. */
static struct chunk_slot *slot_of(const struct cells *cells, uint64_t key)
{
    uint64_t at = place_of(cells, key);

    while (cells->slots[at].key != 0 && cells->slots[at].key != key)
        at = (at + 1) & (cells->room - 1);
    return &cells->slots[at];
}

static void grow(struct cells *cells)
{
    struct cells old = *cells;

    cells->room = old.room ? old.room * 2 : CELLS_FIRST_ROOM;
    cells->slots = calloc(cells->room, sizeof(*cells->slots));
    if (!cells->slots)
        abort();
    for (uint64_t i = 0; i < old.room; i++)
        if (old.slots[i].key != 0)
            *slot_of(cells, old.slots[i].key) = old.slots[i];
    free(old.slots);
}

static void add_slab(struct cells *cells)
{
    cells->slabs = realloc(cells->slabs, (cells->slab_count + 1) * sizeof(struct cell *));
    if (!cells->slabs)
        abort();
    /* Most partitions never fill the first one. */
    cells->slabs[cells->slab_count] =
        cells->slab_count == 0 ? pages_new_sparse(SLAB_BYTES) : pages_new(SLAB_BYTES);
    cells->slab_count++;
    if (cells->key_room >= cells->slab_count * SLAB_CHUNKS)
        return;
    cells->key_room = 2 * cells->slab_count * SLAB_CHUNKS;
    cells->keys = realloc(cells->keys, cells->key_room * sizeof(*cells->keys));
    if (!cells->keys)
        abort();
}

static void drop_slabs(struct cells *cells, uint64_t kept)
{
    while (cells->slab_count > kept)
        pages_free(cells->slabs[--cells->slab_count], SLAB_BYTES);
}

void cells_deinit(struct cells *cells)
{
    drop_slabs(cells, 0);
    free(cells->slabs);
    free(cells->keys);
    free(cells->slots);
    *cells = (struct cells){0};
}

void cells_clear(struct cells *cells)
{
    uint64_t used = (cells->count + SLAB_CHUNKS - 1) / SLAB_CHUNKS;

    drop_slabs(cells, 2 * used + CELLS_KEPT_SLABS);
    for (uint64_t i = 0; i < cells->count; i++)
        memset((struct cell *)(uintptr_t)cells_chunk(cells, i), 0,
               CHUNK_CELLS * sizeof(struct cell));
    /* Nor is its table: clearing costs its whole length. */
    if (cells->room > CELLS_FIRST_ROOM && cells->count * 8 < cells->room) {
        free(cells->slots);
        cells->slots = NULL;
        cells->room = 0;
    } else if (cells->room) {
        memset(cells->slots, 0, cells->room * sizeof(*cells->slots));
    }
    cells->count = 0;
}

uint64_t cells_bytes(const struct cells *cells)
{
    return cells->slab_count * SLAB_CHUNKS * CHUNK_CELLS * sizeof(struct cell) +
           cells->room * sizeof(*cells->slots) + cells->key_room * sizeof(*cells->keys);
}

void cells_prefetch(const struct cells *cells, int64_t minute, uint32_t series)
{
    if (cells->room)
        __builtin_prefetch(&cells->slots[place_of(cells, key_of(minute, series))]);
}

static struct cell *cell_of(const struct cells *cells, const struct chunk_slot *slot,
                            uint32_t series)
{
    return (struct cell *)(uintptr_t)cells_chunk(cells, slot->chunk) + series % CHUNK_CELLS;
}

struct cell *cells_find(const struct cells *cells, int64_t minute, uint32_t series)
{
    const struct chunk_slot *slot;
    struct cell *cell;

    if (cells->room == 0)
        return NULL;
    slot = slot_of(cells, key_of(minute, series));
    if (slot->key == 0)
        return NULL;
    cell = cell_of(cells, slot, series);
    __builtin_prefetch(cell, 1);
    return cell;
}

struct cell *cells_take(struct cells *cells, int64_t minute, uint32_t series)
{
    uint64_t key = key_of(minute, series);
    struct chunk_slot *slot;

    assert(key != 0); /* no instant lies in the first window */
    if (cells->count * 2 >= cells->room)
        grow(cells);
    slot = slot_of(cells, key);
    if (slot->key == 0) {
        if (cells->count == cells->slab_count * SLAB_CHUNKS)
            add_slab(cells);
        *slot = (struct chunk_slot){.key = key, .chunk = cells->count};
        cells->keys[cells->count++] = key;
    }
    return cell_of(cells, slot, series);
}

/* --- lists --- */

/* One pass of a radix sort. False when all keys share the digit: nothing was moved. */
static bool sort_by_digit(const struct cell_run *from, struct cell_run *into, size_t count,
                          int shift)
{
    size_t starts[DIGITS] = {0}, sum = 0;

    for (size_t i = 0; i < count; i++)
        starts[from[i].key >> shift & (DIGITS - 1)]++;
    if (starts[from[0].key >> shift & (DIGITS - 1)] == count)
        return false;
    for (size_t digit = 0; digit < DIGITS; digit++) {
        size_t here = starts[digit];

        starts[digit] = sum;
        sum += here;
    }
    for (size_t i = 0; i < count; i++)
        into[starts[from[i].key >> shift & (DIGITS - 1)]++] = from[i];
    return true;
}

static void sort_list(struct cell_list *list)
{
    struct cell_run *other;

    if (list->count < 2)
        return;
    other = malloc(list->count * sizeof(*other));
    if (!other)
        abort();
    for (int shift = 0; shift < 64; shift += DIGIT_BITS)
        if (sort_by_digit(list->runs, other, list->count, shift)) {
            struct cell_run *swap = list->runs;

            list->runs = other;
            other = swap;
        }
    free(other);
}

/* In the order of memory, so that the chunks come in by themselves. */
static uint64_t present_in(const struct cell chunk[CHUNK_CELLS])
{
    uint64_t present = 0;

    for (size_t place = 0; place < CHUNK_CELLS; place++)
        present |= (uint64_t)(chunk[place].count > 0) << place;
    return present;
}

void cells_list(const struct cells *cells, struct cell_list *list)
{
    *list = (struct cell_list){0};
    if (cells->count == 0)
        return;
    list->runs = malloc(cells->count * sizeof(*list->runs));
    if (!list->runs)
        abort();
    for (uint64_t i = 0; i < cells->count; i++) {
        const struct cell *chunk = cells_chunk(cells, i);

        list->runs[list->count++] =
            (struct cell_run){.key = cells->keys[i], .present = present_in(chunk), .cells = chunk};
    }
    sort_list(list);
}

void cell_list_coarsen(struct cell_list *list, enum level from, enum level to)
{
    for (size_t i = 0; i < list->count; i++) {
        uint64_t key = list->runs[i].key;
        int64_t minute = cell_window(key) * level_minutes(from);

        list->runs[i].key = cell_key(level_window(to, minute), cell_series(key));
    }
    sort_list(list);
}

void cell_run_prefetch(const struct cell_run *run)
{
    for (uint64_t bits = (run->present | run->present >> 1) & EVEN_PLACES; bits; bits &= bits - 1)
        __builtin_prefetch(&run->cells[__builtin_ctzll(bits)]);
}

void cell_list_deinit(struct cell_list *list)
{
    free(list->runs);
    *list = (struct cell_list){0};
}
