#include "ingest/rules/cloudevents.h"
#include "ingest/rules/json_shape.h"
#include "tests/unit/ingest/given.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/g\",\"type\":\"api\""

static char json[16384];

/* An event with a string attribute of so many bytes. */
static const char *with_long(const char *name, size_t length)
{
    snprintf(json, sizeof(json), "{\"specversion\":\"1.0\",\"%s\":\"%0*d\"%s%s%s}", name,
             (int)length, 0, strcmp(name, "id") ? ",\"id\":\"1\"" : "",
             strcmp(name, "source") ? ",\"source\":\"/g\"" : "",
             strcmp(name, "type") ? ",\"type\":\"api\"" : "");
    return json;
}

static const char *with(const char *members)
{
    snprintf(json, sizeof(json), HEAD ",%s}", members);
    return json;
}

/* --- structured --- */

Test(cloudevents, an_event_of_the_four_required_attributes_is_read)
{
    struct given given;

    given_init(&given);
    cr_assert_eq(given_event(&given, HEAD "}"), 0);

    cr_assert(text_is(given.event.id, "1"));
    cr_assert(text_is(given.event.source, "/g"));
    cr_assert(text_is(given.event.type, "api"));
    cr_assert(text_is_absent(given.event.subject));
    cr_assert(text_is_absent(given.event.subscription));
    cr_assert(given.event.time_is_absent);
    cr_assert_eq(given.event.data, JSON_NONE);
    given_deinit(&given);
}

Test(cloudevents, optional_attributes_are_read)
{
    struct given given;
    struct instant expected;

    given_init(&given);
    cr_assert_eq(given_event(&given, with("\"subject\":\"s\",\"subscription\":\"u\",\"time\":"
                                          "\"2026-11-24t10:00:00.5+01:00\",\"sequence\":\"42\","
                                          "\"data\":{\"total\":1}")),
                 0);

    cr_assert(text_is(given.event.subject, "s"));
    cr_assert(text_is(given.event.subscription, "u"));
    cr_assert_eq(instant_parse(text_of("2026-11-24T09:00:00.5Z"), &expected), 0);
    cr_assert_eq(given.event.time.ns, expected.ns);
    cr_assert_neq(given.event.data, JSON_NONE);
    given_deinit(&given);
}

Test(cloudevents, json_that_is_broken_is_invalid_json)
{
    struct given given;
    size_t position = 0;

    given_init(&given);
    cr_assert_eq(event_from_json(&given.document, text_of(HEAD ",\"data\":{\"total\":NaN}}"),
                                 &position, &given.event, &given.refusal),
                 EVENT_BROKEN);
    cr_assert_eq(given.refusal.code, REFUSAL_INVALID_JSON);
    cr_assert(text_is(given.refusal.pointer, "/data/total"));
    given_deinit(&given);
}

Test(cloudevents, what_is_not_an_object_is_no_event)
{
    expect_refused("[]", REFUSAL_INVALID_EVENT, "");
    expect_refused("\"id\"", REFUSAL_INVALID_EVENT, "");
    expect_refused("null", REFUSAL_INVALID_EVENT, "");
}

Test(cloudevents, depth_names_and_strings_are_refused_by_their_codes)
{
    expect_refused(with("\"data\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"), REFUSAL_TOO_DEEP,
                   "/data/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0");
    expect_read(with("\"data\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]"));
    expect_refused(with("\"id\":\"2\""), REFUSAL_DUPLICATE_KEY, "/id");
    expect_refused(with("\"data\":{\"a\":1,\"a\":1}"), REFUSAL_DUPLICATE_KEY, "/data/a");
    expect_refused(with("\"data\":\"\\u0000\""), REFUSAL_INVALID_STRING, "/data");
    expect_refused(with("\"subject\":\"\xFF\""), REFUSAL_INVALID_STRING, "/subject");
}

