#include "proto/crc32.h"

#include <criterion/criterion.h>

/* Bit by bit, from its definition. */
static uint32_t divided(struct text text)
{
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < text.length; i++) {
        crc ^= (uint8_t)text.at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    return ~crc;
}

Test(crc32, it_is_the_polynomials_remainder_at_every_length_and_alignment)
{
    char bytes[16 + 400];
    uint32_t random = 1;

    for (size_t i = 0; i < sizeof(bytes); i++) {
        random = random * 1664525 + 1013904223;
        bytes[i] = (char)(random >> 24);
    }
    for (size_t begin = 0; begin < 16; begin++)
        for (size_t length = 0; length <= 400; length++) {
            struct text text = text_from(bytes + begin, length);

            cr_assert_eq(crc32_of_text(text), divided(text), "%zu bytes from %zu", length, begin);
        }
}

Test(crc32, check_value_of_the_standard)
{
    cr_assert_eq(crc32_of_text(text_of("123456789")), 0xcbf43926);
}
