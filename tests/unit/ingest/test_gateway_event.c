/* The batch's test vectors say what JSON each event stands for: both forms have to read alike. */
#include "proto/gateway_batch.h"
#include "proto/wire.h"
#include "tests/unit/ingest/given.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static struct given json_form, gateway_form;
static struct gateway_reader *reader;
static struct event_form form;

static void setup(void)
{
    given_init(&json_form);
    given_init(&gateway_form);
    reader = gateway_reader_new();
    event_form_init(&form, &gateway_form.arena);
}

static void teardown(void)
{
    given_deinit(&json_form);
    given_deinit(&gateway_form);
    gateway_reader_free(reader);
}

TestSuite(gateway_event, .init = setup, .fini = teardown);

static void expect_same_property(const struct catalog_path *path)
{
    const struct event *a = &json_form.event, *b = &gateway_form.event;
    struct decimal number = {0}, same = {0};
    struct event_value x = {0}, y = {0};

    event_value_at(a, event_place(a, path), &x);
    event_value_at(b, event_place(b, path), &y);
    if (y.kind == VALUE_DECIMAL) {
        cr_assert_eq(x.kind, VALUE_NUMBER);
        cr_assert_eq(decimal_parse_json(x.is.text, &number),
                     decimal_from_mantissa(y.is.mantissa, y.scale, &same));
        cr_assert_eq(decimal_compare(number, same), 0);
        return;
    }
    cr_assert_eq(x.kind, y.kind);
    if (x.kind == VALUE_STRING)
        cr_assert(text_equal(x.is.text, y.is.text));
}

/* And the objects around them. */
static void expect_same_data(const struct gateway_event *gateway)
{
    for (size_t i = 0; i < gateway->property_count; i++) {
        struct catalog_path path = *gateway->shape->paths[i];

        for (; path.count > 0; path.count--)
            expect_same_property(&path);
    }
}

static void expect_same_event(const struct gateway_event *gateway, const char *json)
{
    const struct event *a = &json_form.event, *b = &gateway_form.event;

    gateway_form.refusal = (struct refusal){.code = REFUSAL_NONE};
    cr_assert_eq(event_from_gateway(&form, gateway, &gateway_form.event, &gateway_form.refusal),
                 given_event(&json_form, json), "%s", json);
    cr_assert_eq(gateway_form.refusal.code, json_form.refusal.code, "%s", json);
    if (json_form.refusal.code != REFUSAL_NONE)
        return;
    cr_assert(text_equal(a->id, b->id));
    cr_assert(text_equal(a->source, b->source));
    cr_assert(text_equal(a->type, b->type));
    cr_assert(text_equal(a->subject, b->subject));
    cr_assert(text_equal(a->subscription, b->subscription));
    cr_assert_eq(a->time_is_absent, b->time_is_absent);
    cr_assert(a->time_is_absent || a->time.ns == b->time.ns, "%s", json);
    cr_assert_eq(a->has_sequence, b->has_sequence);
    cr_assert(!a->has_sequence || a->sequence == b->sequence, "%s", json);
    expect_same_data(gateway);
}

static struct buffer bytes_of(const char *hex)
{
    struct buffer bytes = {.length = 0};

    for (size_t i = 0; hex[i]; i += 2)
        buffer_add_char(&bytes, (char)strtol((char[]){hex[i], hex[i + 1], '\0'}, NULL, 16));
    return bytes;
}

Test(gateway_event, each_event_of_the_vectors_reads_like_the_json_it_stands_for)
{
    json_t *file = json_load_file(TOLLWAY_SOURCE_DIR "/proto/reference/vectors.json", 0, NULL);
    size_t index, compared = 0;
    json_t *vector;

    cr_assert_not_null(file);
    json_array_foreach(json_object_get(file, "vectors"), index, vector)
    {
        struct buffer bytes = bytes_of(json_string_value(json_object_get(vector, "hex")));
        const struct gateway_event *gateway;
        const char *reason;
        size_t count, event = 0;
        cr_assert_eq(gateway_batch_open(reader, buffer_text(&bytes), &count, &reason), 0);
        event_form_init(&form, &gateway_form.arena);
        for (; (gateway = gateway_batch_next(reader)) != NULL; event++) {
            json_t *json = json_array_get(json_object_get(vector, "cloudevents"), event);
            if (gateway->fault != GATEWAY_SOUND)
                continue;
            expect_same_event(gateway, json_string_value(json));
            compared++;
        }
        buffer_deinit(&bytes);
    }
    cr_assert_gt(compared, 3);
    json_decref(file);
}

static void expect_fault(enum gateway_fault fault, enum refusal_code code, const char *pointer)
{
    struct gateway_event gateway = {.fault = fault, .id = text_of("7")};

    gateway_form.refusal = (struct refusal){.code = REFUSAL_NONE};
    cr_assert_eq(event_from_gateway(&form, &gateway, &gateway_form.event, &gateway_form.refusal),
                 EVENT_REFUSED);
    cr_assert_eq(gateway_form.refusal.code, code);
    cr_assert(text_is(gateway_form.refusal.pointer, pointer));
    cr_assert(text_is(event_gateway_id(&gateway), "7"));
}

