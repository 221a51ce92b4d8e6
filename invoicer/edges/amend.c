#include "invoicer/edges/amend.h"

#include "common/base/fault.h"
#include "common/base/partition.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/bills.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/catalog_books.h"
#include "invoicer/edges/mirror.h"
#include "invoicer/edges/standing.h"
#include "invoicer/edges/usage.h"
#include "invoicer/rules/catalog_file.h"
#include "invoicer/rules/credit.h"
#include "invoicer/rules/plan_life.h"
#include "invoicer/rules/shape.h"
#include "proto/topics.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES_MAX = 64 * 1024 * 1024 };

struct amending {
    struct store_txn *txn;
    int32_t partitions;
    const struct amend_request *request;
    struct amendment *made;
    struct bills *bills;
    struct arena arena;
    json_t *record; /* the subscription's, without cuts */
    struct bill_subject subject;
    struct instant billed; /* its last boundary that is done with; the far past: none */
    struct change_timing effect;
    struct catalog_state state;
    struct credit credit;
    struct invoice_position position;
};

int amend_make_id(struct instant now, char id[ULID_TEXT_MAX])
{
    uint8_t random[ULID_RANDOM_BYTES];

    if (RAND_bytes(random, ULID_RANDOM_BYTES) != 1)
        return fault(FAULT_RETRY, "the system gives no random bytes");
    ulid_format(now, random, id);
    return 0;
}

static void begin(struct amending *it, struct store_txn *txn, int32_t partitions,
                  const struct amend_request *request, struct amendment *made)
{
    *it = (struct amending){.txn = txn,
                            .partitions = partitions,
                            .request = request,
                            .made = made,
                            .bills = bills_new(partitions),
                            .billed = {INT64_MIN}};
    arena_init(&it->arena, ARENA_BYTES_MAX);
    catalog_state_init(&it->state);
    it->state.now = instant_now();
    if (instant_compare(it->state.now, request->now) < 0)
        it->state.now = request->now;
}

static void end(struct amending *it)
{
    json_decref(it->record);
    catalog_state_deinit(&it->state);
    arena_deinit(&it->arena);
    bills_free(it->bills);
}

/* --- reading --- */

/* Takes a record into the state that the checks see. */
static int take(struct amending *it, const char *kind, struct text id, struct text *json)
{
    struct buffer key = {0};
    int64_t offset;
    int r;

    buffer_printf(&key, "%s/%.*s", kind, (int)id.length, id.at);
    r = key.length > STORE_KEY_BYTES_MAX
            ? BOOKS_NOT_FOUND
            : books_catalog_get(it->txn, buffer_text(&key), json, &offset);
    if (r == 0)
        r = catalog_books_take(it->txn, buffer_text(&key), *json, &it->state);
    buffer_deinit(&key);
    return r < 0 ? fault_pass(r) : r;
}

static int64_t target_version(const struct amending *it, const char *key)
{
    return it->request->version ? it->request->version : plan_current_version(&it->state, key);
}

/* Every version of a plan. */
static int take_plan(struct amending *it, struct text plan)
{
    struct buffer prefix = {0};
    int r;

    buffer_printf(&prefix, "plan/%.*s@", (int)plan.length, plan.at);
    r = prefix.length > STORE_KEY_BYTES_MAX
            ? 0
            : catalog_books_load(it->txn, buffer_text(&prefix), &it->state);
    buffer_deinit(&prefix);
    return r ? fault_pass(r) : 0;
}

static int refuse_unknown(struct amending *it)
{
    (void)change_refuse(&it->made->refusal, "subscription_not_found",
                        "there is no subscription %.*s", (int)it->request->id.length,
                        it->request->id.at);
    return AMEND_REFUSED;
}

static int read_billed(struct amending *it)
{
    int64_t minute;
    int r = billed_last(it->txn, it->subject.subscription.id, &minute);

    if (r == 0)
        it->billed = instant_from_minute(minute);
    return r < 0 ? fault_pass(r) : 0;
}

/* The subscription with its plan, customer and what was invoiced of it. */
static int read_subject(struct amending *it)
{
    struct text json, ignored;
    int r = take(it, "subscription", it->request->id, &json);

    if (r)
        return r == BOOKS_NOT_FOUND ? refuse_unknown(it) : fault_pass(r);
    it->record = json_loadb(json.at, json.length, 0, NULL);
    json_object_del(it->record, "cuts");
    r = bills_subject(it->bills, it->txn, json, &it->arena, &it->subject);
    if (!r)
        r = take_plan(it, it->subject.subscription.plan->key);
    if (!r)
        r = take(it, "customer", it->subject.subscription.customer_key, &ignored);
    if (r == 0 || r == BOOKS_NOT_FOUND)
        r = read_billed(it);
    return r ? fault_pass(r) : 0;
}

