/*
 * Prices (product.md 1.9, rating.md), each with the members of its own type alone. Tiers are
 * ordered by their inclusive bound; the last and no other is open-ended; each has a flat part or
 * one by quantity. A part may be written as {"type","amount"} or as the amount alone, and is stored
 * as the former. A conversion of units goes with every price of a quantity; minimum and maximum are
 * whole minor units of the price's currency.
 */
#include "invoicer/rules/catalog_check.h"

#include "common/base/money.h"

#include <string.h>

#define TYPE                                                                                       \
    {                                                                                              \
        "type", SHAPE_TEXT, true                                                                   \
    }
#define COMMITMENTS                                                                                \
    {"minimumAmount", SHAPE_AMOUNT, false},                                                        \
    {                                                                                              \
        "maximumAmount", SHAPE_AMOUNT, false                                                       \
    }
#define OF_USAGE                                                                                   \
    COMMITMENTS,                                                                                   \
    {                                                                                              \
        "unitConversion", SHAPE_OBJECT, false                                                      \
    }

static const struct member flat_members[] = {TYPE,
                                             {"amount", SHAPE_AMOUNT, true},
                                             {"paymentTerm", SHAPE_TEXT, false},
                                             {"unitConversion", SHAPE_OBJECT, false}};
static const struct member unit_members[] = {TYPE, {"amount", SHAPE_AMOUNT, true}, OF_USAGE};
static const struct member tiered_members[] = {
    TYPE, {"mode", SHAPE_TEXT, true}, {"tiers", SHAPE_ARRAY, true}, OF_USAGE};
static const struct member package_members[] = {
    TYPE, {"amount", SHAPE_AMOUNT, true}, {"quantityPerPackage", SHAPE_AMOUNT, true}, OF_USAGE};
static const struct member dynamic_members[] = {
    TYPE, {"multiplier", SHAPE_AMOUNT, false}, OF_USAGE};
static const struct member percentage_members[] = {
    TYPE,
    {"rate", SHAPE_AMOUNT, true},
    {"fixedAmount", SHAPE_AMOUNT, false},
    {"freeEvents", SHAPE_ANY, false},
    {"freeAmount", SHAPE_AMOUNT, false},
    {"eventMinimum", SHAPE_ANY, false},
    {"eventMaximum", SHAPE_ANY, false},
    OF_USAGE,
};
static const struct member graduated_percentage_members[] = {
    TYPE, {"tiers", SHAPE_ARRAY, true}, OF_USAGE};
static const struct member matrix_members[] = {
    TYPE,
    {"dimensions", SHAPE_ARRAY, true},
    {"values", SHAPE_ARRAY, true},
    {"amount", SHAPE_AMOUNT, true},
    OF_USAGE,
};
static const struct member tier_members[] = {{"upToAmount", SHAPE_AMOUNT, false},
                                             {"flatPrice", SHAPE_ANY, false},
                                             {"unitPrice", SHAPE_ANY, false}};
static const struct member rate_members[] = {{"upToAmount", SHAPE_AMOUNT, false},
                                             {"flatPrice", SHAPE_ANY, false},
                                             {"rate", SHAPE_AMOUNT, false}};
static const struct member conversion_members[] = {{"operation", SHAPE_TEXT, true},
                                                   {"factor", SHAPE_AMOUNT, true},
                                                   {"rounding", SHAPE_TEXT, false},
                                                   {"precision", SHAPE_COUNT, false}};
static const struct member part_members[] = {{"type", SHAPE_TEXT, false},
                                             {"amount", SHAPE_AMOUNT, true}};

typedef void check_model(struct catalog_check *check, const struct pointer *where, json_t *price,
                         const struct catalog_priced *of);

static check_model check_flat, check_tiered, check_package, check_graduated_percentage;

struct price_kind {
    const char *name;
    const struct member *members;
    size_t count;
    check_model *check;    /* what the members don't say; NULL: nothing */
    bool is_of_a_quantity; /* one that can be converted, and be free up to a part of it */
};

