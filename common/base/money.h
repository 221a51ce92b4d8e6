/*
 * money.h - amounts of a currency, and the one place where an exact amount is rounded.
 *
 * A price times a quantity is exact in struct exact; it becomes money once a line, in money_round.
 *
 * Units      struct money counts minor units (cents); struct exact counts 10^-26 of the currency's
 *            unit: 12 decimals of a price, 12 of a quantity, 2 of a percentage.
 * Errors     MONEY_OVERFLOW wherever a sum has no room: an outcome for whoever adds.
 * Threads    Any.
 */
#pragma once

#include "common/base/decimal.h"

enum { MONEY_TEXT_MAX = 44 };

struct currency {
    char code[4];
    int digits; /* of the minor unit: 0, 2, 3 or 4 */
};

/* The currency of ISO 4217 by its code, upper case; NULL when there is none. */
const struct currency *currency_find(struct text code);

struct money {
    int128 minor;
};

struct exact {
    uint64_t limbs[4]; /* the size, least significant first */
    bool negative;     /* never of 0 */
};

enum money_outcome {
    MONEY_OVERFLOW = 1,
    MONEY_TOO_FINE,     /* has decimals below the minor unit */
    MONEY_NOT_AN_AMOUNT /* isn't written as one */
};

/* The sizes are symmetric, so that an amount can always be negated. */
MUST_USE static inline int money_add(struct money a, struct money b, struct money *sum)
{
    int128 minor;

    if (__builtin_add_overflow(a.minor, b.minor, &minor) || minor < -(int128)(~(uint128)0 >> 1))
        return MONEY_OVERFLOW;
    sum->minor = minor;
    return 0;
}

/* Spelled at the call, so that a reader sees it. */
enum rounding { HALF_AWAY_FROM_ZERO };

struct exact exact_of(struct decimal amount);
MUST_USE int exact_product(struct decimal quantity, struct decimal price, struct exact *product);
struct exact exact_percent(struct decimal amount, struct decimal percent); /* a × p / 100 */
MUST_USE int exact_add(struct exact a, struct exact b, struct exact *sum);
struct exact exact_negate(struct exact amount);
int exact_compare(struct exact a, struct exact b);

MUST_USE int money_round(struct exact amount, const struct currency *currency,
                         enum rounding rounding, struct money *money);
/* quantity × price, rounded: the same as money_round of their product, in a fraction of the time.
 */
MUST_USE int money_of_product(struct decimal quantity, struct decimal price,
                              const struct currency *currency, enum rounding rounding,
                              struct money *money);
/* amount × percent / 100, rounded: what a percentage discount takes off a line. */
MUST_USE int money_percent(struct money amount, struct decimal percent, enum rounding rounding,
                           struct money *part);
/* amount × part / whole, rounded. 0 ≤ part ≤ whole, whole > 0: it is never more than the amount. */
struct money money_share(struct money amount, int128 part, int128 whole, enum rounding rounding);
MUST_USE int money_subtract(struct money a, struct money b, struct money *difference);
int money_compare(struct money a, struct money b);
/* An amount that is given: MONEY_TOO_FINE rather than rounded. */
MUST_USE int money_of(struct decimal amount, const struct currency *currency, struct money *money);
size_t money_format_some(struct money money, const struct currency *currency,
                         char text[MONEY_TEXT_MAX]); /* what money_format does if it isn't 0 */
/* "12.30", "-0.05", "1200" (of a currency without minor unit), and a NUL; returns the length. */
static inline size_t money_format(struct money money, const struct currency *currency,
                                  char text[MONEY_TEXT_MAX])
{
    size_t length = currency->digits ? (size_t)currency->digits + 2 : 1;

    if (money.minor != 0)
        return money_format_some(money, currency, text);
    memcpy(text, "0.000000", 8);
    text[length] = '\0';
    return length;
}
/* Reads what money_format wrote, and amounts with fewer decimals. */
MUST_USE int money_parse(struct text text, const struct currency *currency, struct money *money);
