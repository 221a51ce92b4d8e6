/*
 * decimal.c - quantities are read, written and added exactly.
 */
#include "common/base/decimal.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

typedef int parser(struct text text, struct decimal *value);

struct reading {
    const char *text;
    int outcome;
    const char *shortest;
};

static void assert_reads(parser *parse, const struct reading *readings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct decimal value = {.units = 77};
        char text[DECIMAL_TEXT_MAX];

        cr_assert_eq(parse(text_of(readings[i].text), &value), readings[i].outcome, "%s",
                     readings[i].text);
        if (readings[i].outcome) {
            cr_assert(value.units == 77, "%s: written on failure", readings[i].text);
            continue;
        }
        cr_assert_eq(decimal_format(value, text), strlen(readings[i].shortest));
        cr_assert_str_eq(text, readings[i].shortest, "%s", readings[i].text);
    }
}

Test(decimal, reads_plain_texts)
{
    static const struct reading readings[] = {
        {"0", 0, "0"},
        {"-0", 0, "0"},
        {"-0.000", 0, "0"},
        {"12.50", 0, "12.5"},
        {"007", 0, "7"},
        {"-3", 0, "-3"},
        {"100", 0, "100"},
        {"0.000000000001", 0, "0.000000000001"},
        {"-0.1", 0, "-0.1"},
        {"0.0000000000010000000", 0, "0.000000000001"},
        {"0.0000000000011", DECIMAL_TOO_PRECISE, NULL},
        {"999999999999999.999999999999", 0, "999999999999999.999999999999"},
        {"-999999999999999.999999999999", 0, "-999999999999999.999999999999"},
        {"1000000000000000", DECIMAL_TOO_LARGE, NULL},
        {"-1000000000000000", DECIMAL_TOO_LARGE, NULL},
        {"", DECIMAL_NOT_A_NUMBER, NULL},
        {NULL, DECIMAL_NOT_A_NUMBER, NULL},
        {"-", DECIMAL_NOT_A_NUMBER, NULL},
        {"+1", DECIMAL_NOT_A_NUMBER, NULL},
        {".5", DECIMAL_NOT_A_NUMBER, NULL},
        {"5.", DECIMAL_NOT_A_NUMBER, NULL},
        {"1e3", DECIMAL_NOT_A_NUMBER, NULL},
        {" 1", DECIMAL_NOT_A_NUMBER, NULL},
        {"1 ", DECIMAL_NOT_A_NUMBER, NULL},
        {"1.2.3", DECIMAL_NOT_A_NUMBER, NULL},
        {"NaN", DECIMAL_NOT_A_NUMBER, NULL},
    };

    assert_reads(decimal_parse, readings, ARRAY_LEN(readings));
}

Test(decimal, reads_json_numbers_from_their_digits)
{
    static const struct reading readings[] = {
        {"1e3", 0, "1000"},
        {"1.0", 0, "1"},
        {"-0", 0, "0"},
        {"-0e5", 0, "0"},
        {"1.50E+2", 0, "150"},
        {"150e-2", 0, "1.5"},
        {"1e-12", 0, "0.000000000001"},
        {"1e-13", DECIMAL_TOO_PRECISE, NULL},
        {"10e-13", 0, "0.000000000001"},
        {"0.1", 0, "0.1"},
        {"123456789012345.123456789012", 0, "123456789012345.123456789012"},
        {"9.99e14", 0, "999000000000000"},
        {"1e15", DECIMAL_TOO_LARGE, NULL},
        {"1e400", DECIMAL_TOO_LARGE, NULL},
        {"1e-400", DECIMAL_TOO_PRECISE, NULL},
        {"0e999999999", 0, "0"},
        {"0.000e99999999999999999999999999", 0, "0"},
        {"1e99999999999999999999999999", DECIMAL_TOO_LARGE, NULL},
        {"-1e-99999999999999999999999999", DECIMAL_TOO_PRECISE, NULL},
        {"1e", DECIMAL_NOT_A_NUMBER, NULL},
        {"1e+", DECIMAL_NOT_A_NUMBER, NULL},
        {"1e1.5", DECIMAL_NOT_A_NUMBER, NULL},
        {"01", DECIMAL_NOT_A_NUMBER, NULL},
        {"-01", DECIMAL_NOT_A_NUMBER, NULL},
        {"+1", DECIMAL_NOT_A_NUMBER, NULL},
        {"", DECIMAL_NOT_A_NUMBER, NULL},
        {"--1", DECIMAL_NOT_A_NUMBER, NULL},
    };

    assert_reads(decimal_parse_json, readings, ARRAY_LEN(readings));
}

