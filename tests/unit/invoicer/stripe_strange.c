/*
 * stripe_strange.c - answers that Stripe doesn't give, and somebody on the way may: none of them
 * makes an invoice a second time, or ends the process.
 */
#include "invoicer/rules/stripe_customer.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char issued[] =
    "{\"id\":\"S-20260301T0000Z\",\"subscription\":\"S\",\"customer\":{\"key\":\"acme\"},"
    "\"plan\":{\"key\":\"pro\",\"version\":1,\"name\":\"Pro\"},\"currency\":\"USD\","
    "\"boundary\":\"2026-03-01T00:00:00Z\",\"amount\":\"7.00\",\"discountTotal\":\"0.00\","
    "\"total\":\"7.00\",\"digest\":\"00000000000000000000000000000000\",\"lines\":[{\"id\":\"S/"
    "fee\","
    "\"kind\":\"fee\",\"name\":\"Fee\",\"period\":{\"index\":1,\"from\":\"2026-02-01T00:00:00Z\","
    "\"to\":\"2026-03-01T00:00:00Z\"},\"amount\":\"7.00\",\"discount\":\"0.00\",\"total\":\"7.00\","
    "\"details\":[]}]}";

#define OURS                                                                                       \
    "\"metadata\":{\"tollway_invoice\":\"S-20260301T0000Z\","                                      \
    "\"tollway_bucket\":\"test\"}"
#define DRAFT(total) "{\"id\":\"in_1\",\"status\":\"draft\",\"total\":" total "," OURS "}"
#define LINES                                                                                      \
    "{\"data\":[{\"id\":\"il_1\",\"amount\":700,\"currency\":\"usd\",\"metadata\":{"               \
    "\"tollway_line\":\"1\"}}],\"has_more\":false}"

static const int64_t now_ms = 1772323200000;
static struct arena arena;
static struct stripe_terms terms;
static struct stripe_expected expected;
static struct stripe_delivery delivery;
static struct stripe_flow flow;

/* Of a delivery that was held, so that it is looked for, or one that is begun. */
static void begin(enum stripe_state state)
{
    char why[STRIPE_WHY_MAX];

    arena_init(&arena, 1024 * 1024);
    terms = (struct stripe_terms){.account = text_of("acct_1"), .bucket = text_of("test")};
    delivery = (struct stripe_delivery){
        .state = state,
        .attempt = 1,
        .begun_at = {now_ms * 1000000},
        .customer = text_of("cus_1"),
    };
    cr_assert_eq(stripe_expect(text_of(issued), &arena, &expected, why), 0);
    cr_assert_eq(stripe_plan(text_of(issued), &expected, &terms, delivery.customer, 1, &arena,
                             &delivery.steps, &delivery.step_count),
                 0);
    cr_assert(stripe_flow_init(&flow, &delivery, &expected, &terms, now_ms, &arena));
}

static enum stripe_flow_end take(int status, const char *body)
{
    const struct stripe_answer answer = {.status = status, .body = text_of(body)};
    struct stripe_request request;
    int64_t wait_ms;

    stripe_flow_request(&flow, &request);
    return stripe_flow_answer(&flow, &answer, 1, &wait_ms);
}

static void end_with(enum stripe_flow_end end, enum stripe_flow_end wanted, const char *what)
{
    cr_assert_eq(end, wanted, "%s: ends with %d, %s", what, end, flow.why);
    arena_deinit(&arena);
}

static const char *const no_lists[] = {
    "{}",
    "{\"data\":null,\"has_more\":false}",
    "{\"data\":{},\"has_more\":false}",
    "{\"data\":[]}",
    "{\"data\":[],\"has_more\":true}",
    "{\"data\":[{}],\"has_more\":true}",
};

Test(stripe_strange, an_answer_that_is_no_list_does_not_say_that_nothing_is_there)
{
    for (size_t i = 0; i < ARRAY_LEN(no_lists); i++) {
        begin(STRIPE_HELD);
        end_with(take(200, no_lists[i]), STRIPE_FLOW_LATER, no_lists[i]);
        begin(STRIPE_HELD);
        cr_assert_eq(take(200, "{\"data\":[" DRAFT("0") "],\"has_more\":false}"),
                     STRIPE_FLOW_GOES_ON);
        end_with(take(200, no_lists[i]), STRIPE_FLOW_LATER, no_lists[i]);
    }
}

Test(stripe_strange, a_customer_is_not_made_again_because_of_an_answer_that_is_no_list)
{
    for (size_t i = 0; i < ARRAY_LEN(no_lists); i++) {
        const struct stripe_answer answer = {.status = 200, .body = text_of(no_lists[i])};
        struct stripe_customer way;
        int64_t wait_ms;

        begin(STRIPE_HELD);
        stripe_customer_init(&way, text_of("acme"), &delivery, &terms, now_ms, &arena);
        cr_assert_eq(stripe_customer_answer(&way, &answer, 1, &wait_ms), STRIPE_FLOW_LATER, "%s",
                     no_lists[i]);
        arena_deinit(&arena);
    }
}

