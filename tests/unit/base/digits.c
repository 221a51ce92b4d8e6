#include "common/base/digits.h"

#include "common/base/money.h"

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

/* --- amounts and quantities, beside a writer of one digit after the other --- */

enum { SLOW_MAX = 64 };

/* units / 10^places; returns where the text begins. */
static char *written_slowly(int128 units, int places, char text[SLOW_MAX])
{
    uint128 size = units < 0 ? -(uint128)units : (uint128)units;
    char *at = text + SLOW_MAX - 1;

    *at = '\0';
    for (int place = 0; place <= places || size; place++) {
        if (place == places && places > 0)
            *--at = '.';
        *--at = (char)('0' + (int)(size % 10));
        size /= 10;
    }
    if (units < 0)
        *--at = '-';
    return at;
}

static void drop_zeros(char *text)
{
    char *end = text + strlen(text);

    while (end[-1] == '0')
        *--end = '\0';
    if (end[-1] == '.')
        end[-1] = '\0';
}

static void assert_written(int128 number)
{
    static const char *const codes[] = {"USD", "JPY", "KWD", "CLF"};
    char slow[SLOW_MAX], decimal[DECIMAL_TEXT_MAX], money[MONEY_TEXT_MAX], *expected;

    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        const struct currency *currency = currency_find(text_of(codes[i]));

        expected = written_slowly(number, currency->digits, slow);
        cr_assert_eq(money_format((struct money){number}, currency, money), strlen(expected));
        cr_assert_str_eq(money, expected);
    }
    expected = written_slowly(number, DECIMAL_PLACES, slow);
    drop_zeros(expected);
    cr_assert_eq(decimal_format((struct decimal){number}, decimal), strlen(expected));
    cr_assert_str_eq(decimal, expected);
}

static void assert_written_around(int128 number)
{
    for (int128 i = number - 2; i <= number + 2; i++) {
        assert_written(i);
        assert_written(-i);
    }
}

Test(digits, of_amounts_and_quantities_are_those_at_the_edges)
{
    const int128 most = (int128)(~(uint128)0 >> 1);
    int128 power = 1;

    for (int i = 0; i < 38; i++, power *= 10)
        assert_written_around(power);
    for (int i = 0; i < 126; i++)
        assert_written_around((int128)1 << i);
    assert_written_around(most - 3);
    assert_written(most);
    assert_written(-most - 1);
}

Test(digits, of_amounts_and_quantities_are_those_of_random_ones)
{
    uint64_t random = 1;

    for (int i = 0; i < 200000; i++) {
        int128 number;

        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        number = (int128)random << 63 ^ random;
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        assert_written((number ^ random) >> (i % 127));
        assert_written((int128)(random >> 40) * 1000000000000);
    }
}
