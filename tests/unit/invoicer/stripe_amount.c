/*
 * stripe_amount.c - our amounts as Stripe counts them: by its documentation's special cases.
 */
#include "invoicer/rules/stripe_amount.h"

#include <criterion/criterion.h>

struct amount_case {
    const char *currency, *amount;
    int64_t expected;
};

static bool amount_of(const char *currency, const char *text, int64_t *amount,
                      char why[STRIPE_AMOUNT_WHY_MAX])
{
    const struct currency *found = currency_find(text_of(currency));
    struct money money;

    cr_assert_not_null(found, "%s", currency);
    cr_assert_eq(money_parse(text_of(text), found, &money), 0, "%s", text);
    return stripe_amount(money, found, amount, why);
}

static void assert_refused(const char *currency, const char *text, const char *words)
{
    char why[STRIPE_AMOUNT_WHY_MAX] = "";
    int64_t amount = 4711;

    cr_assert_not(amount_of(currency, text, &amount, why), "%s %s", text, currency);

    cr_assert_not_null(strstr(why, words), "%s", why);
    cr_assert_eq(amount, 4711);
}

Test(stripe_amount, is_an_integer_of_what_stripe_counts_in)
{
    static const struct amount_case cases[] = {
        {"USD", "2022.42", 202242},
        {"EUR", "-0.01", -1},
        {"JPY", "1500", 1500},
        {"KRW", "-7", -7},
        {"HUF", "10.45", 1045},
        {"TWD", "800.45", 80045},
        {"ISK", "5", 500},
        {"UGX", "5", 500},
        {"KWD", "5.120", 5120},
        {"BHD", "-0.010", -10},
        {"OMR", "1000.000", 1000000},
        {"MGA", "12.00", 12},
        {"USD", "0.00", 0},
        {"USD", "92233720368547758.07", INT64_MAX},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char why[STRIPE_AMOUNT_WHY_MAX] = "";
        int64_t amount = 0;

        cr_assert(amount_of(cases[i].currency, cases[i].amount, &amount, why), "%s", why);
        cr_assert_eq(amount, cases[i].expected, "%s %s", cases[i].amount, cases[i].currency);
    }
}

Test(stripe_amount, of_three_decimals_must_end_in_0)
{
    assert_refused("KWD", "5.124", "2 decimals, and this is 5.124");
    assert_refused("TND", "-0.001", "give prices that come to no more decimals");
}

Test(stripe_amount, with_a_minor_unit_that_stripe_does_not_have_is_refused)
{
    assert_refused("MGA", "12.20", "0 decimals, and this is 12.20");
}

Test(stripe_amount, of_a_currency_of_four_decimals_is_refused_whatever_it_is)
{
    assert_refused("CLF", "1.0000", "Stripe takes no CLF");
    assert_refused("UYW", "0.0000", "Stripe takes no UYW");
}

Test(stripe_amount, that_no_integer_of_64_bits_holds_is_refused)
{
    assert_refused("USD", "92233720368547758.08", "too much");
    assert_refused("ISK", "92233720368547759", "too much");
    assert_refused("ISK", "100000000000000000000000000", "too much");
}
