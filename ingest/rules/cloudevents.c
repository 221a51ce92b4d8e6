/*
 * The rules, in the order of the code. Which refusal is given when several apply: refusal.h.
 *
 * 1. Each member's name is [a-z0-9]+, but for data_base64. A null attribute is an absent one.
 * 2. id, source, specversion and type are there. Each known attribute is a string, not empty,
 *    not too long, and well-formed: source a URI reference, specversion "1.0", time RFC 3339,
 *    dataschema a URI, datacontenttype a media type.
 * 3. Other extensions are strings, booleans or 32-bit integers, and ignored; so is `sequence`, of
 *    whose source admit knows whether it counts.
 * 4. sampledrate other than 1 and dataref are refused: with each, the event would count for
 *    something else than it says.
 * 5. The content is application/json in UTF-8. data and data_base64 exclude each other; the latter
 *    is decoded and read as JSON.
 */
#include "ingest/rules/cloudevents.h"

#include "ingest/rules/base64.h"
#include "ingest/rules/json_shape.h"
#include "ingest/rules/media_type.h"
#include "ingest/rules/uri.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum attribute {
    ATTRIBUTE_ID,
    ATTRIBUTE_TYPE,
    ATTRIBUTE_TIME,
    ATTRIBUTE_SOURCE,
    ATTRIBUTE_SUBJECT,
    ATTRIBUTE_DATAREF,
    ATTRIBUTE_SEQUENCE,
    ATTRIBUTE_DATASCHEMA,
    ATTRIBUTE_SPECVERSION,
    ATTRIBUTE_SAMPLEDRATE,
    ATTRIBUTE_SUBSCRIPTION,
    ATTRIBUTE_DATACONTENTTYPE,
    ATTRIBUTE_COUNT,
};

struct rule {
    const char *pointer; /* "/id": the name behind the slash */
    size_t bytes_max;
    const char *missing; /* what to do about it; NULL: it may be absent */
};

static const struct rule rules[ATTRIBUTE_COUNT] = {
    [ATTRIBUTE_ID] = {"/id", EVENT_ID_BYTES_MAX, "send one that this source never uses twice"},
    [ATTRIBUTE_TYPE] = {"/type", EVENT_TEXT_BYTES_MAX, "send the eventType of a meter"},
    [ATTRIBUTE_TIME] = {"/time", EVENT_TEXT_BYTES_MAX, NULL},
    [ATTRIBUTE_SOURCE] = {"/source", EVENT_TEXT_BYTES_MAX,
                          "send a URI reference that names the sender"},
    [ATTRIBUTE_SUBJECT] = {"/subject", EVENT_TEXT_BYTES_MAX, NULL},
    [ATTRIBUTE_DATAREF] = {"/dataref", EVENT_TEXT_BYTES_MAX, NULL},
    [ATTRIBUTE_SEQUENCE] = {"/sequence", EVENT_TEXT_BYTES_MAX, NULL},
    [ATTRIBUTE_DATASCHEMA] = {"/dataschema", EVENT_TEXT_BYTES_MAX, NULL},
    [ATTRIBUTE_SPECVERSION] = {"/specversion", EVENT_TEXT_BYTES_MAX, "send \"1.0\""},
    [ATTRIBUTE_SAMPLEDRATE] = {"/sampledrate", EVENT_TEXT_BYTES_MAX, NULL},
    [ATTRIBUTE_SUBSCRIPTION] = {"/subscription", EVENT_ID_BYTES_MAX, NULL},
    [ATTRIBUTE_DATACONTENTTYPE] = {"/datacontenttype", EVENT_TEXT_BYTES_MAX, NULL},
};

static const char *name_of(enum attribute attribute)
{
    return rules[attribute].pointer + 1;
}

/* Nodes; JSON_NONE: absent, and an attribute that is null. */
struct members {
    uint32_t attributes[ATTRIBUTE_COUNT];
    uint32_t data, base64;
};
_Static_assert(sizeof(struct members) <= sizeof(((struct json_shape *)0)->places), "they fit");

struct reading {
    struct json_document *document;
    struct arena *arena;
    struct event *event;
    struct refusal *refusal;
    struct members members;
    bool has_others; /* members that aren't among them */
};

static struct arena *arena_of(const struct reading *reading)
{
    return reading->arena;
}

static struct text pointer_to(const struct reading *reading, uint32_t index)
{
    return json_pointer(reading->document, index, arena_of(reading));
}

/* --- members --- */

