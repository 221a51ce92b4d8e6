#include "aggregator/edges/span_read.h"

#include "aggregator/edges/vault.h"
#include "aggregator/rules/rollup.h"
#include "aggregator/rules/runs.h"
#include "common/base/fault.h"

#include <stdlib.h>
#include <string.h>

void span_read_init(struct span_read *read, struct store_txn *txn)
{
    *read = (struct span_read){.txn = txn};
}

void span_read_deinit(struct span_read *read)
{
    free(read->hashes);
    *read = (struct span_read){0};
}

void span_read_begin(struct span_read *read, enum aggregation aggregation)
{
    read->total = (struct total){.aggregation = aggregation};
    read->hash_count = 0;
}

static void add_hash(struct span_read *read, const uint8_t hash[16])
{
    if (read->hash_count == read->hash_room) {
        read->hash_room = read->hash_room ? read->hash_room * 2 : 64;
        read->hashes = realloc(read->hashes, read->hash_room * sizeof(*read->hashes));
        if (!read->hashes)
            abort();
    }
    memcpy(read->hashes[read->hash_count++], hash, sizeof(*read->hashes));
}

/* The values of one window: a stretch of keys with one prefix. */
static int read_uniques(struct span_read *read, enum level level, uint64_t key)
{
    CLEANUP(store_cursor_drop) struct store_cursor *cursor = NULL;
    struct unique unique = {.key = key};
    uint8_t first[UNIQUE_KEY_BYTES];
    struct text at = text_from(first, sizeof(first)), value;
    enum level found_level;
    int r = store_cursor_new(read->txn, VAULT_UNIQUES, &cursor);

    if (r)
        return fault_pass(r);
    unique_store_key(level, &unique, first);
    for (r = store_cursor_seek(cursor, &at, &value); r == 0;
         r = store_cursor_next(cursor, &at, &value)) {
        struct unique found;

        if (!unique_from_store_key(at, &found_level, &found))
            return fault(FAULT_STOP, "a unique value is damaged");
        if (found_level != level || found.key != key)
            return 0;
        add_hash(read, found.hash);
    }
    return r == STORE_NOT_FOUND ? 0 : fault_pass(r);
}

static int read_block(struct span_read *read, struct block_key where)
{
    uint8_t bytes[BLOCK_KEY_BYTES];
    struct text key = text_from(bytes, sizeof(bytes)), value;
    uint128 sum;
    int r;

    block_key_encode(where, bytes);
    if (read->has_block && memcmp(read->key, bytes, sizeof(bytes)) == 0)
        return 0;
    read->has_block = false;
    r = store_get(read->txn, VAULT_CELLS, key, &value);
    if (r == STORE_NOT_FOUND)
        read->block.bitmap = 0;
    else if (r)
        return fault_pass(r);
    else if (!block_decode(key, value, &read->block, &sum))
        return fault(FAULT_STOP, "a block of counters is damaged");
    memcpy(read->key, bytes, sizeof(bytes));
    read->has_block = true;
    return 0;
}

static int read_cell(struct span_read *read, enum level level, int64_t window, uint32_t series)
{
    struct block_key where = {.level = level, .window = window, .number = series / BLOCK_CELLS};
    const struct cell *cell = &read->block.cells[series % BLOCK_CELLS];
    struct total more = {.aggregation = read->total.aggregation};
    int r = read_block(read, where);

    if (r)
        return fault_pass(r);
    if (!(read->block.bitmap >> series % BLOCK_CELLS & 1))
        return 0;
    if (more.aggregation == AGGREGATION_UNIQUE_COUNT)
        return read_uniques(read, level, cell_key(window, series));
    more.value = cell->value;
    more.count = cell->count;
    more.time = cell->time;
    if (total_merge(&read->total, &more))
        return fault(FAULT_STOP, "a total is beyond what its partition can have counted");
    return 0;
}

int span_read_series(struct span_read *read, uint32_t series, int64_t from, int64_t to)
{
    struct run runs[RUNS_MAX];
    size_t count = runs_of(from, to, LEVEL_DAY, runs);

    for (size_t i = 0; i < count; i++) {
        int64_t length = level_minutes(runs[i].level);

        for (int64_t minute = runs[i].from; minute < runs[i].to; minute += length) {
            int r = read_cell(read, runs[i].level, floor_divide(minute, length), series);

            if (r)
                return fault_pass(r);
        }
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

void span_read_finish(struct span_read *read)
{
    size_t kept = 0;

    if (read->total.aggregation != AGGREGATION_UNIQUE_COUNT)
        return;
    if (read->hash_count > 1)
        qsort(read->hashes, read->hash_count, sizeof(*read->hashes), compare);
    for (size_t i = 0; i < read->hash_count; i++)
        if (kept == 0 || compare(read->hashes[kept - 1], read->hashes[i]) != 0)
            memmove(read->hashes[kept++], read->hashes[i], sizeof(*read->hashes));
    read->hash_count = kept;
    read->total.count = kept;
}

bool span_is_stored(const struct tally *tally, int64_t from, int64_t to)
{
    struct run runs[RUNS_MAX];
    size_t count = runs_of(from, to, LEVEL_DAY, runs);

    if (tally->clock_ms == INT64_MIN)
        return true;
    for (size_t i = 0; i < count; i++) {
        int64_t day = level_window(LEVEL_DAY, runs[i].from);

        if (runs[i].level == LEVEL_MINUTE && day < tally->first_open_day)
            return false;
        if (runs[i].level == LEVEL_QUARTER &&
            day < rollup_first_quarter_day(tally->clock_ms, tally->horizon_ms))
            return false;
    }
    return true;
}
