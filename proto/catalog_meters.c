/*
 * catalog_meters.c - the meters, by slug and by event type.
 *
 * A meter and its texts are one allocation: no text of a record is longer than its JSON, and a path
 * needs its length twice (as written, and its quoted steps).
 */
#include "proto/catalog_parts.h"
#include "proto/usage_series.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A meter, and behind it its texts. */
struct meter_room {
    struct catalog_meter meter;
    size_t used;
    char texts[];
};

static struct text type_name_of(const void *owner, uint32_t number)
{
    return text_of(((const struct catalog_meters *)owner)->types[number]->name);
}

void catalog_meters_init(struct catalog_meters *meters)
{
    *meters = (struct catalog_meters){0};
    catalog_map_init(&meters->by_type, type_name_of, meters);
}

void catalog_meters_deinit(struct catalog_meters *meters)
{
    for (size_t i = 0; i < meters->count; i++)
        free(meters->all[i]);
    for (size_t i = 0; i < meters->type_count; i++) {
        free(meters->types[i]->name);
        free(meters->types[i]);
    }
    free(meters->types);
    catalog_map_deinit(&meters->by_type);
}

/* --- reading a record --- */

static struct text keep(struct meter_room *room, struct text text)
{
    char *at = room->texts + room->used;

    if (text_is_absent(text))
        return text;
    memcpy(at, text.at, text.length);
    room->used += text.length;
    return text_from(at, text.length);
}

static const char *read_path(struct meter_room *room, struct text spelling,
                             struct catalog_path *path)
{
    struct text kept = keep(room, spelling);
    char *scratch = room->texts + room->used;

    room->used += kept.length;
    return catalog_path_parse(kept, scratch, path) ? NULL : "a path that can't be read";
}

static const char *read_value(const json_t *record, struct meter_room *room)
{
    struct text spelling;
    const char *why = catalog_read_optional(record, "valueProperty", SIZE_MAX, &spelling);

    if (why)
        return why;
    if (room->meter.aggregation == AGGREGATION_COUNT)
        return text_is_absent(spelling) ? NULL : "a COUNT with a valueProperty";
    if (text_is_absent(spelling))
        return "a meter without valueProperty";
    return read_path(room, spelling, &room->meter.value);
}

static int compare_dimensions(const void *a, const void *b)
{
    const struct catalog_dimension *left = a, *right = b;

    return text_compare(left->name, right->name);
}

static const char *read_dimensions(const json_t *record, struct meter_room *room)
{
    json_t *dimensions = json_object_get(record, "groupBy"), *path;
    struct catalog_meter *meter = &room->meter;
    const char *name;

    if (!dimensions || json_is_null(dimensions))
        return NULL;
    if (!json_is_object(dimensions) || json_object_size(dimensions) > USAGE_DIMENSIONS_MAX)
        return "a groupBy that isn't an object of at most 8";
    json_object_foreach(dimensions, name, path)
    {
        struct catalog_dimension *dimension = &meter->dimensions[meter->dimension_count++];
        struct text spelling;
        const char *why = catalog_read_text(dimensions, name, SIZE_MAX, &spelling);

        if (!why && (strlen(name) == 0 || strlen(name) > USAGE_NAME_MAX))
            why = "a dimension whose name is empty or too long";
        dimension->name = keep(room, text_of(name));
        if (!why)
            why = read_path(room, spelling, &dimension->path);
        if (why)
            return why;
    }
    qsort(meter->dimensions, meter->dimension_count, sizeof(meter->dimensions[0]),
          compare_dimensions);
    return NULL;
}

static const char *read_names(const json_t *record, struct meter_room *room)
{
    struct text slug, type, aggregation;
    const char *why = catalog_read_text(record, "slug", CATALOG_KEY_MAX, &slug);

    if (!why)
        why = catalog_read_optional(record, "eventType", USAGE_TEXT_MAX, &type);
    if (!why)
        why = catalog_read_text(record, "aggregation", CATALOG_KEY_MAX, &aggregation);
    if (why)
        return why;
    if (!aggregation_from(aggregation, &room->meter.aggregation))
        return "an unknown aggregation";
    room->meter.slug = keep(room, slug);
    room->meter.event_type = text_is_absent(type) ? room->meter.slug : keep(room, type);
    return NULL;
}

static size_t size_of_series(const struct catalog_meter *meter)
{
    const struct text none = {NULL, 0};
    size_t size = usage_series_size(none, meter->slug, none);

    for (size_t i = 0; i < meter->dimension_count; i++)
        size += usage_text_size(meter->dimensions[i].name) + usage_text_size(none);
    return size;
}