Test(gateway_event, an_unsound_event_is_refused_alone)
{
    expect_fault(GATEWAY_BAD_STRING, REFUSAL_INVALID_STRING, "");
    expect_fault(GATEWAY_BAD_PATH, REFUSAL_INVALID_DATA, "/data");
    expect_fault(GATEWAY_PATHS_COLLIDE, REFUSAL_DUPLICATE_KEY, "/data");
}

/* --- random batches, whose events are often alike --- */

static const char *const records[][2] = {
    {"bucket/demo", "{\"epoch\":1,\"partitions\":4,\"seed\":\"000102030405060708090a0b0c0d0e0f\","
                    "\"mode\":\"test\",\"createdAt\":\"2026-01-01T00:00:00Z\"}"},
    {"meter/calls", "{\"epoch\":1,\"slug\":\"calls\",\"eventType\":\"request\","
                    "\"aggregation\":\"COUNT\",\"groupBy\":{\"host\":\"$.http.host\"}}"},
    {"meter/bytes", "{\"epoch\":1,\"slug\":\"bytes\",\"eventType\":\"request\","
                    "\"aggregation\":\"SUM\",\"valueProperty\":\"$.total\",\"groupBy\":{"
                    "\"status\":\"$.status\",\"method\":\"$.http.method\"}}"},
    {"meter/users", "{\"epoch\":1,\"slug\":\"users\",\"eventType\":\"visit\",\"aggregation\":"
                    "\"UNIQUE_COUNT\",\"valueProperty\":\"$.status\"}"},
    {"subscription/own", "{\"epoch\":1,\"id\":\"own\",\"customerKey\":\"acme\",\"plan\":{"
                         "\"key\":\"p\",\"version\":1},\"activeFrom\":\"2026-01-01T00:00:00Z\","
                         "\"billingAnchor\":\"2026-01-01T00:00:00Z\",\"cuts\":[0]}"},
    {"configuration/1", "{\"epoch\":1,\"numberedSources\":[\"/numbered\"]}"},
};

/* The batch's strings, all below 128 bytes and numbers of one byte. */
enum { TYPES = 0, SOURCES = 3, OWNERS = 7, PATHS = 10, VALUES = 16, STRINGS = 20 };
static const char *const strings[STRINGS] = {
    "request",    "visit",   "nothing", "/a",      "/b",       "no uri",        "/numbered",
    "own",        "acme",    "nobody",  "$.total", "$.status", "$.http.method", "$.http.host",
    "$['total']", "no path", "GET",     "12.5",    "",         "\xff",
};

static uint32_t seed;

static unsigned chance(unsigned most)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 16) % most;
}

static void add_byte(struct buffer *batch, unsigned byte)
{
    buffer_add_char(batch, (char)byte);
}

/* Rather the first of them than the last. */
static void add_string(struct buffer *batch, unsigned first, unsigned end)
{
    add_byte(batch, first + (chance(4) ? chance(2) : chance(end - first)));
}

static void add_property(struct buffer *batch, unsigned path)
{
    unsigned kind = chance(3) ? GATEWAY_DECIMAL : chance(GATEWAY_DECIMAL + 1);

    add_byte(batch, path);
    add_byte(batch, kind);
    if (kind == GATEWAY_STRING)
        add_string(batch, VALUES, STRINGS);
    if (kind != GATEWAY_DECIMAL)
        return;
    add_byte(batch, chance(3));
    add_byte(batch, chance(16) ? 2 * chance(64) : 1);
}

/* Paths begin at one of them and follow in order, nearly always. */
static void add_event(struct buffer *batch, unsigned id)
{
    static const unsigned flags[] = {1, 2, 4, 8};
    unsigned count = chance(4) ? 4 : chance(7), first = chance(4) ? 0 : chance(3);
    unsigned present = 2;

    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        present ^= chance(5) ? 0 : flags[i];
    add_byte(batch, present);
    add_byte(batch, 1);
    add_byte(batch, 'A' + id);
    add_string(batch, TYPES, SOURCES);
    add_string(batch, SOURCES, OWNERS);
    if (present & 2)
        add_string(batch, OWNERS, PATHS);
    if (present & 4)
        add_string(batch, OWNERS, PATHS);
    if (present & 1)
        buffer_add(batch, "\0\0\x12\x34\x56\x78\x9a\x18", 8);
    if (present & 8)
        add_byte(batch, chance(128));
    add_byte(batch, count);
    for (unsigned i = 0; i < count; i++)
        add_property(batch, PATHS + (chance(30) ? first + i : chance(6)) % (VALUES - PATHS));
}

enum { EVENTS = 60 };

