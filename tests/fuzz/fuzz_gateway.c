/*
 * fuzz_gateway.c - gateway_batch_open on any bytes, and again with the checksum put right; every
 * sound event's JSON can be read, holds each name once and no U+FFFD that wasn't there.
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

static void check(const struct gateway_event *event)
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

static void read_batch(struct gateway_reader *reader, const uint8_t *bytes, size_t length)
{
    const struct gateway_event *event;
    const char *reason = NULL;
    size_t count = 0, seen = 0;

    if (gateway_batch_open(reader, text_from(bytes, length), &count, &reason) != 0)
        assert(reason);
    while ((event = gateway_batch_next(reader)) != NULL) {
        seen++;
        if (event->fault == GATEWAY_SOUND)
            check(event);
    }
    assert(seen == count);
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
