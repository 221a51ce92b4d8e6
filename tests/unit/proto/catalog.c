/*
 * catalog.c - the catalog in memory: records in, subscriptions, meters and keys found.
 */
#include "proto/catalog.h"

#include "common/base/partition.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct catalog *catalog;
static const char *reason;

static void start(void)
{
    catalog = catalog_new(CATALOG_SUBSCRIPTIONS);
    reason = "";
}

static void stop(void)
{
    catalog = catalog_free(catalog);
}

TestSuite(catalog, .init = start, .fini = stop);
TestSuite(catalog_path);

static int apply(const char *key, const char *value)
{
    return catalog_apply(catalog, text_of(key), text_of(value), &reason);
}

#define BUCKET                                                                                     \
    "{\"epoch\":1,\"partitions\":12,\"seed\":\"000102030405060708090a0b0c0d0e0f\",\"mode\":"       \
    "\"test\",\"createdAt\":\"2026-01-01T00:00:00Z\"}"
#define METER                                                                                      \
    "{\"epoch\":1,\"slug\":\"api\",\"name\":\"API\",\"eventType\":\"request\",\"aggregation\":"    \
    "\"SUM\",\"valueProperty\":\"$.total\",\"groupBy\":{\"status\":\"$.status\",\"method\":"       \
    "\"$.http['the method']\"},\"eventFrom\":\"2026-01-01T00:00:00Z\"}"
#define KEY                                                                                        \
    "{\"epoch\":1,\"id\":\"abcdefgh\",\"role\":\"admin\",\"sha256\":"                              \
    "\"00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\",\"createdAt\":"          \
    "\"2026-01-01T00:00:00Z\",\"expiresAt\":null}"

static struct instant at(const char *time)
{
    struct instant instant;

    cr_assert_eq(instant_parse(text_of(time), &instant), 0, "%s", time);
    return instant;
}

static const char *cuts = "[0,600]";

static int subscribe(const char *id, const char *customer, const char *consumer, const char *from,
                     const char *to)
{
    CLEANUP(buffer_deinit) struct buffer value = {0}, key = {0};
    bool is_open = strcmp(to, "") == 0;

    buffer_printf(&key, "subscription/%s", id);
    buffer_printf(&value,
                  "{\"epoch\":1,\"id\":\"%s\",\"customerKey\":\"%s\",\"plan\":{\"key\":\"p\","
                  "\"version\":1},\"activeFrom\":\"%s\",\"activeTo\":%s%s%s,\"billingAnchor\":"
                  "\"2026-01-01T00:00:00Z\",\"cuts\":%s",
                  id, customer, from, is_open ? "null" : "\"", to, is_open ? "" : "\"", cuts);
    if (*consumer)
        buffer_printf(&value, ",\"consumer\":{\"name\":\"%s\"}", consumer);
    buffer_add_char(&value, '}');
    return catalog_apply(catalog, buffer_text(&key), buffer_text(&value), &reason);
}

/* The id that a subject finds, or what went wrong in its place. */
static const char *found(const char *subject, const char *time)
{
    static const char *const outcomes[] = {"", "unknown", "ambiguous", "inactive"};
    static char id[64];
    const struct catalog_subscription *subscription;
    int r = catalog_find_subject(catalog, text_of(subject), NULL, at(time), &subscription);

    if (r)
        return outcomes[r];
    snprintf(id, sizeof(id), "%.*s", (int)subscription->id.length, subscription->id.at);
    return id;
}

Test(catalog, bucket_says_partitions_seed_and_mode)
{
    cr_assert_not(catalog_has_bucket(catalog));

    cr_assert_eq(apply("bucket/demo", BUCKET), 0, "%s", reason);

    cr_assert(catalog_has_bucket(catalog));
    cr_assert_eq(catalog_hash(catalog), CATALOG_HASH_XXH3);
    cr_assert_eq(catalog_partitions(catalog), 12);
    cr_assert_eq(catalog_seed(catalog)[15], 15);
    cr_assert_not(catalog_is_live(catalog));
}

static bool is_numbered(const char *source)
{
    return catalog_is_numbered(catalog, text_of(source));
}

