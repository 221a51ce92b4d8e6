/*
 * cells.h - what was counted since the last commit, summed: (minute, series) → cell.
 *
 * Cells lie in *chunks*, each of 64 neighbouring series in one minute: what a block of the store
 * holds (block.h), so that a commit merges chunk with block and sorts nothing but the chunks. A
 * coarser level's block takes the chunks of several minutes.
 *
 * Each minute has a directory of its chunks, by the number of their series. Nearly all events are
 * of two minutes, so what they look at stays in the cache: nothing is searched for, an event's
 * minute aside.
 *
 * A cell whose count is 0 isn't there. One of UNIQUE_COUNT counts 1 whatever came: it says that the
 * window was touched; how many values are new the store alone knows (uniques.h).
 *
 * Ownership  cells_deinit, which accepts a zeroed one; a zeroed one is empty. A cell stays where it
 *            is until cells_clear.
 * Threads    One at a time.
 */
#pragma once

#include "aggregator/rules/level.h"
#include "common/base/arena.h"
#include "proto/counters.h"

#include <assert.h>

enum {
    CHUNK_CELLS = 64,
    PAGE_CHUNKS = 64, /* of a directory */
    PAGE_CELLS = PAGE_CHUNKS * CHUNK_CELLS,
    SLAB_CHUNKS = 1024 /* 2 MiB */
};

struct cell {
    struct decimal value;
    uint64_t count;
    struct instant time;
};

struct cell_page {
    struct cell *chunks[PAGE_CHUNKS]; /* NULL: not there */
};

struct cell_minute {
    int64_t number;
    struct cell_page **pages; /* by series / PAGE_CELLS; NULL: not there */
    uint32_t page_room;
};

struct cells {
    struct cell_minute **minutes; /* open addressing; NULL: free */
    uint64_t minute_room;         /* a power of two, or 0 */
    uint64_t minute_count;
    struct arena directories; /* the minutes and their pages */
    uint64_t count;           /* chunks in use */
    uint64_t *keys;           /* of each chunk: cell_key of window and series / CHUNK_CELLS */
    uint64_t key_room;
    struct cell **slabs; /* of SLAB_CHUNKS chunks each; what isn't in use is zero */
    uint64_t slab_count;
};

/* Chunks in the order of the store's keys. */
struct cell_run {
    uint64_t key;             /* cell_key of the level's window and series / CHUNK_CELLS */
    uint64_t present;         /* a bit a place: its cell is there */
    const struct cell *cells; /* CHUNK_CELLS of them */
};

struct cell_list {
    struct cell_run *runs; /* ascending by key; of one key as many as minutes were touched */
    size_t count;
};

void cells_deinit(struct cells *cells);
void cells_clear(struct cells *cells);
/* The cell of a minute, made when it isn't there. */
struct cell *cells_take(struct cells *cells, int64_t minute, uint32_t series);
/* NULL when it has no cells. It stays where it is until cells_clear. */
const struct cell_minute *cells_minute(const struct cells *cells, int64_t minute);
/* What cells_take would give; NULL when it would have to be made. */
static inline struct cell *cells_find(const struct cell_minute *minute, uint32_t series)
{
    uint32_t page = series / PAGE_CELLS;
    struct cell *chunk;

    if (page >= minute->page_room || !minute->pages[page])
        return NULL;
    chunk = minute->pages[page]->chunks[series / CHUNK_CELLS % PAGE_CHUNKS];
    return chunk ? chunk + series % CHUNK_CELLS : NULL;
}
uint64_t cells_bytes(const struct cells *cells); /* of memory */

static inline const struct cell *cells_chunk(const struct cells *cells, uint64_t chunk)
{
    return cells->slabs[chunk / SLAB_CHUNKS] + chunk % SLAB_CHUNKS * CHUNK_CELLS;
}

/* Lists the chunks, which stay the map's. */
void cells_list(const struct cells *cells, struct cell_list *list);
/* Turns the list of minutes (or quarter-hours) into one of `level`. */
void cell_list_coarsen(struct cell_list *list, enum level from, enum level to);
void cell_list_deinit(struct cell_list *list);
/* Fetches the cells that are there, for who merges them soon. */
void cell_run_prefetch(const struct cell_run *run);

/* --- one cell --- */

/*
 * Merges `more`, which counts at least 1, into *into, which may be empty. It can't overflow: what a
 * partition counts is bounded (count.h). Not for UNIQUE_COUNT. As total_merge does; what the
 * aggregation doesn't use is zero in both.
 */
static inline void cell_merge(enum aggregation aggregation, struct cell *into,
                              const struct cell *more)
{
    bool replaces = into->count == 0;

    switch (aggregation) {
    case AGGREGATION_SUM:
    case AGGREGATION_AVG:
        if (__builtin_add_overflow(into->value.units, more->value.units, &into->value.units))
            assert(!"the partition's gross bounds every total");
        break;
    case AGGREGATION_MIN:
        replaces |= more->value.units < into->value.units;
        break;
    case AGGREGATION_MAX:
        replaces |= more->value.units > into->value.units;
        break;
    case AGGREGATION_LATEST:
        replaces |= more->time.ns > into->time.ns ||
                    (more->time.ns == into->time.ns && more->value.units > into->value.units);
        break;
    default:
        break;
    }
    if (replaces) {
        into->value = more->value;
        into->time = more->time;
    }
    into->count += more->count;
}