Test(cloudevents, each_attribute_has_its_greatest_length)
{
    static const char *const texts[] = {"source", "type", "subject", "anyextension"};

    expect_read(with_long("id", 256));
    expect_refused(with_long("id", 257), REFUSAL_TOO_LONG, "/id");
    expect_read(with_long("subscription", 256));
    expect_refused(with_long("subscription", 257), REFUSAL_TOO_LONG, "/subscription");
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "/%s", texts[i]);
        expect_read(with_long(texts[i], 1024));
        expect_refused(with_long(texts[i], 1025), REFUSAL_TOO_LONG, pointer);
    }
}

Test(cloudevents, an_event_of_more_than_a_mebibyte_is_too_long)
{
    enum { ROOM = JSON_EVENT_BYTES_MAX + 1024 };
    char *large = malloc(ROOM);
    int head = snprintf(large, ROOM, HEAD ",\"data\":\"");

    memset(large + head, 'x', ROOM - (size_t)head);
    strcpy(large + JSON_EVENT_BYTES_MAX - 2, "\"}");
    expect_read(large);
    memset(large + JSON_EVENT_BYTES_MAX - 2, 'x', 2);
    strcpy(large + JSON_EVENT_BYTES_MAX - 1, "\"}");
    expect_refused(large, REFUSAL_TOO_LONG, "");
    free(large);
}

Test(cloudevents, required_attributes_that_are_missing_or_null_are_named)
{
    expect_refused("{\"specversion\":\"1.0\",\"source\":\"/g\",\"type\":\"a\"}",
                   REFUSAL_MISSING_ATTRIBUTE, "/id");
    expect_refused("{\"specversion\":\"1.0\",\"id\":null,\"source\":\"/g\",\"type\":\"a\"}",
                   REFUSAL_MISSING_ATTRIBUTE, "/id");
    expect_refused("{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"a\"}",
                   REFUSAL_MISSING_ATTRIBUTE, "/source");
    expect_refused("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/g\"}",
                   REFUSAL_MISSING_ATTRIBUTE, "/type");
    expect_refused("{\"id\":\"1\",\"source\":\"/g\",\"type\":\"a\"}", REFUSAL_MISSING_ATTRIBUTE,
                   "/specversion");
}

Test(cloudevents, an_optional_attribute_that_is_null_is_absent)
{
    expect_read(with("\"subject\":null,\"time\":null,\"subscription\":null,\"datacontenttype\":"
                     "null,\"dataschema\":null,\"sampledrate\":null,\"dataref\":null,\"x\":null,"
                     "\"data\":null"));
}

Test(cloudevents, an_attribute_that_is_empty_is_invalid)
{
    static const char *const names[] = {"subject", "time", "subscription", "datacontenttype",
                                        "dataschema"};

    expect_refused("{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/g\",\"type\":\"a\"}",
                   REFUSAL_INVALID_ATTRIBUTE, "/id");
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char member[64], pointer[32];
        snprintf(member, sizeof(member), "\"%s\":\"\"", names[i]);
        snprintf(pointer, sizeof(pointer), "/%s", names[i]);
        expect_refused(with(member), REFUSAL_INVALID_ATTRIBUTE, pointer);
    }
}

Test(cloudevents, an_attribute_of_another_type_than_string_is_invalid)
{
    expect_refused("{\"specversion\":\"1.0\",\"id\":1,\"source\":\"/g\",\"type\":\"a\"}",
                   REFUSAL_INVALID_ATTRIBUTE, "/id");
    expect_refused("{\"specversion\":1.0,\"id\":\"1\",\"source\":\"/g\",\"type\":\"a\"}",
                   REFUSAL_INVALID_ATTRIBUTE, "/specversion");
    expect_refused(with("\"subject\":{}"), REFUSAL_INVALID_ATTRIBUTE, "/subject");
    expect_refused(with("\"time\":1700000000"), REFUSAL_INVALID_ATTRIBUTE, "/time");
}

Test(cloudevents, specversion_is_1_0_alone)
{
    expect_refused("{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"/g\",\"type\":\"a\"}",
                   REFUSAL_INVALID_ATTRIBUTE, "/specversion");
}

