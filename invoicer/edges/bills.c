#include "invoicer/edges/bills.h"

#include "common/base/fault.h"
#include "common/base/partition.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/closed.h"
#include "invoicer/edges/mirror.h"
#include "invoicer/edges/usage.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { PLANS_BYTES_MAX = 64 * 1024 * 1024, POSITION_UNREAD = -1 };

/* The struct comes first in memory for good: subscriptions point to it. */
struct kept_plan {
    struct kept_plan *next;
    char *id;             /* "pro@2" */
    struct text currency; /* that it was asked for in; absent: its own */
    struct plan plan;
};

struct bills {
    int32_t partitions;
    struct arena arena; /* of the plans */
    struct kept_plan *plans;
    int64_t *positions; /* of the partitions, as far as they were asked for; else POSITION_UNREAD */
};

struct bills *bills_new(int32_t partitions)
{
    struct bills *bills = calloc(1, sizeof(*bills));

    assert(bills && partitions > 0);
    bills->partitions = partitions;
    arena_init(&bills->arena, PLANS_BYTES_MAX);
    bills->positions = calloc((size_t)partitions, sizeof(*bills->positions));
    assert(bills->positions);
    bills_forget_positions(bills);
    return bills;
}

void bills_forget_positions(struct bills *bills)
{
    for (int32_t i = 0; i < bills->partitions; i++)
        bills->positions[i] = POSITION_UNREAD;
}

struct bills *bills_free(struct bills *bills)
{
    if (!bills)
        return NULL;
    while (bills->plans) {
        struct kept_plan *plan = bills->plans;

        bills->plans = plan->next;
        free(plan->id);
        free(plan);
    }
    arena_deinit(&bills->arena);
    free(bills->positions);
    free(bills);
    return NULL;
}

static const struct plan *kept(const struct bills *bills, const char *id, struct text currency)
{
    for (const struct kept_plan *plan = bills->plans; plan; plan = plan->next)
        if (strcmp(plan->id, id) == 0 && text_equal(plan->currency, currency))
            return &plan->plan;
    return NULL;
}

/* A record of the catalog as JSON, new; NULL when it isn't there. */
static int read_record(struct store_txn *txn, const char *kind, const char *id, json_t **record)
{
    struct buffer key = {0};
    struct text json;
    int64_t offset;
    int r;

    buffer_printf(&key, "%s/%s", kind, id);
    r = books_catalog_get(txn, buffer_text(&key), &json, &offset);
    buffer_deinit(&key);
    if (r < 0)
        return fault_pass(r);
    *record = r == 0 ? json_loadb(json.at, json.length, 0, NULL) : NULL;
    return 0;
}

int bills_plan(struct bills *bills, struct store_txn *txn, const char *id, struct text currency,
               const struct plan **plan)
{
    struct kept_plan *made;
    struct price_issue issue;
    json_t *record = NULL;
    int r;

    *plan = kept(bills, id, currency);
    if (*plan)
        return 0;
    r = read_record(txn, "plan", id, &record);
    if (r)
        return fault_pass(r);
    if (!record)
        return fault(FAULT_REFUSE, "there is no plan %s", id);
    made = calloc(1, sizeof(*made));
    assert(made);
    r = plan_read_in(record, currency, &bills->arena, &made->plan, &issue);
    json_decref(record);
    if (r) {
        free(made);
        return fault(FAULT_REFUSE, "plan %s%s: %s", id, issue.pointer, issue.detail);
    }
    made->id = text_copy(text_of(id));
    if (!text_is_absent(currency))
        made->currency = text_of(made->plan.currency->code);
    made->next = bills->plans;
    bills->plans = made;
    *plan = &made->plan;
    return 0;
}

static int read_customer(struct store_txn *txn, struct arena *arena,
                         struct subscription *subscription)
{
    char *key = text_copy(subscription->customer_key);
    json_t *record = NULL;
    int r = read_record(txn, "customer", key, &record);
    const char *name = json_string_value(json_object_get(record, "name"));

    if (!r && name)
        subscription->customer_name = arena_copy(arena, text_of(name));
    json_decref(record);
    free(key);
    return r ? fault_pass(r) : 0;
}

static int read_cuts(const json_t *record, struct bill_subject *subject)
{
    json_t *cut;
    size_t i;

    json_array_foreach(json_object_get(record, "cuts"), i, cut)
    {
        if (i == CATALOG_CUTS_MAX)
            return fault(FAULT_REFUSE, "the subscription has too many cuts");
        subject->cuts[i] = (uint16_t)json_integer_value(cut);
        subject->cut_count = i + 1;
    }
    if (subject->cut_count == 0)
        return fault(FAULT_REFUSE, "the subscription has no cuts");
    return 0;
}

