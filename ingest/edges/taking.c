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

/* Weighs the event just read, whatever the reading returned. */
static void take_event(struct taking *taking, int r, const struct event *event,
                       struct refusal *refusal)
{
    struct intake *intake = taking->intake;

    r = intake_weigh(intake, r, event, taking->request->arrived_ms,
                     &taking->admitted[taking->count], refusal);
    if (r) {
        take_refused(taking, event_id(&intake->document), refusal);
        return;
    }
    taking->count++;
    taking->index++;
}

static void refuse_broken(struct taking *taking, const struct refusal *refusal)
{
    refuse_whole(taking, 400, "invalid_json", "The body isn't JSON: %.*s",
                 (int)refusal->detail.length, refusal->detail.at);
}

/* Reads the one event that the text holds. False: the text isn't JSON, and *refusal says why. */
static bool read_whole(struct taking *taking, struct text text, struct refusal *refusal)
{
    struct intake *intake = taking->intake;
    struct event event;
    size_t position = 0;
    int r = event_from_json(&intake->document, text, &position, &event, refusal);

    if (r == EVENT_BROKEN)
        return false;
    if (json_skip_space(text, position) != text.length) {
        refuse(refusal, &intake->arena, REFUSAL_INVALID_JSON, text_of(""),
               "something stands behind the event, at byte %zu: send one value", position);
        return false;
    }
    take_event(taking, r, &event, refusal);
    return true;
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
    struct refusal refusal = {.code = REFUSAL_NONE};

    if (!is_single(taking))
        return;
    if (!read_whole(taking, taking->request->body, &refusal))
        refuse_broken(taking, &refusal);
}

static void refuse_too_many(struct taking *taking)
{
    refuse_whole(taking, 413, "too_many_events",
                 "A batch may hold %zu events: send the rest in further requests.",
                 taking->intake->limits.request_events);
}

static void refuse_no_array(struct taking *taking)
{
    struct intake *intake = taking->intake;
    struct json_place root = {.parent = JSON_NONE};
    struct json_error error;

    json_document_reset(&intake->document);
    if (json_scan_whole(&intake->document, taking->request->body, &root, 1, &error) == JSON_BROKEN)
        refuse_whole(taking, 400, "invalid_json", "The body isn't JSON: send an array of events.");
    else
        refuse_whole(taking, 400, "not_an_array",
                     "A batch is a JSON array of events: put the event into [ ].");
}

/* Reads the element at elements->position. False when the rest can't be read. */
static bool take_element(struct taking *taking, struct json_elements *elements)
{
    struct intake *intake = taking->intake;
    struct refusal refusal = {.code = REFUSAL_NONE};
    struct event event;
    int r =
        event_from_json(&intake->document, elements->text, &elements->position, &event, &refusal);

    if (r == EVENT_BROKEN) {
        refuse_broken(taking, &refusal);
        return false;
    }
    take_event(taking, r, &event, &refusal);
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
        if (taking->index == taking->intake->limits.request_events) {
            refuse_too_many(taking);
            return;
        }
        if (!take_element(taking, &elements))
            return;
    }
    if (broken)
        refuse_whole(taking, 400, "invalid_json",
                     "The body isn't JSON: %s, at byte %zu; correct it and send all of it again.",
                     broken, elements.position);
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
        struct refusal refusal = {.code = REFUSAL_NONE};
        if (!has_content(line))
            continue;
        if (taking->index == taking->intake->limits.request_events) {
            refuse_too_many(taking);
            return;
        }
        if (!read_whole(taking, line, &refusal))
            take_refused(taking, text_of(NULL), &refusal);
    }
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
    struct intake *intake = taking->intake;
    struct event_attribute attributes[EVENT_ATTRIBUTES_MAX];
    struct refusal refusal = {.code = REFUSAL_NONE};
    struct event_binary binary = {
        .attributes = attributes,
        .content_type = http_header(taking->request, "content-type"),
        .body = taking->request->body,
    };
    struct event event;
    int r;

    if (!is_single(taking))
        return;
    binary.count = gather_attributes(taking, attributes, &refusal);
    r = event_from_binary(&intake->document, &binary, &event, &refusal);
    take_event(taking, r, &event, &refusal);
}

static void take_gateway(struct taking *taking)
{
    struct intake *intake = taking->intake;
    struct gateway_event gateway;
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
    while (gateway_batch_next(intake->gateway, &gateway)) {
        struct refusal refusal = {.code = REFUSAL_NONE};
        struct event event;
        int r = event_from_gateway(&intake->document, &gateway, &event, &refusal);
        take_event(taking, r, &event, &refusal);
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
