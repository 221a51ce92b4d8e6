/*
 * stripe_flow.c - one of our invoices becomes one of Stripe's, whatever happens to each request: a
 * small Stripe that keeps its promises, every fault at every request, and every pair of faults.
 */
#include "invoicer/rules/stripe_flow.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INVOICES_MAX = 8,
    LINES = 103,      /* three requests, two pages */
    FEWER_LINES = 51, /* two requests, one page */
    KEYS_MAX = 128,
    REQUESTS_MAX = 200,
    DAY_S = 86400,
};

/* --- a small Stripe --- */

struct line {
    char key[8];
    long long amount;
};

struct made {
    char id[16], status[16], invoice[64], bucket[32];
    struct line lines[2 * LINES];
    size_t count;
};

struct known_key {
    char key[128];
    char *body, *answer;
    int status;
    int64_t at_s;
};

struct stripe {
    struct made invoices[INVOICES_MAX];
    size_t count;
    struct known_key keys[KEYS_MAX];
    size_t key_count;
    int64_t now_s;
    bool has_reused; /* a key came with another body */
};

/* What a form says of a name; "" when nothing. Names and values are decoded. */
static void unescape(const char *from, size_t length, char *to, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < length && n + 1 < room; i++) {
        if (from[i] == '%' && i + 2 < length) {
            char digits[3] = {from[i + 1], from[i + 2], '\0'};
            to[n++] = (char)strtol(digits, NULL, 16);
            i += 2;
        } else {
            to[n++] = from[i] == '+' ? ' ' : from[i];
        }
    }
    to[n] = '\0';
}

static void form_value(struct text form, const char *name, char *value, size_t room)
{
    value[0] = '\0';
    while (form.length) {
        struct text pair = text_cut(&form, '&');
        struct text key = text_cut(&pair, '=');
        char decoded[128];

        unescape(key.at, key.length, decoded, sizeof(decoded));
        if (strcmp(decoded, name) == 0)
            unescape(pair.at, pair.length, value, room);
    }
}

static struct made *find(struct stripe *stripe, const char *path)
{
    for (size_t i = 0; i < stripe->count; i++) {
        size_t length = strlen(stripe->invoices[i].id);
        const char *at = path + strlen("/v1/invoices/");

        if (strncmp(at, stripe->invoices[i].id, length) == 0 && (at[length] == '/' || !at[length]))
            return &stripe->invoices[i];
    }
    cr_assert_fail("no invoice is at %s", path);
    abort();
}

static long long total_of(const struct made *made)
{
    long long total = 0;

    for (size_t i = 0; i < made->count; i++)
        total += made->lines[i].amount;
    return total;
}

static json_t *invoice_json(const struct made *made)
{
    long long total = total_of(made);

    return json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:{s:s,s:s}}", "object", "invoice", "id",
                     made->id, "status", made->status, "currency", "usd", "total",
                     (json_int_t)total, "total_excluding_tax", (json_int_t)total, "subtotal",
                     (json_int_t)total, "created", (json_int_t)0, "metadata", "tollway_invoice",
                     made->invoice, "tollway_bucket", made->bucket);
}

static json_t *create(struct stripe *stripe, struct text body)
{
    struct made *made = &stripe->invoices[stripe->count++];

    cr_assert(stripe->count <= INVOICES_MAX);
    snprintf(made->id, sizeof(made->id), "in_%zu", stripe->count);
    snprintf(made->status, sizeof(made->status), "draft");
    form_value(body, "metadata[tollway_invoice]", made->invoice, sizeof(made->invoice));
    form_value(body, "metadata[tollway_bucket]", made->bucket, sizeof(made->bucket));
    return invoice_json(made);
}

/* One pass, as pairs of faults add lines tens of thousands of times: lines[3][amount]=… */
static json_t *add_lines(struct made *made, struct text body)
{
    size_t before = made->count;

    while (body.length) {
        struct text pair = text_cut(&body, '&');
        struct text key = text_cut(&pair, '=');
        char name[64], *member;
        struct line *line;

        unescape(key.at, key.length, name, sizeof(name));
        cr_assert(text_starts(text_of(name), "lines["));
        line = &made->lines[before + strtoull(name + strlen("lines["), &member, 10)];
        cr_assert(line < made->lines + 2 * LINES);
        if (strcmp(member, "][amount]") == 0) {
            line->amount = atoll(pair.at);
            made->count++;
        } else if (strcmp(member, "][metadata][tollway_line]") == 0) {
            unescape(pair.at, pair.length, line->key, sizeof(line->key));
        }
    }
    return invoice_json(made);
}

