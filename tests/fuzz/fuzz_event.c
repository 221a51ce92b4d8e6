/*
 * fuzz_event.c - any bytes as an event, structured and as binary mode's data: it is refused with a
 * code, a sentence and a pointer, or it is admitted, and what is packed of it reads back. What is
 * remembered of an event doesn't change how the same one is read again.
 */
#include "ingest/rules/json_shape.h"
#include "ingest/rules/pack.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const records[][2] = {
    {"bucket/b", "{\"epoch\":1,\"partitions\":3,\"seed\":\"000102030405060708090a0b0c0d0e0f\","
                 "\"mode\":\"test\",\"createdAt\":\"2026-01-01T00:00:00Z\"}"},
    {"meter/n", "{\"epoch\":1,\"slug\":\"n\",\"eventType\":\"t\",\"aggregation\":\"COUNT\"}"},
    {"meter/s", "{\"epoch\":1,\"slug\":\"s\",\"eventType\":\"t\",\"aggregation\":\"SUM\","
                "\"valueProperty\":\"$.v\",\"groupBy\":{\"d\":\"$.d\",\"e\":\"$.a.b\"}}"},
    {"meter/u", "{\"epoch\":1,\"slug\":\"u\",\"eventType\":\"t\",\"aggregation\":\"UNIQUE_COUNT\","
                "\"valueProperty\":\"$.d\"}"},
    {"subscription/x", "{\"epoch\":1,\"id\":\"x\",\"customerKey\":\"c\",\"plan\":{\"key\":\"p\","
                       "\"version\":1},\"activeFrom\":\"2020-01-01T00:00:00Z\",\"billingAnchor\":"
                       "\"2020-01-01T00:00:00Z\",\"cuts\":[0]}"},
};

static const int64_t arrival_ms = 1795521600000; /* November 2026 */

struct bench {
    struct catalog *catalog;
    struct admission admission;
    struct usage_reader *reader;
    struct pack *pack;
    struct arena nodes, arena;
    struct json_document document;
};

static void on_finished(void *context, const struct pack_batch *batch)
{
    struct bench *bench = context;
    struct usage_batch view;
    const char *reason;
    int r = usage_decode(bench->reader, batch->message, &view, &reason);

    assert(r == 0 && view.event_count == 1);
    assert(usage_event_at(&view, 0).arrival_ms == arrival_ms);
}

static void bench_init(struct bench *bench)
{
    static const struct pack_limits limits = {.events = 1, .bytes = 1, .linger_ms = 1};
    const char *reason;

    bench->catalog = catalog_new(CATALOG_SUBSCRIPTIONS);
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        int r =
            catalog_apply(bench->catalog, text_of(records[i][0]), text_of(records[i][1]), &reason);
        assert(r == 0);
    }
    bench->admission.catalog = bench->catalog;
    bench->admission.future.ns = INT64_C(300000000000);
    fingerprint_key_init(&bench->admission.key, catalog_seed(bench->catalog),
                         catalog_hash(bench->catalog));
    bench->reader = usage_reader_new();
    bench->pack = pack_new(3, &limits, on_finished, bench);
    arena_init(&bench->nodes, 64 << 20);
    arena_init(&bench->arena, 64 << 20);
    json_document_init(&bench->document, &bench->nodes, &bench->arena);
}

static void weigh(struct bench *bench, int r, const struct event *event, struct refusal *refusal)
{
    struct admitted admitted;

    if (r == 0)
        r = admit(&bench->admission, event, arrival_ms, &bench->arena, &admitted, refusal);
    if (r) {
        assert(refusal->code != REFUSAL_NONE);
        assert(refusal_name(refusal->code) && refusal->detail.length > 0);
        (void)event_id(&bench->document);
        return;
    }
    assert(refusal->code == REFUSAL_NONE && admitted.part_count > 0);
    pack_add(bench->pack, &admitted, 0);
    pack_settle(bench->pack, admitted.subscription->partition);
}

static void compare(const struct event *a, const struct event *b)
{
    assert(text_equal(a->id, b->id) && text_equal(a->source, b->source));
    assert(text_equal(a->type, b->type) && text_equal(a->subject, b->subject));
    assert(text_equal(a->subscription, b->subscription) && a->data == b->data);
    assert(a->time_is_absent == b->time_is_absent && a->has_sequence == b->has_sequence);
    assert(a->time_is_absent || a->time.ns == b->time.ns);
}

/* The same event, until its shape is learned and all of it is remembered. */
static void read_again(struct bench *bench, struct text text, int r, const struct event *event,
                       const struct refusal *refusal)
{
    struct json_shape shape = {.count = 0};

    bench->document.shape = &shape;
    for (size_t i = 0; i < JSON_PATIENCE_LEAST + 2; i++) {
        struct refusal again = {.code = REFUSAL_NONE};
        struct event found;
        size_t position = 0;

        assert(event_from_json(&bench->document, text, &position, &found, &again) == r);
        assert(again.code == refusal->code);
        assert(r == 0 || text_equal(again.pointer, refusal->pointer));
        if (r == 0)
            compare(&found, event);
    }
    bench->document.shape = NULL;
}

static void as_structured(struct bench *bench, struct text text)
{
    struct refusal refusal = {.code = REFUSAL_NONE};
    struct event event;
    size_t position = 0;
    int r = event_from_json(&bench->document, text, &position, &event, &refusal);

    weigh(bench, r, &event, &refusal);
    refusal.code = REFUSAL_NONE;
    position = 0;
    r = event_from_json(&bench->document, text, &position, &event, &refusal);
    read_again(bench, text, r, &event, &refusal);
}

static void as_binary(struct bench *bench, struct text text)
{
    static const struct event_attribute attributes[] = {
        {{"specversion", 11}, {"1.0", 3}}, {{"id", 2}, {"1", 1}},
        {{"source", 6}, {"/g", 2}},        {{"type", 4}, {"t", 1}},
        {{"subscription", 12}, {"x", 1}},
    };
    struct event_binary binary = {
        .attributes = attributes, .count = ARRAY_LEN(attributes), .body = text};
    struct refusal refusal = {.code = REFUSAL_NONE};
    struct event event;
    int r = event_from_binary(&bench->document, &binary, &event, &refusal);

    weigh(bench, r, &event, &refusal);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct bench bench;

    if (!bench.catalog)
        bench_init(&bench);
    as_structured(&bench, text_from(bytes, length));
    as_binary(&bench, text_from(bytes, length));
    arena_reset(&bench.arena);
    return 0;
}
