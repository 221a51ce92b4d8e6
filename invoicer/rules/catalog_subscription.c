/*
 * Customers, subscriptions (metering.md 4) and the bucket's configuration
 * (product.md 1.3, 1.11, 1.12). A subscription that was changed (change.h) ends where the next one
 * begins; the same customer's may have one consumer name one after the other. What has been
 * invoiced of a subscription stays as it was: plan, start and anchor may change until then, and its
 * end may not move before what is billed.
 */
#include "invoicer/rules/catalog_check.h"

#include "common/base/instant.h"
#include "invoicer/rules/cuts.h"
#include "invoicer/rules/periods.h"
#include "invoicer/rules/plan_life.h"
#include "proto/catalog.h"

#include <ctype.h>
#include <string.h>

enum { PLAN_BYTES_MAX = 64 * 1024 * 1024, STRIPE_ID_MAX = 255 };

static const struct member customer_members[] = {
    {"key", SHAPE_ID, true},
    {"name", SHAPE_NAME, false},
    {"primaryEmail", SHAPE_TEXT, false},
    {"currency", SHAPE_CURRENCY, false},
    {"billingAddress", SHAPE_OBJECT, false},
    {"stripeCustomerId", SHAPE_TEXT, false},
    {"metadata", SHAPE_MAP, false},
};

static const struct member address_members[] = {
    {"country", SHAPE_TEXT, false},     {"postalCode", SHAPE_TEXT, false},
    {"state", SHAPE_TEXT, false},       {"city", SHAPE_TEXT, false},
    {"line1", SHAPE_TEXT, false},       {"line2", SHAPE_TEXT, false},
    {"phoneNumber", SHAPE_TEXT, false},
};

static const struct member subscription_members[] = {
    {"id", SHAPE_ULID, true},
    {"customerKey", SHAPE_ID, true},
    {"plan", SHAPE_OBJECT, true},
    {"currency", SHAPE_CURRENCY, false},
    {"activeFrom", SHAPE_TIME, true},
    {"activeTo", SHAPE_TIME, false},
    {"billingAnchor", SHAPE_TIME, false},
    {"consumer", SHAPE_OBJECT, false},
    {"name", SHAPE_NAME, false},
    {"description", SHAPE_DESCRIPTION, false},
    {"metadata", SHAPE_MAP, false},
    {"annotations", SHAPE_MAP, false},
    {"credit", SHAPE_OBJECT, false},
    {"deletedAt", SHAPE_TIME, false},
};

static const struct member plan_members[] = {
    {"key", SHAPE_KEY, true},
    {"version", SHAPE_COUNT, false},
};

static const struct member consumer_members[] = {{"name", SHAPE_ID, true}};

static const struct member configuration_members[] = {
    {"multipleSubscriptionsEnabled", SHAPE_SWITCH, false},
    {"planOrder", SHAPE_ARRAY, false},
    {"planSettings", SHAPE_OBJECT, false},
    {"maxPaymentOverdueDays", SHAPE_COUNT, false},
    {"numberedSources", SHAPE_ARRAY, false},
};

static bool is_stripe_customer(struct text id)
{
    bool is_one = id.length > 4 && id.length <= STRIPE_ID_MAX && text_starts(id, "cus_");

    for (size_t i = 4; is_one && i < id.length; i++)
        is_one = isalnum((unsigned char)id.at[i]) != 0;
    return is_one;
}

static void check_stripe_customer(struct catalog_check *check, const struct pointer *where,
                                  const json_t *customer)
{
    struct pointer place = pointer_member(where, "stripeCustomerId");
    struct text id = shape_text(customer, "stripeCustomerId");

    if (!text_is_absent(id) && !is_stripe_customer(id))
        issue_add(check->issues, &place, "stripe_customer_invalid",
                  "isn't the id of a customer at Stripe: cus_ and letters and digits");
}

