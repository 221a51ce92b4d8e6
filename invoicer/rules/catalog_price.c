/*
 * Prices (product.md 1.9): flat, unit, tiered, package, dynamic, each with the members of its own
 * type alone. Tiers are ordered by their inclusive bound; the last and no other is open-ended; each
 * has a flat or a unit part. A part may be written as {"type","amount"} or as the amount alone, and
 * is stored as the former.
 */
#include "invoicer/rules/catalog_check.h"

#include "common/base/decimal.h"

#include <stdlib.h>
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

static const struct member flat_members[] = {
    TYPE, {"amount", SHAPE_AMOUNT, true}, {"paymentTerm", SHAPE_TEXT, false}};
static const struct member unit_members[] = {TYPE, {"amount", SHAPE_AMOUNT, true}, COMMITMENTS};
static const struct member tiered_members[] = {
    TYPE, {"mode", SHAPE_TEXT, true}, {"tiers", SHAPE_ARRAY, true}, COMMITMENTS};
static const struct member package_members[] = {
    TYPE, {"amount", SHAPE_AMOUNT, true}, {"quantityPerPackage", SHAPE_AMOUNT, true}, COMMITMENTS};
static const struct member dynamic_members[] = {
    TYPE, {"multiplier", SHAPE_AMOUNT, false}, COMMITMENTS};
static const struct member tier_members[] = {{"upToAmount", SHAPE_AMOUNT, false},
                                             {"flatPrice", SHAPE_ANY, false},
                                             {"unitPrice", SHAPE_ANY, false}};
static const struct member part_members[] = {{"type", SHAPE_TEXT, false},
                                             {"amount", SHAPE_AMOUNT, true}};

struct price_kind {
    const char *name;
    const struct member *members;
    size_t count;
};

static const struct price_kind kinds[] = {
    {"flat", flat_members, ARRAY_LEN(flat_members)},
    {"unit", unit_members, ARRAY_LEN(unit_members)},
    {"tiered", tiered_members, ARRAY_LEN(tiered_members)},
    {"package", package_members, ARRAY_LEN(package_members)},
    {"dynamic", dynamic_members, ARRAY_LEN(dynamic_members)},
};

static bool amount_of(const json_t *object, const char *name, struct decimal *amount)
{
    struct text text = shape_text(object, name);

    return !text_is_absent(text) && decimal_parse(text, amount) == 0;
}

static void check_commitments(struct catalog_check *check, const struct pointer *where,
                              const json_t *price)
{
    struct pointer place = pointer_member(where, "maximumAmount");
    struct decimal least, most;

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

static void check_tier(struct catalog_check *check, const struct pointer *where, json_t *tier,
                       struct tier_bound *bound)
{
    if (!shape_check(check->issues, where, tier, tier_members, ARRAY_LEN(tier_members)))
        return;
    check_part(check, where, tier, "flatPrice", "flat");
    check_part(check, where, tier, "unitPrice", "unit");
    if (!json_object_get(tier, "flatPrice") && !json_object_get(tier, "unitPrice"))
        issue_add(check->issues, where, "tier_without_price",
                  "a tier needs a flatPrice, a unitPrice or both");
    check_bound(check, where, tier, bound);
}

static void check_tiers(struct catalog_check *check, const struct pointer *where, json_t *price)
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

        check_tier(check, &element, tier, &bound);
    }
    if (json_array_size(tiers) > CATALOG_TIERS_MAX)
        issue_add(check->issues, &place, "too_many_tiers", "a price has at most %d tiers",
                  CATALOG_TIERS_MAX);
    if (bound.open != 1)
        issue_add(check->issues, &place, "tier_open_ended_required",
                  "exactly one tier has no upToAmount, and it is the last; here %zu have none",
                  bound.open);
}

static void check_package(struct catalog_check *check, const struct pointer *where,
                          const json_t *price)
{
    struct pointer place = pointer_member(where, "quantityPerPackage");
    struct decimal size;

    if (amount_of(price, "quantityPerPackage", &size) && size.units == 0)
        issue_add(check->issues, &place, "package_size_invalid", "a package holds more than 0");
}

static void check_mode(struct catalog_check *check, const struct pointer *where,
                       const json_t *price)
{
    struct pointer place = pointer_member(where, "mode");
    const char *mode = shape_string(price, "mode");

    if (mode && strcmp(mode, "graduated") != 0 && strcmp(mode, "volume") != 0)
        issue_add(check->issues, &place, "invalid_price_mode", "%s isn't graduated or volume",
                  mode);
}

static void check_term(struct catalog_check *check, const struct pointer *where, json_t *price,
                       bool of_usage)
{
    struct pointer place = pointer_member(where, "paymentTerm");
    const char *term;

    shape_default_string(price, "paymentTerm", of_usage ? "in_arrears" : "in_advance");
    term = shape_string(price, "paymentTerm");
    if (strcmp(term, "in_advance") != 0 && strcmp(term, "in_arrears") != 0)
        issue_add(check->issues, &place, "invalid_payment_term",
                  "%s isn't in_advance or in_arrears", term);
    else if (of_usage && strcmp(term, "in_arrears") != 0)
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

void catalog_check_price(struct catalog_check *check, const struct pointer *where, json_t *price,
                         bool of_usage)
{
    struct pointer place = pointer_member(where, "type");
    const char *type = shape_string(price, "type");
    const struct price_kind *kind = find_kind(type);

    if (!kind) {
        issue_add(check->issues, &place, type ? "invalid_price_type" : "missing_member",
                  "%s isn't one of flat, unit, tiered, package, dynamic", type ? type : "type");
        return;
    }
    if (!shape_check(check->issues, where, price, kind->members, kind->count))
        return;
    if (!of_usage && strcmp(type, "flat") != 0)
        issue_add(check->issues, &place, "rate_card_only_flat_price_allowed",
                  "a flat_fee rate card has a flat price or none, not %s", type);
    check_commitments(check, where, price);
    if (strcmp(type, "flat") == 0)
        check_term(check, where, price, of_usage);
    if (strcmp(type, "package") == 0)
        check_package(check, where, price);
    if (strcmp(type, "tiered") == 0) {
        check_mode(check, where, price);
        check_tiers(check, where, price);
    }
}