static int read_subject(struct bills *bills, struct store_txn *txn, const json_t *record,
                        struct arena *arena, struct bill_subject *subject)
{
    const json_t *named = json_object_get(record, "plan");
    struct text currency = text_of(json_string_value(json_object_get(record, "currency")));
    struct price_issue issue;
    struct buffer id = {0};
    const struct plan *plan;
    int r;

    buffer_printf(&id, "%s@%lld", json_string_value(json_object_get(named, "key")),
                  (long long)json_integer_value(json_object_get(named, "version")));
    buffer_add_char(&id, '\0');
    r = bills_plan(bills, txn, id.at, currency, &plan);
    buffer_deinit(&id);
    if (r)
        return fault_pass(r);
    if (subscription_read(record, plan, arena, &subject->subscription, &issue))
        return fault(FAULT_REFUSE, "%s: %s", issue.pointer, issue.detail);
    r = read_customer(txn, arena, &subject->subscription);
    if (!r)
        r = read_cuts(record, subject);
    return r ? fault_pass(r) : 0;
}

int bills_subject(struct bills *bills, struct store_txn *txn, struct text record,
                  struct arena *arena, struct bill_subject *subject)
{
    json_t *json = json_loadb(record.at, record.length, 0, NULL);
    struct bill_subject read = {.cut_count = 0};
    int r = json ? read_subject(bills, txn, json, arena, &read)
                 : fault(FAULT_STOP, "a subscription's record isn't JSON");

    json_decref(json);
    if (r)
        return fault_pass(r);
    read.record = late_record_of(record);
    *subject = read;
    return 0;
}

/* `ends_period`: everything but the start of a subscription. */
static bool is_due_at(const struct bill_terms *terms, struct instant due, bool ends_period)
{
    if (ends_period)
        due.ns += terms->interval_ms * 1000000;
    return instant_compare(due, terms->at) <= 0;
}

static bool is_due(const struct bill_terms *terms, const struct billing_boundary *boundary)
{
    return is_due_at(terms, boundary->at, boundary->ended.phase != PERIODS_NONE);
}

/* Of one that is over: whether its last boundary lies before the close. */
static int is_over_before(struct store_txn *txn, struct text id, const struct bill_terms *terms)
{
    int64_t minute;
    int r = billed_last(txn, id, &minute);

    if (r < 0)
        return fault_pass(r);
    return r == 0 && minute < instant_minute(terms->at) ? 0 : BILLS_NONE;
}

static int has_notes(struct store_txn *txn, struct text id)
{
    int64_t *minutes;
    size_t count;
    int r = late_minutes(txn, id, &minutes, &count);

    if (r)
        return fault_pass(r);
    free(minutes);
    return count ? 0 : BILLS_NONE;
}

int bills_glance(struct store_txn *txn, struct text id, struct text record,
                 const struct bill_terms *terms, enum bills_ended ended)
{
    struct late_record known = late_record_of(record);
    int64_t next;
    int r = late_settled(txn, id, &known, &next);

    if (r)
        return r < 0 ? fault_pass(r) : BILLS_UNREAD;
    if (next != LATE_NO_BOUNDARY)
        return is_due_at(terms, instant_from_minute(next), true) ? 0 : BILLS_NONE;
    if (ended == BILLS_ENDED_NONE)
        return BILLS_NONE;
    r = is_over_before(txn, id, terms);
    if (r == 0 && ended == BILLS_ENDED_LATE)
        r = has_notes(txn, id);
    return r < 0 ? fault_pass(r) : r;
}

int bills_due(struct store_txn *txn, const struct bill_subject *subject,
              const struct bill_terms *terms, struct billing_boundary *boundary)
{
    const struct subscription *subscription = &subject->subscription;
    struct billing_boundary last, next;
    int64_t minute;
    bool found;
    int r = billed_last(txn, subscription->id, &minute);

    if (r < 0)
        return fault_pass(r);
    if (r == BILLED_NOT)
        found = periods_first(subscription, &next);
    else
        found = periods_last_due(subscription, instant_from_minute(minute), &last) &&
                periods_next(subscription, &last, &next);
    if (!found || !is_due(terms, &next))
        return BILLS_NONE;
    *boundary = next;
    return 0;
}

