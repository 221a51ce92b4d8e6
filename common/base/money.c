/*
 * money.c - exact amounts in 256 bits, and their rounding to the minor unit.
 */
#include "common/base/money.h"

#include "common/base/digits.h"

#include <assert.h>
#include <string.h>

enum { PERCENT_PLACES = 2, EXACT_PLACES = 2 * DECIMAL_PLACES + PERCENT_PLACES };
enum { LIMBS = 4 };

static const int128 MINOR_MAX = (int128)(~(uint128)0 >> 1);

static uint128 size_of(int128 value)
{
    return value < 0 ? -(uint128)value : (uint128)value;
}

static bool is_zero(struct exact amount)
{
    return !(amount.limbs[0] | amount.limbs[1] | amount.limbs[2] | amount.limbs[3]);
}

/* |a| × |b| with the sign given; the sizes are below 2^128, so it always has room. */
static struct exact multiply(uint128 a, uint128 b, bool negative)
{
    const uint64_t parts[2][2] = {{(uint64_t)a, (uint64_t)(a >> 64)},
                                  {(uint64_t)b, (uint64_t)(b >> 64)}};
    struct exact product = {.negative = negative};

    for (size_t i = 0; i < 2; i++) {
        uint64_t carry = 0;

        for (size_t j = 0; j < 2; j++) {
            uint128 sum = (uint128)parts[0][i] * parts[1][j] + product.limbs[i + j] + carry;

            product.limbs[i + j] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
        product.limbs[i + 2] = carry;
    }
    if (is_zero(product))
        product.negative = false;
    return product;
}

int exact_product(struct decimal quantity, struct decimal price, struct exact *product)
{
    struct exact scaled = multiply(size_of(quantity.units), size_of(price.units),
                                   (quantity.units < 0) != (price.units < 0));
    uint64_t carry = 0;

    for (size_t i = 0; i < LIMBS; i++) {
        uint128 hundredfold = (uint128)scaled.limbs[i] * 100 + carry;

        scaled.limbs[i] = (uint64_t)hundredfold;
        carry = (uint64_t)(hundredfold >> 64);
    }
    if (carry)
        return MONEY_OVERFLOW;
    *product = scaled;
    return 0;
}

struct exact exact_percent(struct decimal amount, struct decimal percent)
{
    return multiply(size_of(amount.units), size_of(percent.units),
                    (amount.units < 0) != (percent.units < 0));
}

struct exact exact_of(struct decimal amount)
{
    return exact_percent(amount, decimal_from_int(100));
}

struct exact exact_negate(struct exact amount)
{
    amount.negative = !amount.negative && !is_zero(amount);
    return amount;
}

static int compare_sizes(struct exact a, struct exact b)
{
    for (size_t i = LIMBS; i-- > 0;) {
        if (a.limbs[i] != b.limbs[i])
            return a.limbs[i] > b.limbs[i] ? 1 : -1;
    }
    return 0;
}

int exact_compare(struct exact a, struct exact b)
{
    if (a.negative != b.negative)
        return a.negative ? -1 : 1;
    return a.negative ? compare_sizes(b, a) : compare_sizes(a, b);
}

/* |a| - |b|, where |a| >= |b|. */
static struct exact subtract_sizes(struct exact a, struct exact b)
{
    bool borrow = false;

    for (size_t i = 0; i < LIMBS; i++) {
        uint64_t taken = b.limbs[i] + borrow;

        borrow = (borrow && taken == 0) || a.limbs[i] < taken;
        a.limbs[i] -= taken;
    }
    return a;
}

int exact_add(struct exact a, struct exact b, struct exact *sum)
{
    uint128 carry = 0;

    if (a.negative != b.negative) {
        struct exact rest = compare_sizes(a, b) >= 0 ? subtract_sizes(a, b) : subtract_sizes(b, a);

        if (is_zero(rest))
            rest.negative = false;
        *sum = rest;
        return 0;
    }
    for (size_t i = 0; i < LIMBS; i++) {
        carry += (uint128)a.limbs[i] + b.limbs[i];
        a.limbs[i] = (uint64_t)carry;
        carry >>= 64;
    }
    if (carry)
        return MONEY_OVERFLOW;
    *sum = a;
    return 0;
}

/* Divides the size in place and returns the rest. */
static uint64_t divide(struct exact *amount, uint64_t divisor)
{
    uint128 rest = 0;

    for (size_t i = LIMBS; i-- > 0;) {
        rest = rest << 64 | amount->limbs[i];
        amount->limbs[i] = (uint64_t)(rest / divisor);
        rest %= divisor;
    }
    return (uint64_t)rest;
}

struct quotient {
    struct exact whole;
    uint128 rest;
};

/* By way of one 128-bit division where that is enough, as for nearly every amount it is. */
static struct quotient divide_by_ten(struct exact amount, int places, uint128 divisor)
{
    uint128 low = (uint128)amount.limbs[1] << 64 | amount.limbs[0];
    int upper = places > DECIMAL_POWER_MAX ? places - DECIMAL_POWER_MAX : 0;
    uint64_t first = decimal_power_of_ten(places - upper), second = decimal_power_of_ten(upper);
    struct quotient quotient = {.whole = amount};

