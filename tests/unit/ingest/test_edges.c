#include "ingest/edges/answer.h"
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
