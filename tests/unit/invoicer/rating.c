/*
 * rating.c - the published vectors, and what vectors can't say. tests/oracle/rating.py compares
 * random questions with another implementation.
 */
#include "invoicer/rules/rate_json.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *answer_of(const char *line, size_t length)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    CLEANUP(arena_deinit) struct arena arena;
    json_t *json;

    arena_init(&arena, 1 << 20);
    (void)!rate_json(text_from(line, length), &arena, &answer);
    json = json_loadb(answer.at, answer.length, 0, NULL);
    cr_assert_not_null(json, "%.*s", (int)answer.length, answer.at);
    return json;
}

/* Lines that move no money may be there or not. */
static void drop_idle_lines(json_t *answer)
{
    json_t *lines = json_object_get(answer, "lines");

    for (size_t i = json_array_size(lines); i-- > 0;) {
        const char *amount = json_string_value(json_object_get(json_array_get(lines, i), "amount"));

        if (strspn(amount, "0.") == strlen(amount))
            (void)json_array_remove(lines, i);
    }
}

/* Whether all that is expected is there; members that aren't named may be anything. */
static bool holds(const json_t *answer, const json_t *expected)
{
    const char *name;
    json_t *member;
    size_t i;

    if (json_is_array(expected) && json_array_size(answer) != json_array_size(expected))
        return false;
    json_array_foreach(expected, i, member)
    {
        if (!holds(json_array_get(answer, i), member))
            return false;
    }
    json_object_foreach((json_t *)expected, name, member)
    {
        if (!holds(json_object_get(answer, name), member))
            return false;
    }
    return json_is_array(expected) || json_is_object(expected) || json_equal(answer, expected);
}

static bool check_vector(const char *text)
{
    json_t *vector = json_loads(text, 0, NULL);
    bool is_asked = strcmp(json_string_value(json_object_get(vector, "ask")), "rate") == 0;
    const char *line = json_string_value(json_object_get(vector, "line"));
    char *question =
        line ? strdup(line) : json_dumps(json_object_get(vector, "question"), JSON_COMPACT);
    json_t *answer = is_asked ? answer_of(question, strlen(question)) : NULL;

    if (is_asked) {
        drop_idle_lines(answer);
        cr_assert(holds(answer, json_object_get(vector, "answer")), "%s\n%s", text,
                  json_dumps(answer, JSON_COMPACT));
    }
    json_decref(answer);
    free(question);
    json_decref(vector);
    return is_asked;
}

Test(rating, gives_the_published_vectors)
{
    glob_t files;
    size_t checked = 0, room = 0;
    char *line = NULL;

    cr_assert_eq(glob(TOLLWAY_SOURCE_DIR "/tests/golden/rating/*.ndjson", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        FILE *file = fopen(files.gl_pathv[i], "re");

        cr_assert_not_null(file, "%s", files.gl_pathv[i]);
        while (getline(&line, &room, file) > 0)
            checked += check_vector(line);
        (void)fclose(file);
    }
    free(line);
    globfree(&files);
    cr_assert_geq(checked, 190);
}

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
         "not_applicable", "/discounts/usage"},
        {"{\"currency\":\"USD\",\"price\":{\"type\":\"unit\",\"amount\":\"1\",\"minimumAmount\":"
         "\"0.005\"},\"quantity\":\"1\"}",
         "too_fine", "/price/minimumAmount"},
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
