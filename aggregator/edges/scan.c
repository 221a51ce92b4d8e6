#include "aggregator/edges/scan.h"

#include "aggregator/edges/vault_parts.h"
#include "aggregator/rules/block.h"
#include "aggregator/rules/order.h"
#include "aggregator/rules/rollup.h"
#include "aggregator/rules/uniques.h"
#include "common/base/fault.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTE_NS = 60, SERIES_KEY_BYTES = 4 };

/* A series that the query is about. */
struct match {
    uint32_t series, group;
};

struct scan {
    struct store_txn *txn;
    const struct query *query;
    struct rows *rows;
    int32_t first_minute_day, first_quarter_day;
    struct match *matches; /* by series */
    size_t match_count, match_room;
    uint32_t *blocks; /* that hold them, ascending, each once */
    size_t block_count;
    int64_t window_from, window_to; /* of the window size, the last one looked up */
    struct store_cursor *cursor, *unique_cursor;
};

/* The matched cells of one window, gathered before it is known whether the window is whole. */
struct gathered {
    struct {
        uint32_t match;
        struct cell cell;
    } * at;
    size_t count, room;
};

static int damaged(const char *what)
{
    return fault(FAULT_STOP, "the store is damaged: %s; remedy: aggregator verify", what);
}

/* --- which series --- */

static bool passes_filters(const struct query *query, const struct usage_series *series)
{
    for (size_t i = 0; i < query->filter_count; i++) {
        struct text value = text_of(NULL);
        for (size_t j = 0; j < series->dimension_count; j++)
            if (text_equal(series->dimensions[j].name, query->filters[i].dimension))
                value = series->dimensions[j].value;
        if (!query_list_has(query->filters[i].values, value))
            return false;
    }
    return true;
}

static uint32_t group_of(struct scan *scan, const struct usage_series *series)
{
    const struct query *query = scan->query;
    struct text values[ROWS_GROUP_MAX];
    size_t count = 0;

    if (query->by_subscription)
        values[count++] = series->subscription;
    if (query->by_subject)
        values[count++] = series->subject;
    for (size_t i = 0; i < query->group_count; i++) {
        values[count] = text_of(NULL);
        for (size_t j = 0; j < series->dimension_count; j++)
            if (text_equal(series->dimensions[j].name, query->group_by[i]))
                values[count] = series->dimensions[j].value;
        count++;
    }
    return rows_group(scan->rows, values);
}

static int match_series(struct scan *scan, struct text number)
{
    struct text value, encoded;
    struct usage_series series;
    int r = store_get(scan->txn, VAULT_SERIES, number, &value);

    if (r)
        return r == STORE_NOT_FOUND ? damaged("a series is missing") : fault_pass(r);
    if (!sealed_open(number, value, &encoded) || !series_decode(encoded, &series))
        return damaged("a series");
    if (!query_list_has(scan->query->subjects, series.subject) ||
        !passes_filters(scan->query, &series))
        return 0;
    if (scan->match_count == scan->match_room) {
        scan->match_room = scan->match_room ? scan->match_room * 2 : 64;
        scan->matches = realloc(scan->matches, scan->match_room * sizeof(*scan->matches));
        if (!scan->matches)
            abort();
    }
    scan->matches[scan->match_count++] = (struct match){
        .series = order_load_u32((const uint8_t *)number.at), .group = group_of(scan, &series)};
    return 0;
}

/* Every series whose name begins with the prefix: meter NUL [subscription NUL]. */
static int match_prefix(struct scan *scan, struct text prefix)
{
    struct text key = prefix, value;
    int r;

    for (r = store_cursor_seek(scan->cursor, &key, &value);
         r == 0 && key.length >= prefix.length + SERIES_KEY_BYTES &&
         memcmp(key.at, prefix.at, prefix.length) == 0;
         r = store_cursor_next(scan->cursor, &key, &value)) {
        int m =
            match_series(scan, text_from(key.at + key.length - SERIES_KEY_BYTES, SERIES_KEY_BYTES));
        if (m)
            return fault_pass(m);
    }
    return r == STORE_NOT_FOUND ? 0 : r;
}

