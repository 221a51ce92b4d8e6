#include "common/io/api_key.h"

#include <criterion/criterion.h>
#include <string.h>

Test(api_key, a_new_key_reads_back_with_its_mode_and_id)
{
    char key[API_KEY_LENGTH + 1];
    enum api_key_mode mode = API_KEY_TEST;
    struct text id;

    cr_assert_eq(api_key_new(API_KEY_LIVE, key), 0);

    cr_assert(api_key_parse(text_of(key), &mode, &id));
    cr_assert_eq(mode, API_KEY_LIVE);
    cr_assert_eq(id.length, API_KEY_ID_LENGTH);
    cr_assert_eq(strlen(key), API_KEY_LENGTH);
}

Test(api_key, two_new_keys_differ)
{
    char a[API_KEY_LENGTH + 1], b[API_KEY_LENGTH + 1];

    cr_assert_eq(api_key_new(API_KEY_TEST, a), 0);
    cr_assert_eq(api_key_new(API_KEY_TEST, b), 0);

    cr_assert_neq(strcmp(a, b), 0);
}

Test(api_key, every_changed_letter_breaks_the_key)
{
    char key[API_KEY_LENGTH + 1];
    enum api_key_mode mode;
    struct text id;

    cr_assert_eq(api_key_new(API_KEY_TEST, key), 0);

    for (size_t i = 0; i < API_KEY_LENGTH; i++) {
        char was = key[i];

        key[i] = was == 'x' ? 'y' : 'x';
        cr_assert_not(api_key_parse(text_of(key), &mode, &id), "letter %zu", i);
        key[i] = was;
    }
    cr_assert(api_key_parse(text_of(key), &mode, &id));
}

Test(api_key, anything_that_is_laid_out_like_a_key_is_split)
{
    const char *key = "mk_live_12345678_???????????????????????????_000000";
    enum api_key_mode mode = API_KEY_TEST;
    struct text id;

    cr_assert(api_key_split(text_of(key), &mode, &id));
    cr_assert_eq(mode, API_KEY_LIVE);
    cr_assert(text_is(id, "12345678"));
    cr_assert_not(api_key_parse(text_of(key), &mode, &id));

    cr_assert_not(
        api_key_split(text_of("mk_dead_12345678_???????????????????????????_000000"), &mode, &id));
    cr_assert_not(
        api_key_split(text_of("mk_live_12345678-???????????????????????????_000000"), &mode, &id));
    cr_assert_not(api_key_split(text_of("mk_live_"), &mode, &id));
}

Test(api_key, keys_and_digests_are_equal_when_no_bit_differs)
{
    uint8_t a[API_KEY_DIGEST_BYTES], b[API_KEY_DIGEST_BYTES];
    char key[API_KEY_LENGTH + 1], other[API_KEY_LENGTH + 1];

    cr_assert_eq(api_key_new(API_KEY_LIVE, key), 0);
    api_key_digest(text_of(key), a);
    memcpy(b, a, sizeof(b));
    memcpy(other, key, sizeof(other));

    cr_assert(api_key_equal(key, other) && api_key_digest_equal(a, b));
    for (size_t bit = 0; bit < sizeof(b) * 8; bit++) {
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_not(api_key_digest_equal(a, b), "bit %zu", bit);
        b[bit / 8] = a[bit / 8];
    }
    for (size_t bit = 0; bit < (size_t)API_KEY_LENGTH * 8; bit++) {
        other[bit / 8] ^= (char)(1 << bit % 8);
        cr_assert_not(api_key_equal(key, other), "bit %zu", bit);
        other[bit / 8] = key[bit / 8];
    }
}

Test(api_key, digests_of_different_keys_differ)
{
    uint8_t a[API_KEY_DIGEST_BYTES], b[API_KEY_DIGEST_BYTES];

    api_key_digest(text_of("a"), a);
    api_key_digest(text_of("b"), b);

    cr_assert(api_key_digest_equal(a, a));
    cr_assert_not(api_key_digest_equal(a, b));
}
