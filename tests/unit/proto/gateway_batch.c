/*
 * gateway_batch.c - the gateway's batch, read as the reference encoder wrote it.
 */
#include "proto/gateway_batch.h"
#include "proto/wire.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct gateway_reader *reader;
static const char *reason;
static size_t event_count;

static void start(void)
{
    reader = gateway_reader_new();
}

static void stop(void)
{
    reader = gateway_reader_free(reader);
}

TestSuite(gateway, .init = start, .fini = stop);

/* CRC-32 bit by bit, from its definition. */
static uint32_t crc32_of(const uint8_t *at, size_t length)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < length; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    return ~crc;
}

static void seal(struct buffer *batch)
{
    uint8_t checksum[4];

    wire_store_u32(checksum, crc32_of((const uint8_t *)batch->at, batch->length));
    buffer_add(batch, checksum, sizeof(checksum));
}

static void add_hex(struct buffer *bytes, const char *hex)
{
    for (; hex[0]; hex += 2) {
        char pair[3] = {hex[0], hex[1], '\0'};

        buffer_add_char(bytes, (char)strtol(pair, NULL, 16));
    }
}

static json_t *load_vectors(void)
{
    json_error_t error;
    json_t *file = json_load_file(TOLLWAY_SOURCE_DIR "/proto/reference/vectors.json", 0, &error);

    cr_assert(file, "%s", error.text);
    return file;
}

static void check_vector(const char *name, const json_t *expected)
{
    CLEANUP(buffer_deinit) struct buffer json = {0};
    const struct gateway_event *event;
    size_t count = 0;

    cr_assert_eq(event_count, json_array_size(expected), "%s", name);
    for (; (event = gateway_batch_next(reader)) != NULL; count++) {
        const char *text = json_string_value(json_array_get(expected, count));

        cr_assert_eq(event->fault, GATEWAY_SOUND, "%s", name);
        cr_assert(
            text_equal(gateway_batch_owners(reader)[count],
                       text_is_absent(event->subscription) ? event->subject : event->subscription),
            "%s", name);
        buffer_clear(&json);
        gateway_event_json(event, &json);
        cr_assert(text_is(buffer_text(&json), text), "%s: %.*s\nnot %s", name, (int)json.length,
                  json.at, text);
    }
    cr_assert_eq(count, json_array_size(expected), "%s", name);
}

Test(gateway, vectors_of_the_reference_encoder_stand_for_the_same_cloudevents)
{
    json_t *file = load_vectors(), *vector;
    size_t i;

    json_array_foreach(json_object_get(file, "vectors"), i, vector)
    {
        CLEANUP(buffer_deinit) struct buffer batch = {0};
        const char *name = json_string_value(json_object_get(vector, "name"));

        add_hex(&batch, json_string_value(json_object_get(vector, "hex")));
        cr_assert_eq(gateway_batch_open(reader, buffer_text(&batch), &event_count, &reason), 0,
                     "%s: %s", name, reason);
        check_vector(name, json_object_get(vector, "cloudevents"));
    }
    cr_assert_geq(i, 7);
    json_decref(file);
}

static size_t read_all(void)
{
    CLEANUP(buffer_deinit) struct buffer json = {0};
    const struct gateway_event *event;
    size_t count = 0;

    for (; (event = gateway_batch_next(reader)) != NULL; count++) {
        if (event->fault == GATEWAY_SOUND)
            gateway_event_json(event, &json);
    }
    return count;
}

static int open_exactly(const char *bytes, size_t length)
{
    char *copy = malloc(length ? length : 1);
    int r;

    cr_assert(copy);
    memcpy(copy, bytes, length);
    reason = NULL;
    r = gateway_batch_open(reader, text_from(copy, length), &event_count, &reason);
    if (r == 0)
        cr_assert_eq(read_all(), event_count);
    cr_assert_eq(r == GATEWAY_FOREIGN, reason != NULL);
    free(copy);
    return r;
}

static void load_vector(const char *name, struct buffer *batch)
{
    json_t *file = load_vectors(), *vector;
    size_t i;

    json_array_foreach(json_object_get(file, "vectors"), i, vector)
    {
        if (strcmp(json_string_value(json_object_get(vector, "name")), name) == 0)
            add_hex(batch, json_string_value(json_object_get(vector, "hex")));
    }
    json_decref(file);
    cr_assert_gt(batch->length, 0);
}