static bool is_attribute_name(struct text name)
{
    for (size_t i = 0; i < name.length; i++) {
        char c = name.at[i];
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9'))
            return false;
    }
    return name.length > 0;
}

/* A 32-bit signed integer. */
static bool is_integer(struct text number)
{
    char digits[16];
    char *end;
    long long value;

    if (number.length >= sizeof(digits))
        return false;
    memcpy(digits, number.at, number.length);
    digits[number.length] = '\0';
    value = strtoll(digits, &end, 10);
    return *end == '\0' && value >= INT32_MIN && value <= INT32_MAX;
}

static void check_extension(struct reading *reading, uint32_t index)
{
    const struct json_node *node = json_at(reading->document, index);

    if (json_is_container(node))
        refuse(reading->refusal, arena_of(reading), REFUSAL_INVALID_ATTRIBUTE,
               pointer_to(reading, index),
               "an extension can't be an object or an array: put it into data");
    else if (node->kind == NODE_NUMBER && !is_integer(json_text(node)))
        refuse(reading->refusal, arena_of(reading), REFUSAL_INVALID_ATTRIBUTE,
               pointer_to(reading, index),
               "a number in an extension has to be a 32-bit integer: send it as a string");
    else if (node->kind == NODE_STRING && node->length > EVENT_TEXT_BYTES_MAX)
        refuse(reading->refusal, arena_of(reading), REFUSAL_TOO_LONG, pointer_to(reading, index),
               "an extension may have %d bytes: put longer texts into data", EVENT_TEXT_BYTES_MAX);
}

/* `literal` is one: its length is known to the compiler, and the comparison a few instructions. */
static inline enum attribute if_named(const struct json_node *node, const char *literal,
                                      enum attribute attribute, enum attribute otherwise)
{
    return memcmp(node->name, literal, strlen(literal)) == 0 ? attribute : otherwise;
}

static enum attribute attribute_of(const struct json_node *node)
{
    const enum attribute none = ATTRIBUTE_COUNT;
    enum attribute other = none;

    switch (node->name_length) {
    case 2:
        return if_named(node, "id", ATTRIBUTE_ID, none);
    case 4:
        other = if_named(node, "time", ATTRIBUTE_TIME, none);
        return if_named(node, "type", ATTRIBUTE_TYPE, other);
    case 6:
        return if_named(node, "source", ATTRIBUTE_SOURCE, none);
    case 7:
        other = if_named(node, "dataref", ATTRIBUTE_DATAREF, none);
        return if_named(node, "subject", ATTRIBUTE_SUBJECT, other);
    case 8:
        return if_named(node, "sequence", ATTRIBUTE_SEQUENCE, none);
    case 10:
        return if_named(node, "dataschema", ATTRIBUTE_DATASCHEMA, none);
    case 11:
        other = if_named(node, "sampledrate", ATTRIBUTE_SAMPLEDRATE, none);
        return if_named(node, "specversion", ATTRIBUTE_SPECVERSION, other);
    case 12:
        return if_named(node, "subscription", ATTRIBUTE_SUBSCRIPTION, none);
    case 15:
        return if_named(node, "datacontenttype", ATTRIBUTE_DATACONTENTTYPE, none);
    default:
        return none;
    }
}

static void take_other(struct reading *reading, uint32_t index, struct text name)
{
    if (text_is(name, "data")) {
        reading->members.data = index;
        return;
    }
    if (text_is(name, "data_base64")) {
        reading->members.base64 = index;
        return;
    }
    reading->has_others = true;
    if (!is_attribute_name(name))
        refuse(reading->refusal, arena_of(reading), REFUSAL_INVALID_ATTRIBUTE,
               pointer_to(reading, index),
               "an attribute's name has lower-case letters and digits alone: rename it");
    else
        check_extension(reading, index);
}

/* Each is a node by its name and kind, so an event of the same shape has them where the last one
 * did. */
static bool recall_members(struct reading *reading)
{
    const struct json_document *document = reading->document;

    if (!document->is_as_shape || !document->shape->has_places)
        return false;
    memcpy(&reading->members, document->shape->places, sizeof(reading->members));
    return true;
}

/* Any other member is refused, or looked at by its value: with one, nothing is remembered. */
static void remember_members(const struct reading *reading)
{
    struct json_shape *shape = reading->document->shape;

    if (!reading->document->is_as_shape || reading->has_others)
        return;
    memcpy(shape->places, &reading->members, sizeof(reading->members));
    shape->has_places = true;
}

