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
#include <string.h>

enum { RUN_SHORT_IDS = 120 /* a last run below this is written again */ };

struct commit {
    struct store_txn *txn;
    struct tally *tally;
    struct cell_list cells;
    struct unique_list uniques;
    size_t next_unique;
    uint128 ledger_sum, numbers_sum;
    int32_t first_day[LEVELS]; /* from which the level is kept */
    struct buffer key, value;
};

static void commit_deinit(struct commit *commit)
{
    store_abort(&commit->txn);
    cell_list_deinit(&commit->cells);
    unique_list_deinit(&commit->uniques);
    buffer_deinit(&commit->key);
    buffer_deinit(&commit->value);
}

/* --- series --- */

static int write_series(struct commit *commit, uint32_t id)
{
    struct text encoded = commit->tally->series.series[id].encoded;
    struct usage_series series;
    uint8_t number[4];
    int r;

    if (!series_decode(encoded, &series))
        assert(!"a registered series can be decoded");
    order_store_u32(number, id);
    buffer_clear(&commit->value);
    buffer_add_text(&commit->value, encoded);
    sealed_close(text_from(number, sizeof(number)), &commit->value);
    r = store_put(commit->txn, VAULT_SERIES, text_from(number, sizeof(number)),
                  buffer_text(&commit->value));
    if (r)
        return fault_pass(r);

    buffer_clear(&commit->key);
    buffer_add_text(&commit->key, series.meter);
    buffer_add_char(&commit->key, 0);
    buffer_add_text(&commit->key, series.subscription);
    buffer_add_char(&commit->key, 0);
    buffer_add(&commit->key, number, sizeof(number));
    return store_put(commit->txn, VAULT_NAMES, buffer_text(&commit->key), text_from("", 0));
}

static int write_new_series(struct commit *commit)
{
    for (uint32_t id = commit->tally->series_committed; id < commit->tally->series.count; id++) {
        int r = write_series(commit, id);

        if (r)
            return fault_pass(r);
    }
    return 0;
}

/* --- unique values and cells of one level --- */

static struct day *day_of(const struct commit *commit, enum level level, int64_t window)
{
    int64_t minute = window * level_minutes(level);

    return days_find(&commit->tally->days, floor_divide(minute, MINUTES_A_DAY));
}

/* Writes the values of one cell that its window hasn't seen; their number becomes the cell's count.
 */
static int write_uniques(struct commit *commit, enum level level, struct cell *cell)
{
    const struct unique_list *list = &commit->uniques;
    const uint8_t *series = commit->tally->series.series[cell_series(cell->key)].hash;
    int64_t window = cell_window(cell->key);

    while (commit->next_unique < list->count && list->uniques[commit->next_unique].key < cell->key)
        commit->next_unique++;
    for (; commit->next_unique < list->count; commit->next_unique++) {
        const struct unique *unique = &list->uniques[commit->next_unique];
        uint8_t bytes[UNIQUE_KEY_BYTES];
        struct text value;
        int r;

        if (unique->key != cell->key)
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
        cell->count++;
    }
    return 0;
}

/* Merges a cell into its place of the block. */
static void merge_cell(struct commit *commit, enum level level, struct block *block,
                       const struct cell *cell)
{
    uint32_t place = cell_series(cell->key) % BLOCK_CELLS;
    const uint8_t *series = commit->tally->series.series[cell_series(cell->key)].hash;
    uint128 *sum = &day_of(commit, level, cell_window(cell->key))->staged.levels[level];
    struct cell merged = {.aggregation = cell->aggregation};
    struct total total, more = cell_total(cell);

    if (block->bitmap >> place & 1) {
        merged.value = block->cells[place].value;
        merged.count = block->cells[place].count;
        merged.time = block->cells[place].time;
        total = cell_total(&merged);
        *sum -= digest_cell(level, cell_window(cell->key), series, &total);
    }
    cell_merge(&merged, &more);
    total = cell_total(&merged);
    *sum += digest_cell(level, cell_window(cell->key), series, &total);
    block->bitmap |= UINT64_C(1) << place;
    block->cells[place] =
        (struct block_cell){.value = merged.value, .count = merged.count, .time = merged.time};
}

static int read_block(struct commit *commit, struct text key, struct block *block)
{
    struct text value;
    int r = store_get(commit->txn, VAULT_CELLS, key, &value);

    block->bitmap = 0;
    if (r == STORE_NOT_FOUND)
        return 0;
    if (r)
        return fault_pass(r);
    if (!block_decode(key, value, block))
        return fault(FAULT_STOP, "partition %d: a block of counters is damaged",
                     commit->tally->partition);
    return 0;
}