Test(cloudevents, source_is_a_uri_reference)
{
    static const char *const good[] = {
        "/g",    "monetization-policy", "urn:a:b", "https://a.b/c?d#e", "../x", "%C3%A4",
        "a/b:c", "mailto:a@b.c"};
    static const char *const bad[] = {"a b", "%zz",    "%1",       "1:x", "a#b#c",
                                      "<x>", "a\\\\b", "\xC3\xA4", ":x"};

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        snprintf(json, sizeof(json),
                 "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"%s\",\"type\":\"a\"}",
                 good[i]);
        expect_read(json);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(json, sizeof(json),
                 "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"%s\",\"type\":\"a\"}", bad[i]);
        expect_refused(json, REFUSAL_INVALID_ATTRIBUTE, "/source");
    }
}

Test(cloudevents, time_is_rfc_3339)
{
    expect_read(with("\"time\":\"2026-02-28T23:59:59.123456789123Z\""));
    expect_read(with("\"time\":\"2016-12-31T23:59:60Z\""));
    expect_refused(with("\"time\":\"2026-02-30T00:00:00Z\""), REFUSAL_INVALID_ATTRIBUTE, "/time");
    expect_refused(with("\"time\":\"2026-02-28 00:00:00\""), REFUSAL_INVALID_ATTRIBUTE, "/time");
    expect_refused(with("\"time\":\"2026-02-27T23:59:60Z\""), REFUSAL_INVALID_ATTRIBUTE, "/time");
}

Test(cloudevents, dataschema_is_a_uri)
{
    expect_read(with("\"dataschema\":\"https://a/b\""));
    expect_refused(with("\"dataschema\":\"/b\""), REFUSAL_INVALID_ATTRIBUTE, "/dataschema");
}

Test(cloudevents, attribute_names_are_lower_case_letters_and_digits)
{
    expect_read(with("\"x1\":\"v\""));
    expect_refused(with("\"traceParent\":\"v\""), REFUSAL_INVALID_ATTRIBUTE, "/traceParent");
    expect_refused(with("\"my_ext\":\"v\""), REFUSAL_INVALID_ATTRIBUTE, "/my_ext");
    expect_refused(with("\"\":\"v\""), REFUSAL_INVALID_ATTRIBUTE, "/");
}

Test(cloudevents, extensions_are_strings_booleans_or_32_bit_integers_and_ignored)
{
    expect_read(with("\"partitionkey\":\"p\",\"traceparent\":\"t\",\"b\":true,\"i\":-2147483648,"
                     "\"e\":\"\""));
    expect_refused(with("\"i\":2147483648"), REFUSAL_INVALID_ATTRIBUTE, "/i");
    expect_refused(with("\"i\":1.5"), REFUSAL_INVALID_ATTRIBUTE, "/i");
    expect_refused(with("\"o\":{\"a\":1}"), REFUSAL_INVALID_ATTRIBUTE, "/o");
    expect_refused(with("\"o\":[]"), REFUSAL_INVALID_ATTRIBUTE, "/o");
}

Test(cloudevents, a_source_is_checked_unless_it_is_the_last_one_that_passed)
{
    static const char form[] =
        "{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\",\"source\":\"%s\"}";
    static const struct {
        const char *source;
        bool passes;
    } rows[] = {{"/gate/a", true},  {"/gate/a", true},  {"/gate/b", true}, {"/gate/%", false},
                {"/gate/%", false}, {"/gate/b", true},  {"/gate/", true},  {"/gate", true},
                {"/gate/|", false}, {"/gate/b/", true}, {"/a%41", true},   {"/a%4", false}};
    struct json_shape shape = {.count = 0};
    struct given given;

    given_init(&given);
    given.document.shape = &shape;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(json, sizeof(json), form, rows[i].source);
        cr_assert_eq(given_event(&given, json), rows[i].passes ? 0 : EVENT_REFUSED, "%s",
                     rows[i].source);
    }
    given_deinit(&given);
}

