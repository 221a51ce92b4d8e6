#include "ingest/rules/content_mode.h"
#include "ingest/rules/rate.h"

#include <criterion/criterion.h>
#include <stdio.h>

static int http(const char *type, bool attributes, bool specversion)
{
    struct content_signs signs = {text_of(type), attributes, specversion};
    enum content_mode mode;
    const char *remedy;

    return content_mode_http(&signs, &mode, &remedy) ? -1 : (int)mode;
}

static int kafka(const char *type, bool attributes)
{
    struct content_signs signs = {text_of(type), attributes, attributes};
    enum content_mode mode;
    const char *remedy;

    return content_mode_kafka(&signs, &mode, &remedy) ? -1 : (int)mode;
}

Test(content_mode, the_media_type_says_the_form_in_either_case)
{
    cr_assert_eq(http("application/cloudevents+json", false, false), CONTENT_STRUCTURED);
    cr_assert_eq(http("Application/CloudEvents+JSON; charset=\"UTF-8\"", true, true),
                 CONTENT_STRUCTURED);
    cr_assert_eq(http("application/cloudevents-batch+json", false, false), CONTENT_BATCH);
    cr_assert_eq(http("application/x-ndjson", false, false), CONTENT_LINES);
    cr_assert_eq(http("application/jsonl", false, false), CONTENT_LINES);
    cr_assert_eq(http("application/vnd.tollway.gateway-batch", false, false), CONTENT_GATEWAY);
}

Test(content_mode, application_json_is_binary_with_a_specversion_and_else_what_it_holds)
{
    cr_assert_eq(http("application/json", true, true), CONTENT_BINARY);
    cr_assert_eq(http("application/json", true, false), CONTENT_JSON);
    cr_assert_eq(http("application/json", false, false), CONTENT_JSON);
}

Test(content_mode, attributes_beside_another_type_or_none_make_binary_mode)
{
    cr_assert_eq(http("text/xml", true, true), CONTENT_BINARY);
    cr_assert_eq(http(NULL, true, true), CONTENT_BINARY);
    cr_assert_eq(http("text/xml", false, false), -1);
    cr_assert_eq(http(NULL, false, false), -1);
}

Test(content_mode, unknown_formats_of_cloudevents_and_other_charsets_are_unsupported)
{
    cr_assert_eq(http("application/cloudevents+avro", true, true), -1);
    cr_assert_eq(http("application/cloudevents", true, true), -1);
    cr_assert_eq(http("application/cloudevents-batch", false, false), -1);
    cr_assert_eq(http("application/json; charset=latin1", false, false), -1);
    cr_assert_eq(http("application/json; charset", false, false), -1);
    cr_assert_eq(http("json", true, true), -1);
}

Test(content_mode, a_record_without_a_type_is_structured_or_has_attributes)
{
    cr_assert_eq(kafka(NULL, false), CONTENT_STRUCTURED);
    cr_assert_eq(kafka("application/json", false), CONTENT_STRUCTURED);
    cr_assert_eq(kafka("application/cloudevents+json; charset=utf-8", true), CONTENT_STRUCTURED);
    cr_assert_eq(kafka(NULL, true), CONTENT_BINARY);
    cr_assert_eq(kafka("application/json", true), CONTENT_BINARY);
    cr_assert_eq(kafka("text/plain", true), CONTENT_BINARY);
    cr_assert_eq(kafka("text/plain", false), -1);
    cr_assert_eq(kafka("application/cloudevents+avro", true), -1);
    cr_assert_eq(kafka("application/vnd.tollway.gateway-batch", false), CONTENT_GATEWAY);
}

Test(content_mode, a_record_holds_many_events_when_its_type_says_so)
{
    cr_assert_eq(kafka("application/cloudevents-batch+json", false), CONTENT_BATCH);
    cr_assert_eq(kafka("application/cloudevents-batch+json", true), CONTENT_BATCH);
    cr_assert_eq(kafka("application/x-ndjson", false), CONTENT_LINES);
    cr_assert_eq(kafka("application/jsonl; charset=utf-8", false), CONTENT_LINES);
    cr_assert_eq(kafka("application/x-ndjson", true), CONTENT_BINARY);
}

Test(rate, a_key_may_send_its_rate_and_then_waits)
{
    struct rate *rate = rate_new(100);

    cr_assert_eq(rate_wait(rate, text_of("a"), 0), 0);
    rate_spend(rate, text_of("a"), 150);
    cr_assert_eq(rate_wait(rate, text_of("a"), 0), 501);
    cr_assert_eq(rate_wait(rate, text_of("a"), 500), 1);
    cr_assert_eq(rate_wait(rate, text_of("a"), 501), 0);
    cr_assert_eq(rate_wait(rate, text_of("b"), 0), 0, "each key for itself");
    rate_free(rate);
}

Test(rate, an_unused_key_saves_up_one_second_at_the_most)
{
    struct rate *rate = rate_new(10);

    cr_assert_eq(rate_wait(rate, text_of("a"), 0), 0);
    cr_assert_eq(rate_wait(rate, text_of("a"), 3600000), 0);
    rate_spend(rate, text_of("a"), 10);
    cr_assert_eq(rate_wait(rate, text_of("a"), 3600000), 1);
    rate_free(rate);
}

Test(rate, more_keys_than_there_is_room_for_push_out_the_one_unused_for_longest)
{
    struct rate *rate = rate_new(1);
    char key[16];

    for (int64_t i = 0; i < 3 * RATE_KEYS_MAX; i++) {
        snprintf(key, sizeof(key), "%08ld", (long)i);
        cr_assert_eq(rate_wait(rate, text_of(key), i), 0);
        rate_spend(rate, text_of(key), 5);
        cr_assert_gt(rate_wait(rate, text_of(key), i), 0);
    }
    rate_free(rate);
}
