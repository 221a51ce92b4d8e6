/*
 * The small parts: ids, cells, blocks, runs, windows to publish, pages.
 */
#include "aggregator/rules/block.h"
#include "aggregator/rules/cells.h"
#include "aggregator/rules/dedup.h"
#include "aggregator/rules/ledger.h"
#include "aggregator/rules/pages.h"
#include "aggregator/rules/publish.h"
#include "aggregator/rules/runs.h"
#include "aggregator/rules/series.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fingerprint id_of(uint64_t number, uint32_t payload)
{
    struct fingerprint id = {.payload = payload};
    uint64_t scattered = number * 0x9e3779b97f4a7c15u;

    memcpy(id.identity, &scattered, sizeof(scattered));
    memcpy(id.identity + 8, &number, 4);
    return id;
}

Test(dedup, every_id_is_found_again_and_no_other_while_the_table_grows)
{
    struct dedup dedup = {0};

    for (uint64_t i = 1; i <= 200000; i++) {
        struct fingerprint id = id_of(i, 1);

        cr_assert_eq(dedup_look(&dedup, &id), DEDUP_NEW);
        dedup_add(&dedup, &id);
    }
    for (uint64_t i = 1; i <= 200000; i++) {
        struct fingerprint id = id_of(i, 1), other = id_of(i, 2);

        cr_assert_eq(dedup_look(&dedup, &id), DEDUP_DUPLICATE);
        cr_assert_eq(dedup_look(&dedup, &other), DEDUP_CONFLICT);
    }
    cr_assert_eq(dedup.count, 200000);
    cr_assert_eq(dedup.fresh_count, 200000);
    cr_assert_leq(dedup.count * 20, dedup.room * 13);
    dedup_deinit(&dedup);
}

/* How the homes of a table's ids lie: `number` gives one of them. */
struct homes {
    const char *name;
    uint64_t (*low)(uint64_t number);
    uint64_t count;
};

static uint64_t low_spread(uint64_t number)
{
    return number * 0x9e3779b97f4a7c15u;
}

/* Every other one; with those at the beginning, the chain is longer than the way it moves. */
static uint64_t low_at_the_end(uint64_t number)
{
    return number % 2 ? low_spread(number) : UINT64_MAX - number % 5;
}

static uint64_t low_at_the_beginning(uint64_t number)
{
    return number % 2 ? low_spread(number) : number % 5;
}

/* Chains of some dozens everywhere, some of hundreds. */
static uint64_t low_in_clumps(uint64_t number)
{
    return number % 128 == 0 ? (number / 128 % 3) * (UINT64_MAX / 2)
                             : low_spread(number / 32) + number % 32;
}

static uint64_t low_near_the_beginning(uint64_t number)
{
    return low_spread(number) >> (number % 2 ? 4 : 0);
}

static struct fingerprint id_at(const struct homes *homes, uint64_t number, uint32_t payload)
{
    struct fingerprint id = {.payload = payload};
    uint64_t low = homes->low(number);
    uint32_t high = (uint32_t)number + 1;

    memcpy(id.identity, &low, sizeof(low));
    memcpy(id.identity + 8, &high, sizeof(high));
    return id;
}

/* Is number found as what it is: one of the first `count`, or none? */
static void look(const struct dedup *dedup, const struct homes *homes, uint64_t number)
{
    struct fingerprint id = id_at(homes, number, 1), other = id_at(homes, number, 2);
    bool is_there = number < dedup->count;

    cr_assert_eq(dedup_look(dedup, &id), is_there ? DEDUP_DUPLICATE : DEDUP_NEW,
                 "%s: %llu of %llu, boundary %llu of %llu", homes->name, (unsigned long long)number,
                 (unsigned long long)dedup->count, (unsigned long long)dedup->boundary,
                 (unsigned long long)dedup->old_room);
    cr_assert_eq(dedup_look(dedup, &other), is_there ? DEDUP_CONFLICT : DEDUP_NEW);
}