Test(decimal, a_mantissa_has_the_bounds_of_a_text)
{
    const int128 tera = 1000000000000;
    struct decimal value = {0};

    cr_assert_eq(decimal_from_mantissa(-125, 1, &value), 0);
    cr_assert_eq(value.units, -125 * tera / 10);
    cr_assert_eq(decimal_from_mantissa(1000 * tera * tera - 1, 12, &value), 0);
    cr_assert_eq(value.units, 1000 * tera * tera - 1);
    cr_assert_eq(decimal_from_mantissa(1 - 1000 * tera, 0, &value), 0);
    cr_assert_eq(value.units, (1 - 1000 * tera) * tera);
    cr_assert_eq(decimal_from_mantissa(1000 * tera * tera, 12, &value), DECIMAL_TOO_LARGE);
    cr_assert_eq(decimal_from_mantissa(-1000 * tera, 0, &value), DECIMAL_TOO_LARGE);
    cr_assert_eq(decimal_from_mantissa((int128)1 << 126, 0, &value), DECIMAL_TOO_LARGE);
    cr_assert_eq(decimal_from_mantissa((int128)1 << 126, 12, &value), DECIMAL_TOO_LARGE);
}

Test(decimal, reads_sums_beyond_what_an_event_may_hold)
{
    static const struct reading readings[] = {
        {"1000000000000000", 0, "1000000000000000"},
        {"-12.50", 0, "-12.5"},
        {"170141183460469231731687303.715884105727", 0, "170141183460469231731687303.715884105727"},
        {"170141183460469231731687303.715884105728", DECIMAL_TOO_LARGE, NULL},
        {"999999999999999999999999999", DECIMAL_TOO_LARGE, NULL},
        {"1000000000000000000000000000", DECIMAL_TOO_LARGE, NULL},
        {"340282366920938463463374607.431768211457", DECIMAL_TOO_LARGE, NULL},
        {"0.0000000000001", DECIMAL_TOO_PRECISE, NULL},
        {"1e3", DECIMAL_NOT_A_NUMBER, NULL},
    };

    assert_reads(decimal_parse_sum, readings, ARRAY_LEN(readings));
}

/* As many zeros as an event has room for, cancelled by the exponent. */
Test(decimal, reads_texts_longer_than_any_integer)
{
    enum { ZEROS = 100000 };
    char *text = malloc(ZEROS + 64);
    struct decimal value;
    char shortest[DECIMAL_TEXT_MAX];

    strcpy(text, "0.");
    memset(text + 2, '0', ZEROS);
    strcpy(text + 2 + ZEROS, "15e100001");
    cr_assert_eq(decimal_parse_json(text_of(text), &value), 0);
    (void)decimal_format(value, shortest);
    cr_assert_str_eq(shortest, "1.5");

    text[0] = '7';
    memset(text + 1, '0', ZEROS);
    strcpy(text + 1 + ZEROS, "e-100000");
    cr_assert_eq(decimal_parse_json(text_of(text), &value), 0);
    cr_assert_eq(decimal_compare(value, decimal_from_int(7)), 0);
    free(text);
}

Test(decimal, writes_its_whole_range)
{
    const int128 most = (int128)(~(uint128)0 >> 1);
    char text[DECIMAL_TEXT_MAX];

    (void)decimal_format((struct decimal){most}, text);
    cr_assert_str_eq(text, "170141183460469231731687303.715884105727");
    (void)decimal_format((struct decimal){-most - 1}, text);
    cr_assert_str_eq(text, "-170141183460469231731687303.715884105728");
    (void)decimal_format(decimal_from_int(INT64_MIN), text);
    cr_assert_str_eq(text, "-9223372036854775808");
}

Test(decimal, adds_and_subtracts_or_says_that_it_cant)
{
    const struct decimal most = {(int128)(~(uint128)0 >> 1)}, least = {-most.units - 1};
    const struct decimal one = {1};
    struct decimal sum = {5};

    cr_assert_eq(decimal_add(most, one, &sum), DECIMAL_OVERFLOW);
    cr_assert_eq(decimal_subtract(least, one, &sum), DECIMAL_OVERFLOW);
    cr_assert(sum.units == 5);
    cr_assert_eq(decimal_add(decimal_from_int(2), decimal_from_int(-3), &sum), 0);
    cr_assert_eq(decimal_compare(sum, decimal_from_int(-1)), 0);
    cr_assert_eq(decimal_subtract(decimal_from_int(2), decimal_from_int(-3), &sum), 0);
    cr_assert_eq(decimal_compare(sum, decimal_from_int(5)), 0);
    cr_assert_lt(decimal_compare(least, most), 0);
}