static json_t *list_lines(const struct made *made, const char *path)
{
    const char *after = strstr(path, "starting_after=");
    size_t from = after ? (size_t)atoi(after + strlen("starting_after=il_")) : 0;
    json_t *data = json_array();

    for (size_t i = from; i < made->count && i < from + 100; i++) {
        char id[32];

        snprintf(id, sizeof(id), "il_%zu", i + 1);
        json_array_append_new(data,
                              json_pack("{s:s,s:s,s:I,s:s,s:{s:s}}", "object", "line_item", "id",
                                        id, "amount", (json_int_t)made->lines[i].amount, "currency",
                                        "usd", "metadata", "tollway_line", made->lines[i].key));
    }
    return json_pack("{s:s,s:o,s:b}", "object", "list", "data", data, "has_more",
                     from + 100 < made->count);
}

static json_t *list_invoices(const struct stripe *stripe)
{
    json_t *data = json_array();

    for (size_t i = stripe->count; i > 0; i--)
        json_array_append_new(data, invoice_json(&stripe->invoices[i - 1]));
    return json_pack("{s:s,s:o,s:b}", "object", "list", "data", data, "has_more", 0);
}

static json_t *refusal(int *status, int code, const char *type, const char *message)
{
    *status = code;
    return json_pack("{s:{s:s,s:s}}", "error", "type", type, "message", message);
}

static json_t *execute(struct stripe *stripe, const struct stripe_request *request, int *status)
{
    struct made *made;

    *status = 200;
    if (strcmp(request->method, "GET") == 0)
        return strstr(request->path, "/lines?")
                   ? list_lines(find(stripe, request->path), request->path)
                   : list_invoices(stripe);
    if (strcmp(request->path, "/v1/invoices") == 0)
        return create(stripe, request->body);
    made = find(stripe, request->path);
    if (strcmp(made->status, "draft") != 0)
        return refusal(status, 400, "invalid_request_error", "it is no draft");
    if (strstr(request->path, "/add_lines"))
        return add_lines(made, request->body);
    cr_assert(strstr(request->path, "/finalize"));
    snprintf(made->status, sizeof(made->status), "open");
    return invoice_json(made);
}

static struct known_key *known(struct stripe *stripe, struct text key)
{
    for (size_t i = 0; i < stripe->key_count; i++)
        if (text_is(key, stripe->keys[i].key) && stripe->now_s - stripe->keys[i].at_s < DAY_S)
            return &stripe->keys[i];
    return NULL;
}

static struct known_key *remember(struct stripe *stripe, const struct stripe_request *request)
{
    struct known_key *key = &stripe->keys[stripe->key_count++];

    cr_assert(stripe->key_count <= KEYS_MAX);
    snprintf(key->key, sizeof(key->key), "%.*s", (int)request->key.length, request->key.at);
    key->body = text_copy(request->body);
    key->at_s = stripe->now_s;
    return key;
}

enum fault_kind {
    NONE,
    LOST_BEFORE, /* the request never arrives */
    LOST_AFTER,  /* it is done, and the answer is lost */
    CUT,         /* half of the answer comes */
    BUSY,        /* 429 */
    CONFLICT,    /* 409: the key is in use */
    FAILED,      /* 500 before anything is done, and kept */
    FAILED_LATE, /* 500 when it is done, and kept */
    KILLED_BEFORE,
    KILLED_AFTER,
    SLEPT_BEFORE, /* killed, and started two days later */
    SLEPT_AFTER,
    KINDS,
};

static bool is_done(enum fault_kind kind)
{
    return kind == NONE || kind == LOST_AFTER || kind == CUT || kind == FAILED_LATE ||
           kind == KILLED_AFTER || kind == SLEPT_AFTER;
}

/* The answer's text is the caller's to free. */
static struct stripe_answer answer_of(int status, char *body, bool is_replayed)
{
    return (struct stripe_answer){
        .status = status,
        .body = text_of(body),
        .replayed = text_of(is_replayed ? "true" : NULL),
    };
}

static char *dump(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    return text;
}

static struct stripe_answer take(struct stripe *stripe, const struct stripe_request *request,
                                 enum fault_kind kind)
{
    static const char error[] = "{\"error\":{\"type\":\"api_error\",\"message\":\"oh\"}}";
    bool has_key = !text_is_absent(request->key);
    struct known_key *key = has_key ? known(stripe, request->key) : NULL;
    bool is_kept = key, is_replayed = key;
    int status = 200;
    char *body;