void catalog_check_customer(struct catalog_check *check, const struct pointer *where,
                            json_t *customer)
{
    struct pointer place = pointer_member(where, "billingAddress");
    json_t *address;

    if (!shape_check(check->issues, where, customer, customer_members, ARRAY_LEN(customer_members)))
        return;
    shape_default_string(customer, "name", shape_string(customer, "key"));
    check_stripe_customer(check, where, customer);
    address = json_object_get(customer, "billingAddress");
    if (address &&
        !shape_check(check->issues, &place, address, address_members, ARRAY_LEN(address_members)))
        return;
}

/* The version that the subscription has from now on: asked for, kept, or the newest. */
static int64_t version_of(const struct catalog_check *check, const json_t *subscription,
                          const json_t *plan)
{
    const json_t *asked = json_object_get(plan, "version");
    const json_t *old = json_object_get(
        catalog_state_find(check->state, "subscription", shape_string(subscription, "id")), "plan");

    if (asked)
        return json_integer_value(asked);
    if (text_equal(shape_text(old, "key"), shape_text(plan, "key")))
        return json_integer_value(json_object_get(old, "version"));
    return 0; /* the newest, once the file is applied */
}

/* The file's plan when it will be a version that isn't there yet, and that one. */
static const json_t *next_version(const struct catalog_check *check, const char *key,
                                  int64_t version)
{
    const json_t *plan = json_object_get(check->plans, key);
    int64_t newest = catalog_state_version(check->state, key);

    if (!plan || version != newest + 1 ||
        (newest && plan_says_the_same(catalog_state_plan(check->state, key, newest), plan)))
        return NULL;
    return plan;
}

static const json_t *plan_of(const struct catalog_check *check, const char *key, int64_t version)
{
    const json_t *found = version ? catalog_state_plan(check->state, key, version) : NULL;

    if (version)
        return found ? found : next_version(check, key, version);
    if (!json_object_get(check->plans, key))
        found = catalog_state_plan(check->state, key, plan_current_version(check->state, key));
    return found ? found : catalog_check_find_plan(check, key);
}

static void check_cuts(struct catalog_check *check, const struct pointer *where,
                       const json_t *subscription, const json_t *plan)
{
    uint16_t cuts[CATALOG_CUTS_MAX];
    size_t count;

    if (cuts_of(subscription, plan, cuts, &count) == CUTS_TOO_MANY)
        issue_add(
            check->issues, where, "subscription_too_many_cuts",
            "its start, anchor and phases lie on more than %d minutes of the day, of which an "
            "hourly cadence takes 24 for each: let them share their minutes",
            CUTS_RECURRING_MAX);
}

static void check_plan_of(struct catalog_check *check, const struct pointer *where,
                          json_t *subscription)
{
    struct pointer place = pointer_member(where, "plan");
    struct pointer key_place = pointer_member(&place, "key");
    struct pointer version_place = pointer_member(&place, "version");
    json_t *named = json_object_get(subscription, "plan");
    const char *key;
    const json_t *plan;
    int64_t version;

    if (!named || !shape_check(check->issues, &place, named, plan_members, ARRAY_LEN(plan_members)))
        return;
    key = shape_string(named, "key");
    if (!key)
        return;
    version = version_of(check, subscription, named);
    plan = plan_of(check, key, version);
    if (!catalog_check_find_plan(check, key))
        catalog_check_no_plan(check, &key_place, key);
    else if (!plan || (json_object_get(named, "version") && version == 0))
        issue_add(check->issues, &version_place, "plan_version_not_found",
                  "plan %s has no version %lld", key, (long long)version);
    else {
        check_cuts(check, where, subscription, plan);
        catalog_check_for_sale(check, &place, subscription, plan, version);
    }
    catalog_check_currency_of(check, where, subscription, plan);
    catalog_check_credit(check, where, subscription, plan);
    if (version)
        json_object_set_new(named, "version", json_integer(version));
}

