/* The batch's test vectors say what JSON each event stands for: both forms have to read alike. */
#include "proto/gateway_batch.h"
#include "tests/unit/ingest/given.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct given json_form, gateway_form;
static struct gateway_reader *reader;

static void setup(void)
{
    given_init(&json_form);
    given_init(&gateway_form);
    reader = gateway_reader_new();
}

static void teardown(void)
{
    given_deinit(&json_form);
    given_deinit(&gateway_form);
    gateway_reader_free(reader);
}

TestSuite(gateway_event, .init = setup, .fini = teardown);

static void expect_same_node(uint32_t a, uint32_t b)
{
    const struct json_node *x = json_at(&json_form.document, a);
    const struct json_node *y = json_at(&gateway_form.document, b);

    cr_assert_eq(x->kind, y->kind);
    cr_assert(text_equal(json_name(x), json_name(y)));
    cr_assert_eq(x->length, y->length);
    if (x->kind == NODE_NUMBER || x->kind == NODE_STRING)
        cr_assert(text_equal(json_text(x), json_text(y)));
}

static void expect_same_data(void)
{
    uint32_t a = json_form.event.data, b = gateway_form.event.data;
    uint32_t count = json_after(&json_form.document, a) - a;

    cr_assert_eq(json_after(&gateway_form.document, b) - b, count);
    for (uint32_t i = 0; i < count; i++)
        expect_same_node(a + i, b + i);
}

static void expect_same_event(const struct gateway_event *gateway, const char *json)
{
    const struct event *a = &json_form.event, *b = &gateway_form.event;

    gateway_form.refusal = (struct refusal){.code = REFUSAL_NONE};
    cr_assert_eq(event_from_gateway(&gateway_form.document, gateway, &gateway_form.event,
                                    &gateway_form.refusal),
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
    expect_same_data();
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
        struct gateway_event gateway;
        const char *reason;
        size_t count, event = 0;
        cr_assert_eq(gateway_batch_open(reader, buffer_text(&bytes), &count, &reason), 0);
        for (; gateway_batch_next(reader, &gateway); event++) {
            json_t *json = json_array_get(json_object_get(vector, "cloudevents"), event);
            if (gateway.fault != GATEWAY_SOUND)
                continue;
            expect_same_event(&gateway, json_string_value(json));
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
    cr_assert_eq(event_from_gateway(&gateway_form.document, &gateway, &gateway_form.event,
                                    &gateway_form.refusal),
                 EVENT_REFUSED);
    cr_assert_eq(gateway_form.refusal.code, code);
    cr_assert(text_is(gateway_form.refusal.pointer, pointer));
    cr_assert(text_is(event_id(&gateway_form.document), "7"));
}

Test(gateway_event, an_unsound_event_is_refused_alone)
{
    expect_fault(GATEWAY_BAD_STRING, REFUSAL_INVALID_STRING, "");
    expect_fault(GATEWAY_BAD_PATH, REFUSAL_INVALID_DATA, "/data");
    expect_fault(GATEWAY_PATHS_COLLIDE, REFUSAL_DUPLICATE_KEY, "/data");
}

Test(gateway_event, a_document_without_room_refuses_the_event)
{
    struct gateway_event gateway = {
        .id = text_of("1"), .type = text_of("t"), .source = text_of("s")};

    gateway_form.nodes.limit = 0;
    cr_assert_eq(event_from_gateway(&gateway_form.document, &gateway, &gateway_form.event,
                                    &gateway_form.refusal),
                 EVENT_REFUSED);
    cr_assert_eq(gateway_form.refusal.code, REFUSAL_TOO_LONG);
}
