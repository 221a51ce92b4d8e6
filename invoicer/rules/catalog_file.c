/*
 * A file is read in this order: its JSON, its members, the key of every object (so that each may
 * refer to each, whatever the order), then meters, features, plans, customers, subscriptions,
 * configuration.
 */
#include "invoicer/rules/catalog_check.h"

#include <string.h>

enum section { METERS, FEATURES, PLANS, CUSTOMERS, SUBSCRIPTIONS, SECTIONS };

typedef void check_object(struct catalog_check *check, const struct pointer *where, json_t *object);

static const struct {
    const char *name, *key;
    check_object *check;
} sections[SECTIONS] = {
    [METERS] = {"meters", "slug", catalog_check_meter},
    [FEATURES] = {"features", "key", catalog_check_feature},
    [PLANS] = {"plans", "key", catalog_check_plan},
    [CUSTOMERS] = {"customers", "key", catalog_check_customer},
    [SUBSCRIPTIONS] = {"subscriptions", "id", catalog_check_subscription},
};

static const struct member file_members[] = {
    {"configuration", SHAPE_OBJECT, false}, {"meters", SHAPE_ARRAY, false},
    {"features", SHAPE_ARRAY, false},       {"plans", SHAPE_ARRAY, false},
    {"customers", SHAPE_ARRAY, false},      {"subscriptions", SHAPE_ARRAY, false},
};

static json_t *parse(struct text file, struct issues *issues)
{
    struct pointer root = pointer_root();
    json_error_t error;
    json_t *value;

    if (file.length > CATALOG_FILE_BYTES_MAX) {
        issue_add(issues, &root, "file_too_large", "has more than %d MiB",
                  CATALOG_FILE_BYTES_MAX / (1024 * 1024));
        return NULL;
    }
    value = json_loadb(file.at ? file.at : "", file.length, JSON_REJECT_DUPLICATES, &error);
    if (!value)
        issue_add(issues, &root,
                  json_error_code(&error) == json_error_duplicate_key ? "duplicate_key"
                                                                      : "invalid_json",
                  "line %d, column %d: %s", error.line, error.column, error.text);
    return value;
}

/* Notes an object under its key; one that stands there already is an issue. */
static void index_object(struct catalog_check *check, json_t *index, const struct pointer *where,
                         json_t *object, const char *member)
{
    const char *key = shape_string(object, member);
    struct pointer place = pointer_member(where, member);

    if (!key)
        return;
    if (json_object_get(index, key))
        issue_add(check->issues, &place, "duplicated_key", "%s %s stands in this file twice",
                  member, key);
    else
        json_object_set(index, key, object);
}

static json_t **index_of(struct catalog_check *check, enum section section)
{
    json_t **indexes[SECTIONS] = {&check->meters, &check->features, &check->plans,
                                  &check->customers, &check->subscriptions};

    return indexes[section];
}

static void each_object(struct catalog_check *check, json_t *file, enum section section,
                        bool only_index)
{
    struct pointer root = pointer_root();
    struct pointer array = pointer_member(&root, sections[section].name);
    json_t *object;
    size_t i;

    json_array_foreach(json_object_get(file, sections[section].name), i, object)
    {
        struct pointer where = pointer_element(&array, i);

        if (only_index)
            index_object(check, *index_of(check, section), &where, object, sections[section].key);
        else
            sections[section].check(check, &where, object);
    }
}

static void check_file(struct catalog_check *check, json_t *file)
{
    struct pointer root = pointer_root();
    struct pointer where = pointer_member(&root, "configuration");

    for (enum section i = 0; i < SECTIONS; i++) {
        *index_of(check, i) = json_object();
        each_object(check, file, i, true);
    }
    check->consumers = json_object();
    check->configuration = json_object_get(file, "configuration");
    for (enum section i = 0; i < SECTIONS; i++)
        each_object(check, file, i, false);
    if (json_object_get(file, "configuration"))
        catalog_check_configuration(check, &where, json_object_get(file, "configuration"));
    for (enum section i = 0; i < SECTIONS; i++)
        json_decref(*index_of(check, i));
    json_decref(check->consumers);
    json_decref(check->held);
}

json_t *catalog_file_read(struct text file, const struct catalog_state *state,
                          struct issues *issues)
{
    struct catalog_check check = {.issues = issues, .state = state};
    struct pointer root = pointer_root();
    json_t *value = parse(file, issues);

    if (!value)
        return NULL;
    if (!shape_check(issues, &root, value, file_members, ARRAY_LEN(file_members))) {
        json_decref(value);
        return NULL;
    }
    check_file(&check, value);
    return value;
}

static json_t *find(const struct catalog_check *check, const json_t *index, const char *kind,
                    const char *key)
{
    json_t *found = key ? json_object_get(index, key) : NULL;

    return found ? found : catalog_state_find(check->state, kind, key);
}

json_t *catalog_check_find_meter(const struct catalog_check *check, const char *slug)
{
    return find(check, check->meters, "meter", slug);
}

json_t *catalog_check_find_feature(const struct catalog_check *check, const char *key)
{
    return find(check, check->features, "feature", key);
}

json_t *catalog_check_find_customer(const struct catalog_check *check, const char *key)
{
    return find(check, check->customers, "customer", key);
}

json_t *catalog_check_find_subscription(const struct catalog_check *check, const char *id)
{
    return find(check, check->subscriptions, "subscription", id);
}

json_t *catalog_check_find_plan(const struct catalog_check *check, const char *key)
{
    json_t *found = key ? json_object_get(check->plans, key) : NULL;

    if (found || !key)
        return found;
    return catalog_state_plan(check->state, key, catalog_state_version(check->state, key));
}
