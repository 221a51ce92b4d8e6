/*
 * Counting, committing, crashing and loading again, against the model.
 */
#include "aggregator/edges/vault.h"

#include "aggregator/rules/block.h"
#include "common/base/fault.h"
#include "tests/unit/aggregator/model.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY_MS INT64_C(86400000)

enum { MAP_BYTES = 1 << 20, MESSAGES = 220 };

static char folder[] = "/dev/shm/tollway-vault-XXXXXX";

static void make_folder(void)
{
    cr_assert(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(vault, .init = make_folder, .fini = remove_folder);

struct engine {
    struct vault vault;
    struct tally *tally;
};

static void engine_open(struct engine *engine, int64_t horizon_ms, uint32_t combinations_max)
{
    CLEANUP(buffer_deinit) struct buffer reason = {0};
    int r;

    cr_assert_eq(vault_open(folder, MAP_BYTES, &engine->vault), 0);
    engine->tally = tally_new(0, 1, horizon_ms);
    engine->tally->limits.combinations_max = combinations_max;
    engine->tally->numbered.kept_max = 8; /* so that chunks come and go */
    r = vault_load(&engine->vault, engine->tally, &reason);
    cr_assert(r == 0 || r == VAULT_EMPTY, "%.*s", (int)reason.length, reason.at);
}

static void engine_close(struct engine *engine)
{
    engine->tally = tally_free(engine->tally);
    vault_close(&engine->vault);
}

/* A commit, tried again as long as the map grows. */
static void engine_commit(struct engine *engine)
{
    int r;

    do
        r = vault_commit(&engine->vault, engine->tally);
    while (r == FAULT_RETRY);
    cr_assert_eq(r, 0, "%s", fault_text());
}

/* The messages of a whole stream, so that they can be read again after a crash. */
struct log {
    char *bytes[MESSAGES];
    size_t lengths[MESSAGES];
};

static void log_write(struct log *log, uint64_t seed)
{
    struct stream stream;

    stream_init(&stream, seed);
    for (size_t i = 0; i < MESSAGES; i++) {
        stream_next(&stream);
        log->bytes[i] = malloc(stream.length);
        log->lengths[i] = stream.length;
        memcpy(log->bytes[i], stream.bytes, stream.length);
    }
    stream_deinit(&stream);
}

static void log_free(struct log *log)
{
    for (size_t i = 0; i < MESSAGES; i++)
        free(log->bytes[i]);
}

static struct usage_batch log_batch(const struct log *log, struct usage_reader *reader, size_t at)
{
    struct usage_batch batch;
    const char *reason;

    cr_assert_eq(usage_decode(reader, text_from(log->bytes[at], log->lengths[at]), &batch, &reason),
                 0);
    return batch;
}

static void engine_count(struct engine *engine, const struct log *log, struct usage_reader *reader)
{
    struct aside asides[USAGE_EVENTS_MAX];
    struct usage_batch batch;
    size_t count;

    batch = log_batch(log, reader, (size_t)engine->tally->next_offset);
    cr_assert_eq(vault_recall(&engine->vault, engine->tally, &batch), 0, "%s", fault_text());
    tally_count(engine->tally, &batch, engine->tally->next_offset, asides, &count);
}

static void expect_counts(const struct account_counts *got, const struct account_counts *expected)
{
    cr_assert_eq(got->accepted, expected->accepted);
    cr_assert_eq(got->late, expected->late);
    cr_assert_eq(got->rejected, expected->rejected);
    cr_assert_eq(got->duplicate, expected->duplicate);
    cr_assert_eq(got->conflict, expected->conflict);
    cr_assert_eq(got->counted, expected->counted);
}

static void expect_ledger(const struct model *model, const struct tally *tally)
{
    cr_assert_eq(tally->ledger.count, model->account_count);
    for (size_t i = 0; i < model->account_count; i++) {
        const struct model_account *expected = &model->accounts[i];
        uint32_t number = ledger_find(&tally->ledger, text_of(expected->subscription));
        struct account_counts counts;

        cr_assert_neq(number, INDEX_NONE);
        counts = ledger_counts(&tally->ledger, number);
        expect_counts(&counts, &expected->counts);
        cr_assert(account_balances(&expected->counts));
    }
}

static void expect_block(const struct model *model, const struct tally *tally,
                         struct block_key where, const struct block *block, size_t *found)
{
    for (uint32_t place = 0; place < BLOCK_CELLS; place++) {
        char text[MODEL_SERIES_TEXT_MAX];
        const struct model_cell *expected;
        struct usage_series series;

        if (!(block->bitmap >> place & 1))
            continue;
        cr_assert(series_decode(
            series_text(&tally->series.series[where.number * BLOCK_CELLS + place]), &series));
        model_series_text(&series, false, text);
        expected = model_find(model, where.level, where.window, text);
        cr_assert_not_null(expected, "level %d, window %lld of %s is of nobody", where.level,
                           (long long)where.window, text);
        cr_assert(expected->value == block->cells[place].value.units);
        cr_assert_eq(expected->count, block->cells[place].count, "%s", text);
        cr_assert_eq(expected->time_ns, block->cells[place].time.ns);
        (*found)++;
    }
}

/* Every cell of the store is the model's, and none of those that are kept is missing. */
static void expect_cells(const struct model *model, const struct engine *engine)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    uint8_t next[BLOCK_KEY_BYTES + 1] = {0};
    size_t found = 0, kept = 0;
    struct text key = {0}, value;

    cr_assert_eq(store_begin(engine->vault.store, STORE_READ, &txn), 0);
    while (store_seek(txn, VAULT_CELLS, &key, &value) == 0) {
        struct block_key where;
        struct block block;
        uint128 sum;

        cr_assert(block_key_decode(key, &where));
        cr_assert(block_decode(key, value, &block, &sum));
        expect_block(model, engine->tally, where, &block, &found);
        memcpy(next, key.at, key.length);
        key = text_from(next, sizeof(next));
    }
    for (size_t i = 0; i < model->cell_count; i++)
        kept += model->cells[i].level != LEVEL_MINUTE ||
                tally_is_open(engine->tally, floor_divide(model->cells[i].window, 1440));
    cr_assert_eq(found, kept);
}

/* Seals some open days, in slices of some ids each. */
static void engine_seal(struct engine *engine, struct stream *dice)
{
    const struct days *days = &engine->tally->days;
    struct day *day = days_next(days, engine->tally->first_open_day), *some[2];
    int r;

    for (uint64_t skip = stream_random(dice, 4); day && skip > 0; skip--)
        day = days_next(days, (int64_t)day->number + 1);
    if (!day || !day->is_open)
        return;
    some[0] = day;
    some[1] = days_next(days, (int64_t)day->number + 1);
    engine_commit(engine);
    do
        r = vault_seal(&engine->vault, engine->tally, some, some[1] ? 2 : 1,
                       1 + stream_random(dice, 50));
    while (r == FAULT_RETRY);
    cr_assert_eq(r, 0, "%s", fault_text());
    cr_assert_eq(day->ids.count, 0);
    if (stream_random(dice, 4) == 0)
        sealed_drop_filter(day->sealed);
}

/* Counts the log with commits, seals and crashes where the seed says so; returns the digest at the
 * end. */
static uint128 run(const struct log *log, uint64_t seed, bool crashes, const struct model *model)
{
    struct stream dice;
    struct usage_reader *reader = usage_reader_new();
    struct engine engine;
    uint128 digest;

    stream_init(&dice, seed);
    engine_open(&engine, 2 * DAY_MS, 3);
    while (engine.tally->next_offset < MESSAGES) {
        engine_count(&engine, log, reader);
        if (stream_random(&dice, 7) == 0)
            engine_commit(&engine);
        if (crashes && stream_random(&dice, 9) == 0)
            engine_seal(&engine, &dice);
        if (crashes && stream_random(&dice, 20) == 0) {
            engine_close(&engine);
            engine_open(&engine, 2 * DAY_MS, 3);
        }
    }
    engine_commit(&engine);
    expect_ledger(model, engine.tally);
    expect_cells(model, &engine);
    digest = engine.vault.state.digest;
    engine_close(&engine);
    stream_deinit(&dice);
    usage_reader_free(reader);
    return digest;
}

Test(vault, crashes_seals_and_commit_boundaries_change_no_verdict_total_or_digest)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct usage_reader *reader = usage_reader_new();
        CLEANUP(buffer_deinit) struct buffer reason = {0};
        struct engine engine = {0};
        struct model model;
        struct log log;
        uint128 digests[3];

        log_write(&log, seed);
        model_init(&model, 2 * DAY_MS, 3);
        for (size_t i = 0; i < MESSAGES; i++) {
            struct usage_batch batch = log_batch(&log, reader, i);

            model_count(&model, &batch);
        }
        for (size_t i = 0; i < 3; i++) {
            if (i > 0)
                make_folder();
            digests[i] = run(&log, seed * 3 + i, i > 0, &model);
            cr_assert_eq(vault_open(folder, MAP_BYTES, &engine.vault), 0);
            engine.tally = tally_new(0, 1, 2 * DAY_MS);
            cr_assert_eq(vault_verify(&engine.vault, engine.tally, &reason), 0, "%.*s",
                         (int)reason.length, reason.at);
            engine_close(&engine);
            remove_folder();
            strcpy(folder, "/dev/shm/tollway-vault-XXXXXX");
        }
        cr_assert(digests[0] == digests[1] && digests[1] == digests[2]);
        make_folder();
        model_deinit(&model);
        log_free(&log);
        usage_reader_free(reader);
    }
}

