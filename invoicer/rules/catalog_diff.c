#include "invoicer/rules/catalog_diff.h"

#include "invoicer/rules/cuts.h"
#include "invoicer/rules/issue.h"
#include "invoicer/rules/plan_life.h"
#include "invoicer/rules/shape.h"
#include "proto/catalog.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DIFFERENCES_SHOWN_MAX = 10 };

struct comparison {
    struct catalog_changes *changes;
    const struct catalog_state *state;
    json_t *versions; /* of plans, once the file is applied */
};

const char *change_name(enum change_kind kind)
{
    static const char *const names[] = {
        [CHANGE_SAME] = "same", [CHANGE_ADDED] = "added", [CHANGE_CHANGED] = "changed"};

    return names[kind];
}

struct differences {
    struct buffer text;
    size_t count;
};

static void note_difference(struct differences *differences, const struct pointer *where)
{
    if (differences->count++ >= DIFFERENCES_SHOWN_MAX)
        return;
    if (differences->text.length)
        buffer_add_string(&differences->text, ", ");
    pointer_write(where, &differences->text);
}

static void compare(struct differences *differences, const struct pointer *where, const json_t *a,
                    const json_t *b);

static void compare_objects(struct differences *differences, const struct pointer *where,
                            const json_t *a, const json_t *b)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)a, name, value)
    {
        struct pointer place = pointer_member(where, name);

        compare(differences, &place, value, json_object_get(b, name));
    }
    json_object_foreach((json_t *)b, name, value)
    {
        struct pointer place = pointer_member(where, name);

        if (!json_object_get(a, name))
            note_difference(differences, &place);
    }
}

static void compare(struct differences *differences, const struct pointer *where, const json_t *a,
                    const json_t *b)
{
    if (json_is_object(a) && json_is_object(b)) {
        compare_objects(differences, where, a, b);
    } else if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b)) {
        for (size_t i = 0; i < json_array_size(a); i++) {
            struct pointer place = pointer_element(where, i);

            compare(differences, &place, json_array_get(a, i), json_array_get(b, i));
        }
    } else if (!b || !json_equal((json_t *)a, (json_t *)b)) {
        note_difference(differences, where);
    }
}

static char *differences_of(const json_t *old, const json_t *now)
{
    struct differences differences = {.count = 0};
    struct pointer root = pointer_root();
    char *text;

    compare(&differences, &root, old, now);
    if (differences.count > DIFFERENCES_SHOWN_MAX)
        buffer_printf(&differences.text, " and %zu more",
                      differences.count - DIFFERENCES_SHOWN_MAX);
    text = text_copy(buffer_text(&differences.text));
    buffer_deinit(&differences.text);
    return text;
}

static struct catalog_change *change_new(struct catalog_changes *changes)
{
    if (changes->count == changes->room) {
        changes->room = changes->room ? changes->room * 2 : 64;
        changes->at = realloc(changes->at, changes->room * sizeof(*changes->at));
        if (!changes->at)
            abort();
    }
    return &changes->at[changes->count++];
}

/* Notes `record` under `key` against `old`, which it is compared with. */
static void note(struct catalog_changes *changes, const char *key, const json_t *old,
                 const json_t *record)
{
    struct catalog_change *change = change_new(changes);

    *change = (struct catalog_change){.key = text_copy(text_of(key))};
    change->record = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
    if (!change->record)
        abort();
    if (!old) {
        change->kind = CHANGE_ADDED;
        changes->added++;
    } else if (json_equal((json_t *)old, (json_t *)record)) {
        change->kind = CHANGE_SAME;
        changes->same++;
    } else {
        change->kind = CHANGE_CHANGED;
        change->differs = differences_of(old, record);
        changes->changed++;
    }
}

static void compare_simple(struct comparison *it, const char *kind, const char *id,
                           const json_t *record)
{
    struct buffer key = {0};

    buffer_printf(&key, "%s/%s", kind, id);
    buffer_add_char(&key, '\0');
    note(it->changes, key.at, catalog_state_find(it->state, kind, id), record);
    buffer_deinit(&key);
}

/* What a version adds by itself is no difference that anybody made. */
static void note_plan_difference(struct catalog_change *change, const json_t *old,
                                 const json_t *plan)
{
    json_t *before = plan_of_version(old);

    free(change->differs);
    change->differs = differences_of(before, plan);
    json_decref(before);
}

