/*
 * Loading checks all that it reads: each row's checksum, the ids' and accounts' sums, and the whole
 * digest against the sums of the days. Verifying reads the levels that loading doesn't, too.
 */
#include "aggregator/edges/vault_parts.h"

#include "aggregator/rules/block.h"
#include "aggregator/rules/order.h"
#include "aggregator/rules/rollup.h"
#include "common/base/fault.h"
#include "common/base/partition.h"

#include <assert.h>
#include <string.h>

enum { IDS_LOADED_AT_ONCE = 64 };

struct load {
    struct store_txn *txn;
    struct store_cursor *cursor;
    struct tally *tally;
    struct vault_state state;
    struct buffer *reason;
};

static void load_deinit(struct load *load)
{
    store_cursor_free(load->cursor);
    store_abort(&load->txn);
}

static int damaged(struct load *load, const char *what)
{
    buffer_clear(load->reason);
    buffer_printf(load->reason, "partition %d: %s", load->tally->partition, what);
    return VAULT_DAMAGED;
}

/* A row of a table: 0, an outcome of load, or a fault. */
typedef int load_row(struct load *load, struct text key, struct text value, void *context);

/* Visits the rows from `first` until one doesn't begin with `prefix_length` bytes of it. */
static int each_row(struct load *load, enum vault_table table, struct text first,
                    size_t prefix_length, load_row *row, void *context)
{
    struct text key = first, value;
    int r = store_cursor_new(load->txn, table, &load->cursor);

    if (r)
        return fault_pass(r);
    for (r = store_cursor_seek(load->cursor, &key, &value); r == 0;
         r = store_cursor_next(load->cursor, &key, &value)) {
        if (key.length < prefix_length || memcmp(key.at, first.at, prefix_length) != 0)
            break;
        r = row(load, key, value, context);
        if (r)
            break;
    }
    load->cursor = store_cursor_free(load->cursor);
    if (r < 0)
        return fault_pass(r);
    return r == STORE_NOT_FOUND ? 0 : r;
}

/* --- rows: VAULT_DAMAGED is told from STORE_NOT_FOUND by its number --- */

_Static_assert((int)VAULT_DAMAGED != (int)STORE_NOT_FOUND, "each_row tells them apart");

static int load_account(struct load *load, struct text key, struct text value, void *context)
{
    struct ledger *ledger = &load->tally->ledger;
    struct text name, subscription;
    uint32_t number = ledger->count;
    uint128 *sum = context;

    if (key.length != 4 || order_load_u32((const uint8_t *)key.at) != number ||
        !sealed_open(key, value, &name) || !account_name_decode(name, &subscription) ||
        ledger_take(ledger, subscription) != number)
        return damaged(load, "the name of a row of the ledger is damaged or missing");
    ledger_set_misplaced(ledger, number,
                         !text_is_absent(subscription) &&
                             partition_of(subscription, load->tally->partitions) !=
                                 load->tally->partition);
    *sum += digest_name(DIGEST_ACCOUNT, number, subscription);
    return 0;
}

static int load_counts(struct load *load, struct text key, struct text value, void *context)
{
    struct ledger *ledger = &load->tally->ledger;
    struct ledger_rows rows;
    uint128 *sum = context;
    size_t first;

    if (key.length != 4 || !ledger_decode(key, value, &rows))
        return damaged(load, "a row of the ledger is damaged");
    first = (size_t)order_load_u32((const uint8_t *)key.at) * LEDGER_ROWS;
    if (first + rows.count > ledger->count)
        return damaged(load, "a row of the ledger has no name");
    for (size_t i = 0; i < rows.count; i++)
        ledger->accounts[first + i].counts = rows.at[i].counts;
    *sum += rows.sum;
    return 0;
}

static int load_cuts(struct load *load, struct text key, struct text value, void *context)
{
    struct text content;
    (void)context;

    if (key.length != 4 || !sealed_open(key, value, &content) ||
        !ledger_decode_cuts(content, &load->tally->ledger, order_load_u32((const uint8_t *)key.at)))
        return damaged(load, "a row of cuts is damaged");
    return 0;
}

