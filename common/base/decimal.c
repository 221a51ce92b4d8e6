/*
 * decimal.c - reading, writing and adding exact decimals.
 *
 * A number is read from its digits: D, the digits from the first that isn't 0 to the last, and E,
 * so that the number is D × 10^E. It has a place here when D × 10^E needs no decimal behind the
 * twelfth (E ≥ -12) and lies below 10^15 (the digits of D and E together at most 15); then D has at
 * most 27 digits, and nothing below can overflow, however long the text and its exponent are.
 */
#include "common/base/decimal.h"

#include "common/base/digits.h"

#include <assert.h>
#include <string.h>

/* Of a quantity that comes in; of a sum, beyond which there is no struct decimal in any case. */
enum { WHOLE_DIGITS_MAX = 15, SUM_DIGITS_MAX = 27, SHORT_DIGITS_MAX = 18 };

static const uint64_t ONE = 1000000000000;            /* in units */
static const int64_t EXPONENT_MAX = 1000000000000000; /* far beyond every text's length */

struct scan {
    const char *at, *end;
};

static bool at_digit(const struct scan *scan)
{
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

static bool skip(struct scan *scan, char c)
{
    if (scan->at == scan->end || *scan->at != c)
        return false;
    scan->at++;
    return true;
}

static size_t skip_digits(struct scan *scan)
{
    const char *from = scan->at;

    while (at_digit(scan))
        scan->at++;
    return (size_t)(scan->at - from);
}

/* Reads `[+-]?[0-9]+`, clamped to EXPONENT_MAX. */
static bool scan_exponent(struct scan *scan, int64_t *exponent)
{
    bool negative = skip(scan, '-');
    int64_t value = 0;

    if (!negative)
        (void)skip(scan, '+');
    if (!at_digit(scan))
        return false;
    for (; at_digit(scan); scan->at++) {
        if (value < EXPONENT_MAX)
            value = value * 10 + (*scan->at - '0');
    }
    *exponent = negative ? -value : value;
    return true;
}

uint64_t decimal_power_of_ten(int exponent)
{
    assert(exponent >= 0 && exponent <= DECIMAL_POWER_MAX);

    return digits_powers[exponent];
}

/* At most 18 digits and 19 zeros: 64 bits and one multiplication, as for nearly every number. */
static struct decimal collect_short(const char *first, const char *end, int64_t zeros)
{
    uint64_t number = 0;

    for (const char *at = first; at < end; at++) {
        if (*at != '.')
            number = number * 10 + (uint64_t)(*at - '0');
    }
    return (struct decimal){(int128)number * decimal_power_of_ten((int)zeros)};
}

/* D × 10^zeros; a sum of 27 digits may have no room. */
static int collect(const char *first, const char *end, int64_t zeros, struct decimal *value)
{
    int128 units = 0;

    for (const char *at = first; at < end; at++) {
        if (*at == '.')
            continue;
        if (__builtin_mul_overflow(units, 10, &units) ||
            __builtin_add_overflow(units, *at - '0', &units))
            return DECIMAL_TOO_LARGE;
    }
    for (; zeros > 0; zeros--) {
        if (__builtin_mul_overflow(units, 10, &units))
            return DECIMAL_TOO_LARGE;
    }
    value->units = units;
    return 0;
}

/* `digits` is a mantissa with perhaps a point in it, `exponent` that of its last digit. */
static int value_of_digits(struct text digits, int64_t exponent, int64_t digits_max,
                           struct decimal *value)
{
    const char *first = digits.at, *end = digits.at + digits.length;
    int64_t count = 0;

    while (first < end && (*first == '0' || *first == '.'))
        first++;
    if (first == end) {
        value->units = 0;
        return 0;
    }
    for (; end[-1] == '0' || end[-1] == '.'; end--)
        exponent += end[-1] == '0';
    for (const char *at = first; at < end; at++)
        count += *at != '.';
    if (count + exponent > digits_max)
        return DECIMAL_TOO_LARGE;
    if (exponent < -DECIMAL_PLACES)
        return DECIMAL_TOO_PRECISE;
    if (count > SHORT_DIGITS_MAX || exponent + DECIMAL_PLACES > DECIMAL_POWER_MAX)
        return collect(first, end, exponent + DECIMAL_PLACES, value);
    *value = collect_short(first, end, exponent + DECIMAL_PLACES);
    return 0;
}

enum form { FORM_TEXT, FORM_JSON, FORM_SUM };

/* What all three read alike. */
static int scan_number(struct scan *scan, enum form form, struct decimal *value)
{
    bool negative = skip(scan, '-');
    struct text digits = {.at = scan->at};
    int64_t places = 0, exponent = 0;
    int r;

    if (skip_digits(scan) == 0)
        return DECIMAL_NOT_A_NUMBER;
    if (skip(scan, '.')) {
        places = (int64_t)skip_digits(scan);
        if (places == 0)
            return DECIMAL_NOT_A_NUMBER;
    }
    digits.length = (size_t)(scan->at - digits.at);
    if (form == FORM_JSON && (skip(scan, 'e') || skip(scan, 'E'))) {
        if (!scan_exponent(scan, &exponent))
            return DECIMAL_NOT_A_NUMBER;
    }
    if (scan->at != scan->end)
        return DECIMAL_NOT_A_NUMBER;
    r = value_of_digits(digits, exponent - places,
                        form == FORM_SUM ? SUM_DIGITS_MAX : WHOLE_DIGITS_MAX, value);
    if (r == 0 && negative)
        value->units = -value->units;
    return r;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits with perhaps a point among them, so few that they always fit: as nearly all numbers are.
 */
static bool parse_short(struct text text, struct decimal *value)
{
    bool has_point = false;
    uint64_t number = 0;
    int places = 0;

    if (text.length == 0 || text.length > DECIMAL_PLACES || !is_digit(text.at[text.length - 1]))
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (is_digit(text.at[i])) {
            number = number * 10 + (uint64_t)(text.at[i] - '0');
            places += has_point;
        } else if (text.at[i] == '.' && !has_point && i > 0) {
            has_point = true;
        } else {
            return false;
        }
    }
    value->units = (int128)number * decimal_power_of_ten(DECIMAL_PLACES - places);
    return true;
}

int decimal_parse(struct text text, struct decimal *value)
{
    struct scan scan = {text.at, text.length ? text.at + text.length : text.at};

    if (parse_short(text, value))
        return 0;
    return scan_number(&scan, FORM_TEXT, value);
}

int decimal_parse_sum(struct text text, struct decimal *value)
{
    struct scan scan = {text.at, text.length ? text.at + text.length : text.at};

    return scan_number(&scan, FORM_SUM, value);
}

int decimal_parse_json(struct text text, struct decimal *value)
{
    struct scan scan = {text.at, text.length ? text.at + text.length : text.at};
    struct scan whole = scan;

    /* JSON has no leading zeros. */
    (void)skip(&whole, '-');
    if (skip(&whole, '0') && at_digit(&whole))
        return DECIMAL_NOT_A_NUMBER;
    if (parse_short(text, value))
        return 0;
    return scan_number(&scan, FORM_JSON, value);
}

/* The digits behind the point, without the zeros at the end; returns their end. */
static char *write_fraction(char *at, uint64_t fraction)
{
    int places = DECIMAL_PLACES;

    if (fraction % 1000000 == 0) {
        fraction /= 1000000;
        places -= 6;
    }
    for (; fraction % 10 == 0; fraction /= 10)
        places--;
    *at++ = '.';
    return digits_write(at, fraction, places);
}

/* Below 0, or from 18 million on. */
COLD static size_t format_large(struct decimal value, char text[DECIMAL_TEXT_MAX])
{
    uint128 size = value.units < 0 ? -(uint128)value.units : (uint128)value.units;
    uint128 whole = size / ONE;
    uint64_t fraction = (uint64_t)(size - whole * ONE);
    char *at = text;

    if (value.units < 0)
        *at++ = '-';
    at = digits_write_wide(at, whole);
    if (fraction)
        at = write_fraction(at, fraction);
    *at = '\0';
    return (size_t)(at - text);
}

size_t decimal_format(struct decimal value, char text[DECIMAL_TEXT_MAX])
{
    uint64_t units = (uint64_t)value.units, whole = units / ONE, fraction = units - whole * ONE;
    char *at;

    if (value.units >> 64)
        return format_large(value, text);
    at = digits_write_all(text, whole);
    if (fraction)
        at = write_fraction(at, fraction);
    *at = '\0';
    return (size_t)(at - text);
}

struct decimal decimal_divide_rounded(struct decimal a, uint64_t count)
{
    uint128 size = a.units < 0 ? -(uint128)a.units : (uint128)a.units;
    uint128 quotient, rest;

    assert(count > 0);

    quotient = size / count;
    rest = size % count;
    if (rest >= count - rest)
        quotient++;
    return (struct decimal){a.units < 0 ? -(int128)quotient : (int128)quotient};
}
