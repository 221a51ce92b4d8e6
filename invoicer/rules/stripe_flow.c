#include "invoicer/rules/stripe_flow.h"

#include "invoicer/rules/stripe_text.h"

#include <assert.h>
#include <stdio.h>

enum { PAGE = 100, STRIPE_ROUNDS_MAX = 4 };

/* Where the delivery's steps end: the last one finalises. */
static size_t last_step(const struct stripe_flow *flow)
{
    return flow->delivery->step_count - 1;
}

static void look_for_it(struct stripe_flow *flow)
{
    flow->phase = STRIPE_FLOW_FINDS;
    flow->is_reconciling = true;
    flow->round++;
    flow->is_final = false;
    flow->next_missing = 0;
    flow->page = flow->stripe = text_of(NULL);
    flow->void_count = 0;
}

static void list_lines(struct stripe_flow *flow)
{
    flow->phase = STRIPE_FLOW_LISTS;
    flow->page = text_of(NULL);
    memset(flow->seen, 0, flow->expected->line_count * sizeof(*flow->seen));
}

bool stripe_flow_init(struct stripe_flow *flow, const struct stripe_delivery *delivery,
                      const struct stripe_expected *expected, const struct stripe_terms *terms,
                      int64_t now_ms, struct arena *arena)
{
    int64_t age_s = (now_ms - instant_ms(delivery->begun_at)) / 1000;

    assert(expected->line_count > 0);
    assert(delivery->state != STRIPE_BEGUN || delivery->step_count >= 3);
    *flow = (struct stripe_flow){
        .expected = expected,
        .terms = terms,
        .delivery = delivery,
        .arena = arena,
        .now_ms = now_ms,
        .phase = STRIPE_FLOW_STEPS,
        .seen = arena_take(arena, expected->line_count * sizeof(*flow->seen)),
    };
    if (delivery->state != STRIPE_BEGUN || age_s > STRIPE_KEY_S_MAX || age_s < -STRIPE_KEY_S_MAX)
        look_for_it(flow);
    return flow->seen;
}

/* --- requests --- */

static enum stripe_endpoint endpoint_of(const struct stripe_flow *flow)
{
    switch (flow->phase) {
    case STRIPE_FLOW_STEPS:
        return flow->step == 0 ? STRIPE_CREATE : STRIPE_ADD_LINES;
    case STRIPE_FLOW_FINDS:
        return STRIPE_LIST_INVOICES;
    case STRIPE_FLOW_LISTS:
        return STRIPE_LIST_LINES;
    case STRIPE_FLOW_ADDS:
        return STRIPE_ADD_LINES;
    case STRIPE_FLOW_FINALIZES:
        break;
    }
    return STRIPE_FINALIZE;
}

/* All of the customer's, whenever they were made: our clock may have been wrong. */
static void write_find(const struct stripe_flow *flow, char *path)
{
    const struct stripe_delivery *delivery = flow->delivery;
    int length = snprintf(path, STRIPE_REQUEST_MAX, "/v1/invoices?customer=%.*s&limit=%d",
                          (int)delivery->customer.length, delivery->customer.at, PAGE);

    if (!text_is_absent(flow->page))
        length += snprintf(path + length, STRIPE_REQUEST_MAX - (size_t)length,
                           "&starting_after=%.*s", (int)flow->page.length, flow->page.at);
    assert(length < STRIPE_REQUEST_MAX);
}

static void write_list(const struct stripe_flow *flow, char *path)
{
    int length = snprintf(path, STRIPE_REQUEST_MAX, "/v1/invoices/%.*s/lines?limit=%d",
                          (int)flow->stripe.length, flow->stripe.at, PAGE);

    if (!text_is_absent(flow->page))
        length += snprintf(path + length, STRIPE_REQUEST_MAX - (size_t)length,
                           "&starting_after=%.*s", (int)flow->page.length, flow->page.at);
    assert(length < STRIPE_REQUEST_MAX);
}

/* A step's path with Stripe's id in the place of {invoice}. */
static void write_path(const struct stripe_flow *flow, struct text path, char *out)
{
    static const char place[] = "{invoice}";
    const char *at = memmem(path.at, path.length, place, strlen(place));
    struct text before = path, behind = text_from("", 0), id = text_from("", 0);
    int length;

    if (at) {
        before.length = (size_t)(at - path.at);
        behind = text_from(at + strlen(place), path.length - before.length - strlen(place));
        id = flow->stripe;
    }
    length = snprintf(out, STRIPE_REQUEST_MAX, "%.*s%.*s%.*s", (int)before.length, before.at,
                      (int)id.length, id.at, (int)behind.length, behind.at);
    assert(length < STRIPE_REQUEST_MAX);
}

