/*
 * stripe_answer.c - what Stripe's answers mean for a request.
 */
#include "invoicer/rules/stripe_answer.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct stripe_judgement judgement;

static enum stripe_verdict judge(const struct stripe_answer *answer)
{
    stripe_judge(answer, 1, 0, &judgement);
    return judgement.verdict;
}

static struct stripe_answer refusal(int status, const char *body)
{
    return (struct stripe_answer){
        .status = status, .body = text_of(body), .request_id = text_of("req_1")};
}

static void assert_verdict(enum stripe_verdict expected, int status, const char *body)
{
    struct stripe_answer answer = refusal(status, body);

    cr_assert_eq(judge(&answer), expected, "%d %s", status, body);
}

static void assert_why(const char *words)
{
    cr_assert_not_null(strstr(judgement.why, words), "%s", judgement.why);
}

#define ERROR(members) "{\"error\":{" members "}}"

Test(stripe_judge, an_object_is_what_was_asked_for)
{
    assert_verdict(STRIPE_DONE, 200, "{}");
    assert_verdict(STRIPE_DONE, 201, "{\"id\":\"in_1\"}");

    cr_assert_eq(judgement.wait_ms, 0);
    cr_assert_str_eq(judgement.why, "");
}

Test(stripe_judge, half_an_object_is_asked_for_again)
{
    assert_verdict(STRIPE_AGAIN, 200, "{\"id\":\"in_");
    assert_verdict(STRIPE_AGAIN, 200, "");
    assert_verdict(STRIPE_AGAIN, 200, "[]");

    cr_assert_gt(judgement.wait_ms, 0);
    assert_why("without a whole JSON object, request req_1");
}

Test(stripe_judge, no_answer_or_one_that_another_request_met_is_asked_for_again)
{
    assert_verdict(STRIPE_AGAIN, 0, "connection refused");
    assert_why("no answer of Stripe's: connection refused");
    assert_verdict(STRIPE_AGAIN, 409,
                   ERROR("\"code\":\"idempotency_key_in_use\","
                         "\"type\":\"idempotency_error\""));
    assert_verdict(STRIPE_AGAIN, 500, ERROR("\"type\":\"api_error\""));
    assert_verdict(STRIPE_AGAIN, 502, "<html>Bad gateway</html>");
    assert_why("Stripe answers 502: without a reason, request req_1");
    assert_verdict(STRIPE_AGAIN, 503, "");
    assert_verdict(STRIPE_AGAIN, 429, ERROR("\"code\":\"lock_timeout\""));
    assert_verdict(STRIPE_AGAIN, 400, ERROR("\"code\":\"lock_timeout\""));
}

Test(stripe_judge, too_many_requests_slow_all_of_them_down)
{
    assert_verdict(STRIPE_SLOWER, 429, ERROR("\"code\":\"rate_limit\",\"message\":\"Slower\""));
    assert_verdict(STRIPE_SLOWER, 429, "");

    cr_assert_gt(judgement.wait_ms, 0);
}

Test(stripe_judge, stripe_says_itself_whether_to_ask_again)
{
    struct stripe_answer answer = refusal(402, "");

    answer.should_retry = text_of("true");
    cr_assert_eq(judge(&answer), STRIPE_AGAIN);
    cr_assert_gt(judgement.wait_ms, 0);
    answer.should_retry = text_of("false");
    cr_assert_eq(judge(&answer), STRIPE_HOLD);
    answer.status = 500;
    cr_assert_eq(judge(&answer), STRIPE_RECONCILE, "it may have been executed");
    answer.status = 409;
    cr_assert_eq(judge(&answer), STRIPE_AGAIN, "the first one is still being executed");
    answer.status = 429;
    cr_assert_eq(judge(&answer), STRIPE_SLOWER, "it wasn't executed");
    answer.status = 401;
    answer.should_retry = text_of("true");
    cr_assert_eq(judge(&answer), STRIPE_STOP);
}

Test(stripe_judge, what_is_kept_under_the_key_will_be_the_same_again)
{
    struct stripe_answer answer = refusal(500, ERROR("\"type\":\"api_error\""));

    answer.replayed = text_of("true");
    answer.should_retry = text_of("true");
    cr_assert_eq(judge(&answer), STRIPE_RECONCILE);
    answer.replayed = text_of("false");
    cr_assert_eq(judge(&answer), STRIPE_AGAIN);
    assert_verdict(STRIPE_RECONCILE, 400, ERROR("\"type\":\"idempotency_error\""));
}