static void take_members(struct reading *reading)
{
    uint32_t end = json_after(reading->document, 0);

    for (enum attribute a = 0; a < ATTRIBUTE_COUNT; a++)
        reading->members.attributes[a] = JSON_NONE;
    reading->members.data = reading->members.base64 = JSON_NONE;
    for (uint32_t i = 1; i < end; i = json_after(reading->document, i)) {
        const struct json_node *node = json_at(reading->document, i);
        enum attribute attribute = attribute_of(node);
        bool is_null = node->kind == NODE_NULL;

        if (attribute == ATTRIBUTE_COUNT)
            take_other(reading, i, json_name(node));
        else if (!is_null)
            reading->members.attributes[attribute] = i;
    }
}

/* --- attributes --- */

static void refuse_attribute(struct reading *reading, enum attribute attribute,
                             enum refusal_code code, const char *why)
{
    refuse(reading->refusal, arena_of(reading), code, text_of(rules[attribute].pointer), "%s %s",
           name_of(attribute), why);
}

static struct text refuse_length(struct reading *reading, enum attribute attribute, size_t length)
{
    const struct rule *rule = &rules[attribute];

    if (length == 0)
        refuse_attribute(reading, attribute, REFUSAL_INVALID_ATTRIBUTE,
                         "is empty: send a value, or leave it out where it is optional");
    else
        refuse(reading->refusal, arena_of(reading), REFUSAL_TOO_LONG, text_of(rule->pointer),
               "%s has %zu bytes and may have %zu: shorten it", name_of(attribute), length,
               rule->bytes_max);
    return text_of(NULL);
}

static struct text refuse_kind(struct reading *reading, enum attribute attribute)
{
    refuse_attribute(reading, attribute, REFUSAL_INVALID_ATTRIBUTE,
                     "isn't a string: send it as one");
    return text_of(NULL);
}

static struct text miss_string(struct reading *reading, enum attribute attribute)
{
    const struct rule *rule = &rules[attribute];

    if (rule->missing)
        refuse(reading->refusal, arena_of(reading), REFUSAL_MISSING_ATTRIBUTE,
               text_of(rule->pointer), "%s is missing: %s", name_of(attribute), rule->missing);
    return text_of(NULL);
}

/* The attribute's text when it is one of the allowed length; absent when it isn't there or refused.
 */
static inline struct text checked(struct reading *reading, enum attribute attribute,
                                  struct text text)
{
    if (text_is_absent(text))
        return miss_string(reading, attribute);
    if (text.length == 0 || text.length > rules[attribute].bytes_max)
        return refuse_length(reading, attribute, text.length);
    return text;
}

static inline struct text string_of(struct reading *reading, enum attribute attribute)
{
    uint32_t index = reading->members.attributes[attribute];
    const struct json_node *node;

    if (index == JSON_NONE)
        return miss_string(reading, attribute);
    node = json_at(reading->document, index);
    if (node->kind != NODE_STRING)
        return refuse_kind(reading, attribute);
    return checked(reading, attribute, text_from(node->is.at, node->length));
}

static void read_specversion(struct reading *reading)
{
    struct text text = string_of(reading, ATTRIBUTE_SPECVERSION);

    if (!text_is_absent(text) && !text_is(text, "1.0"))
        refuse_attribute(reading, ATTRIBUTE_SPECVERSION, REFUSAL_INVALID_ATTRIBUTE,
                         "isn't \"1.0\": send CloudEvents 1.0");
}

/* Whether it is the last one of the events so far that was well-formed. */
static bool is_known_source(const struct json_shape *shape, struct text text)
{
    return shape && text.length == shape->source_length &&
           memcmp(text.at, shape->source, text.length) == 0;
}

static void remember_source(struct json_shape *shape, struct text text)
{
    if (!shape || text.length > sizeof(shape->source))
        return;
    memcpy(shape->source, text.at, text.length);
    shape->source_length = (uint32_t)text.length;
}

static void check_source(struct reading *reading, struct text text)
{
    struct json_shape *shape = reading->document ? reading->document->shape : NULL;

    if (text_is_absent(text) || is_known_source(shape, text))
        return;
    if (uri_is_reference(text))
        remember_source(shape, text);
    else
        refuse_attribute(reading, ATTRIBUTE_SOURCE, REFUSAL_INVALID_ATTRIBUTE,
                         "isn't a URI reference: percent-encode what a URI can't hold");
}

