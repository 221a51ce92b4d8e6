/*
 * Rate cards (product.md 1.8, 1.10). A card that is linked to a feature takes its key and name from
 * it and may not have another key (metering.md 2). A usage card needs a feature with a meter. Its
 * cadence and the plan's must align, so that each cycle ends on an invoice.
 */
#include "invoicer/rules/catalog_check.h"

#include "common/base/decimal.h"
#include "common/base/duration.h"

#include <string.h>

static const struct member card_members[] = {
    {"type", SHAPE_TEXT, true},
    {"key", SHAPE_KEY, false},
    {"name", SHAPE_NAME, false},
    {"description", SHAPE_DESCRIPTION, false},
    {"metadata", SHAPE_MAP, false},
    {"featureKey", SHAPE_KEY, false},
    {"entitlementTemplate", SHAPE_OBJECT, false},
    {"taxConfig", SHAPE_OBJECT, false},
    {"discounts", SHAPE_OBJECT, false},
    {"billingCadence", SHAPE_DURATION, false},
    {"price", SHAPE_OBJECT, false},
    {"prices", SHAPE_OBJECT, false},
};

static const struct member discount_members[] = {
    {"percentage", SHAPE_PERCENT, false},
    {"usage", SHAPE_OBJECT, false},
};

static const struct member usage_members[] = {{"quantity", SHAPE_AMOUNT, true}};

static const struct member entitlement_members[] = {
    {"type", SHAPE_TEXT, true},
    {"config", SHAPE_ANY, false},
    {"metadata", SHAPE_MAP, false},
    {"issueAfterReset", SHAPE_AMOUNT, false},
    {"issueAfterResetPriority", SHAPE_COUNT, false},
    {"isSoftLimit", SHAPE_SWITCH, false},
    {"preserveOverageAtReset", SHAPE_SWITCH, false},
    {"usagePeriod", SHAPE_DURATION, false},
};

static bool is(const json_t *object, const char *name, const char *value)
{
    return text_is(shape_text(object, name), value);
}

static void check_feature_of(struct catalog_check *check, const struct pointer *where, json_t *card)
{
    struct pointer place = pointer_member(where, "featureKey");
    struct pointer own = pointer_member(where, "key");
    const char *feature_key = shape_string(card, "featureKey");
    const json_t *feature = catalog_check_find_feature(check, feature_key);

    if (!feature_key)
        return;
    if (!feature)
        issue_add(check->issues, &place, "rate_card_feature_not_found", "there is no feature %s",
                  feature_key);
    shape_default_string(card, "key", feature_key);
    shape_default_string(card, "name", shape_string(feature, "name"));
    if (!is(card, "key", feature_key))
        issue_add(check->issues, &own, "rate_card_key_feature_key_mismatch",
                  "the rate card's key %s (key) and its feature %s (featureKey) must be equal, or "
                  "usage lands on no entitlement",
                  shape_string(card, "key"), feature_key);
}

static void check_usage_card(struct catalog_check *check, const struct pointer *where,
                             const json_t *card)
{
    struct pointer feature_place = pointer_member(where, "featureKey");
    struct pointer cadence_place = pointer_member(where, "billingCadence");
    const char *feature_key = shape_string(card, "featureKey");
    const json_t *feature = catalog_check_find_feature(check, feature_key);

    if (!feature_key)
        issue_add(check->issues, &feature_place, "usage_based_price_with_no_feature",
                  "a usage_based rate card needs a feature");
    else if (feature && !json_object_get(feature, "meterSlug"))
        issue_add(check->issues, &feature_place, "usage_based_price_with_feature_and_no_meter",
                  "feature %s has no meter, so nothing counts its usage", feature_key);
    if (!json_object_get(card, "billingCadence"))
        issue_add(check->issues, &cadence_place, "missing_member",
                  "a usage_based rate card needs a billingCadence");
}

/* A cadence is of one unit: P1M15D recurs by nothing that an invoice does. */
static bool aligns(struct duration card, struct duration plan)
{
    int units = (card.months != 0) + (card.days != 0) + (card.seconds != 0);

    return units == 1 && duration_align(card, plan);
}

static void check_cadence(struct catalog_check *check, const struct pointer *where,
                          const json_t *card, const json_t *of_plan)
{
    struct text plan_cadence = shape_text(of_plan, "billingCadence");
    struct pointer place = pointer_member(where, "billingCadence");
    struct text text = shape_text(card, "billingCadence");
    struct duration cadence, plan;

    if (text_is_absent(text) || duration_parse(text, &cadence))
        return;
    if (!duration_lasts_an_hour(cadence))
        issue_add(check->issues, &place, "billing_cadence_invalid_value",
                  "%s is shorter than an hour", text.at);
    else if (duration_parse(plan_cadence, &plan) == 0 && !aligns(cadence, plan))
        issue_add(
            check->issues, &place, "rate_card_billing_cadence_unaligned",
            "the rate card's %s and the plan's %s must be equal, or one must divide the other",
            text.at, plan_cadence.at);
}