static int64_t minute_of(const json_t *subscription, const char *member, int64_t usual)
{
    struct instant instant;

    return instant_parse(shape_text(subscription, member), &instant) ? usual
                                                                     : instant_minute(instant);
}

bool catalog_terms_meet(const json_t *a, const json_t *b)
{
    if (json_object_get(a, "deletedAt") || json_object_get(b, "deletedAt"))
        return false;
    return minute_of(a, "activeTo", INT64_MAX) > minute_of(b, "activeFrom", INT64_MIN) &&
           minute_of(b, "activeTo", INT64_MAX) > minute_of(a, "activeFrom", INT64_MIN);
}

/* Whether two subscriptions are the same customer's, and one begins after the other's end. */
static bool follow_each_other(const json_t *a, const json_t *b)
{
    return text_equal(shape_text(a, "customerKey"), shape_text(b, "customerKey")) &&
           (minute_of(a, "activeTo", INT64_MAX) <= minute_of(b, "activeFrom", INT64_MIN) ||
            minute_of(b, "activeTo", INT64_MAX) <= minute_of(a, "activeFrom", INT64_MIN));
}

/* One of the ids in `owners` that can't share its name with this subscription; NULL: none. */
static const char *rival_among(const struct catalog_check *check, json_t *owners,
                               const json_t *subscription, bool of_file)
{
    const char *id;
    json_t *ignored;

    json_object_foreach(owners, id, ignored)
    {
        json_t *owner = catalog_check_find_subscription(check, id);

        if (!of_file && json_object_get(check->subscriptions, id))
            continue; /* this file says anew what that subscription is */
        if (!text_is(shape_text(subscription, "id"), id) && !follow_each_other(owner, subscription))
            return id;
    }
    return NULL;
}

static void check_consumer(struct catalog_check *check, const struct pointer *where,
                           json_t *subscription)
{
    struct pointer place = pointer_member(where, "consumer");
    struct pointer name_place = pointer_member(&place, "name");
    json_t *consumer = json_object_get(subscription, "consumer");
    const char *id = shape_string(subscription, "id");
    const char *name, *rival;

    if (!consumer || !shape_check(check->issues, &place, consumer, consumer_members,
                                  ARRAY_LEN(consumer_members)))
        return;
    name = shape_string(consumer, "name");
    if (!name || !id || json_object_get(subscription, "deletedAt"))
        return;
    shape_default(check->consumers, name, json_object());
    rival = rival_among(check, json_object_get(check->consumers, name), subscription, true);
    if (!rival)
        rival =
            rival_among(check, catalog_state_consumers(check->state, name), subscription, false);
    if (rival)
        issue_add(check->issues, &name_place, "consumer_name_taken",
                  "the consumer %s belongs to subscription %s", name, rival);
    json_object_set_new(json_object_get(check->consumers, name), id, json_true());
}

/* Subscriptions that follow each other by a change don't overlap. */
static void check_chain(struct catalog_check *check, const struct pointer *where,
                        const json_t *subscription)
{
    struct pointer annotations = pointer_member(where, "annotations");
    struct pointer place = pointer_member(&annotations, "subscription.previous.id");
    struct pointer end = pointer_member(where, "activeTo");
    const char *id = shape_string(subscription, "id");
    const json_t *previous = catalog_check_find_subscription(
        check,
        shape_string(json_object_get(subscription, "annotations"), "subscription.previous.id"));
    const json_t *next = id ? catalog_state_next(check->state, id) : NULL;

    if (previous && !json_object_get(subscription, "deletedAt") &&
        !follow_each_other(previous, subscription))
        issue_add(check->issues, &place, "subscriptions_overlap",
                  "subscription %s is another customer's, or doesn't end before this one begins",
                  shape_string(previous, "id"));
    if (next && !json_object_get(check->subscriptions, shape_string(next, "id")) &&
        minute_of(subscription, "activeTo", INT64_MAX) > minute_of(next, "activeFrom", INT64_MIN))
        issue_add(check->issues, &end, "subscription_changed",
                  "it was changed into subscription %s and ends by %s", shape_string(next, "id"),
                  shape_string(next, "activeFrom"));
}

