#include "ingest/edges/batch.h"

struct walk {
    struct intake *intake;
    const struct batch_sink *sink;
    struct refusal *why;
    size_t index; /* of the event that is given next */
    size_t read;  /* events that are read and not given: intake->readings */
    size_t read_bytes;
};

static void give_group(struct walk *walk)
{
    intake_prefetch(walk->intake, walk->read);
    for (size_t i = 0; i < walk->read; i++)
        walk->sink->take(walk->sink->context, walk->index++, &walk->intake->readings[i]);
    walk->read = 0;
    walk->read_bytes = 0;
}

/* An event of so many bytes was read. */
static void add_to_group(struct walk *walk, size_t bytes)
{
    walk->read++;
    walk->read_bytes += bytes;
    if (walk->read == INTAKE_GROUP || walk->read_bytes > INTAKE_GROUP_BYTES)
        give_group(walk);
}

static bool is_full(const struct walk *walk)
{
    return walk->index + walk->read == walk->sink->events_max;
}

/* --- a JSON array --- */

static int refuse_no_array(struct walk *walk, struct text body)
{
    struct json_document *document = &intake_reading(walk->intake, 0)->document;
    struct json_place root = {.parent = JSON_NONE};
    struct json_error error;

    json_document_reset(document);
    if (json_scan_whole(document, body, &root, 1, &error) == JSON_BROKEN) {
        refuse(walk->why, &walk->intake->arena, REFUSAL_INVALID_JSON, text_of(""),
               "send an array of events");
        return BATCH_BROKEN;
    }
    refuse(walk->why, &walk->intake->arena, REFUSAL_INVALID_BATCH, text_of(""),
           "a batch is a JSON array of events: put the event into [ ]");
    return BATCH_NO_ARRAY;
}

/* Reads the element at elements->position. */
static int read_element(struct walk *walk, struct json_elements *elements)
{
    struct intake_reading *reading = intake_reading(walk->intake, walk->read);
    size_t begin = elements->position;

    reading->outcome = event_from_json(&reading->document, elements->text, &elements->position,
                                       &reading->event, &reading->refusal);
    if (reading->outcome == EVENT_BROKEN) {
        *walk->why = reading->refusal;
        return BATCH_BROKEN;
    }
    add_to_group(walk, elements->position - begin);
    return 0;
}

static int read_elements(struct walk *walk, struct json_elements *elements)
{
    const char *broken = NULL;

    while (json_elements_next(elements, &broken)) {
        if (is_full(walk))
            return BATCH_TOO_MANY;
        if (read_element(walk, elements))
            return BATCH_BROKEN;
    }
    if (!broken)
        return 0;
    refuse(walk->why, &walk->intake->arena, REFUSAL_INVALID_JSON, text_of(""),
           "%s, at byte %zu; correct it and send all of it again", broken, elements->position);
    return BATCH_BROKEN;
}

static int read_array(struct walk *walk, struct text body)
{
    struct json_elements elements;
    int r;

    if (!json_elements_begin(&elements, body))
        return refuse_no_array(walk, body);
    r = read_elements(walk, &elements);
    give_group(walk);
    return r;
}

/* --- lines --- */

static bool has_content(struct text line)
{
    return json_skip_space(line, 0) < line.length;
}

static int read_lines(struct walk *walk, struct text body)
{
    while (body.length > 0) {
        struct text line = text_cut(&body, '\n');
        if (!has_content(line))
            continue;
        if (is_full(walk))
            return BATCH_TOO_MANY;
        intake_read(walk->intake, line, intake_reading(walk->intake, walk->read));
        add_to_group(walk, line.length);
    }
    give_group(walk);
    return 0;
}

/* --- the gateway's batch --- */

static int read_gateway(struct walk *walk, struct text body)
{
    struct intake *intake = walk->intake;
    const struct gateway_event *gateway;
    struct event_form form;
    const char *reason = "";
    size_t count = 0;

    if (gateway_batch_open(intake->gateway, body, &count, &reason)) {
        refuse(walk->why, &intake->arena, REFUSAL_INVALID_BATCH, text_of(NULL),
               "%s: write it as proto/README.md says", reason);
        return BATCH_NO_GATEWAY;
    }
    if (count > walk->sink->events_max)
        return BATCH_TOO_MANY;
    event_form_init(&form, &intake->arena);
    while ((gateway = gateway_batch_next(intake->gateway)) != NULL) {
        struct intake_reading *reading = intake_reading(intake, 0);
        event_form_prefetch(&form, intake->admission.catalog, intake->gateway, walk->index, count);
        reading->gateway = gateway;
        reading->outcome = event_from_gateway(&form, gateway, &reading->event, &reading->refusal);
        walk->sink->take(walk->sink->context, walk->index++, reading);
    }
    return 0;
}

bool batch_is(enum content_mode mode)
{
    return mode == CONTENT_BATCH || mode == CONTENT_LINES || mode == CONTENT_GATEWAY;
}

int batch_read(struct intake *intake, enum content_mode mode, struct text body,
               const struct batch_sink *sink, size_t *end, struct refusal *why)
{
    struct walk walk = {.intake = intake, .sink = sink, .why = why};
    int r = mode == CONTENT_GATEWAY ? read_gateway(&walk, body)
            : mode == CONTENT_LINES ? read_lines(&walk, body)
                                    : read_array(&walk, body);

    *end = walk.index;
    return r;
}
