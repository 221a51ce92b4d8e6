/* A price that is tried by `rate` and then published: what is wrong with it has the same code. */
#include "common/base/arena.h"
#include "invoicer/rules/catalog_file.h"
#include "invoicer/rules/rate_json.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char catalog[] =
    "{\"meters\":[{\"slug\":\"api\",\"aggregation\":\"SUM\",\"valueProperty\":\"$.v\","
    "\"groupBy\":{\"r\":\"$.r\",\"s\":\"$.s\"}}],"
    "\"features\":[{\"key\":\"api\",\"name\":\"API\",\"meterSlug\":\"api\"}],"
    "\"plans\":[{\"key\":\"p\",\"name\":\"P\",\"billingCadence\":\"P1M\",\"phases\":[{\"key\":"
    "\"d\","
    "\"name\":\"D\",\"rateCards\":[{\"type\":\"usage_based\",\"featureKey\":\"api\","
    "\"billingCadence\":\"P1M\",\"price\":%s,\"discounts\":%s}]}]}]}";

static void add(struct buffer *text, const char *format, const char *price, const char *discounts)
{
    const char *at = strstr(format, "%s");

    buffer_add(text, format, (size_t)(at - format));
    buffer_add_string(text, price);
    format = at + 2;
    at = strstr(format, "%s");
    buffer_add(text, format, (size_t)(at - format));
    buffer_add_string(text, discounts);
    buffer_add_string(text, at + 2);
}

static void code_of_rate(const char *price, const char *discounts, char code[64])
{
    const char *quantity = strstr(price, "\"percentage\"") ? "\"events\":[]"
                           : strstr(price, "\"matrix\"")   ? "\"quantities\":[]"
                                                           : "\"quantity\":\"1\"";
    struct buffer question = {0}, answer = {0};
    struct arena arena;
    json_t *read;
    const char *found;

    arena_init(&arena, 1 << 20);
    add(&question, "{\"currency\":\"USD\",\"price\":%s,\"discounts\":%s,", price, discounts);
    buffer_add_string(&question, quantity);
    buffer_add_char(&question, '}');
    (void)!rate_json(buffer_text(&question), &arena, &answer);
    read = json_loadb(answer.at, answer.length, 0, NULL);
    found = json_string_value(json_object_get(json_object_get(read, "error"), "code"));
    snprintf(code, 64, "%s", found ? found : "nothing");
    json_decref(read);
    arena_deinit(&arena);
    buffer_deinit(&question);
    buffer_deinit(&answer);
}

static void code_of_catalog(const char *price, const char *discounts, char code[64])
{
    struct buffer file = {0};
    struct catalog_state state;
    struct issues issues = {0};

    add(&file, catalog, price, discounts);
    catalog_state_init(&state);
    json_decref(catalog_file_read(buffer_text(&file), &state, &issues));
    snprintf(code, 64, "%s", issues.errors ? issues.at[0].code : "nothing");
    issues_deinit(&issues);
    catalog_state_deinit(&state);
    buffer_deinit(&file);
}

#define TIERS(LIST) "{\"type\":\"tiered\",\"mode\":\"graduated\",\"tiers\":[" LIST "]}"
#define MATRIX(DIMENSIONS, VALUES)                                                                 \
    "{\"type\":\"matrix\",\"dimensions\":" DIMENSIONS ",\"values\":" VALUES ",\"amount\":\"1\"}"
#define UNIT(MORE)      "{\"type\":\"unit\",\"amount\":\"1\"" MORE "}"
#define CONVERTED(MORE) UNIT(",\"unitConversion\":{" MORE "}")

