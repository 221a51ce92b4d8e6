/*
 * decimal.h - exact quantities and amounts: integers of 10^-12.
 *
 * Units      `units` counts 10^-12 (pico): 1.5 is 1500000000000. The precision that Stripe takes.
 * Errors     Outcomes of each function; nothing wraps, nothing is rounded unless the name says so.
 * Ownership  Values; nothing is owned.
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

enum { DECIMAL_PLACES = 12, DECIMAL_TEXT_MAX = 44, DECIMAL_POWER_MAX = 19 };

struct decimal {
    int128 units;
};

enum decimal_outcome {
    DECIMAL_NOT_A_NUMBER = 1, /* isn't written as one */
    DECIMAL_TOO_PRECISE,      /* more than 12 decimals once trailing zeros are dropped */
    DECIMAL_TOO_LARGE,        /* 10^15 or more, either sign */
    DECIMAL_OVERFLOW,         /* the result has no struct decimal */
};

/* Reads `-?[0-9]+(\.[0-9]+)?`. */
MUST_USE int decimal_parse(struct text text, struct decimal *value);
/* Reads a JSON number, exponent included (1e3, 1.50E+2), straight from its digits. */
MUST_USE int decimal_parse_json(struct text text, struct decimal *value);
/* The same as decimal_parse without its bound: what decimal_format wrote of a sum is read back. */
MUST_USE int decimal_parse_sum(struct text text, struct decimal *value);
/* Writes the shortest form ("12.5", "0", "-3") and a NUL; returns its length. */
size_t decimal_format(struct decimal value, char text[DECIMAL_TEXT_MAX]);
/* a / count, rounded half away from zero at the twelfth decimal. `count` > 0. */
struct decimal decimal_divide_rounded(struct decimal a, uint64_t count);

enum decimal_rounding { DECIMAL_UP, DECIMAL_DOWN, DECIMAL_HALF_AWAY }; /* by size, away from zero */

/* a × b and a / b, rounded at `places` decimals, at most DECIMAL_PLACES; b isn't 0. */
MUST_USE int decimal_multiply(struct decimal a, struct decimal b, int places,
                              enum decimal_rounding rounding, struct decimal *product);
MUST_USE int decimal_divide(struct decimal a, struct decimal b, int places,
                            enum decimal_rounding rounding, struct decimal *quotient);

uint64_t decimal_power_of_ten(int exponent); /* 0 to DECIMAL_POWER_MAX */

/* Those of a few instructions are defined here: rating does little else. */
static inline struct decimal decimal_from_int(int64_t value)
{
    return (struct decimal){(int128)value * 1000000000000};
}

/* mantissa × 10^-places, `places` at most DECIMAL_PLACES. 0 or DECIMAL_TOO_LARGE. */
MUST_USE static inline int decimal_from_mantissa(int128 mantissa, unsigned places,
                                                 struct decimal *value)
{
    const int128 bound = (int128)1000000000000000 * 1000000000000;
    const int64_t power = (int64_t)decimal_power_of_ten(DECIMAL_PLACES - (int)places);
    int128 units;

    /* A product of two numbers of 64 bits always has room, and is one instruction. */
    if (mantissa == (int64_t)mantissa)
        units = (int128)(int64_t)mantissa * power;
    else if (__builtin_mul_overflow(mantissa, power, &units))
        return DECIMAL_TOO_LARGE;
    if (units >= bound || units <= -bound)
        return DECIMAL_TOO_LARGE;
    value->units = units;
    return 0;
}

MUST_USE static inline int decimal_add(struct decimal a, struct decimal b, struct decimal *sum)
{
    int128 units;

    if (__builtin_add_overflow(a.units, b.units, &units))
        return DECIMAL_OVERFLOW;
    sum->units = units;
    return 0;
}

MUST_USE static inline int decimal_subtract(struct decimal a, struct decimal b,
                                            struct decimal *difference)
{
    int128 units;

    if (__builtin_sub_overflow(a.units, b.units, &units))
        return DECIMAL_OVERFLOW;
    difference->units = units;
    return 0;
}

/* < 0, 0, > 0 */
static inline int decimal_compare(struct decimal a, struct decimal b)
{
    return (a.units > b.units) - (a.units < b.units);
}
