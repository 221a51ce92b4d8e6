#include "aggregator/rules/cells.h"

#include "aggregator/rules/pages.h"

#include <stdlib.h>
#include <string.h>

enum {
    MINUTES_FIRST_ROOM = 64,
    PAGES_FIRST_ROOM = 8,
    CELLS_KEPT_SLABS = 1, /* of a burst's memory twice what is used stays, and so much */
    SLAB_BYTES = SLAB_CHUNKS * CHUNK_CELLS * sizeof(struct cell),
    DIGIT_BITS = 8,
    DIGITS = 1 << DIGIT_BITS
};

#define EVEN_PLACES UINT64_C(0x5555555555555555) /* two cells share a cache line */

/* --- minutes --- */

static void *take(struct cells *cells, size_t bytes)
{
    void *taken = arena_take(&cells->directories, bytes);

    if (!taken)
        abort();
    return taken;
}

/* The minute's slot, or the free one that it would get. */
static struct cell_minute **slot_of(const struct cells *cells, int64_t minute)
{
    uint64_t hash = (uint64_t)minute * 0x9e3779b97f4a7c15u;
    uint64_t at = (hash ^ hash >> 32) & (cells->minute_room - 1);

    while (cells->minutes[at] && cells->minutes[at]->number != minute)
        at = (at + 1) & (cells->minute_room - 1);
    return &cells->minutes[at];
}

const struct cell_minute *cells_minute(const struct cells *cells, int64_t minute)
{
    return cells->minute_room ? *slot_of(cells, minute) : NULL;
}

static void grow(struct cells *cells)
{
    struct cells old = *cells;

    if (!cells->directories.limit)
        arena_init(&cells->directories, SIZE_MAX);
    cells->minute_room = old.minute_room ? old.minute_room * 2 : MINUTES_FIRST_ROOM;
    cells->minutes = calloc(cells->minute_room, sizeof(struct cell_minute *));
    if (!cells->minutes)
        abort();
    for (uint64_t i = 0; i < old.minute_room; i++)
        if (old.minutes[i])
            *slot_of(cells, old.minutes[i]->number) = old.minutes[i];
    free(old.minutes);
}

static struct cell_minute *take_minute(struct cells *cells, int64_t number)
{
    struct cell_minute **slot;

    if (cells->minute_count * 2 >= cells->minute_room)
        grow(cells);
    slot = slot_of(cells, number);
    if (!*slot) {
        *slot = take(cells, sizeof(**slot));
        (*slot)->number = number;
        cells->minute_count++;
    }
    return *slot;
}

static void widen(struct cells *cells, struct cell_minute *minute, uint32_t page)
{
    uint32_t room = minute->page_room ? minute->page_room : PAGES_FIRST_ROOM;
    struct cell_page **pages;

    while (room <= page)
        room *= 2;
    pages = take(cells, room * sizeof(struct cell_page *));
    if (minute->page_room)
        memcpy(pages, minute->pages, minute->page_room * sizeof(struct cell_page *));
    minute->pages = pages;
    minute->page_room = room;
}

static struct cell_page *take_page(struct cells *cells, struct cell_minute *minute, uint32_t page)
{
    if (page >= minute->page_room)
        widen(cells, minute, page);
    if (!minute->pages[page])
        minute->pages[page] = take(cells, sizeof(struct cell_page));
    return minute->pages[page];
}

static void forget_minutes(struct cells *cells)
{
    free(cells->minutes);
    cells->minutes = NULL;
    cells->minute_room = cells->minute_count = 0;
}

/* --- chunks --- */

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
    forget_minutes(cells);
    arena_deinit(&cells->directories);
    free(cells->slabs);
    free(cells->keys);
    *cells = (struct cells){0};
}

void cells_clear(struct cells *cells)
{
    uint64_t used = (cells->count + SLAB_CHUNKS - 1) / SLAB_CHUNKS;

    drop_slabs(cells, 2 * used + CELLS_KEPT_SLABS);
    for (uint64_t i = 0; i < cells->count; i++)
        memset((struct cell *)(uintptr_t)cells_chunk(cells, i), 0,
               CHUNK_CELLS * sizeof(struct cell));
    forget_minutes(cells);
    arena_reset(&cells->directories);
    cells->count = 0;
}

uint64_t cells_bytes(const struct cells *cells)
{
    return cells->slab_count * SLAB_BYTES + cells->directories.used +
           cells->minute_room * sizeof(*cells->minutes) + cells->key_room * sizeof(*cells->keys);
}

static struct cell *add_chunk(struct cells *cells, uint64_t key)
{
    if (cells->count == cells->slab_count * SLAB_CHUNKS)
        add_slab(cells);
    cells->keys[cells->count] = key;
    return (struct cell *)(uintptr_t)cells_chunk(cells, cells->count++);
}

struct cell *cells_take(struct cells *cells, int64_t minute, uint32_t series)
{
    struct cell_page *page = take_page(cells, take_minute(cells, minute), series / PAGE_CELLS);
    struct cell **chunk = &page->chunks[series / CHUNK_CELLS % PAGE_CHUNKS];

    if (!*chunk)
        *chunk = add_chunk(cells, cell_key(minute, series / CHUNK_CELLS));
    return *chunk + series % CHUNK_CELLS;
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
