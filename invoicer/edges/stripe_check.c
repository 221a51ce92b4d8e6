#include "invoicer/edges/stripe_check.h"

#include "common/base/fault.h"
#include "common/base/pause.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/stripe_books.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 100, BEFORE_S = 86400, ARENA_BYTES_MAX = 256 * 1024 * 1024, TRIES_MAX = 5 };

/* A delivery that is finalised. */
struct entry {
    char *invoice, *stripe, *status;
    int64_t total;
    bool is_seen, is_void;
};

struct check {
    struct engine *engine;
    const struct stripe_api *api;
    struct text bucket;
    struct instant since; /* no invoice of ours is older at Stripe */
    struct stripe_check_report *report;
    struct store_txn *txn;
    struct entry *entries; /* by invoice */
    size_t count, room;
    struct arena arena;
    struct buffer page; /* the last id of the page before */
    int64_t sequence;
};

const char *stripe_finding_name(enum stripe_finding_kind kind)
{
    static const char *const names[] = {
        [STRIPE_IS_MISSING] = "missing", [STRIPE_IS_DOUBLE] = "double",
        [STRIPE_IS_VOID] = "void",       [STRIPE_HAS_CHANGED] = "changed",
        [STRIPE_IS_UNKNOWN] = "unknown",
    };

    return names[kind];
}

static struct stripe_finding *add_finding(struct check *check, enum stripe_finding_kind kind,
                                          struct text invoice, struct text stripe)
{
    static struct stripe_finding beyond;
    struct stripe_check_report *report = check->report;
    struct stripe_finding *finding = report->differences < STRIPE_FINDINGS_MAX
                                         ? &report->findings[report->differences]
                                         : &beyond;

    report->differences++;
    *finding = (struct stripe_finding){.kind = kind};
    snprintf(finding->invoice, sizeof(finding->invoice), "%.*s", (int)invoice.length, invoice.at);
    snprintf(finding->stripe, sizeof(finding->stripe), "%.*s", (int)stripe.length, stripe.at);
    return finding;
}

/* --- what we believe --- */

static struct entry *add_entry(struct check *check)
{
    if (check->count == check->room) {
        check->room = check->room ? 2 * check->room : 1024;
        check->entries = realloc(check->entries, check->room * sizeof(*check->entries));
        assert(check->entries);
    }
    return &check->entries[check->count++];
}

/* What the invoice comes to in Stripe's minor units. */
static int total_of(struct check *check, struct text id, int64_t *total)
{
    struct stripe_expected expected;
    char why[STRIPE_WHY_MAX];
    struct text json;
    int r = billed_invoice(check->txn, id, &json);

    if (r < 0)
        return fault_pass(r);
    arena_reset(&check->arena);
    if (r || stripe_expect(json, &check->arena, &expected, why))
        return fault(FAULT_STOP, "invoice %.*s can't be read back", (int)id.length, id.at);
    *total = expected.total;
    return 0;
}

static int take_delivery(void *context, struct text id, struct text json)
{
    struct check *check = context;
    struct stripe_delivery delivery;
    struct entry *entry;
    int r;

    arena_reset(&check->arena);
    if (stripe_delivery_read(json, &check->arena, &delivery))
        return fault(FAULT_STOP, "stripe/invoice/%.*s isn't a record of ours", (int)id.length,
                     id.at);
    if (delivery.state != STRIPE_FINALIZED)
        return 0;
    if (instant_compare(delivery.begun_at, check->since) < 0)
        check->since = delivery.begun_at; /* before `connect --from` moved on */
    entry = add_entry(check);
    *entry = (struct entry){
        .invoice = text_copy(id),
        .stripe = text_copy(delivery.stripe),
        .status = text_copy(delivery.status),
    };
    r = total_of(check, id, &entry->total);
    return r ? fault_pass(r) : 0;
}

static int read_deliveries(struct check *check)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(engine_store(check->engine), STORE_READ, &txn);

    check->txn = txn;
    if (!r)
        r = stripe_books_each(txn, "invoice/", take_delivery, check);
    check->report->handed_over = check->count;
    return r ? fault_pass(r) : 0;
}

static struct entry *find(struct check *check, struct text invoice)
{
    size_t from = 0, to = check->count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = text_compare(text_of(check->entries[middle].invoice), invoice);

        if (order == 0)
            return &check->entries[middle];
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return NULL;
}

/* --- what Stripe holds --- */

/* Status and number as Stripe says them now. */
static int note_status(struct check *check, struct text id, const struct stripe_invoice *invoice)
{
    CLEANUP(buffer_deinit) struct buffer key = {0}, record = {0};
    struct stripe_delivery delivery;
    struct text json;
    int r;

    buffer_add_string(&key, "invoice/");
    buffer_add_text(&key, id);
    r = stripe_books_get(check->txn, buffer_text(&key), &json);
    if (r)
        return r < 0 ? fault_pass(r) : 0;
    arena_reset(&check->arena);
    if (stripe_delivery_read(json, &check->arena, &delivery))
        return fault(FAULT_STOP, "stripe/%.*s isn't a record of ours", (int)key.length, key.at);
    delivery.status = invoice->status;
    if (!text_is_absent(invoice->number))
        delivery.number = invoice->number;
    stripe_delivery_write(&delivery, &record);
    r = stripe_books_put(check->txn, buffer_text(&key), buffer_text(&record), &check->sequence);
    check->report->noted++;
    return r ? fault_pass(r) : 0;
}

