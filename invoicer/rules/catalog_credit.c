/*
 * The credit of a subscription that was changed (credit.h), as it stands in its record: each
 * charge's credit must be what its own inputs come to, and the amount their sum and what was
 * carried over. A credit from elsewhere has no charges and is carried over as a whole.
 */
#include "invoicer/rules/catalog_check.h"

#include "common/base/instant.h"
#include "invoicer/rules/credit.h"

#include <string.h>

static const struct member credit_members[] = {
    {"amount", SHAPE_SUM, true},      {"currency", SHAPE_CURRENCY, true},
    {"at", SHAPE_TIME, true},         {"mode", SHAPE_TEXT, true},
    {"carried", SHAPE_SUM, false},    {"charges", SHAPE_ARRAY, false},
    {"uses", SHAPE_ARRAY, false},     {"plan", SHAPE_OBJECT, false},
    {"position", SHAPE_OBJECT, false}};

static const struct member charge_members[] = {{"period", SHAPE_OBJECT, true},
                                               {"price", SHAPE_SUM, true},
                                               {"ratio", SHAPE_AMOUNT, true},
                                               {"credit", SHAPE_SUM, true}};

static const struct member use_members[] = {{"featureKey", SHAPE_KEY, true},
                                            {"period", SHAPE_OBJECT, true},
                                            {"usage", SHAPE_SUM, true},
                                            {"quota", SHAPE_AMOUNT, true}};

static const struct member period_members[] = {{"from", SHAPE_TIME, true},
                                               {"to", SHAPE_TIME, true}};

static const struct member plan_members[] = {{"key", SHAPE_KEY, true},
                                             {"version", SHAPE_COUNT, true}};

static const struct member position_members[] = {{"partition", SHAPE_COUNT, true},
                                                 {"nextOffset", SHAPE_COUNT, true}};

/* Whether the object and its period have their members. */
static bool check_dated(struct catalog_check *check, const struct pointer *where, json_t *object,
                        const struct member *members, size_t count)
{
    struct pointer place = pointer_member(where, "period");
    json_t *period;

    if (!shape_check(check->issues, where, object, members, count))
        return false;
    period = json_object_get(object, "period");
    return !period ||
           shape_check(check->issues, &place, period, period_members, ARRAY_LEN(period_members));
}

static void check_array(struct catalog_check *check, const struct pointer *where, json_t *credit,
                        const char *name, const struct member *members, size_t count)
{
    struct pointer array = pointer_member(where, name);
    json_t *object;
    size_t i;

    shape_default(credit, name, json_array());
    json_array_foreach(json_object_get(credit, name), i, object)
    {
        struct pointer place = pointer_element(&array, i);

        if (!check_dated(check, &place, object, members, count))
            continue;
    }
}

static void check_object(struct catalog_check *check, const struct pointer *where, json_t *credit,
                         const char *name, const struct member *members, size_t count)
{
    struct pointer place = pointer_member(where, name);
    json_t *object = json_object_get(credit, name);

    if (object && !shape_check(check->issues, &place, object, members, count))
        return;
}

/* What its own inputs come to; the members are there and of their forms. */
static void check_sums(struct catalog_check *check, const struct pointer *where,
                       const json_t *credit)
{
    struct pointer amount = pointer_member(where, "amount");
    struct pointer charges = pointer_member(where, "charges");
    struct credit_fault fault;
    int r = credit_verify(credit, &fault);

    if (r == CREDIT_MALFORMED)
        issue_add(check->issues, where, "invalid_credit", "%s", fault.detail);
    else if (r == CREDIT_CHARGE_DIFFERS) {
        struct pointer place = pointer_element(&charges, fault.charge);

        issue_add(check->issues, &place, "credit_charge_differs", "%s", fault.detail);
    } else if (r == CREDIT_SUM_DIFFERS)
        issue_add(check->issues, &amount, "credit_sum_differs", "%s", fault.detail);
}

void catalog_check_credit(struct catalog_check *check, const struct pointer *where,
                          json_t *subscription, const json_t *plan)
{
    struct pointer place = pointer_member(where, "credit");
    struct pointer currency = pointer_member(&place, "currency");
    json_t *credit = json_object_get(subscription, "credit");
    size_t errors = check->issues->errors;

    if (!credit ||
        !shape_check(check->issues, &place, credit, credit_members, ARRAY_LEN(credit_members)))
        return;
    shape_default_string(credit, "carried", "0");
    check_array(check, &place, credit, "charges", charge_members, ARRAY_LEN(charge_members));
    check_array(check, &place, credit, "uses", use_members, ARRAY_LEN(use_members));
    check_object(check, &place, credit, "plan", plan_members, ARRAY_LEN(plan_members));
    check_object(check, &place, credit, "position", position_members, ARRAY_LEN(position_members));
    if (check->issues->errors != errors)
        return;
    if (plan && !text_equal(shape_text(subscription, "currency"), shape_text(credit, "currency")))
        issue_add(check->issues, &currency, "credit_currency_differs",
                  "the subscription pays in %s: nothing is converted",
                  shape_string(subscription, "currency"));
    else
        check_sums(check, &place, credit);
}
