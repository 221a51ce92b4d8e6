/*
 * usage.c - the usage batch: what is written is read, and nothing else is.
 */
#include "proto/usage.h"
#include "proto/usage_layout.h"
#include "proto/wire.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A small generator of its own, so that a failure is met again. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

enum { MADE_MAX = 200, ENTRIES_OF_EACH_MAX = 4 };
/* What some of a batch's events have, which gives the batch its parts. */
enum kind { NUMBERED = 1, WIDE = 2, KINDS = 4, ANY = NUMBERED | WIDE };

/* What was put in, kept beside the batch. */
struct made {
    struct usage_event event;
    size_t entry_count;
    struct usage_series series[ENTRIES_OF_EACH_MAX];
    union usage_value values[ENTRIES_OF_EACH_MAX];
};

static const char *const words[] = {"",    "GET", "POST", "200", "eu-west", "\xc3\xa9t\xc3\xa9",
                                    "null"};

static struct text any_word(uint64_t *state)
{
    size_t which = next(state) % (ARRAY_LEN(words) + 1);

    return which < ARRAY_LEN(words) ? text_of(words[which]) : (struct text){NULL, 0};
}

static void make_series(uint64_t *state, struct text subscription, struct usage_series *series)
{
    static const char *const meters[] = {"api", "bytes", "users", "tokens"};
    static const char *const names[] = {"a", "method", "region", "status"};

    *series = (struct usage_series){
        .aggregation = (enum aggregation)(next(state) % AGGREGATION_KINDS),
        .subscription = subscription,
        .meter = text_of(meters[next(state) % ARRAY_LEN(meters)]),
        .subject = any_word(state),
        .dimension_count = next(state) % (ARRAY_LEN(names) + 1),
    };
    for (size_t i = 0; i < series->dimension_count; i++)
        series->dimensions[i] = (struct usage_dimension){text_of(names[i]), any_word(state)};
}

static void make_value(uint64_t *state, unsigned kind, struct made *made, size_t which)
{
    struct usage_series *series = &made->series[which];
    union usage_value *value = &made->values[which];
    bool is_wide = kind & WIDE && next(state) % 2;

    memset(value, (int)(next(state) & 0xff), sizeof(*value));
    if (!is_wide && series->aggregation == AGGREGATION_UNIQUE_COUNT)
        series->aggregation = AGGREGATION_SUM;
    if (series->aggregation != AGGREGATION_UNIQUE_COUNT)
        value->amount.units = is_wide ? (int128)(next(state) >> 1) * (int64_t)(next(state) >> 40)
                                      : (int128)next(state);
}

static void make_event(uint64_t *state, unsigned kind, struct made *made)
{
    static const char *const subscriptions[] = {"01ARZ3NDEKTSV4RRFFQ69G5FAV", "s", "sub/2"};
    struct text subscription = text_of(subscriptions[next(state) % ARRAY_LEN(subscriptions)]);

    made->event = (struct usage_event){
        .fingerprint.payload = (uint32_t)next(state),
        .time.ns = (int64_t)next(state),
        .arrival_ms = INT64_C(1773000000000) + (int32_t)next(state) / 2,
        .flags = (uint8_t)(next(state) & USAGE_TIME_ABSENT),
    };
    if (kind & NUMBERED && next(state) % 2) {
        made->event.flags |= USAGE_NUMBERED;
        made->event.sequence = next(state);
    }
    for (size_t i = 0; i < sizeof(made->event.fingerprint.identity); i++)
        made->event.fingerprint.identity[i] = (uint8_t)next(state);
    made->entry_count = 1 + next(state) % ENTRIES_OF_EACH_MAX;
    for (size_t i = 0; i < made->entry_count; i++) {
        make_series(state, subscription, &made->series[i]);
        make_value(state, kind, made, i);
    }
}

