#include "ingest/rules/admit.h"
#include "ingest/rules/json_shape.h"
#include "ingest/rules/pack.h"
#include "proto/wire.h"
#include "tests/unit/ingest/given.h"

#include <criterion/criterion.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUB  "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define SUB2 "01ARZ3NDEKTSV4RRFFQ69G5FB0"
#define SUB3 "01ARZ3NDEKTSV4RRFFQ69G5FB1"

static const char *const records[][2] = {
    {"bucket/demo", "{\"epoch\":1,\"partitions\":4,\"seed\":\"000102030405060708090a0b0c0d0e0f\","
                    "\"mode\":\"test\",\"createdAt\":\"2026-01-01T00:00:00Z\"}"},
    {"meter/calls", "{\"epoch\":1,\"slug\":\"calls\",\"name\":\"calls\",\"eventType\":\"request\","
                    "\"aggregation\":\"COUNT\"}"},
    {"meter/bytes", "{\"epoch\":1,\"slug\":\"bytes\",\"name\":\"bytes\",\"eventType\":\"request\","
                    "\"aggregation\":\"SUM\",\"valueProperty\":\"$.total\",\"groupBy\":{"
                    "\"status\":\"$.status\",\"method\":\"$.http.method\"}}"},
    {"meter/users", "{\"epoch\":1,\"slug\":\"users\",\"name\":\"users\",\"eventType\":\"visit\","
                    "\"aggregation\":\"UNIQUE_COUNT\",\"valueProperty\":\"$.user\"}"},
    {"meter/late", "{\"epoch\":1,\"slug\":\"late\",\"name\":\"late\",\"eventType\":\"newer\","
                   "\"aggregation\":\"COUNT\",\"eventFrom\":\"2026-06-01T00:00:00Z\"}"},
    {"meter/ping", "{\"epoch\":1,\"slug\":\"ping\",\"name\":\"ping\",\"eventType\":\"ping\","
                   "\"aggregation\":\"COUNT\"}"},
    {"subscription/" SUB,
     "{\"epoch\":1,\"id\":\"" SUB "\",\"customerKey\":\"acme\",\"plan\":{"
     "\"key\":\"payg\",\"version\":1},\"activeFrom\":\"2026-01-01T00:00:00Z\","
     "\"activeTo\":\"2026-12-01T00:00:00Z\",\"billingAnchor\":"
     "\"2026-01-01T00:00:00Z\",\"consumer\":{\"name\":\"acme-key\"},\"cuts\":[0]}"},
    {"subscription/" SUB2,
     "{\"epoch\":1,\"id\":\"" SUB2 "\",\"customerKey\":\"two\",\"plan\":{"
     "\"key\":\"payg\",\"version\":1},\"activeFrom\":\"2026-01-01T00:00:00Z\","
     "\"billingAnchor\":\"2026-01-01T00:00:00Z\",\"cuts\":[0]}"},
    {"subscription/" SUB3,
     "{\"epoch\":1,\"id\":\"" SUB3 "\",\"customerKey\":\"two\",\"plan\":{"
     "\"key\":\"payg\",\"version\":1},\"activeFrom\":\"2026-01-01T00:00:00Z\","
     "\"billingAnchor\":\"2026-01-01T00:00:00Z\",\"cuts\":[0]}"},
};

#define OWNED    "\"subscription\":\"" SUB "\","
#define NUMBERED "{\"epoch\":1,\"numberedSources\":[\"/gw/1\",\"/g\"]}"

static struct given given;
static struct admission admission;
static struct catalog *catalog;
static struct admitted admitted;
static struct usage_writer *writer;
static struct usage_reader *reader;
static int64_t arrival_ms;

static void setup(void)
{
    struct instant arrival;

    given_init(&given);
    catalog = given_catalog(records, ARRAY_LEN(records), &admission);
    cr_assert_eq(instant_parse(text_of("2026-07-01T12:00:00Z"), &arrival), 0);
    arrival_ms = instant_ms(arrival);
    writer = usage_writer_new();
    reader = usage_reader_new();
}

static void teardown(void)
{
    usage_writer_free(writer);
    usage_reader_free(reader);
    catalog_free(catalog);
    given_deinit(&given);
}

TestSuite(admit, .init = setup, .fini = teardown);
TestSuite(pack, .init = setup, .fini = teardown);

/* An event of the type with further members. */
static const char *event(const char *type, const char *members)
{
    static char json[8192];

    snprintf(json, sizeof(json),
             "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/g\",\"type\":\"%s\",%s}", type,
             members);
    return json;
}

