#include "ingest/rules/event.h"

#include "ingest/rules/cloudevents.h"

#include <string.h>

static void refuse_scanned(struct json_document *document, int outcome,
                           const struct json_error *error, struct refusal *refusal)
{
    static const enum refusal_code codes[] = {
        [JSON_BROKEN] = REFUSAL_INVALID_JSON,      [JSON_TOO_DEEP] = REFUSAL_TOO_DEEP,
        [JSON_NAME_TWICE] = REFUSAL_DUPLICATE_KEY, [JSON_BAD_STRING] = REFUSAL_INVALID_STRING,
        [JSON_TOO_LONG] = REFUSAL_TOO_LONG,
    };

    refuse(refusal, document->strings, codes[outcome], error->pointer,
           "%s, at byte %zu: correct it and send the event again", error->what, error->offset);
}

int event_from_json(struct json_document *document, struct text text, size_t *position,
                    struct event *event, struct refusal *refusal)
{
    struct json_place root = {.parent = JSON_NONE};
    struct json_error error;
    size_t begin = json_skip_space(text, *position);
    int r;

    json_document_reset(document);
    r = json_scan(document, text, position, &root, 1, &error);
    if (r) {
        refuse_scanned(document, r, &error, refusal);
        return r == JSON_BROKEN ? EVENT_BROKEN : EVENT_REFUSED;
    }
    if (*position - begin > JSON_EVENT_BYTES_MAX) {
        refuse(refusal, document->strings, REFUSAL_TOO_LONG, text_of(""),
               "an event may have %d bytes: shorten it", JSON_EVENT_BYTES_MAX);
        return EVENT_REFUSED;
    }
    return cloudevents_read(document, event, refusal);
}

/* --- binary mode --- */

static bool add_string(struct json_document *document, struct text name, struct text value)
{
    struct json_place place = {.parent = 0, .name = name};

    return json_add(document, &place, NODE_STRING, value) != JSON_NONE;
}

static struct text pointer_of_name(struct json_document *document, struct text name)
{
    struct json_place place = {.parent = 0, .name = name};

    return json_pointer_to(document, &place, document->strings);
}

/* What the binding forbids as a `ce-` attribute of its own. */
static bool is_forbidden(struct text name)
{
    return text_is(name, "datacontenttype") || text_is(name, "data") ||
           text_is(name, "data_base64");
}

static void add_attribute(struct json_document *document, const struct event_attribute *attribute,
                          struct refusal *refusal)
{
    struct text pointer;

    if (!is_forbidden(attribute->name) && json_member(document, 0, attribute->name) == JSON_NONE &&
        add_string(document, attribute->name, attribute->value)) {
        json_close(document, 0);
        return;
    }
    pointer = pointer_of_name(document, attribute->name);
    if (is_forbidden(attribute->name))
        refuse(refusal, document->strings, REFUSAL_INVALID_ATTRIBUTE, pointer,
               "in binary mode the content type and the body say this: leave the attribute out");
    else
        refuse(refusal, document->strings, REFUSAL_DUPLICATE_KEY, pointer,
               "an attribute stands twice: send it once");
}

int event_from_binary(struct json_document *document, const struct event_binary *binary,
                      struct event *event, struct refusal *refusal)
{
    struct json_place root = {.parent = JSON_NONE};

    json_document_reset(document);
    if (json_add(document, &root, NODE_OBJECT, text_of(NULL)) == JSON_NONE) {
        refuse(refusal, document->strings, REFUSAL_TOO_LONG, text_of(""), "shorten the event");
        return EVENT_REFUSED;
    }
    json_close(document, 0);
    for (size_t i = 0; i < binary->count; i++)
        add_attribute(document, &binary->attributes[i], refusal);
    if (!text_is_absent(binary->content_type) &&
        add_string(document, text_of("datacontenttype"), binary->content_type))
        json_close(document, 0);
    if (binary->body.length > 0)
        cloudevents_scan_data(document, binary->body, "/data", refusal);
    return cloudevents_read(document, event, refusal);
}