static void make_batch(struct buffer *batch)
{
    uint8_t crc[4];

    buffer_add_string(batch, "TWG1");
    add_byte(batch, STRINGS);
    for (size_t i = 0; i < STRINGS; i++) {
        add_byte(batch, (unsigned)strlen(strings[i]));
        buffer_add_string(batch, strings[i]);
    }
    add_byte(batch, EVENTS);
    for (unsigned i = 0; i < EVENTS; i++)
        add_event(batch, i);
    wire_store_u32(crc, (uint32_t)crc32(0, (const uint8_t *)batch->at, (unsigned)batch->length));
    buffer_add(batch, crc, sizeof(crc));
}

static struct admission admission;
static struct catalog *catalog;

static void open_catalog(void)
{
    setup();
    catalog = given_catalog(records, ARRAY_LEN(records), &admission);
}

static void close_catalog(void)
{
    catalog_free(catalog);
    teardown();
}

TestSuite(gateway_batches, .init = open_catalog, .fini = close_catalog);

static struct event_places json_places; /* of the batch's events before */

static int weigh(struct given *given, int outcome, struct admitted *admitted)
{
    const int64_t arrival_ms = INT64_C(1773000000000); /* in March of 2026 */

    if (outcome)
        return outcome;
    return admit(&admission, &given->event, arrival_ms, &given->arena, admitted, &given->refusal);
}

static void expect_same_part(const struct usage_part *a, const struct usage_part *b)
{
    cr_assert(text_equal(a->series, b->series));
    cr_assert_eq(a->hash, b->hash);
    cr_assert_eq(a->aggregation, b->aggregation);
    cr_assert_arr_eq(a->value.unique, b->value.unique, sizeof(a->value.unique));
}

static void expect_same_verdict(const struct admitted *a, const struct admitted *b)
{
    cr_assert_eq(a->subscription, b->subscription);
    cr_assert_arr_eq(&a->event.fingerprint, &b->event.fingerprint, sizeof(struct fingerprint));
    cr_assert_eq(a->event.time.ns, b->event.time.ns);
    cr_assert_eq(a->event.sequence, b->event.sequence);
    cr_assert_eq(a->event.flags, b->event.flags);
    cr_assert_eq(a->part_count, b->part_count);
    for (size_t i = 0; i < a->part_count; i++)
        expect_same_part(&a->parts[i], &b->parts[i]);
}

/* Its subscription was fetched ahead, wherever in its group it stands. */
static void expect_guessed(const struct event *event)
{
    struct text owner = event_owner(event);

    if (!text_is_absent(owner))
        cr_assert_eq(event->guess, catalog_subscription(catalog, owner));
}

/* By the places of the event before it, or not. */
static int weigh_json(const char *json, struct admitted *admitted)
{
    int r = given_event(&json_form, json);

    json_form.event.places = chance(4) ? &json_places : NULL;
    return weigh(&json_form, r, admitted);
}

/* Of the sound event, after others of its batch; returns what came of it. */
static int expect_weighed_like_its_json(const struct gateway_event *gateway)
{
    CLEANUP(buffer_deinit) struct buffer json = {0};
    struct admitted a, b;
    int r;

    gateway_event_json(gateway, &json);
    buffer_add_char(&json, '\0');
    gateway_form.refusal = (struct refusal){.code = REFUSAL_NONE};
    r = event_from_gateway(&form, gateway, &gateway_form.event, &gateway_form.refusal);
    if (r == 0)
        expect_guessed(&gateway_form.event);
    r = weigh(&gateway_form, r, &a);
    cr_assert_eq(weigh_json(json.at, &b), r, "%s", json.at);
    cr_assert_eq(gateway_form.refusal.code, json_form.refusal.code, "%s", json.at);
    if (r == 0)
        expect_same_verdict(&a, &b);
    else
        cr_assert(text_equal(gateway_form.refusal.pointer, json_form.refusal.pointer), "%s",
                  json.at);
    return r;
}

Test(gateway_batches, events_are_weighed_like_their_json_whatever_stood_before_them)
{
    size_t sound = 0, admitted = 0, alike = 0;

    for (seed = 1; sound < 60000; seed += 7) {
        CLEANUP(buffer_deinit) struct buffer batch = {0};
        const struct gateway_event *gateway;
        const char *reason;
        uint32_t naming = UINT32_MAX;
        size_t count, index = 0;

        make_batch(&batch);
        json_places.are_known = false;
        cr_assert_eq(gateway_batch_open(reader, buffer_text(&batch), &count, &reason), 0);
        event_form_init(&form, &gateway_form.arena);
        while ((gateway = gateway_batch_next(reader)) != NULL) {
            event_form_prefetch(&form, catalog, reader, index++, count);
            if (gateway->fault != GATEWAY_SOUND)
                continue;
            alike += gateway->naming == naming;
            naming = gateway->naming;
            admitted += expect_weighed_like_its_json(gateway) == 0;
            sound++;
        }
        arena_reset(&json_form.arena);
        arena_reset(&gateway_form.arena);
    }
    cr_assert_gt(admitted, sound / 8);
    cr_assert_gt(alike, sound / 16);
}
