/*
 * stripe_answer.c - what an answer means.
 *
 * In this order: an object is what was asked for. A refusal of us ends it all. What Stripe kept
 * under the key is the same whenever it is asked for. What can have met another request, or nobody,
 * is asked for again, unless Stripe says that it is no use; all else is refused for good.
 */
#include "invoicer/rules/stripe_answer.h"

#include "invoicer/rules/stripe_text.h"

#include <ctype.h>
#include <string.h>

enum {
    WAIT_MS = 500,
    WAIT_MS_MAX = 30000,
    RETRY_AFTER_S_MAX = 600,
    MESSAGE_MAX = 240, /* bytes: with the rest of a reason they have room in STRIPE_WHY_MAX */
    WORD_MAX = 60,
};

/* --- how long to wait --- */

/* In seconds; 0 where there is none, or a date. */
static int64_t asked_seconds(struct text header)
{
    int64_t seconds = 0;

    for (size_t i = 0; i < header.length; i++) {
        if (header.at[i] < '0' || header.at[i] > '9')
            return 0;
        seconds = 10 * seconds + (header.at[i] - '0');
        if (seconds > RETRY_AFTER_S_MAX)
            return RETRY_AFTER_S_MAX;
    }
    return seconds;
}

/* 0.5 s, doubled with each try, and of that between half and all; at least what Stripe asks for. */
static int64_t wait_of(const struct stripe_answer *answer, int tries, uint64_t jitter)
{
    int64_t wait_ms = WAIT_MS, asked_ms = 1000 * asked_seconds(answer->retry_after);

    for (int i = 1; i < tries && wait_ms < WAIT_MS_MAX; i++)
        wait_ms *= 2;
    wait_ms = wait_ms > WAIT_MS_MAX ? WAIT_MS_MAX : wait_ms;
    wait_ms = wait_ms / 2 + (int64_t)(jitter % (uint64_t)(wait_ms / 2 + 1));
    return asked_ms > wait_ms ? asked_ms : wait_ms;
}

/* --- what it means --- */

static enum stripe_verdict judge_again(const struct stripe_answer *answer)
{
    return text_is(answer->should_retry, "false") ? STRIPE_RECONCILE : STRIPE_AGAIN;
}

static enum stripe_verdict verdict_of(const struct stripe_answer *answer, const json_t *error)
{
    struct text code = stripe_member(error, "code"), type = stripe_member(error, "type");
    int status = answer->status;

    /* With 409 the first one is still at work: what it makes isn't there to be looked up yet. */
    if (status == 0 || status == 409)
        return STRIPE_AGAIN;
    if (status == 401 || status == 403)
        return STRIPE_STOP;
    if (status >= 500 && text_is(answer->replayed, "true"))
        return STRIPE_RECONCILE;
    if (status >= 500 || text_is(code, "lock_timeout"))
        return judge_again(answer);
    if (text_is(type, "idempotency_error"))
        return STRIPE_RECONCILE;
    if (status == 429)
        return STRIPE_SLOWER;
    return text_is(answer->should_retry, "true") ? STRIPE_AGAIN : STRIPE_HOLD;
}

/* --- what is said --- */

/* What a restricted key must be allowed, by how the names in Stripe's refusals begin, in the order
 * in which the manual lists them. */
static const struct {
    const char *name;
    int number;
    const char *permission;
} permissions[] = {
    {"rak_account", 1, "Connect, Accounts: Read"},
    {"rak_customer_portal", 5, "Billing, Customer portal: Write"},
    {"rak_customer", 2, "Core, Customers: Write"},
    {"rak_payment_method", 3, "Core, Payment Methods: Read"},
    {"rak_checkout", 4, "Checkout, Checkout Sessions: Write"},
    {"rak_billing_portal", 5, "Billing, Customer portal: Write"},
    {"rak_invoice", 6, "Billing, Invoices: Write"},
    {"rak_tax_calculation", 7, "Tax, Tax Calculations and Transactions: Write"},
    {"rak_webhook_endpoint", 8, "Webhook, Webhook Endpoints: Write"},
};

