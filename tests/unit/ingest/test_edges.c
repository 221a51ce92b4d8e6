#include "common/io/api_key.h"
#include "ingest/edges/answer.h"
#include "ingest/edges/auth.h"
#include "ingest/edges/reject.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* --- answers --- */

static struct refusal refusal_of(enum refusal_code code)
{
    return (struct refusal){
        .code = code, .detail = text_of("say \"what\" to do"), .pointer = text_of("/data/a")};
}

static void expect_body(const struct answer *answer, int status, const char *expected)
{
    struct buffer body = {.length = 0};

    answer_write(answer, &body);
    cr_assert_eq(answer_status(answer), status);
    cr_assert(text_is(buffer_text(&body), expected), "%.*s", (int)body.length, body.at);
    buffer_deinit(&body);
}

Test(answer, an_empty_batch_is_accepted)
{
    struct answer answer = {.accepted = 0};

    expect_body(&answer, 202, "{\"accepted\":0,\"rejected\":[]}");
}

Test(answer, refusals_stand_beside_what_was_accepted)
{
    struct answer answer = {.accepted = 2};
    struct refusal refusal = refusal_of(REFUSAL_MISSING_VALUE);

    answer_add_refusal(&answer, 1, text_of("i\n"), &refusal);
    answer_add_refusal(&answer, 3, text_of(NULL), &refusal);
    expect_body(&answer, 202,
                "{\"accepted\":2,\"rejected\":[{\"index\":1,\"id\":\"i\\n\",\"code\":"
                "\"missing_value\",\"detail\":\"say \\\"what\\\" to do\",\"pointer\":\"/data/a\"},"
                "{\"index\":3,\"id\":null,\"code\":\"missing_value\",\"detail\":"
                "\"say \\\"what\\\" to do\",\"pointer\":\"/data/a\"}]}");
    answer_deinit(&answer);
}

Test(answer, nothing_acceptable_is_a_problem_with_the_same_members)
{
    struct answer answer = {.accepted = 0};
    struct refusal refusal = refusal_of(REFUSAL_TOO_DEEP);
    struct buffer body = {.length = 0};

    answer_add_refusal(&answer, 0, text_of("x"), &refusal);
    answer_write(&answer, &body);
    buffer_add_char(&body, '\0');
    cr_assert_eq(answer_status(&answer), 400);
    cr_assert(strstr(body.at, "\"code\":\"no_acceptable_event\""));
    cr_assert(strstr(body.at, "\"accepted\":0,\"rejected\":[{\"index\":0,\"id\":\"x\""));
    buffer_deinit(&body);
    answer_deinit(&answer);
}

/* --- keys --- */

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

    catalog = catalog_new();
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

TestSuite(auth, .init = setup, .fini = teardown);

Test(auth, an_ingest_key_of_the_bucket_opens_it)
{
    const struct catalog_key *key = auth_check(catalog, text_of(test_key), now);

    cr_assert_not_null(key);
    cr_assert(text_equal(key->id, text_from(test_key + 8, 8)));
}

Test(auth, no_other_key_does)
{
    char live[API_KEY_LENGTH + 1], unknown[API_KEY_LENGTH + 1], typo[API_KEY_LENGTH + 1];
    char longer[API_KEY_LENGTH + 2];

    cr_assert_eq(api_key_new(API_KEY_LIVE, live), 0);
    put_key(live, "ingest", "");
    cr_assert_eq(api_key_new(API_KEY_TEST, unknown), 0);
    memcpy(typo, test_key, sizeof(typo));
    typo[20] = typo[20] == 'a' ? 'b' : 'a';
    snprintf(longer, sizeof(longer), "%sx", test_key);

    cr_assert_null(auth_check(catalog, text_of(NULL), now));
    cr_assert_null(auth_check(catalog, text_of(""), now));
    cr_assert_null(auth_check(catalog, text_of(live), now));
    cr_assert_null(auth_check(catalog, text_of(unknown), now));
    cr_assert_null(auth_check(catalog, text_of(typo), now));
    cr_assert_null(auth_check(catalog, text_of(longer), now));
    cr_assert_null(auth_check(catalog, text_of(admin_key), now));
}

Test(auth, a_key_opens_it_until_it_expires)
{
    struct instant last = {now.ns - 1};

    put_key(test_key, "ingest", ",\"expiresAt\":\"2026-11-24T12:00:00Z\"");
    cr_assert_not_null(auth_check(catalog, text_of(test_key), last));
    cr_assert_null(auth_check(catalog, text_of(test_key), now));
}

Test(auth, another_secret_under_a_known_id_does_not_open_it)
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
    cr_assert_null(auth_check(catalog, text_of(other), now));
}

/* --- rejected records --- */

static struct text header_of(const struct reject *reject, const char *name)
{
    for (size_t i = 0; i < reject->count; i++)
        if (strcmp(reject->headers[i].name, name) == 0)
            return reject->headers[i].value;
    return text_of(NULL);
}

Test(reject, a_records_own_headers_are_kept_and_ours_added)
{
    struct kafka_header own[] = {{"x", text_of("1")}, {"tollway_reason", text_of("forged")}};
    struct kafka_message record = {
        .partition = 3, .offset = 42, .headers = own, .header_count = ARRAY_LEN(own)};
    struct refusal refusal = refusal_of(REFUSAL_INVALID_VALUE);
    struct reject reject;

    reject_headers(&reject, &record, "b.events", &refusal, text_of("0,7"), 1795521600000);

    cr_assert(text_is(header_of(&reject, "x"), "1"));
    cr_assert(text_is(header_of(&reject, "tollway_reason"), "invalid_value"));
    cr_assert(text_is(header_of(&reject, "tollway_pointer"), "/data/a"));
    cr_assert(text_is(header_of(&reject, "tollway_topic"), "b.events"));
    cr_assert(text_is(header_of(&reject, "tollway_partition"), "3"));
    cr_assert(text_is(header_of(&reject, "tollway_offset"), "42"));
    cr_assert(text_is(header_of(&reject, "tollway_time"), "2026-11-24T12:00:00Z"));
    cr_assert(text_is(header_of(&reject, "tollway_index"), "0,7"));
}

Test(reject, more_headers_than_there_is_room_for_leave_ours_whole)
{
    static struct kafka_header own[200];
    struct kafka_message record = {.headers = own, .header_count = ARRAY_LEN(own)};
    struct refusal refusal = {.code = REFUSAL_TOMBSTONE, .detail = text_of("send none")};
    struct reject reject;

    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        own[i] = (struct kafka_header){"own", text_of("v")};
    reject_headers(&reject, &record, "b.events", &refusal, text_of(NULL), 0);

    cr_assert_leq(reject.count, REJECT_HEADERS_MAX);
    cr_assert(text_is(header_of(&reject, "tollway_reason"), "tombstone"));
    cr_assert(text_is(header_of(&reject, "tollway_time"), "1970-01-01T00:00:00Z"));
    cr_assert(text_is_absent(header_of(&reject, "tollway_pointer")));
    cr_assert(text_is_absent(header_of(&reject, "tollway_index")));
}
