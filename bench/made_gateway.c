#include "bench/made.h"

#include "proto/gateway_batch.h"

#include <assert.h>
#include <libdeflate.h>
#include <string.h>

/* What a batch's strings are, by number; the subscriptions come behind. */
static const char *const fixed[] = {
    "request", "/gateways/eu-1", "/gateways/numbered", "$.value", "$.method", "$.status", "GET",
    "PUT"};
enum { TYPE, SOURCE, SOURCE_NUMBERED, PATH_VALUE, PATH_METHOD, PATH_STATUS, GET, PUT, FIXED };
enum { FLAGS = 1 + 2 + 16, FLAG_SEQUENCE = 8, SLOTS = 32768, EVENT_BYTES_MAX = 256 };

/* Which subscriptions a batch names already. */
struct named {
    uint32_t subscription[SLOTS];
    uint32_t string[SLOTS]; /* 0: an empty slot */
    uint32_t used[GATEWAY_EVENTS_MAX];
    uint32_t count;
};

static void add_varint(struct buffer *out, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        buffer_add_char(out, (char)(number | 0x80));
    buffer_add_char(out, (char)number);
}

static void add_string(struct buffer *out, const void *bytes, size_t length)
{
    add_varint(out, length);
    buffer_add(out, bytes, length);
}

static uint32_t slot_of(const struct named *named, uint32_t subscription)
{
    uint32_t slot = subscription * 2654435761u % SLOTS;

    while (named->string[slot] && named->subscription[slot] != subscription)
        slot = (slot + 1) % SLOTS;
    return slot;
}

/* Writes the strings; then every subscription of the events has its number. */
static void add_strings(struct named *named, const struct made_event *events, size_t count,
                        struct buffer *out)
{
    for (uint32_t i = 0; i < named->count; i++)
        named->string[named->used[i]] = 0;
    named->count = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = slot_of(named, events[i].subscription);
        if (named->string[slot])
            continue;
        named->subscription[slot] = events[i].subscription;
        named->string[slot] = FIXED + named->count;
        named->used[named->count++] = slot;
    }
    add_varint(out, FIXED + named->count);
    for (size_t i = 0; i < FIXED; i++)
        add_string(out, fixed[i], strlen(fixed[i]));
    for (uint32_t i = 0; i < named->count; i++) {
        struct made_event event = {.subscription = named->subscription[named->used[i]]};
        char name[MADE_SUBSCRIPTION_BYTES + 1];
        made_subscription(&event, name);
        add_string(out, name, MADE_SUBSCRIPTION_BYTES);
    }
}

/* --- an event: room for all of it once, then byte after byte --- */

static char *put_varint(char *at, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        *at++ = (char)(number | 0x80);
    *at++ = (char)number;
    return at;
}

static char *put_decimal(char *at, int path, char scale, uint64_t mantissa)
{
    at = put_varint(at, (uint64_t)path);
    *at++ = GATEWAY_DECIMAL;
    *at++ = scale;
    return put_varint(at, mantissa * 2);
}

static void add_event(struct buffer *out, const struct made_event *event, uint32_t subscription,
                      bool is_numbered)
{
    int64_t time_ns = event->time_ms * 1000000;
    char *at;

    buffer_reserve(out, EVENT_BYTES_MAX);
    at = out->at + out->length;
    *at++ = is_numbered ? FLAGS + FLAG_SEQUENCE : FLAGS;
    made_uuid(event, (uint8_t *)at);
    at = put_varint(at + MADE_UUID_BYTES, TYPE);
    at = put_varint(at, is_numbered ? SOURCE_NUMBERED : SOURCE);
    at = put_varint(at, subscription);
    memcpy(at, &time_ns, sizeof(time_ns));
    at += sizeof(time_ns);
    if (is_numbered)
        at = put_varint(at, (uint64_t)event->number);
    at = put_varint(at, 3);
    at = put_decimal(at, PATH_VALUE, 1, event->tenths);
    at = put_varint(at, PATH_METHOD);
    *at++ = GATEWAY_STRING;
    at = put_varint(at, event->random[1] & 1 ? GET : PUT);
    at = put_decimal(at, PATH_STATUS, 0, 200);
    out->length = (size_t)(at - out->at);
    assert(out->length <= out->room);
}

void made_gateway(const struct made_event *events, size_t count, bool is_numbered,
                  struct buffer *batch)
{
    static struct named named;
    uint32_t crc;

    assert(count > 0 && count <= GATEWAY_EVENTS_MAX);
    buffer_clear(batch);
    buffer_add(batch, "TWG1", 4);
    add_strings(&named, events, count, batch);
    add_varint(batch, count);
    for (size_t i = 0; i < count; i++)
        add_event(batch, &events[i], named.string[slot_of(&named, events[i].subscription)],
                  is_numbered);
    crc = libdeflate_crc32(0, batch->at, batch->length);
    buffer_add(batch, &crc, sizeof(crc));
}