    if (!(amount.limbs[2] | amount.limbs[3])) {
        uint128 whole = low / divisor;

        quotient.whole.limbs[0] = (uint64_t)whole;
        quotient.whole.limbs[1] = (uint64_t)(whole >> 64);
        quotient.rest = low - whole * divisor;
        return quotient;
    }
    quotient.rest = divide(&quotient.whole, first);
    quotient.rest += (uint128)divide(&quotient.whole, second) * first;
    return quotient;
}

/* amount / 10^places rounded half away from zero: the only rounding of money there is. */
static int round_places(struct exact amount, int places, struct money *money)
{
    int upper = places > DECIMAL_POWER_MAX ? places - DECIMAL_POWER_MAX : 0;
    uint128 divisor = (uint128)decimal_power_of_ten(places - upper) * decimal_power_of_ten(upper);
    struct quotient quotient = divide_by_ten(amount, places, divisor);
    uint128 size = (uint128)quotient.whole.limbs[1] << 64 | quotient.whole.limbs[0];

    if (quotient.whole.limbs[2] || quotient.whole.limbs[3])
        return MONEY_OVERFLOW;
    if (quotient.rest >= divisor - quotient.rest && ++size == 0)
        return MONEY_OVERFLOW;
    if (size > (uint128)MINOR_MAX)
        return MONEY_OVERFLOW;
    money->minor = amount.negative ? -(int128)size : (int128)size;
    return 0;
}

int money_round(struct exact amount, const struct currency *currency, enum rounding rounding,
                struct money *money)
{
    assert(rounding == HALF_AWAY_FROM_ZERO);

    return round_places(amount, EXACT_PLACES - currency->digits, money);
}

/*
 * Sizes below 2^64 each and a quotient below 2^64: nearly every line there is. Divides by 10^19 in
 * one step and by what is left of the divisor, at most 10^5, in another. False: too large.
 */
static bool round_small(uint64_t quantity, uint64_t price, int places, uint64_t *minor)
{
    const uint64_t first = decimal_power_of_ten(DECIMAL_POWER_MAX);
    uint64_t second = decimal_power_of_ten(places - DECIMAL_POWER_MAX);
    uint128 product = (uint128)quantity * price;
    uint64_t upper, whole, rest;

    if (product >> 64 >= first)
        return false;
    upper = (uint64_t)(product / first);
    whole = upper / second;
    rest = upper - whole * second;
    *minor = whole + (rest >= second / 2); /* even, so what is below `first` decides nothing */
    return true;
}

/* Whole units at a price, their product below 2^64: the usual line, by one short division. */
static bool round_whole(uint64_t quantity, uint64_t price, int places, uint64_t *minor)
{
    const uint64_t one = 1000000000000u; /* 10^DECIMAL_PLACES */
    uint64_t divisor = decimal_power_of_ten(places), whole = quantity / one, product, rest;

    if (whole * one != quantity || __builtin_mul_overflow(whole, price, &product))
        return false;
    *minor = product / divisor;
    rest = product - *minor * divisor;
    *minor += rest >= divisor / 2;
    return true;
}

int money_of_product(struct decimal quantity, struct decimal price, const struct currency *currency,
                     enum rounding rounding, struct money *money)
{
    uint128 one = size_of(quantity.units), other = size_of(price.units);
    struct exact product;
    uint64_t minor;
    int r;

    assert(rounding == HALF_AWAY_FROM_ZERO);