static bool is_named(struct text message, const char *name)
{
    return message.length && memmem(message.at, message.length, name, strlen(name));
}

static void add_permission(struct buffer *line, struct text message)
{
    for (size_t i = 0; i < ARRAY_LEN(permissions); i++) {
        if (!is_named(message, permissions[i].name))
            continue;
        buffer_printf(line, "; give the key permission %d, %s", permissions[i].number,
                      permissions[i].permission);
        return;
    }
    buffer_add_string(line, "; give a key that may do it");
}

static void add_remedy(struct buffer *line, const struct stripe_answer *answer,
                       enum stripe_verdict verdict, struct text message)
{
    if (verdict == STRIPE_STOP && answer->status == 401)
        buffer_add_string(line, "; give a key that is valid");
    else if (verdict == STRIPE_STOP)
        add_permission(line, message);
    else if (verdict == STRIPE_HOLD)
        buffer_add_string(line, "; when that is mended: invoicer stripe deliver --held");
}

static void add_word(struct buffer *line, const char *before, struct text word)
{
    if (word.length == 0)
        return;
    buffer_add_string(line, before);
    stripe_add_plain(line, stripe_cut(word, WORD_MAX));
}

/* "Stripe answers 400 parameter_missing of customer: …, request req_1; when that is mended: …" */
static void explain(const struct stripe_answer *answer, const json_t *error,
                    enum stripe_verdict verdict, struct buffer *line)
{
    struct text message = stripe_member(error, "message");

    if (answer->status == 0) {
        buffer_add_string(line, "no answer of Stripe's: ");
        stripe_add_plain(line, stripe_cut(answer->body, MESSAGE_MAX));
        return;
    }
    buffer_printf(line, "Stripe answers %d", answer->status);
    add_word(line, " ", stripe_member(error, "code"));
    add_word(line, " of ", stripe_member(error, "param"));
    buffer_add_string(line, ": ");
    stripe_add_plain(line, message.length ? stripe_cut(message, MESSAGE_MAX)
                                          : text_of("without a reason"));
    add_word(line, ", request ", answer->request_id);
    add_remedy(line, answer, verdict, message);
}

static void judge_error(const struct stripe_answer *answer, const json_t *object,
                        struct stripe_judgement *judgement)
{
    CLEANUP(buffer_deinit) struct buffer line = {0};
    const json_t *error = json_object_get(object, "error");

    judgement->verdict = verdict_of(answer, error);
    judgement->is_missing = text_is(stripe_member(error, "code"), "resource_missing");
    explain(answer, error, judgement->verdict, &line);
    stripe_say(&line, judgement->why, sizeof(judgement->why));
}

/* Half of an answer: what it was is kept under the key. */
static void judge_half(const struct stripe_answer *answer, struct stripe_judgement *judgement)
{
    CLEANUP(buffer_deinit) struct buffer line = {0};

    judgement->verdict = STRIPE_AGAIN;
    buffer_printf(&line, "Stripe answers %d without a whole JSON object", answer->status);
    add_word(&line, ", request ", answer->request_id);
    stripe_say(&line, judgement->why, sizeof(judgement->why));
}

void stripe_judge(const struct stripe_answer *answer, int tries, uint64_t jitter,
                  struct stripe_judgement *judgement)
{
    bool is_good = answer->status >= 200 && answer->status < 300;
    json_t *object = json_loadb(answer->body.at, answer->body.length, 0, NULL);

    assert(tries > 0);
    *judgement = (struct stripe_judgement){.verdict = STRIPE_DONE};
    if (!is_good)
        judge_error(answer, object, judgement);
    else if (!json_is_object(object))
        judge_half(answer, judgement);
    if (judgement->verdict == STRIPE_AGAIN || judgement->verdict == STRIPE_SLOWER)
        judgement->wait_ms = wait_of(answer, tries, jitter);
    json_decref(object);
}

