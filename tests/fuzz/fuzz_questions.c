/*
 * fuzz_questions.c - any bytes as a question of rate, periods and prorate: the answer is one line
 * of JSON, for people whole lines without what a terminal would obey. A rating's total is its
 * amount less its discounts; periods touch and aren't empty; a credit and a charge aren't negative.
 */
#include "invoicer/rules/periods_json.h"
#include "invoicer/rules/prorate_json.h"
#include "invoicer/rules/rate_json.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>

/* With as many decimals as any currency has; false: an amount too large for that. */
static bool read_money(const json_t *answer, const char *name, struct money *money)
{
    const char *text = json_string_value(json_object_get(answer, name));
    int r = money_parse(text_of(text), currency_find(text_of("CLF")), money);

    assert(r == 0 || r == MONEY_OVERFLOW);
    assert(r || money->minor >= 0);
    return r == 0;
}

static void check_sums(const json_t *answer)
{
    struct money amount, discount, total;

    if (read_money(answer, "amount", &amount) && read_money(answer, "discountTotal", &discount) &&
        read_money(answer, "total", &total))
        assert(total.minor == amount.minor - discount.minor);
}

static void check_periods(const json_t *answer)
{
    const json_t *periods = json_object_get(answer, "periods");
    const char *end = NULL;

    assert(json_array_size(periods) > 0);
    for (size_t i = 0; i < json_array_size(periods); i++) {
        const json_t *period = json_array_get(periods, i);
        const char *from = json_string_value(json_object_get(period, "from"));
        const char *to = json_string_value(json_object_get(period, "to"));

        assert(!end || strcmp(end, from) == 0);
        assert(strcmp(from, to) < 0);
        end = to;
    }
}

static void check_credit(const json_t *answer)
{
    struct money money;

    (void)read_money(answer, "credit", &money);
    (void)read_money(answer, "charge", &money);
    assert(json_string_length(json_object_get(answer, "ratio")) == strlen("0.700000000000"));
}

/* `r` is what the question's function returned. */
static void check_answer(int r, const struct buffer *answer, void (*check)(const json_t *answer))
{
    json_t *json = json_loadb(answer->at, answer->length, JSON_REJECT_DUPLICATES, NULL);

    assert(!memchr(answer->at, '\n', answer->length));
    assert(json_is_object(json));
    if (r == 0)
        check(json);
    else
        assert(json_object_get(json, "error"));
    json_decref(json);
}

/* For people: the same verdict; a table ends its last line, a refusal doesn't. */
static void check_table(int r, int of_json, const struct buffer *table)
{
    assert(r == of_json);
    assert(table->length > 0);
    assert((r == 0) == (table->at[table->length - 1] == '\n'));
    for (size_t i = 0; i < table->length; i++) {
        unsigned char c = (unsigned char)table->at[i];

        assert((c >= 0x20 && c != 0x7f) || (r == 0 && c == '\n'));
    }
}

static void ask_rate(struct text text)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0}, table = {0};
    CLEANUP(arena_deinit) struct arena arena;
    int r;

    arena_init(&arena, 1 << 20);
    r = rate_json(text, &arena, &answer);
    check_answer(r, &answer, check_sums);
    arena_reset(&arena);
    check_table(rate_table(text, &arena, &table), r, &table);
}

static void ask_periods(struct text text)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0}, table = {0};
    CLEANUP(zone_cache_deinit) struct zone_cache zones = {0};
    int r = periods_json(text, &zones, &answer);

    check_answer(r, &answer, check_periods);
    check_table(periods_table(text, &zones, &table), r, &table);
}

static void ask_prorate(struct text text)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0}, table = {0};
    int r = prorate_json(text, &answer);

    check_answer(r, &answer, check_credit);
    check_table(prorate_table(text, &table), r, &table);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct text text = text_from(bytes, length);

    ask_rate(text);
    ask_periods(text);
    ask_prorate(text);
    return 0;
}
