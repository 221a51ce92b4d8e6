/*
 * money.c - exact products and the one rounding.
 */
#include "common/base/money.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct decimal decimal_of(const char *text)
{
    struct decimal value;

    cr_assert_eq(decimal_parse(text_of(text), &value), 0, "%s", text);
    return value;
}

static const struct currency *euro(void)
{
    return currency_find(text_of("EUR"));
}

static void assert_money(struct money money, const char *currency, const char *expected)
{
    char text[MONEY_TEXT_MAX];

    cr_assert_eq(money_format(money, currency_find(text_of(currency)), text), strlen(expected));
    cr_assert_str_eq(text, expected);
}

Test(money, zero_has_its_currencys_places)
{
    assert_money((struct money){0}, "JPY", "0");
    assert_money((struct money){0}, "EUR", "0.00");
    assert_money((struct money){0}, "KWD", "0.000");
    assert_money((struct money){0}, "CLF", "0.0000");
}

Test(money, rounds_half_away_from_zero_at_the_minor_unit)
{
    static const char *const cases[][4] = {
        /* quantity, price, currency, amount */
        {"1", "0.005", "EUR", "0.01"},
        {"-1", "0.005", "EUR", "-0.01"},
        {"1", "0.004999999999", "EUR", "0.00"},
        {"-1", "0.004999999999", "EUR", "0.00"},
        {"0.5", "1", "JPY", "1"},
        {"0.499999999999", "1", "JPY", "0"},
        {"3", "0.0005", "KWD", "0.002"},
        {"1", "0.00005", "CLF", "0.0001"},
        {"100000", "0.001", "USD", "100.00"},
        {"666", "0.001", "USD", "0.67"},
        {"333", "0.001", "USD", "0.33"},
        {"0.000000000001", "0.000000000001", "USD", "0.00"},
        {"999999999999999.999999999999", "999999999999999.999999999999", "USD",
         "999999999999999999999999998000.00"},
        {"999999999999999", "-999999999999999", "CLF", "-999999999999998000000000000001.0000"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct exact exact;
        struct money money;

        cr_assert_eq(exact_product(decimal_of(cases[i][0]), decimal_of(cases[i][1]), &exact), 0);
        cr_assert_eq(
            money_round(exact, currency_find(text_of(cases[i][2])), HALF_AWAY_FROM_ZERO, &money),
            0);
        assert_money(money, cases[i][2], cases[i][3]);
    }
}

/* Against the same sum in integers that a machine word holds. */
Test(money, products_agree_with_small_integers)
{
    srand(11);
    for (int i = 0; i < 200000; i++) {
        int64_t a = rand() % 2000001 - 1000000, b = rand() % 2000001 - 1000000;
        struct decimal quantity = {(int128)a * 1000000}, price = {(int128)b * 1000000};
        struct exact exact;
        struct money money;
        int64_t size = a * b < 0 ? -(a * b) : a * b; /* of 10^-12 */
        int64_t cents = (size + 5000000000) / 10000000000;

        cr_assert_eq(exact_product(quantity, price, &exact), 0);
        cr_assert_eq(money_round(exact, euro(), HALF_AWAY_FROM_ZERO, &money), 0);
        cr_assert(money.minor == (a * b < 0 ? -cents : cents), "%ld x %ld", a, b);
    }
}

/* Of any size up to 2^bits, often whole or next to a half of a minor unit. */
static struct decimal random_decimal(uint64_t *state)
{
    static const int64_t steps[] = {1, 5000000000, 10000000000, 1000000000000};
    int bits;
    int128 units;

    *state = *state * 6364136223846793005u + 1442695040888963407u;
    bits = (int)(*state >> 58) + 1; /* 1 to 64 */
    units = (int128)((*state ^ *state << 29) >> (64 - bits)) * steps[*state >> 32 & 3] +
            (int)(*state >> 40 & 3) - 1;
    return (struct decimal){*state >> 50 & 1 ? -units : units};
}

Test(money, the_short_way_of_a_product_is_the_long_way)
{
    static const char *const codes[] = {"JPY", "USD", "KWD", "CLF"};
    uint64_t state = 20260201;

    for (int i = 0; i < 400000; i++) {
        const struct currency *currency = currency_find(text_of(codes[i % 4]));
        struct decimal quantity = random_decimal(&state), price = random_decimal(&state);
        struct exact exact;
        struct money expected, found;
        int r = exact_product(quantity, price, &exact);

        r = r ? r : money_round(exact, currency, HALF_AWAY_FROM_ZERO, &expected);
        cr_assert_eq(money_of_product(quantity, price, currency, HALF_AWAY_FROM_ZERO, &found), r);
        if (r == 0)
            cr_assert(found.minor == expected.minor, "case %d", i);
    }
}

Test(money, says_when_it_has_no_room)
{
    const int128 most = (int128)(~(uint128)0 >> 1);
    struct decimal huge = {most};
    struct exact exact = {{7}, false};
    struct money money = {42};

    cr_assert_eq(exact_product(huge, huge, &exact), MONEY_OVERFLOW);
    cr_assert_eq(exact.limbs[0], 7);
    exact = exact_percent(huge, huge);
    cr_assert_eq(money_round(exact, euro(), HALF_AWAY_FROM_ZERO, &money), MONEY_OVERFLOW);
    cr_assert_eq(money_add((struct money){most}, (struct money){1}, &money), MONEY_OVERFLOW);
    cr_assert_eq(money_subtract((struct money){-most}, (struct money){1}, &money), MONEY_OVERFLOW);
    cr_assert_eq(
        money_percent((struct money){most}, decimal_of("101"), HALF_AWAY_FROM_ZERO, &money),
        MONEY_OVERFLOW);
    cr_assert(money.minor == 42);
    cr_assert_eq(
        money_percent((struct money){most}, decimal_of("100"), HALF_AWAY_FROM_ZERO, &money), 0);
    cr_assert(money.minor == most);
    for (size_t i = 0; i < 4; i++)
        exact.limbs[i] = UINT64_MAX;
    cr_assert_eq(exact_add(exact, exact_of(decimal_of("1")), &exact), MONEY_OVERFLOW);
}

Test(exact, adds_across_signs_and_limbs)
{
    struct exact a, b, sum;

    cr_assert_eq(exact_product(decimal_of("123456789012345.678"), decimal_of("98765.4321"), &a), 0);
    b = exact_negate(a);
    cr_assert_eq(exact_add(a, b, &sum), 0);
    cr_assert_eq(exact_compare(sum, exact_of(decimal_of("0"))), 0);
    cr_assert_eq(sum.negative, false);
    cr_assert_eq(exact_add(a, exact_of(decimal_of("-0.000000000001")), &sum), 0);
    cr_assert_lt(exact_compare(sum, a), 0);
    cr_assert_gt(exact_compare(exact_negate(sum), b), 0);
    cr_assert_eq(exact_add(sum, exact_of(decimal_of("0.000000000001")), &sum), 0);
    cr_assert_eq(exact_compare(sum, a), 0);
    cr_assert_eq(exact_compare(exact_percent(decimal_of("200"), decimal_of("2.5")),
                               exact_of(decimal_of("5"))),
                 0);
}

Test(money, takes_a_percentage)
{
    struct money part;

    cr_assert_eq(money_percent((struct money){999}, decimal_of("20"), HALF_AWAY_FROM_ZERO, &part),
                 0);
    assert_money(part, "EUR", "2.00");
    cr_assert_eq(money_percent((struct money){-5}, decimal_of("10"), HALF_AWAY_FROM_ZERO, &part),
                 0);
    assert_money(part, "EUR", "-0.01");
    cr_assert_eq(money_percent((struct money){4}, decimal_of("12.4"), HALF_AWAY_FROM_ZERO, &part),
                 0);
    assert_money(part, "EUR", "0.00");
}

Test(money, given_amounts_are_never_rounded)
{
    struct money money = {42};

    cr_assert_eq(money_of(decimal_of("1.005"), euro(), &money), MONEY_TOO_FINE);
    cr_assert(money.minor == 42);
    cr_assert_eq(money_of(decimal_of("-1.50"), euro(), &money), 0);
    assert_money(money, "EUR", "-1.50");
    cr_assert_eq(money_of(decimal_of("7"), currency_find(text_of("JPY")), &money), 0);
    assert_money(money, "JPY", "7");
}

Test(money, is_read_back_as_it_was_written)
{
    static const char *const same[] = {"0.00", "12.30", "-0.05", "1000000000000000000000.01"};
    struct money money = {42};

    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        cr_assert_eq(money_parse(text_of(same[i]), euro(), &money), 0, "%s", same[i]);
        assert_money(money, "EUR", same[i]);
    }
    cr_assert_eq(money_parse(text_of("5.1"), euro(), &money), 0);
    assert_money(money, "EUR", "5.10");
    cr_assert_eq(money_parse(text_of("5.001"), euro(), &money), MONEY_TOO_FINE);
    cr_assert_eq(money_parse(text_of("5.0"), currency_find(text_of("JPY")), &money),
                 MONEY_TOO_FINE);
    static const char *const wrong[] = {"", "-", ".", "5.", ".5", "1e3", "+1", "1.2.3", "1,5"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        cr_assert_eq(money_parse(text_of(wrong[i]), euro(), &money), MONEY_NOT_AN_AMOUNT, "%s",
                     wrong[i]);
    cr_assert_eq(money_parse(text_of("170141183460469231731687303715884105727"), euro(), &money),
                 MONEY_OVERFLOW);
    /* 2^128 and a little more: what wraps would look like a small amount */
    cr_assert_eq(money_parse(text_of("340282366920938463463374607431768211466"),
                             currency_find(text_of("JPY")), &money),
                 MONEY_OVERFLOW);
}

Test(currency, is_found_by_its_code)
{
    static const struct currency known[] = {{"AED", 2}, {"JPY", 0}, {"KWD", 3},
                                            {"CLF", 4}, {"EUR", 2}, {"ZWG", 2}};

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        const struct currency *found = currency_find(text_of(known[i].code));

        cr_assert_not_null(found, "%s", known[i].code);
        cr_assert_str_eq(found->code, known[i].code);
        cr_assert_eq(found->digits, known[i].digits);
    }
    cr_assert_null(currency_find(text_of("eur")));
    cr_assert_null(currency_find(text_of("EURO")));
    cr_assert_null(currency_find(text_of("XXX")));
    cr_assert_null(currency_find(text_of(NULL)));
}