/* What is deleted never begins: with a term it would be billed, and could never be ended. */
static void check_term(struct catalog_check *check, const struct pointer *where,
                       const json_t *subscription)
{
    struct pointer place = pointer_member(where, "activeTo");
    struct pointer deleted = pointer_member(where, "deletedAt");
    bool is_deleted = json_object_get(subscription, "deletedAt");
    int64_t from = minute_of(subscription, "activeFrom", INT64_MIN);
    int64_t to = minute_of(subscription, "activeTo", INT64_MAX);

    if (to < from || (to == from && !is_deleted))
        issue_add(check->issues, &place, "invalid_term", "activeTo lies at or before activeFrom");
    if (to > from && is_deleted)
        issue_add(check->issues, &deleted, "invalid_term",
                  "a deleted subscription has activeFrom as its activeTo, or it would be billed");
}

static bool differs(const json_t *old, const json_t *now, const char *member)
{
    const json_t *a = json_object_get(old, member), *b = json_object_get(now, member);

    return a != b && (!a || !b || !json_equal((json_t *)a, (json_t *)b));
}

/* Whether an end at the boundary that was billed last would leave something in arrears out. */
static bool owes(const struct catalog_check *check, const json_t *old, int64_t billed)
{
    const json_t *named = json_object_get(old, "plan");
    const json_t *record =
        catalog_state_plan(check->state, shape_string(named, "key"),
                           json_integer_value(json_object_get(named, "version")));
    struct subscription subscription;
    struct price_issue issue;
    struct arena arena;
    struct plan plan;
    bool found;

    arena_init(&arena, PLAN_BYTES_MAX);
    found = record &&
            plan_read_in(record, shape_text(old, "currency"), &arena, &plan, &issue) == 0 &&
            subscription_read(old, &plan, &arena, &subscription, &issue) == 0 &&
            periods_owes(&subscription, instant_from_minute(billed));
    arena_deinit(&arena);
    return found;
}

static void check_billed(struct catalog_check *check, const struct pointer *where,
                         const json_t *subscription)
{
    static const char *const fixed[] = {"customerKey", "plan", "activeFrom", "billingAnchor",
                                        "credit"};
    const char *id = shape_string(subscription, "id");
    const json_t *old = catalog_state_find(check->state, "subscription", id);
    int64_t billed = id ? catalog_state_billed_until(check->state, id) : INT64_MIN;
    struct pointer end = pointer_member(where, "activeTo");

    if (!old || billed == INT64_MIN)
        return;
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        struct pointer place = pointer_member(where, fixed[i]);

        if (differs(old, subscription, fixed[i]))
            issue_add(check->issues, &place, "subscription_billed",
                      "%s can't change any more: subscription %s has been invoiced", fixed[i], id);
    }
    if (!differs(old, subscription, "activeTo"))
        return;
    if (minute_of(old, "activeTo", INT64_MAX) <= billed)
        issue_add(check->issues, &end, "subscription_billed",
                  "subscription %s ended by %s and has its last invoice: what goes on is a new one",
                  id, shape_string(old, "activeTo"));
    else if (minute_of(subscription, "activeTo", INT64_MAX) < billed)
        issue_add(check->issues, &end, "subscription_billed",
                  "activeTo lies before what subscription %s has been invoiced for", id);
    else if (minute_of(subscription, "activeTo", INT64_MAX) == billed && owes(check, old, billed))
        issue_add(check->issues, &end, "subscription_billed",
                  "subscription %s has been invoiced up to %s, and what is billed in arrears for "
                  "longer would be left out: let it end a minute later",
                  id, shape_string(subscription, "activeTo"));
}