/* All of them whenever the boundary was moved, some after each id. */
static void grow_and_look(const struct homes *homes)
{
    struct dedup dedup = {0};
    uint64_t boundary = 0, states = 0;

    for (uint64_t i = 0; i < homes->count; i++) {
        struct fingerprint id = id_at(homes, i, 1);
        uint64_t every = 997;

        cr_assert_eq(dedup_take(&dedup, &id), DEDUP_NEW);
        cr_assert_eq(dedup.count, i + 1);
        if (dedup.boundary != boundary) {
            boundary = dedup.boundary;
            every = 1;
            states++;
        }
        for (uint64_t j = i % every; j < i + 100; j += every)
            look(&dedup, homes, j);
    }
    cr_assert_gt(states, 2, "%s grew in %llu steps", homes->name, (unsigned long long)states);
    for (uint64_t i = 0; i < homes->count; i++)
        look(&dedup, homes, i);
    dedup_reserve(&dedup, homes->count * 3);
    cr_assert_eq(dedup.boundary, 0);
    for (uint64_t i = 0; i < homes->count * 2; i++)
        look(&dedup, homes, i);
    dedup_deinit(&dedup);
}

Test(dedup, ids_are_found_and_no_others_in_each_state_of_growing_wherever_their_homes_lie)
{
    static const struct homes all[] = {
        {"spread", low_spread, 60000},
        {"at the end", low_at_the_end, 12000},
        {"at the beginning", low_at_the_beginning, 12000},
        {"in clumps", low_in_clumps, 30000},
        {"near the beginning", low_near_the_beginning, 12000},
    };

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        grow_and_look(&all[i]);
}

Test(dedup, no_id_waits_for_a_whole_table_to_move)
{
    struct dedup dedup = {0};

    for (uint64_t i = 1; i <= 300000; i++) {
        struct fingerprint id = id_of(i, 1);
        uint64_t boundary = dedup.boundary;

        dedup_add(&dedup, &id);
        cr_assert_leq(boundary, dedup.boundary + 4096 + 200);
    }
    dedup_deinit(&dedup);
}

Test(dedup, an_id_takes_less_than_forty_bytes_and_a_reserved_one_twenty_five)
{
    struct dedup grown = {0}, reserved = {0};

    dedup_reserve(&reserved, 1000000);
    for (uint64_t i = 1; i <= 1000000; i++) {
        struct fingerprint id = id_of(i, 1);
        uint64_t before = dedup_bytes(&reserved);

        dedup_load(&grown, &id);
        dedup_load(&reserved, &id);
        if (i > 300000)
            cr_assert_leq(dedup_bytes(&grown), i * 40);
        cr_assert_eq(dedup_bytes(&reserved), before);
    }
    cr_assert_leq(dedup_bytes(&reserved), 25 * 1000000 + (2 << 20));
    dedup_deinit(&grown);
    dedup_deinit(&reserved);
}

Test(dedup, a_large_commit_leaves_the_memory_of_its_table_alone)
{
    struct dedup dedup = {0};
    uint64_t count = 200000;

    for (uint64_t i = 0; i < count; i++) {
        struct fingerprint id = id_of(i, 1);

        dedup_add(&dedup, &id);
    }
    cr_assert_geq(dedup_bytes(&dedup), 2 * count * sizeof(struct fingerprint));
    dedup_committed(&dedup);
    cr_assert_eq(dedup.fresh_count, 0);
    cr_assert_lt(dedup_bytes(&dedup), count * 40);
    dedup_deinit(&dedup);
}