Test(decimal, divides_rounding_half_away_from_zero)
{
    static const struct {
        int64_t units;
        uint64_t count;
        int64_t rounded;
    } cases[] = {
        {1, 2, 1},
        {-1, 2, -1},
        {1, 3, 0},
        {2, 3, 1},
        {-5, 2, -3},
        {5, 2, 3},
        {7, 7, 1},
        {0, 9, 0},
        {10, 4, 3},
        {INT64_MAX, 1, INT64_MAX},
        {INT64_MAX, UINT64_MAX, 0},
        {INT64_MIN, UINT64_MAX, -1},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct decimal rounded =
            decimal_divide_rounded((struct decimal){cases[i].units}, cases[i].count);

        cr_assert(rounded.units == cases[i].rounded, "case %zu", i);
    }
}

Test(decimal, multiplies_and_divides_rounding_as_told)
{
    static const struct {
        const char *a, *b;
        int places;
        enum decimal_rounding rounding;
        const char *product, *quotient;
    } cases[] = {
        {"7", "2", 0, DECIMAL_HALF_AWAY, "14", "4"},
        {"7", "2", 0, DECIMAL_DOWN, "14", "3"},
        {"-7", "2", 0, DECIMAL_UP, "-14", "-4"},
        {"-7", "2", 0, DECIMAL_DOWN, "-14", "-3"},
        {"2000000001", "1000000000", 0, DECIMAL_UP, "2000000001000000000", "3"},
        {"1", "3", 12, DECIMAL_HALF_AWAY, "3", "0.333333333333"},
        {"2", "3", 12, DECIMAL_HALF_AWAY, "6", "0.666666666667"},
        {"0.000000000001", "0.5", 12, DECIMAL_HALF_AWAY, "0.000000000001", "0.000000000002"},
        {"0.000000000001", "0.4", 12, DECIMAL_HALF_AWAY, "0", "0.000000000003"},
        {"0.000000000001", "0.4", 12, DECIMAL_UP, "0.000000000001", "0.000000000003"},
        {"0", "7", 3, DECIMAL_UP, "0", "0"},
        {"999999999999999.999999999999", "1000000000", 2, DECIMAL_DOWN,
         "999999999999999999999999.99", "999999.99"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct decimal a, b, found;
        char text[DECIMAL_TEXT_MAX];

        cr_assert_eq(decimal_parse(text_of(cases[i].a), &a), 0);
        cr_assert_eq(decimal_parse(text_of(cases[i].b), &b), 0);
        cr_assert_eq(decimal_multiply(a, b, cases[i].places, cases[i].rounding, &found), 0);
        (void)decimal_format(found, text);
        cr_assert_str_eq(text, cases[i].product, "case %zu", i);
        cr_assert_eq(decimal_divide(a, b, cases[i].places, cases[i].rounding, &found), 0);
        (void)decimal_format(found, text);
        cr_assert_str_eq(text, cases[i].quotient, "case %zu", i);
    }
}

Test(decimal, products_and_quotients_without_room_are_outcomes)
{
    const struct decimal most = {(int128)(~(uint128)0 >> 1)};
    struct decimal found = {5};

    cr_assert_eq(decimal_multiply(most, most, 12, DECIMAL_DOWN, &found), DECIMAL_OVERFLOW);
    cr_assert_eq(decimal_multiply(most, decimal_from_int(2), 12, DECIMAL_DOWN, &found),
                 DECIMAL_OVERFLOW);
    cr_assert_eq(decimal_divide(most, (struct decimal){1}, 12, DECIMAL_DOWN, &found),
                 DECIMAL_OVERFLOW);
    cr_assert(found.units == 5);
    cr_assert_eq(decimal_multiply(most, decimal_from_int(1), 12, DECIMAL_DOWN, &found), 0);
    cr_assert(found.units == most.units);
    cr_assert_eq(decimal_divide(most, most, 12, DECIMAL_DOWN, &found), 0);
    cr_assert_eq(decimal_compare(found, decimal_from_int(1)), 0);
}

Test(decimal, reads_back_what_it_wrote)
{
    srand(7);
    for (int i = 0; i < 100000; i++) {
        int128 units = 0;
        struct decimal read;
        char text[DECIMAL_TEXT_MAX];

        for (int digit = rand() % 28; digit > 0; digit--)
            units = units * 10 + rand() % 10;
        if (rand() % 2)
            units = -units;
        struct text written = {text, decimal_format((struct decimal){units}, text)};
        cr_assert_eq(decimal_parse(written, &read), 0, "%s", text);
        cr_assert(read.units == units, "%s", text);
        cr_assert_eq(decimal_parse_json(written, &read), 0, "%s", text);
        cr_assert(read.units == units, "%s", text);
    }
}
