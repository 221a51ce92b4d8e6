/*
 * load_event.c - writes events, and breaks them.
 */
#include "bench/load_event.h"

#include "proto/gateway_batch.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { NUMBERS_MAX = GATEWAY_PROPERTIES_MAX, NUMBER_ROOM = 32, ID_ROOM = 64 };

/* What an event is made of, before it is JSON. */
struct draft {
    struct gateway_event event;
    struct gateway_value properties[GATEWAY_PROPERTIES_MAX];
    struct gateway_shape shape;
    char numbers[NUMBERS_MAX][NUMBER_ROOM];
    char id[ID_ROOM];
    char time[INSTANT_TEXT_MAX + 8];
};

uint64_t load_random(uint64_t *state, uint64_t below)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    assert(below > 0);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

/* The values of dimensions that gateways usually have; any other gets one of "v1" to "v4". */
struct choice {
    const char *name;
    const char *values[6];
};

static const struct choice choices[] = {
    {"method", {"GET", "GET", "GET", "POST", "PUT", "DELETE"}},
    {"status", {"200", "200", "200", "201", "404", "500"}},
    {"region", {"eu-west", "us-east", "us-east", "ap-south", "eu-west", "sa-east"}},
    {"route", {"/v1/items", "/v1/items", "/v1/search", "/v1/orders", "/v1/users", "/v2/items"}},
    {"model", {"small", "small", "small", "medium", "large", "large"}},
    {"", {"v1", "v1", "v2", "v2", "v3", "v4"}},
};

static const char *value_of(struct text dimension, uint64_t *random)
{
    size_t i = 0;

    while (*choices[i].name && !text_is(dimension, choices[i].name))
        i++;
    return choices[i].values[load_random(random, 6)];
}

static uint64_t size_by_name(struct text name, uint64_t *random)
{
    uint64_t rough = load_random(random, 1000) + 1;

    if (text_is(name, "total") || text_is(name, "count") || text_is(name, "requests"))
        return 1;
    if (text_is(name, "bytes"))
        return 200 + rough * rough / 20;
    return rough * 4;
}

static void draft_number(struct text name, uint64_t *random, struct gateway_value *drafted)
{
    uint64_t whole = size_by_name(name, random);

    drafted->kind = GATEWAY_DECIMAL;
    drafted->is.mantissa = (int128)whole;
    if (whole > 1 && load_random(random, 4) == 0) {
        drafted->scale = 3;
        drafted->is.mantissa = (int128)whole * 1000 + (int128)load_random(random, 1000);
    }
}

/* As a text that spells it. */
static void turn_into_string(struct gateway_value *number, char *room)
{
    uint64_t mantissa = (uint64_t)number->is.mantissa;
    int length;

    if (number->scale == 3)
        length = snprintf(room, NUMBER_ROOM, "%llu.%03u", (unsigned long long)(mantissa / 1000),
                          (unsigned)(mantissa % 1000));
    else
        length = snprintf(room, NUMBER_ROOM, "%llu", (unsigned long long)mantissa);
    number->kind = GATEWAY_STRING;
    number->is.text = text_from(room, (size_t)length);
}

static void draft_property(const struct load_property *property, uint64_t *random, char *room,
                           struct gateway_value *drafted)
{
    int length;

    *drafted = (struct gateway_value){.kind = GATEWAY_STRING};
    if (property->role == LOAD_DIMENSION) {
        drafted->is.text = text_of(value_of(property->name, random));
    } else if (property->role == LOAD_TEXT) {
        length = snprintf(room, NUMBER_ROOM, "user-%04u", (unsigned)load_random(random, 2000));
        drafted->is.text = text_from(room, (size_t)length);
    } else {
        draft_number(property->name, random, drafted);
        if (load_random(random, 32) == 0) /* a number may come as a string, too */
            turn_into_string(drafted, room);
    }
}

/* Most clocks write UTC; one in sixteen is two hours east. */
static void draft_time(struct instant time, uint64_t *random, char room[INSTANT_TEXT_MAX + 8])
{
    size_t length;

    if (load_random(random, 16) > 0) {
        instant_format(time, room);
        return;
    }
    time.ns += 7200 * (int64_t)1000000000;
    length = instant_format(time, room);
    memcpy(room + length - 1, "+02:00", sizeof("+02:00"));
}

static void draft_whom(const struct load_subject *subject, uint64_t *random,
                       struct gateway_event *event)
{
    bool by_id = subject->by_id || text_is_absent(subject->subscription->subject);

    if (!by_id && load_random(random, 2) == 0) {
        event->subject = subject->subscription->subject;
        return;
    }
    event->subscription = subject->subscription->id;
    if (load_random(random, 4) == 0)
        event->subject = text_of(load_random(random, 2) ? "web" : "mobile");
}

