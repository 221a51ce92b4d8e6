/*
 * fuzz_gateway.c - gateway_batch_open on any bytes, and again with the checksum put right. A batch
 * is read exactly when a plain reader of its format, below, can read it, and its events say what
 * that one finds; every sound event's JSON can be read and holds each name once.
 */
#include "proto/gateway_batch.h"
#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

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

/* --- a plain reader: a byte at a time, and each number checked for itself --- */

struct plain {
    const uint8_t *at, *end;
    bool failed;
    struct text *strings;
    size_t string_count;
    struct gateway_event event;
    struct text paths[GATEWAY_PROPERTIES_MAX];
    struct gateway_value values[GATEWAY_PROPERTIES_MAX];
    char uuid[36];
};

static uint8_t take_byte(struct plain *plain)
{
    if (plain->failed || plain->at == plain->end) {
        plain->failed = true;
        return 0;
    }
    return *plain->at++;
}

static uint128 take_number(struct plain *plain, uint128 most)
{
    uint128 number = 0;
    uint8_t byte = 0x80;

    for (unsigned shift = 0; byte & 0x80; shift += 7) {
        byte = take_byte(plain);
        if (plain->failed || shift > 126 || (shift == 126 && byte > 3)) {
            plain->failed = true;
            return 0;
        }
        number |= (uint128)(byte & 0x7f) << shift;
    }
    plain->failed = number > most;
    return plain->failed ? 0 : number;
}

static struct text take_bytes(struct plain *plain, size_t length)
{
    struct text text = {(const char *)plain->at, length};

    if (plain->failed || length > (size_t)(plain->end - plain->at)) {
        plain->failed = true;
        return text_of(NULL);
    }
    plain->at += length;
    return text;
}

static struct text sound_or_absent(struct text text)
{
    bool is_sound = !text_is_absent(text) && text_is_utf8(text) &&
                    (text.length == 0 || !memchr(text.at, '\0', text.length));

    return is_sound ? text : text_of(NULL);
}

static struct text take_string(struct plain *plain)
{
    uint128 number = take_number(plain, UINT64_MAX);

    if (number >= plain->string_count)
        plain->failed = true;
    return plain->failed ? text_of(NULL) : plain->strings[number];
}

static struct text take_id(struct plain *plain, bool is_uuid)
{
    size_t length = is_uuid ? 16 : (size_t)take_number(plain, SIZE_MAX);
    struct text id = take_bytes(plain, length);
    char *at = plain->uuid;

    if (!is_uuid)
        return sound_or_absent(id);
    for (size_t i = 0; i < 16 && !plain->failed; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = "0123456789abcdef"[(uint8_t)id.at[i] >> 4];
        *at++ = "0123456789abcdef"[(uint8_t)id.at[i] & 15];
    }
    return text_from(plain->uuid, sizeof(plain->uuid));
}

static void take_property(struct plain *plain, struct text *path, struct gateway_value *value)
{
    uint128 zigzag;

    *path = take_string(plain);
    value->kind = take_byte(plain);
    if (value->kind == GATEWAY_STRING) {
        value->is.text = take_string(plain);
    } else if (value->kind == GATEWAY_DECIMAL) {
        value->scale = take_byte(plain);
        zigzag = take_number(plain, ~(uint128)0);
        value->is.mantissa = (int128)(zigzag >> 1) ^ -(int128)(zigzag & 1);
        plain->failed |= value->scale > GATEWAY_SCALE_MAX;
    } else if (value->kind > GATEWAY_TRUE) {
        plain->failed = true;
    }
}

static void take_event(struct plain *plain)
{
    struct gateway_event *event = &plain->event;
    uint8_t flags = take_byte(plain);
    struct text time;

    *event = (struct gateway_event){.has_time = flags & 1, .has_sequence = flags & 8};
    event->id = take_id(plain, flags & 16);
    event->type = take_string(plain);
    event->source = take_string(plain);
    if (flags & 2)
        event->subscription = take_string(plain);
    if (flags & 4)
        event->subject = take_string(plain);
    if (event->has_time) {
        time = take_bytes(plain, 8);
        event->time.ns = plain->failed ? 0 : wire_load_i64((const uint8_t *)time.at);
    }
    if (event->has_sequence)
        event->sequence = (uint64_t)take_number(plain, UINT64_MAX);
    event->property_count = (uint32_t)take_number(plain, GATEWAY_PROPERTIES_MAX);
    plain->failed |= flags > 31;
    for (size_t i = 0; i < event->property_count && !plain->failed; i++)
        take_property(plain, &plain->paths[i], &plain->values[i]);
}

