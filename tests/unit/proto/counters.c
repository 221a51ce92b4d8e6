/*
 * counters.c - totals and marks on the counters topic, and what windows add up to.
 */
#include "proto/counters.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct counters_total any_total(void)
{
    return (struct counters_total){
        .subscription = text_of("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        .meter = text_of("api"),
        .dimensions = text_of("{\"method\":\"GET\",\"path\":\"/a/b\"}"),
        .from_minute = 29000000,
        .to_minute = 29001440,
        .total = {.aggregation = AGGREGATION_LATEST,
                  .value.units = -((int128)1 << 100),
                  .count = 42,
                  .time.ns = 1234567890123456789},
        .next_offset = 77,
    };
}

static struct counters_mark any_mark(void)
{
    return (struct counters_mark){
        .partition = 3,
        .next_offset = 1000,
        .catalog_offset = 12,
        .watermark.ns = 1234567890123000000,
        .digest = "00112233445566778899aabbccddeeff",
        .owner = "http://127.0.0.1:8081/\"quoted\"",
        .accepted = 10,
        .counted = 6,
        .duplicate = 2,
        .conflict = 1,
        .rejected = 1,
        .late = INT64_MAX,
        .has_horizon = true,
        .horizon_ms = 3024000000,
    };
}

/* Key and value of one record. */
struct record {
    struct buffer key, value;
};

static void record_deinit(struct record *record)
{
    buffer_deinit(&record->key);
    buffer_deinit(&record->value);
}

static int decode(const struct record *record, struct counters_total *total,
                  struct counters_mark *mark)
{
    const char *reason = NULL;
    int r = counters_decode(buffer_text(&record->key), buffer_text(&record->value), total, mark,
                            &reason);

    cr_assert_eq(r == COUNTERS_FOREIGN, reason != NULL);
    return r;
}

static void check_total(const struct counters_total *read, const struct counters_total *made)
{
    cr_assert(text_equal(read->subscription, made->subscription));
    cr_assert(text_equal(read->meter, made->meter));
    cr_assert(text_equal(read->dimensions, made->dimensions));
    cr_assert_eq(read->from_minute, made->from_minute);
    cr_assert_eq(read->to_minute, made->to_minute);
    cr_assert_eq(read->is_unique, made->is_unique);
    cr_assert_eq(read->total.aggregation, made->total.aggregation);
    cr_assert(read->total.value.units == made->total.value.units);
    cr_assert_eq(read->total.count, made->total.count);
    cr_assert_eq(read->total.time.ns, made->total.time.ns);
    cr_assert_eq(read->next_offset, made->next_offset);
}

Test(counters, a_total_is_read_as_it_was_written)
{
    CLEANUP(record_deinit) struct record record = {0};
    struct counters_total made = any_total(), read;
    struct counters_mark mark;

    counters_encode_total(&made, &record.key, &record.value);

    cr_assert(text_is(buffer_text(&record.key),
                      "T/01ARZ3NDEKTSV4RRFFQ69G5FAV/api/29000000/29001440/"
                      "{\"method\":\"GET\",\"path\":\"/a/b\"}"));
    cr_assert_eq(decode(&record, &read, &mark), COUNTERS_TOTAL);
    check_total(&read, &made);
}

Test(counters, a_unique_value_is_read_as_it_was_written)
{
    CLEANUP(record_deinit) struct record record = {0};
    struct counters_total made = any_total(), read;
    struct counters_mark mark;

    made.is_unique = true;
    made.from_minute = -1440;
    made.to_minute = 0;
    made.total = (struct total){.aggregation = AGGREGATION_UNIQUE_COUNT, .count = 1};
    for (size_t i = 0; i < 16; i++)
        made.unique[i] = (uint8_t)(i * 17);
    counters_encode_total(&made, &record.key, &record.value);

    cr_assert_eq(decode(&record, &read, &mark), COUNTERS_TOTAL);
    check_total(&read, &made);
    cr_assert_arr_eq(read.unique, made.unique, 16);
}

Test(counters, a_mark_is_read_as_it_was_written)
{
    CLEANUP(record_deinit) struct record record = {0};
    struct counters_mark made = any_mark(), read;
    struct counters_total total;

    memset(&read, 0, sizeof(read));
    counters_encode_mark(&made, &record.key, &record.value);

    cr_assert(text_is(buffer_text(&record.key), "M/3"));
    cr_assert_eq(decode(&record, &total, &read), COUNTERS_MARK);
    cr_assert_eq(read.partition, made.partition);
    cr_assert_eq(read.next_offset, made.next_offset);
    cr_assert_eq(read.catalog_offset, made.catalog_offset);
    cr_assert_eq(read.watermark.ns, made.watermark.ns);
    cr_assert_str_eq(read.digest, made.digest);
    cr_assert_str_eq(read.owner, made.owner);
    cr_assert_eq(read.accepted, made.accepted);
    cr_assert_eq(read.counted, made.counted);
    cr_assert_eq(read.duplicate, made.duplicate);
    cr_assert_eq(read.conflict, made.conflict);
    cr_assert_eq(read.rejected, made.rejected);
    cr_assert_eq(read.late, made.late);
    cr_assert(read.has_horizon);
    cr_assert_eq(read.horizon_ms, made.horizon_ms);
}

Test(counters, every_flipped_bit_of_a_total_is_foreign)
{
    CLEANUP(record_deinit) struct record record = {0};
    struct counters_total made = any_total(), read;
    struct counters_mark mark;

    counters_encode_total(&made, &record.key, &record.value);
    for (size_t bit = 0; bit < record.value.length * 8; bit++) {
        record.value.at[bit / 8] = (char)(record.value.at[bit / 8] ^ (1 << bit % 8));
        cr_assert_eq(decode(&record, &read, &mark), COUNTERS_FOREIGN, "value bit %zu", bit);
        record.value.at[bit / 8] = (char)(record.value.at[bit / 8] ^ (1 << bit % 8));
    }
    for (size_t bit = 0; bit < record.key.length * 8; bit++) {
        record.key.at[bit / 8] = (char)(record.key.at[bit / 8] ^ (1 << bit % 8));
        cr_assert_eq(decode(&record, &read, &mark), COUNTERS_FOREIGN, "key bit %zu", bit);
        record.key.at[bit / 8] = (char)(record.key.at[bit / 8] ^ (1 << bit % 8));
    }
    cr_assert_eq(decode(&record, &read, &mark), COUNTERS_TOTAL);
}

Test(counters, every_truncation_of_a_record_is_foreign)
{
    CLEANUP(record_deinit) struct record record = {0};
    struct counters_total total = any_total();
    struct counters_mark mark = any_mark();
    const char *reason;

    counters_encode_total(&total, &record.key, &record.value);
    for (size_t length = 0; length < record.value.length; length++)
        cr_assert_eq(counters_decode(buffer_text(&record.key), text_from(record.value.at, length),
                                     &total, &mark, &reason),
                     COUNTERS_FOREIGN);
    counters_encode_mark(&mark, &record.key, &record.value);
    for (size_t length = 0; length < record.value.length; length++)
        cr_assert_eq(counters_decode(buffer_text(&record.key), text_from(record.value.at, length),
                                     &total, &mark, &reason),
                     COUNTERS_FOREIGN);
}

Test(counters, a_mark_that_lacks_a_member_or_lies_about_one_is_foreign)
{
    static const char whole[] = "{\"partition\":0,\"nextOffset\":1,\"catalogOffset\":1,"
                                "\"watermark\":\"2026-01-01T00:00:00Z\","
                                "\"digest\":\"00112233445566778899aabbccddeeff\",\"owner\":\"\","
                                "\"accepted\":0,\"counted\":0,"
                                "\"duplicate\":0,\"conflict\":0,"
                                "\"rejected\":0,\"late\":0}";
    struct counters_total total;
    struct counters_mark mark;
    const char *reason;
    char broken[sizeof(whole)];

    cr_assert_eq(counters_decode(text_of("M/0"), text_of(whole), &total, &mark, &reason),
                 COUNTERS_MARK);
    cr_assert_eq(counters_decode(text_of("M/1"), text_of(whole), &total, &mark, &reason),
                 COUNTERS_FOREIGN);
    for (const char *at = strchr(whole, '"'); at; at = strstr(at + 1, ",\"")) {
        memcpy(broken, whole, sizeof(whole));
        broken[at - whole + 2] = '_'; /* another name */
        cr_assert_eq(counters_decode(text_of("M/0"), text_of(broken), &total, &mark, &reason),
                     COUNTERS_FOREIGN, "%s", broken);
    }
    memcpy(broken, whole, sizeof(whole));
    memcpy(strstr(broken, "\"late\":0"), "\"late\":-", 8);
    cr_assert_eq(counters_decode(text_of("M/0"), text_of(broken), &total, &mark, &reason),
                 COUNTERS_FOREIGN);
}

Test(counters, tombstones_and_unknown_keys_are_foreign)
{
    struct counters_total total;
    struct counters_mark mark;
    const char *reason;

    cr_assert_eq(counters_decode(text_of("M/0"), (struct text){NULL, 0}, &total, &mark, &reason),
                 COUNTERS_FOREIGN);
    cr_assert_eq(counters_decode(text_of("X/0"), text_of("{}"), &total, &mark, &reason),
                 COUNTERS_FOREIGN);
    cr_assert_eq(counters_decode((struct text){NULL, 0}, text_of(""), &total, &mark, &reason),
                 COUNTERS_FOREIGN);
}

Test(counters, dimensions_are_json_sorted_as_given)
{
    struct usage_dimension dimensions[] = {
        {text_of("a"), text_of("x\"y\n")}, {text_of("b"), {NULL, 0}}, {text_of("c"), text_of("")}};
    CLEANUP(buffer_deinit) struct buffer json = {0};

    counters_dimensions(dimensions, 3, &json);
    counters_dimensions(NULL, 0, &json);

    cr_assert(text_is(buffer_text(&json), "{\"a\":\"x\\\"y\\n\",\"b\":null,\"c\":\"\"}{}"));
}

Test(counters, windows_lie_between_neighbouring_cuts)
{
    static const uint16_t midnight[] = {0}, several[] = {60, 600, 1439};
    struct {
        const uint16_t *cuts;
        size_t count;
        int64_t minute, from, to;
    } cases[] = {
        {midnight, 1, 0, 0, 1440},      {midnight, 1, 1439, 0, 1440},
        {midnight, 1, -1, -1440, 0},    {midnight, 1, 1440 * 7 + 5, 1440 * 7, 1440 * 8},
        {several, 3, 59, -1, 60},       {several, 3, 60, 60, 600},
        {several, 3, 599, 60, 600},     {several, 3, 600, 600, 1439},
        {several, 3, 1439, 1439, 1500}, {several, 3, -1440, -1441, -1380},
        {several + 1, 1, 0, -840, 600}, {several + 1, 1, 600, 600, 2040},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t from, to;

        counters_window(cases[i].cuts, cases[i].count, cases[i].minute, &from, &to);
        cr_assert_eq(from, cases[i].from, "case %zu", i);
        cr_assert_eq(to, cases[i].to, "case %zu", i);
    }
}

static struct total of(enum aggregation aggregation, int64_t value, uint64_t count, int64_t time)
{
    return (struct total){aggregation, {value}, count, {time}};
}

/* Merges all orders of three parts and checks that they agree. */
static struct total merged(const struct total parts[3])
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct total first = {0};

    for (int i = 0; i < 6; i++) {
        struct total sum = {.aggregation = parts[0].aggregation};

        for (int k = 0; k < 3; k++)
            cr_assert_eq(total_merge(&sum, &parts[orders[i][k]]), 0);
        if (i == 0)
            first = sum;
        cr_assert(sum.value.units == first.value.units);
        cr_assert_eq(sum.count, first.count);
        cr_assert_eq(sum.time.ns, first.time.ns);
    }
    return first;
}

