#include "invoicer/rules/catalog_state.h"

#include "invoicer/rules/shape.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void catalog_state_init(struct catalog_state *state)
{
    state->now = instant_from_seconds(0);
    state->records = json_object();
    state->versions = json_object();
    state->consumers = json_object();
    state->nexts = json_object();
    state->billed = json_object();
}

void catalog_state_deinit(struct catalog_state *state)
{
    json_decref(state->records);
    json_decref(state->versions);
    json_decref(state->consumers);
    json_decref(state->nexts);
    json_decref(state->billed);
    *state = (struct catalog_state){0};
}

static void note_version(struct catalog_state *state, const json_t *plan)
{
    const char *key = shape_string(plan, "key");
    int64_t version = json_integer_value(json_object_get(plan, "version"));

    if (key && version > catalog_state_version(state, key))
        json_object_set_new(state->versions, key, json_integer(version));
}

static const char *subscription_previous(const json_t *subscription)
{
    return shape_string(json_object_get(subscription, "annotations"), "subscription.previous.id");
}

static void forget_subscription(struct catalog_state *state, const char *key)
{
    json_t *old = json_object_get(state->records, key);
    const char *name = shape_string(json_object_get(old, "consumer"), "name");
    const char *id = shape_string(old, "id"), *previous = subscription_previous(old);

    if (name && id)
        json_object_del(json_object_get(state->consumers, name), id);
    if (previous && id && !json_object_get(old, "deletedAt"))
        json_object_del(state->nexts, previous);
}

static void note_subscription(struct catalog_state *state, const json_t *subscription)
{
    const char *name = shape_string(json_object_get(subscription, "consumer"), "name");
    const char *id = shape_string(subscription, "id");
    const char *previous = subscription_previous(subscription);

    if (!id || json_object_get(subscription, "deletedAt"))
        return;
    if (name) {
        shape_default(state->consumers, name, json_object());
        json_object_set_new(json_object_get(state->consumers, name), id, json_true());
    }
    if (previous)
        json_object_set_new(state->nexts, previous, json_string(id));
}

void catalog_state_put(struct catalog_state *state, const char *key, json_t *record)
{
    bool is_subscription = strncmp(key, "subscription/", 13) == 0;

    if (is_subscription)
        forget_subscription(state, key);
    if (json_object_set_new(state->records, key, record))
        abort();
    if (is_subscription)
        note_subscription(state, record);
    else if (strncmp(key, "plan/", 5) == 0)
        note_version(state, record);
}

void catalog_state_billed(struct catalog_state *state, const char *subscription, int64_t minute)
{
    if (minute > catalog_state_billed_until(state, subscription))
        json_object_set_new(state->billed, subscription, json_integer(minute));
}

json_t *catalog_state_find(const struct catalog_state *state, const char *kind, const char *id)
{
    struct buffer key = {0};
    json_t *found;

    if (!id)
        return NULL;
    buffer_printf(&key, "%s/%s", kind, id);
    buffer_add_char(&key, '\0');
    found = json_object_get(state->records, key.at);
    buffer_deinit(&key);
    return found;
}

json_t *catalog_state_plan(const struct catalog_state *state, const char *key, int64_t version)
{
    struct buffer id = {0};
    json_t *found;

    buffer_printf(&id, "%s@%lld", key, (long long)version);
    buffer_add_char(&id, '\0');
    found = catalog_state_find(state, "plan", id.at);
    buffer_deinit(&id);
    return found;
}

int64_t catalog_state_version(const struct catalog_state *state, const char *plan)
{
    return json_integer_value(json_object_get(state->versions, plan));
}

json_t *catalog_state_consumers(const struct catalog_state *state, const char *name)
{
    return json_object_get(state->consumers, name);
}

json_t *catalog_state_next(const struct catalog_state *state, const char *subscription)
{
    return catalog_state_find(state, "subscription",
                              json_string_value(json_object_get(state->nexts, subscription)));
}

int64_t catalog_state_billed_until(const struct catalog_state *state, const char *subscription)
{
    const json_t *minute = json_object_get(state->billed, subscription);

    return minute ? json_integer_value(minute) : INT64_MIN;
}
