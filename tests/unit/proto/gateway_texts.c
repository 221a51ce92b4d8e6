/*
 * gateway_texts.c - the texts of a gateway's batch.
 */
#include "proto/gateway_texts.h"

#include <criterion/criterion.h>

Test(gateway_texts, a_text_is_sound_when_it_is_utf8_without_nul_whatever_its_length)
{
    char bytes[60];

    for (size_t length = 0; length < 50; length++) {
        memset(bytes, 'a', sizeof(bytes));
        cr_assert(gateway_is_sound(text_from(bytes, length)), "%zu", length);
        for (size_t at = 0; at < length; at++) {
            bytes[at] = '\0';
            cr_assert_not(gateway_is_sound(text_from(bytes, length)), "NUL at %zu of %zu", at,
                          length);
            bytes[at] = '\xff';
            cr_assert_not(gateway_is_sound(text_from(bytes, length)), "FF at %zu of %zu", at,
                          length);
            memcpy(&bytes[at], "\xc3\xa9", 2);
            cr_assert_eq(gateway_is_sound(text_from(bytes, length)), at + 1 < length,
                         "two bytes at %zu of %zu", at, length);
            memset(bytes, 'a', sizeof(bytes));
        }
    }
}
