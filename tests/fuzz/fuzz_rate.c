/*
 * fuzz_rate.c - any bytes as a rating question: the answer is one line of JSON, and a rating's
 * total is its amount less its discounts, none of them negative.
 */
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

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    CLEANUP(arena_deinit) struct arena arena;
    json_t *json;
    int r;

    arena_init(&arena, 1 << 20);
    r = rate_json(text_from(bytes, length), &arena, &answer);
    assert(!memchr(answer.at, '\n', answer.length));
    json = json_loadb(answer.at, answer.length, JSON_REJECT_DUPLICATES, NULL);
    assert(json_is_object(json));
    if (r == 0)
        check_sums(json);
    else
        assert(json_object_get(json, "error"));
    json_decref(json);
    return 0;
}
