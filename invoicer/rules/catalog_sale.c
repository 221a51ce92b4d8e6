/*
 * What can be sold (product.md 1.5, 2.1, 9.8): a new subscription, or one that moves to another
 * plan or version, is on a version that is active; those that stand go on. A feature that is
 * archived takes no new rate cards. A customer with two subscriptions at a time is warned about
 * unless the bucket allows it; files of a bucket's past need it.
 */
#include "invoicer/rules/catalog_check.h"

#include "invoicer/rules/plan_life.h"

#include <string.h>

/* --- subscriptions on plans --- */

/* The version that a plan of the file will be, whose text may be the newest version's. */
static enum plan_status status_in_file(const struct catalog_check *check, const char *key,
                                       const json_t *plan)
{
    int64_t newest = catalog_state_version(check->state, key);
    const json_t *record = newest ? catalog_state_plan(check->state, key, newest) : NULL;

    if (record && plan_says_the_same(record, plan))
        return plan_status_of(record, check->state->now);
    return PLAN_ACTIVE;
}

static bool stays_on(const struct catalog_check *check, const json_t *subscription, const char *key,
                     int64_t version)
{
    const json_t *old = json_object_get(
        catalog_state_find(check->state, "subscription", shape_string(subscription, "id")), "plan");

    return text_is(shape_text(old, "key"), key) &&
           json_integer_value(json_object_get(old, "version")) == version;
}

void catalog_check_for_sale(struct catalog_check *check, const struct pointer *where,
                            const json_t *subscription, const json_t *plan, int64_t version)
{
    const char *key = shape_string(plan, "key");
    const char *from = shape_string(plan, "effectiveFrom");
    enum plan_status status;

    if (!key || stays_on(check, subscription, key, version))
        return;
    status = json_object_get(plan, "version") ? plan_status_of(plan, check->state->now)
                                              : status_in_file(check, key, plan);
    if (status == PLAN_ARCHIVED)
        issue_add(check->issues, where, "plan_archived",
                  "plan %s is archived: subscriptions that have it go on, new ones can't", key);
    else if (status == PLAN_SCHEDULED)
        issue_add(check->issues, where, "plan_scheduled",
                  "plan %s is published but not for sale until %s", key, from ? from : "later");
}

void catalog_check_no_plan(struct catalog_check *check, const struct pointer *where,
                           const char *key)
{
    if (catalog_state_find(check->state, "draft", key))
        issue_add(check->issues, where, "plan_not_published",
                  "plan %s is a draft: `invoicer plans publish %s` first", key, key);
    else
        issue_add(check->issues, where, "plan_not_found", "there is no plan %s", key);
}

/* --- features --- */

/* A file says nothing of it: what is archived stays so. */
void catalog_check_archived(const struct catalog_check *check, json_t *feature)
{
    json_t *archived = json_object_get(
        catalog_state_find(check->state, "feature", shape_string(feature, "key")), "archivedAt");

    if (archived)
        json_object_set(feature, "archivedAt", archived);
}

static void check_card(struct catalog_check *check, const struct pointer *where, const json_t *card)
{
    struct pointer place = pointer_member(where, "featureKey");
    const char *feature = shape_string(card, "featureKey");

    if (json_object_get(catalog_check_find_feature(check, feature), "archivedAt"))
        issue_add(check->issues, &place, "rate_card_feature_archived",
                  "feature %s is archived: rate cards that have it stay, new ones can't", feature);
}

void catalog_check_features_of(struct catalog_check *check, const struct pointer *where,
                               const json_t *plan)
{
    struct pointer phases = pointer_member(where, "phases");
    const char *key = shape_string(plan, "key");
    const json_t *newest =
        key ? catalog_state_plan(check->state, key, catalog_state_version(check->state, key))
            : NULL;
    json_t *phase, *card;
    size_t i, j;

    if (newest && plan_says_the_same(newest, plan))
        return;
    json_array_foreach(json_object_get(plan, "phases"), i, phase)
    {
        struct pointer of_phase = pointer_element(&phases, i);
        struct pointer cards = pointer_member(&of_phase, "rateCards");

        json_array_foreach(json_object_get(phase, "rateCards"), j, card)
        {
            struct pointer place = pointer_element(&cards, j);

            check_card(check, &place, card);
        }
    }
}

/* --- several at a time --- */

static bool several_are_allowed(const struct catalog_check *check)
{
    const char *name = "multipleSubscriptionsEnabled";
    const json_t *asked = json_object_get(check->configuration, name);
    const json_t *stands =
        json_object_get(catalog_state_find(check->state, "configuration", "default"), name);

    return json_is_true(asked ? asked : stands);
}

/* Most customers have one, which then stands there without an array around it. */
static void file_one(struct catalog_check *check, json_t *subscription)
{
    const char *customer = shape_string(subscription, "customerKey");
    json_t *held = customer ? json_object_get(check->held, customer) : NULL;

    if (!customer)
        return;
    if (!held)
        json_object_set(check->held, customer, subscription);
    else if (json_is_array(held))
        json_array_append(held, subscription);
    else
        json_object_set_new(check->held, customer, json_pack("[O,O]", held, subscription));
}

static void file_all(struct catalog_check *check)
{
    json_t *subscription;
    const char *key;

    check->held = json_object();
    json_object_foreach(check->subscriptions, key, subscription) file_one(check, subscription);
    json_object_foreach(check->state->records, key, subscription)
    {
        if (strncmp(key, "subscription/", 13) == 0 &&
            !json_object_get(check->subscriptions, key + 13))
            file_one(check, subscription);
    }
}

/* Once a customer is enough: the first other one whose term meets this one's. */
void catalog_check_several(struct catalog_check *check, const struct pointer *where,
                           const json_t *subscription)
{
    struct pointer place = pointer_member(where, "customerKey");
    const char *customer = shape_string(subscription, "customerKey");
    const char *own = shape_string(subscription, "id");
    json_t *other;
    size_t i;

    if (!customer || !own || several_are_allowed(check))
        return;
    if (!check->held)
        file_all(check);
    json_array_foreach(json_object_get(check->held, customer), i, other)
    {
        const char *id = shape_string(other, "id");

        if (!id || strcmp(id, own) == 0 || !catalog_terms_meet(subscription, other))
            continue;
        issue_warn(
            check->issues, &place, "customer_has_several_subscriptions",
            "customer %s has subscription %s at the same time as %s, and the configuration's "
            "multipleSubscriptionsEnabled isn't true",
            customer, id, own);
        json_object_del(check->held, customer);
        return;
    }
}
