#include "invoicer/edges/usage.h"

#include "invoicer/edges/mirror.h"
#include "tests/unit/invoicer/shelf.h"

#include <string.h>

enum { DAY = 1440, JANUARY = 29453760 /* 2026-01-01 */ };

/* A total of one day's window, cut at midnight, in the store. */
struct entry {
    int day;
    int shift;   /* minutes: of earlier cuts, behind midnight */
    int minutes; /* how long it is; 0: a day */
    enum aggregation aggregation;
    const char *value;
    uint64_t count;
    const char *dimensions;
    int unique; /* > 0: a unique value of this number */
    int64_t next_offset;
};

static void put(struct shelf *shelf, const struct entry *entry)
{
    struct counters_total total = {
        .subscription = text_of("S"),
        .meter = text_of("api"),
        .dimensions = text_of(entry->dimensions ? entry->dimensions : "{}"),
        .from_minute = JANUARY + entry->day * DAY + entry->shift,
        .to_minute =
            JANUARY + entry->day * DAY + entry->shift + (entry->minutes ? entry->minutes : DAY),
        .is_unique = entry->unique > 0,
        .total = {.aggregation = entry->aggregation, .count = entry->count},
        .next_offset = entry->next_offset ? entry->next_offset : 1,
    };
    struct buffer key = {0}, value = {0};

    if (entry->value)
        cr_assert_eq(decimal_parse(text_of(entry->value), &total.total.value), 0);
    total.unique[0] = (uint8_t)entry->unique;
    counters_encode_total(&total, &key, &value);
    cr_assert_eq(mirror_take(shelf->txn, buffer_text(&key), buffer_text(&value)), 0);
    buffer_deinit(&key);
    buffer_deinit(&value);
}

/* The usage of a period in minutes of January, as text, and its windows. */
static size_t usage_between(struct shelf *shelf, const uint16_t *cuts, size_t cut_count, int first,
                            int end, char text[DECIMAL_TEXT_MAX])
{
    struct arena arena;
    struct usage_source source = {shelf->txn, text_of("S"), cuts, cut_count, &arena};
    struct window period = {instant_from_minute(JANUARY + first),
                            instant_from_minute(JANUARY + end)};
    const struct rate_card card = {.feature_key = text_of("api"), .is_of_usage = true};
    struct invoice_usage usage;
    size_t windows;

    arena_init(&arena, 1 << 20);
    cr_assert_eq(usage_in(&source, &card, period, &usage), 0);
    decimal_format(usage.quantity, text);
    windows = usage.window_count;
    arena_deinit(&arena);
    return windows;
}

/* The usage of the days from `first` up to (not including) `end`, as text, and its windows. */
static size_t usage_of_days(struct shelf *shelf, int first, int end, char text[DECIMAL_TEXT_MAX])
{
    static const uint16_t midnight[] = {0};

    return usage_between(shelf, midnight, 1, first * DAY, end * DAY, text);
}

static void put_all(struct shelf *shelf, const struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(shelf, &entries[i]);
}

Test(usage, a_sum_adds_windows_and_dimensions_of_the_period_alone)
{
    const struct entry entries[] = {
        {.day = -1, .aggregation = AGGREGATION_SUM, .value = "1000", .count = 1},
        {.day = 0,
         .aggregation = AGGREGATION_SUM,
         .value = "1.5",
         .count = 1,
         .dimensions = "{\"a\":\"x\"}"},
        {.day = 0,
         .aggregation = AGGREGATION_SUM,
         .value = "2",
         .count = 1,
         .dimensions = "{\"a\":\"y\"}"},
        {.day = 30, .aggregation = AGGREGATION_SUM, .value = "0.25", .count = 1},
        {.day = 31, .aggregation = AGGREGATION_SUM, .value = "1000", .count = 1},
    };
    char text[DECIMAL_TEXT_MAX];
    struct shelf shelf;

    shelf_open(&shelf);
    put_all(&shelf, entries, ARRAY_LEN(entries));

    cr_assert_eq(usage_of_days(&shelf, 0, 31, text), 2);

    cr_assert_str_eq(text, "3.75");
    shelf_close(&shelf);
}

Test(usage, an_average_is_that_of_all_events_not_of_the_windows)
{
    const struct entry entries[] = {
        {.day = 0, .aggregation = AGGREGATION_AVG, .value = "10", .count = 1},
        {.day = 1, .aggregation = AGGREGATION_AVG, .value = "6", .count = 3},
    };
    char text[DECIMAL_TEXT_MAX];
    struct shelf shelf;

    shelf_open(&shelf);
    put_all(&shelf, entries, ARRAY_LEN(entries));

    (void)usage_of_days(&shelf, 0, 31, text);

    cr_assert_str_eq(text, "4");
    shelf_close(&shelf);
}

