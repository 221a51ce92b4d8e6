/*
 * A commit, in this order: new series; each level's unique values and cells; ids; accounts; days;
 * numbers; the position and digest. The tally isn't changed before all of it is on disk, so that a
 * commit can be tried again: what a day's row will say is worked out in `staged`.
 */
#include "aggregator/edges/vault_parts.h"

#include "aggregator/rules/block.h"
#include "aggregator/rules/order.h"
#include "aggregator/rules/rollup.h"
#include "common/base/fault.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_SHORT_IDS = 120 /* a last run below this is written again */ };

struct commit {
    struct store_txn *txn;
    struct tally *tally;
    struct store_cursor *cursor; /* of the table that is written */
    struct cell_list cells;
    struct unique_list uniques;
    size_t next_unique;
    uint128 ledger_sum, names_sum, numbers_sum;
    int32_t first_day[LEVELS]; /* from which the level is kept */
    struct buffer key, value;
};

static void commit_deinit(struct commit *commit)
{
    store_abort(&commit->txn);
    store_cursor_free(commit->cursor);
    cell_list_deinit(&commit->cells);
    unique_list_deinit(&commit->uniques);
    buffer_deinit(&commit->key);
    buffer_deinit(&commit->value);
}

static int begin_table(struct commit *commit, enum vault_table table)
{
    commit->cursor = store_cursor_free(commit->cursor);
    return store_cursor_new(commit->txn, table, &commit->cursor);
}

static int damaged(const struct commit *commit, const char *what)
{
    return fault(FAULT_STOP, "partition %d: %s is damaged", commit->tally->partition, what);
}

/* --- series --- */

static int write_series(struct commit *commit, uint32_t id)
{
    struct text encoded = series_text(&commit->tally->series.series[id]);
    uint8_t number[4];

    order_store_u32(number, id);
    buffer_clear(&commit->value);
    buffer_add_text(&commit->value, encoded);
    sealed_close(text_from(number, sizeof(number)), &commit->value);
    commit->names_sum += digest_name(DIGEST_SERIES, id, encoded);
    return store_append(commit->txn, VAULT_SERIES, text_from(number, sizeof(number)),
                        buffer_text(&commit->value));
}

static void add_name(const struct registry *registry, uint32_t id, struct buffer *names)
{
    struct usage_series series;
    uint8_t number[4];

    if (!series_decode(series_text(&registry->series[id]), &series))
        assert(!"a registered series can be decoded");
    order_store_u32(number, id);
    buffer_add_text(names, series.meter);
    buffer_add_char(names, 0);
    buffer_add_text(names, series.subscription);
    buffer_add_char(names, 0);
    buffer_add(names, number, sizeof(number));
}