/* --- credit --- */

/*
 * Usage until the switch, as far as windows can say: of a period up to the end of the window that
 * holds the last minute before it.
 */
struct usage_until {
    struct usage_source source;
    struct instant at;
};

static int usage_of(void *context, const struct rate_card *card, struct window period,
                    struct invoice_usage *usage)
{
    struct usage_until *until = context;
    int64_t from, to;
    int r;

    counters_window(until->source.cuts, until->source.cut_count, instant_minute(until->at) - 1,
                    &from, &to);
    if (instant_compare(instant_from_minute(to), period.to) < 0)
        period.to = instant_from_minute(to);
    r = usage_in(&until->source, card, period, usage);
    return r ? fault_pass(r) : 0;
}

static int fees_until(void *context, const struct phase *phase, const struct rate_card *card,
                      const struct billing_period *period, struct instant *until)
{
    const struct usage_source *source = &((struct usage_until *)context)->source;
    int r = bills_fees_until(source->txn, source->subscription, phase, card, period, until);

    return r ? fault_pass(r) : 0;
}

static int read_position(struct amending *it)
{
    struct counters_mark mark;
    int r;

    it->position.partition = partition_of(it->subject.subscription.id, it->partitions);
    r = mirror_mark(it->txn, it->position.partition, &mark);
    if (r == 0)
        it->position.next_offset = mark.next_offset;
    return r < 0 ? fault_pass(r) : 0;
}

/* Such a change belongs to the next billing cycle: at once, it gives nothing back. */
static bool is_downgrade(const struct amending *it)
{
    const struct plan *old = it->subject.subscription.plan;
    char *old_key = text_copy(old->key), *key = text_copy(it->request->plan);
    bool is_lower = plan_is_lower(catalog_state_find(&it->state, "configuration", "default"),
                                  catalog_state_plan(&it->state, key, target_version(it, key)),
                                  catalog_state_plan(&it->state, old_key, old->version));

    free(old_key);
    free(key);
    return is_lower;
}

static int compute_credit(struct amending *it)
{
    const struct subscription *old = &it->subject.subscription;
    struct usage_until until = {
        .source = {it->txn, old->id, it->subject.cuts, it->subject.cut_count, &it->arena},
        .at = it->effect.at};
    struct invoice_sources sources = {
        .usage_of = usage_of, .fees_until = fees_until, .context = &until};
    int r = read_position(it);

    if (r)
        return fault_pass(r);
    r = it->effect.kind == TIMING_IMMEDIATE && !is_downgrade(it)
            ? credit_compute(old, it->effect.at, it->billed, &sources, &it->arena, &it->credit)
            : credit_carry(old, it->effect.at, it->billed, &it->arena, &it->credit);
    if (r > 0)
        (void)change_refuse(&it->made->refusal, "credit_has_no_room",
                            "the credit for the old plan's fees has no room");
    return r < 0 ? fault_pass(r) : (r ? AMEND_REFUSED : 0);
}

/* --- the new records --- */

static void set_instant(json_t *record, const char *name, struct instant instant)
{
    char text[INSTANT_TEXT_MAX];

    (void)instant_format(instant, text);
    json_object_set_new(record, name, json_string(text));
}

/* What the next one doesn't have from the one before it. */
static void drop_own(json_t *record)
{
    static const char *const own[] = {"id",       "plan",        "name",   "activeFrom",
                                      "activeTo", "annotations", "credit", "deletedAt"};

    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        json_object_del(record, own[i]);
}

static void set_anchor(const struct amending *it, json_t *next)
{
    const struct subscription *old = &it->subject.subscription;
    struct instant last = {it->effect.at.ns - 1};

    if (text_is_absent(it->request->anchor))
        set_instant(next, "billingAnchor",
                    periods_anchor(old, (size_t)periods_at(old, last).phase));
    else
        json_object_set_new(next, "billingAnchor",
                            json_stringn(it->request->anchor.at, it->request->anchor.length));
}