static const struct price_kind kinds[] = {
    {"flat", flat_members, ARRAY_LEN(flat_members), check_flat, false},
    {"unit", unit_members, ARRAY_LEN(unit_members), NULL, true},
    {"tiered", tiered_members, ARRAY_LEN(tiered_members), check_tiered, true},
    {"package", package_members, ARRAY_LEN(package_members), check_package, true},
    {"dynamic", dynamic_members, ARRAY_LEN(dynamic_members), NULL, true},
    {"percentage", percentage_members, ARRAY_LEN(percentage_members), catalog_check_percentage,
     false},
    {"graduated_percentage", graduated_percentage_members, ARRAY_LEN(graduated_percentage_members),
     check_graduated_percentage, true},
    {"matrix", matrix_members, ARRAY_LEN(matrix_members), catalog_check_matrix, false},
};

static bool amount_of(const json_t *object, const char *name, struct decimal *amount)
{
    struct text text = shape_text(object, name);

    return !text_is_absent(text) && decimal_parse(text, amount) == 0;
}

/* A minimum or maximum is an amount that is billed as it stands (rating.md 14). */
static void check_fineness(struct catalog_check *check, const struct pointer *where,
                           const json_t *price, const char *member, const char *currency)
{
    struct pointer place = pointer_member(where, member);
    const struct currency *of = currency ? currency_find(text_of(currency)) : NULL;
    struct decimal amount;
    struct money money;

    if (of && amount_of(price, member, &amount) && money_of(amount, of, &money) == MONEY_TOO_FINE)
        issue_add(check->issues, &place, "amount_finer_than_minor_unit",
                  "%s %s has more decimals than %s, which has %d", member,
                  shape_string(price, member), of->code, of->digits);
}

static void check_commitments(struct catalog_check *check, const struct pointer *where,
                              const json_t *price, const char *currency)
{
    struct pointer place = pointer_member(where, "maximumAmount");
    struct decimal least, most;

    check_fineness(check, where, price, "minimumAmount", currency);
    check_fineness(check, where, price, "maximumAmount", currency);
    if (amount_of(price, "minimumAmount", &least) && amount_of(price, "maximumAmount", &most) &&
        decimal_compare(least, most) > 0)
        issue_add(check->issues, &place, "maximum_below_minimum",
                  "maximumAmount %s lies below minimumAmount %s",
                  shape_string(price, "maximumAmount"), shape_string(price, "minimumAmount"));
}

/* Makes a tier's part {"type","amount"}; `type` is flat or unit. */
static void check_part(struct catalog_check *check, const struct pointer *where, json_t *tier,
                       const char *member, const char *type)
{
    struct pointer place = pointer_member(where, member);
    json_t *part = json_object_get(tier, member);

    if (!part)
        return;
    if (json_is_string(part) || json_is_integer(part)) {
        part = json_pack("{s:s,s:O}", "type", type, "amount", part);
        json_object_set_new(tier, member, part);
    }
    if (!shape_check(check->issues, &place, part, part_members, ARRAY_LEN(part_members)))
        return;
    shape_default_string(part, "type", type);
    if (strcmp(shape_string(part, "type"), type) != 0)
        issue_add(check->issues, &place, "invalid_price_type", "the type of %s is %s, not %s",
                  member, type, shape_string(part, "type"));
}

struct tier_bound {
    struct decimal last; /* of the tiers before */
    bool has_last;
    size_t open; /* tiers without a bound so far */
};

static void check_bound(struct catalog_check *check, const struct pointer *where,
                        const json_t *tier, struct tier_bound *bound)
{
    struct pointer place = pointer_member(where, "upToAmount");
    struct decimal up_to;

    if (!json_object_get(tier, "upToAmount")) {
        bound->open++;
        return;
    }
    if (!amount_of(tier, "upToAmount", &up_to))
        return;
    if (bound->open > 0)
        issue_add(check->issues, &place, "tier_after_open_ended",
                  "a tier stands behind the open-ended one");
    if (up_to.units == 0)
        issue_add(check->issues, &place, "tier_bound_invalid", "upToAmount is 0");
    else if (bound->has_last && decimal_compare(up_to, bound->last) == 0)
        issue_add(check->issues, &place, "tier_bound_duplicated", "two tiers end at %s",
                  shape_string(tier, "upToAmount"));
    else if (bound->has_last && decimal_compare(up_to, bound->last) < 0)
        issue_add(check->issues, &place, "tier_bound_invalid",
                  "upToAmount %s lies below that of the tier before",
                  shape_string(tier, "upToAmount"));
    bound->last = up_to;
    bound->has_last = true;
}

