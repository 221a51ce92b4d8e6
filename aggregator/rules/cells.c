#include "aggregator/rules/cells.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS_FIRST_ROOM = 1024, DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS };

struct total cell_total(const struct cell *cell)
{
    return (struct total){.aggregation = (enum aggregation)cell->aggregation,
                          .value = cell->value,
                          .count = cell->count,
                          .time = cell->time};
}

void cell_merge(struct cell *cell, const struct total *more)
{
    struct total total = cell_total(cell);

    if (more->aggregation == AGGREGATION_UNIQUE_COUNT || more->count == 0) {
        total.count += more->count;
    } else if (total_merge(&total, more)) {
        assert(!"the partition's gross bounds every total");
    }
    cell->value = total.value;
    cell->count = total.count;
    cell->time = total.time;
}

static uint64_t place_of(const struct cells *cells, uint64_t key)
{
    uint64_t hash = key * 0x9e3779b97f4a7c15u;

    return (hash ^ hash >> 32) & (cells->room - 1);
}

static struct cell *slot_of(const struct cells *cells, uint64_t key)
{
    uint64_t at = place_of(cells, key);

    while (cells->slots[at].is_used && cells->slots[at].key != key)
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
        if (old.slots[i].is_used)
            *slot_of(cells, old.slots[i].key) = old.slots[i];
    free(old.slots);
}

void cells_deinit(struct cells *cells)
{
    free(cells->slots);
    *cells = (struct cells){0};
}

void cells_clear(struct cells *cells)
{
    /* A burst's table isn't kept for the trickle after it: clearing costs its whole length. */
    if (cells->room > CELLS_FIRST_ROOM && cells->count * 8 < cells->room) {
        cells_deinit(cells);
        return;
    }
    if (cells->room)
        memset(cells->slots, 0, cells->room * sizeof(*cells->slots));
    cells->count = 0;
}

void cells_prefetch(const struct cells *cells, uint64_t key)
{
    if (cells->room)
        __builtin_prefetch(&cells->slots[place_of(cells, key)], 1);
}

void cells_add(struct cells *cells, uint64_t key, const struct total *more)
{
    struct cell *slot;

    if (cells->count * 5 >= cells->room * 3)
        grow(cells);
    slot = slot_of(cells, key);
    if (!slot->is_used) {
        *slot = (struct cell){.key = key, .aggregation = more->aggregation, .is_used = 1};
        cells->count++;
    }
    cell_merge(slot, more);
}

/* --- lists --- */

struct place { /* what is sorted instead of whole cells */
    uint64_t key;
    uint64_t at;
};

/* One pass of a radix sort. False when all keys share the digit: nothing was moved. */
static bool sort_by_digit(const struct place *from, struct place *into, size_t count, int shift)
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

/* Stable, so equal keys keep their order. */
static void sort_list(struct cell_list *list)
{
    struct place *places, *from, *into;
    struct cell *sorted;

    if (list->count < 2)
        return;
    places = malloc(2 * list->count * sizeof(*places));
    sorted = malloc(list->count * sizeof(*sorted));
    if (!places || !sorted)
        abort();
    from = places;
    into = places + list->count;
    for (size_t i = 0; i < list->count; i++)
        from[i] = (struct place){.key = list->cells[i].key, .at = i};
    for (int shift = 0; shift < 64; shift += DIGIT_BITS)
        if (sort_by_digit(from, into, list->count, shift)) {
            struct place *swap = from;

            from = into;
            into = swap;
        }
    for (size_t i = 0; i < list->count; i++)
        sorted[i] = list->cells[from[i].at];
    free(places);
    free(list->cells);
    list->cells = sorted;
}

void cells_list(const struct cells *cells, struct cell_list *list)
{
    *list = (struct cell_list){0};
    if (cells->count == 0)
        return;
    list->cells = malloc(cells->count * sizeof(*list->cells));
    if (!list->cells)
        abort();
    for (uint64_t i = 0; i < cells->room; i++)
        if (cells->slots[i].is_used)
            list->cells[list->count++] = cells->slots[i];
    sort_list(list);
}

void cell_list_coarsen(struct cell_list *list, enum level from, enum level to)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        uint64_t key = list->cells[i].key;
        int64_t minute = cell_window(key) * level_minutes(from);

        list->cells[i].key = cell_key(level_window(to, minute), cell_series(key));
    }
    sort_list(list);
    for (size_t i = 0; i < list->count; i++) {
        struct total more = cell_total(&list->cells[i]);

        if (kept > 0 && list->cells[kept - 1].key == list->cells[i].key)
            cell_merge(&list->cells[kept - 1], &more);
        else
            list->cells[kept++] = list->cells[i];
    }
    list->count = kept;
}

void cell_list_deinit(struct cell_list *list)
{
    free(list->cells);
    *list = (struct cell_list){0};
}