/* One of the bucket's that we don't count as handed over: under way, or nobody's. */
static int take_other(struct check *check, const struct stripe_invoice *invoice)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    struct text json;
    int r;

    buffer_add_string(&key, "invoice/");
    buffer_add_text(&key, invoice->our_invoice);
    r = stripe_books_get(check->txn, buffer_text(&key), &json);
    if (r < 0)
        return fault_pass(r);
    if (r == 0)
        check->report->under_way++;
    else
        add_finding(check, STRIPE_IS_UNKNOWN, invoice->our_invoice, invoice->id);
    return 0;
}

static int take_known(struct check *check, struct entry *entry,
                      const struct stripe_invoice *invoice)
{
    bool is_void = text_is(invoice->status, "void");
    int r = 0;

    if (!text_is(invoice->id, entry->stripe)) {
        if (!is_void)
            add_finding(check, STRIPE_IS_DOUBLE, invoice->our_invoice, invoice->id);
        return 0;
    }
    entry->is_seen = true;
    if (is_void) {
        add_finding(check, STRIPE_IS_VOID, invoice->our_invoice, invoice->id);
    } else if (invoice->total_excluding_tax != entry->total) {
        struct stripe_finding *finding =
            add_finding(check, STRIPE_HAS_CHANGED, invoice->our_invoice, invoice->id);

        finding->ours = entry->total;
        finding->theirs = invoice->total_excluding_tax;
    }
    if (!text_is(invoice->status, entry->status))
        r = note_status(check, invoice->our_invoice, invoice);
    return r ? fault_pass(r) : 0;
}

static int take_invoice(struct check *check, const json_t *object)
{
    struct stripe_invoice invoice;
    struct entry *entry;
    int r;

    if (!stripe_invoice_read(object, &invoice) || !text_equal(invoice.our_bucket, check->bucket) ||
        text_is_absent(invoice.our_invoice))
        return 0;
    check->report->listed++;
    entry = find(check, invoice.our_invoice);
    r = entry ? take_known(check, entry, &invoice) : take_other(check, &invoice);
    return r ? fault_pass(r) : 0;
}

static int try_page(struct check *check, const json_t *data)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    const json_t *object;
    size_t i;
    int r = engine_begin(check->engine, &txn);

    check->txn = txn;
    if (r)
        return fault_pass(r);
    json_array_foreach(data, i, object)
    {
        r = take_invoice(check, object);
        if (r)
            return fault_pass(r);
    }
    r = store_commit(&txn);
    return r ? fault_pass(r) : 0;
}

/* All that it says, or nothing of it; a full store grows at the next try. */
static int take_page(struct check *check, const json_t *data)
{
    const struct stripe_check_report before = *check->report;
    int64_t sequence = check->sequence;
    int r = FAULT_RETRY;

    for (int i = 0; r == FAULT_RETRY && i < TRIES_MAX; i++) {
        *check->report = before;
        check->sequence = sequence;
        r = try_page(check, data);
    }
    return r ? fault_pass(r) : 0;
}

/* The next page, asked for until Stripe answers. */
static int fetch_page(struct check *check, json_t **list)
{
    struct stripe_request request = {.method = "GET", .endpoint = STRIPE_LIST_INVOICES};
    int length = snprintf(request.path, sizeof(request.path),
                          "/v1/invoices?created%%5Bgte%%5D=%lld&limit=%d%s%.*s",
                          (long long)check->since.ns / 1000000000 - BEFORE_S, PAGE,
                          check->page.length ? "&starting_after=" : "", (int)check->page.length,
                          check->page.at ? check->page.at : "");
    int r;

    assert(length < (int)sizeof(request.path));
    r = stripe_api_fetch(check->api, &request, list);
    return r ? fault_pass(r) : 0;
}

/* Takes a page in, and the id behind which the next one begins. */
static int take_list(struct check *check, const json_t *list)
{
    struct stripe_page page;
    int r;

    if (!stripe_page_read(list, buffer_text(&check->page), &page))
        return fault(FAULT_RETRY, "Stripe's list of invoices can't be read");
    r = take_page(check, page.data);
    if (r)
        return fault_pass(r);
    buffer_clear(&check->page);
    buffer_add_text(&check->page, page.next);
    r = engine_step(check->engine, 0);
    return r && r != FAULT_RETRY ? fault_pass(r) : 0;
}

static int take_all(struct check *check)
{
    do {
        json_t *list;
        int r = fetch_page(check, &list);

        if (r)
            return fault_pass(r);
        r = take_list(check, list);
        json_decref(list);
        if (r)
            return fault_pass(r);
    } while (check->page.length);
    return 0;
}

static void find_missing(struct check *check)
{
    for (size_t i = 0; i < check->count; i++) {
        const struct entry *entry = &check->entries[i];

        if (!entry->is_seen)
            add_finding(check, STRIPE_IS_MISSING, text_of(entry->invoice), text_of(entry->stripe));
    }
}

static void deinit(struct check *check)
{
    for (size_t i = 0; i < check->count; i++) {
        free(check->entries[i].invoice);
        free(check->entries[i].stripe);
        free(check->entries[i].status);
    }
    free(check->entries);
    arena_deinit(&check->arena);
    buffer_deinit(&check->page);
}

int stripe_check_run(struct engine *engine, const struct stripe_api *api, struct text bucket,
                     struct instant since, struct stripe_check_report *report)
{
    struct check check = {.engine = engine,
                          .api = api,
                          .bucket = bucket,
                          .since = since,
                          .report = report,
                          .sequence = -1};
    int r;

    *report = (struct stripe_check_report){0};
    arena_init(&check.arena, ARENA_BYTES_MAX);
    r = read_deliveries(&check);
    if (!r)
        r = take_all(&check);
    if (!r)
        find_missing(&check);
    if (!r && check.sequence >= 0)
        r = engine_until_sent(engine, check.sequence);
    deinit(&check);
    return r ? fault_pass(r) : 0;
}
