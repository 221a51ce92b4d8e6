/*
 * digits.h - a number's decimal digits, two at a time.
 *
 * Invoices are mostly numbers, so these stand where the compiler can put them in place.
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/attrs.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { DIGITS_MAX = 20 };

/* "00" to "99". */
extern const char digits_pairs[201];

extern const uint64_t digits_powers[DIGITS_MAX]; /* of ten */

/* How many digits it has; 0 has one. */
static inline int digits_count(uint64_t number)
{
    /* 1233 / 4096 is log10(2), near enough for 64 bits: at most one too many. */
    int most = (64 - __builtin_clzll(number | 1)) * 1233 >> 12;

    return most + (number >= digits_powers[most] || most == 0);
}

static inline void digits_write_pair(char *at, unsigned number)
{
    memcpy(at, digits_pairs + 2 * (size_t)number, 2);
}

/* Writes the last `count` digits, with zeros in front where it has fewer; returns their end. */
static inline char *digits_write(char *at, uint64_t number, int count)
{
    int left = count;

    for (; left >= 2; left -= 2, number /= 100)
        digits_write_pair(at + left - 2, (unsigned)(number % 100));
    if (left)
        *at = (char)('0' + (int)(number % 10));
    return at + count;
}

/* All of them, behind a sign where it is below 0: at most DIGITS_MAX bytes. */
static inline char *digits_write_int(char *at, int64_t number)
{
    uint64_t size = number < 0 ? -(uint64_t)number : (uint64_t)number;

    if (number < 0)
        *at++ = '-';
    return digits_write(at, size, digits_count(size));
}

/* All digits of an amount: at most 2^127, so of what is above 10^19 there are 64 bits. */
static inline char *digits_write_wide(char *at, uint128 number)
{
    const uint64_t part = digits_powers[DIGITS_MAX - 1];
    uint64_t above;

    if (number >> 64 == 0)
        return digits_write(at, (uint64_t)number, digits_count((uint64_t)number));
    above = (uint64_t)(number / part);
    at = digits_write(at, above, digits_count(above));
    return digits_write(at, (uint64_t)(number % part), DIGITS_MAX - 1);
}