static void draft(const struct load_subject *subject, uint64_t *random, struct draft *drafted)
{
    static const char *const sources[] = {"gateway/eu/1", "gateway/eu/2", "gateway/us/1"};
    const struct load_subscription *subscription = subject->subscription;
    const struct load_type *type =
        &subject->catalog
             ->types[subscription->types[load_random(random, subscription->type_count)]];
    size_t count = type->property_count < GATEWAY_PROPERTIES_MAX ? type->property_count
                                                                 : GATEWAY_PROPERTIES_MAX;

    snprintf(drafted->id, ID_ROOM, "evt-%llu-%08llu", (unsigned long long)subject->seed,
             (unsigned long long)subject->number);
    drafted->event = (struct gateway_event){
        .id = text_of(drafted->id),
        .type = type->name,
        .source = text_of(sources[load_random(random, ARRAY_LEN(sources))]),
        .properties = drafted->properties,
        .property_count = (uint32_t)count,
        .shape = &drafted->shape,
    };
    for (size_t i = 0; i < count; i++) {
        drafted->shape.paths[i] = &type->properties[i].path;
        drafted->shape.sorted[i] = (uint8_t)i;
        draft_property(&type->properties[i], random, drafted->numbers[i], &drafted->properties[i]);
    }
    draft_time(subject->time, random, drafted->time);
    draft_whom(subject, random, &drafted->event);
}

/* The draft as JSON; its time, spelled as it is, is put in first. */
static void write_draft(const struct draft *drafted, struct buffer *json)
{
    CLEANUP(buffer_deinit) struct buffer event = {0};

    gateway_event_json(&drafted->event, &event);
    buffer_printf(json, "{\"time\":\"%s\",", drafted->time);
    buffer_add(json, event.at + 1, event.length - 1);
}

void load_event_write(const struct load_subject *subject, uint64_t *random, struct buffer *json)
{
    struct draft drafted;

    draft(subject, random, &drafted);
    write_draft(&drafted, json);
}

/* --- breaking --- */

static struct gateway_value *number_of(struct draft *drafted, const struct load_type *types,
                                       size_t type_count)
{
    for (size_t t = 0; t < type_count; t++) {
        if (!text_equal(types[t].name, drafted->event.type))
            continue;
        for (size_t i = 0; i < drafted->event.property_count; i++) {
            if (types[t].properties[i].role == LOAD_NUMBER)
                return &drafted->properties[i];
        }
    }
    return NULL;
}

static const char *break_number(struct gateway_value *number, uint64_t *random)
{
    static const struct {
        struct gateway_value value;
        const char *code;
    } ways[] = {
        {{.kind = GATEWAY_DECIMAL, .is.mantissa = -5}, "negative_value"},
        {{.kind = GATEWAY_DECIMAL, .scale = 13, .is.mantissa = 1}, "value_too_precise"},
        {{.kind = GATEWAY_DECIMAL, .is.mantissa = 1000000000000000}, "value_too_large"},
        {{.kind = GATEWAY_STRING, .is.text = {"many", 4}}, "invalid_value"},
        {{.kind = GATEWAY_TRUE}, "invalid_value"},
        {{.kind = GATEWAY_NULL}, "missing_value"},
    };
    size_t way = load_random(random, ARRAY_LEN(ways));

    *number = ways[way].value;
    return ways[way].code;
}

static const char *break_attribute(const struct load_subscription *subscription,
                                   struct draft *drafted, uint64_t *random)
{
    uint64_t way = load_random(random, 6);

    /* Far in the future a subscription that ends is refused for another reason. */
    if (way == 4 && subscription->to.ns != INT64_MAX)
        way = 0;
    switch (way) {
    case 0:
        drafted->event.id = (struct text){NULL, 0};
        return "missing_attribute";
    case 1:
        drafted->event.source = text_of("");
        return "invalid_attribute";
    case 2:
        drafted->event.type = text_of("no.such.meter");
        return "unknown_type";
    case 3:
        drafted->event.subscription = text_of("00000000000000000000000000");
        return "unknown_subscription";
    case 4:
        memcpy(drafted->time, "2999", 4);
        return "time_in_future";
    default:
        memcpy(drafted->time, "soon", 4);
        return "invalid_attribute";
    }
}

static void cut_short(struct buffer *json)
{
    json->length /= 2;
}

const char *load_event_break(const struct load_subject *subject, uint64_t *random, bool is_ndjson,
                             struct buffer *json, bool *is_raw)
{
    struct draft drafted;
    struct gateway_value *number;
    const char *code;

    draft(subject, random, &drafted);
    number = number_of(&drafted, subject->catalog->types, subject->catalog->type_count);
    buffer_clear(json);
    if (is_ndjson && load_random(random, 8) == 0) {
        write_draft(&drafted, json);
        cut_short(json);
        *is_raw = true;
        return "invalid_json";
    }
    if (number && load_random(random, 2) == 0)
        code = break_number(number, random);
    else
        code = break_attribute(subject->subscription, &drafted, random);
    write_draft(&drafted, json);
    return code;
}