static void read_time(struct reading *reading)
{
    struct text text = string_of(reading, ATTRIBUTE_TIME);

    reading->event->time_is_absent = reading->members.attributes[ATTRIBUTE_TIME] == JSON_NONE;
    if (!text_is_absent(text) && instant_parse(text, &reading->event->time))
        refuse_attribute(reading, ATTRIBUTE_TIME, REFUSAL_INVALID_ATTRIBUTE,
                         "isn't an RFC 3339 time: send it like 2026-11-24T10:00:00Z");
}

static void read_dataschema(struct reading *reading)
{
    struct text text = string_of(reading, ATTRIBUTE_DATASCHEMA);

    if (!text_is_absent(text) && !uri_is_absolute(text))
        refuse_attribute(reading, ATTRIBUTE_DATASCHEMA, REFUSAL_INVALID_ATTRIBUTE,
                         "isn't a URI with a scheme: send one, or leave it out");
}

static void read_datacontenttype(struct reading *reading)
{
    struct text text = string_of(reading, ATTRIBUTE_DATACONTENTTYPE);
    struct media_type type;

    if (text_is_absent(text) || text_is(text, "application/json"))
        return;
    if (!media_type_parse(text, &type))
        refuse_attribute(reading, ATTRIBUTE_DATACONTENTTYPE, REFUSAL_INVALID_ATTRIBUTE,
                         "isn't a media type: send application/json or leave it out");
    else if (!media_type_is(&type, "application/json") || !media_type_is_utf8(&type))
        refuse_attribute(reading, ATTRIBUTE_DATACONTENTTYPE, REFUSAL_UNSUPPORTED_CONTENT,
                         "isn't application/json in UTF-8: usage is read from JSON alone");
}

/* Decimal digits, up to 2^64 - 1; zeros may lead. */
static bool read_number(struct text text, uint64_t *number)
{
    uint64_t value = 0;

    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] < '0' || text.at[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.at[i] - '0'), &value))
            return false;
    *number = value;
    return text.length > 0;
}

static void read_sequence(struct reading *reading)
{
    uint32_t index = reading->members.attributes[ATTRIBUTE_SEQUENCE];
    const struct json_node *node;

    if (index == JSON_NONE)
        return;
    check_extension(reading, index);
    node = json_at(reading->document, index);
    reading->event->has_sequence = (node->kind == NODE_STRING || node->kind == NODE_NUMBER) &&
                                   read_number(json_text(node), &reading->event->sequence);
    reading->event->sequence_is_faulty = !reading->event->has_sequence;
}

static void read_unsupported(struct reading *reading)
{
    uint32_t rate = reading->members.attributes[ATTRIBUTE_SAMPLEDRATE];

    if (rate != JSON_NONE) {
        const struct json_node *node = json_at(reading->document, rate);
        bool is_text = node->kind == NODE_STRING || node->kind == NODE_NUMBER;
        if (!is_text || !text_is(json_text(node), "1"))
            refuse_attribute(reading, ATTRIBUTE_SAMPLEDRATE, REFUSAL_UNSUPPORTED_ATTRIBUTE,
                             "other than 1 isn't taken: send every event, usage is billed exactly");
    }
    if (reading->members.attributes[ATTRIBUTE_DATAREF] != JSON_NONE)
        refuse_attribute(reading, ATTRIBUTE_DATAREF, REFUSAL_UNSUPPORTED_ATTRIBUTE,
                         "isn't followed: send the data inside the event");
}

/* --- data --- */

static enum refusal_code code_of(int outcome)
{
    switch (outcome) {
    case JSON_TOO_DEEP:
        return REFUSAL_TOO_DEEP;
    case JSON_NAME_TWICE:
        return REFUSAL_DUPLICATE_KEY;
    case JSON_BAD_STRING:
        return REFUSAL_INVALID_STRING;
    case JSON_TOO_LONG:
        return REFUSAL_TOO_LONG;
    default:
        return REFUSAL_INVALID_DATA;
    }
}

void cloudevents_scan_data(struct json_document *document, struct text text, const char *source,
                           struct refusal *refusal)
{
    struct json_place place = {.parent = 0, .name = text_of("data")};
    struct json_error error;
    int r = json_scan_whole(document, text, &place, 2, &error);

    if (r == 0)
        json_close(document, 0);
    else if (r == JSON_BROKEN)
        refuse(refusal, document->strings, REFUSAL_INVALID_DATA, text_of(source),
               "the data isn't JSON, %s at byte %zu: send a JSON value", error.what, error.offset);
    else
        refuse(refusal, document->strings, code_of(r), error.pointer,
               "%s, at byte %zu of the data: correct it", error.what, error.offset);
}

