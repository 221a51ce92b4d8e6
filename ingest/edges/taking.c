#include "ingest/edges/taking.h"

#include <stdarg.h>
#include <stdio.h>

/* The request is refused whole. */
static void refuse_whole(struct taking *taking, int status, const char *code, const char *format,
                         ...) PRINTF_LIKE(4, 5);
static void refuse_whole(struct taking *taking, int status, const char *code, const char *format,
                         ...)
{
    va_list arguments;

    taking->status = status;
    taking->code = code;
    va_start(arguments, format);
    vsnprintf(taking->detail, sizeof(taking->detail), format, arguments);
    va_end(arguments);
}

static void take_refused(struct taking *taking, struct text id, const struct refusal *refusal)
{
    taking->codes[refusal->code]++;
    answer_add_refusal(&taking->answer, taking->index++, id, refusal);
}

/* Weighs the event, whatever reading it returned. */
static void take_event(struct taking *taking, struct intake_reading *reading)
{
    struct intake *intake = taking->intake;

    if (intake_weigh(intake, reading, taking->request->arrived_ms,
                     &taking->admitted[taking->count])) {
        take_refused(taking, event_id(&reading->document), &reading->refusal);
        return;
    }
    taking->count++;
    taking->index++;
}

/* Weighs what was read. */
static void take_group(struct taking *taking)
{
    intake_prefetch(taking->intake, taking->read);
    for (size_t i = 0; i < taking->read; i++)
        take_event(taking, &taking->intake->readings[i]);
    taking->read = 0;
    taking->read_bytes = 0;
}

/* An event of so many bytes was read. */
static void add_to_group(struct taking *taking, size_t bytes)
{
    taking->read++;
    taking->read_bytes += bytes;
    if (taking->read == INTAKE_GROUP || taking->read_bytes > INTAKE_GROUP_BYTES)
        take_group(taking);
}

static void refuse_broken(struct taking *taking, const struct refusal *refusal)
{
    refuse_whole(taking, 400, "invalid_json", "The body isn't JSON: %.*s",
                 (int)refusal->detail.length, refusal->detail.at);
}

/* Reads the one event that the text holds. False: the text isn't JSON, and its reading says why. */
static bool read_whole(struct taking *taking, struct text text, struct intake_reading *reading)
{
    size_t position = 0;

    reading->outcome =
        event_from_json(&reading->document, text, &position, &reading->event, &reading->refusal);
    if (reading->outcome == EVENT_BROKEN)
        return false;
    if (json_skip_space(text, position) == text.length)
        return true;
    refuse(&reading->refusal, &taking->intake->arena, REFUSAL_INVALID_JSON, text_of(""),
           "something stands behind the event, at byte %zu: send one value", position);
    return false;
}

/* Whether the body is within what one event may have; refuses it when it isn't. */
static bool is_single(struct taking *taking)
{
    size_t most = taking->intake->limits.single_bytes;

    if (taking->request->body.length <= most)
        return true;
    refuse_whole(taking, 413, "body_too_large", "A single event may have %zu bytes: shorten it.",
                 most);
    return false;
}

static void take_structured(struct taking *taking)
{
    struct intake_reading *reading = intake_reading(taking->intake, 0);

    if (!is_single(taking))
        return;
    if (read_whole(taking, taking->request->body, reading))
        take_event(taking, reading);
    else
        refuse_broken(taking, &reading->refusal);
}

static void refuse_too_many(struct taking *taking)
{
    refuse_whole(taking, 413, "too_many_events",
                 "A batch may hold %zu events: send the rest in further requests.",
                 taking->intake->limits.request_events);
}

/* Whether there is no room for another event; refuses the request then. */
static bool is_full(struct taking *taking)
{
    if (taking->index + taking->read < taking->intake->limits.request_events)
        return false;
    refuse_too_many(taking);
    return true;
}

static void refuse_no_array(struct taking *taking)
{
    struct json_document *document = &intake_reading(taking->intake, 0)->document;
    struct json_place root = {.parent = JSON_NONE};
    struct json_error error;

    json_document_reset(document);
    if (json_scan_whole(document, taking->request->body, &root, 1, &error) == JSON_BROKEN)
        refuse_whole(taking, 400, "invalid_json", "The body isn't JSON: send an array of events.");
    else
        refuse_whole(taking, 400, "not_an_array",
                     "A batch is a JSON array of events: put the event into [ ].");
}

/* Reads the element at elements->position. False when the rest can't be read. */
static bool take_element(struct taking *taking, struct json_elements *elements)
{
    struct intake_reading *reading = intake_reading(taking->intake, taking->read);
    size_t begin = elements->position;

    reading->outcome = event_from_json(&reading->document, elements->text, &elements->position,
                                       &reading->event, &reading->refusal);
    if (reading->outcome == EVENT_BROKEN) {
        refuse_broken(taking, &reading->refusal);
        return false;
    }
    add_to_group(taking, elements->position - begin);
    return true;
}