    if (!(one >> 64) && !(other >> 64) &&
        (round_whole((uint64_t)one, (uint64_t)other, DECIMAL_PLACES - currency->digits, &minor) ||
         round_small((uint64_t)one, (uint64_t)other, 2 * DECIMAL_PLACES - currency->digits,
                     &minor))) {
        money->minor = (quantity.units < 0) != (price.units < 0) ? -(int128)minor : (int128)minor;
        return 0;
    }
    r = exact_product(quantity, price, &product);
    return r ? r : money_round(product, currency, rounding, money);
}

int money_percent(struct money amount, struct decimal percent, enum rounding rounding,
                  struct money *part)
{
    struct exact product = multiply(size_of(amount.minor), size_of(percent.units),
                                    (amount.minor < 0) != (percent.units < 0));

    assert(rounding == HALF_AWAY_FROM_ZERO);

    return round_places(product, DECIMAL_PLACES + PERCENT_PLACES, part);
}

/* Long division, bit by bit: the quotient has at most the amount's 127 bits, and what is left over,
 * below a divisor of 127 bits, always has room for another one. */
struct money money_share(struct money amount, int128 part, int128 whole, enum rounding rounding)
{
    struct exact product = multiply(size_of(amount.minor), (uint128)part, amount.minor < 0);
    uint128 rest = (uint128)product.limbs[3] << 64 | product.limbs[2];
    uint128 low = (uint128)product.limbs[1] << 64 | product.limbs[0];
    uint128 divisor = (uint128)whole, size = 0;

    assert(rounding == HALF_AWAY_FROM_ZERO);
    assert(part >= 0 && part <= whole && whole > 0);

    for (int bit = 127; bit >= 0; bit--) {
        rest = rest << 1 | (low >> bit & 1);
        size <<= 1;
        if (rest >= divisor) {
            rest -= divisor;
            size |= 1;
        }
    }
    size += rest >= divisor - rest;
    return (struct money){product.negative ? -(int128)size : (int128)size};
}

int money_subtract(struct money a, struct money b, struct money *difference)
{
    return money_add(a, (struct money){-b.minor}, difference);
}

int money_compare(struct money a, struct money b)
{
    return (a.minor > b.minor) - (a.minor < b.minor);
}

int money_of(struct decimal amount, const struct currency *currency, struct money *money)
{
    int128 unit = decimal_power_of_ten(DECIMAL_PLACES - currency->digits);

    if (amount.units % unit)
        return MONEY_TOO_FINE;
    money->minor = amount.units / unit;
    return 0;
}

/* Any amount in any currency. */
COLD static size_t format(int128 minor, int digits, char text[MONEY_TEXT_MAX])
{
    uint128 size = size_of(minor), whole = size / digits_powers[digits];
    char *at = text;

    if (minor < 0)
        *at++ = '-';
    at = digits_write_wide(at, whole);
    if (digits) {
        *at++ = '.';
        at = digits_write(at, (uint64_t)(size - whole * digits_powers[digits]), digits);
    }
    *at = '\0';
    return (size_t)(at - text);
}

/* Nearly all are cents that 64 bits hold. */
size_t money_format_some(struct money money, const struct currency *currency,
                         char text[MONEY_TEXT_MAX])
{
    uint64_t minor = (uint64_t)money.minor;
    char *at;

    if (money.minor >> 64 || currency->digits != 2)
        return format(money.minor, currency->digits, text);
    at = digits_write_all(text, minor / 100);
    *at = '.';
    digits_write_pair(at + 1, (unsigned)(minor % 100));
    at[3] = '\0';
    return (size_t)(at + 3 - text);
}

/* Not by way of struct decimal: totals may be larger than the largest quantity that is taken in. */
int money_parse(struct text text, const struct currency *currency, struct money *money)
{
    bool negative = text.length && text.at[0] == '-';
    int places = -1; /* behind the point; -1: none seen */
    size_t at = negative;
    int128 minor = 0;
    bool ended = false; /* on a digit */

    for (; at < text.length; at++) {
        char c = text.at[at];

        if (c == '.' && ended && places < 0) {
            places = 0;
            ended = false;
            continue;
        }
        if (c < '0' || c > '9')
            return MONEY_NOT_AN_AMOUNT;
        if (places >= 0 && ++places > currency->digits)
            return MONEY_TOO_FINE;
        if (minor > (MINOR_MAX - 9) / 10)
            return MONEY_OVERFLOW;
        minor = minor * 10 + (c - '0');
        ended = true;
    }
    if (!ended)
        return MONEY_NOT_AN_AMOUNT;
    for (int place = places < 0 ? 0 : places; place < currency->digits; place++) {
        if (minor > MINOR_MAX / 10)
            return MONEY_OVERFLOW;
        minor *= 10;
    }
    money->minor = negative ? -minor : minor;
    return 0;
}