static void check_series(const struct usage_series *read, const struct usage_series *made)
{
    cr_assert_eq(read->aggregation, made->aggregation);
    cr_assert(text_equal(read->subscription, made->subscription));
    cr_assert(text_equal(read->meter, made->meter));
    cr_assert(text_equal(read->subject, made->subject));
    cr_assert_eq(read->dimension_count, made->dimension_count);
    for (size_t i = 0; i < made->dimension_count; i++) {
        cr_assert(text_equal(read->dimensions[i].name, made->dimensions[i].name));
        cr_assert(text_equal(read->dimensions[i].value, made->dimensions[i].value));
    }
}

static void check_event(const struct usage_batch *batch, size_t index, const struct made *made)
{
    struct usage_event event = usage_event_at(batch, index);

    cr_assert_arr_eq(event.fingerprint.identity, made->event.fingerprint.identity, 12);
    cr_assert_eq(event.fingerprint.payload, made->event.fingerprint.payload);
    cr_assert_eq(event.time.ns, made->event.time.ns);
    cr_assert_eq(event.arrival_ms, made->event.arrival_ms);
    cr_assert_eq(event.sequence, made->event.sequence);
    cr_assert_eq(event.flags, made->event.flags);
    cr_assert_eq(event.entry_count, made->entry_count);
    cr_assert(text_equal(usage_subscription_of(batch, event.series), made->series[0].subscription));
    for (size_t i = 0; i < made->entry_count; i++) {
        struct usage_entry entry = usage_entry_at(batch, event.first_entry + i);

        struct usage_series series = usage_series_at(batch, entry.series);

        check_series(&series, &made->series[i]);
        if (made->series[i].aggregation == AGGREGATION_UNIQUE_COUNT)
            cr_assert_arr_eq(entry.value.unique, made->values[i].unique, 16);
        else
            cr_assert(entry.value.amount.units == made->values[i].amount.units);
    }
}

static struct text write_batch(struct usage_writer *writer, const struct made *made, size_t count)
{
    usage_writer_reset(writer);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(usage_writer_add(writer, &made[i].event, made[i].series, made[i].values,
                                      made[i].entry_count),
                     0);
    return usage_writer_finish(writer);
}

Test(usage, random_batches_are_read_as_they_were_written)
{
    static struct made made[MADE_MAX];
    struct usage_writer *writer = usage_writer_new();
    struct usage_reader *reader = usage_reader_new();
    struct usage_batch batch;
    const char *reason = "";
    uint64_t state = 1;

    for (int round = 0; round < 500; round++) {
        size_t count = 1 + next(&state) % MADE_MAX;
        struct text message;

        for (size_t i = 0; i < count; i++)
            make_event(&state, (unsigned)round % KINDS, &made[i]);
        message = write_batch(writer, made, count);

        cr_assert_eq(usage_decode(reader, message, &batch, &reason), 0, "%d: %s", round, reason);
        cr_assert_eq(batch.event_count, count);
        cr_assert_eq(message.length, usage_writer_bytes(writer));
        for (size_t i = 0; i < count; i++)
            check_event(&batch, i, &made[i]);
    }
    usage_writer_free(writer);
    usage_reader_free(reader);
}

/* A batch of a hundred events, the last of which is told by its caller. */
static size_t bytes_with_last(struct usage_event last, union usage_value value)
{
    struct usage_writer *writer = usage_writer_new();
    struct usage_series series = {.subscription = text_of("s"), .meter = text_of("api")};
    struct usage_event event = {.time.ns = 1};
    union usage_value one = {.amount.units = 1};
    size_t bytes;

    for (int i = 0; i < 99; i++)
        cr_assert_eq(usage_writer_add(writer, &event, &series, &one, 1), 0);
    cr_assert_eq(usage_writer_add(writer, &last, &series, &value, 1), 0);
    bytes = usage_writer_finish(writer).length;
    usage_writer_free(writer);
    return bytes;
}

Test(usage, sequences_and_wide_values_cost_only_the_batches_that_need_them)
{
    union usage_value most = {.amount.units = (int128)UINT64_MAX};
    union usage_value more = {.amount.units = (int128)UINT64_MAX + 1};
    size_t bytes = bytes_with_last((struct usage_event){0}, most);

    cr_assert_eq(bytes, 32 + 100 * (32 + 10) + 4 + 3 + 5 + 2);
    cr_assert_eq(bytes_with_last((struct usage_event){0}, more), bytes + 100 * 8);
    cr_assert_eq(bytes_with_last((struct usage_event){.flags = USAGE_NUMBERED}, most),
                 bytes + 100 * 8);
}

