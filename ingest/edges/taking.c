#include "ingest/edges/taking.h"

#include "ingest/edges/batch.h"

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

/* Weighs the event, whatever reading it returned. */
static void take_event(struct taking *taking, size_t index, struct intake_reading *reading)
{
    taking->events++;
    if (!intake_weigh(taking->intake, reading, taking->request->arrived_ms,
                      &taking->admitted[taking->count])) {
        taking->count++;
        return;
    }
    taking->codes[reading->refusal.code]++;
    answer_add_refusal(&taking->answer, index, intake_id(reading), &reading->refusal);
}

static void refuse_broken(struct taking *taking, const struct refusal *refusal)
{
    refuse_whole(taking, 400, "invalid_json", "The body isn't JSON: %.*s",
                 (int)refusal->detail.length, refusal->detail.at);
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
    intake_read(taking->intake, taking->request->body, reading);
    if (reading->outcome == EVENT_BROKEN)
        refuse_broken(taking, &reading->refusal);
    else
        take_event(taking, 0, reading);
}

static void take_of_batch(void *context, size_t index, struct intake_reading *reading)
{
    take_event(context, index, reading);
}

static void take_batch(struct taking *taking, enum content_mode mode)
{
    const struct batch_sink sink = {.take = take_of_batch,
                                    .context = taking,
                                    .events_max = taking->intake->limits.request_events};
    struct refusal why = {.code = REFUSAL_NONE};
    size_t end;

    switch (batch_read(taking->intake, mode, taking->request->body, &sink, &end, &why)) {
    case BATCH_BROKEN:
        refuse_broken(taking, &why);
        break;
    case BATCH_NO_ARRAY:
        refuse_whole(taking, 400, "not_an_array",
                     "A batch is a JSON array of events: put the event into [ ].");
        break;
    case BATCH_NO_GATEWAY:
        refuse_whole(taking, 400, "invalid_batch", "The body isn't a gateway's batch: %.*s.",
                     (int)why.detail.length, why.detail.at);
        break;
    case BATCH_TOO_MANY:
        refuse_whole(taking, 413, "too_many_events",
                     "A batch may hold %zu events: send the rest in further requests.",
                     sink.events_max);
        break;
    }
}

/* --- binary mode --- */

bool taking_is_attribute(const struct http_header *header)
{
    const char *name = header->name.at;

    return header->name.length > 3 && (name[0] | 0x20) == 'c' && (name[1] | 0x20) == 'e' &&
           name[2] == '-';
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
    take_event(taking, 0, reading);
}

static void take_json(struct taking *taking)
{
    struct text body = taking->request->body;
    size_t first = json_skip_space(body, 0);

    if (first < body.length && body.at[first] == '[')
        take_batch(taking, CONTENT_BATCH);
    else
        take_structured(taking);
}

void taking_read(struct taking *taking, enum content_mode mode)
{
    switch (mode) {
    case CONTENT_STRUCTURED:
        take_structured(taking);
        break;
    case CONTENT_BINARY:
        take_binary(taking);
        break;
    case CONTENT_JSON:
        take_json(taking);
        break;
    case CONTENT_BATCH:
    case CONTENT_LINES:
    case CONTENT_GATEWAY:
        take_batch(taking, mode);
        break;
    }
}