Test(stripe_strange, an_invoice_of_ours_that_cannot_be_read_is_there_all_the_same)
{
    static const char *const lists[] = {
        "{\"data\":[{\"id\":\"in_1\",\"status\":\"open\"," OURS "}],\"has_more\":false}",
        "{\"data\":[{\"id\":\"in_1\",\"status\":null,\"total\":700," OURS "}],\"has_more\":false}",
    };

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        begin(STRIPE_HELD);
        end_with(take(200, lists[i]), STRIPE_FLOW_LATER, lists[i]);
    }
}

static const char missing[] = "{\"error\":{\"type\":\"invalid_request_error\",\"code\":"
                              "\"resource_missing\",\"message\":\"No such object\"}}";

Test(stripe_strange, an_invoice_that_is_deleted_while_its_page_is_turned_is_not_a_missing_customer)
{
    begin(STRIPE_HELD);
    end_with(take(404, missing), STRIPE_FLOW_NEW_ATTEMPT, "the first page");
    begin(STRIPE_HELD);
    cr_assert_eq(take(200, "{\"data\":[{\"id\":\"in_0\"}],\"has_more\":true}"),
                 STRIPE_FLOW_GOES_ON);
    end_with(take(400, missing), STRIPE_FLOW_LATER, "the second page");
}

/* Begun by a clock that was years ahead. */
Test(stripe_strange, an_invoice_is_looked_for_whatever_the_clock_said_when_it_was_begun)
{
    struct stripe_request request;

    begin(STRIPE_HELD);
    stripe_flow_request(&flow, &request);
    cr_assert(strstr(request.path, "customer=cus_1"));
    cr_assert_not(strstr(request.path, "created"));
    arena_deinit(&arena);
}

/* An invoice that was made, one that is listed, and one behind which the next page begins. */
static void answer_with_id(int which, const char *id)
{
    static const char *const before[] = {"{", "{\"data\":[{", "{\"data\":[{"};
    static const char *const behind[] = {
        ",\"status\":\"draft\",\"total\":0," OURS "}",
        ",\"status\":\"draft\",\"total\":0," OURS "}],\"has_more\":false}",
        "}],\"has_more\":true}",
    };
    char body[3000];

    snprintf(body, sizeof(body), "%s\"id\":\"%s\"%s", before[which], id, behind[which]);
    begin(which == 0 ? STRIPE_BEGUN : STRIPE_HELD);
    end_with(take(200, body), which == 0 ? STRIPE_FLOW_GOES_ON : STRIPE_FLOW_LATER, body);
    cr_assert(text_is_absent(flow.stripe) && text_is_absent(flow.page), "%s", body);
}

Test(stripe_strange, what_cannot_be_an_id_is_not_taken_for_one)
{
    char id[2000];

    memset(id, 'x', sizeof(id));
    id[sizeof(id) - 1] = '\0';
    for (int which = 0; which < 3; which++) {
        answer_with_id(which, id);
        answer_with_id(which, "in_1?a=b");
        answer_with_id(which, "in_1/pay");
    }
}

/* As long as an id can be. */
Test(stripe_strange, ids_of_any_length_have_room_in_a_path)
{
    char id[256], body[1000];
    struct stripe_request request;

    memset(id, 'x', 255);
    id[255] = '\0';
    begin(STRIPE_HELD);
    delivery.customer = text_of(id);
    snprintf(body, sizeof(body), "{\"data\":[{\"id\":\"%s\"}],\"has_more\":true}", id);
    cr_assert_eq(take(200, body), STRIPE_FLOW_GOES_ON);
    stripe_flow_request(&flow, &request);
    cr_assert(strlen(request.path) > 2 * strlen(id));
    arena_deinit(&arena);
}

Test(stripe_strange, a_total_that_is_another_is_seen_before_it_is_final)
{
    begin(STRIPE_HELD);
    cr_assert_eq(take(200, "{\"data\":[" DRAFT("600") "],\"has_more\":false}"),
                 STRIPE_FLOW_GOES_ON);
    end_with(take(200, LINES), STRIPE_FLOW_HELD, "found, with a discount");
    begin(STRIPE_BEGUN);
    cr_assert_eq(take(200, DRAFT("0")), STRIPE_FLOW_GOES_ON);
    cr_assert_eq(take(200, DRAFT("600")), STRIPE_FLOW_GOES_ON);
    end_with(take(200, LINES), STRIPE_FLOW_HELD, "made, with a discount");
    begin(STRIPE_HELD);
    cr_assert_eq(take(200, "{\"data\":[" DRAFT("0") "],\"has_more\":false}"), STRIPE_FLOW_GOES_ON);
    cr_assert_eq(take(200, "{\"data\":[],\"has_more\":false}"), STRIPE_FLOW_GOES_ON);
    cr_assert_eq(take(200, DRAFT("700")), STRIPE_FLOW_GOES_ON);
    end_with(take(200, LINES), STRIPE_FLOW_GOES_ON, "found without its lines");
}

Test(stripe_strange, an_invoice_that_was_finalised_over_another_total_is_not_adopted)
{
    begin(STRIPE_HELD);
    cr_assert_eq(take(200, "{\"data\":[{\"id\":\"in_1\",\"status\":\"open\",\"total\":600," OURS
                           "}],\"has_more\":false}"),
                 STRIPE_FLOW_GOES_ON);
    end_with(take(200, LINES), STRIPE_FLOW_HELD, "final, over another total");
}