static const struct stripe_step *step_of(const struct stripe_flow *flow)
{
    bool is_own = flow->phase == STRIPE_FLOW_STEPS ||
                  (flow->phase == STRIPE_FLOW_FINALIZES && !flow->is_reconciling);

    return is_own ? &flow->delivery->steps[flow->step] : &flow->again;
}

void stripe_flow_request(const struct stripe_flow *flow, struct stripe_request *request)
{
    const struct stripe_step *step;

    *request = (struct stripe_request){.method = "GET", .endpoint = endpoint_of(flow)};
    if (flow->phase == STRIPE_FLOW_FINDS) {
        write_find(flow, request->path);
    } else if (flow->phase == STRIPE_FLOW_LISTS) {
        write_list(flow, request->path);
    } else {
        step = step_of(flow);
        request->method = "POST";
        write_path(flow, step->path, request->path);
        request->key = step->key;
        request->body = step->body;
    }
}

/* --- answers --- */

static enum stripe_flow_end hold(struct stripe_flow *flow, const char *why)
{
    snprintf(flow->why, sizeof(flow->why), "%s", why);
    return STRIPE_FLOW_HELD;
}

/* It stays as it was. */
static enum stripe_flow_end put_off(struct stripe_flow *flow, const char *why)
{
    snprintf(flow->why, sizeof(flow->why), "%s", why);
    return STRIPE_FLOW_LATER;
}

static enum stripe_flow_end hold_for_memory(struct stripe_flow *flow)
{
    return hold(flow, "there is no memory for it: it is too large");
}

/* Keeps what an answer says, which goes with the answer; a text that is absent changes nothing. */
static bool keep(struct stripe_flow *flow, struct text text, struct text *kept)
{
    if (text_is_absent(text))
        return true;
    *kept = arena_copy(flow->arena, text);
    return !text_is_absent(*kept);
}

static bool keep_invoice(struct stripe_flow *flow, const struct stripe_invoice *invoice)
{
    flow->total = invoice->total_excluding_tax;
    return keep(flow, invoice->id, &flow->stripe) && keep(flow, invoice->status, &flow->status) &&
           keep(flow, invoice->number, &flow->number);
}

static bool is_ours(const struct stripe_flow *flow, const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");

    return text_equal(stripe_member(metadata, "tollway_invoice"), flow->expected->invoice) &&
           text_equal(stripe_member(metadata, "tollway_bucket"), flow->terms->bucket);
}

static bool is_draft(struct text status)
{
    return text_is(status, "draft");
}

/* Of create, add_lines: it is still ours. */
static enum stripe_flow_end take_step(struct stripe_flow *flow, const json_t *object)
{
    struct stripe_invoice invoice;

    if (!stripe_invoice_read(object, &invoice) || !is_ours(flow, object)) {
        look_for_it(flow);
        return STRIPE_FLOW_GOES_ON;
    }
    if (!keep_invoice(flow, &invoice))
        return hold_for_memory(flow);
    flow->step++;
    if (flow->step == last_step(flow))
        list_lines(flow);
    return STRIPE_FLOW_GOES_ON;
}

/* An invoice of the customer's; HELD when there are two of ours. */
static enum stripe_flow_end look_at(struct stripe_flow *flow, const json_t *object)
{
    struct stripe_invoice invoice;

    if (!is_ours(flow, object))
        return STRIPE_FLOW_GOES_ON;
    if (!stripe_invoice_read(object, &invoice))
        return put_off(flow, "Stripe's invoice for it can't be read");
    if (text_is(invoice.status, "void")) {
        flow->void_count++;
        return STRIPE_FLOW_GOES_ON;
    }
    if (!text_is_absent(flow->stripe)) {
        snprintf(flow->why, sizeof(flow->why),
                 "two Stripe invoices are for it, %.*s and %.*s: void or delete the wrong one",
                 (int)flow->stripe.length, flow->stripe.at, (int)invoice.id.length, invoice.id.at);
        return STRIPE_FLOW_HELD;
    }
    return keep_invoice(flow, &invoice) ? STRIPE_FLOW_GOES_ON : hold_for_memory(flow);
}

