#include "ingest/edges/intake.h"

#include <assert.h>
#include <string.h>

enum {
    KEPT_BYTES = 4 * 1024 * 1024,       /* larger blocks are given back after their request */
    LEAST_BODY_BYTES = 4 * 1024 * 1024, /* room for a record of Kafka, whatever HTTP may send */
};

static void init_documents(struct intake *intake)
{
    for (size_t i = 0; i < INTAKE_GROUP; i++) {
        struct json_document *document = &intake->readings[i].document;

        json_document_init(document, &intake->nodes, &intake->arena);
        document->shape = &intake->shape;
    }
}

void intake_init(struct intake *intake, const struct intake_limits *limits,
                 struct delivery *delivery, struct metrics *metrics, struct span future)
{
    size_t body = limits->body_bytes > LEAST_BODY_BYTES ? limits->body_bytes : LEAST_BODY_BYTES;

    memset(intake, 0, sizeof(*intake));
    intake->limits = *limits;
    intake->admission.future = future;
    intake->delivery = delivery;
    intake->metrics = metrics;
    arena_init(&intake->nodes, INTAKE_ARENA_SHARE * body);
    arena_init(&intake->arena, INTAKE_ARENA_SHARE * body);
    init_documents(intake);
    intake->gateway = gateway_reader_new();
}

void intake_deinit(struct intake *intake)
{
    arena_deinit(&intake->nodes);
    arena_deinit(&intake->arena);
    gateway_reader_free(intake->gateway);
}

void intake_open(struct intake *intake, const struct catalog *catalog)
{
    assert(catalog_has_bucket(catalog));
    intake->admission.catalog = catalog;
    intake->partitions = catalog_partitions(catalog);
    fingerprint_key_init(&intake->admission.key, catalog_seed(catalog), catalog_hash(catalog));
}

bool intake_is_open(const struct intake *intake)
{
    const struct catalog *catalog = intake->admission.catalog;

    return catalog && catalog_has_bucket(catalog) &&
           catalog_partitions(catalog) == intake->partitions;
}

void intake_begin(struct intake *intake)
{
    intake->places.are_known = false;
    if (intake->arena.used > KEPT_BYTES)
        arena_deinit(&intake->arena);
    else
        arena_reset(&intake->arena);
    if (intake->nodes.used <= KEPT_BYTES)
        return;
    arena_deinit(&intake->nodes);
    init_documents(intake);
}

struct intake_reading *intake_reading(struct intake *intake, size_t index)
{
    struct intake_reading *reading = &intake->readings[index];

    assert(index < INTAKE_GROUP);
    reading->refusal.code = REFUSAL_NONE;
    reading->gateway = NULL;
    return reading;
}

struct text intake_id(const struct intake_reading *reading)
{
    if (reading->gateway)
        return event_gateway_id(reading->gateway);
    return reading->outcome == EVENT_BROKEN ? text_of(NULL) : event_id(&reading->document);
}

void intake_read(struct intake *intake, struct text text, struct intake_reading *reading)
{
    size_t position = 0;

    reading->outcome =
        event_from_json(&reading->document, text, &position, &reading->event, &reading->refusal);
    if (reading->outcome == EVENT_BROKEN || json_skip_space(text, position) == text.length)
        return;
    refuse(&reading->refusal, &intake->arena, REFUSAL_INVALID_JSON, text_of(""),
           "something stands behind the event, at byte %zu: send one value", position);
    reading->outcome = EVENT_BROKEN;
}

void intake_prefetch(struct intake *intake, size_t count)
{
    const struct catalog_subscription *guesses[INTAKE_GROUP];
    struct text owners[INTAKE_GROUP] = {{NULL, 0}};

    if (count < 2)
        return;
    for (size_t i = 0; i < count; i++) {
        const struct intake_reading *reading = &intake->readings[i];

        owners[i] = reading->outcome == 0 ? event_owner(&reading->event) : text_of(NULL);
    }
    catalog_prefetch(intake->admission.catalog, owners, count, guesses);
    for (size_t i = 0; i < count; i++) {
        intake->readings[i].event.guess = guesses[i];
        intake->readings[i].event.places = &intake->places;
    }
}

int intake_weigh(struct intake *intake, struct intake_reading *reading, int64_t arrival_ms,
                 struct admitted *admitted)
{
    if (reading->outcome == 0)
        reading->outcome = admit(&intake->admission, &reading->event, arrival_ms, &intake->arena,
                                 admitted, &reading->refusal);
    return reading->outcome;
}