/* The room for them goes by the commit before: large ones follow small ones here, and none. */
Test(dedup, fresh_ids_are_those_since_the_last_commit_in_their_order_however_many_there_were_before)
{
    static const uint64_t commits[] = {1, 100000, 3, 0, 40, 70000, 80000, 200000};
    struct dedup dedup = {0};
    uint64_t first = 1;

    for (size_t i = 0; i < ARRAY_LEN(commits); i++) {
        for (uint64_t j = 0; j < commits[i]; j++) {
            struct fingerprint id = id_of(first + j, 1);

            cr_assert_eq(dedup_take(&dedup, &id), DEDUP_NEW);
        }
        cr_assert_eq(dedup.fresh_count, commits[i]);
        for (uint64_t j = 0; j < commits[i]; j++) {
            struct fingerprint id = id_of(first + j, 1);

            cr_assert_arr_eq(&dedup.fresh[j], &id, sizeof(id));
        }
        first += commits[i];
        dedup_committed(&dedup);
        cr_assert_null(dedup.fresh);
    }
    cr_assert_eq(dedup.count, first - 1);
    dedup_deinit(&dedup);
}

Test(dedup, an_identity_of_zeros_is_an_id_like_any_other)
{
    struct dedup dedup = {0};
    struct fingerprint zeros = {0};

    cr_assert_eq(dedup_look(&dedup, &zeros), DEDUP_NEW);
    dedup_add(&dedup, &zeros);

    cr_assert_eq(dedup_look(&dedup, &zeros), DEDUP_DUPLICATE);
    dedup_deinit(&dedup);
}

Test(dedup, loaded_ids_are_not_fresh_and_sum_up_as_added_ones)
{
    struct dedup added = {0}, loaded = {0};

    for (uint64_t i = 1; i <= 1000; i++) {
        struct fingerprint a = id_of(i, 1), b = id_of(1001 - i, 1);

        dedup_add(&added, &a);
        dedup_load(&loaded, &b);
    }

    cr_assert(added.sum == loaded.sum);
    cr_assert_eq(loaded.fresh_count, 0);
    dedup_deinit(&added);
    dedup_deinit(&loaded);
}