Test(gateway, every_truncation_and_every_flipped_bit_is_foreign)
{
    CLEANUP(buffer_deinit) struct buffer batch = {0};

    load_vector("every kind", &batch);
    for (size_t length = 0; length < batch.length; length++)
        cr_assert_eq(open_exactly(batch.at, length), GATEWAY_FOREIGN, "cut to %zu", length);
    for (size_t bit = 0; bit < batch.length * 8; bit++) {
        batch.at[bit / 8] = (char)(batch.at[bit / 8] ^ (1 << bit % 8));
        cr_assert_eq(open_exactly(batch.at, batch.length), GATEWAY_FOREIGN, "bit %zu", bit);
        batch.at[bit / 8] = (char)(batch.at[bit / 8] ^ (1 << bit % 8));
    }
    cr_assert_eq(open_exactly(batch.at, batch.length), 0);
}

Test(gateway, damage_under_a_right_checksum_is_foreign_or_read_to_its_end)
{
    CLEANUP(buffer_deinit) struct buffer batch = {0};
    size_t foreign = 0;

    load_vector("nested paths", &batch);
    for (size_t at = 0; at < batch.length - 4; at++) {
        char was = batch.at[at];

        for (int value = 0; value < 256; value++) {
            batch.at[at] = (char)value;
            wire_store_u32((uint8_t *)batch.at + batch.length - 4,
                           crc32_of((uint8_t *)batch.at, batch.length - 4));
            foreign += open_exactly(batch.at, batch.length) == GATEWAY_FOREIGN;
        }
        batch.at[at] = was;
    }
    cr_assert_gt(foreign, batch.length * 10);
}

/* --- where a batch ends --- */

/* What tells event i apart, as the end of its id. */
static int write_end(char *end, size_t size, size_t i)
{
    return snprintf(end, size, "%04x", (unsigned)(uint16_t)i);
}