static int compare_matches(const void *a, const void *b)
{
    uint32_t left = ((const struct match *)a)->series, right = ((const struct match *)b)->series;

    return left < right ? -1 : left > right;
}

static void list_blocks(struct scan *scan)
{
    if (scan->match_count == 0)
        return;
    qsort(scan->matches, scan->match_count, sizeof(*scan->matches), compare_matches);
    scan->blocks = malloc(scan->match_count * sizeof(*scan->blocks));
    if (!scan->blocks)
        abort();
    for (size_t i = 0; i < scan->match_count; i++) {
        uint32_t block = scan->matches[i].series / BLOCK_CELLS;
        if (scan->block_count == 0 || scan->blocks[scan->block_count - 1] != block)
            scan->blocks[scan->block_count++] = block;
    }
}

static int match_all(struct scan *scan)
{
    CLEANUP(buffer_deinit) struct buffer prefix = {0};
    const struct query *query = scan->query;
    int r = store_cursor_new(scan->txn, VAULT_NAMES, &scan->cursor);
    size_t rounds = query->subscriptions.count ? query->subscriptions.count : 1;

    for (size_t i = 0; r == 0 && i < rounds; i++) {
        buffer_clear(&prefix);
        buffer_add_text(&prefix, query->meter);
        buffer_add_char(&prefix, 0);
        if (query->subscriptions.count) {
            if (query->subscriptions.at[i].length > CATALOG_ID_MAX)
                continue;
            buffer_add_text(&prefix, query->subscriptions.at[i]);
            buffer_add_char(&prefix, 0);
        }
        r = match_prefix(scan, buffer_text(&prefix));
    }
    scan->cursor = store_cursor_free(scan->cursor);
    if (r)
        return fault_pass(r);
    list_blocks(scan);
    return 0;
}

/* --- which output window --- */

static int look_window_up(struct scan *scan, int64_t minute)
{
    const struct query *query = scan->query;
    struct window window;

    if (!query->has_window || (minute >= scan->window_from && minute < scan->window_to))
        return 0;
    window = calendar_window(query_zone(query), query->window, instant_from_minute(minute));
    if (window.from.ns % (INT64_C(1000000000) * MINUTE_NS) != 0 ||
        window.to.ns % (INT64_C(1000000000) * MINUTE_NS) != 0)
        return SCAN_FINER_THAN_STORED; /* local mean time, of seconds */
    scan->window_from = instant_minute(window.from);
    scan->window_to = instant_minute(window.to);
    return 0;
}

enum place { PLACE_OUTSIDE, PLACE_INSIDE, PLACE_ACROSS };

/* Where minutes [from, to) lie: in one window of the query, in none, or across an edge. */
static int place_of(struct scan *scan, int64_t from, int64_t to, enum place *place)
{
    const struct query *query = scan->query;
    int r;

    if (to <= query->from_minute || from >= query->to_minute) {
        *place = PLACE_OUTSIDE;
        return 0;
    }
    *place = PLACE_ACROSS;
    if (from < query->from_minute || to > query->to_minute)
        return 0;
    r = look_window_up(scan, from);
    if (!r && (!query->has_window || to <= scan->window_to))
        *place = PLACE_INSIDE;
    return r;
}

/* --- cells of one window --- */

static void gather_block(const struct scan *scan, uint32_t number, const struct block *block,
                         size_t *match, struct gathered *gathered)
{
    for (; *match < scan->match_count && scan->matches[*match].series / BLOCK_CELLS < number;)
        ++*match;
    for (; *match < scan->match_count && scan->matches[*match].series / BLOCK_CELLS == number;
         ++*match) {
        uint32_t at = scan->matches[*match].series % BLOCK_CELLS;
        if (!(block->bitmap >> at & 1))
            continue;
        if (gathered->count == gathered->room) {
            gathered->room = gathered->room ? gathered->room * 2 : 64;
            gathered->at = realloc(gathered->at, gathered->room * sizeof(*gathered->at));
            if (!gathered->at)
                abort();
        }
        gathered->at[gathered->count].match = (uint32_t)*match;
        gathered->at[gathered->count++].cell = block->cells[at];
    }
}