/* `part` is what a tier has by quantity: unitPrice, or a rate in per cent. */
static void check_tier(struct catalog_check *check, const struct pointer *where, json_t *tier,
                       const char *part, struct tier_bound *bound)
{
    bool is_rate = strcmp(part, "rate") == 0;

    if (!shape_check(check->issues, where, tier, is_rate ? rate_members : tier_members,
                     ARRAY_LEN(tier_members)))
        return;
    check_part(check, where, tier, "flatPrice", "flat");
    if (!is_rate)
        check_part(check, where, tier, part, "unit");
    if (!json_object_get(tier, "flatPrice") && !json_object_get(tier, part))
        issue_add(check->issues, where, "tier_without_price",
                  "a tier needs a flatPrice, a %s or both", part);
    check_bound(check, where, tier, bound);
}

static void check_tiers(struct catalog_check *check, const struct pointer *where, json_t *price,
                        const char *part)
{
    struct pointer place = pointer_member(where, "tiers");
    json_t *tiers = json_object_get(price, "tiers");
    struct tier_bound bound = {.has_last = false};
    json_t *tier;
    size_t i;

    if (!tiers)
        return;
    json_array_foreach(tiers, i, tier)
    {
        struct pointer element = pointer_element(&place, i);

        check_tier(check, &element, tier, part, &bound);
    }
    if (json_array_size(tiers) > CATALOG_TIERS_MAX)
        issue_add(check->issues, &place, "too_many_tiers", "a price has at most %d tiers",
                  CATALOG_TIERS_MAX);
    if (bound.open != 1)
        issue_add(check->issues, &place, "tier_open_ended_required",
                  "exactly one tier has no upToAmount, and it is the last; here %zu have none",
                  bound.open);
}

static void check_package(struct catalog_check *check, const struct pointer *where, json_t *price,
                          const struct catalog_priced *of)
{
    struct pointer place = pointer_member(where, "quantityPerPackage");
    struct decimal size;

    (void)of;
    if (amount_of(price, "quantityPerPackage", &size) && size.units == 0)
        issue_add(check->issues, &place, "package_size_invalid", "a package holds more than 0");
}

static void check_tiered(struct catalog_check *check, const struct pointer *where, json_t *price,
                         const struct catalog_priced *of)
{
    struct pointer place = pointer_member(where, "mode");
    const char *mode = shape_string(price, "mode");

    (void)of;
    check_tiers(check, where, price, "unitPrice");
    if (mode && strcmp(mode, "graduated") != 0 && strcmp(mode, "volume") != 0)
        issue_add(check->issues, &place, "invalid_price_mode", "%s isn't graduated or volume",
                  mode);
}

static void check_graduated_percentage(struct catalog_check *check, const struct pointer *where,
                                       json_t *price, const struct catalog_priced *of)
{
    (void)of;
    check_tiers(check, where, price, "rate");
}

static void check_flat(struct catalog_check *check, const struct pointer *where, json_t *price,
                       const struct catalog_priced *of)
{
    struct pointer place = pointer_member(where, "paymentTerm");
    const char *term;

    shape_default_string(price, "paymentTerm", of->of_usage ? "in_arrears" : "in_advance");
    term = shape_string(price, "paymentTerm");
    if (strcmp(term, "in_advance") != 0 && strcmp(term, "in_arrears") != 0)
        issue_add(check->issues, &place, "invalid_payment_term",
                  "%s isn't in_advance or in_arrears", term);
    else if (of->of_usage && strcmp(term, "in_arrears") != 0)
        issue_add(check->issues, &place, "invalid_payment_term",
                  "a usage_based rate card is always billed in_arrears");
}

