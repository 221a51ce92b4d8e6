/*
 * cells.h - what was counted since the last commit, summed: (minute, series) → total.
 *
 * The map holds minutes alone. At a commit it is laid out as a sorted list, and coarsened to
 * quarter-hours and then days by merging neighbours: three levels for one look-up an entry.
 *
 * A UNIQUE_COUNT cell is here too, with count 0: it says that the window was touched; how many
 * values are new the store alone knows (uniques.h).
 *
 * Ownership  cells_deinit, which accepts a zeroed one; a zeroed one is empty.
 * Threads    One at a time.
 */
#pragma once

#include "aggregator/rules/level.h"
#include "proto/counters.h"

struct cell {
    struct decimal value;
    uint64_t count;
    struct instant time;
    uint64_t key; /* cell_key */
    uint32_t aggregation;
    uint32_t is_used;
};

struct cells {
    struct cell *slots;
    uint64_t room; /* a power of two, or 0 */
    uint64_t count;
};

struct cell_list {
    struct cell *cells; /* ascending by key, no two alike */
    size_t count;
};

struct total cell_total(const struct cell *cell);
/* Merges `more` into the cell, which can't overflow: what a partition counts is bounded (count.h).
 */
void cell_merge(struct cell *cell, const struct total *more);

void cells_deinit(struct cells *cells);
void cells_clear(struct cells *cells);
void cells_add(struct cells *cells, uint64_t key, const struct total *more);
void cells_prefetch(const struct cells *cells, uint64_t key);

/* Lays the map out, sorted. The map keeps what it has. */
void cells_list(const struct cells *cells, struct cell_list *list);
/* Turns the list of minutes (or quarter-hours) into one of `level`. */
void cell_list_coarsen(struct cell_list *list, enum level from, enum level to);
void cell_list_deinit(struct cell_list *list);