Test(stripe_judge, a_refusal_of_the_request_is_held_with_stripes_words)
{
    assert_verdict(STRIPE_HOLD, 400,
                   ERROR("\"code\":\"parameter_invalid_integer\","
                         "\"param\":\"lines[0][amount]\","
                         "\"message\":\"Invalid amount.\""));

    cr_assert_str_eq(judgement.why,
                     "Stripe answers 400 parameter_invalid_integer of lines[0][amount]: Invalid "
                     "amount., request req_1; when that is mended: invoicer stripe deliver --held");
    cr_assert_not(judgement.is_missing);
    assert_verdict(STRIPE_HOLD, 404, ERROR("\"code\":\"resource_missing\""));
    cr_assert(judgement.is_missing);
    assert_verdict(STRIPE_HOLD, 302, "");
    assert_verdict(STRIPE_HOLD, 400, ERROR("\"message\":7,\"code\":null"));
    assert_why("400: without a reason");
    assert_verdict(STRIPE_HOLD, 400, "{\"error\":\"no object\"}");
}

Test(stripe_judge, a_refusal_of_the_key_ends_it_all_and_names_the_permission_that_lacks)
{
    static const char *const cases[][2] = {
        {"rak_accounts_kyc_basic_read", "permission 1, Connect, Accounts: Read"},
        {"rak_customer_write", "permission 2, Core, Customers: Write"},
        {"rak_payment_method_read", "permission 3, "},
        {"rak_checkout_session_write", "permission 4, "},
        {"rak_billing_portal_write", "permission 5, "},
        {"rak_invoice_write", "permission 6, Billing, Invoices: Write"},
        {"rak_invoices_read", "permission 6, "},
        {"rak_tax_calculations_write", "permission 7, "},
        {"rak_webhook_endpoints_write", "permission 8, "},
        {"rak_plan_read", "give a key that may do it"},
    };

    assert_verdict(STRIPE_STOP, 401, ERROR("\"message\":\"Invalid API Key: rk_test_****abcd\""));
    assert_why("give a key that is valid");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char body[256];

        (void)snprintf(body, sizeof(body),
                       ERROR("\"message\":\"The provided key does not have the required "
                             "permissions. Having the '%s' permission would allow it.\""),
                       cases[i][0]);
        assert_verdict(STRIPE_STOP, 403, body);
        assert_why(cases[i][1]);
    }
}

Test(stripe_judge, a_reason_is_one_line_with_what_to_do_however_long_stripes_words_are)
{
    char body[4096] = "{\"error\":{\"message\":\"a\\nb\\u001b[2J\\u007f\\u009b";
    struct stripe_answer answer = refusal(403, body);
    size_t length = strlen(body);

    for (; length < 3000; length += 3)
        memcpy(body + length, "\xe2\x82\xac", 3);
    (void)snprintf(body + length, sizeof(body) - length,
                   "\",\"code\":\"%0200d\",\"param\":\"%0200d\"}}", 1, 1);
    answer.body = text_of(body);
    answer.request_id = text_of("r\r\nq");
    cr_assert_eq(judge(&answer), STRIPE_STOP);

    cr_assert_lt(strlen(judgement.why), STRIPE_WHY_MAX);
    cr_assert(text_is_utf8(text_of(judgement.why)));
    for (const char *at = judgement.why; *at; at++)
        cr_assert((unsigned char)*at >= ' ' && *at != 0x7f, "%s", judgement.why);
    assert_why(": a b [2J  \xe2\x82\xac");
    assert_why(", request r  q; give a key that may do it");
}

/* --- waiting --- */

static int64_t wait_at(int tries, uint64_t jitter, const char *retry_after)
{
    const struct stripe_answer answer = {.status = 503, .retry_after = text_of(retry_after)};

    stripe_judge(&answer, tries, jitter, &judgement);
    return judgement.wait_ms;
}

Test(stripe_judge, waits_half_a_second_doubled_to_half_a_minute_of_which_half_is_chance)
{
    static const int64_t most[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};

    for (int i = 0; i < (int)ARRAY_LEN(most); i++) {
        int64_t half = most[i] / 2;

        cr_assert_eq(wait_at(i + 1, 0, NULL), half);
        cr_assert_eq(wait_at(i + 1, (uint64_t)half, NULL), most[i]);
        cr_assert_eq(wait_at(i + 1, (uint64_t)half + 1, NULL), half);
    }
    cr_assert_eq(wait_at(INT32_MAX, 0, NULL), 15000);
    for (uint64_t jitter = 1; jitter != 0; jitter *= 2)
        cr_assert(wait_at(1, jitter - 1, NULL) >= 250 && wait_at(1, jitter - 1, NULL) <= 500);
}

Test(stripe_judge, waits_at_least_as_long_as_stripe_asks_for)
{
    cr_assert_eq(wait_at(1, 0, "7"), 7000);
    cr_assert_eq(wait_at(9, 0, "7"), 15000);
    cr_assert_eq(wait_at(1, 0, "0"), 250);
    cr_assert_eq(wait_at(1, 0, "Wed, 21 Oct 2026 07:28:00 GMT"), 250);
    cr_assert_eq(wait_at(1, 0, "99999999999999999999999"), 600000);
}

/* --- objects --- */

static json_t *object_of(const char *text)
{
    json_t *object = json_loads(text, 0, NULL);

    cr_assert_not_null(object, "%s", text);
    return object;
}

