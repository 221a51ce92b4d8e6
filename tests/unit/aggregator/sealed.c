/*
 * Days whose ids left the memory: filter, pages, and the whole with a store.
 */
#include "aggregator/rules/sealed.h"

#include "aggregator/edges/vault_parts.h"
#include "common/base/fault.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t scattered(uint64_t number)
{
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

static struct fingerprint id_of(uint64_t number, uint32_t payload)
{
    struct fingerprint id = {.payload = payload};
    uint64_t words[2] = {scattered(number), scattered(~number)};

    memcpy(id.identity, words, sizeof(id.identity));
    return id;
}

Test(bloom, an_added_id_is_always_held_and_one_in_five_hundred_others)
{
    enum { IDS = 100000 };
    struct bloom bloom = {0};
    size_t wrong = 0;

    bloom_init(&bloom, IDS);
    for (uint64_t i = 0; i < IDS; i++) {
        struct fingerprint id = id_of(i, 0);

        bloom_add(&bloom, &id);
    }
    for (uint64_t i = 0; i < IDS; i++) {
        struct fingerprint id = id_of(i, 1), other = id_of(IDS + i, 0);

        cr_assert(bloom_may_hold(&bloom, &id), "whatever its payload");
        wrong += bloom_may_hold(&bloom, &other);
    }
    cr_assert_lt(wrong, IDS / 500, "%zu", wrong);
    cr_assert_leq(bloom_bytes(&bloom), IDS * 2 + 64);
    bloom_deinit(&bloom);
}

static void expect_sorted(uint64_t low, uint64_t high, uint64_t step)
{
    enum { IDS = 30000 };
    static struct fingerprint ids[IDS], room[IDS];
    uint64_t sum = 0;

    for (uint64_t i = 0; i < IDS; i++) {
        uint64_t first = low + scattered(i) % step % (high - low + 1);

        memcpy(ids[i].identity, &first, sizeof(first));
        ids[i].payload = (uint32_t)i;
        sum += i;
    }
    sealed_sort(ids, room, IDS, low, high);
    for (uint64_t i = 0; i < IDS; i++) {
        cr_assert(i == 0 || sealed_compare(&ids[i - 1], &ids[i]) <= 0);
        sum -= ids[i].payload;
    }
    cr_assert_eq(sum, 0, "each is still there");
}

Test(sealed, ids_are_sorted_however_they_lie_in_their_range)
{
    expect_sorted(0, UINT64_MAX - 1, UINT64_MAX);
    expect_sorted(UINT64_C(1) << 60, (UINT64_C(1) << 60) + 12345, UINT64_MAX);
    expect_sorted(0, UINT64_MAX - 1, 400); /* all at one end */
}

Test(sealed, an_id_is_found_in_the_one_page_where_it_can_be_and_no_other_is)
{
    enum { IDS = 5500, PAGE = SEALED_PAGE_IDS - 1 };
    static struct fingerprint ids[IDS], room[IDS];
    struct sealed *sealed = sealed_new(0, IDS);

    for (uint64_t i = 0; i < IDS; i++) {
        ids[i] = id_of(i / 2, 7);
        if (i % 2) /* neighbours that differ in their last word alone, over page borders, too */
            ids[i].identity[11] ^= 1;
    }
    sealed_sort(ids, room, IDS, 0, UINT64_MAX);
    for (size_t at = 0; at < IDS; at += PAGE)
        cr_assert(sealed_add_page(sealed, ids + at, IDS - at < PAGE ? IDS - at : PAGE));
    cr_assert_not(sealed_add_page(sealed, ids, 1), "pages ascend");
    for (uint64_t i = 0; i < IDS; i++) {
        struct fingerprint other = id_of(IDS + i, 7);
        uint32_t page = sealed_page_of(sealed, &ids[i]);
        size_t first = (size_t)page * PAGE;

        cr_assert(sealed_asks_for(sealed, &ids[i]));
        cr_assert_not(
            sealed_recall(sealed, ids + first, IDS - first < PAGE ? IDS - first : PAGE, &other));
        cr_assert(
            sealed_recall(sealed, ids + first, IDS - first < PAGE ? IDS - first : PAGE, &ids[i]));
        cr_assert_not(sealed_asks_for(sealed, &ids[i]), "it is recalled");
    }
    sealed_free(sealed);
}

/* --- with a store --- */

enum { DAYS = 4, BATCH = 200, ROUNDS = 120, NAMES = 6000 };
#define START_MS INT64_C(1767225600000)
#define DAY_MS   INT64_C(86400000)

static char folder[] = "/dev/shm/tollway-sealed-XXXXXX";

struct engine {
    struct vault vault;
    struct tally *tally;
    struct usage_writer *writer;
    struct usage_reader *reader;
    uint8_t payload[DAYS][NAMES]; /* the model: 0, or the payload of the first and 1 */
    uint64_t counted, duplicates, conflicts, state;
};

static uint64_t below(struct engine *engine, uint64_t end)
{
    engine->state = engine->state * 6364136223846793005u + 1442695040888963407u;
    return (engine->state >> 33) % end;
}

/* Tables are loaded into the room that their ids need, and a quarter more: rounded up to a cache
 * line. */
static void expect_little_spare_room(const struct tally *tally)
{
    for (struct day *day = days_next(&tally->days, INT32_MIN); day;
         day = days_next(&tally->days, (int64_t)day->number + 1)) {
        uint64_t ids = day->ids.count + day->ids.count / 4;

        cr_assert_leq(day->ids.room, (ids * 20 + 12) / 13 + 3);
    }
}

static void engine_open(struct engine *engine)
{
    CLEANUP(buffer_deinit) struct buffer reason = {0};
    int r;

    cr_assert_eq(vault_open(folder, 1 << 20, &engine->vault), 0, "%s", fault_text());
    engine->tally = tally_new(0, 1, 10 * DAY_MS);
    engine->tally->filter_bytes_max = 1 + (int64_t)below(engine, 40000);
    r = vault_load(&engine->vault, engine->tally, &reason);
    cr_assert(r == 0 || r == VAULT_EMPTY, "%.*s", (int)reason.length, reason.at);
    expect_little_spare_room(engine->tally);
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

static void expect_verdict(struct engine *engine, uint64_t day, uint64_t name, uint8_t payload)
{
    uint8_t *first = &engine->payload[day][name];

    engine->counted += *first == 0;
    engine->duplicates += *first != 0;
    engine->conflicts += *first != 0 && *first != payload + 1;
    if (*first == 0)
        *first = (uint8_t)(payload + 1);
}

static void count_batch(struct engine *engine)
{
    struct aside asides[USAGE_EVENTS_MAX];
    struct usage_series series = {
        .aggregation = AGGREGATION_COUNT, .subscription = text_of("s"), .meter = text_of("m")};
    union usage_value value = {.unique = {0}};
    struct usage_batch batch;
    struct account_counts sum;
    const char *reason;
    size_t count;

    usage_writer_reset(engine->writer);
    for (size_t i = 0; i < BATCH; i++) {
        uint64_t day = below(engine, DAYS), name = below(engine, NAMES);
        uint8_t payload = below(engine, 10) == 0;
        struct usage_event event = {.fingerprint = id_of(name, payload), /* one a day */
                                    .arrival_ms = START_MS + DAYS * DAY_MS,
                                    .time = instant_from_ms(START_MS + (int64_t)day * DAY_MS)};

        expect_verdict(engine, day, name, payload);
        cr_assert_eq(usage_writer_add(engine->writer, &event, &series, &value, 1), 0);
    }
    cr_assert_eq(usage_decode(engine->reader, usage_writer_finish(engine->writer), &batch, &reason),
                 0);
    cr_assert_eq(vault_recall(&engine->vault, engine->tally, &batch), 0, "%s", fault_text());
    tally_count(engine->tally, &batch, engine->tally->next_offset, asides, &count);
    sum = engine->tally->ledger.sum;
    cr_assert_eq(sum.counted, engine->counted);
    cr_assert_eq(sum.duplicate, engine->duplicates);
    cr_assert_eq(sum.conflict, engine->conflicts);
}

static void seal_oldest(struct engine *engine)
{
    struct day *days[DAYS_SEALED_MAX];
    size_t count =
        days_to_seal(&engine->tally->days, (int64_t)below(engine, 40000) + 1, 5000, days);
    int r;

    if (count == 0)
        return;
    engine_commit(engine);
    do
        r = vault_seal(&engine->vault, engine->tally, days, count, 700);
    while (r == FAULT_RETRY);
    cr_assert_eq(r, 0, "%s", fault_text());
    for (size_t i = 0; i < count; i++) {
        cr_assert_null(days[i]->ids.slots);
        cr_assert_lt(sealed_bytes(days[i]->sealed), 3 * days[i]->sealed->count + 1000);
    }
    (void)days_forget_recalled(&engine->tally->days);
}

/* A sealing that a kill ended before its last transaction leaves pages that hold nothing. */
static void leave_pages(struct engine *engine)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    CLEANUP(buffer_deinit) struct buffer value = {0};
    struct day *day = days_next(&engine->tally->days, engine->tally->first_open_day);
    uint32_t generation = day->sealed ? 1 - day->sealed->generation : 0;
    struct fingerprint id = id_of(below(engine, NAMES), 0);
    uint8_t key[ID_KEY_BYTES];

    page_key(day->number, generation, (uint32_t)below(engine, 30), key);
    buffer_add(&value, &id, sizeof(id));
    sealed_close(text_from(key, sizeof(key)), &value);
    cr_assert_eq(store_begin(engine->vault.store, STORE_WRITE, &txn), 0);
    cr_assert_eq(store_put(txn, VAULT_IDS, text_from(key, sizeof(key)), buffer_text(&value)), 0);
    cr_assert_eq(store_commit(&txn), 0);
}

static uint128 run(struct engine *engine, bool seals)
{
    uint64_t pauses = 5;

    memset(engine->payload, 0, sizeof(engine->payload));
    engine->counted = engine->duplicates = engine->conflicts = 0;
    engine->state = 1;
    engine_open(engine);
    engine->state = 1;
    for (size_t i = 0; i < ROUNDS; i++) {
        uint64_t log_state;

        count_batch(engine);
        log_state = engine->state;
        engine->state = pauses += i * 77;
        if (seals && below(engine, 3) == 0)
            seal_oldest(engine);
        if (seals && below(engine, 8) == 0) {
            engine_commit(engine);
            leave_pages(engine);
            engine_close(engine);
            engine_open(engine);
        }
        engine->state = log_state;
    }
    engine_commit(engine);
    return engine->vault.state.digest;
}

/* Sixty days with a hundred sealed ids and one new one each hold more memory in their new tables
 * than sealing saved; a day with many sealed ids isn't written again for one. */
Test(sealed, a_small_day_is_sealed_again_for_the_table_that_one_id_takes)
{
    struct fingerprint id = {.payload = 7};
    struct day *found[DAYS_SEALED_MAX];
    struct days days = {0};
    struct day *small = days_take(&days, 100), *large = days_take(&days, 101);

    small->sealed = sealed_new(0, 0);
    large->sealed = sealed_new(0, 0);
    small->sealed->count = 100;
    large->sealed->count = 1000000;
    cr_assert_eq(days_to_seal(&days, INT64_MAX, UINT64_MAX, found), 0);
    dedup_add(&small->ids, &id);
    dedup_add(&large->ids, &id);
    cr_assert_eq(days_to_seal(&days, INT64_MAX, UINT64_MAX, found), 1);
    cr_assert_eq(found[0], small);
    days_deinit(&days);
}

Test(sealed, days_give_the_same_verdicts_and_digest_sealed_or_not)
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
        digests[i] = run(&engine, i == 1);
        cr_assert_gt(engine.conflicts, 500);
        tally_free(engine.tally);
        engine.tally = tally_new(0, 1, 10 * DAY_MS);
        cr_assert_eq(vault_verify(&engine.vault, engine.tally, &reason), 0, "%.*s",
                     (int)reason.length, reason.at);
        cr_assert_eq(engine.tally->days.has_sealed, i == 1);
        engine_close(&engine);
        (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
        cr_assert_eq(system(command), 0);
    }
    cr_assert(digests[0] == digests[1]);
    usage_writer_free(engine.writer);
    usage_reader_free(engine.reader);
}