Test(catalog, numbered_sources_are_those_of_the_last_configuration)
{
    cr_assert_not(is_numbered("/a"));

    cr_assert_eq(apply("configuration/default",
                       "{\"epoch\":1,\"numberedSources\":[\"/a\",\"/b\"],\"planOrder\":[]}"),
                 0);
    cr_assert(is_numbered("/a") && is_numbered("/b") && !is_numbered("/c"));
    cr_assert_eq(apply("configuration/default", "{\"epoch\":1,\"numberedSources\":[\"/c\"]}"), 0);
    cr_assert(is_numbered("/c") && !is_numbered("/a"));
    cr_assert_eq(apply("configuration/default", "{\"epoch\":1,\"numberedSources\":[\"\"]}"),
                 CATALOG_MALFORMED);
    cr_assert_eq(apply("configuration/default", "{\"epoch\":1,\"numberedSources\":\"/a\"}"),
                 CATALOG_MALFORMED);
    cr_assert(is_numbered("/c"), "a malformed one leaves it as it was");
    cr_assert_eq(apply("configuration/default", NULL), 0);
    cr_assert_not(is_numbered("/c"));
}

Test(catalog, meter_is_found_by_slug_and_type_with_sorted_dimensions)
{
    const struct catalog_meter *meter;
    size_t count = 7;

    cr_assert_eq(apply("meter/api", METER), 0, "%s", reason);

    meter = catalog_meter(catalog, text_of("api"));
    cr_assert_not_null(meter);
    cr_assert_eq(meter->aggregation, AGGREGATION_SUM);
    cr_assert(text_is(meter->value.spelling, "$.total"));
    cr_assert(text_is(meter->value.steps[0], "total"));
    cr_assert_eq(meter->dimension_count, 2);
    cr_assert(text_is(meter->dimensions[0].name, "method"));
    cr_assert(text_is(meter->dimensions[0].path.steps[0], "http"));
    cr_assert(text_is(meter->dimensions[0].path.steps[1], "the method"));
    cr_assert(text_is(meter->dimensions[1].name, "status"));
    cr_assert_eq(meter->from.ns, at("2026-01-01T00:00:00Z").ns);
    cr_assert_eq(*catalog_meters_of(catalog, text_of("request"), &count), meter);
    cr_assert_eq(count, 1);
    cr_assert_null(catalog_meters_of(catalog, text_of("api"), &count));
    cr_assert_eq(count, 0);
}

static int apply_meter(const char *slug, const char *type)
{
    CLEANUP(buffer_deinit) struct buffer value = {0}, key = {0};

    buffer_printf(&key, "meter/%s", slug);
    buffer_printf(&value,
                  "{\"epoch\":1,\"slug\":\"%s\",\"eventType\":\"%s\",\"aggregation\":\"COUNT\"}",
                  slug, type);
    return catalog_apply(catalog, buffer_text(&key), buffer_text(&value), &reason);
}