Test(usage, unique_values_count_once_in_a_period_however_many_windows_saw_them)
{
    const struct entry entries[] = {
        {.day = 0, .aggregation = AGGREGATION_UNIQUE_COUNT, .count = 2},
        {.day = 0, .aggregation = AGGREGATION_UNIQUE_COUNT, .count = 1, .unique = 1},
        {.day = 0, .aggregation = AGGREGATION_UNIQUE_COUNT, .count = 1, .unique = 2},
        {.day = 0,
         .aggregation = AGGREGATION_UNIQUE_COUNT,
         .count = 1,
         .unique = 2,
         .dimensions = "{\"a\":null}"},
        {.day = 3, .aggregation = AGGREGATION_UNIQUE_COUNT, .count = 1, .unique = 2},
        {.day = 3, .aggregation = AGGREGATION_UNIQUE_COUNT, .count = 1, .unique = 3},
    };
    char text[DECIMAL_TEXT_MAX];
    struct shelf shelf;

    shelf_open(&shelf);
    put_all(&shelf, entries, ARRAY_LEN(entries));

    cr_assert_eq(usage_of_days(&shelf, 0, 31, text), 2);

    cr_assert_str_eq(text, "3");
    (void)usage_of_days(&shelf, 0, 1, text);
    cr_assert_str_eq(text, "2");
    shelf_close(&shelf);
}

Test(usage, windows_of_other_cuts_are_left_out)
{
    struct counters_total total = {
        .subscription = text_of("S"),
        .meter = text_of("api"),
        .dimensions = text_of("{}"),
        .from_minute = JANUARY + 600,
        .to_minute = JANUARY + 600 + DAY,
        .total = {.aggregation = AGGREGATION_COUNT, .count = 7},
        .next_offset = 1,
    };
    const struct entry entry = {.day = 0, .aggregation = AGGREGATION_COUNT, .count = 5};
    struct buffer key = {0}, value = {0};
    char text[DECIMAL_TEXT_MAX];
    struct shelf shelf;

    shelf_open(&shelf);
    put(&shelf, &entry);
    counters_encode_total(&total, &key, &value);
    cr_assert_eq(mirror_take(shelf.txn, buffer_text(&key), buffer_text(&value)), 0);

    cr_assert_eq(usage_of_days(&shelf, 0, 31, text), 1);

    cr_assert_str_eq(text, "5");
    buffer_deinit(&key);
    buffer_deinit(&value);
    shelf_close(&shelf);
}

Test(mirror, an_older_total_doesnt_replace_a_newer_one)
{
    const struct entry newer = {
        .aggregation = AGGREGATION_SUM, .value = "9", .count = 2, .next_offset = 5};
    const struct entry older = {
        .aggregation = AGGREGATION_SUM, .value = "4", .count = 1, .next_offset = 4};
    char text[DECIMAL_TEXT_MAX];
    struct shelf shelf;

    shelf_open(&shelf);
    put(&shelf, &newer);
    put(&shelf, &older);

    (void)usage_of_days(&shelf, 0, 31, text);

    cr_assert_str_eq(text, "9");
    shelf_close(&shelf);
}

Test(mirror, a_freeze_is_reached_when_every_partition_has_passed_offset_and_catalog)
{
    const int64_t targets[] = {10, 0};
    struct counters_mark mark = {.next_offset = 9, .catalog_offset = 3};
    struct mirror_progress progress;
    struct buffer key = {0}, value = {0};
    struct shelf shelf;

    shelf_open(&shelf);
    memset(mark.digest, '0', sizeof(mark.digest) - 1);
    cr_assert_eq(mirror_freeze(shelf.txn, targets, 2, 3, 0), 0);
    for (int step = 0; step < 3; step++) {
        mark.partition = step == 2;
        mark.next_offset += step == 1;
        counters_encode_mark(&mark, &key, &value);
        cr_assert_eq(mirror_take(shelf.txn, buffer_text(&key), buffer_text(&value)), 0);

        cr_assert_eq(mirror_frozen(shelf.txn, &progress), 0);

        cr_assert_eq(progress.standing, step);
        cr_assert_eq(progress.behind.lack, step == 0   ? MIRROR_LACKS_USAGE
                                           : step == 1 ? MIRROR_LACKS_MARK
                                                       : MIRROR_LACKS_NOTHING);
        cr_assert(step == 2 || progress.behind.partition == step);
    }
    mark.catalog_offset = 2; /* a catalog that doesn't know the subscriptions yet */
    counters_encode_mark(&mark, &key, &value);
    cr_assert_eq(mirror_take(shelf.txn, buffer_text(&key), buffer_text(&value)), 0);
    cr_assert_eq(mirror_frozen(shelf.txn, &progress), 0);
    cr_assert_eq(progress.behind.partition, 1);
    cr_assert_eq(progress.behind.lack, MIRROR_LACKS_CATALOG);
    buffer_deinit(&key);
    buffer_deinit(&value);
    shelf_close(&shelf);
}