static int load_series(struct load *load, struct text key, struct text value, void *context)
{
    struct registry *registry = &load->tally->series;
    struct usage_series series;
    struct text encoded;
    struct series_name name;
    uint128 *sum = context;
    uint32_t account;

    if (key.length != 4 || order_load_u32((const uint8_t *)key.at) != registry->count ||
        !sealed_open(key, value, &encoded) || !series_decode(encoded, &series))
        return damaged(load, "a series is damaged or missing");
    account = ledger_find(&load->tally->ledger, series.subscription);
    if (account == INDEX_NONE)
        return damaged(load, "a series belongs to no row of the ledger");
    *sum += digest_name(DIGEST_SERIES, registry->count, encoded);
    name = series_name_of(encoded);
    registry_add(registry, &name, account);
    return 0;
}

static int load_day(struct load *load, struct text key, struct text value, void *context)
{
    int32_t number;
    (void)context;

    if (!day_key_decode(key, &number) ||
        !day_decode(key, value, days_take(&load->tally->days, number)))
        return damaged(load, "the row of a day is damaged");
    return 0;
}

/* Gives the sealed days their filters; the newest, when there is no room for all. */
static void prepare_sealed(struct load *load)
{
    struct tally *tally = load->tally;
    int64_t bytes = 0;

    for (struct day *day = days_next(&tally->days, tally->first_open_day); day;
         day = days_next(&tally->days, (int64_t)day->number + 1))
        bytes += (int64_t)day->pages * SEALED_PAGE_IDS * BLOOM_BITS_AN_ID / 8;
    for (struct day *day = days_next(&tally->days, tally->first_open_day); day;
         day = days_next(&tally->days, (int64_t)day->number + 1)) {
        uint64_t ids = (uint64_t)day->pages * SEALED_PAGE_IDS;
        bool has_room = tally->filter_bytes_max == 0 || bytes <= tally->filter_bytes_max;

        if (day->pages == 0)
            continue;
        tally->days.has_sealed = true;
        day->sealed = sealed_new(day->generation, has_room ? ids : 0);
        bytes -= (int64_t)(ids * BLOOM_BITS_AN_ID / 8);
    }
}

/* A page of those that hold; others were left by a sealing that wasn't ended. */
static int load_page(struct load *load, struct day *day, uint32_t number, struct text content)
{
    struct fingerprint ids[SEALED_PAGE_IDS];
    size_t count = content.length / sizeof(*ids);

    if (!day->sealed || number >> 30 != (2 | day->generation) || (number & PAGE_MASK) >= day->pages)
        return 0;
    if (count > SEALED_PAGE_IDS || (number & PAGE_MASK) != day->sealed->pages)
        return damaged(load, "a page of sealed ids is damaged or missing");
    memcpy(ids, content.at, count * sizeof(*ids));
    return sealed_add_page(day->sealed, ids, count) ? 0
                                                    : damaged(load, "sealed ids are out of order");
}

/* Runs of one day follow one another: how many ids are in them. */
struct run_count {
    struct day *day;
    uint64_t ids;
};

/* As full as a table is on average, and not one id short of growing: who starts is behind as a
 * rule, and would move all the ids that it has just loaded. */
static void reserve_counted(const struct run_count *counted)
{
    if (counted->day && counted->day->is_open)
        dedup_reserve(&counted->day->ids, counted->ids + counted->ids / 4);
}

/* Goes by the rows' lengths alone, before load_run reads them. */
static int count_run(struct load *load, struct text key, struct text value, void *context)
{
    struct run_count *counted = context;
    struct day *day;

    if (key.length != ID_KEY_BYTES || order_load_u32((const uint8_t *)key.at + 4) & PAGE_BIT)
        return 0;
    day = days_find(&load->tally->days, window_unbiased(order_load_u32((const uint8_t *)key.at)));
    if (day != counted->day) {
        reserve_counted(counted);
        *counted = (struct run_count){.day = day};
    }
    counted->ids += value.length / sizeof(struct fingerprint);
    return 0;
}