static const struct {
    const char *price, *discounts, *code;
} cases[] = {
    {UNIT(""), "null", "nothing"},
    {"{\"type\":\"free\"}", "null", "invalid_price_type"},
    {"{\"amount\":\"1\"}", "null", "missing_member"},
    {"{\"type\":\"unit\"}", "null", "missing_member"},
    {"{\"type\":\"unit\",\"amount\":\"-1\"}", "null", "negative_value"},
    {"{\"type\":\"unit\",\"amount\":\"1e3\"}", "null", "invalid_amount"},
    {"{\"type\":\"unit\",\"amount\":\"0.0000000000001\"}", "null", "value_too_precise"},
    {"{\"type\":\"tiered\",\"mode\":\"stairs\",\"tiers\":[{\"unitPrice\":\"1\"}]}", "null",
     "invalid_price_mode"},
    {"{\"type\":\"flat\",\"amount\":\"1\",\"paymentTerm\":\"later\"}", "null",
     "invalid_payment_term"},
    {"{\"type\":\"tiered\",\"mode\":\"volume\"}", "null", "missing_member"},
    {"{\"type\":\"tiered\",\"mode\":\"volume\",\"tiers\":{}}", "null", "invalid_type"},
    {TIERS(""), "null", "tier_open_ended_required"},
    {TIERS("{\"upToAmount\":\"1\",\"unitPrice\":\"1\"}"), "null", "tier_open_ended_required"},
    {TIERS("{}"), "null", "tier_without_price"},
    {TIERS("{\"upToAmount\":\"0\",\"unitPrice\":\"1\"},{\"unitPrice\":\"1\"}"), "null",
     "tier_bound_invalid"},
    {"{\"type\":\"package\",\"amount\":\"1\",\"quantityPerPackage\":\"0\"}", "null",
     "package_size_invalid"},
    {UNIT(",\"minimumAmount\":\"2\",\"maximumAmount\":\"1\""), "null", "maximum_below_minimum"},
    {UNIT(",\"minimumAmount\":\"0.001\""), "null", "amount_finer_than_minor_unit"},
    {CONVERTED("\"operation\":\"add\",\"factor\":\"2\""), "null", "unit_conversion_invalid"},
    {CONVERTED("\"operation\":\"divide\",\"factor\":\"0\""), "null", "unit_conversion_invalid"},
    {CONVERTED("\"operation\":\"divide\",\"factor\":\"2\",\"rounding\":\"even\""), "null",
     "unit_conversion_invalid"},
    {CONVERTED("\"operation\":\"divide\",\"factor\":\"2\",\"precision\":13"), "null",
     "unit_conversion_invalid"},
    {CONVERTED("\"operation\":\"divide\",\"factor\":\"2\",\"precision\":\"2\""), "null",
     "invalid_type"},
    {CONVERTED("\"factor\":\"2\""), "null", "missing_member"},
    {MATRIX("[]", "[]"), "null", "matrix_dimensions_invalid"},
    {MATRIX("[\"r\",\"r\"]", "[]"), "null", "matrix_dimensions_invalid"},
    {MATRIX("[\"r\"]", "{}"), "null", "invalid_type"},
    {"{\"type\":\"matrix\",\"dimensions\":[\"r\"],\"amount\":\"1\"}", "null", "missing_member"},
    {MATRIX("[\"r\",\"s\"]", "[{\"match\":{\"r\":\"a\"},\"amount\":\"1\"}]"), "null",
     "matrix_match_invalid"},
    {MATRIX("[\"r\"]", "[{\"match\":{\"r\":1},\"amount\":\"1\"}]"), "null", "matrix_match_invalid"},
    {MATRIX("[\"r\"]", "[{\"match\":{\"r\":\"a\",\"s\":\"b\"},\"amount\":\"1\"}]"), "null",
     "matrix_match_invalid"},
    {MATRIX(
         "[\"r\"]",
         "[{\"match\":{\"r\":\"a\"},\"amount\":\"1\"},{\"match\":{\"r\":\"a\"},\"amount\":\"2\"}]"),
     "null", "matrix_match_duplicated"},
    {UNIT(""), "{\"percentage\":\"-1\"}", "percentage_discount_invalid_value"},
    {UNIT(""), "{\"percentage\":\"100.5\"}", "percentage_discount_invalid_value"},
    {"{\"type\":\"flat\",\"amount\":\"1\"}", "{\"usage\":{\"quantity\":\"1\"}}",
     "usage_discount_with_flat_price"},
    {"{\"type\":\"percentage\",\"rate\":\"1\"}", "{\"usage\":{\"quantity\":\"1\"}}",
     "usage_discount_not_applicable"},
    {MATRIX("[\"r\"]", "[]"), "{\"usage\":{\"quantity\":\"1\"}}", "usage_discount_not_applicable"},
    {"{\"type\":\"flat\",\"amount\":\"1\","
     "\"unitConversion\":{\"operation\":\"divide\",\"factor\":\"2\"}}",
     "null", "unit_conversion_not_applicable"},
    {"{\"type\":\"percentage\",\"rate\":\"1\","
     "\"unitConversion\":{\"operation\":\"divide\",\"factor\":\"2\"}}",
     "null", "unit_conversion_not_applicable"},
};

Test(price_codes, a_mistake_has_one_code_in_a_question_and_in_a_catalog)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char rate[64], file[64];

        code_of_rate(cases[i].price, cases[i].discounts, rate);
        code_of_catalog(cases[i].price, cases[i].discounts, file);
        cr_expect_str_eq(rate, cases[i].code, "rate: %s and not %s: %s %s", rate, cases[i].code,
                         cases[i].price, cases[i].discounts);
        cr_expect_str_eq(file, cases[i].code, "catalog: %s and not %s: %s %s", file, cases[i].code,
                         cases[i].price, cases[i].discounts);
    }
}
