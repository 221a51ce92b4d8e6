#include "common/base/digits.h"

#include "common/base/decimal.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

static void write(uint64_t number, char text[DIGITS_MAX + 1])
{
    *digits_write_all(text, number) = '\0';
}

static void assert_as_printf(uint64_t number)
{
    char text[DIGITS_MAX + 1], expected[DIGITS_MAX + 1];

    write(number, text);
    (void)snprintf(expected, sizeof(expected), "%" PRIu64, number);
    cr_assert_str_eq(text, expected);
}

Test(digits, are_those_that_printf_writes_on_both_sides_of_every_power)
{
    for (int i = 0; i < DIGITS_MAX; i++) {
        assert_as_printf(digits_powers[i] - 1);
        assert_as_printf(digits_powers[i]);
        assert_as_printf(digits_powers[i] + 1);
    }
    for (int i = 0; i < 64; i++)
        assert_as_printf(UINT64_C(1) << i);
    assert_as_printf(UINT64_MAX);
}

Test(digits, of_random_numbers_of_every_length_are_those_of_printf)
{
    uint64_t random = 1;

    for (int i = 0; i < 200000; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        assert_as_printf(random >> (i % 64));
    }
}

Test(digits, come_with_zeros_in_front_where_more_are_asked_for)
{
    char text[8] = "xxxxxxx";

    cr_assert_eq(digits_write(text, 42, 5), text + 5);

    cr_assert_str_eq(text, "00042xx");
}

Test(digits, the_largest_decimals_have_all_of_them)
{
    struct decimal most = {(int128)(((uint128)1 << 127) - 1)}, least = {-most.units - 1};
    char text[DECIMAL_TEXT_MAX];

    decimal_format(most, text);
    cr_assert_str_eq(text, "170141183460469231731687303.715884105727");
    decimal_format(least, text);
    cr_assert_str_eq(text, "-170141183460469231731687303.715884105728");
}
