#include "tests/unit/ingest/given.h"

#include "ingest/rules/json_shape.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct json_error given_error;

void given_init(struct given *given)
{
    memset(given, 0, sizeof(*given));
    arena_init(&given->nodes, 64 << 20);
    arena_init(&given->arena, 64 << 20);
    json_document_init(&given->document, &given->nodes, &given->arena);
}

void given_deinit(struct given *given)
{
    arena_deinit(&given->nodes);
    arena_deinit(&given->arena);
}

int given_scan(struct given *given, struct text text)
{
    struct json_place root = {.parent = JSON_NONE};

    json_document_reset(&given->document);
    return json_scan_whole(&given->document, text, &root, 1, &given_error);
}

int given_event(struct given *given, const char *json)
{
    size_t position = 0;

    memset(&given->refusal, 0, sizeof(given->refusal));
    return event_from_json(&given->document, text_of(json), &position, &given->event,
                           &given->refusal);
}

/* So often that the event's shape is learned, and what was found in it remembered. */
enum { READINGS = JSON_PATIENCE_LEAST + 2 };

void expect_refused(const char *json, enum refusal_code code, const char *pointer)
{
    struct json_shape shape = {.count = 0};
    struct given given;

    given_init(&given);
    given.document.shape = &shape;
    for (size_t i = 0; i < READINGS; i++) {
        cr_assert_neq(given_event(&given, json), 0, "was let through: %s", json);
        cr_assert_eq(given.refusal.code, code, "%s instead of %s for %s",
                     refusal_name(given.refusal.code), refusal_name(code), json);
        cr_assert(text_is(given.refusal.pointer, pointer), "pointer %.*s for %s",
                  (int)given.refusal.pointer.length, given.refusal.pointer.at, json);
        cr_assert_gt(given.refusal.detail.length, 10);
    }
    given_deinit(&given);
}

void expect_read(const char *json)
{
    struct json_shape shape = {.count = 0};
    struct given given;

    given_init(&given);
    given.document.shape = &shape;
    for (size_t i = 0; i < READINGS; i++)
        cr_assert_eq(given_event(&given, json), 0, "refused with %s: %s",
                     given.refusal.code ? refusal_name(given.refusal.code) : "nothing", json);
    given_deinit(&given);
}

struct catalog *given_catalog(const char *const records[][2], size_t count,
                              struct admission *admission)
{
    struct catalog *catalog = catalog_new(CATALOG_SUBSCRIPTIONS);
    const char *reason;

    for (size_t i = 0; i < count; i++)
        cr_assert_eq(
            catalog_apply(catalog, text_of(records[i][0]), text_of(records[i][1]), &reason), 0,
            "%s", records[i][0]);
    admission->catalog = catalog;
    admission->future.ns = 300 * INT64_C(1000000000);
    fingerprint_key_init(&admission->key, catalog_seed(catalog), catalog_hash(catalog));
    return catalog;
}