/* In whichever currency. */
static bool has_flat_price(const json_t *card)
{
    const char *currency;
    json_t *price;

    json_object_foreach(json_object_get(card, "prices"), currency, price)
    {
        if (is(price, "type", "flat"))
            return true;
    }
    return is(json_object_get(card, "price"), "type", "flat");
}

static void check_discounts(struct catalog_check *check, const struct pointer *where,
                            const json_t *card)
{
    struct pointer place = pointer_member(where, "discounts");
    struct pointer usage_place = pointer_member(&place, "usage");
    json_t *discounts = json_object_get(card, "discounts");
    json_t *usage = json_object_get(discounts, "usage");

    if (!discounts || !shape_check(check->issues, &place, discounts, discount_members,
                                   ARRAY_LEN(discount_members)))
        return;
    if (usage &&
        shape_check(check->issues, &usage_place, usage, usage_members, ARRAY_LEN(usage_members)) &&
        has_flat_price(card))
        issue_add(check->issues, &usage_place, "usage_discount_with_flat_price",
                  "a flat price has no usage to take off from");
}

/* A static entitlement's config is JSON in a string, and an object. */
static void check_config(struct catalog_check *check, const struct pointer *where,
                         json_t *entitlement)
{
    struct pointer place = pointer_member(where, "config");
    struct text config = shape_text(entitlement, "config");
    json_t *parsed;

    if (is(entitlement, "type", "boolean")) {
        json_object_del(entitlement, "config"); /* product.md 9.25 */
        return;
    }
    if (!json_object_get(entitlement, "config") && !is(entitlement, "type", "static"))
        return;
    parsed = text_is_absent(config) ? NULL : json_loadb(config.at, config.length, 0, NULL);
    if (!json_is_object(parsed))
        issue_add(check->issues, &place, "entitlement_template_invalid_json_config",
                  "config isn't a JSON object in a string");
    json_decref(parsed);
}

/* --- metered entitlements --- */

static bool amount_of(const json_t *object, const char *name, struct decimal *amount)
{
    struct text text = shape_text(object, name);

    return !text_is_absent(text) && decimal_parse(text, amount) == 0;
}

/* The bound up to which the price is free; false when it isn't. */
static bool free_part(const json_t *price, struct decimal *bound)
{
    const json_t *tier = json_array_get(json_object_get(price, "tiers"), 0);
    const json_t *flat = json_object_get(tier, "flatPrice");
    const json_t *unit = json_object_get(tier, "unitPrice");

    if ((flat && !is(flat, "amount", "0")) || (unit && !is(unit, "amount", "0")) ||
        (json_object_get(tier, "rate") && !is(tier, "rate", "0")))
        return false;
    return amount_of(tier, "upToAmount", bound) || amount_of(price, "freeAmount", bound);
}

/* What a usage card gives away in a period, in the units of its price: by discount, then by tier
 * or free amount. */
static bool free_quantity(const json_t *card, struct decimal *free_of_charge)
{
    const json_t *usage = json_object_get(json_object_get(card, "discounts"), "usage");
    struct decimal sum = {0}, part;
    bool is_some = amount_of(usage, "quantity", &sum);

    if (free_part(json_object_get(card, "price"), &part)) {
        is_some = true;
        if (decimal_add(sum, part, &sum))
            return false;
    }
    *free_of_charge = sum;
    return is_some;
}

/* A quota counts as the meter does, a price perhaps in other units. */
static bool converted(const json_t *card, struct decimal quota, struct decimal *units)
{
    const json_t *conversion = json_object_get(json_object_get(card, "price"), "unitConversion");
    struct decimal factor;

    *units = quota;
    if (!conversion)
        return true;
    if (!amount_of(conversion, "factor", &factor) || factor.units == 0)
        return false;
    if (is(conversion, "operation", "multiply"))
        return !decimal_multiply(quota, factor, DECIMAL_PLACES, DECIMAL_HALF_AWAY, units);
    return !decimal_divide(quota, factor, DECIMAL_PLACES, DECIMAL_HALF_AWAY, units);
}

/* product.md 9.28 */
static void check_quota(struct catalog_check *check, const struct pointer *where,
                        const json_t *entitlement, const json_t *card)
{
    struct pointer place = pointer_member(where, "issueAfterReset");
    struct decimal quota, units, free_of_charge;
    char ends[DECIMAL_TEXT_MAX], in_units[DECIMAL_TEXT_MAX];

    if (!amount_of(entitlement, "issueAfterReset", &quota) || !is(card, "type", "usage_based") ||
        !free_quantity(card, &free_of_charge) || !converted(card, quota, &units) ||
        decimal_compare(units, free_of_charge) == 0)
        return;
    (void)decimal_format(free_of_charge, ends);
    (void)decimal_format(units, in_units);
    issue_warn(check->issues, &place, "quota_and_free_tier_differ",
               "the quota is %s%s and the free tier ends at %s: billing follows the tier, blocking "
               "the quota",
               in_units, decimal_compare(units, quota) ? " in the price's units" : "", ends);
}

