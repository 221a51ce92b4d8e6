/*
 * grid.h - a table for a terminal: columns as wide as their widest cell, texts to the left, numbers
 * to the right.
 *
 * Control characters, which a terminal would obey, are shown as '?'.
 *
 * Threads    Any, each object by one at a time.
 */
#pragma once

#include "common/base/text.h"

enum { GRID_COLUMNS_MAX = 8 };

struct grid {
    size_t column_count;
    bool is_number[GRID_COLUMNS_MAX];
    struct buffer cells; /* row by row, a NUL behind each */
};

/* A text for a terminal, without what it would obey. */
void grid_show(struct buffer *buffer, struct text text);

void grid_deinit(struct grid *grid);
void grid_add(struct grid *grid, struct text cell); /* the next cell; absent: an empty one */
/* Whole rows, each on a line of its own, without blanks at its end. */
void grid_write(const struct grid *grid, struct buffer *buffer);