Test(stripe_invoice, is_read_with_what_is_ours_of_it)
{
    json_t *object =
        object_of("{\"id\":\"in_1\",\"status\":\"open\",\"number\":\"A-1\",\"currency\":\"usd\","
                  "\"total\":120,\"total_excluding_tax\":100,\"created\":1772323200,"
                  "\"metadata\":{\"tollway_invoice\":\"I-1\",\"tollway_bucket\":\"demo\"}}");
    struct stripe_invoice invoice;

    cr_assert(stripe_invoice_read(object, &invoice));

    cr_assert(text_is(invoice.id, "in_1") && text_is(invoice.status, "open"));
    cr_assert(text_is(invoice.number, "A-1") && text_is(invoice.currency, "usd"));
    cr_assert(text_is(invoice.our_invoice, "I-1") && text_is(invoice.our_bucket, "demo"));
    cr_assert_eq(invoice.total, 120);
    cr_assert_eq(invoice.total_excluding_tax, 100);
    cr_assert_eq(invoice.created_s, 1772323200);
    json_decref(object);
}

Test(stripe_invoice, of_somebody_else_without_tax_is_read_too)
{
    json_t *object = object_of("{\"id\":\"in_1\",\"status\":\"draft\",\"number\":null,"
                               "\"total\":-5,\"total_excluding_tax\":null,\"metadata\":{}}");
    struct stripe_invoice invoice;

    cr_assert(stripe_invoice_read(object, &invoice));

    cr_assert(text_is_absent(invoice.number) && text_is_absent(invoice.our_invoice));
    cr_assert_eq(invoice.total_excluding_tax, -5);
    json_decref(object);
}

Test(stripe_invoice, that_is_none_is_refused)
{
    static const char *const texts[] = {
        "[]",
        "{\"status\":\"draft\",\"total\":1}",
        "{\"id\":\"in_1\",\"total\":1}",
        "{\"id\":\"in_1\",\"status\":\"draft\"}",
        "{\"id\":\"in_1\",\"status\":\"draft\",\"total\":1.0}",
        "{\"id\":\"in_1\",\"status\":\"\",\"total\":1}",
        "{\"id\":\"in_1\",\"deleted\":true}",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        json_t *object = object_of(texts[i]);
        struct stripe_invoice invoice = {.total = 4711};

        cr_assert_not(stripe_invoice_read(object, &invoice), "%s", texts[i]);
        cr_assert_eq(invoice.total, 4711);
        json_decref(object);
    }
}

static const struct stripe_line lines[] = {{.key = "1", .amount = 100}, {.key = "2", .amount = -7}};
static const struct stripe_expected expected = {
    .currency = "usd", .lines = lines, .line_count = ARRAY_LEN(lines)};

static bool matches(const char *text, bool *seen, char why[STRIPE_WHY_MAX])
{
    json_t *object = object_of(text);
    bool is_match = stripe_line_matches(object, &expected, seen, why);

    json_decref(object);
    return is_match;
}

#define LINE(key, amount, currency)                                                                \
    "{\"id\":\"il_1\",\"amount\":" amount ",\"currency\":\"" currency                              \
    "\",\"metadata\":{\"tollway_line\":\"" key "\"}}"

Test(stripe_line, is_seen_once)
{
    char why[STRIPE_WHY_MAX] = "";
    bool seen[2] = {false, false};

    cr_assert(matches(LINE("2", "-7", "usd"), seen, why));
    cr_assert(!seen[0] && seen[1]);
    cr_assert(matches(LINE("1", "100", "usd"), seen, why));
    cr_assert(seen[0] && seen[1]);

    cr_assert_not(matches(LINE("2", "-7", "usd"), seen, why));
    cr_assert_not_null(strstr(why, "line 2 twice, as il_1: delete"), "%s", why);
}

Test(stripe_line, that_differs_or_is_not_ours_is_told)
{
    static const char *const cases[][2] = {
        {LINE("1", "101", "usd"), "line 1 over 101 instead of 100 usd"},
        {LINE("1", "100", "eur"), "line 1 over 100 instead of 100 usd"},
        {LINE("1", "100.0", "usd"), "line 1 over 0 instead of 100 usd"},
        {LINE("0", "100", "usd"), "isn't ours"},
        {LINE("3", "100", "usd"), "isn't ours"},
        {LINE("01", "100", "usd"), "isn't ours"},
        {LINE("", "100", "usd"), "isn't ours"},
        {"{\"id\":\"il_1\",\"amount\":100,\"metadata\":{}}", "isn't ours"},
        {"{\"amount\":100}", "isn't ours"},
        {"[]", "isn't ours"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char why[STRIPE_WHY_MAX] = "";
        bool seen[2] = {false, false};

        cr_assert_not(matches(cases[i][0], seen, why), "%s", cases[i][0]);
        cr_assert_not_null(strstr(why, cases[i][1]), "%s", why);
        cr_assert(!seen[0] && !seen[1]);
    }
}