static int weigh(const char *json)
{
    cr_assert_eq(given_event(&given, json), 0, "%s", json);
    return admit(&admission, &given.event, arrival_ms, &given.arena, &admitted, &given.refusal);
}

static void expect_admitted(const char *json)
{
    cr_assert_eq(weigh(json), 0, "%s: %s", refusal_name(given.refusal.code), json);
}

static void expect_not(const char *json, enum refusal_code code, const char *pointer)
{
    cr_assert_eq(weigh(json), EVENT_REFUSED, "%s", json);
    cr_assert_eq(given.refusal.code, code, "%s instead of %s: %s", refusal_name(given.refusal.code),
                 refusal_name(code), json);
    cr_assert(text_is(given.refusal.pointer, pointer), "%.*s: %s",
              (int)given.refusal.pointer.length, given.refusal.pointer.at, json);
    cr_assert_gt(given.refusal.detail.length, 20);
}

/* The series of a part, as the aggregator will read it. Good until the next. */
static struct usage_series series(size_t part)
{
    struct usage_batch batch;
    const char *reason;

    cr_assert_lt(part, admitted.part_count);
    usage_writer_reset(writer);
    cr_assert_eq(
        usage_writer_add_parts(writer, &admitted.event, admitted.parts, admitted.part_count), 0);
    cr_assert_eq(usage_decode(reader, usage_writer_finish(writer), &batch, &reason), 0);
    return usage_series_at(&batch, usage_entry_at(&batch, part).series);
}

/* Of the first meter. */
static struct usage_dimension dimension(size_t index)
{
    struct usage_series found = series(0);

    cr_assert_lt(index, found.dimension_count);
    return found.dimensions[index];
}

static const char *request(const char *total)
{
    char members[512];

    snprintf(members, sizeof(members), "\"subscription\":\"" SUB "\",\"data\":{\"total\":%s}",
             total);
    return event("request", members);
}

static const char *with_status(const char *status)
{
    char members[4096];

    snprintf(members, sizeof(members),
             "\"subscription\":\"" SUB "\",\"data\":{\"total\":1,\"status\":%s}", status);
    return event("request", members);
}

static const char *visit(const char *user)
{
    char members[4096];

    snprintf(members, sizeof(members), "\"subscription\":\"" SUB "\",\"data\":{\"user\":%s}", user);
    return event("visit", members);
}

static const char *ping(const char *members)
{
    return event("ping", members);
}

/* --- whose it is --- */

Test(admit, an_event_counts_for_every_meter_of_its_type)
{
    char digits[DECIMAL_TEXT_MAX];

    expect_admitted(event("request",
                          "\"subscription\":\"" SUB "\",\"subject\":\"u\",\"data\":{"
                          "\"total\":12.50,\"http\":{\"method\":\"GET\"},\"status\":200}"));

    cr_assert_eq(admitted.part_count, 2);
    cr_assert(text_is(series(0).meter, "bytes"));
    cr_assert(text_is(series(1).meter, "calls"));
    decimal_format(admitted.parts[0].value.amount, digits);
    cr_assert_str_eq(digits, "12.5");
    cr_assert(text_is(dimension(0).name, "method"));
    cr_assert(text_is(dimension(0).value, "GET"));
    cr_assert(text_is(dimension(1).value, "200"));
    cr_assert(text_is(admitted.subscription->id, SUB));
    cr_assert(text_is(series(0).subscription, SUB));
    cr_assert(text_is(series(0).subject, "u"));
}

Test(admit, a_type_without_a_meter_is_unknown)
{
    expect_not(event("requests", "\"subscription\":\"" SUB "\""), REFUSAL_UNKNOWN_TYPE, "/type");
}

Test(admit, an_event_without_subscription_and_subject_is_refused)
{
    expect_not(ping("\"data\":{}"), REFUSAL_MISSING_SUBSCRIPTION, "/subscription");
}

Test(admit, subscription_decides_alone)
{
    expect_admitted(ping("\"subscription\":\"" SUB2 "\",\"subject\":\"acme\""));
    cr_assert(text_is(admitted.subscription->id, SUB2));
    expect_not(ping("\"subscription\":\"acme\",\"subject\":\"acme\""), REFUSAL_UNKNOWN_SUBSCRIPTION,
               "/subscription");
}