static json_t *next_of(const struct amending *it)
{
    const struct amend_request *request = it->request;
    json_t *next = json_deep_copy(it->record);
    json_t *plan = json_object(), *annotations = json_object();

    drop_own(next);
    json_object_set_new(plan, "key", json_stringn(request->plan.at, request->plan.length));
    if (request->version)
        json_object_set_new(plan, "version", json_integer(request->version));
    json_object_set(annotations, "subscription.previous.id", json_object_get(it->record, "id"));
    json_object_set_new(next, "id", json_string(request->next_id));
    json_object_set_new(next, "plan", plan);
    json_object_set_new(next, "annotations", annotations);
    if (it->request->more)
        json_object_update(next, (json_t *)it->request->more);
    set_instant(next, "activeFrom", it->effect.at);
    set_anchor(it, next);
    if (it->credit.amount.minor > 0 || it->credit.charge_count > 0)
        json_object_set_new(next, "credit", credit_write(&it->credit, &it->position));
    return next;
}

/* Checks the records as a file of them, and says what they change. */
static int compare(struct amending *it, json_t *subscriptions)
{
    json_t *file = json_pack("{s:o}", "subscriptions", subscriptions);
    char *text = json_dumps(file, JSON_COMPACT);
    json_t *strict = catalog_file_read(text_of(text), &it->state, &it->made->issues);
    int r = AMEND_REFUSED;

    if (strict && !it->made->issues.errors) {
        catalog_changes_of(strict, &it->state, &it->made->changes);
        r = 0;
    }
    json_decref(strict);
    json_decref(file);
    free(text);
    return r;
}

/* --- the answer --- */

/* Those members that follow from the plan and the time. */
static void add_computed(json_t *shown, const struct subscription *subscription, struct instant now)
{
    struct billing_period period = periods_at(subscription, now);
    json_t *alignment = json_object();

    json_object_del(shown, "cuts");
    json_object_set_new(
        shown, "status",
        json_string(subscription_status_name(subscription_status(subscription, now))));
    json_object_set_new(shown, "currency", json_string(subscription->plan->currency->code));
    json_object_set_new(alignment, "billablesMustAlign",
                        json_boolean(subscription->plan->must_align));
    if (period.phase != PERIODS_NONE) {
        json_t *running = json_object();

        set_instant(running, "from", period.window.from);
        set_instant(running, "to", period.window.to);
        json_object_set_new(alignment, "currentAlignedBillingPeriod", running);
    }
    json_object_set_new(shown, "alignment", alignment);
}

int amend_show(struct store_txn *txn, struct bills *bills, struct text record, struct instant now,
               json_t **shown)
{
    json_t *made = json_loadb(record.at, record.length, 0, NULL);
    struct bill_subject subject;
    struct arena arena;
    int r;

    arena_init(&arena, ARENA_BYTES_MAX);
    r = bills_subject(bills, txn, record, &arena, &subject);
    if (!r)
        add_computed(made, &subject.subscription, now);
    arena_deinit(&arena);
    if (r) {
        json_decref(made);
        return fault_pass(r);
    }
    *shown = made;
    return 0;
}

static void set_money(json_t *object, const char *name, struct money money,
                      const struct currency *currency)
{
    char text[MONEY_TEXT_MAX];

    (void)money_format(money, currency, text);
    json_object_set_new(object, name, json_string(text));
}

/* What the next one's first invoice comes to: fees in advance, less the credit; null: none. */
static json_t *first_invoice(struct amending *it, const struct subscription *next)
{
    struct invoice_sources sources = {.credit_used = {0}};
    const struct currency *currency = next->plan->currency;
    struct billing_boundary boundary;
    struct invoice invoice;
    json_t *shown;

    if (!periods_first(next, &boundary) ||
        invoice_build(next, &boundary, &sources, &it->arena, &invoice))
        return json_null();
    shown = json_object();
    set_money(shown, "amount", invoice.amount, currency);
    set_money(shown, "discountTotal", invoice.discount, currency);
    set_money(shown, "credit", invoice.credit.used, currency);
    set_money(shown, "total", invoice.total, currency);
    return shown;
}

static int answer_next(struct amending *it, struct text record)
{
    json_t *answer = it->made->answer;
    struct bill_subject next;
    json_t *shown;
    int r = amend_show(it->txn, it->bills, record, it->request->now, &shown);

    if (r)
        return fault_pass(r);
    json_object_set_new(answer, "next", shown);
    r = bills_subject(it->bills, it->txn, record, &it->arena, &next);
    if (r)
        return fault_pass(r);
    set_money(answer, "creditAmount", it->credit.amount, it->credit.plan->currency);
    json_object_set_new(answer, "currency", json_string(it->credit.plan->currency->code));
    json_object_set_new(answer, "firstInvoice", first_invoice(it, &next.subscription));
    return 0;
}