Test(usage, an_event_that_arrived_weeks_apart_does_not_fit)
{
    static const int64_t apart_ms[] = {INT64_MIN, INT32_MIN - INT64_C(1), INT32_MAX + INT64_C(1)};
    struct usage_series series = {.subscription = text_of("s"), .meter = text_of("api")};
    struct usage_event event = {.arrival_ms = 1000};
    union usage_value value = {.amount.units = 1};

    for (size_t i = 0; i < ARRAY_LEN(apart_ms); i++) {
        struct usage_writer *writer = usage_writer_new();
        struct usage_event other = {.arrival_ms = event.arrival_ms + apart_ms[i]};
        struct usage_event near = {.arrival_ms = event.arrival_ms + INT32_MIN};

        cr_assert_eq(usage_writer_add(writer, &event, &series, &value, 1), 0);
        cr_assert_eq(usage_writer_add(writer, &other, &series, &value, 1), USAGE_WRITER_FULL);
        cr_assert_eq(usage_writer_add(writer, &near, &series, &value, 1), 0);
        usage_writer_reset(writer);
        cr_assert_eq(usage_writer_add(writer, &other, &series, &value, 1), 0);
        usage_writer_free(writer);
    }
}

Test(usage, a_series_that_returns_is_written_once)
{
    struct usage_writer *writer = usage_writer_new();
    struct usage_reader *reader = usage_reader_new();
    struct usage_event event = {.time.ns = 1};
    union usage_value value = {.amount.units = 5};
    struct usage_batch batch;
    const char *reason = "";
    char subscription[16];
    struct text message;

    for (int i = 0; i < 1000; i++) {
        struct usage_series series = {.meter = text_of("api")};

        snprintf(subscription, sizeof(subscription), "sub%d", i % 100);
        series.subscription = text_of(subscription);
        cr_assert_eq(usage_writer_add(writer, &event, &series, &value, 1), 0);
    }
    message = usage_writer_finish(writer);

    cr_assert_eq(usage_decode(reader, message, &batch, &reason), 0, "%s", reason);
    cr_assert_eq(batch.series_count, 100);
    cr_assert_eq(batch.event_count, 1000);
    cr_assert(text_is(usage_subscription_of(&batch, usage_event_at(&batch, 257).series), "sub57"));
    usage_writer_free(writer);
    usage_reader_free(reader);
}

/* A copy with nothing readable behind it, so that a sanitizer sees the first byte too many. */
static char *exact_copy(struct text text, size_t length)
{
    char *copy = malloc(length ? length : 1);

    cr_assert(copy);
    memcpy(copy, text.at, length);
    return copy;
}

Test(usage, every_truncation_is_foreign)
{
    static struct made made[5];
    struct usage_writer *writer = usage_writer_new();
    struct usage_reader *reader = usage_reader_new();
    struct usage_batch batch;
    const char *reason;
    uint64_t state = 2;
    struct text message;

    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        make_event(&state, ANY, &made[i]);
    message = write_batch(writer, made, ARRAY_LEN(made));
    for (size_t length = 0; length < message.length; length++) {
        char *copy = exact_copy(message, length);

        reason = NULL;
        cr_assert_eq(usage_decode(reader, text_from(copy, length), &batch, &reason), USAGE_FOREIGN,
                     "cut to %zu", length);
        cr_assert_not_null(reason);
        free(copy);
    }
    usage_writer_free(writer);
    usage_reader_free(reader);
}