    if (kind == LOST_BEFORE)
        return answer_of(0, strdup("connection refused"), false);
    if (kind == BUSY || kind == CONFLICT)
        return answer_of(kind == BUSY ? 429 : 409, strdup(error), false);
    if (key) {
        stripe->has_reused |= !text_is(request->body, key->body);
        status = key->status;
        body = strdup(key->answer);
    } else {
        body = is_done(kind) ? dump(execute(stripe, request, &status)) : strdup(error);
    }
    if (!is_kept && (kind == FAILED || kind == FAILED_LATE)) {
        status = 500;
        free(body);
        body = strdup(error);
    }
    if (has_key && !is_kept) {
        key = remember(stripe, request);
        key->status = status;
        key->answer = strdup(body);
    }
    if (kind == LOST_AFTER)
        status = 0;
    if (kind == CUT)
        body[strlen(body) / 2] = '\0';
    return answer_of(status, body, is_replayed);
}

static void forget(struct stripe *stripe)
{
    for (size_t i = 0; i < stripe->key_count; i++) {
        free(stripe->keys[i].body);
        free(stripe->keys[i].answer);
    }
}

/* --- ours --- */

/* An invoice of so many fees: 1.00, 2.00, … */
static char *issued(int count)
{
    json_t *lines = json_array();
    char total[32];

    for (int i = 1; i <= count; i++) {
        char id[64], amount[32];

        snprintf(id, sizeof(id), "S/default/fee%d/v[1]/period[1]", i);
        snprintf(amount, sizeof(amount), "%d.00", i);
        json_array_append_new(
            lines, json_pack("{s:s,s:s,s:s,s:s,s:s,s:n,s:{s:i,s:s,s:s},s:s,s:s,s:s,s:[]}", "id", id,
                             "kind", "fee", "name", "Fee", "phaseKey", "default", "rateCardKey",
                             "fee", "featureKey", "period", "index", 1, "from",
                             "2026-02-01T00:00:00Z", "to", "2026-03-01T00:00:00Z", "amount", amount,
                             "discount", "0.00", "total", amount, "details"));
    }
    snprintf(total, sizeof(total), "%d.00", count * (count + 1) / 2);
    return dump(json_pack("{s:s,s:s,s:{s:s,s:s},s:{s:s,s:i,s:s},s:s,s:s,s:s,s:s,s:s,s:s,s:o}", "id",
                          "01ARZ3NDEKTSV4RRFFQ69G5FAV-20260301T0000Z", "subscription",
                          "01ARZ3NDEKTSV4RRFFQ69G5FAV", "customer", "key", "acme", "name", "Acme",
                          "plan", "key", "pro", "version", 1, "name", "Pro", "currency", "USD",
                          "boundary", "2026-03-01T00:00:00Z", "amount", total, "discountTotal",
                          "0.00", "total", total, "digest", "00000000000000000000000000000000",
                          "lines", lines));
}

struct fault_at {
    size_t request;
    enum fault_kind kind;
};

struct ours {
    struct arena arena;
    struct text json;
    struct stripe_terms terms;
    struct stripe_expected expected;
    struct stripe_delivery delivery;
    struct stripe_flow flow;
};

static void begin_attempt(struct ours *ours, int64_t now_s)
{
    const struct stripe_step *steps;
    size_t count;
    int64_t attempt = ours->delivery.attempt + 1;

    cr_assert_eq(stripe_plan(ours->json, &ours->expected, &ours->terms, text_of("cus_1"), attempt,
                             &ours->arena, &steps, &count),
                 0);
    ours->delivery = (struct stripe_delivery){
        .state = STRIPE_BEGUN,
        .attempt = attempt,
        .begun_at = {now_s * 1000000000},
        .customer = text_of("cus_1"),
        .steps = steps,
        .step_count = count,
    };
}

static void start(struct ours *ours, int64_t now_s)
{
    cr_assert(stripe_flow_init(&ours->flow, &ours->delivery, &ours->expected, &ours->terms,
                               now_s * 1000, &ours->arena));
}

static enum fault_kind kind_at(const struct fault_at *faults, size_t count, size_t request)
{
    for (size_t i = 0; i < count; i++)
        if (faults[i].request == request)
            return faults[i].kind;
    return NONE;
}

/* What a request's fault means for us: the process is another one, maybe much later. */
static bool is_killed(enum fault_kind kind)
{
    return kind >= KILLED_BEFORE;
}

static enum stripe_flow_end send_one(struct ours *ours, struct stripe *stripe, enum fault_kind kind)
{
    struct stripe_request request;
    struct stripe_answer answer;
    enum stripe_flow_end end;
    int64_t wait_ms;

    stripe_flow_request(&ours->flow, &request);
    if (kind == KILLED_BEFORE || kind == SLEPT_BEFORE)
        return STRIPE_FLOW_GOES_ON;
    answer = take(stripe, &request, kind);
    end = is_killed(kind) ? STRIPE_FLOW_GOES_ON
                          : stripe_flow_answer(&ours->flow, &answer, 1, &wait_ms);
    free((char *)(uintptr_t)answer.body.at);
    return end;
}