Test(catalog, meters_of_a_type_are_sorted_and_move_with_their_record)
{
    const struct catalog_meter *const *meters;
    size_t count;

    cr_assert_eq(apply_meter("c", "t"), 0, "%s", reason);
    cr_assert_eq(apply_meter("a", "t"), 0);
    cr_assert_eq(apply_meter("b", "t"), 0);
    meters = catalog_meters_of(catalog, text_of("t"), &count);
    cr_assert_eq(count, 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(meters[i]->slug.at[0], 'a' + (char)i);

    cr_assert_eq(apply_meter("b", "u"), 0);
    cr_assert_eq(apply("meter/a", NULL), 0);
    meters = catalog_meters_of(catalog, text_of("t"), &count);
    cr_assert_eq(count, 1);
    cr_assert(text_is(meters[0]->slug, "c"));
    meters = catalog_meters_of(catalog, text_of("u"), &count);
    cr_assert_eq(count, 1);
    cr_assert_null(catalog_meter(catalog, text_of("a")));
}

Test(catalog, the_meter_past_a_types_limit_is_refused)
{
    char slug[16];
    size_t count;

    for (int i = 0; i < USAGE_METERS_MAX; i++) {
        snprintf(slug, sizeof(slug), "m%d", i);
        cr_assert_eq(apply_meter(slug, "t"), 0);
    }
    cr_assert_eq(apply_meter("one_more", "t"), CATALOG_MALFORMED);
    cr_assert_eq(apply_meter("one_more", "u"), 0);
    cr_assert_eq(apply_meter("m5", "t"), 0, "one that is there may be replaced");
    catalog_meters_of(catalog, text_of("t"), &count);
    cr_assert_eq(count, USAGE_METERS_MAX);
}

Test(catalog, key_is_found_by_its_public_id)
{
    const struct catalog_key *key;

    cr_assert_eq(apply("key/abcdefgh", KEY), 0, "%s", reason);

    key = catalog_key(catalog, text_of("abcdefgh"));
    cr_assert_not_null(key);
    cr_assert_eq(key->role, CATALOG_ADMIN);
    cr_assert_eq(key->sha256[31], 0xff);
    cr_assert_eq(key->expires.ns, INT64_MAX);
    cr_assert_eq(apply("key/abcdefgh", NULL), 0);
    cr_assert_null(catalog_key(catalog, text_of("abcdefgh")));
}

Test(catalog, subscription_knows_its_partition_whenever_the_bucket_comes)
{
    const struct catalog_subscription *subscription;

    cr_assert_eq(subscribe("s1", "acme", "", "2026-01-01T00:00:00Z", ""), 0, "%s", reason);
    subscription = catalog_subscription(catalog, text_of("s1"));
    cr_assert_eq(subscription->partition, -1);

    cr_assert_eq(apply("bucket/demo", BUCKET), 0);
    cr_assert_eq(subscription->partition, partition_of(text_of("s1"), 12));
    cr_assert_eq(subscribe("s2", "acme", "", "2026-01-01T00:00:00Z", ""), 0);
    subscription = catalog_subscription(catalog, text_of("s2"));
    cr_assert_eq(subscription->partition, partition_of(text_of("s2"), 12));
    cr_assert_eq(subscription->active_to.ns, INT64_MAX);
    cr_assert(text_is_absent(subscription->consumer_name));
}

Test(catalog, fetching_ahead_changes_no_answer)
{
    const struct text ids[] = {text_of("s1"), text_of(NULL), text_of("nobody"), text_of(""),
                               text_of("s1")};
    const struct catalog_subscription *guesses[ARRAY_LEN(ids)];

    catalog_prefetch(catalog, ids, ARRAY_LEN(ids), guesses);
    cr_assert_null(guesses[0]);
    cr_assert_null(catalog_subscription(catalog, text_of("s1")));
    cr_assert_eq(subscribe("s1", "acme", "", "2026-01-01T00:00:00Z", ""), 0, "%s", reason);
    catalog_prefetch(catalog, ids, ARRAY_LEN(ids), guesses);
    cr_assert_eq(guesses[4], catalog_subscription(catalog, text_of("s1")));
    cr_assert_str_eq(found("s1", "2026-02-01T00:00:00Z"), "s1");
    cr_assert_null(catalog_subscription(catalog, text_of("nobody")));
    cr_assert_eq(apply("subscription/s1", NULL), 0);
    catalog_prefetch(catalog, ids, ARRAY_LEN(ids), guesses);
    cr_assert_null(guesses[0]);
    cr_assert_null(catalog_subscription(catalog, text_of("s1")));
}

Test(catalog, a_wrong_guess_changes_no_answer)
{
    const struct catalog_subscription *one, *two, *by_subject = NULL;
    struct instant time = at("2026-02-01T00:00:00Z");

    cr_assert_eq(subscribe("one", "acme", "", "2026-01-01T00:00:00Z", ""), 0, "%s", reason);
    cr_assert_eq(subscribe("ones", "else", "", "2026-01-01T00:00:00Z", ""), 0, "%s", reason);
    one = catalog_subscription(catalog, text_of("one"));
    two = catalog_subscription(catalog, text_of("ones"));
    cr_assert_eq(catalog_subscription_like(catalog, text_of("one"), one), one);
    cr_assert_eq(catalog_subscription_like(catalog, text_of("one"), two), one);
    cr_assert_eq(catalog_subscription_like(catalog, text_of("ones"), one), two);
    cr_assert_null(catalog_subscription_like(catalog, text_of("on"), one));
    cr_assert_eq(catalog_find_subject(catalog, text_of("acme"), two, time, &by_subject), 0);
    cr_assert_eq(by_subject, one);
}

Test(catalog, subject_is_looked_up_as_id_then_consumer_then_customer)
{
    cr_assert_eq(subscribe("one", "two", "three", "2026-01-01T00:00:00Z", ""), 0);
    cr_assert_eq(subscribe("two", "three", "one", "2026-01-01T00:00:00Z", ""), 0);

    cr_assert_str_eq(found("one", "2026-02-01T00:00:00Z"), "one");
    cr_assert_str_eq(found("two", "2026-02-01T00:00:00Z"), "two");
    cr_assert_str_eq(found("three", "2026-02-01T00:00:00Z"), "one");
    cr_assert_str_eq(found("four", "2026-02-01T00:00:00Z"), "unknown");
}

Test(catalog, the_first_kind_that_knows_a_subject_decides_even_if_nothing_is_active)
{
    cr_assert_eq(subscribe("old", "acme", "x", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"), 0);
    cr_assert_eq(subscribe("new", "x", "y", "2026-01-01T00:00:00Z", ""), 0);

    cr_assert_str_eq(found("x", "2026-01-31T23:59:59.999999999Z"), "old");
    cr_assert_str_eq(found("x", "2026-02-01T00:00:00Z"), "inactive");
    cr_assert_str_eq(found("x", "2025-12-31T23:59:59Z"), "inactive");
    cr_assert_str_eq(found("x", "2026-01-01T00:00:00Z"), "old");
}

Test(catalog, an_open_subscription_is_active_even_in_the_farthest_future)
{
    cr_assert_eq(subscribe("open", "acme", "", "2026-01-01T00:00:00Z", ""), 0);
    cr_assert_eq(subscribe("ends", "zeta", "", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"), 0);

    cr_assert_str_eq(found("acme", "9999-12-31T23:59:59Z"), "open");
    cr_assert_str_eq(found("open", "9999-12-31T23:59:59Z"), "open");
    cr_assert_str_eq(found("zeta", "9999-12-31T23:59:59Z"), "inactive");
}

Test(catalog, two_active_ones_of_a_customer_are_ambiguous)
{
    cr_assert_eq(subscribe("a", "acme", "", "2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z"), 0);
    cr_assert_eq(subscribe("b", "acme", "", "2026-02-01T00:00:00Z", ""), 0);

    cr_assert_str_eq(found("acme", "2026-01-15T00:00:00Z"), "a");
    cr_assert_str_eq(found("acme", "2026-02-15T00:00:00Z"), "ambiguous");
    cr_assert_str_eq(found("acme", "2026-03-15T00:00:00Z"), "b");
    cr_assert_eq(apply("subscription/b", NULL), 0);
    cr_assert_str_eq(found("acme", "2026-02-15T00:00:00Z"), "a");
    cr_assert_str_eq(found("acme", "2026-03-15T00:00:00Z"), "inactive");
}

Test(catalog, older_epoch_is_ignored_and_an_equal_one_is_not)
{
    cr_assert_eq(apply("meter/a", "{\"epoch\":5,\"slug\":\"a\",\"aggregation\":\"COUNT\"}"), 0);
    cr_assert_eq(apply("meter/b", "{\"epoch\":4,\"slug\":\"b\",\"aggregation\":\"COUNT\"}"),
                 CATALOG_OLDER_EPOCH);
    cr_assert_eq(apply("meter/c", "{\"epoch\":5,\"slug\":\"c\",\"aggregation\":\"COUNT\"}"), 0);
    cr_assert_eq(apply("plan/p@1", "{\"epoch\":6,\"anything\":[]}"), 0, "tells of a new tenure");
    cr_assert_eq(apply("meter/d", "{\"epoch\":5,\"slug\":\"d\",\"aggregation\":\"COUNT\"}"),
                 CATALOG_OLDER_EPOCH);

    cr_assert_null(catalog_meter(catalog, text_of("b")));
    cr_assert_not_null(catalog_meter(catalog, text_of("c")));
    cr_assert_eq(catalog_epoch(catalog), 6);
}

Test(catalog, malformed_records_leave_it_as_it_was)
{
    static const char *const records[][2] = {
        {"meter", METER},
        {"/api", METER},
        {"meter/", METER},
        {"meter/other", METER},
        {"meter/api", ""},
        {"meter/api", "{"},
        {"meter/api", "[]"},
        {"meter/api", "{\"slug\":\"api\",\"aggregation\":\"COUNT\"}"},
        {"meter/api", "{\"epoch\":-1,\"slug\":\"api\",\"aggregation\":\"COUNT\"}"},
        {"meter/api", "{\"epoch\":1,\"epoch\":1,\"slug\":\"api\",\"aggregation\":\"COUNT\"}"},
        {"meter/api", "{\"epoch\":1,\"slug\":\"api\",\"aggregation\":\"count\"}"},
        {"meter/api", "{\"epoch\":1,\"slug\":\"api\",\"aggregation\":\"SUM\"}"},
        {"meter/api",
         "{\"epoch\":1,\"slug\":\"api\",\"aggregation\":\"COUNT\",\"valueProperty\":\"$.x\"}"},
        {"meter/api", "{\"epoch\":1,\"slug\":\"api\",\"aggregation\":\"COUNT\",\"groupBy\":[]}"},
        {"meter/api",
         "{\"epoch\":1,\"slug\":\"api\",\"aggregation\":\"COUNT\",\"groupBy\":{\"a\":\"x\"}}"},
        {"meter/api",
         "{\"epoch\":1,\"slug\":\"api\",\"aggregation\":\"COUNT\",\"groupBy\":{\"\":\"$.x\"}}"},
        {"meter/api",
         "{\"epoch\":1,\"slug\":\"api\",\"aggregation\":\"COUNT\",\"eventFrom\":\"today\"}"},
        {"key/abcdefgh", "{\"epoch\":1,\"id\":\"abcdefgh\",\"role\":\"root\"}"},
        {"key/abcdefgh", "{\"epoch\":1,\"id\":\"abcdefgh\",\"role\":\"admin\",\"sha256\":\"00\"}"},
        {"bucket/b", "{\"epoch\":1,\"partitions\":0,\"seed\":"
                     "\"000102030405060708090a0b0c0d0e0f\",\"mode\":\"test\"}"},
        {"bucket/b", "{\"epoch\":1,\"partitions\":1,\"seed\":\"00\",\"mode\":\"test\"}"},
        {"bucket/b", "{\"epoch\":1,\"partitions\":1,\"seed\":\"000102030405060708090a0b0c0d0e0f\","
                     "\"mode\":\"test\",\"hash\":\"md5\"}"},
        {"bucket/b", "{\"epoch\":1,\"partitions\":1,\"seed\":"
                     "\"000102030405060708090a0b0c0d0e0f\",\"mode\":\"?\"}"},
        {"subscription/s", "{\"epoch\":1,\"id\":\"s\",\"customerKey\":\"c\"}"},
        {"subscription/s", "{\"epoch\":1,\"id\":\"s\",\"customerKey\":\"c\",\"activeFrom\":"
                           "\"2026-01-01T00:00:00Z\",\"cuts\":[]}"},
        {"subscription/s", "{\"epoch\":1,\"id\":\"s\",\"customerKey\":\"c\",\"activeFrom\":"
                           "\"2026-01-01T00:00:00Z\",\"cuts\":[5,5]}"},
        {"subscription/s", "{\"epoch\":1,\"id\":\"s\",\"customerKey\":\"c\",\"activeFrom\":"
                           "\"2026-01-01T00:00:00Z\",\"cuts\":[1440]}"},
        {"subscription/s", "{\"epoch\":1,\"id\":\"s\",\"customerKey\":\"c\",\"activeFrom\":"
                           "\"2026-01-01T00:00:00Z\",\"consumer\":{}}"},
    };

    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        reason = NULL;
        cr_assert_eq(apply(records[i][0], records[i][1]), CATALOG_MALFORMED, "%s %s", records[i][0],
                     records[i][1]);
        cr_assert_not_null(reason);
    }
    cr_assert_null(catalog_meter(catalog, text_of("api")));
    cr_assert_null(catalog_key(catalog, text_of("abcdefgh")));
    cr_assert_eq(catalog_subscription_count(catalog), 0);
    cr_assert_not(catalog_has_bucket(catalog));
    cr_assert_eq(catalog_epoch(catalog), 0);
}

/* --- against a model: arrays searched from end to end --- */

enum { MODEL_SIZE = 60, MODEL_NAMES = 20 };

struct model_row {
    bool is_there;
    int customer, consumer; /* consumer -1: none */
    int from, to;           /* days of January */
};

static struct model_row model[MODEL_SIZE];

static unsigned pick(uint64_t *state, unsigned below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33) % below;
}

static void change_both(uint64_t *state)
{
    int i = (int)pick(state, MODEL_SIZE);
    char id[16], customer[16], consumer[16] = "", from[32], to[32], key[32];
    struct model_row row = {true, (int)pick(state, MODEL_NAMES), (int)pick(state, MODEL_NAMES) - 1,
                            1 + (int)pick(state, 28), 0};

    snprintf(key, sizeof(key), "subscription/id%d", i);
    if (pick(state, 3) == 0) {
        model[i].is_there = false;
        cr_assert_eq(apply(key, NULL), 0);
        return;
    }
    row.to = row.from + 1 + (int)pick(state, 3);
    snprintf(id, sizeof(id), "id%d", i);
    snprintf(customer, sizeof(customer), "customer%d", row.customer);
    if (row.consumer >= 0)
        snprintf(consumer, sizeof(consumer), "consumer%d", row.consumer);
    snprintf(from, sizeof(from), "2026-01-%02dT00:00:00Z", row.from);
    snprintf(to, sizeof(to), "2026-01-%02dT00:00:00Z", row.to);
    cr_assert_eq(subscribe(id, customer, consumer, from, to), 0, "%s", reason);
    model[i] = row;
}

static const char *found_in_model(bool by_consumer, int name, int day)
{
    static char id[16];
    int knows = 0, active = 0;

    for (int i = 0; i < MODEL_SIZE; i++) {
        int has = by_consumer ? model[i].consumer : model[i].customer;

        if (!model[i].is_there || has != name)
            continue;
        knows++;
        if (model[i].from <= day && day < model[i].to) {
            active++;
            snprintf(id, sizeof(id), "id%d", i);
        }
    }
    if (!knows)
        return "unknown";
    if (!active)
        return "inactive";
    return active > 1 ? "ambiguous" : id;
}

Test(catalog, random_changes_leave_it_equal_to_a_simple_model)
{
    uint64_t state = 11;

    for (int round = 0; round < 20000; round++) {
        bool by_consumer = pick(&state, 2);
        int name = (int)pick(&state, MODEL_NAMES), day = 1 + (int)pick(&state, 31);
        char subject[16], time[32];
        size_t there = 0;

        change_both(&state);
        snprintf(subject, sizeof(subject), "%s%d", by_consumer ? "consumer" : "customer", name);
        snprintf(time, sizeof(time), "2026-01-%02dT00:00:00Z", day);
        cr_assert_str_eq(found(subject, time), found_in_model(by_consumer, name, day),
                         "round %d: %s", round, subject);
        for (int i = 0; i < MODEL_SIZE; i++)
            there += model[i].is_there;
        cr_assert_eq(catalog_subscription_count(catalog), there);
    }
}

/* Ids around the length that stands in a subscription's own cache line. */
Test(catalog, ids_of_every_length_are_found_until_they_are_removed)
{
    char id[CATALOG_ID_MAX + 1], key[CATALOG_ID_MAX + 32];

    for (int round = 0; round < 2; round++) {
        for (size_t length = 1; length <= CATALOG_ID_MAX; length++) {
            snprintf(id, sizeof(id), "%0*d", (int)length, 7);
            cr_assert_eq(subscribe(id, "c", "", "2026-01-01T00:00:00Z", ""), 0, "%s", reason);
            cr_assert_eq(subscribe(id, "d", "", "2026-02-01T00:00:00Z", ""), 0, "%s", reason);
        }
        for (size_t length = 1; length <= CATALOG_ID_MAX; length++) {
            const struct catalog_subscription *subscription;

            snprintf(id, sizeof(id), "%0*d", (int)length, 7);
            subscription = catalog_subscription(catalog, text_of(id));
            cr_assert(subscription && text_is(subscription->id, id), "%s", id);
            cr_assert(text_is(subscription->customer_key, "d"));
        }
        for (size_t length = 1; length <= CATALOG_ID_MAX; length++) {
            snprintf(key, sizeof(key), "subscription/%0*d", (int)length, 7);
            cr_assert_eq(apply(key, NULL), 0);
            cr_assert_null(catalog_subscription(catalog, text_of(strchr(key, '/') + 1)));
        }
    }
}

static void count_visit(void *context, const struct catalog_subscription *subscription)
{
    cr_assert_gt(subscription->id.length, 0);
    ++*(size_t *)context;
}

/* --- cuts --- */

/* Of a subscription, the first and the last, or -1 where it isn't known. */
static int cut(const char *id, bool is_last)
{
    size_t count = 0;
    const uint16_t *known = catalog_cuts(catalog, text_of(id), &count);

    return known ? known[is_last ? count - 1 : 0] : -1;
}

static int cut_on(const char *id, const char *minutes)
{
    cuts = minutes;
    return subscribe(id, "acme", "", "2026-01-01T00:00:00Z", "");
}

static void start_cuts(void)
{
    catalog = catalog_new(CATALOG_CUTS);
    reason = "";
}

TestSuite(catalog_cuts, .init = start_cuts, .fini = stop);

Test(catalog_cuts, are_those_of_the_subscriptions_last_record)
{
    cr_assert_eq(cut("a", false), -1);
    cr_assert_eq(cut_on("a", "[7,600]"), 0, "%s", reason);
    cr_assert_eq(cut_on("b", "[7,600]"), 0);
    cr_assert_eq(cut_on("b", "null"), 0);

    cr_assert_eq(cut("a", false), 7);
    cr_assert_eq(cut("a", true), 600);
    cr_assert_eq(cut("b", true), 0);
    cr_assert_eq(cut_on("b", "[5,5]"), CATALOG_MALFORMED);
    cr_assert_eq(cut("b", true), 0);
}

/* Whoever has them, and when nobody has them any more. */
Test(catalog_cuts, are_known_by_their_hash)
{
    enum { MANY = 1440 };
    char minutes[32];
    size_t count = 0;

    for (int i = 0; i < MANY; i++) {
        uint16_t expected[] = {(uint16_t)(i / 2), (uint16_t)(MANY / 2 + i / 2)};
        uint64_t hash = catalog_cuts_hash(expected, 1 + (size_t)i % 2);
        const uint16_t *known;

        cr_assert_null(catalog_cuts_known(catalog, hash, &count));
        snprintf(minutes, sizeof(minutes), i % 2 ? "[%d,%d]" : "[%d]", expected[0], expected[1]);
        cr_assert_eq(cut_on("a", minutes), 0, "%s", reason);

        known = catalog_cuts_known(catalog, hash, &count);
        cr_assert_not_null(known);
        cr_assert_eq(count, 1 + (size_t)i % 2);
        cr_assert_eq(memcmp(known, expected, count * sizeof(*known)), 0);
    }
    cr_assert_eq(apply("subscription/a", NULL), 0);
    cr_assert_not_null(catalog_cuts_known(catalog, catalog_cuts_hash(&(uint16_t){7}, 1), &count));
    cr_assert_null(catalog_cuts_known(catalog, 0, &count));
}

static void cut_many(int first, int end)
{
    char id[32], minutes[32];

    for (int i = first; i < end; i++) {
        snprintf(id, sizeof(id), "%d", i);
        snprintf(minutes, sizeof(minutes), "[%d]", i);
        cr_assert_eq(cut_on(id, minutes), 0);
    }
}

/* Whichever row takes the place of the one that goes, and is then followed by others. */
static void assert_changed(uint64_t change, const char *id)
{
    cr_assert_eq(catalog_cuts_changes(catalog), change + 1);
    cr_assert(text_is(catalog_cuts_changed(catalog, change), id));
}

Test(catalog_cuts, say_whose_have_changed_last)
{
    char id[32];

    cr_assert_eq(catalog_cuts_changes(catalog), 0);
    cr_assert_eq(cut_on("a", "[7]"), 0, "%s", reason);
    assert_changed(0, "a");
    cr_assert_eq(cut_on("b", "[7]"), 0);
    assert_changed(1, "b");
    cr_assert_eq(cut_on("a", "[7]"), 0);
    assert_changed(1, "b");
    cr_assert_eq(cut_on("a", "[8]"), 0);
    assert_changed(2, "a");
    cr_assert_eq(apply("subscription/b", NULL), 0);
    assert_changed(3, "b");
    cr_assert_eq(apply("subscription/b", NULL), 0);
    assert_changed(3, "b");

    cut_many(0, CATALOG_CUTS_RECENT);
    cr_assert_eq(catalog_cuts_changes(catalog), 4 + CATALOG_CUTS_RECENT);
    for (int i = 0; i < CATALOG_CUTS_RECENT; i++) {
        snprintf(id, sizeof(id), "%d", i);
        cr_assert(text_is(catalog_cuts_changed(catalog, 4 + (uint64_t)i), id));
    }
}

Test(catalog_cuts, of_a_subscription_that_is_gone_are_not_known)
{
    enum { GONE_FROM = 30, GONE_TO = 60, FIRST = 100, ALL = 200 };
    char id[32], key[64];

    cut_many(0, FIRST);
    for (int i = GONE_FROM; i < GONE_TO; i++) {
        snprintf(key, sizeof(key), "subscription/%d", i);
        cr_assert_eq(apply(key, NULL), 0);
    }
    cut_many(FIRST, ALL);
    for (int i = 0; i < ALL; i++) {
        snprintf(id, sizeof(id), "%d", i);
        cr_assert_eq(cut(id, false), i >= GONE_FROM && i < GONE_TO ? -1 : i);
    }
}

Test(catalog_cuts, take_less_than_80_bytes_a_subscription)
{
    enum { MANY = 100000 };
    size_t before = mallinfo2().uordblks, taken;
    char id[32];

    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof(id), "01ARZ3NDEKTSV4RRFF%08d", i);
        cr_assert_eq(subscribe(id, id, id, "2026-01-01T00:00:00Z", ""), 0, "%s", reason);
    }
    taken = mallinfo2().uordblks - before;
    if (taken == 0)
        cr_skip_test("this build's allocator doesn't count (a sanitizer's)");
    cr_assert_lt(taken / MANY, 80, "%zu", taken / MANY);
}

/* --- memory --- */

/* Enough to see what each takes; a million take the same each. */
Test(catalog, many_subscriptions_take_less_than_200_bytes_each)
{
    enum { MANY = 100000 };
    size_t before = mallinfo2().uordblks, taken, visited = 0;
    char id[32], name[32];

    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof(id), "01ARZ3NDEKTSV4RRFF%08d", i);
        snprintf(name, sizeof(name), "customer_%06d", i);
        cr_assert_eq(subscribe(id, name, name, "2026-01-01T00:00:00Z", ""), 0, "%s", reason);
    }
    taken = mallinfo2().uordblks - before;
    catalog_each_subscription(catalog, count_visit, &visited);
    cr_assert_eq(visited, MANY);
    if (taken == 0)
        cr_skip_test("this build's allocator doesn't count (a sanitizer's)");
    cr_assert_lt(taken / MANY, 200, "%zu", taken / MANY);

    /* Under another customer each, and back: nothing is left behind. */
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            snprintf(id, sizeof(id), "01ARZ3NDEKTSV4RRFF%08d", i);
            snprintf(name, sizeof(name), "%s_%06d", round ? "customer" : "buyer", i);
            cr_assert_eq(subscribe(id, name, name, "2026-01-01T00:00:00Z", ""), 0);
        }
    }
    cr_assert_lt(mallinfo2().uordblks - before, taken + taken / 4);
}