/* Returns the number of events, which are behind `at`; the batch is as long as it can be. */
static size_t begin_plain(struct plain *plain, const uint8_t *bytes, size_t length)
{
    *plain = (struct plain){.at = bytes, .end = bytes + length};
    if (length < 8 || memcmp(bytes, "TWG1", 4) != 0 ||
        crc32_of(bytes, length - 4) != wire_load_u32(bytes + length - 4)) {
        plain->failed = true;
        return 0;
    }
    plain->at += 4;
    plain->end -= 4;
    plain->string_count = (size_t)take_number(plain, GATEWAY_STRINGS_MAX);
    plain->strings = calloc(plain->string_count + 1, sizeof(*plain->strings));
    if (!plain->strings)
        abort();
    for (size_t i = 0; i < plain->string_count && !plain->failed; i++)
        plain->strings[i] =
            sound_or_absent(take_bytes(plain, (size_t)take_number(plain, SIZE_MAX)));
    return (size_t)take_number(plain, GATEWAY_EVENTS_MAX);
}

static bool can_be_read(const uint8_t *bytes, size_t length)
{
    struct plain plain;
    size_t count = begin_plain(&plain, bytes, length);

    for (size_t i = 0; i < count && !plain.failed; i++)
        take_event(&plain);
    free(plain.strings);
    return !plain.failed && plain.at == plain.end;
}

/* --- what is read is compared with that --- */

static void check_json(const struct gateway_event *event)
{
    CLEANUP(buffer_deinit) struct buffer text = {0};
    json_error_t error;
    json_t *json;

    gateway_event_json(event, &text);
    json = json_loadb(text.at, text.length, JSON_REJECT_DUPLICATES, &error);
    /* A decimal can be more than a jansson number holds. */
    assert(json || json_error_code(&error) == json_error_numeric_overflow);
    if (json)
        assert(json_string_length(json_object_get(json, "id")) == event->id.length);
    json_decref(json);
}

static void check_value(const struct gateway_value *value, const struct gateway_value *wanted)
{
    assert(value->kind == wanted->kind);
    if (value->kind == GATEWAY_STRING)
        assert(text_equal(value->is.text, wanted->is.text));
    if (value->kind == GATEWAY_DECIMAL)
        assert(value->scale == wanted->scale && value->is.mantissa == wanted->is.mantissa);
}

static void check_sound(const struct gateway_event *event, const struct plain *plain)
{
    const struct gateway_event *wanted = &plain->event;

    assert(text_equal(event->type, wanted->type) && text_equal(event->source, wanted->source));
    assert(text_equal(event->subscription, wanted->subscription));
    assert(text_equal(event->subject, wanted->subject));
    assert(event->has_time == wanted->has_time && event->has_sequence == wanted->has_sequence);
    assert(!event->has_time || event->time.ns == wanted->time.ns);
    assert(!event->has_sequence || event->sequence == wanted->sequence);
    assert(event->property_count == wanted->property_count);
    assert(event->shape->count == wanted->property_count);
    for (size_t i = 0; i < event->property_count; i++) {
        check_value(&event->properties[i], &plain->values[i]);
        assert(text_equal(event->shape->paths[i]->spelling, plain->paths[i]));
    }
    check_json(event);
}

static void read_batch(struct gateway_reader *reader, const uint8_t *bytes, size_t length)
{
    const struct gateway_event *event;
    const char *reason = NULL;
    struct plain plain;
    size_t count = 0, seen;
    int r = gateway_batch_open(reader, text_from(bytes, length), &count, &reason);

    assert((r == 0) == can_be_read(bytes, length) && (r == 0) == !reason);
    seen = begin_plain(&plain, bytes, length);
    assert(r != 0 || seen == count);
    for (seen = 0; (event = gateway_batch_next(reader)) != NULL; seen++) {
        take_event(&plain);
        assert(text_equal(event->id, plain.event.id));
        if (event->fault == GATEWAY_SOUND)
            check_sound(event, &plain);
    }
    assert(seen == count);
    free(plain.strings);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct gateway_reader *reader = gateway_reader_new();
    uint8_t *mended = malloc(length ? length : 1);

    if (!mended)
        abort();
    memcpy(mended, bytes, length);
    read_batch(reader, mended, length);
    if (length >= 4) {
        wire_store_u32(mended + length - 4, crc32_of(mended, length - 4));
        read_batch(reader, mended, length);
    }
    free(mended);
    gateway_reader_free(reader);
    return 0;
}
