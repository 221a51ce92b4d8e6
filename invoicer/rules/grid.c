#include "invoicer/rules/grid.h"

#include <assert.h>
#include <string.h>

enum { GAP = 2 };

void grid_deinit(struct grid *grid)
{
    buffer_deinit(&grid->cells);
}

void grid_show(struct buffer *buffer, struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.at[i];
        bool is_c1 = c == 0xc2 && i + 1 < text.length && (unsigned char)text.at[i + 1] < 0xa0;

        buffer_add_char(buffer, c < 0x20 || c == 0x7f || is_c1 ? '?' : text.at[i]);
        i += is_c1;
    }
}

void grid_add(struct grid *grid, struct text cell)
{
    grid_show(&grid->cells, cell);
    buffer_add_char(&grid->cells, '\0');
}

/* Code points: wide characters are taken for one column each. */
static size_t columns_of(const char *cell, size_t length)
{
    size_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)cell[i] & 0xc0) != 0x80;
    return count;
}

static void measure(const struct grid *grid, size_t widths[GRID_COLUMNS_MAX])
{
    size_t column = 0;

    for (size_t at = 0; at < grid->cells.length; column++) {
        size_t length = strlen(grid->cells.at + at);
        size_t width = columns_of(grid->cells.at + at, length);

        if (width > widths[column % grid->column_count])
            widths[column % grid->column_count] = width;
        at += length + 1;
    }
    assert(column % grid->column_count == 0);
}

static void pad(struct buffer *buffer, size_t columns)
{
    for (; columns > 0; columns--)
        buffer_add_char(buffer, ' ');
}

void grid_write(const struct grid *grid, struct buffer *buffer)
{
    size_t widths[GRID_COLUMNS_MAX] = {0}, column = 0, owed = 0; /* blanks, if something follows */

    assert(grid->column_count > 0 && grid->column_count <= GRID_COLUMNS_MAX);

    measure(grid, widths);
    for (size_t at = 0; at < grid->cells.length;) {
        size_t length = strlen(grid->cells.at + at);
        size_t blanks = widths[column] - columns_of(grid->cells.at + at, length);

        owed += grid->is_number[column] ? blanks : 0;
        if (length) {
            pad(buffer, owed);
            buffer_add(buffer, grid->cells.at + at, length);
            owed = 0;
        }
        owed += (grid->is_number[column] ? 0 : blanks) + GAP;
        at += length + 1;
        if (++column == grid->column_count) {
            buffer_add_char(buffer, '\n');
            column = owed = 0;
        }
    }
}
