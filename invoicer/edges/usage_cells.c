#include "invoicer/edges/usage_cells.h"

#include "common/base/fault.h"

#include <assert.h>
#include <jansson.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* A combination of the price's dimensions with what was counted under it. */
struct cell {
    struct text dimensions[PRICE_DIMENSIONS_MAX]; /* first: cells are compared by it */
    struct total total;
    uint8_t (*seen)[16]; /* unique values, those of several windows more than once */
    size_t seen_count, seen_room;
};

struct usage_cells {
    const struct price *price;
    struct arena *arena;
    void *tree;
    size_t count;
    struct rating_cell *written; /* while finishing */
    size_t written_count;
};

struct usage_cells *usage_cells_new(const struct price *price, struct arena *arena)
{
    struct usage_cells *cells = calloc(1, sizeof(*cells));

    assert(price->kind == PRICE_MATRIX);
    if (!cells)
        abort();
    cells->price = price;
    cells->arena = arena;
    return cells;
}

static void free_cell(void *node)
{
    struct cell *cell = node;

    free(cell->seen);
    free(cell);
}

struct usage_cells *usage_cells_free(struct usage_cells *cells)
{
    if (cells)
        tdestroy(cells->tree, free_cell);
    free(cells);
    return NULL;
}

static int by_dimensions(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;

    for (size_t i = 0; i < PRICE_DIMENSIONS_MAX; i++) {
        int order = text_compare(x->dimensions[i], y->dimensions[i]);

        if (order)
            return order;
    }
    return 0;
}

static int keep_dimensions(const struct usage_cells *cells, struct cell *cell)
{
    for (size_t i = 0; i < cells->price->dimension_count; i++) {
        struct text copy = arena_copy(cells->arena, cell->dimensions[i]);

        if (text_is_absent(copy) && !text_is_absent(cell->dimensions[i]))
            return fault(FAULT_REFUSE, "the usage of a period has too many dimensions");
        cell->dimensions[i] = copy;
    }
    return 0;
}

/* The cell of a probe's dimensions, which may be new. */
static int cell_at(struct usage_cells *cells, const struct cell *probe, struct cell **cell)
{
    struct cell *const *found = tfind(probe, &cells->tree, by_dimensions);
    struct cell *made;
    int r;

    if (found) {
        *cell = *found;
        return 0;
    }
    made = malloc(sizeof(*made));
    if (!made)
        abort();
    *made = *probe;
    r = keep_dimensions(cells, made);
    if (r) {
        free(made);
        return fault_pass(r);
    }
    if (!tsearch(made, &cells->tree, by_dimensions))
        abort();
    cells->count++;
    *cell = made;
    return 0;
}

static void note_seen(struct cell *cell, const uint8_t unique[16])
{
    if (cell->seen_count == cell->seen_room) {
        cell->seen_room = cell->seen_room ? cell->seen_room * 2 : 16;
        cell->seen = realloc(cell->seen, cell->seen_room * sizeof(*cell->seen));
        if (!cell->seen)
            abort();
    }
    memcpy(cell->seen[cell->seen_count++], unique, sizeof(*cell->seen));
}

static int merge(struct cell *cell, const struct counters_total *total)
{
    if (total->is_unique)
        note_seen(cell, total->unique);
    else if (total->total.aggregation == AGGREGATION_UNIQUE_COUNT)
        return 0; /* says how many, not which */
    else if (cell->total.count == 0)
        cell->total = total->total;
    else if (total_merge(&cell->total, &total->total))
        return fault(FAULT_REFUSE, "the usage of a period has no room in a decimal");
    return 0;
}

int usage_cells_add(struct usage_cells *cells, const struct counters_total *total)
{
    json_t *dimensions = json_loadb(total->dimensions.at, total->dimensions.length, 0, NULL);
    struct cell probe = {.seen = NULL};
    struct cell *cell = NULL;
    int r;

    if (!json_is_object(dimensions)) {
        json_decref(dimensions);
        return fault(FAULT_STOP, "the dimensions of a total aren't an object");
    }
    for (size_t i = 0; i < cells->price->dimension_count; i++) {
        const json_t *value = json_object_get(dimensions, cells->price->dimensions[i].at);

        if (json_is_string(value))
            probe.dimensions[i] = text_from(json_string_value(value), json_string_length(value));
    }
    r = cell_at(cells, &probe, &cell);
    if (!r)
        r = merge(cell, total);
    json_decref(dimensions);
    return r ? fault_pass(r) : 0;
}

static int by_value(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

static struct decimal quantity_of(struct cell *cell)
{
    int64_t distinct = 0;

    if (cell->seen_count == 0)
        return total_answer(&cell->total);
    qsort(cell->seen, cell->seen_count, sizeof(*cell->seen), by_value);
    for (size_t i = 0; i < cell->seen_count; i++)
        distinct += i == 0 || by_value(cell->seen[i - 1], cell->seen[i]) != 0;
    return decimal_from_int(distinct);
}

/* The tree is walked in order; an inner node is met three times. */
static void write_cell(const void *node, VISIT visit, void *context)
{
    struct usage_cells *cells = context;
    struct cell *cell = *(struct cell *const *)node;
    struct rating_cell *written = &cells->written[cells->written_count];

    if (visit != postorder && visit != leaf)
        return;
    memcpy(written->dimensions, cell->dimensions, sizeof(written->dimensions));
    written->quantity = quantity_of(cell);
    cells->written_count++;
}

int usage_cells_finish(struct usage_cells *cells, struct invoice_usage *usage)
{
    struct decimal sum = {0};

    cells->written = arena_take(cells->arena, (cells->count + 1) * sizeof(*cells->written));
    if (!cells->written)
        return fault(FAULT_REFUSE, "the usage of a period has too many dimensions");
    cells->written_count = 0;
    twalk_r(cells->tree, write_cell, cells);
    assert(cells->written_count == cells->count);
    for (size_t i = 0; i < cells->count; i++)
        if (decimal_add(sum, cells->written[i].quantity, &sum))
            return fault(FAULT_REFUSE, "the usage of a period has no room in a decimal");
    usage->cells = cells->written;
    usage->cell_count = cells->count;
    usage->quantity = sum;
    return 0;
}