static void compare_plan(struct comparison *it, const json_t *plan)
{
    const char *plan_key = shape_string(plan, "key");
    int64_t version = catalog_state_version(it->state, plan_key);
    const json_t *old = version ? catalog_state_plan(it->state, plan_key, version) : NULL;
    bool is_same = old && plan_says_the_same(old, plan);
    json_t *record;
    struct buffer key = {0};

    version += !is_same;
    record = is_same ? json_copy((json_t *)old) : plan_version_of(plan, version, it->state->now);
    json_object_set_new(it->versions, plan_key, json_integer(version));
    buffer_printf(&key, "plan/%s@%lld", plan_key, (long long)version);
    buffer_add_char(&key, '\0');
    note(it->changes, key.at, old, record);
    if (old && !is_same)
        note_plan_difference(&it->changes->at[it->changes->count - 1], old, plan);
    buffer_deinit(&key);
    json_decref(record);
}

static const json_t *plan_named(const struct comparison *it, const json_t *file, const char *key,
                                int64_t version)
{
    const json_t *found = catalog_state_plan(it->state, key, version);
    json_t *plan;
    size_t i;

    if (found)
        return found;
    json_array_foreach(json_object_get(file, "plans"), i, plan)
    {
        if (text_is(shape_text(plan, "key"), key))
            return plan;
    }
    return NULL;
}

static json_t *cuts_array(const json_t *subscription, const json_t *plan)
{
    uint16_t cuts[CATALOG_CUTS_MAX];
    size_t count = 0;
    json_t *array = json_array();
    int r = cuts_of(subscription, plan, cuts, &count);

    assert(r == 0); /* the file was checked */
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_integer(cuts[i]));
    return array;
}

static void compare_subscription(struct comparison *it, const json_t *file,
                                 const json_t *subscription)
{
    json_t *record = json_deep_copy(subscription);
    json_t *plan = json_object_get(record, "plan");
    const char *key = shape_string(plan, "key");
    json_t *newest = json_object_get(it->versions, key);
    int64_t version = newest ? json_integer_value(newest) : plan_current_version(it->state, key);

    if (json_object_get(plan, "version"))
        version = json_integer_value(json_object_get(plan, "version"));
    json_object_set_new(plan, "version", json_integer(version));
    json_object_set_new(record, "cuts", cuts_array(record, plan_named(it, file, key, version)));
    compare_simple(it, "subscription", shape_string(record, "id"), record);
    json_decref(record);
}

static void compare_configuration(struct comparison *it, const json_t *configuration)
{
    json_t *old = catalog_state_find(it->state, "configuration", "default");
    json_t *merged = old ? json_copy(old) : json_object();

    json_object_update(merged, (json_t *)configuration);
    shape_default(merged, "multipleSubscriptionsEnabled", json_false());
    shape_default(merged, "planOrder", json_array());
    shape_default(merged, "planSettings", json_object());
    shape_default(merged, "maxPaymentOverdueDays", json_integer(3));
    compare_simple(it, "configuration", "default", merged);
    json_decref(merged);
}

static void compare_array(struct comparison *it, const json_t *file, const char *array,
                          const char *kind, const char *id)
{
    json_t *record;
    size_t i;

    json_array_foreach(json_object_get(file, array), i, record)
    {
        compare_simple(it, kind, shape_string(record, id), record);
    }
}

void catalog_changes_of(const json_t *file, const struct catalog_state *state,
                        struct catalog_changes *changes)
{
    struct comparison it = {changes, state, json_object()};
    json_t *object;
    size_t i;

    compare_array(&it, file, "meters", "meter", "slug");
    compare_array(&it, file, "features", "feature", "key");
    json_array_foreach(json_object_get(file, "plans"), i, object) compare_plan(&it, object);
    compare_array(&it, file, "customers", "customer", "key");
    json_array_foreach(json_object_get(file, "subscriptions"), i, object)
        compare_subscription(&it, file, object);
    if (json_object_get(file, "configuration"))
        compare_configuration(&it, json_object_get(file, "configuration"));
    json_decref(it.versions);
}

void catalog_changes_deinit(struct catalog_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        free(changes->at[i].key);
        free(changes->at[i].record);
        free(changes->at[i].differs);
    }
    free(changes->at);
    *changes = (struct catalog_changes){0};
}
