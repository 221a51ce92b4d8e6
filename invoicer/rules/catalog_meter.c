/*
 * Meters (metering.md 2, 5): the event type defaults to the slug, COUNT takes no valueProperty and
 * all others need one, paths are plain, at most 8 dimensions. What was counted one way can't be
 * counted another way under the same slug: aggregation and event type stay. Features: the key is
 * the meter's slug, or there is no meter.
 */
#include "invoicer/rules/catalog_check.h"

#include "proto/catalog.h"

#include <stdlib.h>
#include <string.h>

enum { DIMENSION_NAME_MAX = 64 };

static const struct member meter_members[] = {
    {"slug", SHAPE_KEY, true},
    {"name", SHAPE_NAME, false},
    {"description", SHAPE_DESCRIPTION, false},
    {"eventType", SHAPE_TEXT, false},
    {"aggregation", SHAPE_TEXT, true},
    {"valueProperty", SHAPE_TEXT, false},
    {"groupBy", SHAPE_OBJECT, false},
    {"eventFrom", SHAPE_INSTANT, false},
    {"metadata", SHAPE_MAP, false},
};

static const struct member feature_members[] = {
    {"key", SHAPE_KEY, true},
    {"name", SHAPE_NAME, true},
    {"meterSlug", SHAPE_KEY, false},
    {"metadata", SHAPE_MAP, false},
};

static bool path_is_valid(struct text path)
{
    struct catalog_path parsed;
    char *scratch = malloc(path.length + 1);
    bool is_valid;

    if (!scratch)
        abort();
    is_valid = catalog_path_parse(path, scratch, &parsed);
    free(scratch);
    return is_valid;
}

static bool dimension_name_is_valid(const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < length; i++) {
        char c = name[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_'))
            return false;
    }
    return length > 0 && length <= DIMENSION_NAME_MAX;
}

static void check_dimension(struct catalog_check *check, const struct pointer *where,
                            const char *name, json_t *path)
{
    if (!dimension_name_is_valid(name))
        issue_add(check->issues, where, "invalid_dimension_name",
                  "the dimension %s isn't 1 to 64 letters, digits and underscores", name);
    else if (strcmp(name, "subject") == 0 || strcmp(name, "subscription") == 0)
        issue_add(check->issues, where, "reserved_dimension_name",
                  "every meter has the dimension %s already", name);
    if (!json_is_string(path))
        issue_add(check->issues, where, "invalid_type", "%s isn't a string", name);
    else if (!path_is_valid(text_of(json_string_value(path))))
        issue_add(check->issues, where, "invalid_path",
                  "%s isn't a path of 1 to 8 plain steps such as $.method",
                  json_string_value(path));
}

static void check_dimensions(struct catalog_check *check, const struct pointer *where,
                             const json_t *dimensions)
{
    const char *name;
    json_t *path;

    if (json_object_size(dimensions) > USAGE_DIMENSIONS_MAX)
        issue_add(check->issues, where, "too_many_dimensions", "a meter has at most %d dimensions",
                  USAGE_DIMENSIONS_MAX);
    json_object_foreach((json_t *)dimensions, name, path)
    {
        struct pointer place = pointer_member(where, name);

        check_dimension(check, &place, name, path);
    }
}

static void check_value(struct catalog_check *check, const struct pointer *where,
                        const json_t *meter, enum aggregation aggregation)
{
    struct pointer place = pointer_member(where, "valueProperty");
    struct text path = shape_text(meter, "valueProperty");

    if (aggregation == AGGREGATION_COUNT && !text_is_absent(path))
        issue_add(check->issues, &place, "value_property_with_count",
                  "COUNT counts events and takes no valueProperty");
    else if (aggregation != AGGREGATION_COUNT && text_is_absent(path))
        issue_add(check->issues, &place, "value_property_missing",
                  "%s needs a valueProperty such as $.total", aggregation_name(aggregation));
    else if (!text_is_absent(path) && !path_is_valid(path))
        issue_add(check->issues, &place, "invalid_path",
                  "%s isn't a path of 1 to 8 plain steps such as $.total", path.at);
}

static void check_fixed(struct catalog_check *check, const struct pointer *where,
                        const json_t *meter, const char *member)
{
    const json_t *old = catalog_state_find(check->state, "meter", shape_string(meter, "slug"));
    struct pointer place = pointer_member(where, member);
    struct text before = shape_text(old, member), now = shape_text(meter, member);

    if (old && !text_is_absent(now) && !text_equal(before, now))
        issue_add(check->issues, &place, "meter_immutable",
                  "%s of meter %s is %s for good: a new slug makes a new meter", member,
                  shape_string(meter, "slug"), before.at);
}

void catalog_check_meter(struct catalog_check *check, const struct pointer *where, json_t *meter)
{
    struct pointer place = pointer_member(where, "aggregation");
    struct pointer dimensions = pointer_member(where, "groupBy");
    enum aggregation aggregation;
    struct text name;

    if (!shape_check(check->issues, where, meter, meter_members, ARRAY_LEN(meter_members)))
        return;
    shape_default_string(meter, "name", shape_string(meter, "slug"));
    shape_default_string(meter, "eventType", shape_string(meter, "slug"));
    shape_default(meter, "groupBy", json_object());
    name = shape_text(meter, "aggregation");
    if (!text_is_absent(name) && !aggregation_from(name, &aggregation))
        issue_add(check->issues, &place, "invalid_aggregation",
                  "%s isn't one of SUM, COUNT, MIN, MAX, AVG, LATEST, UNIQUE_COUNT", name.at);
    else if (!text_is_absent(name))
        check_value(check, where, meter, aggregation);
    check_dimensions(check, &dimensions, json_object_get(meter, "groupBy"));
    catalog_check_dimension_use(check, &dimensions, meter);
    check_fixed(check, where, meter, "aggregation");
    check_fixed(check, where, meter, "eventType");
    check_fixed(check, where, meter, "valueProperty");
}

static void check_meter_of(struct catalog_check *check, const struct pointer *where,
                           const char *key, const char *slug)
{
    struct pointer place = pointer_member(where, "meterSlug");
    const json_t *old = catalog_state_find(check->state, "feature", key);
    struct text before = shape_text(old, "meterSlug");

    if (old && !text_equal(before, text_of(slug)))
        issue_add(check->issues, &place, "feature_immutable",
                  "feature %s has %s%s for good: a new key makes a new feature", key,
                  text_is_absent(before) ? "no meter" : "the meter ",
                  text_is_absent(before) ? "" : before.at);
    if (slug && strcmp(key, slug) != 0)
        issue_add(check->issues, &place, "feature_key_meter_slug_mismatch",
                  "the feature's key %s (key) and its meter %s (meterSlug) must be equal, or usage "
                  "lands on no entitlement",
                  key, slug);
    else if (slug && !catalog_check_find_meter(check, slug))
        issue_add(check->issues, &place, "feature_meter_not_found", "there is no meter %s", slug);
}

void catalog_check_feature(struct catalog_check *check, const struct pointer *where,
                           json_t *feature)
{
    const char *key;

    if (!shape_check(check->issues, where, feature, feature_members, ARRAY_LEN(feature_members)))
        return;
    key = shape_string(feature, "key");
    catalog_check_archived(check, feature);
    if (key)
        check_meter_of(check, where, key, shape_string(feature, "meterSlug"));
}
