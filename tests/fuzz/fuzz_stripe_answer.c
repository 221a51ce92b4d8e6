/*
 * fuzz_stripe_answer.c - any bytes as an answer of Stripe's: its status and four headers, a line
 * each, then its body. It is judged with one line for people, and what it holds is read.
 */
#include "invoicer/rules/stripe_answer.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static int status_of(struct text text)
{
    int status = 0;

    for (size_t i = 0; i < text.length && i < 3; i++)
        status = 10 * status + (text.at[i] - '0') % 10;
    return status < 0 ? 0 : status;
}

static void judge(const struct stripe_answer *answer)
{
    struct stripe_judgement judgement;

    stripe_judge(answer, 1 + answer->status % 12, answer->body.length, &judgement);
    assert(strlen(judgement.why) < STRIPE_WHY_MAX);
    for (const char *at = judgement.why; *at; at++)
        assert((unsigned char)*at >= ' ' && *at != 0x7f);
    assert((judgement.verdict == STRIPE_DONE) == (judgement.why[0] == '\0'));
    assert(judgement.wait_ms >= 0 && judgement.wait_ms <= 600000);
    assert((judgement.wait_ms > 0) ==
           (judgement.verdict == STRIPE_AGAIN || judgement.verdict == STRIPE_SLOWER));
}

static void read_objects(struct text body)
{
    static const struct stripe_line lines[] = {{.key = "1", .amount = 100},
                                               {.key = "2", .amount = -7}};
    static const struct stripe_expected expected = {
        .currency = "usd", .lines = lines, .line_count = ARRAY_LEN(lines)};
    json_t *object = json_loadb(body.at, body.length, 0, NULL);
    struct stripe_invoice invoice;
    char why[STRIPE_WHY_MAX] = "";
    bool seen[2] = {false, false};

    if (stripe_invoice_read(object, &invoice))
        assert(invoice.id.length && invoice.status.length);
    if (!stripe_line_matches(object, &expected, seen, why))
        assert(why[0] && !seen[0] && !seen[1]);
    else
        assert(seen[0] != seen[1]);
    json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct text rest = text_from(bytes, length);
    struct stripe_answer answer = {.status = status_of(text_cut(&rest, '\n'))};

    answer.retry_after = text_cut(&rest, '\n');
    answer.should_retry = text_cut(&rest, '\n');
    answer.replayed = text_cut(&rest, '\n');
    answer.request_id = text_cut(&rest, '\n');
    answer.body = rest;
    judge(&answer);
    read_objects(answer.body);
    return 0;
}
