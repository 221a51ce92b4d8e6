#include "invoicer/rules/plan_life.h"

#include "invoicer/rules/catalog_check.h"

#include <stdlib.h>
#include <string.h>

/* What a version has beside the plan; status is of records that were written with it. */
static const char *const version_members[] = {"version", "status", "effectiveFrom", "effectiveTo"};

const char *plan_status_name(enum plan_status status)
{
    static const char *const names[] = {"draft", "scheduled", "active", "archived"};

    return names[status];
}

enum plan_status plan_status_of(const json_t *record, struct instant now)
{
    struct instant from, to;

    if (instant_parse(shape_text(record, "effectiveTo"), &to) == 0 && instant_compare(to, now) <= 0)
        return PLAN_ARCHIVED;
    if (instant_parse(shape_text(record, "effectiveFrom"), &from) == 0 &&
        instant_compare(from, now) > 0)
        return PLAN_SCHEDULED;
    return PLAN_ACTIVE;
}

int64_t plan_current_version(const struct catalog_state *state, const char *key)
{
    int64_t version = catalog_state_version(state, key);

    for (; version > 0; version--) {
        const json_t *record = catalog_state_plan(state, key, version);

        if (record && plan_status_of(record, state->now) == PLAN_ACTIVE)
            break;
    }
    return version;
}

static bool is_private(const json_t *plan)
{
    return text_is(shape_text(json_object_get(plan, "metadata"), "zuplo_private_plan"), "true");
}

/* false: planOrder doesn't have it. */
static bool place_of(const json_t *configuration, const json_t *plan, size_t *place)
{
    struct text key = shape_text(plan, "key");
    const json_t *order = json_object_get(configuration, "planOrder");

    for (size_t i = 0; i < json_array_size(order); i++) {
        *place = i;
        if (text_equal(text_of(json_string_value(json_array_get(order, i))), key))
            return true;
    }
    return false;
}

bool plan_is_lower(const json_t *configuration, const json_t *new_plan, const json_t *old_plan)
{
    size_t new_place, old_place;

    return !is_private(new_plan) && !is_private(old_plan) &&
           place_of(configuration, new_plan, &new_place) &&
           place_of(configuration, old_plan, &old_place) && new_place < old_place;
}

json_t *plan_of_version(const json_t *record)
{
    json_t *plan = json_copy((json_t *)record);

    for (size_t i = 0; i < ARRAY_LEN(version_members); i++)
        json_object_del(plan, version_members[i]);
    return plan;
}

bool plan_says_the_same(const json_t *a, const json_t *b)
{
    json_t *x = plan_of_version(a), *y = plan_of_version(b);
    bool is_same = json_equal(x, y);

    json_decref(x);
    json_decref(y);
    return is_same;
}

static void set_instant(json_t *object, const char *name, struct instant instant)
{
    char text[INSTANT_TEXT_MAX];

    (void)instant_format(instant_from_seconds(instant_ms(instant) / 1000), text);
    if (json_object_set_new(object, name, json_string(text)))
        abort();
}

json_t *plan_version_of(const json_t *plan, int64_t version, struct instant from)
{
    json_t *record = plan_of_version(plan);

    json_object_set_new(record, "version", json_integer(version));
    set_instant(record, "effectiveFrom", from);
    return record;
}

json_t *plan_draft_of(const json_t *plan, const char *key, struct instant now)
{
    json_t *draft = json_object();

    json_object_set_new(draft, "key", json_string(key));
    json_object_set_new(draft, "plan", json_deep_copy(plan));
    set_instant(draft, "updatedAt", now);
    return draft;
}

json_t *plan_strict(const json_t *plan, const struct catalog_state *state, struct issues *issues)
{
    struct catalog_check check = {.issues = issues, .state = state};
    struct pointer root = pointer_root();
    json_t *strict = json_deep_copy(plan);

    catalog_check_plan(&check, &root, strict);
    return strict;
}

json_t *plan_validation_errors(const json_t *draft, const struct catalog_state *state)
{
    json_t *errors = json_array();
    struct issues issues = {0};

    json_decref(plan_strict(json_object_get(draft, "plan"), state, &issues));
    for (size_t i = 0; i < issues.count; i++) {
        const struct issue *issue = &issues.at[i];

        if (!issue->is_warning)
            json_array_append_new(errors, json_pack("{s:s,s:s,s:s}", "path", issue->pointer, "code",
                                                    issue->code, "message", issue->message));
    }
    issues_deinit(&issues);
    return errors;
}