static void take_batch(struct taking *taking)
{
    struct json_elements elements;
    const char *broken = NULL;

    if (!json_elements_begin(&elements, taking->request->body)) {
        refuse_no_array(taking);
        return;
    }
    while (json_elements_next(&elements, &broken)) {
        if (is_full(taking))
            return;
        if (!take_element(taking, &elements))
            return;
    }
    if (broken)
        refuse_whole(taking, 400, "invalid_json",
                     "The body isn't JSON: %s, at byte %zu; correct it and send all of it again.",
                     broken, elements.position);
    else
        take_group(taking);
}

static bool has_content(struct text line)
{
    return json_skip_space(line, 0) < line.length;
}

static void take_lines(struct taking *taking)
{
    struct text rest = taking->request->body;

    while (rest.length > 0) {
        struct text line = text_cut(&rest, '\n');
        struct intake_reading *reading = intake_reading(taking->intake, taking->read);
        if (!has_content(line))
            continue;
        if (is_full(taking))
            return;
        if (read_whole(taking, line, reading)) {
            add_to_group(taking, line.length);
            continue;
        }
        take_group(taking);
        take_refused(taking, text_of(NULL), &reading->refusal);
    }
    take_group(taking);
}

/* --- binary mode --- */

bool taking_is_attribute(const struct http_header *header)
{
    return header->name.length > 3 &&
           text_equal_ignoring_case(text_from(header->name.at, 3), text_of("ce-"));
}

/* The attribute's name: what follows `ce-`, in lower case; absent when the arena is full. */
static struct text attribute_name(struct arena *arena, struct text name)
{
    struct text copy = arena_copy(arena, text_from(name.at + 3, name.length - 3));

    for (size_t i = 0; i < copy.length; i++) {
        char *c = (char *)(uintptr_t)&copy.at[i];
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    }
    return copy;
}

static size_t gather_attributes(struct taking *taking, struct event_attribute *attributes,
                                struct refusal *refusal)
{
    struct arena *arena = &taking->intake->arena;
    const struct http_request *request = taking->request;
    size_t count = 0;

    for (size_t i = 0; i < request->header_count && count < EVENT_ATTRIBUTES_MAX; i++) {
        const struct http_header *header = &request->headers[i];
        struct event_attribute *attribute = &attributes[count];
        if (!taking_is_attribute(header))
            continue;
        attribute->name = attribute_name(arena, header->name);
        if (text_is_absent(attribute->name) ||
            event_decode_header(attribute->name, header->value, arena, &attribute->value, refusal))
            attribute->value = header->value;
        count++;
    }
    return count;
}

static void take_binary(struct taking *taking)
{
    struct intake_reading *reading = intake_reading(taking->intake, 0);
    struct event_attribute attributes[EVENT_ATTRIBUTES_MAX];
    struct event_binary binary = {
        .attributes = attributes,
        .content_type = http_header(taking->request, "content-type"),
        .body = taking->request->body,
    };

    if (!is_single(taking))
        return;
    binary.count = gather_attributes(taking, attributes, &reading->refusal);
    reading->outcome =
        event_from_binary(&reading->document, &binary, &reading->event, &reading->refusal);
    take_event(taking, reading);
}

static void take_gateway(struct taking *taking)
{
    struct intake *intake = taking->intake;
    struct gateway_event gateway;
    struct event_form form;
    const char *reason = "";
    size_t count = 0;

    if (gateway_batch_open(intake->gateway, taking->request->body, &count, &reason)) {
        refuse_whole(taking, 400, "invalid_batch", "The body isn't a gateway's batch: %s.", reason);
        return;
    }
    if (count > intake->limits.request_events) {
        refuse_too_many(taking);
        return;
    }
    event_form_init(&form, &intake_reading(intake, 0)->document);
    for (size_t i = 0; gateway_batch_next(intake->gateway, &gateway); i++) {
        struct intake_reading *reading = intake_reading(intake, 0);
        event_prefetch_gateway(intake->admission.catalog, intake->gateway, i, count);
        reading->outcome = event_from_gateway(&form, &gateway, &reading->event, &reading->refusal);
        take_event(taking, reading);
    }
}

static void take_json(struct taking *taking)
{
    struct text body = taking->request->body;
    size_t first = json_skip_space(body, 0);

    if (first < body.length && body.at[first] == '[')
        take_batch(taking);
    else
        take_structured(taking);
}

void taking_read(struct taking *taking, enum content_mode mode)
{
    switch (mode) {
    case CONTENT_STRUCTURED:
        take_structured(taking);
        break;
    case CONTENT_BATCH:
        take_batch(taking);
        break;
    case CONTENT_LINES:
        take_lines(taking);
        break;
    case CONTENT_BINARY:
        take_binary(taking);
        break;
    case CONTENT_JSON:
        take_json(taking);
        break;
    case CONTENT_GATEWAY:
        take_gateway(taking);
        break;
    }
}