static const struct price_kind *find_kind(const char *type)
{
    for (size_t i = 0; type && i < ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i].name, type) == 0)
            return &kinds[i];
    return NULL;
}

static bool is_one_of(const char *text, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0)
            return true;
    return false;
}

/* How the quantity is converted: what the reader of prices would refuse is refused here. */
static void check_conversion(struct catalog_check *check, const struct pointer *where,
                             json_t *conversion)
{
    static const char *const operations[] = {"divide", "multiply"};
    static const char *const roundings[] = {"none", "up", "down", "half_away"};
    struct pointer operation = pointer_member(where, "operation");
    struct pointer rounding = pointer_member(where, "rounding");
    struct pointer factor = pointer_member(where, "factor");
    struct pointer precision = pointer_member(where, "precision");
    const char *text;
    struct decimal by;

    if (!shape_check(check->issues, where, conversion, conversion_members,
                     ARRAY_LEN(conversion_members)))
        return;
    text = shape_string(conversion, "operation");
    if (text && !is_one_of(text, operations, ARRAY_LEN(operations)))
        issue_add(check->issues, &operation, "unit_conversion_invalid",
                  "%s isn't divide or multiply", text);
    shape_default_string(conversion, "rounding", roundings[0]);
    text = shape_string(conversion, "rounding");
    if (!is_one_of(text, roundings, ARRAY_LEN(roundings)))
        issue_add(check->issues, &rounding, "unit_conversion_invalid",
                  "%s isn't none, up, down or half_away", text);
    if (amount_of(conversion, "factor", &by) && by.units == 0)
        issue_add(check->issues, &factor, "unit_conversion_invalid", "factor is 0");
    shape_default(conversion, "precision", json_integer(0));
    if (json_integer_value(json_object_get(conversion, "precision")) > DECIMAL_PLACES)
        issue_add(check->issues, &precision, "unit_conversion_invalid",
                  "precision is more than %d decimals", DECIMAL_PLACES);
}

/* rating.md 9: what has no quantity of its own has nothing to convert or to give away. */
static void check_quantity(struct catalog_check *check, const struct pointer *where, json_t *price,
                           const struct price_kind *kind, const struct catalog_priced *of)
{
    struct pointer place = pointer_member(where, "unitConversion");
    json_t *conversion = json_object_get(price, "unitConversion");
    const json_t *discounts = json_object_get(of->card, "discounts");

    if (conversion && kind->is_of_a_quantity)
        check_conversion(check, &place, conversion);
    else if (conversion)
        issue_add(check->issues, &place, "unit_conversion_not_applicable",
                  "a %s price has no quantity of its own to convert", kind->name);
    if (of->of_usage && json_object_get(discounts, "usage") && !kind->is_of_a_quantity &&
        kind->check != check_flat) /* which has a code of its own */
        issue_add(check->issues, where, "usage_discount_not_applicable",
                  "a %s price takes no usage discount", kind->name);
}

void catalog_check_price(struct catalog_check *check, const struct pointer *where, json_t *price,
                         const struct catalog_priced *of)
{
    struct pointer place = pointer_member(where, "type");
    const char *type = shape_string(price, "type");
    const struct price_kind *kind = find_kind(type);

    if (!kind) {
        issue_add(check->issues, &place, type ? "invalid_price_type" : "missing_member",
                  "%s isn't one of flat, unit, tiered, package, dynamic, percentage, "
                  "graduated_percentage, matrix",
                  type ? type : "type");
        return;
    }
    if (!shape_check(check->issues, where, price, kind->members, kind->count))
        return;
    if (!of->of_usage && kind->check != check_flat)
        issue_add(check->issues, &place, "rate_card_only_flat_price_allowed",
                  "a flat_fee rate card has a flat price or none, not %s", type);
    check_commitments(check, where, price, of->currency);
    check_quantity(check, where, price, kind, of);
    if (kind->check)
        kind->check(check, where, price, of);
}