Test(cloudevents, attributes_are_found_where_the_event_before_had_them)
{
    struct json_shape shape = {.count = 0};
    struct given given;

    given_init(&given);
    given.document.shape = &shape;
    for (size_t i = 0; i < JSON_PATIENCE_LEAST + 1; i++)
        cr_assert_eq(given_event(&given, HEAD ",\"subject\":\"a\",\"time\":null,\"data\":1}"), 0);
    cr_assert(shape.has_places);
    cr_assert_eq(given_event(&given, HEAD ",\"subject\":\"b\",\"time\":null,\"data\":2}"), 0);

    cr_assert(text_is(given.event.id, "1"));
    cr_assert(text_is(given.event.source, "/g"));
    cr_assert(text_is(given.event.type, "api"));
    cr_assert(text_is(given.event.subject, "b"));
    cr_assert(given.event.time_is_absent);
    cr_assert(text_is(json_text(json_at(&given.document, given.event.data)), "2"));
    given_deinit(&given);
}

Test(cloudevents, an_event_of_another_shape_has_its_own_attributes)
{
    static const char *const other =
        "{\"id\":\"2\",\"type\":\"t\",\"source\":\"/h\",\"specversion\":\"1.0\"}";
    struct event_binary binary = {.attributes =
                                      (struct event_attribute[]){
                                          {{"id", 2}, {"3", 1}},
                                          {{"source", 6}, {"/i", 2}},
                                          {{"type", 4}, {"u", 1}},
                                          {{"specversion", 11}, {"1.0", 3}},
                                      },
                                  .count = 4};
    struct json_shape shape = {.count = 0};
    struct given given;

    given_init(&given);
    given.document.shape = &shape;
    for (size_t i = 0; i < JSON_PATIENCE_LEAST + 1; i++)
        cr_assert_eq(given_event(&given, HEAD "}"), 0);
    for (size_t i = 0; i < JSON_PATIENCE_MAX; i++) {
        cr_assert_eq(given_event(&given, other), 0);
        cr_assert(text_is(given.event.id, "2"));
        cr_assert(text_is(given.event.source, "/h"));
    }

    cr_assert_eq(event_from_binary(&given.document, &binary, &given.event, &given.refusal), 0);
    cr_assert(text_is(given.event.id, "3"));
    cr_assert(text_is(given.event.source, "/i"));
    given_deinit(&given);
}

Test(cloudevents, an_extension_is_looked_at_in_each_event)
{
    struct json_shape shape = {.count = 0};
    struct given given;

    given_init(&given);
    given.document.shape = &shape;
    for (size_t i = 0; i < JSON_PATIENCE_LEAST + 2; i++)
        cr_assert_eq(given_event(&given, with("\"more\":1")), 0);
    cr_assert(shape.is_whole);

    cr_assert_eq(given_event(&given, with("\"more\":2147483648")), EVENT_REFUSED);
    cr_assert_eq(given_event(&given, with("\"more\":1")), 0);
    given_deinit(&given);
}

Test(cloudevents, a_sampledrate_other_than_1_and_dataref_are_unsupported)
{
    expect_read(with("\"sampledrate\":1"));
    expect_read(with("\"sampledrate\":\"1\""));
    expect_refused(with("\"sampledrate\":10"), REFUSAL_UNSUPPORTED_ATTRIBUTE, "/sampledrate");
    expect_refused(with("\"dataref\":\"https://a/b\""), REFUSAL_UNSUPPORTED_ATTRIBUTE, "/dataref");
}

Test(cloudevents, content_is_application_json_with_or_without_parameters)
{
    expect_read(with("\"datacontenttype\":\"application/json\""));
    expect_read(with("\"datacontenttype\":\"Application/JSON ; charset=\\\"UTF-8\\\"\""));
    expect_refused(with("\"datacontenttype\":\"text/xml\""), REFUSAL_UNSUPPORTED_CONTENT,
                   "/datacontenttype");
    expect_refused(with("\"datacontenttype\":\"application/json;charset=latin1\""),
                   REFUSAL_UNSUPPORTED_CONTENT, "/datacontenttype");
    expect_refused(with("\"datacontenttype\":\"json\""), REFUSAL_INVALID_ATTRIBUTE,
                   "/datacontenttype");
}

Test(cloudevents, data_base64_is_decoded_and_read_as_json)
{
    struct given given;
    struct catalog_path path = {.count = 1, .steps = {text_of("total")}};
    uint32_t index;

    given_init(&given);
    cr_assert_eq(given_event(&given, with("\"data_base64\":\"eyJ0b3RhbCI6N30=\"")), 0);
    index = event_place(&given.event, &path);
    cr_assert_neq(index, JSON_NONE);
    cr_assert(text_is(json_text(json_at(&given.document, index)), "7"));
    given_deinit(&given);
}