Test(admit, subject_is_a_subscription_id_else_a_consumer_else_a_customer)
{
    expect_admitted(ping("\"subject\":\"" SUB2 "\""));
    cr_assert(text_is(admitted.subscription->id, SUB2));
    expect_admitted(ping("\"subject\":\"acme-key\""));
    cr_assert(text_is(admitted.subscription->id, SUB));
    expect_admitted(ping("\"subject\":\"acme\""));
    cr_assert(text_is(admitted.subscription->id, SUB));
    expect_not(ping("\"subject\":\"nobody\""), REFUSAL_UNKNOWN_SUBSCRIPTION, "/subject");
}

Test(admit, a_subject_with_several_active_subscriptions_is_ambiguous)
{
    expect_not(ping("\"subject\":\"two\""), REFUSAL_AMBIGUOUS_SUBJECT, "/subject");
}

Test(admit, a_subscription_is_active_from_its_first_instant_to_before_its_last)
{
    arrival_ms += INT64_C(400) * 86400000;
    expect_admitted(ping("\"subscription\":\"" SUB "\",\"time\":\"2026-01-01T00:00:00Z\""));
    expect_admitted(ping("\"subscription\":\"" SUB "\",\"time\":\"2026-11-30T23:59:59.999Z\""));
    expect_not(ping("\"subscription\":\"" SUB "\",\"time\":\"2026-12-01T00:00:00Z\""),
               REFUSAL_SUBSCRIPTION_INACTIVE, "/subscription");
    expect_not(ping("\"subscription\":\"" SUB "\",\"time\":\"2025-12-31T23:59:59Z\""),
               REFUSAL_SUBSCRIPTION_INACTIVE, "/subscription");
    expect_not(ping("\"subject\":\"acme\",\"time\":\"2026-12-01T00:00:00Z\""),
               REFUSAL_SUBSCRIPTION_INACTIVE, "/subject");
}

/* --- when it was --- */

Test(admit, five_minutes_ahead_pass_and_a_nanosecond_more_does_not)
{
    expect_admitted(ping("\"subscription\":\"" SUB "\",\"time\":\"2026-07-01T12:05:00Z\""));
    expect_not(ping("\"subscription\":\"" SUB "\",\"time\":\"2026-07-01T12:05:00.000000001Z\""),
               REFUSAL_TIME_IN_FUTURE, "/time");
}

Test(admit, an_absent_time_is_the_arrival)
{
    expect_admitted(ping("\"subscription\":\"" SUB "\""));
    cr_assert_eq(admitted.event.time.ns, arrival_ms * 1000000);
    cr_assert_eq(admitted.event.flags, USAGE_TIME_ABSENT);
    cr_assert_eq(admitted.event.arrival_ms, arrival_ms);
}

Test(admit, old_events_pass_here)
{
    expect_admitted(ping("\"subscription\":\"" SUB "\",\"time\":\"2026-01-02T00:00:00Z\""));
    cr_assert_eq(admitted.event.flags, 0);
}

Test(admit, an_event_before_every_meters_event_from_is_refused)
{
    expect_not(event("newer", "\"subscription\":\"" SUB "\",\"time\":\"2026-05-31T23:59:59Z\""),
               REFUSAL_BEFORE_EVENT_FROM, "/time");
    expect_admitted(
        event("newer", "\"subscription\":\"" SUB "\",\"time\":\"2026-06-01T00:00:00Z\""));
}

/* --- values --- */

Test(admit, a_value_is_a_number_or_a_decimal_string)
{
    static const char *const good[] = {"1",
                                       "1.0",
                                       "1e3",
                                       "\"12.5\"",
                                       "-0",
                                       "\"-0.00\"",
                                       "0.000000000001",
                                       "1.0000000000000000000",
                                       "999999999999999.999999999999",
                                       "\"007\""};

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        expect_admitted(request(good[i]));
    cr_assert_eq(weigh(request("1e3")), 0);
    cr_assert_eq(decimal_compare(admitted.parts[0].value.amount, decimal_from_int(1000)), 0);
}

/* The total that is admitted of an event with these members, by what the events before it left. */
static int64_t next_total(struct event_places *places, const char *members)
{
    struct admitted next;

    given.refusal.code = REFUSAL_NONE;
    cr_assert_eq(given_event(&given, event("request", members)), 0);
    given.event.places = places;
    cr_assert_eq(admit(&admission, &given.event, arrival_ms, &given.arena, &next, &given.refusal),
                 0, "%s: %s", refusal_name(given.refusal.code), members);
    cr_assert_eq(next.parts[0].aggregation, AGGREGATION_SUM);
    return (int64_t)(next.parts[0].value.amount.units / decimal_from_int(1).units);
}

