/*
 * rating.c - what the published vectors (vectors.c) can't say. tests/oracle/rating.py compares
 * random questions with another implementation.
 */
#include "invoicer/rules/rate_json.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

Test(rating, refuses_with_the_code_and_the_place)
{
    static const char *const cases[][3] = {
        {"[]", "invalid_json", ""},
        {"{\"currency\":\"USD\",\"currency\":\"USD\"}", "invalid_json", ""},
        {"{\"currency\":\"usd\"}", "currency_invalid", "/currency"},
        {"{\"currency\":\"USD\",\"color\":1}", "unknown_member", "/color"},
        {"{\"currency\":\"USD\",\"price\":{\"type\":\"unit\"},\"quantity\":\"1\"}",
         "missing_member", "/price/amount"},
        {"{\"currency\":\"USD\",\"price\":{\"type\":\"unit\",\"amount\":\"-1\"},\"quantity\":"
         "\"1\"}",
         "negative_value", "/price/amount"},
        {"{\"currency\":\"USD\",\"price\":{\"type\":\"unit\",\"amount\":\"1\"}}", "missing_member",
         "/quantity"},
        {"{\"currency\":\"USD\",\"price\":{\"type\":\"unit\",\"amount\":\"1\"},\"quantity\":1}",
         "invalid_type", "/quantity"},
        {"{\"currency\":\"USD\",\"price\":{\"type\":\"unit\",\"amount\":\"1\"},\"quantity\":\"-"
         "1\"}",
         "negative_value", "/quantity"},
        {"{\"currency\":\"USD\",\"price\":{\"type\":\"tiered\",\"mode\":\"graduated\",\"tiers\":["
         "{\"upToAmount\":\"1\",\"unitPrice\":\"1\"}]},\"quantity\":\"1\"}",
         "tier_open_ended_required", "/price/tiers/0/upToAmount"},
        {"{\"currency\":\"USD\",\"price\":{\"type\":\"tiered\",\"mode\":\"graduated\",\"tiers\":["
         "{\"upToAmount\":\"2\",\"unitPrice\":\"1\"},{\"upToAmount\":\"2\",\"unitPrice\":\"1\"},"
         "{\"unitPrice\":\"1\"}]},\"quantity\":\"1\"}",
         "tier_bound_duplicated", "/price/tiers/1/upToAmount"},
        {"{\"currency\":\"USD\",\"price\":{\"type\":\"tiered\",\"mode\":\"volume\",\"tiers\":["
         "{\"unitPrice\":\"1\"}]},\"quantity\":\"1\",\"lastSlice\":false}",
         "not_in_slices", "/lastSlice"},
        {"{\"currency\":\"USD\",\"price\":{\"type\":\"flat\",\"amount\":\"1\"},\"quantity\":\"1\","
         "\"discounts\":{\"usage\":\"1\"}}",
         "usage_discount_with_flat_price", "/discounts/usage"},
        {"{\"currency\":\"USD\",\"price\":{\"type\":\"unit\",\"amount\":\"1\",\"minimumAmount\":"
         "\"0.005\"},\"quantity\":\"1\"}",
         "amount_finer_than_minor_unit", "/price/minimumAmount"},
        {"{\"currency\":\"USD\",\"price\":{\"type\":\"unit\",\"amount\":\"1\"},\"quantity\":\"1\","
         "\"discounts\":{\"percentage\":\"100.1\"}}",
         "percentage_discount_invalid_value", "/discounts/percentage"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buffer_deinit) struct buffer answer = {0};
        CLEANUP(arena_deinit) struct arena arena;
        const char *code = NULL, *pointer = NULL;
        json_t *json;

        arena_init(&arena, 1 << 20);
        cr_assert_eq(rate_json(text_of(cases[i][0]), &arena, &answer), QUESTION_REFUSED, "%s",
                     cases[i][0]);
        json = json_loadb(answer.at, answer.length, 0, NULL);
        cr_assert_eq(
            json_unpack(json, "{s:{s:s,s:s}}", "error", "code", &code, "pointer", &pointer), 0);
        cr_assert_str_eq(code, cases[i][1], "%s", cases[i][0]);
        cr_assert_str_eq(pointer, cases[i][2], "%s", cases[i][0]);
        json_decref(json);
    }
}

