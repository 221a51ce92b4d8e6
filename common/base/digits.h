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

static inline char *digits_write_four(char *at, unsigned number)
{
    digits_write_pair(at, number / 100);
    digits_write_pair(at + 2, number % 100);
    return at + 4;
}

/* Those of a number below 10000. */
static inline char *digits_write_few(char *at, unsigned number)
{
    if (number < 10) {
        *at = (char)('0' + (int)number);
        return at + 1;
    }
    if (number < 100) {
        digits_write_pair(at, number);
        return at + 2;
    }
    if (number < 1000) {
        *at = (char)('0' + (int)(number / 100));
        digits_write_pair(at + 1, number % 100);
        return at + 3;
    }
    return digits_write_four(at, number);
}

char *digits_write_many(char *at, uint64_t number); /* from 10^8 on */

/* As many as it has, 0 has one: at most DIGITS_MAX. By branches rather than by counting them first:
 * what follows needn't wait for where they end. */
static inline char *digits_write_all(char *at, uint64_t number)
{
    if (number < 10000)
        return digits_write_few(at, (unsigned)number);
    if (number >= 100000000)
        return digits_write_many(at, number);
    at = digits_write_few(at, (unsigned)number / 10000);
    return digits_write_four(at, (unsigned)number % 10000);
}

/* All of them, behind a sign where it is below 0: at most DIGITS_MAX bytes. */
static inline char *digits_write_int(char *at, int64_t number)
{
    uint64_t size = number < 0 ? -(uint64_t)number : (uint64_t)number;

    if (number < 0)
        *at++ = '-';
    return digits_write_all(at, size);
}

/* All digits of an amount: at most 2^127, so of what is above 10^19 there are 64 bits. */
static inline char *digits_write_wide(char *at, uint128 number)
{
    const uint64_t part = digits_powers[DIGITS_MAX - 1];

    if (number >> 64 == 0)
        return digits_write_all(at, (uint64_t)number);
    at = digits_write_all(at, (uint64_t)(number / part));
    return digits_write(at, (uint64_t)(number % part), DIGITS_MAX - 1);
}
