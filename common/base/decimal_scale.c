/*
 * decimal_scale.c - products and quotients of decimals, rounded once (decimal.h).
 *
 * Both are x × y / divisor of whole numbers, in 256 bits.
 */
#include "common/base/decimal.h"

#include <assert.h>

static uint128 size_of(int128 value)
{
    return value < 0 ? -(uint128)value : (uint128)value;
}

static uint128 power_of_ten(int exponent)
{
    uint128 power = 1;

    while (exponent-- > 0)
        power *= 10;
    return power;
}

struct wide {
    uint128 high, low;
};

static struct wide multiply(uint128 a, uint128 b)
{
    const uint128 a_low = (uint64_t)a, a_high = a >> 64, b_low = (uint64_t)b, b_high = b >> 64;
    uint128 low = a_low * b_low, middle = a_high * b_low, other = a_low * b_high;
    uint128 carry = (low >> 64) + (uint64_t)middle + (uint64_t)other;

    return (struct wide){
        .high = a_high * b_high + (middle >> 64) + (other >> 64) + (carry >> 64),
        .low = carry << 64 | (uint64_t)low,
    };
}

/* Long division bit by bit; the divisor is at most 2^127, the largest size of an int128, so that
 * what is left always has room for another bit. False: the quotient has more than 128 bits. */
static bool divide(struct wide number, uint128 divisor, uint128 *quotient, uint128 *rest)
{
    uint128 left = number.high, found = 0;

    assert(divisor > 0 && divisor <= (uint128)1 << 127);

    if (left >= divisor)
        return false;
    if (left == 0) {
        *quotient = number.low / divisor;
        *rest = number.low % divisor;
        return true;
    }
    for (int bit = 127; bit >= 0; bit--) {
        left = left << 1 | (number.low >> bit & 1);
        found <<= 1;
        if (left >= divisor) {
            left -= divisor;
            found |= 1;
        }
    }
    *quotient = found;
    *rest = left;
    return true;
}

static bool rounds_away(enum decimal_rounding rounding, uint128 rest, uint128 divisor)
{
    if (rounding == DECIMAL_HALF_AWAY)
        return rest >= divisor - rest;
    return rounding == DECIMAL_UP && rest > 0;
}

/* x × y / divisor units of the last place, as a decimal. */
static int scale(struct wide number, uint128 divisor, bool negative, int places,
                 enum decimal_rounding rounding, struct decimal *result)
{
    const uint128 most = ~(uint128)0 >> 1;
    uint128 unit = power_of_ten(DECIMAL_PLACES - places), size, rest;

    if (!divide(number, divisor, &size, &rest))
        return DECIMAL_OVERFLOW;
    if (rounds_away(rounding, rest, divisor))
        size++;
    if (size > most / unit)
        return DECIMAL_OVERFLOW;
    size *= unit;
    result->units = negative ? -(int128)size : (int128)size;
    return 0;
}

int decimal_multiply(struct decimal a, struct decimal b, int places, enum decimal_rounding rounding,
                     struct decimal *product)
{
    assert(places >= 0 && places <= DECIMAL_PLACES);

    return scale(multiply(size_of(a.units), size_of(b.units)),
                 power_of_ten(2 * DECIMAL_PLACES - places), (a.units < 0) != (b.units < 0), places,
                 rounding, product);
}

int decimal_divide(struct decimal a, struct decimal b, int places, enum decimal_rounding rounding,
                   struct decimal *quotient)
{
    assert(places >= 0 && places <= DECIMAL_PLACES);
    assert(b.units != 0);

    return scale(multiply(size_of(a.units), power_of_ten(places)), size_of(b.units),
                 (a.units < 0) != (b.units < 0), places, rounding, quotient);
}