/* Writes the block that cell `first` lies in, with all that lie there too; *end is the one after.
 */
static int write_block(struct commit *commit, enum level level, size_t first, size_t *end)
{
    const struct cell_list *list = &commit->cells;
    struct block_key where = {.level = level,
                              .window = cell_window(list->cells[first].key),
                              .number = cell_series(list->cells[first].key) / BLOCK_CELLS};
    uint8_t key[BLOCK_KEY_BYTES], bytes[BLOCK_BYTES_MAX];
    struct block block;
    size_t i = first;
    int r;

    block_key_encode(where, key);
    r = read_block(commit, text_from(key, sizeof(key)), &block);
    if (r)
        return fault_pass(r);
    for (; i < list->count && cell_window(list->cells[i].key) == where.window &&
           cell_series(list->cells[i].key) / BLOCK_CELLS == where.number;
         i++) {
        if (list->cells[i].aggregation == AGGREGATION_UNIQUE_COUNT) {
            r = write_uniques(commit, level, &list->cells[i]);
            if (r)
                return fault_pass(r);
        }
        merge_cell(commit, level, &block, &list->cells[i]);
    }
    *end = i;
    return store_put(commit->txn, VAULT_CELLS, text_from(key, sizeof(key)),
                     text_from(bytes, block_encode(&block, text_from(key, sizeof(key)), bytes)));
}

static int write_level(struct commit *commit, enum level level)
{
    int64_t first_window =
        commit->first_day[level] == INT32_MIN
            ? INT64_MIN
            : level_window(level, (int64_t)commit->first_day[level] * MINUTES_A_DAY);

    commit->next_unique = 0;
    for (size_t i = 0; i < commit->cells.count;) {
        int r;

        if (cell_window(commit->cells.cells[i].key) < first_window) {
            i++;
            continue;
        }
        r = write_block(commit, level, i, &i);
        if (r)
            return fault_pass(r);
    }
    return 0;
}

static int write_levels(struct commit *commit)
{
    int r = 0;

    cells_list(&commit->tally->cells, &commit->cells);
    uniques_list(&commit->tally->uniques, &commit->uniques);
    for (int level = LEVEL_MINUTE; level < LEVELS && r == 0; level++) {
        if (level > LEVEL_MINUTE) {
            cell_list_coarsen(&commit->cells, (enum level)(level - 1), (enum level)level);
            unique_list_coarsen(&commit->uniques, (enum level)(level - 1), (enum level)level);
            for (size_t i = 0; i < commit->cells.count; i++)
                if (commit->cells.cells[i].aggregation == AGGREGATION_UNIQUE_COUNT)
                    commit->cells.cells[i].count = 0;
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

static int write_accounts(struct commit *commit)
{
    const struct ledger *ledger = &commit->tally->ledger;

    for (uint32_t i = 0; i < ledger->dirty_count; i++) {
        const struct account *account = &ledger->accounts[ledger->dirty[i]];
        uint8_t bytes[ACCOUNT_BYTES];
        int r;

        assert(account_balances(&account->counts));
        if (account->is_stored)
            commit->ledger_sum -= digest_account(account->subscription, &account->committed);
        commit->ledger_sum += digest_account(account->subscription, &account->counts);
        account_key(account->subscription, &commit->key);
        account_encode(account, buffer_text(&commit->key), bytes);
        r = store_put(commit->txn, VAULT_LEDGER, buffer_text(&commit->key),
                      text_from(bytes, sizeof(bytes)));
        if (r)
            return fault_pass(r);
    }
    return 0;
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
        (r = vault_prune(commit->txn, tally)))
        return fault_pass(r);
    state->next_offset = tally->next_offset;
    state->watermark_ms = tally->watermark_ms;
    state->clock_ms = tally->clock_ms;
    state->gross = tally->gross;
    state->ledger_sum = commit->ledger_sum;
    state->numbers_sum = commit->numbers_sum;
    state->digest = vault_digest(tally, commit->ledger_sum + commit->numbers_sum);
    state_encode(state, bytes);
    return store_put(commit->txn, VAULT_STATE, text_of(VAULT_STATE_KEY),
                     text_from(bytes, sizeof(bytes)));
}

int vault_commit(struct vault *vault, struct tally *tally)
{
    CLEANUP(commit_deinit) struct commit commit = {.tally = tally, .ledger_sum = tally->ledger_sum};
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
    numbered_committed(&tally->numbered, commit.numbers_sum);
    tally_committed(tally);
    return 0;
}
