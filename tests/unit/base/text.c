/*
 * text.c - texts and buffers.
 */
#include "common/base/text.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

Test(text, absent_differs_from_empty)
{
    cr_assert(text_is_absent(text_of(NULL)));
    cr_assert_not(text_is_absent(text_of("")));
    cr_assert_not(text_equal(text_of(NULL), text_of("")));
    cr_assert(text_equal(text_of(NULL), text_of(NULL)));
    cr_assert_lt(text_compare(text_of(NULL), text_of("")), 0);
    cr_assert_eq(text_compare(text_of(NULL), text_of(NULL)), 0);
}

Test(text, compares_as_unsigned_bytes_and_the_shorter_first)
{
    cr_assert_lt(text_compare(text_of("a"), text_of("ab")), 0);
    cr_assert_gt(text_compare(text_of("\xc3"), text_of("z")), 0);
    cr_assert_eq(text_compare(text_from("a\0b", 3), text_from("a\0b", 3)), 0);
    cr_assert_lt(text_compare(text_from("a\0b", 3), text_from("a\0c", 3)), 0);
    cr_assert_not(text_is(text_from("a\0b", 3), "a"));
}

Test(text, ignores_case_in_ascii_letters_alone)
{
    cr_assert(text_equal_ignoring_case(text_of("Content-Type"), text_of("content-tYPE")));
    cr_assert_not(text_equal_ignoring_case(text_of("["), text_of("{")));
    cr_assert_not(text_equal_ignoring_case(text_of("ab"), text_of("abc")));
}

static bool is_letter(unsigned c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

Test(text, ignores_case_of_each_byte_in_texts_of_every_length)
{
    char a[20], b[20];

    memset(a, 'x', sizeof(a));
    memset(b, 'X', sizeof(b));
    for (size_t length = 1; length <= sizeof(a); length += length == 1 ? 7 : 3)
        for (size_t at = 0; at < length; at++, a[at - 1] = 'x', b[at - 1] = 'X')
            for (unsigned c = 0; c < 256; c++)
                for (unsigned d = 0; d < 256; d++) {
                    bool same = c == d || ((c ^ d) == 0x20 && is_letter(c));

                    a[at] = (char)c;
                    b[at] = (char)d;
                    cr_assert_eq(
                        text_equal_ignoring_case(text_from(a, length), text_from(b, length)), same,
                        "%x and %x at %zu of %zu", c, d, at, length);
                }
}

Test(text, starts_trims_and_cuts)
{
    struct text rest = text_of("a,,b");

    cr_assert(text_starts(text_of("Bearer x"), "Bearer "));
    cr_assert_not(text_starts(text_of("Bear"), "Bearer "));
    cr_assert(text_is(text_trim(text_of(" \ta b\t ")), "a b"));
    cr_assert(text_is(text_trim(text_of(" \t ")), ""));
    cr_assert(text_is(text_cut(&rest, ','), "a"));
    cr_assert(text_is(text_cut(&rest, ','), ""));
    cr_assert(text_is(text_cut(&rest, ','), "b"));
    cr_assert(text_is(rest, ""));
    cr_assert(text_is(text_cut(&rest, ','), ""));
}

Test(text, copy_ends_with_nul)
{
    char *copy = text_copy(text_from("abcd", 2));

    cr_assert_str_eq(copy, "ab");
    free(copy);
}

Test(buffer, grows_and_prints_longer_than_its_room)
{
    CLEANUP(buffer_deinit) struct buffer buffer = {0};
    char long_text[1000];

    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    buffer_printf(&buffer, "%d-%s", 7, long_text);
    buffer_add_char(&buffer, '!');

    cr_assert_eq(buffer.length, 1002);
    cr_assert_eq(memcmp(buffer.at, "7-xxx", 5), 0);
    cr_assert_eq(buffer.at[1001], '!');
}

Test(buffer, writes_integers_to_both_ends)
{
    CLEANUP(buffer_deinit) struct buffer buffer = {0};

    buffer_add_int(&buffer, INT64_MIN);
    buffer_add_char(&buffer, ' ');
    buffer_add_int(&buffer, INT64_MAX);
    buffer_add_char(&buffer, ' ');
    buffer_add_int(&buffer, 0);

    cr_assert(text_is(buffer_text(&buffer), "-9223372036854775808 9223372036854775807 0"));
}

Test(buffer, an_unused_one_is_the_empty_text)
{
    struct buffer buffer = {0};

    cr_assert(text_equal(buffer_text(&buffer), text_of("")));
    buffer_deinit(&buffer);
}

Test(buffer, writes_any_bytes_as_a_json_string)
{
    static const struct {
        struct text text;
        const char *json;
    } cases[] = {
        {{NULL, 0}, "null"},
        {{"", 0}, "\"\""},
        {{"a\"b\\c/", 6}, "\"a\\\"b\\\\c/\""},
        {{"\b\t\n\f\r\v\0\x1f\x7f", 9}, "\"\\b\\t\\n\\f\\r\\u000b\\u0000\\u001f\x7f\""},
        {{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9}, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
        /* a lone continuation, an overlong NUL, a surrogate, a cut character */
        {{"a\x80z", 3}, "\"a\xef\xbf\xbdz\""},
        {{"\xc0\x80", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\xe2\x82", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buffer_deinit) struct buffer buffer = {0};

        buffer_add_json_string(&buffer, cases[i].text);
        cr_assert(text_is(buffer_text(&buffer), cases[i].json), "case %zu: %.*s", i,
                  (int)buffer.length, buffer.at);
    }
}

Test(buffer, escapes_a_quote_wherever_it_stands_in_a_json_string)
{
    for (size_t length = 1; length <= 20; length++)
        for (size_t quote = 0; quote < length; quote++) {
            CLEANUP(buffer_deinit) struct buffer buffer = {0};
            char text[20], expected[24];

            memset(text, 'x', length);
            text[quote] = '"';
            (void)snprintf(expected, sizeof(expected), "\"%.*s\\%.*s\"", (int)quote, text,
                           (int)(length - quote), text + quote);
            buffer_add_json_string(&buffer, text_from(text, length));
            cr_assert(text_is(buffer_text(&buffer), expected), "%zu of %zu", quote, length);
        }
}

Test(buffer, past_its_limit_is_our_mistake, .signal = SIGABRT)
{
    struct buffer buffer = {0};

    buffer_reserve(&buffer, (size_t)BUFFER_BYTES_MAX + 1);
}