static void check_metered(struct catalog_check *check, const struct pointer *where,
                          json_t *entitlement, const json_t *card)
{
    struct pointer issue_place = pointer_member(where, "issueAfterReset");
    struct pointer period_place = pointer_member(where, "usagePeriod");
    struct pointer priority_place = pointer_member(where, "issueAfterResetPriority");
    struct text period = shape_text(entitlement, "usagePeriod");
    json_int_t priority =
        json_integer_value(json_object_get(entitlement, "issueAfterResetPriority"));
    struct duration length;

    if (!text_is_absent(period) && duration_parse(period, &length) == 0 &&
        !duration_lasts_an_hour(length))
        issue_add(check->issues, &period_place,
                  "entitlement_template_usage_period_less_then_an_hour",
                  "usagePeriod %s is shorter than an hour", period.at);
    shape_default(entitlement, "isSoftLimit", json_false());
    if (!json_object_get(entitlement, "issueAfterReset") &&
        !json_is_true(json_object_get(entitlement, "isSoftLimit")))
        issue_warn(check->issues, &issue_place, "entitlement_template_issue_after_reset_required",
                   "a hard limit without issueAfterReset is 0: nobody gets in");
    check_quota(check, where, entitlement, card);
    if (json_object_get(entitlement, "issueAfterResetPriority") && (priority < 1 || priority > 255))
        issue_add(check->issues, &priority_place, "invalid_priority",
                  "issueAfterResetPriority lies between 1 and 255");
}

static void check_entitlement(struct catalog_check *check, const struct pointer *where,
                              const json_t *card)
{
    struct pointer place = pointer_member(where, "entitlementTemplate");
    struct pointer type_place = pointer_member(&place, "type");
    json_t *entitlement = json_object_get(card, "entitlementTemplate");
    const json_t *feature = catalog_check_find_feature(check, shape_string(card, "featureKey"));
    const char *type;

    if (!entitlement || !shape_check(check->issues, &place, entitlement, entitlement_members,
                                     ARRAY_LEN(entitlement_members)))
        return;
    if (!json_object_get(card, "featureKey"))
        issue_add(check->issues, &place, "entitlement_template_with_no_feature",
                  "an entitlement needs a rate card with a featureKey");
    check_config(check, &place, entitlement);
    type = shape_string(entitlement, "type");
    if (!type || strcmp(type, "boolean") == 0 || strcmp(type, "static") == 0)
        return;
    if (strcmp(type, "metered") != 0)
        issue_add(check->issues, &type_place, "invalid_entitlement_type",
                  "%s isn't boolean, static or metered", type);
    else if (feature && !json_object_get(feature, "meterSlug"))
        issue_add(check->issues, &type_place, "entitlement_template_feature_without_meter",
                  "feature %s has no meter, so nothing counts against its quota",
                  shape_string(card, "featureKey"));
    else
        check_metered(check, &place, entitlement, card);
}

static void check_price_of(struct catalog_check *check, const struct pointer *where,
                           const json_t *card, const json_t *plan)
{
    struct pointer place = pointer_member(where, "price");
    struct pointer others = pointer_member(where, "prices");
    const json_t *feature = catalog_check_find_feature(check, shape_string(card, "featureKey"));
    json_t *price = json_object_get(card, "price");
    struct catalog_priced of = {
        .card = card,
        .meter = catalog_check_find_meter(check, shape_string(feature, "meterSlug")),
        .currency = shape_string(plan, "currency"),
        .of_usage = is(card, "type", "usage_based"),
    };

    if (price)
        catalog_check_price(check, &place, price, &of);
    catalog_check_prices(check, &others, &of);
}

void catalog_check_card(struct catalog_check *check, const struct pointer *where, json_t *card,
                        const json_t *plan)
{
    struct pointer type_place = pointer_member(where, "type");
    struct pointer key_place = pointer_member(where, "key");
    struct pointer tax_place = pointer_member(where, "taxConfig");
    bool of_usage;

    if (!shape_check(check->issues, where, card, card_members, ARRAY_LEN(card_members)))
        return;
    of_usage = is(card, "type", "usage_based");
    if (json_object_get(card, "type") && !of_usage && !is(card, "type", "flat_fee"))
        issue_add(check->issues, &type_place, "invalid_rate_card_type",
                  "%s isn't flat_fee or usage_based", shape_string(card, "type"));
    check_feature_of(check, where, card);
    if (!json_object_get(card, "key") && !(of_usage && !json_object_get(card, "featureKey")))
        issue_add(check->issues, &key_place, "missing_member",
                  "a rate card without a feature needs a key of its own");
    shape_default_string(card, "name", shape_string(card, "key"));
    if (of_usage)
        check_usage_card(check, where, card);
    check_cadence(check, where, card, plan);
    check_price_of(check, where, card, plan);
    check_discounts(check, where, card);
    catalog_check_tax(check, &tax_place, json_object_get(card, "taxConfig"));
    check_entitlement(check, where, card);
}
