/*
 * Numbers of numbered sources: in memory, in rows, and coming and going between both.
 */
#include "aggregator/rules/numbered.h"

#include "aggregator/edges/vault.h"
#include "common/base/fault.h"
#include "tests/unit/aggregator/model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct usage_event event_of(uint8_t source, uint64_t sequence)
{
    struct usage_event event = {.flags = USAGE_NUMBERED, .sequence = sequence};

    memset(event.fingerprint.identity, source, sizeof(event.fingerprint.identity));
    return event;
}

Test(numbered, a_number_is_its_sources_alone_and_each_is_known_once_added)
{
    static const uint64_t numbers[] = {0, 1, 63, 64, 4095, 4096, 8191, 1u << 31, UINT64_MAX};
    struct numbered numbered = {0};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        struct usage_event event = event_of(1, numbers[i]), other = event_of(2, numbers[i]);

        cr_assert_eq(numbered_look(&numbered, &event), DEDUP_NEW);
        cr_assert_eq(numbered_take(&numbered, &event), DEDUP_NEW);
        cr_assert_eq(numbered_look(&numbered, &event), DEDUP_DUPLICATE);
        cr_assert_eq(numbered_take(&numbered, &event), DEDUP_DUPLICATE);
        cr_assert_eq(numbered_look(&numbered, &other), DEDUP_NEW);
    }
    numbered_deinit(&numbered);
}

static void expect_row(const struct numbered_row *row, size_t length_max)
{
    uint8_t bytes[NUMBERED_ROW_MAX];
    size_t length = numbered_row_encode(row, bytes);
    struct numbered_row read;

    cr_assert_leq(length, length_max);
    cr_assert(numbered_row_decode(text_from(bytes, length), &read));
    cr_assert_eq(read.span, row->span);
    cr_assert_arr_eq(read.bits, row->bits, sizeof(row->bits));
    for (size_t cut = 0; cut < length; cut++)
        if (numbered_row_decode(text_from(bytes, cut), &read)) /* a shorter list is one, too */
            cr_assert(cut % 2 == 1 && bytes[0] >= NUMBERED_SET);
}

Test(numbered, a_row_is_the_shortest_form_and_says_what_was_written)
{
    struct numbered_row row = {.span = 1};
    uint64_t state = 7;

    for (unsigned set = 1; set <= NUMBERED_BITS; set++) {
        size_t rest = NUMBERED_BITS - set, listed = set < rest ? set : rest;

        do {
            state = state * 6364136223846793005u + 1442695040888963407u;
        } while (row.bits[state >> 58] >> (state >> 52 & 63) & 1);
        row.bits[state >> 58] |= UINT64_C(1) << (state >> 52 & 63);
        expect_row(&row, listed < 4 ? 9 : listed < 256 ? 1 + 2 * listed : NUMBERED_ROW_MAX);
    }
    cr_assert(numbered_is_full(row.bits));
    row.span = 1000;
    expect_row(&row, 9);
}

/* --- with a store --- */

enum { SOURCES = 3, NUMBERS = 30000, BATCH = 500 };

static char folder[] = "/dev/shm/tollway-numbered-XXXXXX";

struct engine {
    struct vault vault;
    struct tally *tally;
    struct usage_writer *writer;
    struct usage_reader *reader;
    struct stream dice;
    uint8_t seen[SOURCES][NUMBERS]; /* the model */
    uint64_t counted, duplicates;
};

static void engine_open(struct engine *engine)
{
    CLEANUP(buffer_deinit) struct buffer reason = {0};
    int r;

    cr_assert_eq(vault_open(folder, 1 << 22, &engine->vault), 0, "%s", fault_text());
    engine->tally = tally_new(0, 1, 0);
    engine->tally->numbered.kept_max = 4;
    r = vault_load(&engine->vault, engine->tally, &reason);
    cr_assert(r == 0 || r == VAULT_EMPTY, "%.*s", (int)reason.length, reason.at);
}

static void engine_close(struct engine *engine)
{
    engine->tally = tally_free(engine->tally);
    vault_close(&engine->vault);
}

static void engine_commit(struct engine *engine)
{
    int r;

    do
        r = vault_commit(&engine->vault, engine->tally);
    while (r == FAULT_RETRY);
    cr_assert_eq(r, 0, "%s", fault_text());
}

/* A number near `at`, mostly the next, sometimes one before. */
static uint64_t number_near(struct engine *engine, uint64_t at)
{
    uint64_t back = stream_random(&engine->dice, 20) == 0 ? stream_random(&engine->dice, 9000) : 0;

    return at > back ? at - back : 0;
}