/* How many requests it took. */
static size_t deliver(struct ours *ours, struct stripe *stripe, const struct fault_at *faults,
                      size_t fault_count, enum stripe_flow_end *end)
{
    size_t sent = 0;

    begin_attempt(ours, stripe->now_s);
    start(ours, stripe->now_s);
    do {
        enum fault_kind kind = kind_at(faults, fault_count, sent++);

        *end = send_one(ours, stripe, kind);
        if (kind == SLEPT_BEFORE || kind == SLEPT_AFTER)
            stripe->now_s += 2 * DAY_S;
        if (is_killed(kind))
            start(ours, stripe->now_s);
        if (*end == STRIPE_FLOW_NEW_ATTEMPT) {
            begin_attempt(ours, stripe->now_s);
            start(ours, stripe->now_s);
            *end = STRIPE_FLOW_GOES_ON;
        }
    } while (*end == STRIPE_FLOW_GOES_ON && sent < REQUESTS_MAX);
    return sent;
}

static void check_stripe(const struct stripe *stripe, int count, const char *what)
{
    const struct made *made = &stripe->invoices[0];
    bool seen[LINES + 1] = {false};

    cr_assert_eq(stripe->count, 1, "%s: %zu invoices", what, stripe->count);
    cr_assert(!stripe->has_reused, "%s: a key came with another body", what);
    cr_assert_str_eq(made->status, "open", "%s: %s", what, made->status);
    cr_assert_eq(made->count, (size_t)count, "%s: %zu lines", what, made->count);
    for (size_t i = 0; i < made->count; i++) {
        int number = atoi(made->lines[i].key);

        cr_assert(number >= 1 && number <= count && !seen[number], "%s: line %s", what,
                  made->lines[i].key);
        seen[number] = true;
        cr_assert_eq(made->lines[i].amount, number * 100, "%s: line %d", what, number);
    }
}

static size_t check_with(int lines, const struct fault_at *faults, size_t count)
{
    char *json = issued(lines), what[128], why[STRIPE_WHY_MAX];
    struct stripe *stripe = calloc(1, sizeof(*stripe));
    struct ours ours = {
        .json = text_of(json),
        .terms = {.account = text_of("acct_1"), .bucket = text_of("test")},
    };
    enum stripe_flow_end end;
    size_t requests;

    stripe->now_s = 1772323200;
    arena_init(&ours.arena, 64 * 1024 * 1024);
    cr_assert_eq(stripe_expect(ours.json, &ours.arena, &ours.expected, why), 0, "%s", why);
    snprintf(what, sizeof(what), "fault %d at %zu, %d at %zu", count > 0 ? (int)faults[0].kind : 0,
             count > 0 ? faults[0].request : 0, count > 1 ? (int)faults[1].kind : 0,
             count > 1 ? faults[1].request : 0);
    requests = deliver(&ours, stripe, faults, count, &end);
    cr_assert_eq(end, STRIPE_FLOW_FINALIZED, "%s: ends with %d: %s", what, end, ours.flow.why);
    check_stripe(stripe, lines, what);
    arena_deinit(&ours.arena);
    forget(stripe);
    free(stripe);
    free(json);
    return requests;
}

Test(stripe_flow, undisturbed_takes_a_create_three_additions_two_pages_and_a_finalisation)
{
    cr_assert_eq(check_with(LINES, NULL, 0), 7);
}

Test(stripe_flow, any_fault_at_any_request_leaves_one_invoice_with_each_line_once)
{
    size_t requests = check_with(LINES, NULL, 0);

    for (size_t at = 0; at < requests; at++)
        for (enum fault_kind kind = NONE + 1; kind < KINDS; kind++) {
            struct fault_at fault = {at, kind};

            check_with(LINES, &fault, 1);
        }
}

Test(stripe_flow, any_two_faults_leave_one_invoice_with_each_line_once, .timeout = 300)
{
    size_t undisturbed = check_with(FEWER_LINES, NULL, 0);

    for (enum fault_kind first = NONE + 1; first < KINDS; first++)
        for (size_t at = 0; at < undisturbed; at++) {
            struct fault_at faults[2] = {{at, first}, {0}};
            size_t requests = check_with(FEWER_LINES, faults, 1);

            for (size_t then = at + 1; then < requests; then++)
                for (enum fault_kind second = NONE + 1; second < KINDS; second++) {
                    faults[1] = (struct fault_at){then, second};
                    check_with(FEWER_LINES, faults, 2);
                }
        }
}
