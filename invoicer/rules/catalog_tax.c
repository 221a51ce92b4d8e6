/*
 * How a plan or a rate card is taxed (product.md 1.6, 6.7). Invoices here are without tax: it is
 * kept for whoever collects it, and checked, since a slip of the pen would be found there last.
 */
#include "invoicer/rules/catalog_check.h"

#include <string.h>

enum { TAX_CODE_LENGTH = 13 }; /* txcd_10000000 */

static const struct member tax_members[] = {{"behavior", SHAPE_TEXT, false},
                                            {"stripe", SHAPE_OBJECT, false}};
static const struct member stripe_members[] = {{"code", SHAPE_TEXT, true}};

static bool is_tax_code(const char *code)
{
    return strlen(code) == TAX_CODE_LENGTH && strncmp(code, "txcd_", 5) == 0 &&
           strspn(code + 5, "0123456789") == TAX_CODE_LENGTH - 5;
}

static void check_stripe(struct catalog_check *check, const struct pointer *where, json_t *stripe)
{
    struct pointer place = pointer_member(where, "code");
    const char *code;

    if (!shape_check(check->issues, where, stripe, stripe_members, ARRAY_LEN(stripe_members)))
        return;
    code = shape_string(stripe, "code");
    if (code && !is_tax_code(code))
        issue_add(check->issues, &place, "invalid_tax_code",
                  "%s isn't a tax code such as txcd_10000000", code);
}

void catalog_check_tax(struct catalog_check *check, const struct pointer *where, json_t *tax)
{
    struct pointer behavior_place = pointer_member(where, "behavior");
    struct pointer stripe_place = pointer_member(where, "stripe");
    const char *behavior;

    if (!tax || !shape_check(check->issues, where, tax, tax_members, ARRAY_LEN(tax_members)))
        return;
    behavior = shape_string(tax, "behavior");
    if (behavior && strcmp(behavior, "exclusive") != 0 && strcmp(behavior, "inclusive") != 0)
        issue_add(check->issues, &behavior_place, "invalid_tax_behavior",
                  "%s isn't exclusive or inclusive", behavior);
    if (json_object_get(tax, "stripe"))
        check_stripe(check, &stripe_place, json_object_get(tax, "stripe"));
}