/* In groups, so that the memory of a whole group is waited for at once. */
static void load_run_ids(struct dedup *dedup, struct text content)
{
    struct fingerprint ids[IDS_LOADED_AT_ONCE];

    while (content.length > 0) {
        size_t bytes = content.length < sizeof(ids) ? content.length : sizeof(ids);
        size_t count = bytes / sizeof(*ids);

        memcpy(ids, content.at, bytes);
        for (size_t i = 0; i < count; i++)
            dedup_fetch(dedup, &ids[i]);
        for (size_t i = 0; i < count; i++)
            dedup_load(dedup, &ids[i]);
        content = text_from(content.at + bytes, content.length - bytes);
    }
}

static int load_run(struct load *load, struct text key, struct text value, void *context)
{
    struct text content;
    struct day *day;
    (void)context;

    if (key.length != ID_KEY_BYTES || !sealed_open(key, value, &content) ||
        content.length % sizeof(struct fingerprint) != 0)
        return damaged(load, "a run of ids is damaged");
    day = days_find(&load->tally->days, window_unbiased(order_load_u32((const uint8_t *)key.at)));
    if (!day)
        return damaged(load, "a run of ids belongs to no day");
    if (!day->is_open)
        return 0;
    if (order_load_u32((const uint8_t *)key.at + 4) & PAGE_BIT)
        return load_page(load, day, order_load_u32((const uint8_t *)key.at + 4), content);
    load_run_ids(&day->ids, content);
    return 0;
}

/* Numbers stay where they are; what a batch asks for is recalled. */
static int load_numbers(struct load *load, struct text key, struct text value, void *context)
{
    (void)context;

    return vault_sum_numbers(key, value, &load->tally->numbered.sum)
               ? 0
               : damaged(load, "a row of numbers is damaged");
}

/* --- cells and unique values, summed again --- */

struct level_walk {
    enum level level;
    int32_t first_day;
    bool sees; /* note which series a day has seen */
};

/* The day of a window, when it is summed; NULL when it has aged. *unknown: no such day. */
static struct day *walked_day(struct load *load, const struct level_walk *walk, int64_t window,
                              bool *unknown)
{
    int64_t number = floor_divide(window * level_minutes(walk->level), MINUTES_A_DAY);
    struct day *day = number < walk->first_day ? NULL : days_find(&load->tally->days, number);

    *unknown = number >= walk->first_day && !day;
    return day;
}

static int walk_block(struct load *load, struct text key, struct text value, void *context)
{
    const struct level_walk *walk = context;
    struct block_key where;
    struct block block;
    struct day *day;
    uint128 sum;
    bool unknown;

    if (!block_key_decode(key, &where) || !block_decode(key, value, &block, &sum))
        return damaged(load, "a block of counters is damaged");
    day = walked_day(load, walk, where.window, &unknown);
    if (unknown)
        return damaged(load, "counters belong to no day");
    if (!day)
        return 0;
    day->staged.levels[walk->level] += sum;
    for (uint64_t bits = block.bitmap; bits; bits &= bits - 1) {
        uint32_t series = where.number * BLOCK_CELLS + (uint32_t)__builtin_ctzll(bits);

        if (series >= load->tally->series.count)
            return damaged(load, "a counter belongs to no series");
        if (walk->sees)
            day_see(day, series);
    }
    return 0;
}

static int walk_unique(struct load *load, struct text key, struct text value, void *context)
{
    const struct level_walk *walk = context;
    uint8_t series[16];
    struct unique unique;
    enum level level;
    struct day *day;
    bool unknown;
    (void)value;

    if (!unique_from_store_key(key, &level, &unique) ||
        cell_series(unique.key) >= load->tally->series.count)
        return damaged(load, "a unique value is damaged");
    day = walked_day(load, walk, cell_window(unique.key), &unknown);
    if (unknown)
        return damaged(load, "a unique value belongs to no day");
    if (!day)
        return 0;
    series_hash(&load->tally->series.series[cell_series(unique.key)], series);
    day->staged.levels[level] += digest_unique(level, cell_window(unique.key), series, unique.hash);
    return 0;
}