static int answer(struct amending *it)
{
    struct buffer key = {0};
    int r = 0;

    it->made->answer = json_object();
    if (it->request->action == CHANGE_PLAN || it->request->action == CHANGE_CANCEL)
        set_instant(it->made->answer, "effectiveAt", it->effect.at);
    buffer_printf(&key, "subscription/%.*s", (int)it->request->id.length, it->request->id.at);
    for (size_t i = 0; !r && i < it->made->changes.count; i++) {
        const struct catalog_change *change = &it->made->changes.at[i];
        json_t *shown;

        if (!text_is(buffer_text(&key), change->key)) {
            if (it->request->action == CHANGE_PLAN)
                r = answer_next(it, text_of(change->record));
            continue;
        }
        r = amend_show(it->txn, it->bills, text_of(change->record), it->request->now, &shown);
        if (!r)
            json_object_set_new(it->made->answer, "current", shown);
    }
    buffer_deinit(&key);
    return r ? fault_pass(r) : 0;
}

/* --- actions --- */

/* Whether there is such a plan, for sale and in the subscription's currency, the checks say. */
static int check_target(struct amending *it)
{
    const struct plan *old = it->subject.subscription.plan;
    char *key = text_copy(it->request->plan);
    int64_t version = target_version(it, key);
    int r = 0;

    if (text_is(old->key, key) && version == old->version)
        r = change_refuse(&it->made->refusal, "plan_unchanged", "it has plan %s@%lld already", key,
                          (long long)version);
    free(key);
    return r ? AMEND_REFUSED : 0;
}

static int time_of(struct amending *it)
{
    const struct amend_request *request = it->request;
    int r = change_time(&it->subject.subscription, request->action, &request->timing, request->now,
                        it->billed, &it->effect, &it->made->refusal);

    return r ? AMEND_REFUSED : 0;
}

static int change_plan(struct amending *it)
{
    json_t *current, *next;
    struct text ignored;
    int r = take_plan(it, it->request->plan);

    if (!r)
        r = take(it, "draft", it->request->plan, &ignored);
    if (r >= 0)
        r = take(it, "configuration", text_of("default"), &ignored);
    if (r >= 0)
        r = check_target(it);
    if (!r)
        r = time_of(it);
    if (!r)
        r = compute_credit(it);
    if (r)
        return r < 0 ? fault_pass(r) : r;
    current = json_deep_copy(it->record);
    set_instant(current, "activeTo", it->effect.at);
    next = next_of(it);
    return compare(it, json_pack("[o,o]", current, next));
}

static int cancel(struct amending *it)
{
    json_t *current;
    int r = time_of(it);

    if (r)
        return r < 0 ? fault_pass(r) : r;
    current = json_deep_copy(it->record);
    set_instant(current, "activeTo", it->effect.at);
    return compare(it, json_pack("[o]", current));
}

/* Finds what a subscription was changed into: few records hold its id. */
struct seeking {
    struct amending *it;
    struct text id;
    json_t *found;
};

static int look_for_next(void *context, struct text key, struct text value)
{
    struct seeking *seeking = context;
    struct text json = text_from(value.at + sizeof(int64_t), value.length - sizeof(int64_t));
    json_t *record;
    struct text previous;

    if (text_equal(text_from(key.at + 13, key.length - 13), seeking->id) ||
        !memmem(json.at, json.length, seeking->id.at, seeking->id.length))
        return 0;
    record = json_loadb(json.at, json.length, 0, NULL);
    previous = shape_text(json_object_get(record, "annotations"), "subscription.previous.id");
    if (text_equal(previous, seeking->id) && !json_object_get(record, "deletedAt")) {
        seeking->found = record;
        return 1;
    }
    json_decref(record);
    return 0;
}

/* One that hasn't begun stays in the catalog, with an empty term. */
static json_t *deleted(const struct amending *it, const json_t *record)
{
    json_t *made = json_deep_copy(record);

    json_object_del(made, "cuts");
    json_object_set(made, "activeTo", json_object_get(made, "activeFrom"));
    set_instant(made, "deletedAt", instant_from_minute(instant_minute(it->request->now)));
    return made;
}

/* With it goes what was to follow it. */
static int restore(struct amending *it)
{
    struct seeking seeking = {it, it->request->id, NULL};
    json_t *current = json_deep_copy(it->record), *list;
    struct text ignored;
    int r = books_each(it->txn, BOOKS_CATALOG, text_of("subscription/"), look_for_next, &seeking);

    json_object_del(current, "activeTo");
    list = json_pack("[o]", current);
    if (r >= 0 && seeking.found) {
        r = take(it, "subscription", shape_text(seeking.found, "id"), &ignored);
        if (r == 0)
            r = take_plan(it, shape_text(json_object_get(seeking.found, "plan"), "key"));
        json_array_append_new(list, deleted(it, seeking.found));
    }
    json_decref(seeking.found);
    if (r < 0) {
        json_decref(list);
        return fault_pass(r);
    }
    return compare(it, list);
}