/* Every other event has a UUID and a time; the others' ids are texts of many lengths. */
static void add_one(struct buffer *batch, size_t i)
{
    unsigned zigzag = (unsigned)i * 6;
    char id[64], end[8];

    write_end(end, sizeof(end), i);
    if (i % 2) {
        buffer_add(batch, "\x11\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 15);
        add_hex(batch, end);
        buffer_add(batch, "\x00\x01\1\2\3\4\5\6\7\0", 10);
    } else {
        int length = snprintf(id, sizeof(id), "%*s%s", (int)(i * 7 % 40), "", end);

        buffer_add_char(batch, 0);
        buffer_add_char(batch, (char)length);
        buffer_add(batch, id, (size_t)length);
        buffer_add(batch, "\x00\x01", 2);
    }
    buffer_add(batch, "\x01\x02\x04\x00", 4);
    if (zigzag >= 0x80)
        buffer_add_char(batch, (char)(zigzag | 0x80));
    buffer_add_char(batch, (char)(zigzag >= 0x80 ? zigzag >> 7 : zigzag));
}

/* Event i's value is 3 × i. */
static void add_long(struct buffer *batch, size_t count)
{
    buffer_add_string(batch, "TWG1");
    buffer_add(batch, "\x03\x01t\x02/s\x07$.total", 14);
    buffer_add_char(batch, (char)count);
    for (size_t i = 0; i < count; i++)
        add_one(batch, i);
}

Test(gateway, an_event_reads_alike_however_near_the_end_it_stands)
{
    for (size_t count = 1; count < 100; count++) {
        CLEANUP(buffer_deinit) struct buffer batch = {0};

        add_long(&batch, count);
        seal(&batch);
        cr_assert_eq(gateway_batch_open(reader, buffer_text(&batch), &event_count, &reason), 0);
        cr_assert_eq(event_count, count);
        for (size_t i = 0; i < count; i++) {
            const struct gateway_event *event = gateway_batch_next(reader);
            char end[8];

            write_end(end, sizeof(end), i);
            cr_assert_eq(event->fault, GATEWAY_SOUND);
            cr_assert_arr_eq(event->id.at + event->id.length - 4, end, 4);
            cr_assert(!event->has_time || event->time.ns == 0x0007060504030201);
            cr_assert(text_is(event->source, "/s"));
            cr_assert_eq(event->properties[0].is.mantissa, (int128)(3 * i));
        }
    }
}

Test(gateway, a_batch_that_ends_too_early_or_too_late_is_foreign)
{
    CLEANUP(buffer_deinit) struct buffer batch = {0};

    add_long(&batch, 60);
    for (size_t length = 4; length <= batch.length + 200; length++) {
        CLEANUP(buffer_deinit) struct buffer other = {0};
        size_t more = length > batch.length ? length - batch.length : 0;

        buffer_add(&other, batch.at, length - more);
        while (other.length < length)
            buffer_add_char(&other, 0);
        seal(&other);
        cr_assert_eq(open_exactly(other.at, other.length),
                     length == batch.length ? 0 : GATEWAY_FOREIGN, "%zu bytes", length);
    }
}

/* A batch of one event {id, type 0, source 0} with properties given by their bytes. */
static int open_event(const char *strings, size_t string_count, const char *id,
                      const char *properties, size_t length)
{
    CLEANUP(buffer_deinit) struct buffer batch = {0};
    const struct gateway_event *event;
    struct text rest = text_of(strings);
    int r;

    buffer_add_string(&batch, "TWG1");
    buffer_add_char(&batch, (char)string_count);
    for (size_t i = 0; i < string_count; i++) {
        struct text text = text_cut(&rest, '|');

        buffer_add_char(&batch, (char)text.length);
        buffer_add_text(&batch, text);
    }
    buffer_add(&batch, "\x01\x00", 2);
    buffer_add_char(&batch, (char)strlen(id));
    buffer_add_string(&batch, id);
    buffer_add(&batch, "\x00\x00", 2);
    buffer_add(&batch, properties, length);
    seal(&batch);
    r = gateway_batch_open(reader, buffer_text(&batch), &event_count, &reason);
    if (r)
        return -r;
    event = gateway_batch_next(reader);
    cr_assert_not_null(event);
    cr_assert_not(text_is_absent(event->id) && event->fault == GATEWAY_SOUND);
    return (int)event->fault;
}

Test(gateway, a_faulty_text_or_path_costs_its_event_alone)
{
    cr_assert_eq(open_event("t|$.a", 2, "1", "\x01\x01\x02", 3), GATEWAY_SOUND);
    cr_assert_eq(open_event("t|$.a", 2, "\xff", "\x01\x01\x02", 3), GATEWAY_BAD_STRING);
    cr_assert_eq(open_event("t\xc0\x80|$.a", 2, "1", "\x01\x01\x02", 3), GATEWAY_BAD_STRING);
    cr_assert_eq(open_event("t|$.\xff", 2, "1", "\x01\x01\x02", 3), GATEWAY_BAD_STRING);
    cr_assert_eq(open_event("t|a", 2, "1", "\x01\x01\x02", 3), GATEWAY_BAD_PATH);
    cr_assert_eq(open_event("t|$", 2, "1", "\x01\x01\x02", 3), GATEWAY_BAD_PATH);
    cr_assert_eq(open_event("t|$.a", 2, "1", "\x02\x01\x02\x01\x02", 5), GATEWAY_PATHS_COLLIDE);
    cr_assert_eq(open_event("t|$.a|$.b|$.a.b", 4, "1", "\x03\x01\x02\x03\x02\x02\x02", 7),
                 GATEWAY_PATHS_COLLIDE);
}

static void add_number(struct buffer *batch, size_t number)
{
    for (; number >= 0x80; number >>= 7)
        buffer_add_char(batch, (char)((number & 0x7f) | 0x80));
    buffer_add_char(batch, (char)number);
}

/* Properties of the strings {t, $.b, $.a, $.a.c, x}, and what they say; NULL: its fault. */
static const struct shaped {
    const char *properties;
    size_t length;
    const char *json;
    enum gateway_fault fault;
} shaped[] = {
    {"\x02\x01\x02\x02\x03\x04", 6, "{\"a\":\"x\",\"b\":true}", GATEWAY_SOUND},
    {"\x02\x01\x04\x01\x0b\x02\x00", 7, "{\"a\":null,\"b\":-0.6}", GATEWAY_SOUND},
    {"\x02\x02\x01\x01\x02", 5, "{\"a\":false,\"b\":true}", GATEWAY_SOUND},
    {"\x02\x01\x02\x03\x02", 5, "{\"a\":{\"c\":true},\"b\":true}", GATEWAY_SOUND},
    {"\x02\x02\x02\x03\x02", 5, NULL, GATEWAY_PATHS_COLLIDE},
    {"\x02\x01\x02\x04\x02", 5, NULL, GATEWAY_BAD_PATH},
    {"\x01\x02\x02", 3, "{\"a\":true}", GATEWAY_SOUND},
    {"\x00", 1, "{}", GATEWAY_SOUND},
};

enum { SHAPED = sizeof(shaped) / sizeof(shaped[0]) };

/* Each behind each. */
static const struct shaped *shaped_at(size_t index)
{
    return &shaped[index % 2 ? index / 2 % SHAPED : index / 2 / SHAPED];
}

/* The event is otherwise {"1", type and source "t"}. */
static void expect_data(const struct gateway_event *event, const char *data)
{
    CLEANUP(buffer_deinit) struct buffer json = {0};
    CLEANUP(buffer_deinit) struct buffer whole = {0};

    gateway_event_json(event, &json);
    buffer_printf(
        &whole,
        "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"t\",\"type\":\"t\",\"data\":%s}", data);
    cr_assert(text_equal(buffer_text(&json), buffer_text(&whole)), "%.*s", (int)json.length,
              json.at);
}

static void expect_shaped(const struct gateway_event *event, const struct shaped *wanted)
{
    cr_assert_eq(event->fault, wanted->fault);
    if (wanted->fault == GATEWAY_SOUND)
        expect_data(event, wanted->json);
}

Test(gateway, an_event_reads_alike_whatever_paths_those_before_it_had)
{
    CLEANUP(buffer_deinit) struct buffer batch = {0};
    const struct gateway_event *event;

    buffer_add_string(&batch, "TWG1\x05\x01t\x03$.b\x03$.a\x05$.a.c\x01x");
    add_number(&batch, 2 * SHAPED * SHAPED);
    for (size_t i = 0; i < 2 * SHAPED * SHAPED; i++) {
        buffer_add(&batch, "\x00\x01\x31\x00\x00", 5);
        buffer_add(&batch, shaped_at(i)->properties, shaped_at(i)->length);
    }
    seal(&batch);
    cr_assert_eq(gateway_batch_open(reader, buffer_text(&batch), &event_count, &reason), 0);
    for (size_t i = 0; (event = gateway_batch_next(reader)) != NULL; i++)
        expect_shaped(event, shaped_at(i));
}

static void add_decimal(struct buffer *batch, unsigned scale, const char *mantissa)
{
    buffer_add(batch, "\x00\x01\x31\x00\x00\x01\x01\x04", 8);
    buffer_add_char(batch, (char)scale);
    buffer_add_string(batch, mantissa);
}

Test(gateway, a_decimal_reads_as_it_is_spelled)
{
    static const char *const spelled[] = {"-0.000000000063", "0.000000000001", "-64", "31",
                                          "-170141183460469231731687303715884.105728"};
    CLEANUP(buffer_deinit) struct buffer batch = {0};
    const struct gateway_event *event;

    buffer_add_string(&batch, "TWG1\x02\x01t\x03$.a\x05");
    add_decimal(&batch, 12, "\x7d");
    add_decimal(&batch, 12, "\x02");
    add_decimal(&batch, 0, "\x7f");
    add_decimal(&batch, 0, "\x3e");
    add_decimal(&batch, 6,
                "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x03");
    seal(&batch);
    cr_assert_eq(gateway_batch_open(reader, buffer_text(&batch), &event_count, &reason), 0);
    cr_assert_eq(event_count, ARRAY_LEN(spelled));
    for (size_t i = 0; (event = gateway_batch_next(reader)) != NULL; i++) {
        CLEANUP(buffer_deinit) struct buffer data = {0};

        buffer_printf(&data, "{\"a\":%s}", spelled[i]);
        buffer_add_char(&data, '\0');
        expect_data(event, data.at);
    }
}

Test(gateway, a_faulty_value_costs_its_event_alone_among_those_alike)
{
    static const unsigned char values[] = {2, 3, 2, 3, 3};
    CLEANUP(buffer_deinit) struct buffer batch = {0};
    const struct gateway_event *event;

    buffer_add_string(&batch, "TWG1\x04\x01t\x03$.a\x01x\x01\xff\x05");
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        buffer_add(&batch, "\x00\x01\x31\x00\x00\x01\x01\x03", 8);
        buffer_add_char(&batch, (char)values[i]);
    }
    seal(&batch);
    cr_assert_eq(gateway_batch_open(reader, buffer_text(&batch), &event_count, &reason), 0);
    for (size_t i = 0; (event = gateway_batch_next(reader)) != NULL; i++)
        cr_assert_eq(event->fault, values[i] == 3 ? GATEWAY_BAD_STRING : GATEWAY_SOUND, "%zu", i);
}