Test(cloudevents, data_base64_that_cannot_be_read_is_invalid_data)
{
    expect_refused(with("\"data_base64\":\"eyJ0b3Rhb\""), REFUSAL_INVALID_DATA, "/data_base64");
    expect_refused(with("\"data_base64\":\"e*==\""), REFUSAL_INVALID_DATA, "/data_base64");
    expect_refused(with("\"data_base64\":7"), REFUSAL_INVALID_DATA, "/data_base64");
    expect_refused(with("\"data_base64\":\"AAEC\""), REFUSAL_INVALID_DATA, "/data_base64");
    expect_refused(with("\"data_base64\":\"eyJhIjoxLCJhIjoxfQ==\""), REFUSAL_DUPLICATE_KEY,
                   "/data/a");
}

Test(cloudevents, data_and_data_base64_exclude_each_other)
{
    expect_refused(with("\"data\":{},\"data_base64\":\"e30=\""), REFUSAL_INVALID_DATA,
                   "/data_base64");
}

Test(cloudevents, of_several_faults_the_code_that_stands_first_is_given)
{
    const char *both = "{\"source\":\"a b\",\"specversion\":\"1.0\",\"type\":\"a\"}";
    const char *turned = "{\"type\":\"a\",\"specversion\":\"1.0\",\"source\":\"a b\"}";

    expect_refused(both, REFUSAL_MISSING_ATTRIBUTE, "/id");
    expect_refused(turned, REFUSAL_MISSING_ATTRIBUTE, "/id");
}

Test(cloudevents, the_id_of_a_refused_event_can_be_shown)
{
    struct given given;

    given_init(&given);
    cr_assert_neq(given_event(&given, "{\"id\":\"x\",\"data\":{\"id\":\"y\",\"a\":1,\"a\":2}}"), 0);
    cr_assert(text_is(event_id(&given.document), "x"));
    cr_assert_neq(given_event(&given, "{\"id\":7}"), 0);
    cr_assert(text_is_absent(event_id(&given.document)));
    cr_assert_neq(given_event(&given, "[\"id\"]"), 0);
    cr_assert(text_is_absent(event_id(&given.document)));
    given_deinit(&given);
}

/* --- binary --- */

static int read_binary(struct given *given, const struct event_attribute *more, size_t count,
                       const char *content_type, const char *body)
{
    struct event_attribute attributes[16] = {
        {text_of("specversion"), text_of("1.0")},
        {text_of("id"), text_of("1")},
        {text_of("source"), text_of("/g")},
        {text_of("type"), text_of("api")},
    };
    struct event_binary binary = {.attributes = attributes,
                                  .count = 4 + count,
                                  .content_type = text_of(content_type),
                                  .body = text_of(body)};

    for (size_t i = 0; i < count; i++)
        attributes[4 + i] = more[i];
    memset(&given->refusal, 0, sizeof(given->refusal));
    return event_from_binary(&given->document, &binary, &given->event, &given->refusal);
}

static void expect_binary_refused(const char *name, const char *value, const char *content_type,
                                  const char *body, enum refusal_code code, const char *pointer)
{
    struct event_attribute more = {text_of(name), text_of(value)};
    struct given given;

    given_init(&given);
    cr_assert_eq(read_binary(&given, &more, name != NULL, content_type, body), EVENT_REFUSED);
    cr_assert_eq(given.refusal.code, code, "%s", refusal_name(given.refusal.code));
    cr_assert(text_is(given.refusal.pointer, pointer), "%.*s", (int)given.refusal.pointer.length,
              given.refusal.pointer.at);
    given_deinit(&given);
}

