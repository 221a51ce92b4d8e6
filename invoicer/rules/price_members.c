/*
 * price_members.c - refuses members that a price of its type doesn't have (price.h).
 *
 * For prices from outside that the catalog's checks haven't seen. Forms are price_read's matter.
 */
#include "invoicer/rules/question.h"

#include <stdio.h>
#include <string.h>

#define COMMITMENTS "minimumAmount", "maximumAmount", "unitConversion"

static const char *const flat_names[] = {"type", "amount", "paymentTerm", COMMITMENTS};
static const char *const unit_names[] = {"type", "amount", COMMITMENTS};
static const char *const tiered_names[] = {"type", "mode", "tiers", COMMITMENTS};
static const char *const package_names[] = {"type", "amount", "quantityPerPackage", COMMITMENTS};
static const char *const dynamic_names[] = {"type", "multiplier", COMMITMENTS};
static const char *const percentage_names[] = {"type",         "rate",       "fixedAmount",
                                               "freeAmount",   "freeEvents", "eventMinimum",
                                               "eventMaximum", COMMITMENTS};
static const char *const graduated_percentage_names[] = {"type", "tiers", COMMITMENTS};
static const char *const matrix_names[] = {"type", "dimensions", "values", "amount", COMMITMENTS};

static const struct {
    const char *type;
    struct question_members members;
} types[] = {
    {"flat", {flat_names, ARRAY_LEN(flat_names)}},
    {"unit", {unit_names, ARRAY_LEN(unit_names)}},
    {"tiered", {tiered_names, ARRAY_LEN(tiered_names)}},
    {"package", {package_names, ARRAY_LEN(package_names)}},
    {"dynamic", {dynamic_names, ARRAY_LEN(dynamic_names)}},
    {"percentage", {percentage_names, ARRAY_LEN(percentage_names)}},
    {"graduated_percentage", {graduated_percentage_names, ARRAY_LEN(graduated_percentage_names)}},
    {"matrix", {matrix_names, ARRAY_LEN(matrix_names)}},
};

static const char *const tier_names[] = {"upToAmount", "flatPrice", "unitPrice"};
static const char *const rate_tier_names[] = {"upToAmount", "flatPrice", "rate"};
static const char *const part_names[] = {"type", "amount"};
static const char *const value_names[] = {"match", "amount"};
static const char *const conversion_names[] = {"operation", "factor", "rounding", "precision"};

static const struct question_members tier_members = {tier_names, ARRAY_LEN(tier_names)};
static const struct question_members rate_tier_members = {rate_tier_names,
                                                          ARRAY_LEN(rate_tier_names)};
static const struct question_members part_members = {part_names, ARRAY_LEN(part_names)};
static const struct question_members value_members = {value_names, ARRAY_LEN(value_names)};
static const struct question_members conversion_members = {conversion_names,
                                                           ARRAY_LEN(conversion_names)};

/* A tier's part as an object names no other type than its own. */
static int check_part(const json_t *tier, const char *place, const char *member, const char *type,
                      struct price_issue *issue)
{
    const json_t *part = json_object_get(tier, member);
    const json_t *named = json_object_get(part, "type");
    char pointer[sizeof(issue->pointer)];
    int r;

    if (!json_is_object(part))
        return 0;
    (void)snprintf(pointer, sizeof(pointer), "%s/%s", place, member);
    r = question_check(part, pointer, &part_members, issue);
    if (r || !question_has(named))
        return r;
    if (!json_is_string(named) || strcmp(json_string_value(named), type) != 0) {
        (void)snprintf(pointer, sizeof(pointer), "%s/%s/type", place, member);
        return question_refuse(issue, "invalid_price_type", pointer, "isn't %s", type);
    }
    return 0;
}

static int check_tiers(const json_t *price, const struct question_members *members,
                       struct price_issue *issue)
{
    const json_t *tiers = json_object_get(price, "tiers");
    int r = 0;

    for (size_t i = 0; i < json_array_size(tiers) && r == 0; i++) {
        const json_t *tier = json_array_get(tiers, i);
        char place[32];

        (void)snprintf(place, sizeof(place), "/tiers/%zu", i);
        r = question_check(tier, place, members, issue);
        if (r == 0)
            r = check_part(tier, place, "flatPrice", "flat", issue);
        if (r == 0)
            r = check_part(tier, place, "unitPrice", "unit", issue);
    }
    return r;
}

static int check_values(const json_t *price, struct price_issue *issue)
{
    const json_t *values = json_object_get(price, "values");
    int r = 0;

    for (size_t i = 0; i < json_array_size(values) && r == 0; i++) {
        char place[32];

        (void)snprintf(place, sizeof(place), "/values/%zu", i);
        r = question_check(json_array_get(values, i), place, &value_members, issue);
    }
    return r;
}

static int check_inner(const json_t *price, const char *type, struct price_issue *issue)
{
    const json_t *conversion = json_object_get(price, "unitConversion");
    int r = 0;

    if (question_has(conversion))
        r = question_check(conversion, "/unitConversion", &conversion_members, issue);
    if (r == 0 && strcmp(type, "tiered") == 0)
        r = check_tiers(price, &tier_members, issue);
    if (r == 0 && strcmp(type, "graduated_percentage") == 0)
        r = check_tiers(price, &rate_tier_members, issue);
    if (r == 0 && strcmp(type, "matrix") == 0)
        r = check_values(price, issue);
    return r;
}

int price_check_members(const json_t *json, struct price_issue *issue)
{
    const char *type = json_string_value(json_object_get(json, "type"));
    int r;

    for (size_t i = 0; type && i < ARRAY_LEN(types); i++) {
        if (strcmp(type, types[i].type) != 0)
            continue;
        r = question_check(json, "", &types[i].members, issue);
        return (r ? r : check_inner(json, type, issue)) ? PRICE_MALFORMED : 0;
    }
    return 0; /* not a type: price_read says so */
}