/* `count` events without id, of type and source 0, the i-th with one property: path i, if there. */
static void build(struct buffer *batch, size_t strings, size_t events)
{
    buffer_add_string(batch, "TWG1");
    add_number(batch, strings);
    for (size_t i = 0; i < strings; i++) {
        buffer_add_char(batch, 6);
        buffer_printf(batch, "$.p%03zx", i % 0x1000);
    }
    add_number(batch, events);
    for (size_t i = 0; i < events; i++) {
        buffer_add(batch, "\x00\x00\x00\x00\x01", 5);
        add_number(batch, i % strings);
        buffer_add_char(batch, GATEWAY_TRUE);
    }
    seal(batch);
}

static int open_built(size_t strings, size_t events)
{
    CLEANUP(buffer_deinit) struct buffer batch = {0};
    int r;

    build(&batch, strings, events);
    r = gateway_batch_open(reader, buffer_text(&batch), &event_count, &reason);
    if (r == 0)
        cr_assert_eq(read_all(), events);
    return r;
}

Test(gateway, limits_hold_at_and_past)
{
    cr_assert_eq(open_built(1, GATEWAY_EVENTS_MAX), 0);
    cr_assert_eq(open_built(1, GATEWAY_EVENTS_MAX + 1), GATEWAY_FOREIGN);
    cr_assert_eq(open_built(GATEWAY_STRINGS_MAX, 1), 0);
    cr_assert_eq(open_built(GATEWAY_STRINGS_MAX + 1, 1), GATEWAY_FOREIGN);
}