/* The first key at or after (window, block); STORE_NOT_FOUND past the level's last. */
static int seek_block(struct scan *scan, struct block_key *key, struct text *bytes,
                      struct text *value)
{
    uint8_t encoded[BLOCK_KEY_BYTES];
    enum level level = key->level;
    int r;

    block_key_encode(*key, encoded);
    *bytes = text_from(encoded, sizeof(encoded));
    r = store_cursor_seek(scan->cursor, bytes, value);
    if (r)
        return r;
    if (!block_key_decode(*bytes, key))
        return damaged("a counter's key");
    return key->level == level ? 0 : STORE_NOT_FOUND;
}

static int gather(struct scan *scan, enum level level, int64_t window, struct gathered *gathered)
{
    size_t match = 0;

    gathered->count = 0;
    for (size_t i = 0; i < scan->block_count;) {
        struct block_key key = {.level = level, .window = window, .number = scan->blocks[i]};
        struct block block;
        struct text bytes, value;
        uint128 sum;
        int r = seek_block(scan, &key, &bytes, &value);

        if (r == STORE_NOT_FOUND || (r == 0 && key.window != window))
            return 0;
        if (r)
            return fault_pass(r);
        while (i < scan->block_count && scan->blocks[i] < key.number)
            i++;
        if (i == scan->block_count || scan->blocks[i] != key.number)
            continue;
        if (!block_decode(bytes, value, &block, &sum))
            return damaged("a block of counters");
        gather_block(scan, key.number, &block, &match, gathered);
        i++;
    }
    return 0;
}

/* --- into rows --- */

static int add_uniques(struct scan *scan, enum level level, int64_t window, uint32_t series,
                       struct row *row)
{
    struct unique wanted = {.key = cell_key(window, series)};
    uint8_t prefix[UNIQUE_KEY_BYTES];
    struct text key, value;
    int r;