Test(block, every_changed_bit_is_noticed)
{
    struct block block = {.bitmap = 1u << 3 | 1u << 17}, read;
    uint8_t key[BLOCK_KEY_BYTES], bytes[BLOCK_BYTES_MAX];
    uint128 sum, read_sum;
    size_t length;

    block.cells[3] = (struct cell){.value = {.units = -5}, .count = 9, .time = {.ns = 7}};
    block.cells[17] = (struct cell){.count = 1};
    block_key_encode((struct block_key){.level = LEVEL_DAY, .window = -3, .number = 2}, key);
    length = block_encode(&block, text_from(key, sizeof(key)), bytes, &sum);
    cr_assert(
        block_decode(text_from(key, sizeof(key)), text_from(bytes, length), &read, &read_sum));
    cr_assert_eq(read.cells[3].count, 9);

    for (size_t bit = 0; bit < length * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_not(
            block_decode(text_from(key, sizeof(key)), text_from(bytes, length), &read, &read_sum));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    key[4] ^= 1;
    cr_assert_not(
        block_decode(text_from(key, sizeof(key)), text_from(bytes, length), &read, &read_sum),
        "a block stands under its own key");
}

static struct total total_of(enum aggregation aggregation, const struct cell *cell)
{
    return (struct total){
        .aggregation = aggregation, .value = cell->value, .count = cell->count, .time = cell->time};
}

Test(cells, merging_is_what_merging_totals_is)
{
    srand(11);
    for (int round = 0; round < 20000; round++) {
        enum aggregation aggregation = (enum aggregation)(random() % AGGREGATION_UNIQUE_COUNT);
        struct cell cell = {0};
        struct total expected = {.aggregation = aggregation};

        for (int i = 0; i < 4; i++) {
            struct cell more = {.count = 1 + (uint64_t)random() % 3};
            struct total total;

            if (aggregation != AGGREGATION_COUNT)
                more.value.units = random() % 4;
            if (aggregation == AGGREGATION_LATEST)
                more.time.ns = random() % 3 - 1;
            total = total_of(aggregation, &more);
            cr_assert_eq(total_merge(&expected, &total), 0);
            cell_merge(aggregation, &cell, &more);
        }
        cr_assert(cell.value.units == expected.value.units);
        cr_assert_eq(cell.count, expected.count);
        cr_assert_eq(cell.time.ns, expected.time.ns);
    }
}

/* Numbers of every width, beside each other and alone. */
Test(block, columns_hold_every_number_and_are_read_back)
{
    static const int bits[] = {0, 7, 8, 15, 16, 31, 32, 62};

    srand(5);
    for (int round = 0; round < 4000; round++) {
        struct block block = {0}, read;
        uint8_t key[BLOCK_KEY_BYTES] = {0}, bytes[BLOCK_BYTES_MAX];
        int most = bits[random() % 8];
        uint128 sum, read_sum;
        size_t length;

        for (uint32_t place = 0; place < BLOCK_CELLS; place++) {
            if (random() % 3 == 0)
                continue;
            block.bitmap |= UINT64_C(1) << place;
            block.cells[place].count = 1 + ((uint64_t)random() & ((UINT64_C(1) << most) - 1));
            if (round % 2)
                block.cells[place].value.units = (int128)random() << (random() % 4 ? 20 : most);
            if (round % 5 == 0)
                block.cells[place].time.ns = random() - RAND_MAX / 2;
        }
        length = block_encode(&block, text_from(key, sizeof(key)), bytes, &sum);
        cr_assert(
            block_decode(text_from(key, sizeof(key)), text_from(bytes, length), &read, &read_sum));
        cr_assert(sum == read_sum);
        cr_assert_eq(memcmp(&block, &read, sizeof(block)), 0);
    }
}

/* A block of one series' values, written and read back; returns how many bytes each value took. */
static size_t bytes_a_value(const int64_t *values, size_t count)
{
    struct block block = {0}, read;
    uint8_t key[BLOCK_KEY_BYTES] = {0}, bytes[BLOCK_BYTES_MAX];
    uint128 sum, read_sum;
    size_t length, rest = 8 + 3 + count + BLOCK_SUM_BYTES;

    for (size_t i = 0; i < count; i++) {
        block.bitmap |= UINT64_C(1) << i;
        block.cells[i] = (struct cell){.value = {.units = values[i]}, .count = 1};
    }
    length = block_encode(&block, text_from(key, sizeof(key)), bytes, &sum);
    cr_assert(
        block_decode(text_from(key, sizeof(key)), text_from(bytes, length), &read, &read_sum));
    cr_assert_eq(memcmp(&block, &read, sizeof(block)), 0);
    cr_assert_eq((length - rest) % count, 0);
    return (length - rest) / count;
}

Test(block, values_take_the_bytes_of_their_digits_without_the_zeros_that_all_end_with)
{
    const int64_t one = INT64_C(1000000000000);
    const struct {
        int64_t values[3];
        size_t bytes;
    } cases[] = {
        {{0, 0, 0}, 0},
        {{one, 127 * one, -127 * one}, 1},
        {{128 * one, 0, 0}, 2},
        {{-128 * one, one, one}, 2},
        {{one, one / 100, -one}, 1}, /* cents */
        {{327 * one, one / 100, 0}, 2},
        {{328 * one, one / 100, 0}, 3},
        {{one, 1, 0}, 6},
        {{-1, 0, 0}, 1},
        {{INT64_MAX, INT64_MIN, 0}, 8},
        {{INT64_MIN, INT64_MIN, 0}, 8},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        cr_assert_eq(bytes_a_value(cases[i].values, 3), cases[i].bytes, "case %zu", i);
}

Test(block, every_power_of_ten_times_any_number_is_read_back)
{
    srand(8);
    for (int64_t power = 1; power <= INT64_MAX / 10; power *= 10)
        for (int round = 0; round < 500; round++) {
            int64_t most = INT64_MAX / power, values[4];

            for (size_t i = 0; i < 4; i++)
                values[i] = ((int64_t)random() << 32 ^ random()) % most * power;
            cr_assert_leq(bytes_a_value(values, 4), 8);
        }
}

/* As format 3 had them: each value in eight bytes. */
Test(block, values_of_eight_bytes_are_read_as_they_were)
{
    const int64_t values[] = {-5000000000000, INT64_C(3) << 40};
    uint8_t key[BLOCK_KEY_BYTES] = {0}, bytes[BLOCK_BYTES_MAX] = {5}, *at = bytes + 8;
    struct block block;
    uint128 sum, read_sum;
    size_t length;

    *at++ = 8;
    *at++ = 1;
    *at++ = 0;
    memcpy(at, values, sizeof(values));
    at += sizeof(values);
    *at++ = 2;
    *at++ = 7;
    length = block_seal(text_from(key, sizeof(key)), bytes, (size_t)(at - bytes), &sum);

    cr_assert(
        block_decode(text_from(key, sizeof(key)), text_from(bytes, length), &block, &read_sum));
    cr_assert(block.cells[0].value.units == values[0] && block.cells[0].count == 2);
    cr_assert(block.cells[2].value.units == values[1] && block.cells[2].count == 7);
}

Test(block, a_form_that_no_values_have_is_refused)
{
    static const uint8_t wrong[] = {9, 15, 0x20, 0xc0, 0xc9, 0xd1, 0xff};
    uint8_t key[BLOCK_KEY_BYTES] = {0}, bytes[BLOCK_BYTES_MAX] = {0};
    struct block block;
    uint128 sum;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        size_t length;

        memcpy(bytes + 8, (uint8_t[]){wrong[i], 1, 0}, 3);
        length = block_seal(text_from(key, sizeof(key)), bytes, 8 + 3, &sum);
        cr_assert_not(
            block_decode(text_from(key, sizeof(key)), text_from(bytes, length), &block, &sum));
    }
}

enum { CELL_MINUTES = 300 };

/* Neighbours, and series that lie pages of the directory apart. */
static uint32_t cell_series_at(uint32_t i)
{
    return i % 2 ? i : i * PAGE_CELLS + i;
}

Test(cells, a_cell_is_found_where_it_was_made_whatever_was_made_since)
{
    struct cells cells = {0};
    struct cell *made[CELL_MINUTES];

    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < CELL_MINUTES; i++) {
            made[i] = cells_take(&cells, -150 + (int64_t)i, cell_series_at(i));
            cr_assert_eq(made[i]->count, 0);
            made[i]->count = 1;
            cells_take(&cells, 7, cell_series_at(i))->count = 1;
        }
        for (uint32_t i = 0; i < CELL_MINUTES; i++) {
            const struct cell_minute *minute = cells_minute(&cells, -150 + (int64_t)i);

            cr_assert_eq(cells_find(minute, cell_series_at(i)), made[i]);
            cr_assert_eq(cells_find(cells_minute(&cells, 7), cell_series_at(i))->count, 1);
            if (i != 157)
                cr_assert_null(cells_find(minute, cell_series_at(i) + CHUNK_CELLS));
            cr_assert_null(cells_find(minute, UINT32_MAX / 2));
        }
        cr_assert_null(cells_minute(&cells, CELL_MINUTES));
        cells_clear(&cells);
        cr_assert_null(cells_minute(&cells, 7));
    }
    cells_deinit(&cells);
}