static void decode_data(struct reading *reading)
{
    struct json_document *document = reading->document;
    const struct json_node *node = json_at(document, reading->members.base64);
    uint32_t index = document->count;
    char *bytes = NULL;
    size_t length = 0;

    if (node->kind == NODE_STRING)
        bytes = arena_take(document->strings, base64_room(json_text(node)) + 1);
    if (!bytes || !base64_decode(json_text(node), bytes, &length)) {
        refuse(reading->refusal, arena_of(reading), REFUSAL_INVALID_DATA, text_of("/data_base64"),
               "data_base64 isn't a string of padded base64: encode it so, or send data");
        return;
    }
    cloudevents_scan_data(document, text_from(bytes, length), "/data_base64", reading->refusal);
    reading->members.data = index;
}

static void read_data(struct reading *reading)
{
    const struct json_document *document = reading->document;

    if (reading->members.base64 != JSON_NONE &&
        json_at(document, reading->members.base64)->kind == NODE_NULL)
        reading->members.base64 = JSON_NONE;
    if (reading->members.base64 != JSON_NONE && reading->members.data != JSON_NONE)
        refuse(reading->refusal, arena_of(reading), REFUSAL_INVALID_DATA, text_of("/data_base64"),
               "data and data_base64 exclude each other: send one of them");
    else if (reading->members.base64 != JSON_NONE)
        decode_data(reading);
    reading->event->data = reading->members.data;
    if (document->is_as_shape && reading->members.base64 == JSON_NONE)
        reading->event->shape = document->shape->number;
}

static void read_attributes(struct reading *reading)
{
    read_specversion(reading);
    reading->event->id = string_of(reading, ATTRIBUTE_ID);
    reading->event->source = string_of(reading, ATTRIBUTE_SOURCE);
    check_source(reading, reading->event->source);
    reading->event->type = string_of(reading, ATTRIBUTE_TYPE);
    reading->event->subject = string_of(reading, ATTRIBUTE_SUBJECT);
    read_time(reading);
    reading->event->subscription = string_of(reading, ATTRIBUTE_SUBSCRIPTION);
    read_datacontenttype(reading);
    read_dataschema(reading);
    read_sequence(reading);
    read_unsupported(reading);
}

int cloudevents_read(struct json_document *document, struct event *event, struct refusal *refusal)
{
    struct reading reading = {
        .document = document,
        .arena = document->strings,
        .event = event,
        .refusal = refusal,
    };

    if (json_at(document, 0)->kind != NODE_OBJECT) {
        refuse(refusal, document->strings, REFUSAL_INVALID_EVENT, text_of(""),
               "an event is a JSON object: send one");
        return EVENT_REFUSED;
    }
    *event = (struct event){.document = document};
    if (!recall_members(&reading)) {
        take_members(&reading);
        remember_members(&reading);
    }
    read_attributes(&reading);
    read_data(&reading);
    return refusal->code == REFUSAL_NONE ? 0 : EVENT_REFUSED;
}

static bool has_room(struct text text, enum attribute attribute)
{
    return text.length > 0 && text.length <= rules[attribute].bytes_max;
}

/* Whether nothing is wrong with its type and source, as with nearly all. */
static bool names_pass(const struct gateway_event *event, const struct event_form *form)
{
    return event->naming == form->naming ||
           (has_room(event->type, ATTRIBUTE_TYPE) && text_is_same(event->source, form->source));
}

static bool passes(const struct gateway_event *event, const struct event_form *form)
{
    return has_room(event->id, ATTRIBUTE_ID) && names_pass(event, form) &&
           (text_is_absent(event->subject) || has_room(event->subject, ATTRIBUTE_SUBJECT)) &&
           (text_is_absent(event->subscription) ||
            has_room(event->subscription, ATTRIBUTE_SUBSCRIPTION));
}

int cloudevents_check(const struct gateway_event *event, const struct event_form *form,
                      struct refusal *refusal)
{
    struct reading reading;

    if (passes(event, form))
        return 0;
    reading = (struct reading){.arena = form->arena, .refusal = refusal};
    checked(&reading, ATTRIBUTE_ID, event->id);
    check_source(&reading, checked(&reading, ATTRIBUTE_SOURCE, event->source));
    checked(&reading, ATTRIBUTE_TYPE, event->type);
    checked(&reading, ATTRIBUTE_SUBJECT, event->subject);
    checked(&reading, ATTRIBUTE_SUBSCRIPTION, event->subscription);
    return refusal->code == REFUSAL_NONE ? 0 : EVENT_REFUSED;
}