void catalog_check_subscription(struct catalog_check *check, const struct pointer *where,
                                json_t *subscription)
{
    struct pointer place = pointer_member(where, "customerKey");
    const char *customer;

    if (!shape_check(check->issues, where, subscription, subscription_members,
                     ARRAY_LEN(subscription_members)))
        return;
    customer = shape_string(subscription, "customerKey");
    if (customer && !catalog_check_find_customer(check, customer))
        issue_add(check->issues, &place, "customer_not_found", "there is no customer %s", customer);
    shape_default_string(subscription, "billingAnchor", shape_string(subscription, "activeFrom"));
    check_plan_of(check, where, subscription);
    check_consumer(check, where, subscription);
    check_chain(check, where, subscription);
    check_term(check, where, subscription);
    check_billed(check, where, subscription);
    catalog_check_several(check, where, subscription);
}

static void check_order(struct catalog_check *check, const struct pointer *where,
                        const json_t *order)
{
    json_t *seen = json_object();
    json_t *plan;
    size_t i;

    json_array_foreach(order, i, plan)
    {
        struct pointer place = pointer_element(where, i);
        const char *key = json_string_value(plan);

        if (!key)
            issue_add(check->issues, &place, "invalid_type", "a plan's key is a string");
        else if (!catalog_check_find_plan(check, key))
            issue_add(check->issues, &place, "plan_not_found", "there is no plan %s", key);
        else if (json_object_get(seen, key))
            issue_add(check->issues, &place, "duplicated_key", "plan %s stands here twice", key);
        if (key)
            json_object_set_new(seen, key, json_true());
    }
    json_decref(seen);
}

static void check_settings(struct catalog_check *check, const struct pointer *where,
                           const json_t *settings)
{
    static const struct member members[] = {{"visiblePhases", SHAPE_ARRAY, false}};
    const char *plan;
    json_t *setting;

    json_object_foreach((json_t *)settings, plan, setting)
    {
        struct pointer place = pointer_member(where, plan);

        if (!catalog_check_find_plan(check, plan))
            issue_add(check->issues, &place, "plan_not_found", "there is no plan %s", plan);
        if (!shape_check(check->issues, &place, setting, members, ARRAY_LEN(members)))
            continue;
    }
}

static void check_sources(struct catalog_check *check, const struct pointer *where,
                          const json_t *sources)
{
    json_t *seen = json_object();
    json_t *source;
    size_t i;

    if (json_array_size(sources) > CATALOG_SOURCES_MAX)
        issue_add(check->issues, where, "too_many_sources", "a bucket has at most %d",
                  CATALOG_SOURCES_MAX);
    json_array_foreach(sources, i, source)
    {
        struct pointer place = pointer_element(where, i);
        const char *name = json_string_value(source);
        size_t length = json_string_length(source);

        if (!name)
            issue_add(check->issues, &place, "invalid_type", "a source is a string");
        else if (length == 0 || length > CATALOG_ID_MAX)
            issue_add(check->issues, &place, "invalid_text", "isn't 1 to %d bytes", CATALOG_ID_MAX);
        else if (json_object_get(seen, name))
            issue_add(check->issues, &place, "duplicated_key", "source %s stands here twice", name);
        if (name)
            json_object_set_new(seen, name, json_true());
    }
    json_decref(seen);
}

void catalog_check_configuration(struct catalog_check *check, const struct pointer *where,
                                 json_t *configuration)
{
    struct pointer order = pointer_member(where, "planOrder");
    struct pointer settings = pointer_member(where, "planSettings");
    struct pointer sources = pointer_member(where, "numberedSources");

    if (!shape_check(check->issues, where, configuration, configuration_members,
                     ARRAY_LEN(configuration_members)))
        return;
    check_order(check, &order, json_object_get(configuration, "planOrder"));
    check_settings(check, &settings, json_object_get(configuration, "planSettings"));
    check_sources(check, &sources, json_object_get(configuration, "numberedSources"));
}