/* Their minutes had aged when the cuts changed: nothing else says what was used then. */
Test(usage, windows_of_earlier_cuts_count_where_today_s_leave_a_gap)
{
    const struct entry entries[] = {
        {.day = -1, .shift = 630, .aggregation = AGGREGATION_SUM, .value = "1000", .count = 1},
        {.day = 0, .shift = 630, .aggregation = AGGREGATION_SUM, .value = "5", .count = 1},
        {.day = 0, .shift = 640, .aggregation = AGGREGATION_SUM, .value = "7", .count = 1},
        {.day = 1,
         .shift = 630,
         .aggregation = AGGREGATION_SUM,
         .value = "0.5",
         .count = 1,
         .dimensions = "{\"a\":\"x\"}"},
        {.day = 1, .shift = 630, .aggregation = AGGREGATION_SUM, .value = "0.25", .count = 1},
        {.day = 9, .shift = 630, .aggregation = AGGREGATION_SUM, .value = "2", .count = 1},
        {.day = 10, .aggregation = AGGREGATION_SUM, .value = "2", .count = 1},
        {.day = 10, .shift = 630, .aggregation = AGGREGATION_SUM, .value = "1", .count = 1},
        {.day = 11, .aggregation = AGGREGATION_SUM, .value = "1", .count = 1},
        {.day = 30, .shift = 630, .aggregation = AGGREGATION_SUM, .value = "1000", .count = 1},
    };
    char text[DECIMAL_TEXT_MAX];
    struct shelf shelf;

    shelf_open(&shelf);
    put_all(&shelf, entries, ARRAY_LEN(entries));

    cr_assert_eq(usage_of_days(&shelf, 0, 31, text), 4);

    cr_assert_str_eq(text, "8.75", "%s", text);
    shelf_close(&shelf);
}

/* The usage of January's first three days on cuts at 10:07 and 15:00, and its windows. */
static size_t usage_on_new_cuts(struct shelf *shelf, char text[DECIMAL_TEXT_MAX])
{
    static const uint16_t cuts[] = {607, 900};

    return usage_between(shelf, cuts, 2, 607, 3 * DAY + 607, text);
}

/* Where minutes have aged 10:07 can't be told any more, and 15:00 can. */
Test(usage, a_window_of_earlier_cuts_counts_where_only_a_part_of_it_could_be_published_anew)
{
    const struct entry entries[] = {
        {.day = 0, .shift = 607, .value = "10", .count = 4},
        {.day = 0, .shift = 900, .minutes = DAY - 293, .value = "6", .count = 3},
        {.day = 1, .shift = 607, .value = "10", .count = 4},
        {.day = 1, .shift = 607, .minutes = 293, .value = "5", .count = 2},
        {.day = 1, .shift = 900, .minutes = DAY - 293, .value = "7", .count = 3},
        {.day = 2, .shift = 607, .value = "10", .count = 4},
    };
    char text[DECIMAL_TEXT_MAX];
    struct shelf shelf;

    shelf_open(&shelf);
    put_all(&shelf, entries, ARRAY_LEN(entries));

    cr_assert_eq(usage_on_new_cuts(&shelf, text), 4);

    cr_assert_str_eq(text, "32", "%s", text);
    shelf_close(&shelf);
}

Test(usage, unique_values_of_a_part_that_could_not_be_published_anew_are_counted)
{
    const struct entry entries[] = {
        {.shift = 607, .aggregation = AGGREGATION_UNIQUE_COUNT, .count = 2},
        {.shift = 607, .aggregation = AGGREGATION_UNIQUE_COUNT, .count = 1, .unique = 1},
        {.shift = 607, .aggregation = AGGREGATION_UNIQUE_COUNT, .count = 1, .unique = 2},
        {.shift = 900, .minutes = DAY - 293, .aggregation = AGGREGATION_UNIQUE_COUNT, .count = 1},
        {.shift = 900,
         .minutes = DAY - 293,
         .aggregation = AGGREGATION_UNIQUE_COUNT,
         .count = 1,
         .unique = 2},
    };
    char text[DECIMAL_TEXT_MAX];
    struct shelf shelf;

    shelf_open(&shelf);
    put_all(&shelf, entries, ARRAY_LEN(entries));

    cr_assert_eq(usage_on_new_cuts(&shelf, text), 1);

    cr_assert_str_eq(text, "2", "%s", text);
    shelf_close(&shelf);
}