Test(total, each_aggregation_answers_alike_in_any_order)
{
    struct {
        enum aggregation aggregation;
        int64_t answer; /* in 10^-12 */
    } cases[] = {
        {AGGREGATION_SUM, 12},
        {AGGREGATION_COUNT, 6000000000000},
        {AGGREGATION_MIN, 1},
        {AGGREGATION_MAX, 8},
        {AGGREGATION_AVG, 2},
        {AGGREGATION_LATEST, 8}, /* the same time twice: the greater value */
        {AGGREGATION_UNIQUE_COUNT, 6000000000000},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct total parts[3] = {of(cases[i].aggregation, 3, 3, 50),
                                 of(cases[i].aggregation, 8, 1, 90),
                                 of(cases[i].aggregation, 1, 2, 90)};
        struct total sum = merged(parts);

        cr_assert(total_answer(&sum).units == cases[i].answer, "%s",
                  aggregation_name(cases[i].aggregation));
    }
}

Test(total, a_mean_is_rounded_half_away_from_zero)
{
    struct total half = of(AGGREGATION_AVG, 5, 2, 0), below = of(AGGREGATION_AVG, -5, 2, 0),
                 third = of(AGGREGATION_AVG, 10, 3, 0);

    cr_assert(total_answer(&half).units == 3);
    cr_assert(total_answer(&below).units == -3);
    cr_assert(total_answer(&third).units == 3);
}

Test(total, nothing_changes_nothing_and_answers_zero)
{
    struct total held = of(AGGREGATION_MIN, 7, 2, 1), nothing = of(AGGREGATION_MIN, 0, 0, 0);

    cr_assert_eq(total_merge(&held, &nothing), 0);
    cr_assert(held.value.units == 7 && held.count == 2);
    cr_assert(total_answer(&nothing).units == 0);
}

Test(total, what_has_no_decimal_is_an_outcome)
{
    struct total held = of(AGGREGATION_SUM, 0, 1, 0), more = of(AGGREGATION_SUM, 1, 1, 0);

    held.value.units = (int128)(~(uint128)0 >> 1);
    cr_assert_eq(total_merge(&held, &more), TOTAL_OVERFLOW);
    cr_assert_eq(held.count, 1);

    held = of(AGGREGATION_COUNT, 0, INT64_MAX, 0);
    more = of(AGGREGATION_COUNT, 0, 1, 0);
    cr_assert_eq(total_merge(&held, &more), TOTAL_OVERFLOW);
    cr_assert_eq(held.count, (uint64_t)INT64_MAX);
}