/* --- what is read from it --- */

struct text event_id(const struct json_document *document)
{
    /* A refused document's containers may not be closed: look at every node. */
    for (uint32_t i = 1; i < document->count; i++) {
        const struct json_node *node = json_at(document, i);
        if (node->parent == 0 && node->kind == NODE_STRING && node->name_length == 2 &&
            memcmp(node->name, "id", 2) == 0)
            return node->length > EVENT_ID_BYTES_MAX ? text_of(NULL) : json_text(node);
    }
    return text_of(NULL);
}

struct text event_owner(const struct event *event)
{
    return text_is_absent(event->subscription) ? event->subject : event->subscription;
}

static uint32_t node_of(const struct event *event, const struct catalog_path *path)
{
    uint32_t node = event->data;

    for (size_t i = 0; i < path->count && node != JSON_NONE; i++)
        node = json_member(event->document, node, path->steps[i]);
    return node;
}

/* Whether `path` leads to what `property` does, or to an object around it. */
static bool leads_to(const struct catalog_path *path, const struct catalog_path *property)
{
    if (path->count > property->count)
        return false;
    for (size_t i = 0; i < path->count; i++)
        if (!text_equal(path->steps[i], property->steps[i]))
            return false;
    return true;
}

static uint32_t property_of(const struct gateway_event *gateway, const struct catalog_path *path)
{
    const struct gateway_shape *shape = gateway->shape;

    for (uint32_t i = 0; i < gateway->property_count; i++)
        if (leads_to(path, shape->paths[i]))
            return path->count == shape->paths[i]->count ? i : EVENT_CONTAINER;
    return JSON_NONE;
}

uint32_t event_place(const struct event *event, const struct catalog_path *path)
{
    return event->gateway ? property_of(event->gateway, path) : node_of(event, path);
}

static uint32_t four_bytes(const char *at)
{
    uint32_t bytes;

    memcpy(&bytes, at, sizeof(bytes));
    return bytes;
}

/* Most names have 4 to 8 bytes: a call costs more than comparing them. */
static bool is_named(const struct json_node *node, struct text name)
{
    const char *a = node->name, *b = name.at;
    size_t length = name.length;

    if (node->name_length != length)
        return false;
    if (length >= 4 && length <= 8)
        return four_bytes(a) == four_bytes(b) &&
               four_bytes(a + length - 4) == four_bytes(b + length - 4);
    return length == 0 || memcmp(a, b, length) == 0;
}

bool event_is_place(const struct event *event, const struct catalog_path *path, uint32_t guess)
{
    const struct json_document *document = event->document;
    uint32_t at = guess;

    if (event->gateway || guess >= document->count || event->data == JSON_NONE)
        return false;
    for (size_t i = path->count; i > 0; i--) {
        const struct json_node *node = json_at(document, at);

        if (node->parent == JSON_NONE || !node->name || !is_named(node, path->steps[i - 1]))
            return false;
        at = node->parent;
    }
    return at == event->data;
}

static size_t write_step(char *into, struct text step)
{
    size_t length = 0;

    into[length++] = '/';
    for (size_t i = 0; i < step.length; i++) {
        char c = step.at[i];
        if (c == '~' || c == '/') {
            into[length++] = '~';
            c = c == '~' ? '0' : '1';
        }
        into[length++] = c;
    }
    return length;
}

struct text event_property_pointer(const struct catalog_path *path, struct arena *arena)
{
    size_t room = sizeof("/data"), length;
    char *pointer;

    for (size_t i = 0; i < path->count; i++)
        room += 1 + 2 * path->steps[i].length;
    pointer = arena_take(arena, room);
    if (!pointer)
        return text_of("/data");
    length = write_step(pointer, text_of("data"));
    for (size_t i = 0; i < path->count; i++)
        length += write_step(pointer + length, path->steps[i]);
    return text_from(pointer, length);
}