Test(admit, values_are_found_where_the_event_before_had_them_or_anew)
{
    struct json_shape shape = {.count = 0};
    struct event_places places = {.are_known = false};

    given.document.shape = &shape;
    for (int64_t i = 0; i < JSON_PATIENCE_MAX; i++)
        cr_assert_eq(next_total(&places, OWNED "\"data\":{\"total\":5,\"status\":7}"), 5);
    cr_assert_neq(places.shape, 0);
    cr_assert_eq(next_total(&places, OWNED "\"data\":{\"total\":6,\"status\":8}"), 6);
    for (int64_t i = 0; i < JSON_PATIENCE_MAX; i++)
        cr_assert_eq(next_total(&places, OWNED "\"data\":{\"status\":7,\"total\":9}"), 9);
    /* {"total":1} and {"x":0,"total":2}: of one shape until they are decoded */
    for (int64_t i = 0; i < JSON_PATIENCE_MAX; i++)
        cr_assert_eq(next_total(&places, OWNED "\"data_base64\":\"eyJ0b3RhbCI6MX0=\""), 1);
    cr_assert_eq(next_total(&places, OWNED "\"data_base64\":\"eyJ4IjowLCJ0b3RhbCI6Mn0=\""), 2);
}

/* Their shape is learned, and where their values are nobody asked. */
Test(admit, values_are_found_anew_behind_refused_events_of_another_shape)
{
    struct json_shape shape = {.count = 0};
    struct event_places places = {.are_known = false};

    given.document.shape = &shape;
    for (int64_t i = 0; i < JSON_PATIENCE_MAX; i++)
        cr_assert_eq(next_total(&places, OWNED "\"data\":{\"total\":5,\"status\":7}"), 5);
    for (int64_t i = 0; i < JSON_PATIENCE_MAX; i++)
        cr_assert_neq(
            given_event(&given, event("request", OWNED "\"time\":\"soon\","
                                                       "\"data\":{\"status\":7,\"total\":9}")),
            0);
    cr_assert_eq(next_total(&places, OWNED "\"time\":\"2026-07-01T12:00:00Z\","
                                           "\"data\":{\"status\":7,\"total\":9}"),
                 9);
}

Test(admit, a_value_that_is_missing_or_null_is_missing)
{
    expect_not(request("null"), REFUSAL_MISSING_VALUE, "/data/total");
    expect_not(event("request", "\"subscription\":\"" SUB "\",\"data\":{}"), REFUSAL_MISSING_VALUE,
               "/data/total");
    expect_not(event("request", "\"subscription\":\"" SUB "\",\"data\":\"{\\\"total\\\":1}\""),
               REFUSAL_MISSING_VALUE, "/data/total");
    expect_not(event("request", "\"subscription\":\"" SUB "\""), REFUSAL_MISSING_VALUE,
               "/data/total");
}

Test(admit, a_value_that_is_no_number_is_invalid)
{
    static const char *const bad[] = {"true",    "{}",      "[1]",         "\"\"",
                                      "\"1e3\"", "\"NaN\"", "\" 1\"",      "\"+1\"",
                                      "\".5\"",  "\"1.\"",  "\"Infinity\""};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_not(request(bad[i]), REFUSAL_INVALID_VALUE, "/data/total");
}