/* Quantities that only sums can reach: an outcome, never a wrong amount. */
Test(rating, overflow_is_an_outcome_that_leaves_everything_alone)
{
    const int128 most = (int128)(~(uint128)0 >> 1);
    struct price price = {.kind = PRICE_UNIT, .amount = decimal_from_int(999999999999999)};
    struct price_discounts none = {0};
    struct rating_slice slice = {.quantity = {most}, .is_last = true};
    struct rated_line lines[2];
    struct rating rating = {.line_count = 7};

    cr_assert_eq(rating_rate(&price, &none, currency_find(text_of("USD")), &slice, lines, &rating),
                 RATING_OVERFLOW);
    slice.billed_quantity.units = 1;
    price.amount = decimal_from_int(0);
    cr_assert_eq(rating_rate(&price, &none, currency_find(text_of("USD")), &slice, lines, &rating),
                 RATING_OVERFLOW);
    cr_assert_eq(rating.line_count, 7);
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 11;
}

static void assert_same_lines(const struct rated_line *a, const struct rated_line *b)
{
    cr_assert(a->kind == b->kind && a->tier == b->tier && a->value == b->value);
    cr_assert(a->quantity.units == b->quantity.units);
    cr_assert(a->unit_amount.units == b->unit_amount.units);
    cr_assert(a->amount.minor == b->amount.minor && a->discount.minor == b->discount.minor);
    cr_assert(a->total.minor == b->total.minor);
}

/* A minimum of 0 changes nothing, and isn't plain. */
static void assert_rated_alike(struct decimal quantity, struct decimal amount, const char *currency)
{
    const struct currency *in = currency_find(text_of(currency));
    struct price price = {.kind = PRICE_UNIT, .amount = amount};
    struct price_discounts none = {0};
    struct rating_slice slice = {.quantity = quantity, .is_last = true};
    struct rated_line plain_lines[2], lines[2];
    struct rating plain = {.line_count = 7}, rating = {.line_count = 7};
    int r = rating_rate(&price, &none, in, &slice, plain_lines, &plain);

    price.has_minimum = true;
    cr_assert_eq(r, rating_rate(&price, &none, in, &slice, lines, &rating));
    cr_assert_eq(plain.line_count, rating.line_count);
    if (r)
        return;
    if (plain.line_count)
        assert_same_lines(&plain_lines[0], &lines[0]);
    cr_assert(plain.billed_quantity.units == rating.billed_quantity.units);
    cr_assert(plain.amount.minor == rating.amount.minor);
    cr_assert(plain.discount.minor == 0 && rating.discount.minor == 0);
    cr_assert(plain.total.minor == rating.total.minor);
}

Test(rating, the_short_way_of_a_unit_price_says_what_the_long_one_says)
{
    const int128 most = (int128)(~(uint128)0 >> 1);
    const int128 edges[] = {0, 1, 999999999999, 1000000000000, (int128)1 << 63, most, -1};
    uint64_t state = 1;

    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        for (size_t j = 0; j + 2 < ARRAY_LEN(edges); j++)
            assert_rated_alike((struct decimal){edges[i]}, (struct decimal){edges[j]}, "USD");
    }
    for (int i = 0; i < 100000; i++) {
        int128 quantity = (int128)(next_random(&state) >> i % 53) * 1000000;
        int128 amount = (int128)(next_random(&state) >> i / 53 % 53) * (i % 3 ? 1 : 1000000);

        assert_rated_alike((struct decimal){quantity}, (struct decimal){amount},
                           i % 2 ? "USD" : "JPY");
    }
}

Test(rating, a_split_keeps_its_sum_and_the_earlier_part_wins_a_tie)
{
    const struct money weights[] = {{1}, {1}, {1}, {0}, {3}};
    struct money shares[5];

    cr_assert_eq(rating_split((struct money){100}, weights, 5, shares), 0);
    cr_assert(shares[0].minor == 17 && shares[1].minor == 17 && shares[2].minor == 16);
    cr_assert(shares[3].minor == 0 && shares[4].minor == 50);
    cr_assert_eq(rating_split((struct money){-2}, weights, 3, shares), 0);
    cr_assert(shares[0].minor == -1 && shares[1].minor == -1 && shares[2].minor == 0);
}