static void count_batch(struct engine *engine, uint64_t at)
{
    static struct aside asides[USAGE_EVENTS_MAX];
    struct usage_series series = {
        .aggregation = AGGREGATION_COUNT, .subscription = text_of("s"), .meter = text_of("m")};
    union usage_value value = {.unique = {0}};
    struct usage_batch batch;
    const char *reason;
    size_t count;

    usage_writer_reset(engine->writer);
    for (uint64_t i = 0; i < BATCH; i++) {
        uint8_t source = (uint8_t)(i % SOURCES);
        uint64_t number = at + i / SOURCES;
        struct usage_event event;

        if (source > 0) /* the first sends each number in order */
            number = number_near(engine, number);
        event = event_of(source, number);
        if (source == 1 && number % 1000 == 7) /* one source has gaps */
            continue;
        engine->duplicates += engine->seen[source][number];
        engine->counted += !engine->seen[source][number];
        engine->seen[source][number] = 1;
        event.arrival_ms = 1767225600000 + (int64_t)at * 60000; /* months: no day is open long */
        event.time = instant_from_ms(event.arrival_ms);
        cr_assert_eq(usage_writer_add(engine->writer, &event, &series, &value, 1), 0);
    }
    cr_assert_eq(usage_decode(engine->reader, usage_writer_finish(engine->writer), &batch, &reason),
                 0);
    cr_assert_eq(vault_recall(&engine->vault, engine->tally, &batch), 0, "%s", fault_text());
    tally_count(engine->tally, &batch, engine->tally->next_offset, asides, &count);
    cr_assert_eq(count, 0);
}

static size_t rows_of(const struct engine *engine, uint8_t source)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    CLEANUP(store_cursor_drop) struct store_cursor *cursor = NULL;
    struct text key = {0}, value;
    size_t count = 0;

    cr_assert_eq(store_begin(engine->vault.store, STORE_READ, &txn), 0);
    cr_assert_eq(store_cursor_new(txn, VAULT_NUMBERS, &cursor), 0);
    for (int r = store_cursor_seek(cursor, &key, &value); r == 0;
         r = store_cursor_next(cursor, &key, &value))
        count += (uint8_t)key.at[0] == source;
    return count;
}

static uint128 run(struct engine *engine, uint64_t seed)
{
    struct stream pauses;
    uint128 digest;

    stream_init(&engine->dice, 5); /* the same log each time */
    stream_init(&pauses, seed);
    memset(engine->seen, 0, sizeof(engine->seen));
    engine->counted = engine->duplicates = 0;
    engine_open(engine);
    for (uint64_t at = 0; at + BATCH / SOURCES < NUMBERS; at += BATCH / SOURCES) {
        struct account_counts sum;

        count_batch(engine, at);
        sum = engine->tally->ledger.sum;
        cr_assert_eq(sum.counted, engine->counted);
        cr_assert_eq(sum.duplicate, engine->duplicates);
        cr_assert_eq(sum.conflict, 0);
        if (stream_random(&pauses, 3) == 0)
            engine_commit(engine);
        if (stream_random(&pauses, 10) == 0) {
            engine_commit(engine);
            engine_close(engine);
            engine_open(engine);
        }
    }
    engine_commit(engine);
    digest = engine->vault.state.digest;
    stream_deinit(&engine->dice);
    stream_deinit(&pauses);
    return digest;
}

Test(numbered, every_repeat_is_found_for_ever_from_few_chunks_in_memory_and_few_rows)
{
    static struct engine engine;
    uint128 digests[2];

    engine.writer = usage_writer_new();
    engine.reader = usage_reader_new();
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(buffer_deinit) struct buffer reason = {0};
        char command[128];

        strcpy(folder + sizeof(folder) - 7, "XXXXXX");
        cr_assert(mkdtemp(folder));
        digests[i] = run(&engine, i + 1);
        cr_assert_gt(engine.duplicates, 1000);
        cr_assert_leq(engine.tally->numbered.count, 4);
        cr_assert_leq(rows_of(&engine, 0), 3, "full chunks are one row");
        cr_assert_eq(rows_of(&engine, 1), (NUMBERS + NUMBERED_BITS - 1) / NUMBERED_BITS);
        tally_free(engine.tally);
        engine.tally = tally_new(0, 1, 0);
        cr_assert_eq(vault_verify(&engine.vault, engine.tally, &reason), 0, "%.*s",
                     (int)reason.length, reason.at);
        engine_close(&engine);
        (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
        cr_assert_eq(system(command), 0);
    }
    cr_assert(digests[0] == digests[1]);
    usage_writer_free(engine.writer);
    usage_reader_free(engine.reader);
}
