/*
 * load_catalog.c - reads as much of a catalog file as traffic needs; the invoicer validates it.
 */
#include "bench/load_catalog.h"

#include "common/base/arena.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct load_catalog_memory {
    json_t *file;
    struct arena arena;
};

static void *take(struct load_catalog *catalog, size_t size)
{
    void *taken = arena_take(&catalog->memory->arena, size ? size : 1);

    if (!taken)
        abort();
    return taken;
}

static struct text text_member(const json_t *object, const char *name)
{
    return text_of(json_string_value(json_object_get(object, name)));
}

/* --- event types --- */

static int compare_properties(const void *a, const void *b)
{
    const struct catalog_path *left = &((const struct load_property *)a)->path;
    const struct catalog_path *right = &((const struct load_property *)b)->path;

    for (size_t i = 0; i < left->count && i < right->count; i++) {
        int order = text_compare(left->steps[i], right->steps[i]);

        if (order)
            return order;
    }
    return (left->count > right->count) - (left->count < right->count);
}

static void add_property(struct load_catalog *catalog, struct load_type *type, const char *spelling,
                         const char *name, enum load_role role)
{
    struct load_property property = {.role = role};
    char *scratch;

    if (!spelling)
        return;
    scratch = take(catalog, strlen(spelling));
    if (!catalog_path_parse(text_of(spelling), scratch, &property.path))
        return;
    property.name = name ? text_of(name) : property.path.steps[property.path.count - 1];
    for (size_t i = 0; i < type->property_count; i++) {
        if (compare_properties(&type->properties[i], &property) != 0)
            continue;
        /* A path that a meter takes a number from stays a number, whoever else reads it. */
        if (role == LOAD_NUMBER)
            type->properties[i].role = role;
        return;
    }
    type->properties[type->property_count++] = property;
}

static size_t type_of(struct load_catalog *catalog, struct text name)
{
    size_t i = 0;

    while (i < catalog->type_count && !text_equal(catalog->types[i].name, name))
        i++;
    if (i == catalog->type_count) {
        catalog->types[i] = (struct load_type){
            .name = name,
            .properties = take(catalog, USAGE_METERS_MAX * (USAGE_DIMENSIONS_MAX + 1) *
                                            sizeof(struct load_property)),
        };
        catalog->type_count++;
    }
    return i;
}

static struct text type_name(const json_t *meter)
{
    struct text name = text_member(meter, "eventType");

    return text_is_absent(name) ? text_member(meter, "slug") : name;
}

static void read_meters(struct load_catalog *catalog, json_t *meters)
{
    json_t *meter, *path;
    const char *name;
    size_t i;

    catalog->types = take(catalog, json_array_size(meters) * sizeof(*catalog->types));
    json_array_foreach(meters, i, meter)
    {
        struct load_type *type = &catalog->types[type_of(catalog, type_name(meter))];
        bool is_unique = text_is(text_member(meter, "aggregation"), "UNIQUE_COUNT");
        json_t *dimensions = json_object_get(meter, "groupBy");

        add_property(catalog, type, text_member(meter, "valueProperty").at, NULL,
                     is_unique ? LOAD_TEXT : LOAD_NUMBER);
        json_object_foreach(dimensions, name, path)
            add_property(catalog, type, json_string_value(path), name, LOAD_DIMENSION);
    }
    for (i = 0; i < catalog->type_count; i++)
        qsort(catalog->types[i].properties, catalog->types[i].property_count,
              sizeof(struct load_property), compare_properties);
}

/* --- subscriptions --- */

static const json_t *find(const json_t *array, const char *member, struct text value)
{
    const json_t *found = NULL, *object;
    size_t i;

    json_array_foreach(array, i, object)
    {
        if (text_equal(text_member(object, member), value))
            found = object;
    }
    return found;
}

static void add_type(struct load_catalog *catalog, struct load_subscription *subscription,
                     const json_t *meter)
{
    size_t type = type_of(catalog, type_name(meter));

    for (size_t i = 0; i < subscription->type_count; i++) {
        if (subscription->types[i] == type)
            return;
    }
    subscription->types[subscription->type_count++] = type;
}