    unique_store_key(level, &wanted, prefix);
    key = text_from(prefix, sizeof(prefix));
    for (r = store_cursor_seek(scan->unique_cursor, &key, &value);
         r == 0 && key.length == UNIQUE_KEY_BYTES &&
         memcmp(key.at, prefix, UNIQUE_PREFIX_BYTES) == 0;
         r = store_cursor_next(scan->unique_cursor, &key, &value))
        row_add_unique(row, (const uint8_t *)key.at + UNIQUE_PREFIX_BYTES);
    return r == STORE_NOT_FOUND ? 0 : r;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int add_cells(struct scan *scan, enum level level, int64_t window,
                     const struct gathered *gathered)
{
    const struct query *query = scan->query;
    int64_t from = query->from_minute, to = query->to_minute;

    if (query->has_window) {
        from = later(from, scan->window_from);
        to = -later(-scan->window_to, to == INT64_MAX ? -INT64_MAX : -to);
    }
    for (size_t i = 0; i < gathered->count; i++) {
        const struct match *match = &scan->matches[gathered->at[i].match];
        const struct cell *cell = &gathered->at[i].cell;
        struct total total = {.aggregation = query->aggregation,
                              .value = cell->value,
                              .count = cell->count,
                              .time = cell->time};
        struct row *row;
        int r;

        if (rows_take(scan->rows, from, to, match->group, query->aggregation, &row))
            return SCAN_TOO_MANY_ROWS;
        if (query->aggregation == AGGREGATION_UNIQUE_COUNT) {
            r = add_uniques(scan, level, window, match->series, row);
            if (r)
                return fault_pass(r);
        } else if (row_add(row, &total)) {
            return SCAN_OVERFLOW;
        }
    }
    return 0;
}

/* --- the walk --- */

static int walk(struct scan *scan, enum level level, int64_t first, int64_t end);

/* The finer counters of a window that lies across an edge of the query. */
static int descend(struct scan *scan, enum level level, int64_t window)
{
    int64_t minutes = level_minutes(level), day = floor_divide(window * minutes, MINUTES_A_DAY);
    enum level finer = level == LEVEL_DAY ? LEVEL_QUARTER : LEVEL_MINUTE;
    int64_t ratio = minutes / level_minutes(finer);

    if (level == LEVEL_MINUTE)
        return SCAN_FINER_THAN_STORED;
    if (day < (finer == LEVEL_QUARTER ? scan->first_quarter_day : scan->first_minute_day))
        return SCAN_FINER_THAN_STORED;
    return walk(scan, finer, window * ratio, (window + 1) * ratio);
}

static int visit(struct scan *scan, enum level level, int64_t window, struct gathered *gathered)
{
    int64_t minutes = level_minutes(level);
    enum place place;
    int r = place_of(scan, window * minutes, (window + 1) * minutes, &place);

    if (r || place == PLACE_OUTSIDE)
        return r;
    r = gather(scan, level, window, gathered);
    if (r || gathered->count == 0)
        return r;
    return place == PLACE_INSIDE ? add_cells(scan, level, window, gathered)
                                 : descend(scan, level, window);
}

static void gathered_deinit(struct gathered *gathered)
{
    free(gathered->at);
}

/* Visits the level's windows that exist in [first, end). */
static int walk(struct scan *scan, enum level level, int64_t first, int64_t end)
{
    CLEANUP(gathered_deinit) struct gathered gathered = {0};

    for (int64_t window = first; window < end; window++) {
        struct block_key key = {.level = level, .window = window, .number = scan->blocks[0]};
        struct text bytes, value;
        int r = seek_block(scan, &key, &bytes, &value);

        if (r == STORE_NOT_FOUND)
            return 0;
        if (r)
            return fault_pass(r);
        window = key.window;
        if (window >= end)
            return 0;
        r = visit(scan, level, window, &gathered);
        if (r)
            return r;
    }
    return 0;
}

static int walk_days(struct scan *scan)
{
    const struct query *query = scan->query;
    int64_t least = instant_day((struct instant){.ns = INT64_MIN});
    int64_t most = instant_day((struct instant){.ns = INT64_MAX}) + 1;
    int64_t first = query->has_from ? floor_divide(query->from_minute, MINUTES_A_DAY) : least;
    int64_t end = query->has_to ? floor_divide(query->to_minute - 1, MINUTES_A_DAY) + 1 : most;
    int r = store_cursor_new(scan->txn, VAULT_CELLS, &scan->cursor);

    first = later(first, least);
    end = -later(-end, -most);
    if (!r)
        r = store_cursor_new(scan->txn, VAULT_UNIQUES, &scan->unique_cursor);
    if (!r)
        r = walk(scan, LEVEL_DAY, first, end);
    store_cursor_drop(&scan->cursor);
    store_cursor_drop(&scan->unique_cursor);
    return r;
}

int scan_partition(struct store_txn *txn, const struct query *query, struct rows *rows)
{
    struct scan scan = {.txn = txn, .query = query, .rows = rows};
    struct vault_state state;
    int r = vault_read_state(txn, &state);

    if (r == VAULT_EMPTY)
        return 0;
    if (r == VAULT_DAMAGED)
        return damaged("its state");
    if (r)
        return fault_pass(r);
    scan.first_minute_day = scan.first_quarter_day = INT32_MIN;
    if (state.clock_ms != INT64_MIN) {
        scan.first_minute_day = rollup_first_open_day(state.clock_ms, state.horizon_ms);
        scan.first_quarter_day = rollup_first_quarter_day(state.clock_ms, state.horizon_ms);
    }
    r = match_all(&scan);
    if (!r && scan.match_count)
        r = walk_days(&scan);
    free(scan.matches);
    free(scan.blocks);
    return r;
}