Test(ledger, rows_are_read_back_as_they_were_and_only_those_that_changed_are_dirty)
{
    struct ledger ledger = {0};
    uint8_t key[4] = {0}, bytes[LEDGER_BYTES_MAX];
    struct ledger_rows rows;
    struct account_counts all = {0};
    uint128 sum;
    size_t length;

    for (uint64_t i = 0; i < 150; i++) {
        char name[16];
        uint64_t duplicate = i % 3 ? 0 : i << i % 40, late = i == 70 ? 300 : 0;
        struct account_counts more = {.accepted = i + duplicate + late,
                                      .counted = i,
                                      .duplicate = duplicate,
                                      .conflict = duplicate / 2,
                                      .late = late};

        (void)snprintf(name, sizeof(name), "sub-%d", (int)i);
        ledger_add(&ledger, ledger_take(&ledger, text_of(name)), &more);
        if (i == 75) /* what was counted before a commit and what was since are one sum */
            ledger_committed(&ledger);
        for (uint64_t k = 0; k < i % 7; k++)
            ledger_add_counted(&ledger, (uint32_t)(i * k / 7));
    }
    for (uint32_t block = 0; block < 3; block++) {
        length = ledger_encode(&ledger, block, text_from(key, sizeof(key)), bytes, &sum);
        cr_assert(ledger_decode(text_from(key, sizeof(key)), text_from(bytes, length), &rows));
        cr_assert(rows.sum == sum);
        cr_assert_eq(rows.count, block == 2 ? 22 : 64);
        for (size_t i = 0; i < rows.count; i++) {
            struct account_counts counts = ledger_counts(&ledger, block * 64 + (uint32_t)i);

            cr_assert_eq(memcmp(&rows.at[i].counts, &counts, sizeof(counts)), 0);
            account_counts_add(&all, &counts);
        }
    }
    cr_assert_eq(memcmp(&all, &ledger.sum, sizeof(all)), 0);
    bytes[length / 2] ^= 1;
    cr_assert_not(ledger_decode(text_from(key, sizeof(key)), text_from(bytes, length), &rows));
    ledger_committed(&ledger);
    cr_assert_eq(ledger_next_dirty(&ledger, ledger.dirty.counts, 0), UINT32_MAX);
    ledger_add_counted(&ledger, 100);

    cr_assert_eq(ledger_next_dirty(&ledger, ledger.dirty.counts, 0), 1);
    cr_assert_eq(ledger_next_dirty(&ledger, ledger.dirty.counts, 2), UINT32_MAX);
    ledger_deinit(&ledger);
}