Test(catalog_path, reads_names_and_quoted_texts)
{
    static const struct {
        const char *path;
        const char *steps; /* joined by | */
    } cases[] = {
        {"$.total", "total"},
        {"$.a.b", "a|b"},
        {"$['a b'].c", "a b|c"},
        {"$['it\\'s']['\\\\']", "it's|\\"},
        {"$['']", ""},
        {"$._x9.a-b", "_x9|a-b"},
        {"$.\xc3\xa9", "\xc3\xa9"},
        {"$.a.b.c.d.e.f.g.h", "a|b|c|d|e|f|g|h"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buffer_deinit) struct buffer joined = {0};
        struct catalog_path path;
        char scratch[64];

        cr_assert(catalog_path_parse(text_of(cases[i].path), scratch, &path), "%s", cases[i].path);
        for (size_t k = 0; k < path.count; k++) {
            buffer_add_string(&joined, k ? "|" : "");
            buffer_add_text(&joined, path.steps[k]);
        }
        cr_assert(text_is(buffer_text(&joined), cases[i].steps), "%s", cases[i].path);
        cr_assert(text_is(path.spelling, cases[i].path));
    }
}

Test(catalog_path, refuses_everything_else)
{
    static const char *const paths[] = {
        "",         "$",     "total", "$total",    "$.",
        "$..a",     "$.a.",  "$[0]",  "$.a[0]",    "$[*]",
        "$.*",      "$['a'", "$['a",  "$['a\\n']", "$['a]",
        "$[\"a\"]", "$.a b", "$.9",   "$.-a",      "$['\\']",
        "$?(@.a)",  " $.a",  "$.a ",  "$['a']b",   "$.a.b.c.d.e.f.g.h.i",
    };

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct catalog_path path;
        char scratch[64];

        cr_assert_not(catalog_path_parse(text_of(paths[i]), scratch, &path), "%s", paths[i]);
    }
}