/* Sums a level's rows again from its first day on and compares them with what the days say. */
static int walk_level(struct load *load, struct level_walk walk)
{
    uint8_t first[5] = {(uint8_t)walk.level};
    struct days *days = &load->tally->days;
    int64_t start = walk.first_day == INT32_MIN
                        ? INT32_MIN
                        : level_window(walk.level, (int64_t)walk.first_day * MINUTES_A_DAY);
    int r;

    if (start > INT32_MIN)
        order_store_u32(first + 1, window_biased(start));
    for (struct day *day = days_next(days, walk.first_day); day;
         day = days_next(days, (int64_t)day->number + 1))
        day->staged.levels[walk.level] = 0;
    r = each_row(load, VAULT_CELLS, text_from(first, sizeof(first)), 1, walk_block, &walk);
    if (r == 0)
        r = each_row(load, VAULT_UNIQUES, text_from(first, sizeof(first)), 1, walk_unique, &walk);
    if (r)
        return r < 0 ? fault_pass(r) : r;
    for (struct day *day = days_next(days, walk.first_day); day;
         day = days_next(days, (int64_t)day->number + 1))
        if (day->staged.levels[walk.level] != day->sums.levels[walk.level])
            return damaged(load, "a day's counters don't match its digest");
    return 0;
}

/* --- the whole --- */

static int check_belongs(struct load *load)
{
    const struct vault_state *state = &load->state;
    const struct tally *tally = load->tally;

    buffer_clear(load->reason);
    if (state->partition != tally->partition)
        buffer_printf(load->reason, "the folder holds partition %d, not %d", state->partition,
                      tally->partition);
    else if (state->partitions != tally->partitions)
        buffer_printf(load->reason,
                      "partition %d was counted with %d partitions and the topic has %d now: ids "
                      "and totals can't be moved; make a new bucket",
                      tally->partition, state->partitions, tally->partitions);
    else if (state->horizon_ms != tally->horizon_ms)
        buffer_printf(load->reason,
                      "partition %d was counted with a dedup horizon of %lld s and is asked to go "
                      "on with %lld s, which would change verdicts: start with the old "
                      "--dedup-horizon, or count anew with an empty --data and --snapshots",
                      tally->partition, (long long)state->horizon_ms / 1000,
                      (long long)tally->horizon_ms / 1000);
    return load->reason->length ? VAULT_OTHER : 0;
}

static void restore_state(struct load *load)
{
    struct tally *tally = load->tally;

    tally->next_offset = load->state.next_offset;
    tally->watermark_ms = load->state.watermark_ms;
    tally->clock_ms = load->state.clock_ms;
    tally->gross = load->state.gross;
    tally->ledger_sum = load->state.ledger_sum;
    tally->names_sum = load->state.names_sum;
    tally_age(tally);
}

static int check_ids(struct load *load)
{
    const struct days *days = &load->tally->days;

    for (struct day *day = days_next(days, load->tally->first_open_day); day;
         day = days_next(days, (int64_t)day->number + 1))
        if (day_ids_sum(day) != day->sums.ids)
            return damaged(load, "a day's ids don't match its digest");
    return 0;
}

static int load_ids(struct load *load)
{
    int32_t first_day = load->tally->first_open_day;
    uint8_t first_run[ID_KEY_BYTES] = {0};
    struct text runs = text_from(first_run, sizeof(first_run));
    struct run_count counted = {0};
    int r;

    if (first_day > INT32_MIN)
        id_key(first_day, 0, first_run);
    prepare_sealed(load);
    r = each_row(load, VAULT_IDS, runs, 0, count_run, &counted);
    if (r == 0) {
        reserve_counted(&counted);
        r = each_row(load, VAULT_IDS, runs, 0, load_run, NULL);
    }
    if (r)
        return r < 0 ? fault_pass(r) : r;
    return check_ids(load);
}