Test(windows, few_go_out_at_once_and_many_wait_for_twenty_intervals_at_most)
{
    struct windows windows = {0};

    cr_assert(!windows_are_worth_it(&windows, 249, 250));
    cr_assert(windows_are_worth_it(&windows, 250, 250));
    for (uint32_t line = 0; line < 250; line++)
        windows_add(&windows, (struct changed_window){.line = line, .from = 0, .to = 1440});
    cr_assert(windows_are_worth_it(&windows, 250, 250));
    windows_add_unique(&windows, &(struct changed_unique){.line = 1, .from = 0, .to = 1440});
    cr_assert(!windows_are_worth_it(&windows, 250, 250), "251 records in a quarter of a second");
    cr_assert(windows_are_worth_it(&windows, 251, 250));
    for (uint32_t line = 250; line < 100000; line++)
        windows_add(&windows, (struct changed_window){.line = line, .from = 0, .to = 1440});
    cr_assert(!windows_are_worth_it(&windows, 4999, 250));
    cr_assert(windows_are_worth_it(&windows, 5000, 250));
    for (int i = 1; i < 100000; i++)
        windows_add_unique(&windows, &(struct changed_unique){.line = 1, .from = 0, .to = 1440});
    cr_assert(windows_are_worth_it(&windows, 250, 250), "unique values aren't held without end");
    windows_deinit(&windows);
}

Test(runs, a_range_is_covered_once_in_order_by_whole_windows)
{
    srand(7);
    for (size_t round = 0; round < 20000; round++) {
        int64_t from = random() % 10000 - 5000, to = from + 1 + random() % 6000, at = from;
        struct run runs[RUNS_MAX];
        size_t count = runs_of(from, to, LEVEL_DAY, runs);

        cr_assert_leq(count, RUNS_MAX);
        for (size_t i = 0; i < count; i++) {
            int64_t length = level_minutes(runs[i].level);

            cr_assert_eq(runs[i].from, at);
            cr_assert_lt(runs[i].from, runs[i].to);
            cr_assert_eq(runs[i].from % length, 0);
            cr_assert_eq(runs[i].to % length, 0);
            at = runs[i].to;
        }
        cr_assert_eq(at, to);
    }
}