static const char *read_record(const json_t *record, struct meter_room *room)
{
    const char *why = read_names(record, room);

    if (!why)
        why = read_value(record, room);
    if (!why)
        why = read_dimensions(record, room);
    if (!why)
        why =
            catalog_read_time(record, "eventFrom", (struct instant){INT64_MIN}, &room->meter.from);
    if (!why)
        room->meter.series_size = size_of_series(&room->meter);
    return why;
}

/* --- taking it in --- */

static struct catalog_type *type_of(const struct catalog_meters *meters, struct text name)
{
    uint32_t number = catalog_map_find(&meters->by_type, name);

    return number == CATALOG_MAP_NONE ? NULL : meters->types[number];
}

static struct catalog_type *make_type(struct catalog_meters *meters, struct text name)
{
    struct catalog_type *type = calloc(1, sizeof(*type));

    meters->types =
        reallocarray(meters->types, meters->type_count + 1, sizeof(struct catalog_type *));
    if (!type || !meters->types)
        abort();
    type->name = text_copy(name);
    meters->types[meters->type_count] = type;
    catalog_map_put(&meters->by_type, name, (uint32_t)meters->type_count);
    meters->type_count++;
    return type;
}

static void join_type(struct catalog_meters *meters, struct catalog_meter *meter)
{
    struct catalog_type *type = type_of(meters, meter->event_type);
    size_t at;

    if (!type)
        type = make_type(meters, meter->event_type);
    assert(type->count < USAGE_METERS_MAX);
    for (at = type->count++; at > 0; at--) {
        if (text_compare(type->meters[at - 1]->slug, meter->slug) < 0)
            break;
        type->meters[at] = type->meters[at - 1];
    }
    type->meters[at] = meter;
}

static void leave_type(struct catalog_meters *meters, const struct catalog_meter *meter)
{
    struct catalog_type *type = type_of(meters, meter->event_type);
    size_t at = 0;

    while (type->meters[at] != meter)
        at++;
    type->count--;
    for (; at < type->count; at++)
        type->meters[at] = type->meters[at + 1];
}

static size_t place_of(const struct catalog_meters *meters, struct text slug)
{
    size_t at = 0;

    while (at < meters->count && !text_equal(meters->all[at]->slug, slug))
        at++;
    return at;
}

static const char *check_limits(const struct catalog_meters *meters,
                                const struct catalog_meter *meter,
                                const struct catalog_meter *before)
{
    const struct catalog_type *type = type_of(meters, meter->event_type);
    bool is_there = before && text_equal(before->event_type, meter->event_type);

    if (!before && meters->count == CATALOG_METERS_MAX)
        return "more than 1000 meters";
    if (type && type->count == USAGE_METERS_MAX && !is_there)
        return "more than 64 meters of one event type";
    return NULL;
}

const char *catalog_meters_take(struct catalog_meters *meters, struct text slug,
                                const json_t *record, size_t record_size)
{
    struct meter_room *room = calloc(1, sizeof(*room) + 2 * record_size);
    size_t at = place_of(meters, slug);
    struct catalog_meter *before = at < meters->count ? meters->all[at] : NULL;
    const char *why;

    if (!room)
        abort();
    why = read_record(record, room);
    if (!why && !text_equal(room->meter.slug, slug))
        why = "a meter under another's key";
    if (!why)
        why = check_limits(meters, &room->meter, before);
    if (why) {
        free(room);
        return why;
    }
    if (before)
        leave_type(meters, before);
    free(before);
    meters->all[at] = &room->meter;
    meters->count += before ? 0 : 1;
    join_type(meters, &room->meter);
    return NULL;
}

void catalog_meters_remove(struct catalog_meters *meters, struct text slug)
{
    size_t at = place_of(meters, slug);
    struct catalog_meter *meter;

    if (at == meters->count)
        return;
    meter = meters->all[at];
    leave_type(meters, meter);
    meters->all[at] = meters->all[--meters->count];
    free(meter);
}

/* --- finding --- */

const struct catalog_meter *catalog_meters_find(const struct catalog_meters *meters,
                                                struct text slug)
{
    size_t at = place_of(meters, slug);

    return at < meters->count ? meters->all[at] : NULL;
}

const struct catalog_meter *catalog_meter(const struct catalog *catalog, struct text slug)
{
    return catalog_meters_find(&catalog->meters, slug);
}

const struct catalog_meter *const *catalog_meters_of(const struct catalog *catalog,
                                                     struct text event_type, size_t *count)
{
    const struct catalog_type *type = type_of(&catalog->meters, event_type);

    *count = type ? type->count : 0;
    return *count ? (const struct catalog_meter *const *)type->meters : NULL;
}