static void add_ids(struct tally *tally, struct day *day, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        uint64_t low = i * UINT64_C(0x9e3779b97f4a7c15); /* spread over the table */
        struct fingerprint id = {.payload = 1};

        memcpy(id.identity, &low, sizeof(low));
        dedup_add(&day->ids, &id);
    }
    day->is_dirty = true;
    tally->next_offset++;
    tally->pending++;
}

/* Who starts is behind as a rule, and has no time to move all the ids that it has just loaded. */
Test(vault, the_table_of_a_loaded_day_has_room_for_a_fifth_more_ids)
{
    struct engine engine;
    struct day *day;
    uint64_t slots;

    engine_open(&engine, 2 * DAY_MS, 3);
    add_ids(engine.tally, days_take(&engine.tally->days, 20000), 1, 1000001);
    engine_commit(&engine);
    engine_close(&engine);

    engine_open(&engine, 2 * DAY_MS, 3);
    day = days_find(&engine.tally->days, 20000);
    cr_assert_not_null(day);
    cr_assert_eq(day->ids.count, 1000000);
    slots = day->ids.slot_count;
    add_ids(engine.tally, day, 1000001, 1200001);
    cr_assert_eq(day->ids.slot_count, slots);
    engine_close(&engine);
}

static int open_of_format(uint32_t format)
{
    static const char *const names[] = {"state"};
    struct store *store;
    struct vault vault;
    int r;

    cr_assert_eq(store_open(folder, names, 1, MAP_BYTES, format, &store), 0);
    store_close(store);
    r = vault_open(folder, MAP_BYTES, &vault);
    if (r == 0)
        vault_close(&vault);
    return r;
}

Test(vault, a_store_of_format_3_is_gone_on_with)
{
    cr_assert_eq(open_of_format(3), 0);
}

Test(vault, a_store_of_format_2_is_refused)
{
    cr_assert_eq(open_of_format(2), FAULT_STOP);
}