Test(runs, a_whole_day_is_one_run)
{
    struct run runs[RUNS_MAX];

    cr_assert_eq(runs_of(-1440, 0, LEVEL_DAY, runs), 1);
    cr_assert_eq(runs[0].level, LEVEL_DAY);
}

Test(windows, windows_that_are_added_together_are_there_once)
{
    struct windows windows = {0};
    struct changed_window added[WINDOWS_TOGETHER];

    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < WINDOWS_TOGETHER; i++)
            added[i] = (struct changed_window){
                .line = i / 2, .from = 0, .to = 1440, .with_uniques = round == 1};
        windows_add_all(&windows, added, WINDOWS_TOGETHER);
        windows_make_room(&windows, 5000);
    }
    cr_assert_eq(windows.count, WINDOWS_TOGETHER / 2);
    for (uint32_t i = 0; i < windows.count; i++) {
        cr_assert_eq(windows.changed[i].line, i);
        cr_assert(windows.changed[i].with_uniques);
    }
    cr_assert_geq(windows.room, 5000);
    windows_deinit(&windows);
}

Test(windows, one_window_is_noted_once)
{
    struct windows windows = {0};

    windows_add(&windows, (struct changed_window){.line = 1, .from = 0, .to = 1440});
    windows_add(&windows,
                (struct changed_window){.line = 1, .from = 0, .to = 1440, .with_uniques = true});
    windows_add(&windows, (struct changed_window){.line = 2, .from = 0, .to = 1440});

    cr_assert_eq(windows.count, 2);
    cr_assert(windows.changed[0].with_uniques);
    windows_deinit(&windows);
}

Test(series, null_and_empty_are_two_and_survive_encoding)
{
    CLEANUP(buffer_deinit) struct buffer null = {0};
    CLEANUP(buffer_deinit) struct buffer empty = {0};
    struct usage_series series = {.aggregation = AGGREGATION_MAX,
                                  .subscription = text_of("s"),
                                  .meter = text_of("m"),
                                  .dimension_count = 1};
    struct usage_series read;

    series.dimensions[0].name = text_of("d");
    series_encode(&series, &null);
    series.dimensions[0].value = text_of("");
    series_encode(&series, &empty);

    cr_assert_not(text_equal(buffer_text(&null), buffer_text(&empty)));
    cr_assert(series_decode(buffer_text(&null), &read));
    cr_assert(text_is_absent(read.subject) && text_is_absent(read.dimensions[0].value));
    cr_assert(series_decode(buffer_text(&empty), &read));
    cr_assert_not(text_is_absent(read.dimensions[0].value));
    for (size_t cut = 0; cut < empty.length; cut++)
        cr_assert_not(series_decode(text_from(empty.at, cut), &read));
}

Test(series, a_line_joins_subjects_and_a_group_joins_dimensions)
{
    struct registry registry = {0};
    CLEANUP(buffer_deinit) struct buffer encoded = {0};
    const char *const rows[][2] = {{"al", "GET"}, {"bo", "GET"}, {"al", "PUT"}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct usage_series series = {.subscription = text_of("s"),
                                      .meter = text_of("m"),
                                      .subject = text_of(rows[i][0]),
                                      .dimension_count = 1};
        struct series_name name;

        series.dimensions[0].name = text_of("method");
        series.dimensions[0].value = text_of(rows[i][1]);
        buffer_clear(&encoded);
        series_encode(&series, &encoded);
        name = series_name_of(buffer_text(&encoded));
        cr_assert_eq(registry_find(&registry, &name), INDEX_NONE);
        cr_assert_eq(registry_add(&registry, &name, 0), i);
        cr_assert_eq(registry_find(&registry, &name), i);
    }

    cr_assert_eq(registry.group_count, 1);
    cr_assert_eq(registry.line_count, 2);
    cr_assert_eq(registry.series[0].line, registry.series[1].line);
    registry_deinit(&registry);
}

/* With a meter of so many letters. */
static struct text series_of_length(size_t letters, struct buffer *encoded)
{
    static const char meter[] = "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm";
    struct usage_series series = {.aggregation = AGGREGATION_MAX,
                                  .subscription = text_of("s"),
                                  .meter = text_from(meter, letters)};