Test(binary_mode, attributes_and_body_make_the_same_event)
{
    struct event_attribute more = {text_of("subject"), text_of("s")};
    struct catalog_path path = {.count = 1, .steps = {text_of("total")}};
    struct given given;
    uint32_t index;

    given_init(&given);
    cr_assert_eq(
        read_binary(&given, &more, 1, "application/json; charset=utf-8", "{\"total\":12.5}"), 0);

    cr_assert(text_is(given.event.id, "1"));
    cr_assert(text_is(given.event.subject, "s"));
    index = event_place(&given.event, &path);
    cr_assert_neq(index, JSON_NONE);
    cr_assert(text_is(json_pointer(&given.document, index, &given.arena), "/data/total"));
    given_deinit(&given);
}

Test(binary_mode, an_empty_body_is_no_data)
{
    struct given given;

    given_init(&given);
    cr_assert_eq(read_binary(&given, NULL, 0, NULL, ""), 0);
    cr_assert_eq(given.event.data, JSON_NONE);
    given_deinit(&given);
}

Test(binary_mode, its_refusals_point_into_the_event_alike)
{
    expect_binary_refused("datacontenttype", "application/json", NULL, "",
                          REFUSAL_INVALID_ATTRIBUTE, "/datacontenttype");
    expect_binary_refused("data", "x", NULL, "", REFUSAL_INVALID_ATTRIBUTE, "/data");
    expect_binary_refused("id", "2", NULL, "", REFUSAL_DUPLICATE_KEY, "/id");
    expect_binary_refused("bad-name", "2", NULL, "", REFUSAL_INVALID_ATTRIBUTE, "/bad-name");
    expect_binary_refused("subject", "", NULL, "", REFUSAL_INVALID_ATTRIBUTE, "/subject");
    expect_binary_refused(NULL, NULL, "text/xml", "<a/>", REFUSAL_UNSUPPORTED_CONTENT,
                          "/datacontenttype");
    expect_binary_refused(NULL, NULL, "application/json", "{\"a\":", REFUSAL_INVALID_DATA, "/data");
    expect_binary_refused(NULL, NULL, NULL, "{\"a\":{\"b\":1,\"b\":1}}", REFUSAL_DUPLICATE_KEY,
                          "/data/a/b");
    expect_binary_refused("sampledrate", "10", NULL, "{}", REFUSAL_UNSUPPORTED_ATTRIBUTE,
                          "/sampledrate");
}

static void expect_decoded(const char *value, const char *expected)
{
    struct given given;
    struct text decoded;

    given_init(&given);
    cr_assert_eq(event_decode_header(text_of("subject"), text_of(value), &given.arena, &decoded,
                                     &given.refusal),
                 0);
    cr_assert(text_is(decoded, expected), "%.*s", (int)decoded.length, decoded.at);
    given_deinit(&given);
}

Test(binary_mode, header_values_are_unquoted_then_percent_decoded_once)
{
    expect_decoded("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \xE2\x82\xAC \xF0\x9F\x98\x80");
    expect_decoded("%e2%82%ac", "\xE2\x82\xAC");
    expect_decoded("needless%41", "needlessA");
    expect_decoded("\"a b\"", "a b");
    expect_decoded("\"a \\\"b\\\" %25\"", "a \"b\" %");
    expect_decoded("%2541", "%41");
    expect_decoded("100% %4 %G1 %", "100% %4 %G1 %");
    expect_decoded("", "");
}

Test(binary_mode, header_values_that_decode_to_no_text_are_refused)
{
    static const struct {
        const char *value;
        enum refusal_code code;
    } cases[] = {
        {"%C0%A0", REFUSAL_INVALID_STRING},    {"%ED%A0%80", REFUSAL_INVALID_STRING},
        {"%FF", REFUSAL_INVALID_STRING},       {"a%00", REFUSAL_INVALID_STRING},
        {"\"open", REFUSAL_INVALID_ATTRIBUTE},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct given given;
        struct text decoded;
        given_init(&given);
        cr_assert_eq(event_decode_header(text_of("subject"), text_of(cases[i].value), &given.arena,
                                         &decoded, &given.refusal),
                     EVENT_REFUSED, "%s", cases[i].value);
        cr_assert_eq(given.refusal.code, cases[i].code, "%s", cases[i].value);
        cr_assert(text_is(given.refusal.pointer, "/subject"));
        given_deinit(&given);
    }
}
