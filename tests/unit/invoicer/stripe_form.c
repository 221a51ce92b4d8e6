/*
 * stripe_form.c - forms for Stripe, and texts within its limits.
 */
#include "invoicer/rules/stripe_form.h"
#include "invoicer/rules/stripe_text.h"

#include <criterion/criterion.h>

static void assert_form(struct text value, const char *expected)
{
    CLEANUP(buffer_deinit) struct buffer form = {0};

    stripe_form_add(&form, "a", value);

    cr_assert(text_is(buffer_text(&form), expected), "%.*s", (int)form.length, form.at);
}

Test(stripe_form, escapes_all_but_letters_digits_and_four_marks)
{
    char all[256];

    assert_form(text_of("AZaz09-_.~"), "a=AZaz09-_.~");
    assert_form(text_of("a b&c=d+e%f[g]"), "a=a%20b%26c%3Dd%2Be%25f%5Bg%5D");
    assert_form(text_of("\xc3\x96st \xe2\x82\xac"), "a=%C3%96st%20%E2%82%AC");
    for (int c = 0; c < 256; c++) {
        CLEANUP(buffer_deinit) struct buffer form = {0};

        all[c] = (char)c;
        stripe_form_add(&form, "a", text_from(all + c, 1));
        cr_assert(form.length == 3 || form.length == 5, "%d", c);
        cr_assert(c > 0x20 && c < 0x7f ? true : form.length == 5, "%d", c);
    }
}

Test(stripe_form, leaves_out_what_is_empty_as_stripe_would_refuse_it)
{
    CLEANUP(buffer_deinit) struct buffer form = {0};

    stripe_form_add(&form, "a", text_of(""));
    stripe_form_add(&form, "b", text_of(NULL));
    stripe_form_add_int(&form, "c[0][d]", INT64_MIN);
    stripe_form_add(&form, "e", text_of("f"));

    cr_assert(text_is(buffer_text(&form), "c[0][d]=-9223372036854775808&e=f"));
}

Test(stripe_text, is_cut_between_characters)
{
    struct text text = text_of("a\xe2\x82\xac\xf0\x9f\x98\x80");

    cr_assert_eq(stripe_cut(text, 100).length, 8);
    cr_assert_eq(stripe_cut(text, 8).length, 8);
    cr_assert_eq(stripe_cut(text, 7).length, 4);
    cr_assert_eq(stripe_cut(text, 4).length, 4);
    cr_assert_eq(stripe_cut(text, 3).length, 1);
    cr_assert_eq(stripe_cut(text, 0).length, 0);
}

Test(stripe_text, is_said_on_one_line_that_a_terminal_does_not_obey)
{
    CLEANUP(buffer_deinit) struct buffer line = {0};
    char said[16], some[6];

    stripe_add_plain(&line, text_of("a\nb\x1b[c\x7f\xc2\x9b\xc2\xa0\xc3\x96"));
    stripe_say(&line, said, sizeof(said));
    stripe_say(&line, some, sizeof(some));

    cr_assert_str_eq(said, "a b [c  \xc2\xa0\xc3\x96");
    cr_assert_str_eq(some, "a b [");
}