    buffer_clear(encoded);
    series_encode(&series, encoded);
    return buffer_text(encoded);
}

Test(series, texts_that_fit_a_record_and_longer_ones_are_found_while_the_registry_grows)
{
    CLEANUP(buffer_deinit) struct buffer encoded = {0};
    struct registry registry = {0};
    size_t near = 0;

    for (uint32_t i = 0; i < 64; i++) {
        struct series_name name = series_name_of(series_of_length(i + 1, &encoded));

        cr_assert_eq(registry_find(&registry, &name), INDEX_NONE);
        cr_assert_eq(registry_add(&registry, &name, i), i);
    }
    for (uint32_t i = 64; i < 200; i++) { /* the longest again and again, so that it grows */
        struct series_name name = {.encoded = buffer_text(&encoded), .hash = i};

        (void)registry_add(&registry, &name, 0);
    }

    for (uint32_t i = 0; i < 64; i++) {
        struct text text = series_of_length(i + 1, &encoded);
        struct series_name name = series_name_of(text);

        cr_assert_eq(registry_find(&registry, &name), i);
        cr_assert(text_equal(series_text(&registry.series[i]), text));
        near += series_is_near(&registry.series[i]);
        cr_assert_eq(series_is_near(&registry.series[i]), text.length <= SERIES_NEAR_BYTES);
    }
    cr_assert(near > 0 && near < 64);
    registry_deinit(&registry);
}

/* --- pages --- */

Test(pages, memory_is_zeroed_aligned_and_writable_on_both_sides_of_a_huge_page)
{
    static const size_t sizes[] = {1, 65, (2 << 20) - 1, 2 << 20, (2 << 20) + 1};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char *pages = pages_new(sizes[i]);

        cr_assert_eq((uintptr_t)pages % 64, 0);
        for (size_t at = 0; at < sizes[i]; at++)
            cr_assert(pages[at] == 0);
        memset(pages, 1, sizes[i]);
        pages_free(pages, sizes[i]);
    }
    pages_free(NULL, 2 << 20);
}

/* Of the table's own pages: a sanitizer's memory about them is none of it. */
static size_t resident_pages(char *table, size_t bytes)
{
    unsigned char is_resident[256];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 0;

    cr_assert_leq(bytes / page, sizeof(is_resident));
    cr_assert_eq(mincore(table - (uintptr_t)table % page, bytes, is_resident), 0);
    for (size_t i = 0; i < bytes / page; i++)
        count += is_resident[i] & 1;
    return count;
}

Test(pages, what_is_not_touched_of_a_table_takes_no_memory)
{
    enum { TABLE = 1 << 20 };
    char *table = pages_grow(pages_new(TABLE / 2), TABLE / 2, TABLE);

    cr_assert_eq(resident_pages(table, TABLE), 0);
    table[TABLE - 1] = 1;
    cr_assert_eq(resident_pages(table, TABLE), 1);
    pages_free(table, TABLE);
}

Test(pages, memory_that_grows_keeps_what_is_in_it_and_the_rest_is_zeroed)
{
    static const size_t sizes[] = {64, 4096, (2 << 20) - 64, 2 << 20, 6 << 20, 8 << 20};
    char *pages = NULL;
    size_t bytes = 0;

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        pages = pages_grow(pages, bytes, sizes[i]);
        cr_assert_eq((uintptr_t)pages % (sizes[i] < 2 << 20 ? 64 : 2 << 20), 0);
        for (size_t at = 0; at < sizes[i]; at++)
            cr_assert_eq(pages[at], at < bytes ? 1 : 0);
        memset(pages, 1, sizes[i]);
        bytes = sizes[i];
    }
    pages_free(pages, bytes);
    cr_assert_eq(pages_whole(1), 64);
    cr_assert_eq(pages_whole(2 << 20), 2 << 20);
    cr_assert_eq(pages_whole((2 << 20) + 1), 4 << 20);
}