static int load_all(struct load *load)
{
    struct tally *tally = load->tally;
    uint128 ledger_sum = 0, names_sum = 0;
    int r;

    restore_state(load);
    if ((r = each_row(load, VAULT_ACCOUNTS, text_from("", 0), 0, load_account, &names_sum)) ||
        (r = each_row(load, VAULT_LEDGER, text_from("", 0), 0, load_counts, &ledger_sum)) ||
        (r = each_row(load, VAULT_CUTS, text_from("", 0), 0, load_cuts, NULL)) ||
        (r = each_row(load, VAULT_SERIES, text_from("", 0), 0, load_series, &names_sum)) ||
        (r = each_row(load, VAULT_DAYS, text_from("", 0), 0, load_day, NULL)))
        return r < 0 ? fault_pass(r) : r;
    days_close(&tally->days, tally->first_open_day);
    tally->series_committed = tally->series.count;
    ledger_loaded(&tally->ledger);
    if (names_sum != load->state.names_sum)
        return damaged(load, "the series don't match their digest");
    if (ledger_sum != load->state.ledger_sum)
        return damaged(load, "the ledger doesn't match its digest");
    if ((r = each_row(load, VAULT_NUMBERS, text_from("", 0), 0, load_numbers, NULL)))
        return r < 0 ? fault_pass(r) : r;
    if (tally->numbered.sum != load->state.numbers_sum)
        return damaged(load, "the numbers don't match their digest");
    if ((r = load_ids(load)) ||
        (r = walk_level(load, (struct level_walk){.level = LEVEL_DAY,
                                                  .first_day = tally->first_open_day,
                                                  .sees = true})))
        return r < 0 ? fault_pass(r) : r;
    if (vault_digest(tally, ledger_sum + tally->numbered.sum + names_sum) != load->state.digest)
        return damaged(load, "the digest doesn't match the days");
    return 0;
}

static int load_begin(struct load *load, struct vault *vault)
{
    int r = store_begin(vault->store, STORE_READ, &load->txn);

    if (r)
        return fault_pass(r);
    r = vault_read_state(load->txn, &load->state);
    if (r == VAULT_DAMAGED)
        return damaged(load, "the row of the state is damaged");
    if (r)
        return r < 0 ? fault_pass(r) : r;
    r = check_belongs(load);
    return r ? r : load_all(load);
}

int vault_load(struct vault *vault, struct tally *tally, struct buffer *reason)
{
    CLEANUP(load_deinit) struct load load = {.tally = tally, .reason = reason};
    int r = load_begin(&load, vault);

    if (r)
        return r < 0 ? fault_pass(r) : r;
    vault->state = load.state;
    return 0;
}

int vault_verify(struct vault *vault, struct tally *tally, struct buffer *reason)
{
    CLEANUP(load_deinit) struct load load = {.tally = tally, .reason = reason};
    int r = store_check(vault->store);

    if (r == 0)
        r = load_begin(&load, vault);
    if (r == 0)
        r = walk_level(
            &load, (struct level_walk){.level = LEVEL_MINUTE, .first_day = tally->first_open_day});
    if (r == 0)
        r = walk_level(
            &load, (struct level_walk){.level = LEVEL_QUARTER,
                                       .first_day = tally->clock_ms == INT64_MIN
                                                        ? INT32_MIN
                                                        : rollup_first_quarter_day(
                                                              tally->clock_ms, tally->horizon_ms)});
    if (r == 0)
        r = walk_level(&load, (struct level_walk){.level = LEVEL_DAY, .first_day = INT32_MIN});
    if (r)
        return r < 0 ? fault_pass(r) : r;
    vault->state = load.state;
    return 0;
}