static int run(struct amending *it)
{
    const struct subscription *subscription = &it->subject.subscription;

    if (change_is_legal(subscription, it->request->action, it->request->now, &it->made->refusal))
        return AMEND_REFUSED;
    switch (it->request->action) {
    case CHANGE_PLAN:
        return change_plan(it);
    case CHANGE_CANCEL:
        return cancel(it);
    case CHANGE_RESTORE:
        return restore(it);
    default:
        return compare(it, json_pack("[o]", deleted(it, it->record)));
    }
}

int amend_prepare(struct store_txn *txn, int32_t partitions, const struct amend_request *request,
                  struct amendment *amendment)
{
    struct amending it;
    int r;

    *amendment = (struct amendment){.answer = NULL};
    begin(&it, txn, partitions, request, amendment);
    r = read_subject(&it);
    if (!r)
        r = run(&it);
    if (!r)
        r = answer(&it);
    end(&it);
    return r < 0 ? fault_pass(r) : r;
}

void amendment_deinit(struct amendment *amendment)
{
    issues_deinit(&amendment->issues);
    catalog_changes_deinit(&amendment->changes);
    json_decref(amendment->answer);
    *amendment = (struct amendment){.answer = NULL};
}

enum { NEEDS_NOTHING = 0, NEEDS_COUNTERS = 2 };

/* Whether what was used matters to the request. */
static int needs_counters(struct store_txn *txn, int32_t partitions,
                          const struct amend_request *request, int32_t *partition)
{
    struct amendment ignored = {.answer = NULL};
    struct amending it;
    bool needs = false;
    int r;

    begin(&it, txn, partitions, request, &ignored);
    r = read_subject(&it);
    if (!r &&
        change_is_legal(&it.subject.subscription, request->action, request->now, &ignored.refusal))
        r = AMEND_REFUSED;
    if (!r)
        r = time_of(&it);
    if (!r && it.effect.kind == TIMING_IMMEDIATE)
        needs = credit_needs_usage(&it.subject.subscription, it.effect.at);
    if (needs)
        *partition = partition_of(it.subject.subscription.id, partitions);
    end(&it);
    return r < 0 ? fault_pass(r) : (needs ? NEEDS_COUNTERS : NEEDS_NOTHING);
}

static int look_at_bucket(struct store *store, const char *bucket,
                          const struct amend_request *request, struct amend_wait *wait)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(store, STORE_READ, &txn);

    if (!r)
        r = mirror_partitions(txn, bucket, &wait->partitions);
    if (r)
        return fault_pass(r);
    if (wait->partitions == 0)
        return fault(FAULT_RETRY, "there is no bucket %s yet: `invoicer topics create` makes it",
                     bucket);
    if (request->action != CHANGE_PLAN)
        return NEEDS_NOTHING;
    r = needs_counters(txn, wait->partitions, request, &wait->partition);
    return r < 0 ? fault_pass(r) : r;
}

int amend_wait_begin(struct store *store, const struct kafka_config *kafka, const char *bucket,
                     const struct amend_request *request, struct amend_wait *wait)
{
    struct amend_wait begun = {.end = 0};
    char usage[TOPIC_NAME_MAX];
    int64_t *ends;
    int r = look_at_bucket(store, bucket, request, &begun);

    if (r < 0)
        return fault_pass(r);
    if (r == NEEDS_COUNTERS) {
        ends = calloc((size_t)begun.partitions, sizeof(*ends));
        if (!ends)
            abort();
        topic_name(TOPIC_USAGE, bucket, usage);
        r = topic_ends(kafka, usage, ends, (size_t)begun.partitions);
        begun.end = ends[begun.partition];
        free(ends);
    }
    if (r < 0)
        return fault_pass(r);
    *wait = begun;
    return 0;
}

int amend_wait_is_over(void *context, struct store_txn *txn)
{
    const struct amend_wait *wait = context;
    struct counters_mark mark;
    int r;

    if (wait->end == 0)
        return 1;
    r = mirror_mark(txn, wait->partition, &mark);
    return r < 0 ? fault_pass(r) : r == 0 && mark.next_offset >= wait->end;
}

void amend_wait_ended(struct amend_request *request)
{
    struct instant now = instant_now();

    if (request->timing.kind == TIMING_IMMEDIATE && instant_compare(request->now, now) < 0)
        request->now = now;
}

int amend_wait_fault(struct store *store, const struct amend_wait *wait)
{
    return standing_fault(store, wait->partition, wait->end);
}