static enum stripe_flow_end conclude_search(struct stripe_flow *flow)
{
    if (!text_is_absent(flow->stripe)) {
        flow->is_final = !is_draft(flow->status);
        list_lines(flow);
        return STRIPE_FLOW_GOES_ON;
    }
    if (flow->void_count)
        return hold(flow, "its Stripe invoice was voided: nothing more is sent for it");
    return STRIPE_FLOW_NEW_ATTEMPT;
}

static enum stripe_flow_end take_found(struct stripe_flow *flow, const json_t *list)
{
    struct stripe_page page;
    const json_t *object;
    size_t i;

    if (!stripe_page_read(list, flow->page, &page))
        return put_off(flow, "Stripe's list of invoices can't be read");
    json_array_foreach(page.data, i, object)
    {
        enum stripe_flow_end end = look_at(flow, object);

        if (end != STRIPE_FLOW_GOES_ON)
            return end;
    }
    if (text_is_absent(page.next))
        return conclude_search(flow);
    return keep(flow, page.next, &flow->page) ? STRIPE_FLOW_GOES_ON : hold_for_memory(flow);
}

static bool begin_finalizing(struct stripe_flow *flow)
{
    flow->phase = STRIPE_FLOW_FINALIZES;
    if (!flow->is_reconciling)
        return true; /* the delivery's last step */
    return stripe_plan_finalize(flow->expected, flow->terms, flow->delivery->attempt, flow->now_ms,
                                flow->round, flow->arena, &flow->again) == 0;
}

/* The next lines that Stripe lacks; none: the list is looked at again. */
static enum stripe_flow_end add_next(struct stripe_flow *flow)
{
    int r = stripe_plan_missing(flow->expected, flow->seen, flow->terms, flow->delivery->attempt,
                                flow->round, &flow->next_missing, flow->arena, &flow->again);

    if (r < 0)
        return hold_for_memory(flow);
    if (r > 0)
        flow->phase = STRIPE_FLOW_ADDS;
    else
        list_lines(flow);
    return STRIPE_FLOW_GOES_ON;
}

/* What it comes to now is told by the answer. */
static enum stripe_flow_end take_added(struct stripe_flow *flow, const json_t *object)
{
    struct stripe_invoice invoice;

    if (!stripe_invoice_read(object, &invoice) || !is_ours(flow, object))
        return put_off(flow, "Stripe answered that lines are added with something else");
    return keep_invoice(flow, &invoice) ? add_next(flow) : hold_for_memory(flow);
}

static size_t count_missing(const struct stripe_flow *flow)
{
    size_t missing = 0;

    for (size_t i = 0; i < flow->expected->line_count; i++)
        missing += !flow->seen[i];
    return missing;
}

static enum stripe_flow_end hold_for_total(struct stripe_flow *flow)
{
    snprintf(flow->why, sizeof(flow->why),
             "Stripe's invoice %.*s comes to %lld instead of %lld: %s", (int)flow->stripe.length,
             flow->stripe.at, (long long)flow->total, (long long)flow->expected->total,
             flow->is_final ? "void it, or credit the difference" : "delete the draft");
    return STRIPE_FLOW_HELD;
}

/* All that Stripe holds is ours, and once. */
static enum stripe_flow_end conclude_lines(struct stripe_flow *flow)
{
    size_t missing = count_missing(flow);

    if (missing && flow->is_reconciling && !flow->is_final && flow->next_missing == 0)
        return add_next(flow);
    if (missing) {
        snprintf(flow->why, sizeof(flow->why),
                 "%zu of its %zu lines aren't in Stripe's invoice %.*s", missing,
                 flow->expected->line_count, (int)flow->stripe.length, flow->stripe.at);
        return STRIPE_FLOW_HELD;
    }
    if (flow->total != flow->expected->total)
        return hold_for_total(flow);
    if (flow->is_final)
        return STRIPE_FLOW_FINALIZED;
    return begin_finalizing(flow) ? STRIPE_FLOW_GOES_ON : hold_for_memory(flow);
}

static enum stripe_flow_end take_lines(struct stripe_flow *flow, const json_t *list)
{
    struct stripe_page page;
    const json_t *object;
    size_t i;