int bills_settle(struct store_txn *txn, const struct bill_subject *subject,
                 const struct bill_terms *terms, const struct billing_boundary *done,
                 struct billing_boundary *next)
{
    const struct subscription *subscription = &subject->subscription;
    bool has_next = periods_next(subscription, done, next);
    int r = late_settle(txn, subscription->id, &subject->record,
                        has_next ? instant_minute(next->at) : LATE_NO_BOUNDARY);

    if (r)
        return fault_pass(r);
    return has_next && is_due(terms, next) ? 0 : BILLS_NONE;
}

int bills_afterwards(struct store_txn *txn, const struct bill_subject *subject,
                     const struct bill_terms *terms, struct billing_boundary *boundary)
{
    const struct subscription *subscription = &subject->subscription;
    struct billing_boundary last, next;
    int64_t minute, at = instant_minute(terms->at);
    int r;

    if (instant_compare(subscription->active_to, terms->at) > 0)
        return BILLS_NONE;
    r = billed_last(txn, subscription->id, &minute);
    if (r < 0)
        return fault_pass(r);
    if (r == BILLED_NOT || minute >= at ||
        !periods_last_due(subscription, instant_from_minute(minute), &last) ||
        periods_next(subscription, &last, &next))
        return BILLS_NONE;
    *boundary = (struct billing_boundary){
        .at = instant_from_minute(at),
        .ended = {.phase = PERIODS_NONE},
        .begins = {.phase = PERIODS_NONE},
    };
    return 0;
}

int bills_fees_until(struct store_txn *txn, struct text subscription, const struct phase *phase,
                     const struct rate_card *card, const struct billing_period *period,
                     struct instant *until)
{
    int64_t minute;
    int r = billed_fees_until(txn, subscription, instant_minute(period->window.from), phase->key,
                              card->key, &minute);

    *until = r == 0 ? instant_from_minute(minute) : period->window.to;
    return r < 0 ? fault_pass(r) : 0;
}

static int usage_of(void *context, const struct rate_card *card, struct window period,
                    struct invoice_usage *usage)
{
    int r = usage_in(context, card, period, usage);

    return r ? fault_pass(r) : 0;
}

static int fees_until(void *context, const struct phase *phase, const struct rate_card *card,
                      const struct billing_period *period, struct instant *until)
{
    const struct usage_source *source = context;
    int r = bills_fees_until(source->txn, source->subscription, phase, card, period, until);

    return r ? fault_pass(r) : 0;
}

/* What the subscription's invoices have used of its credit so far. */
static int find_credit(struct store_txn *txn, const struct subscription *subscription,
                       struct money *used)
{
    char text[BILLED_CREDIT_MAX];
    int r;

    *used = (struct money){0};
    if (subscription->credit.minor == 0)
        return 0;
    r = billed_credit(txn, subscription->id, text);
    if (r)
        return fault_pass(r);
    if (money_parse(text_of(text), subscription->plan->currency, used))
        return fault(FAULT_STOP, "the store holds a used credit that isn't an amount");
    return 0;
}

/* How far the partition was counted. */
static int read_position(struct bills *bills, struct store_txn *txn, int32_t partition,
                         int64_t *position)
{
    struct counters_mark mark;
    int r;

    if (bills->positions[partition] == POSITION_UNREAD) {
        r = mirror_mark(txn, partition, &mark);
        if (r < 0)
            return fault_pass(r);
        bills->positions[partition] = r == 0 ? mark.next_offset : 0;
    }
    *position = bills->positions[partition];
    return 0;
}

int bills_build(struct bills *bills, struct store_txn *txn, const struct bill_subject *subject,
                const struct billing_boundary *boundary, struct arena *arena,
                struct invoice *invoice)
{
    struct text id = subject->subscription.id;
    struct usage_source source = {txn, id, subject->cuts, subject->cut_count, arena};
    struct closed_list closed = {0};
    struct invoice_sources sources = {
        .usage_of = usage_of, .fees_until = fees_until, .context = &source};
    int r;

    sources.position.partition = partition_of(id, bills->partitions);
    r = read_position(bills, txn, sources.position.partition, &sources.position.next_offset);
    if (!r)
        r = closed_find(txn, subject, &closed);
    if (!r)
        r = find_credit(txn, &subject->subscription, &sources.credit_used);
    if (!r) {
        sources.billed = closed.at;
        sources.billed_count = closed.count;
        r = invoice_build(&subject->subscription, boundary, &sources, arena, invoice);
    }
    closed_deinit(&closed);
    return r < 0 ? fault_pass(r) : r;
}