/* --- objects --- */

bool stripe_is_id(struct text text)
{
    size_t plain = 0;

    while (plain < text.length && (isalnum((unsigned char)text.at[plain]) || text.at[plain] == '_'))
        plain++;
    return plain == text.length && plain > 0 && plain <= STRIPE_ID_MAX;
}

bool stripe_invoice_read(const json_t *object, struct stripe_invoice *invoice)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const json_t *total = json_object_get(object, "total");
    const json_t *untaxed = json_object_get(object, "total_excluding_tax");
    struct text id = stripe_member(object, "id"), status = stripe_member(object, "status");

    if (!stripe_is_id(id) || status.length == 0 || !json_is_integer(total))
        return false;
    *invoice = (struct stripe_invoice){
        .id = id,
        .status = status,
        .number = stripe_member(object, "number"),
        .currency = stripe_member(object, "currency"),
        .our_invoice = stripe_member(metadata, "tollway_invoice"),
        .our_bucket = stripe_member(metadata, "tollway_bucket"),
        .total = json_integer_value(total),
        .total_excluding_tax = json_integer_value(json_is_integer(untaxed) ? untaxed : total),
        .created_s = json_integer_value(json_object_get(object, "created")),
    };
    return true;
}

bool stripe_page_read(const json_t *object, struct text after, struct stripe_page *page)
{
    const json_t *data = json_object_get(object, "data");
    const json_t *has_more = json_object_get(object, "has_more");
    struct text last = stripe_member(json_array_get(data, json_array_size(data) - 1), "id");

    if (!json_is_array(data) || !json_is_boolean(has_more))
        return false;
    if (json_is_true(has_more) && (!stripe_is_id(last) || text_equal(last, after)))
        return false;
    *page = (struct stripe_page){
        .data = data,
        .next = json_is_true(has_more) ? last : text_of(NULL),
    };
    return true;
}

/* Where the line is that a listed one says it is; the count: it is none of them. */
static size_t place_of(struct text key, const struct stripe_expected *expected)
{
    size_t place = 0;

    while (place < expected->line_count && !text_is(key, expected->lines[place].key))
        place++;
    return place;
}

static bool differ(const char *what, struct text id, char why[STRIPE_WHY_MAX])
{
    CLEANUP(buffer_deinit) struct buffer line = {0};

    buffer_add_string(&line, what);
    add_word(&line, ", as ", id);
    buffer_add_string(&line, ": delete the draft, or void the invoice, at Stripe");
    stripe_say(&line, why, STRIPE_WHY_MAX);
    return false;
}

bool stripe_line_matches(const json_t *object, const struct stripe_expected *expected, bool *seen,
                         char why[STRIPE_WHY_MAX])
{
    struct text key = stripe_member(json_object_get(object, "metadata"), "tollway_line");
    struct text id = stripe_member(object, "id");
    const json_t *amount = json_object_get(object, "amount");
    size_t place = place_of(key, expected);
    const struct stripe_line *line = &expected->lines[place];
    char what[128];

    if (place == expected->line_count)
        return differ("Stripe's invoice has a line that isn't ours", id, why);
    if (seen[place]) {
        (void)snprintf(what, sizeof(what), "Stripe's invoice has line %s twice", line->key);
        return differ(what, id, why);
    }
    if (!json_is_integer(amount) || json_integer_value(amount) != line->amount ||
        !text_is(stripe_member(object, "currency"), expected->currency)) {
        (void)snprintf(what, sizeof(what),
                       "Stripe's invoice has line %s over %lld instead of %lld %s", line->key,
                       (long long)json_integer_value(amount), (long long)line->amount,
                       expected->currency);
        return differ(what, id, why);
    }
    seen[place] = true;
    return true;
}