Test(usage, every_flipped_bit_is_foreign)
{
    static struct made made[5];
    struct usage_writer *writer = usage_writer_new();
    struct usage_reader *reader = usage_reader_new();
    struct usage_batch batch;
    const char *reason;
    uint64_t state = 3;
    struct text message;
    char *copy;

    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        make_event(&state, ANY, &made[i]);
    message = write_batch(writer, made, ARRAY_LEN(made));
    copy = exact_copy(message, message.length);
    for (size_t bit = 0; bit < message.length * 8; bit++) {
        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
        cr_assert_eq(usage_decode(reader, text_from(copy, message.length), &batch, &reason),
                     USAGE_FOREIGN, "bit %zu", bit);
        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
    }
    cr_assert_eq(usage_decode(reader, text_from(copy, message.length), &batch, &reason), 0);
    free(copy);
    usage_writer_free(writer);
    usage_reader_free(reader);
}

/* Reads everything that a decoded batch offers; a sanitizer watches. */
static void read_all(const struct usage_batch *batch)
{
    for (size_t i = 0; i < batch->event_count; i++) {
        struct usage_event event = usage_event_at(batch, i);

        cr_assert(usage_subscription_of(batch, event.series).length > 0);
        for (size_t k = 0; k < event.entry_count; k++) {
            struct usage_entry entry = usage_entry_at(batch, (size_t)event.first_entry + k);

            cr_assert(text_equal(usage_subscription_of(batch, entry.series),
                                 usage_subscription_of(batch, event.series)));
        }
    }
}

/* A faulty writer's checksum is right; then every other check has to hold on its own. */
Test(usage, damage_under_a_right_checksum_is_foreign_or_a_valid_batch)
{
    static struct made made[4];
    struct usage_writer *writer = usage_writer_new();
    struct usage_reader *reader = usage_reader_new();
    struct usage_batch batch;
    const char *reason;
    uint64_t state = 4;
    struct text message;
    size_t foreign = 0, rounds = 0;
    char *copy;

    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        make_event(&state, ANY, &made[i]);
    message = write_batch(writer, made, ARRAY_LEN(made));
    copy = exact_copy(message, message.length);
    for (size_t at = 0; at < message.length; at++) {
        for (int value = 0; value < 256; value++) {
            char was = copy[at];

            copy[at] = (char)value;
            wire_store_u64((uint8_t *)copy + USAGE_HEADER_CHECKSUM,
                           usage_checksum((uint8_t *)copy, message.length));
            if (usage_decode(reader, text_from(copy, message.length), &batch, &reason) == 0)
                read_all(&batch);
            else
                foreign++;
            copy[at] = was;
            rounds++;
        }
    }
    cr_assert_gt(foreign, rounds / 20);
    free(copy);
    usage_writer_free(writer);
    usage_reader_free(reader);
}

static struct usage_series plain_series(void)
{
    return (struct usage_series){.subscription = text_of("s"), .meter = text_of("api")};
}

Test(usage, the_event_past_the_limit_does_not_fit)
{
    struct usage_writer *writer = usage_writer_new();
    struct usage_reader *reader = usage_reader_new();
    struct usage_series series = plain_series();
    struct usage_event event = {0};
    union usage_value value = {.amount.units = 1};
    struct usage_batch batch;
    const char *reason;

    for (int i = 0; i < USAGE_EVENTS_MAX; i++)
        cr_assert_eq(usage_writer_add(writer, &event, &series, &value, 1), 0);
    cr_assert_eq(usage_writer_add(writer, &event, &series, &value, 1), USAGE_WRITER_FULL);

    cr_assert_eq(usage_decode(reader, usage_writer_finish(writer), &batch, &reason), 0);
    cr_assert_eq(batch.event_count, USAGE_EVENTS_MAX);
    usage_writer_free(writer);
    usage_reader_free(reader);
}

Test(usage, the_entry_past_the_limit_does_not_fit)
{
    struct usage_writer *writer = usage_writer_new();
    struct usage_series series[USAGE_METERS_MAX];
    union usage_value values[USAGE_METERS_MAX] = {0};
    struct usage_event event = {0};
    int r = 0;

    for (size_t i = 0; i < USAGE_METERS_MAX; i++)
        series[i] = plain_series();
    for (int i = 0; i < USAGE_ENTRIES_MAX / USAGE_METERS_MAX && r == 0; i++)
        r = usage_writer_add(writer, &event, series, values, USAGE_METERS_MAX);
    cr_assert_eq(r, 0);

    cr_assert_eq(usage_writer_add(writer, &event, series, values, 1), USAGE_WRITER_FULL);
    usage_writer_free(writer);
}

