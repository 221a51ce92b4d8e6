#include "common/catalog/access.h"

#include "common/io/api_key.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

static struct catalog *catalog;
static char test_key[API_KEY_LENGTH + 1], admin_key[API_KEY_LENGTH + 1];
static const struct instant now = {INT64_C(1795521600000000000)}; /* November 2026 */

static void put_key(const char *key, const char *role, const char *more)
{
    char record_key[32], value[512], hex[65];
    uint8_t digest[API_KEY_DIGEST_BYTES];
    const char *reason;
    struct text id;
    enum api_key_mode mode;

    cr_assert(api_key_parse(text_of(key), &mode, &id));
    api_key_digest(text_of(key), digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    snprintf(record_key, sizeof(record_key), "key/%.*s", (int)id.length, id.at);
    snprintf(value, sizeof(value),
             "{\"epoch\":1,\"id\":\"%.*s\",\"role\":\"%s\",\"sha256\":\"%s\",\"createdAt\":"
             "\"2026-01-01T00:00:00Z\"%s}",
             (int)id.length, id.at, role, hex, more);
    cr_assert_eq(catalog_apply(catalog, text_of(record_key), text_of(value), &reason), 0);
}

static void setup(void)
{
    const char *reason;

    catalog = catalog_new(CATALOG_SUBSCRIPTIONS);
    cr_assert_eq(catalog_apply(catalog, text_of("bucket/b"),
                               text_of("{\"epoch\":1,\"partitions\":1,\"seed\":"
                                       "\"000102030405060708090a0b0c0d0e0f\",\"mode\":\"test\","
                                       "\"createdAt\":\"2026-01-01T00:00:00Z\"}"),
                               &reason),
                 0);
    cr_assert_eq(api_key_new(API_KEY_TEST, test_key), 0);
    cr_assert_eq(api_key_new(API_KEY_TEST, admin_key), 0);
    put_key(test_key, "ingest", "");
    put_key(admin_key, "admin", "");
}

static void teardown(void)
{
    catalog_free(catalog);
}

static struct access_memo memo;

/* Alike without a memo, with an empty one or with one that remembers. */
static bool opens(enum catalog_role role, const char *key, struct instant at)
{
    const struct catalog_key *found = access_check(catalog, role, text_of(key), at, NULL);

    for (int i = 0; i < 3; i++)
        cr_assert_eq(access_check(catalog, role, text_of(key), at, &memo), found);
    return found;
}

TestSuite(access, .init = setup, .fini = teardown);

Test(access, an_ingest_key_of_the_bucket_opens_it)
{
    const struct catalog_key *key =
        access_check(catalog, CATALOG_INGEST, text_of(test_key), now, NULL);

    cr_assert_not_null(key);
    cr_assert(text_equal(key->id, text_from(test_key + 8, 8)));
}

Test(access, no_other_key_does)
{
    char live[API_KEY_LENGTH + 1], unknown[API_KEY_LENGTH + 1], typo[API_KEY_LENGTH + 1];
    char longer[API_KEY_LENGTH + 2], checksum[API_KEY_LENGTH + 1];

    cr_assert_eq(api_key_new(API_KEY_LIVE, live), 0);
    put_key(live, "ingest", "");
    cr_assert_eq(api_key_new(API_KEY_TEST, unknown), 0);
    memcpy(typo, test_key, sizeof(typo));
    typo[20] = typo[20] == 'a' ? 'b' : 'a';
    memcpy(checksum, test_key, sizeof(checksum));
    checksum[API_KEY_LENGTH - 1] = checksum[API_KEY_LENGTH - 1] == 'a' ? 'b' : 'a';
    snprintf(longer, sizeof(longer), "%sx", test_key);

    cr_assert_not(opens(CATALOG_INGEST, NULL, now));
    cr_assert_not(opens(CATALOG_INGEST, "", now));
    cr_assert_not(opens(CATALOG_INGEST, live, now));
    cr_assert_not(opens(CATALOG_INGEST, unknown, now));
    cr_assert_not(opens(CATALOG_INGEST, typo, now));
    cr_assert_not(opens(CATALOG_INGEST, longer, now));
    cr_assert_not(opens(CATALOG_INGEST, checksum, now));
    cr_assert_not(opens(CATALOG_INGEST, admin_key, now));
}

Test(access, a_role_stands_for_no_other)
{
    cr_assert(opens(CATALOG_ADMIN, admin_key, now));
    cr_assert_not(opens(CATALOG_ADMIN, test_key, now));
    cr_assert_not(opens(CATALOG_INGEST, admin_key, now));
}

Test(access, a_catalog_without_its_bucket_opens_to_nobody)
{
    struct catalog *whole = catalog;

    catalog = catalog_new(CATALOG_SUBSCRIPTIONS);
    put_key(test_key, "ingest", "");
    cr_assert_not(opens(CATALOG_INGEST, test_key, now));
    catalog_free(catalog);
    catalog = whole;
}

Test(access, a_key_opens_it_until_it_expires)
{
    struct instant last = {now.ns - 1};

    put_key(test_key, "ingest", ",\"expiresAt\":\"2026-11-24T12:00:00Z\"");
    cr_assert(opens(CATALOG_INGEST, test_key, last));
    cr_assert_not(opens(CATALOG_INGEST, test_key, now));
}

Test(access, a_key_that_was_let_in_and_is_then_taken_away_does_not_open_it)
{
    char record_key[32];
    const char *reason;

    cr_assert(opens(CATALOG_INGEST, test_key, now));
    put_key(test_key, "admin", "");
    cr_assert_not(opens(CATALOG_INGEST, test_key, now));
    put_key(test_key, "ingest", "");
    cr_assert(opens(CATALOG_INGEST, test_key, now));
    snprintf(record_key, sizeof(record_key), "key/%.8s", test_key + 8);
    cr_assert_eq(catalog_apply(catalog, text_of(record_key), text_of(NULL), &reason), 0);
    cr_assert_not(opens(CATALOG_INGEST, test_key, now));
}

Test(access, more_keys_than_are_remembered_open_it_all_the_same)
{
    char keys[3 * ACCESS_KNOWN_MAX][API_KEY_LENGTH + 1];

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        cr_assert_eq(api_key_new(API_KEY_TEST, keys[i]), 0);
        put_key(keys[i], "ingest", "");
    }
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            cr_assert(opens(CATALOG_INGEST, keys[i], now));
            keys[i][20] ^= 1; /* nearly a key that is remembered */
            cr_assert_not(opens(CATALOG_INGEST, keys[i], now));
            keys[i][20] ^= 1;
        }
}

Test(access, another_secret_under_a_known_id_does_not_open_it)
{
    char other[API_KEY_LENGTH + 1];

    cr_assert_eq(api_key_new(API_KEY_TEST, other), 0);
    put_key(other, "ingest", "");
    /* The record of `other`'s id holds the digest of another key from here on. */
    {
        const char *reason;
        char record_key[32], value[256];
        snprintf(record_key, sizeof(record_key), "key/%.8s", other + 8);
        snprintf(value, sizeof(value),
                 "{\"epoch\":1,\"id\":\"%.8s\",\"role\":\"ingest\",\"sha256\":\"%064d\","
                 "\"createdAt\":\"2026-01-01T00:00:00Z\"}",
                 other + 8, 0);
        cr_assert_eq(catalog_apply(catalog, text_of(record_key), text_of(value), &reason), 0);
    }
    cr_assert_not(opens(CATALOG_INGEST, other, now));
}