Test(admit, a_negative_value_is_refused_however_large_or_precise)
{
    static const char *const bad[] = {"-1", "\"-0.5\"", "-1e30", "-0.0000000000001"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_not(request(bad[i]), REFUSAL_NEGATIVE_VALUE, "/data/total");
}

Test(admit, a_value_of_10_to_the_15_is_too_large)
{
    static const char *const bad[] = {"1e15", "1000000000000000", "\"1000000000000000\"",
                                      "1e999999999999999999999"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_not(request(bad[i]), REFUSAL_VALUE_TOO_LARGE, "/data/total");
}

Test(admit, a_value_of_thirteen_decimals_is_too_precise)
{
    expect_not(request("0.0000000000001"), REFUSAL_VALUE_TOO_PRECISE, "/data/total");
    expect_not(request("\"1.1234567890123\""), REFUSAL_VALUE_TOO_PRECISE, "/data/total");
    expect_not(request("1e-13"), REFUSAL_VALUE_TOO_PRECISE, "/data/total");
}

Test(admit, unique_count_takes_texts_and_one_text_is_one_value)
{
    uint8_t one[16];

    expect_admitted(visit("\"1\""));
    memcpy(one, admitted.parts[0].value.unique, sizeof(one));
    expect_admitted(visit("1.0"));
    cr_assert_arr_eq(admitted.parts[0].value.unique, one, sizeof(one));
    expect_admitted(visit("1"));
    cr_assert_arr_eq(admitted.parts[0].value.unique, one, sizeof(one));
    expect_admitted(visit("true"));
    cr_assert_arr_neq(admitted.parts[0].value.unique, one, sizeof(one));
}

Test(admit, unique_count_refuses_what_is_no_text)
{
    char quoted[1200];

    expect_not(visit("\"\""), REFUSAL_INVALID_VALUE, "/data/user");
    expect_not(visit("{}"), REFUSAL_INVALID_VALUE, "/data/user");
    expect_not(visit("null"), REFUSAL_MISSING_VALUE, "/data/user");
    expect_not(visit("1e20"), REFUSAL_VALUE_TOO_LARGE, "/data/user");
    snprintf(quoted, sizeof(quoted), "\"%01025d\"", 0);
    expect_not(visit(quoted), REFUSAL_TOO_LONG, "/data/user");
    snprintf(quoted, sizeof(quoted), "\"%01024d\"", 0);
    expect_admitted(visit(quoted));
}

/* --- dimensions --- */

static void expect_status(const char *status, const char *text)
{
    expect_admitted(with_status(status));
    cr_assert(text ? text_is(dimension(1).value, text) : text_is_absent(dimension(1).value), "%s",
              status);
}

Test(admit, dimensions_are_texts)
{
    expect_status("\"200\"", "200");
    expect_status("200", "200");
    expect_status("2e2", "200");
    expect_status("200.0", "200");
    expect_status("-1.50", "-1.5");
    expect_status("true", "true");
    expect_status("false", "false");
    expect_status("\"\"", "");
    expect_status("null", NULL);
}

Test(admit, a_dimension_that_is_no_text_is_refused)
{
    char quoted[1200];

    expect_not(with_status("{}"), REFUSAL_INVALID_DIMENSION, "/data/status");
    expect_not(with_status("[1]"), REFUSAL_INVALID_DIMENSION, "/data/status");
    expect_not(with_status("1e20"), REFUSAL_INVALID_DIMENSION, "/data/status");
    snprintf(quoted, sizeof(quoted), "\"%01025d\"", 0);
    expect_not(with_status(quoted), REFUSAL_TOO_LONG, "/data/status");
}

Test(admit, one_bad_value_refuses_the_event_whole)
{
    expect_not(request("-1"), REFUSAL_NEGATIVE_VALUE, "/data/total");
}

Test(admit, of_several_refusals_the_code_that_stands_first_is_given)
{
    expect_not(event("request", "\"subject\":\"nobody\",\"data\":{\"total\":-1,\"status\":{}}"),
               REFUSAL_UNKNOWN_SUBSCRIPTION, "/subject");
    expect_not(
        event("request", "\"subscription\":\"" SUB "\",\"data\":{\"total\":-1,\"status\":{}}"),
        REFUSAL_NEGATIVE_VALUE, "/data/total");
}

/* --- fingerprints --- */

static struct fingerprint fingerprint_of(const char *json)
{
    expect_admitted(json);
    return admitted.event.fingerprint;
}

static bool same_identity(struct fingerprint a, struct fingerprint b)
{
    return memcmp(a.identity, b.identity, sizeof(a.identity)) == 0;
}

Test(admit, identity_is_subscription_source_and_id)
{
    struct fingerprint first = fingerprint_of(ping("\"subscription\":\"" SUB "\""));
    struct fingerprint by_subject = fingerprint_of(ping("\"subject\":\"acme\""));
    struct fingerprint other = fingerprint_of(ping("\"subscription\":\"" SUB2 "\""));
    struct fingerprint dated =
        fingerprint_of(ping("\"subscription\":\"" SUB "\",\"time\":\"2026-06-30T00:00:00Z\""));

    cr_assert(same_identity(first, by_subject));
    cr_assert_not(same_identity(first, other));
    cr_assert(same_identity(first, dated), "the day isn't in it");
    cr_assert_neq(first.payload, dated.payload);
    cr_assert_neq(first.payload, by_subject.payload, "the subject is in the payload");
}

/* --- numbered sources --- */

static void declare_numbered(void)
{
    const char *reason;

    cr_assert_eq(
        catalog_apply(catalog, text_of("configuration/default"), text_of(NUMBERED), &reason), 0);
}

static const char *numbered(const char *sequence)
{
    static char members[2048];

    snprintf(members, sizeof(members), "\"subscription\":\"" SUB "\",\"sequence\":%s", sequence);
    return ping(members);
}

Test(admit, an_event_of_a_numbered_source_is_known_by_its_source_and_number)
{
    static const struct {
        const char *spelling;
        uint64_t sequence;
    } numbers[] = {{"\"0\"", 0},
                   {"\"7\"", 7},
                   {"7", 7},
                   {"\"0000000000000000000000042\"", 42},
                   {"\"18446744073709551615\"", UINT64_MAX}};
    const struct text absent = {NULL, 0};
    uint8_t bytes[2 + 4 + 2], identity[12];

    declare_numbered();
    wire_store_text(wire_store_text(wire_store_text(bytes, absent), text_of("/g")), absent);
    fingerprint_identity(&admission.key, text_from(bytes, sizeof(bytes)), identity);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        expect_admitted(numbered(numbers[i].spelling));
        cr_assert_eq(admitted.event.sequence, numbers[i].sequence);
        cr_assert_eq(admitted.event.flags, USAGE_NUMBERED | USAGE_TIME_ABSENT);
        cr_assert_arr_eq(admitted.event.fingerprint.identity, identity, sizeof(identity));
        cr_assert_eq(admitted.event.fingerprint.payload, 0);
    }
    expect_admitted(ping("\"sequence\":\"7\",\"subscription\":\"" SUB2 "\""));
    cr_assert_arr_eq(admitted.event.fingerprint.identity, identity, sizeof(identity));
}

Test(admit, a_numbered_source_sends_its_number_with_each_event)
{
    static const char *const faulty[] = {"\"\"",     "\"-1\"",
                                         "\"1.0\"",  "\" 1\"",
                                         "\"1e3\"",  "\"18446744073709551616\"",
                                         "\"0x10\"", "true",
                                         "-5",       "\"99999999999999999999999\""};

    declare_numbered();
    expect_not(numbered("null"), REFUSAL_MISSING_ATTRIBUTE, "/sequence");
    expect_not(event("unknown", "\"x\":1"), REFUSAL_MISSING_ATTRIBUTE, "/sequence");
    for (size_t i = 0; i < ARRAY_LEN(faulty); i++)
        expect_not(numbered(faulty[i]), REFUSAL_INVALID_ATTRIBUTE, "/sequence");
}

Test(admit, a_sequence_of_another_source_says_nothing)
{
    expect_admitted(numbered("\"7\""));
    cr_assert_eq(admitted.event.flags, USAGE_TIME_ABSENT);
    cr_assert_eq(admitted.event.sequence, 0);
    expect_admitted(numbered("\"first\""));
}

Test(admit, spelling_and_other_members_do_not_change_the_payload)
{
    struct fingerprint plain = fingerprint_of(
        event("request", "\"subscription\":\"" SUB "\",\"time\":\"2026-06-30T02:00:00+02:00\","
                         "\"data\":{\"total\":1.50,\"status\":200}"));
    struct fingerprint spelled = fingerprint_of(event(
        "request", "\"data\":{\"status\":\"200\",\"total\":\"1.5\",\"more\":[1]},\"ext\":\"x\","
                   "\"time\":\"2026-06-30T00:00:00Z\",\"subscription\":\"" SUB "\""));
    struct fingerprint other = fingerprint_of(
        event("request", "\"subscription\":\"" SUB "\",\"time\":\"2026-06-30T00:00:00Z\","
                         "\"data\":{\"total\":1.5,\"status\":404}"));
    struct fingerprint more = fingerprint_of(
        event("request", "\"subscription\":\"" SUB "\",\"time\":\"2026-06-30T00:00:00Z\","
                         "\"data\":{\"total\":1.6,\"status\":200}"));

    cr_assert(same_identity(plain, spelled));
    cr_assert_eq(plain.payload, spelled.payload);
    cr_assert(same_identity(plain, other));
    cr_assert_neq(plain.payload, other.payload, "a dimension is in it");
    cr_assert_neq(plain.payload, more.payload, "a value is in it");
}

Test(admit, the_type_is_in_the_payload_where_a_meter_has_come_to_count_another)
{
    struct fingerprint ping = fingerprint_of(event("ping", "\"subscription\":\"" SUB "\"")), pong;
    const char *reason = "";

    cr_assert_eq(catalog_apply(catalog, text_of("meter/ping"),
                               text_of("{\"epoch\":1,\"slug\":\"ping\",\"name\":\"ping\","
                                       "\"eventType\":\"pong\",\"aggregation\":\"COUNT\"}"),
                               &reason),
                 0, "%s", reason);
    pong = fingerprint_of(event("pong", "\"subscription\":\"" SUB "\""));
    cr_assert(same_identity(ping, pong));
    cr_assert_neq(ping.payload, pong.payload);
}

Test(admit, an_absent_time_equals_an_absent_time_whenever_it_arrives)
{
    struct fingerprint first = fingerprint_of(ping("\"subscription\":\"" SUB "\""));
    struct fingerprint again;

    arrival_ms += 1000;
    again = fingerprint_of(ping("\"subscription\":\"" SUB "\""));
    cr_assert(same_identity(first, again));
    cr_assert_eq(first.payload, again.payload);
}

Test(admit, another_seed_gives_another_fingerprint)
{
    struct fingerprint first = fingerprint_of(ping("\"subscription\":\"" SUB "\"")), other;

    fingerprint_key_init(&admission.key, (const uint8_t *)"another seed 16.", CATALOG_HASH_XXH3);
    other = fingerprint_of(ping("\"subscription\":\"" SUB "\""));
    cr_assert_not(same_identity(first, other));
    cr_assert_neq(first.payload, other.payload);
}

/* 2 bytes of length before each part, little-endian. */
static void add_part(struct buffer *bytes, const char *part)
{
    buffer_add_char(bytes, (char)strlen(part));
    buffer_add_char(bytes, 0);
    buffer_add_string(bytes, part);
}

Test(admit, a_keyed_fingerprint_is_an_hmac_of_subscription_source_and_id)
{
    CLEANUP(buffer_deinit) struct buffer bytes = {0};
    struct fingerprint fast = fingerprint_of(ping("\"subscription\":\"" SUB "\"")), keyed, other;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length;

    fingerprint_key_init(&admission.key, catalog_seed(catalog), CATALOG_HASH_HMAC);
    keyed = fingerprint_of(ping("\"subscription\":\"" SUB "\""));
    add_part(&bytes, SUB);
    add_part(&bytes, "/g");
    add_part(&bytes, "1");
    cr_assert_not_null(HMAC(EVP_sha256(), admission.key.secret, sizeof(admission.key.secret),
                            (const unsigned char *)bytes.at, bytes.length, digest, &length));
    cr_assert_arr_eq(keyed.identity, digest, sizeof(keyed.identity));
    cr_assert_not(same_identity(fast, keyed));
    other = fingerprint_of(ping("\"subscription\":\"" SUB "\",\"time\":\"2026-06-30T00:00:00Z\""));
    cr_assert(same_identity(keyed, other));
    cr_assert_neq(keyed.payload, other.payload);
}

Test(admit, parts_cannot_be_shifted_into_each_other)
{
    struct fingerprint ab = fingerprint_of("{\"specversion\":\"1.0\",\"id\":\"b1\",\"source\":\"/"
                                           "a\",\"type\":\"ping\",\"subject\":\"acme\"}");
    struct fingerprint ba = fingerprint_of("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/"
                                           "ab\",\"type\":\"ping\",\"subject\":\"acme\"}");

    cr_assert_not(same_identity(ab, ba));
}

Test(admit, an_arena_that_is_full_refuses_the_event)
{
    cr_assert_eq(given_event(&given, request("1")), 0);
    for (size_t limit = 0; limit < 400; limit += 16) {
        struct arena small;
        struct refusal refusal = {.code = REFUSAL_NONE};
        int r;
        arena_init(&small, limit);
        r = admit(&admission, &given.event, arrival_ms, &small, &admitted, &refusal);
        cr_assert(r == 0 || refusal.code == REFUSAL_TOO_LONG);
        arena_deinit(&small);
    }
}

/* --- packing --- */

struct finished {
    size_t batches, events, bytes;
    void *cargo;
    struct usage_reader *reader;
    struct usage_event last;
    char meter[64];
};

static void on_finished(void *context, const struct pack_batch *batch)
{
    struct finished *finished = context;
    struct usage_batch view;
    const char *reason;

    cr_assert_eq(usage_decode(finished->reader, batch->message, &view, &reason), 0);
    cr_assert_eq(view.event_count, batch->events);
    finished->batches++;
    finished->events += batch->events;
    finished->bytes += batch->message.length;
    finished->cargo = batch->cargo;
    finished->last = usage_event_at(&view, view.event_count - 1);
    snprintf(finished->meter, sizeof(finished->meter), "%.*s",
             (int)usage_series_at(&view, 0).meter.length, usage_series_at(&view, 0).meter.at);
}

static int32_t add(struct pack *pack, int64_t now_ms)
{
    pack_add(pack, &admitted, now_ms);
    pack_settle(pack, admitted.subscription->partition);
    return admitted.subscription->partition;
}

Test(pack, a_batch_is_closed_by_its_number_of_events)
{
    struct finished finished = {.reader = usage_reader_new()};
    struct pack_limits limits = {.events = 3, .bytes = 1 << 20, .linger_ms = 5};
    struct pack *pack = pack_new(4, &limits, on_finished, &finished);

    expect_admitted(ping("\"subscription\":\"" SUB "\""));
    for (int i = 0; i < 7; i++)
        add(pack, 0);

    cr_assert_eq(finished.batches, 2);
    cr_assert_eq(finished.events, 6);
    pack_flush(pack);
    cr_assert_eq(finished.events, 7);
    cr_assert_eq(
        memcmp(&finished.last.fingerprint, &admitted.event.fingerprint, sizeof(struct fingerprint)),
        0);
    cr_assert_str_eq(finished.meter, "ping");
    pack_free(pack);
    usage_reader_free(finished.reader);
}

Test(pack, a_batch_is_closed_by_its_bytes)
{
    struct finished finished = {.reader = usage_reader_new()};
    struct pack_limits limits = {.events = 1000, .bytes = 300, .linger_ms = 5};
    struct pack *pack = pack_new(4, &limits, on_finished, &finished);

    expect_admitted(ping("\"subscription\":\"" SUB "\""));
    while (finished.batches == 0)
        add(pack, 0);

    cr_assert_lt(finished.events, 10);
    pack_free(pack);
    usage_reader_free(finished.reader);
}

Test(pack, a_batch_is_closed_by_its_age)
{
    struct finished finished = {.reader = usage_reader_new()};
    struct pack_limits limits = {.events = 1000, .bytes = 1 << 20, .linger_ms = 5};
    struct pack *pack = pack_new(4, &limits, on_finished, &finished);

    expect_admitted(ping("\"subscription\":\"" SUB "\""));
    cr_assert_eq(pack_expire(pack, 100), -1);
    add(pack, 100);
    cr_assert_eq(pack_expire(pack, 101), 4);
    cr_assert_eq(finished.batches, 0);
    cr_assert_eq(pack_expire(pack, 105), -1);
    cr_assert_eq(finished.batches, 1);
    pack_free(pack);
    usage_reader_free(finished.reader);
}

Test(pack, its_bytes_are_those_of_all_that_is_open)
{
    struct finished finished = {.reader = usage_reader_new()};
    struct pack_limits limits = {.events = USAGE_EVENTS_MAX, .bytes = 1 << 20, .linger_ms = 5};
    struct pack *pack = pack_new(4, &limits, on_finished, &finished);
    struct catalog_subscription other;
    size_t before, open;

    expect_admitted(ping("\"subscription\":\"" SUB "\""));
    other = *admitted.subscription;
    other.partition = (other.partition + 1) % 4;
    for (int i = 0; i <= USAGE_EVENTS_MAX; i++) /* the last finds the batch full */
        pack_add(pack, &admitted, 0);
    cr_assert_eq(finished.batches, 1);
    admitted.subscription = &other;
    pack_add(pack, &admitted, 0);
    before = finished.bytes;
    open = pack_bytes(pack);
    pack_flush(pack);

    cr_assert_eq(finished.bytes - before, open);
    cr_assert_eq(pack_bytes(pack), 0);
    pack_free(pack);
    usage_reader_free(finished.reader);
}

Test(pack, each_partition_has_a_batch_and_its_cargo)
{
    struct finished finished = {.reader = usage_reader_new()};
    struct pack_limits limits = {.events = 1000, .bytes = 1 << 20, .linger_ms = 5};
    struct pack *pack = pack_new(4, &limits, on_finished, &finished);
    int mine = 0;
    void **cargo;

    expect_admitted(ping("\"subscription\":\"" SUB "\""));
    cargo = pack_add(pack, &admitted, 0);
    cr_assert_null(*cargo);
    *cargo = &mine;
    cr_assert_eq(*pack_add(pack, &admitted, 0), &mine);
    pack_flush(pack);
    cr_assert_eq(finished.cargo, &mine);
    cr_assert_null(*pack_add(pack, &admitted, 0), "a new batch has none");
    pack_free(pack);
    usage_reader_free(finished.reader);
}