static void add_card(struct load_catalog *catalog, struct load_subscription *subscription,
                     const json_t *card)
{
    const json_t *file = catalog->memory->file;
    struct text key = text_member(card, "featureKey");
    const json_t *feature = find(json_object_get(file, "features"), "key", key);
    const json_t *meter =
        find(json_object_get(file, "meters"), "slug", text_member(feature, "meterSlug"));

    if (!text_is_absent(key) && meter)
        add_type(catalog, subscription, meter);
}

/* The types of the plan's metered features; all types when it has none. */
static void add_types(struct load_catalog *catalog, struct load_subscription *subscription,
                      const json_t *plan)
{
    const json_t *phase, *card;
    size_t i, k;

    subscription->types = take(catalog, catalog->type_count * sizeof(size_t));
    json_array_foreach(json_object_get(plan, "phases"), i, phase)
    {
        json_array_foreach(json_object_get(phase, "rateCards"), k, card)
            add_card(catalog, subscription, card);
    }
    for (i = 0; subscription->type_count == 0 && i < catalog->type_count; i++)
        subscription->types[i] = i;
    if (subscription->type_count == 0)
        subscription->type_count = catalog->type_count;
}

static struct text subject_of(const json_t *subscriptions, const json_t *subscription)
{
    struct text name = text_member(json_object_get(subscription, "consumer"), "name");
    struct text customer = text_member(subscription, "customerKey");
    size_t i, count = 0;
    const json_t *other;

    if (!text_is_absent(name))
        return name;
    json_array_foreach(subscriptions, i, other) count +=
        text_equal(text_member(other, "customerKey"), customer);
    return count == 1 ? customer : (struct text){NULL, 0};
}

static struct instant time_member(const json_t *object, const char *name, int64_t usual)
{
    struct instant time = {usual};

    if (instant_parse(text_member(object, name), &time) != 0)
        time.ns = usual;
    return time;
}

static void read_subscriptions(struct load_catalog *catalog)
{
    const json_t *file = catalog->memory->file, *each;
    const json_t *all = json_object_get(file, "subscriptions");
    size_t i;

    catalog->subscriptions = take(catalog, json_array_size(all) * sizeof(*catalog->subscriptions));
    json_array_foreach(all, i, each)
    {
        struct load_subscription *subscription = &catalog->subscriptions[i];
        struct text plan = text_member(json_object_get(each, "plan"), "key");

        subscription->id = text_member(each, "id");
        subscription->subject = subject_of(all, each);
        subscription->from = time_member(each, "activeFrom", INT64_MIN);
        subscription->to = time_member(each, "activeTo", INT64_MAX);
        add_types(catalog, subscription, find(json_object_get(file, "plans"), "key", plan));
        catalog->subscription_count++;
    }
}

struct load_catalog *load_catalog_free(struct load_catalog *catalog)
{
    if (!catalog)
        return NULL;
    arena_deinit(&catalog->memory->arena);
    json_decref(catalog->memory->file);
    free(catalog->memory);
    free(catalog);
    return NULL;
}

struct load_catalog *load_catalog_read(const char *file)
{
    struct load_catalog *catalog = calloc(1, sizeof(*catalog));
    json_error_t error;

    if (!catalog)
        abort();
    catalog->memory = calloc(1, sizeof(*catalog->memory));
    if (!catalog->memory)
        abort();
    arena_init(&catalog->memory->arena, SIZE_MAX / 2);
    catalog->memory->file = json_load_file(file, JSON_REJECT_DUPLICATES, &error);
    if (!catalog->memory->file) {
        fprintf(stderr, "loadgen: %s:%d: %s\n", file, error.line, error.text);
        return load_catalog_free(catalog);
    }
    read_meters(catalog, json_object_get(catalog->memory->file, "meters"));
    if (catalog->type_count > 0)
        read_subscriptions(catalog);
    if (catalog->subscription_count > 0)
        return catalog;
    fprintf(stderr, "loadgen: %s has no meters or no subscriptions\n", file);
    return load_catalog_free(catalog);
}