Test(gateway, the_path_past_the_limit_costs_its_event_alone)
{
    CLEANUP(buffer_deinit) struct buffer batch = {0};
    const struct gateway_event *event;
    size_t faulty = 0;

    build(&batch, GATEWAY_PATHS_MAX + 1, GATEWAY_PATHS_MAX + 2);
    cr_assert_eq(gateway_batch_open(reader, buffer_text(&batch), &event_count, &reason), 0);
    for (size_t i = 0; (event = gateway_batch_next(reader)) != NULL; i++) {
        faulty += event->fault == GATEWAY_BAD_PATH;
        cr_assert_eq(event->fault == GATEWAY_BAD_PATH, i == GATEWAY_PATHS_MAX);
    }
    cr_assert_eq(faulty, 1, "the first path, which returns behind it, is still known");
}

Test(gateway, what_cannot_be_is_foreign_as_a_whole)
{
    cr_assert_eq(open_event("t|$.a", 2, "1", "\x01\x02\x02", 3), -GATEWAY_FOREIGN, "no string 2");
    cr_assert_eq(open_event("t|$.a", 2, "1", "\x01\x01\x05", 3), -GATEWAY_FOREIGN, "no kind 5");
    cr_assert_eq(open_event("t|$.a", 2, "1", "\x01\x01\x04\x0d\x00", 5), -GATEWAY_FOREIGN,
                 "scale 13");
    cr_assert_eq(open_event("t|$.a", 2, "1", "\x01\x01\x04\x0c\x00", 5), GATEWAY_SOUND, "scale 12");
    cr_assert_eq(open_event("t|$.a", 2, "1", "\x41", 1), -GATEWAY_FOREIGN, "65 properties");
    cr_assert_eq(open_event("t|$.a", 2, "1", "\x00\x00", 2), -GATEWAY_FOREIGN, "a byte too many");
    cr_assert_eq(open_event("t", 0, "1", "\x00", 1), -GATEWAY_FOREIGN, "a type without strings");
    cr_assert_eq(gateway_batch_open(reader, (struct text){NULL, 0}, &event_count, &reason),
                 GATEWAY_FOREIGN);
}
