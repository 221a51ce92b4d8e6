/*
 * fuzz_values.c - numbers, times, durations and amounts out of any text: what is read is written in
 * its shortest form, and read from there as the same value.
 */
#include "common/base/duration.h"
#include "common/base/money.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static void check_decimal(struct text text)
{
    struct decimal value, again;
    char written[DECIMAL_TEXT_MAX];

    if (decimal_parse_json(text, &value) == 0) {
        struct text shortest = {written, decimal_format(value, written)};

        assert(decimal_parse(shortest, &again) == 0 && again.units == value.units);
        assert(decimal_parse_json(shortest, &again) == 0 && again.units == value.units);
    }
    /* Without an exponent both read the same, but for the zeros that JSON doesn't have in front. */
    if (decimal_parse(text, &value) == 0 && decimal_parse_json(text, &again) == 0)
        assert(again.units == value.units);
}

static void check_instant(struct text text)
{
    struct instant instant, again;
    char written[INSTANT_TEXT_MAX];

    if (instant_parse(text, &instant))
        return;
    assert(instant_parse(text_from(written, instant_format(instant, written)), &again) == 0);
    assert(instant_compare(instant, again) == 0);
}

static void check_duration(struct text text)
{
    struct duration duration, again;
    char written[DURATION_TEXT_MAX];

    if (duration_parse(text, &duration))
        return;
    assert(duration_parse(text_from(written, duration_format(duration, written)), &again) == 0);
    assert(duration_equal(duration, again));
}

static void check_money(struct text text, const char *code)
{
    const struct currency *currency = currency_find(text_of(code));
    struct money money, again;
    char written[MONEY_TEXT_MAX];

    if (money_parse(text, currency, &money))
        return;
    assert(money_parse(text_from(written, money_format(money, currency, written)), currency,
                       &again) == 0);
    assert(money_compare(money, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct text text = text_from(bytes, length);

    check_decimal(text);
    check_instant(text);
    check_duration(text);
    check_money(text, "JPY");
    check_money(text, "EUR");
    check_money(text, "CLF");
    return 0;
}