    if (!stripe_page_read(list, flow->page, &page))
        return put_off(flow, "Stripe's list of lines can't be read");
    json_array_foreach(page.data, i, object)
    {
        if (!stripe_line_matches(object, flow->expected, flow->seen, flow->why))
            return STRIPE_FLOW_HELD;
    }
    if (text_is_absent(page.next))
        return conclude_lines(flow);
    return keep(flow, page.next, &flow->page) ? STRIPE_FLOW_GOES_ON : hold_for_memory(flow);
}

static enum stripe_flow_end take_finalized(struct stripe_flow *flow, const json_t *object)
{
    struct stripe_invoice invoice;

    if (!stripe_invoice_read(object, &invoice) || !is_ours(flow, object) ||
        is_draft(invoice.status)) {
        if (flow->is_reconciling)
            return hold(flow, "Stripe answered that it is finalised with something else");
        look_for_it(flow);
        return STRIPE_FLOW_GOES_ON;
    }
    if (!keep_invoice(flow, &invoice))
        return hold_for_memory(flow);
    flow->is_final = true;
    return flow->total == flow->expected->total ? STRIPE_FLOW_FINALIZED : hold_for_total(flow);
}

static enum stripe_flow_end take_object(struct stripe_flow *flow, const json_t *object)
{
    switch (flow->phase) {
    case STRIPE_FLOW_STEPS:
        return take_step(flow, object);
    case STRIPE_FLOW_FINDS:
        return take_found(flow, object);
    case STRIPE_FLOW_LISTS:
        return take_lines(flow, object);
    case STRIPE_FLOW_ADDS:
        return take_added(flow, object);
    case STRIPE_FLOW_FINALIZES:
        break;
    }
    return take_finalized(flow, object);
}

static enum stripe_flow_end take_done(struct stripe_flow *flow, const struct stripe_answer *answer)
{
    json_t *object = json_loadb(answer->body.at, answer->body.length, 0, NULL);
    enum stripe_flow_end end;

    assert(json_is_object(object)); /* or it wouldn't be judged DONE */
    flow->tries = 0;
    end = take_object(flow, object);
    json_decref(object);
    return end;
}

/* Looking again may help: what was refused behind the create may have been done already, and what
 * can't be known is there or isn't. */
static bool may_look_again(const struct stripe_flow *flow, enum stripe_verdict verdict)
{
    if (verdict == STRIPE_RECONCILE)
        return flow->round < STRIPE_ROUNDS_MAX;
    return !flow->is_reconciling && flow->step > 0;
}

/* Otherwise it waits for somebody. A customer that Stripe doesn't know has no invoices;
 * behind the first page it is the page's begin that is gone. */
static enum stripe_flow_end take_refused(struct stripe_flow *flow,
                                         const struct stripe_judgement *judgement)
{
    snprintf(flow->why, sizeof(flow->why), "%s", judgement->why);
    flow->tries = 0;
    if (flow->phase == STRIPE_FLOW_FINDS && judgement->is_missing)
        return text_is_absent(flow->page) ? STRIPE_FLOW_NEW_ATTEMPT : STRIPE_FLOW_LATER;
    if (!may_look_again(flow, judgement->verdict))
        return STRIPE_FLOW_HELD;
    look_for_it(flow);
    return STRIPE_FLOW_GOES_ON;
}

enum stripe_flow_end stripe_flow_answer(struct stripe_flow *flow,
                                        const struct stripe_answer *answer, uint64_t jitter,
                                        int64_t *wait_ms)
{
    struct stripe_judgement judgement;

    *wait_ms = 0;
    flow->tries++;
    stripe_judge(answer, flow->tries, jitter, &judgement);
    flow->has_slowed = judgement.verdict == STRIPE_SLOWER;
    switch (judgement.verdict) {
    case STRIPE_DONE:
        return take_done(flow, answer);
    case STRIPE_AGAIN:
    case STRIPE_SLOWER:
        *wait_ms = judgement.wait_ms;
        snprintf(flow->why, sizeof(flow->why), "%s", judgement.why);
        return flow->tries < STRIPE_TRIES_MAX ? STRIPE_FLOW_GOES_ON : STRIPE_FLOW_LATER;
    case STRIPE_RECONCILE:
    case STRIPE_HOLD:
        return take_refused(flow, &judgement);
    case STRIPE_STOP:
        break;
    }
    snprintf(flow->why, sizeof(flow->why), "%s", judgement.why);
    return STRIPE_FLOW_STOP;
}