/* The longest texts that ingest lets through, all different. */
static void longest_series(struct usage_series *series, size_t count, char *room)
{
    memset(room, 'x', USAGE_TEXT_MAX);
    for (size_t i = 0; i < count; i++) {
        series[i] = (struct usage_series){
            .subscription = text_from(room, USAGE_SUBSCRIPTION_MAX),
            .meter = text_from(room, 1 + i),
            .subject = text_from(room, USAGE_TEXT_MAX),
            .dimension_count = USAGE_DIMENSIONS_MAX,
        };
        for (size_t k = 0; k < USAGE_DIMENSIONS_MAX; k++)
            series[i].dimensions[k] = (struct usage_dimension){
                text_from(room, USAGE_NAME_MAX + 1 - USAGE_DIMENSIONS_MAX + k),
                text_from(room, USAGE_TEXT_MAX)};
    }
}

Test(usage, an_empty_batch_takes_the_largest_event_and_stays_under_its_limit)
{
    struct usage_writer *writer = usage_writer_new();
    struct usage_reader *reader = usage_reader_new();
    static struct usage_series series[USAGE_METERS_MAX];
    union usage_value values[USAGE_METERS_MAX] = {0};
    struct usage_event event = {0};
    char room[USAGE_TEXT_MAX];
    struct usage_batch batch;
    const char *reason = "";
    size_t count = 0;

    longest_series(series, USAGE_METERS_MAX, room);
    cr_assert_eq(usage_writer_add(writer, &event, series, values, USAGE_METERS_MAX), 0);
    while (usage_writer_add(writer, &event, series, values, 1) == 0)
        count++;

    cr_assert_leq(usage_writer_bytes(writer), USAGE_BYTES_MAX);
    cr_assert_gt(count, 0);
    cr_assert_eq(usage_decode(reader, usage_writer_finish(writer), &batch, &reason), 0, "%s",
                 reason);
    cr_assert_eq(batch.series_count, USAGE_METERS_MAX);
    usage_writer_free(writer);
    usage_reader_free(reader);
}

Test(usage, a_batch_after_a_reset_knows_nothing_of_the_one_before)
{
    static struct made made[50];
    struct usage_writer *used = usage_writer_new(), *fresh = usage_writer_new();
    uint64_t state = 5;
    struct text a, b;

    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        make_event(&state, ANY, &made[i]);
    write_batch(used, made, ARRAY_LEN(made));
    a = write_batch(used, made + 20, 10);
    b = write_batch(fresh, made + 20, 10);

    cr_assert(text_equal(a, b));
    usage_writer_free(used);
    usage_writer_free(fresh);
}

Test(usage, a_negative_amount_is_our_mistake, .signal = SIGABRT)
{
    struct usage_series series = plain_series();
    struct usage_event event = {0};
    union usage_value value = {.amount.units = -1};

    (void)!usage_writer_add(usage_writer_new(), &event, &series, &value, 1);
}

Test(usage, unsorted_dimensions_are_our_mistake, .signal = SIGABRT)
{
    struct usage_series series = plain_series();
    struct usage_event event = {0};
    union usage_value value = {0};

    series.dimensions[0].name = text_of("b");
    series.dimensions[1].name = text_of("a");
    series.dimension_count = 2;
    (void)!usage_writer_add(usage_writer_new(), &event, &series, &value, 1);
}

Test(usage, aggregations_have_names)
{
    enum aggregation aggregation;

    for (unsigned i = 0; i < AGGREGATION_KINDS; i++) {
        const char *name = aggregation_name((enum aggregation)i);

        cr_assert(aggregation_from(text_of(name), &aggregation));
        cr_assert_eq(aggregation, (enum aggregation)i);
    }
    cr_assert_not(aggregation_from(text_of("sum"), &aggregation));
    cr_assert_not(aggregation_from(text_of(""), &aggregation));
}