static int compare_texts(const void *a, const void *b)
{
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

/* In the order of their keys, so that neighbours are written together. */
static int write_names(struct commit *commit, struct text *names, size_t count)
{
    int r = begin_table(commit, VAULT_NAMES);

    qsort(names, count, sizeof(*names), compare_texts);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = store_cursor_put(commit->cursor, names[i], text_from("", 0));
    return r ? fault_pass(r) : 0;
}

static int write_new_names(struct commit *commit)
{
    const struct registry *registry = &commit->tally->series;
    uint32_t first = commit->tally->series_committed;
    size_t count = registry->count - first;
    struct text *names = malloc((count + 1) * sizeof(*names));
    CLEANUP(buffer_deinit) struct buffer all = {0};
    int r;

    if (!names)
        abort();
    for (size_t i = 0; i < count; i++) {
        names[i].length = all.length;
        add_name(registry, first + (uint32_t)i, &all);
    }
    for (size_t i = 0; i < count; i++) {
        size_t end = i + 1 < count ? names[i + 1].length : all.length;

        names[i] = text_from(all.at + names[i].length, end - names[i].length);
    }
    r = write_names(commit, names, count);
    free(names);
    return r ? fault_pass(r) : 0;
}

static int write_new_series(struct commit *commit)
{
    if (commit->tally->series_committed == commit->tally->series.count)
        return 0;
    for (uint32_t id = commit->tally->series_committed; id < commit->tally->series.count; id++) {
        int r = write_series(commit, id);

        if (r)
            return fault_pass(r);
    }
    return write_new_names(commit);
}

/* --- unique values and cells of one level --- */

static struct day *day_of(const struct commit *commit, enum level level, int64_t window)
{
    int64_t minute = window * level_minutes(level);

    return days_find(&commit->tally->days, floor_divide(minute, MINUTES_A_DAY));
}

/* Writes the values of one cell that its window hasn't seen, and adds their number to its count. */
static int write_uniques(struct commit *commit, enum level level, uint64_t key, uint64_t *count)
{
    const struct unique_list *list = &commit->uniques;
    int64_t window = cell_window(key);
    uint8_t series[16];

    series_hash(&commit->tally->series.series[cell_series(key)], series);
    while (commit->next_unique < list->count && list->uniques[commit->next_unique].key < key)
        commit->next_unique++;
    for (; commit->next_unique < list->count; commit->next_unique++) {
        const struct unique *unique = &list->uniques[commit->next_unique];
        uint8_t bytes[UNIQUE_KEY_BYTES];
        struct text value;
        int r;

        if (unique->key != key)
            return 0;
        unique_store_key(level, unique, bytes);
        r = store_get(commit->txn, VAULT_UNIQUES, text_from(bytes, sizeof(bytes)), &value);
        if (r == 0)
            continue;
        if (r != STORE_NOT_FOUND)
            return fault_pass(r);
        r = store_put(commit->txn, VAULT_UNIQUES, text_from(bytes, sizeof(bytes)),
                      text_from("", 0));
        if (r)
            return fault_pass(r);
        day_of(commit, level, window)->staged.levels[level] +=
            digest_unique(level, window, series, unique->hash);
        ++*count;
    }
    return 0;
}

/* The same for each place of the block that counts unique values and was touched. */
static int write_block_uniques(struct commit *commit, struct block_key where, size_t first,
                               size_t end, struct block *block)
{
    const uint8_t *aggregations =
        commit->tally->series.aggregations + (size_t)where.number * BLOCK_CELLS;

    for (uint32_t place = 0; place < BLOCK_CELLS; place++) {
        uint64_t key = cell_key(where.window, where.number * BLOCK_CELLS + place);
        bool touched = false;
        int r;

        for (size_t i = first; i < end && aggregations[place] == AGGREGATION_UNIQUE_COUNT; i++)
            touched |= commit->cells.runs[i].present >> place & 1;
        if (!touched)
            continue;
        r = write_uniques(commit, where.level, key, &block->cells[place].count);
        if (r)
            return fault_pass(r);
        block->bitmap |= UINT64_C(1) << place;
    }
    return 0;
}

/* The block as the store has it, empty where it has none, and its share of the digest. */
static int read_block(struct commit *commit, struct text key, struct block *block, uint128 *sum)
{
    struct text value;
    int r = store_cursor_find(commit->cursor, key, &value);

    *sum = 0;
    if (r == STORE_NOT_FOUND) {
        memset(block, 0, sizeof(*block));
        return 0;
    }
    if (r)
        return fault_pass(r);
    if (!block_decode(key, value, block, sum))
        return damaged(commit, "a block of counters");
    return 0;
}

static int put_block(struct commit *commit, struct block_key where, const struct block *block,
                     uint128 old_sum)
{
    uint8_t key[BLOCK_KEY_BYTES], bytes[BLOCK_BYTES_MAX];
    uint128 *sum = &day_of(commit, where.level, where.window)->staged.levels[where.level];
    size_t length;
    uint128 new_sum;

    block_key_encode(where, key);
    length = block_encode(block, text_from(key, sizeof(key)), bytes, &new_sum);
    *sum += new_sum - old_sum;
    return store_cursor_put(commit->cursor, text_from(key, sizeof(key)), text_from(bytes, length));
}

/* Merges the runs [first, end), which are one block's, with what the store has. */
static int write_block(struct commit *commit, enum level level, size_t first, size_t end)
{
    uint64_t run_key = commit->cells.runs[first].key;
    struct block_key where = {
        .level = level, .window = cell_window(run_key), .number = cell_series(run_key)};
    const uint8_t *aggregations =
        commit->tally->series.aggregations + (size_t)where.number * BLOCK_CELLS;
    uint8_t key[BLOCK_KEY_BYTES];
    struct block block;
    uint128 old_sum;
    int r;

    block_key_encode(where, key);
    r = read_block(commit, text_from(key, sizeof(key)), &block, &old_sum);
    if (r)
        return fault_pass(r);
    for (size_t i = first; i < end; i++) {
        size_t next = i + end - first; /* fetched while this block is written */

        if (next < commit->cells.count)
            cell_run_prefetch(&commit->cells.runs[next]);
        block_merge(&block, &commit->cells.runs[i], aggregations);
    }
    if (commit->uniques.count > 0) {
        r = write_block_uniques(commit, where, first, end, &block);
        if (r)
            return fault_pass(r);
    }
    return put_block(commit, where, &block, old_sum);
}

static int write_level(struct commit *commit, enum level level)
{
    int64_t first_window =
        commit->first_day[level] == INT32_MIN
            ? INT64_MIN
            : level_window(level, (int64_t)commit->first_day[level] * MINUTES_A_DAY);

    commit->next_unique = 0;
    for (size_t i = 0, end; i < commit->cells.count; i = end) {
        uint64_t key = commit->cells.runs[i].key;
        int r;

        for (end = i + 1; end < commit->cells.count && commit->cells.runs[end].key == key;)
            end++;
        if (cell_window(key) < first_window)
            continue;
        r = write_block(commit, level, i, end);
        if (r)
            return fault_pass(r);
    }
    return 0;
}

static int write_levels(struct commit *commit)
{
    int r = begin_table(commit, VAULT_CELLS);

    cells_list(&commit->tally->cells, &commit->cells);
    uniques_list(&commit->tally->uniques, &commit->uniques);
    for (int level = LEVEL_MINUTE; level < LEVELS && r == 0; level++) {
        if (level > LEVEL_MINUTE) {
            cell_list_coarsen(&commit->cells, (enum level)(level - 1), (enum level)level);
            unique_list_coarsen(&commit->uniques, (enum level)(level - 1), (enum level)level);
        }
        r = write_level(commit, (enum level)level);
    }
    return r ? fault_pass(r) : 0;
}

/* --- ids --- */

/* Takes a short last run into the value, so that it is written again, longer. */
static int take_last_run(struct commit *commit, struct day *day)
{
    uint8_t key[ID_KEY_BYTES];
    struct text value, content;
    int r;

    buffer_clear(&commit->value);
    if (day->staged_runs == 0)
        return 0;
    id_key(day->number, day->staged_runs - 1, key);
    r = store_get(commit->txn, VAULT_IDS, text_from(key, sizeof(key)), &value);
    if (r == STORE_NOT_FOUND)
        return fault(FAULT_STOP, "partition %d: a run of ids is missing", commit->tally->partition);
    if (r)
        return fault_pass(r);
    if (value.length >= RUN_SHORT_IDS * sizeof(struct fingerprint))
        return 0;
    if (!sealed_open(text_from(key, sizeof(key)), value, &content))
        return fault(FAULT_STOP, "partition %d: a run of ids is damaged", commit->tally->partition);
    buffer_add_text(&commit->value, content);
    day->staged_runs--;
    return 0;
}

static int write_ids(struct commit *commit, struct day *day)
{
    size_t most = VAULT_RUN_IDS_MAX * sizeof(struct fingerprint);
    const char *from = (const char *)day->ids.fresh;
    size_t left = day->ids.fresh_count * sizeof(struct fingerprint);
    uint8_t key[ID_KEY_BYTES];
    int r = left ? take_last_run(commit, day) : 0;

    while (r == 0 && left > 0) {
        size_t part = most - commit->value.length;

        part = part < left ? part : left;
        buffer_add(&commit->value, from, part);
        from += part;
        left -= part;
        id_key(day->number, day->staged_runs++, key);
        sealed_close(text_from(key, sizeof(key)), &commit->value);
        r = store_put(commit->txn, VAULT_IDS, text_from(key, sizeof(key)),
                      buffer_text(&commit->value));
        buffer_clear(&commit->value);
    }
    return r ? fault_pass(r) : 0;
}

/* --- days, accounts, state --- */

static void stage_days(struct commit *commit)
{
    for (struct day *day = days_next(&commit->tally->days, INT32_MIN); day;
         day = days_next(&commit->tally->days, (int64_t)day->number + 1)) {
        day->staged = day->sums;
        day->staged_runs = day->runs;
    }
}

static int write_days(struct commit *commit)
{
    for (struct day *day = days_next(&commit->tally->days, INT32_MIN); day;
         day = days_next(&commit->tally->days, (int64_t)day->number + 1)) {
        uint8_t key[DAY_KEY_BYTES], bytes[DAY_BYTES];
        int r;

        if (!day->is_dirty)
            continue;
        r = write_ids(commit, day);
        if (r)
            return fault_pass(r);
        day->staged.ids = day_ids_sum(day);
        day_key(day->number, key);
        day_encode(day, bytes);
        r = store_put(commit->txn, VAULT_DAYS, text_from(key, sizeof(key)),
                      text_from(bytes, sizeof(bytes)));
        if (r)
            return fault_pass(r);
    }
    return 0;
}

static int write_account_names(struct commit *commit)
{
    const struct ledger *ledger = &commit->tally->ledger;

    for (uint32_t i = ledger->committed_count; i < ledger->count; i++) {
        uint8_t number[4];
        int r;

        order_store_u32(number, i);
        account_name_encode(ledger->names[i], &commit->value);
        sealed_close(text_from(number, sizeof(number)), &commit->value);
        commit->names_sum += digest_name(DIGEST_ACCOUNT, i, ledger->names[i]);
        r = store_append(commit->txn, VAULT_ACCOUNTS, text_from(number, sizeof(number)),
                         buffer_text(&commit->value));
        if (r)
            return fault_pass(r);
    }
    return 0;
}

static int write_counts(struct commit *commit, uint32_t block)
{
    uint8_t key[4], bytes[LEDGER_BYTES_MAX];
    uint128 old_sum = 0, new_sum;
    struct text value;
    size_t length;
    int r;

    order_store_u32(key, block);
    r = store_cursor_find(commit->cursor, text_from(key, sizeof(key)), &value);
    if (r == 0 && !block_sealed(text_from(key, sizeof(key)), value, &old_sum))
        return damaged(commit, "a row of the ledger");
    if (r < 0)
        return fault_pass(r);
    length =
        ledger_encode(&commit->tally->ledger, block, text_from(key, sizeof(key)), bytes, &new_sum);
    commit->ledger_sum += new_sum - old_sum;
    return store_cursor_put(commit->cursor, text_from(key, sizeof(key)), text_from(bytes, length));
}

static int write_cuts(struct commit *commit, uint32_t block)
{
    uint8_t key[4];

    order_store_u32(key, block);
    buffer_clear(&commit->value);
    ledger_encode_cuts(&commit->tally->ledger, block, &commit->value);
    sealed_close(text_from(key, sizeof(key)), &commit->value);
    return store_cursor_put(commit->cursor, text_from(key, sizeof(key)),
                            buffer_text(&commit->value));
}

static int write_dirty(struct commit *commit, enum vault_table table, const uint64_t *dirty,
                       int (*write)(struct commit *commit, uint32_t block))
{
    const struct ledger *ledger = &commit->tally->ledger;
    int r = begin_table(commit, table);

    for (uint32_t block = ledger_next_dirty(ledger, dirty, 0); r == 0 && block != UINT32_MAX;
         block = ledger_next_dirty(ledger, dirty, block + 1))
        r = write(commit, block);
    return r ? fault_pass(r) : 0;
}

static int write_accounts(struct commit *commit)
{
    const struct ledger *ledger = &commit->tally->ledger;
    int r = write_account_names(commit);

    if (r == 0)
        r = write_dirty(commit, VAULT_LEDGER, ledger->dirty.counts, write_counts);
    if (r == 0)
        r = write_dirty(commit, VAULT_CUTS, ledger->dirty.cuts, write_cuts);
    return r ? fault_pass(r) : 0;
}

/* Two processes over one folder: the one whose position was overtaken must not write. */
static int check_alone(struct commit *commit, const struct vault_state *known)
{
    struct vault_state stored;
    int r = vault_read_state(commit->txn, &stored);

    if (r == VAULT_EMPTY && known->next_offset == 0)
        return 0;
    if (r < 0)
        return fault_pass(r);
    if (r || stored.next_offset != known->next_offset)
        return fault(FAULT_STOP,
                     "partition %d: another process has written into this folder (its position "
                     "isn't the one that we left): give each aggregator a --data of its own",
                     commit->tally->partition);
    return 0;
}

static int write_all(struct commit *commit, struct vault *vault, struct vault_state *state)
{
    struct tally *tally = commit->tally;
    uint8_t bytes[STATE_BYTES];
    int r;

    stage_days(commit);
    if ((r = check_alone(commit, &vault->state)) || (r = write_new_series(commit)) ||
        (r = write_levels(commit)) || (r = write_days(commit)) || (r = write_accounts(commit)) ||
        (r = vault_write_numbers(commit->txn, tally, &commit->value, &commit->numbers_sum)) ||
        (r = vault_write_followed(commit->txn, state->followed)) ||
        (r = vault_prune(commit->txn, tally)))
        return fault_pass(r);
    state->next_offset = tally->next_offset;
    state->watermark_ms = tally->watermark_ms;
    state->clock_ms = tally->clock_ms;
    state->gross = tally->gross;
    state->ledger_sum = commit->ledger_sum;
    state->numbers_sum = commit->numbers_sum;
    state->names_sum = commit->names_sum;
    state->digest =
        vault_digest(tally, commit->ledger_sum + commit->numbers_sum + commit->names_sum);
    state_encode(state, bytes);
    return store_put(commit->txn, VAULT_STATE, text_of(VAULT_STATE_KEY),
                     text_from(bytes, sizeof(bytes)));
}

int vault_commit(struct vault *vault, struct tally *tally)
{
    CLEANUP(commit_deinit)
    struct commit commit = {
        .tally = tally, .ledger_sum = tally->ledger_sum, .names_sum = tally->names_sum};
    struct vault_state state = vault->state;
    int r;

    state.partition = tally->partition;
    state.partitions = tally->partitions;
    state.horizon_ms = tally->horizon_ms;
    commit.first_day[LEVEL_MINUTE] = tally->first_open_day;
    commit.first_day[LEVEL_DAY] = INT32_MIN;
    commit.first_day[LEVEL_QUARTER] =
        tally->clock_ms == INT64_MIN ? INT32_MIN
                                     : rollup_first_quarter_day(tally->clock_ms, tally->horizon_ms);
    r = store_begin(vault->store, STORE_WRITE, &commit.txn);
    if (r)
        return fault_pass(r);
    r = write_all(&commit, vault, &state);
    if (r)
        return fault_pass(r);
    r = store_commit(&commit.txn);
    if (r)
        return fault_pass(r);
    vault->state = state;
    tally->ledger_sum = commit.ledger_sum;
    tally->names_sum = commit.names_sum;
    numbered_committed(&tally->numbered, commit.numbers_sum);
    tally_committed(tally);
    return 0;
}
