#include "invoicer/rules/stripe_amount.h"

#include <stdio.h>
#include <string.h>

/* How many digits Stripe's minor unit has; -1: it takes no such currency. */
static int stripe_digits(const struct currency *currency)
{
    if (strcmp(currency->code, "MGA") == 0)
        return 0;
    if (strcmp(currency->code, "ISK") == 0 || strcmp(currency->code, "UGX") == 0)
        return 2;
    return currency->digits <= 3 ? currency->digits : -1;
}

/* In steps of 10^-digits; false when it isn't a whole number of them, or too many. */
static bool in_steps(struct money money, int from, int to, int64_t *amount)
{
    int128 minor = money.minor;

    for (; from < to; from++)
        if (__builtin_mul_overflow(minor, 10, &minor))
            return false;
    for (; from > to; from--) {
        if (minor % 10)
            return false;
        minor /= 10;
    }
    if (minor > INT64_MAX || minor < -INT64_MAX)
        return false;
    *amount = (int64_t)minor;
    return true;
}

/* Why not, by the first of what can be wrong. */
static void explain(struct money money, const struct currency *currency, int digits,
                    char why[STRIPE_AMOUNT_WHY_MAX])
{
    char text[MONEY_TEXT_MAX];
    int usable = digits < 3 ? digits : 2;

    (void)money_format(money, currency, text);
    if (digits < 0)
        (void)snprintf(why, STRIPE_AMOUNT_WHY_MAX, "Stripe takes no %s: collect it otherwise",
                       currency->code);
    else if (usable < currency->digits)
        (void)snprintf(
            why, STRIPE_AMOUNT_WHY_MAX,
            "Stripe takes %s with %d decimals, and this is %s: collect it otherwise, and "
            "give prices that come to no more decimals",
            currency->code, usable, text);
    else
        (void)snprintf(why, STRIPE_AMOUNT_WHY_MAX,
                       "Stripe can't count %s %s, it is too much: collect it otherwise", text,
                       currency->code);
}

bool stripe_amount(struct money money, const struct currency *currency, int64_t *amount,
                   char why[STRIPE_AMOUNT_WHY_MAX])
{
    int digits = stripe_digits(currency);
    int64_t made;

    if (digits >= 0 && in_steps(money, currency->digits, digits, &made) &&
        (digits < 3 || made % 10 == 0)) {
        *amount = made;
        return true;
    }
    explain(money, currency, digits, why);
    return false;
}
