#include "invoicer/edges/close.h"

#include "common/base/fault.h"
#include "common/base/monotonic.h"
#include "common/io/log.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/bills.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/close_record.h"
#include "invoicer/edges/mirror.h"
#include "invoicer/edges/outbox.h"
#include "invoicer/edges/standing.h"
#include "invoicer/rules/render.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_SUBSCRIPTIONS = 1000, /* in one transaction, which takes a sync of the disk */
    ARENA_BYTES_MAX = 256 * 1024 * 1024,
    CLOSE_TRIES_MAX = 5,
    WAITS_UNSAID_MS = 10000,
};

/* What one run works with. */
struct run {
    struct engine *engine;
    const struct close_watch *watch;
    struct close_report *report;
    struct close_record record; /* the close under work */
    struct bills *bills;
    struct arena arena; /* of one subscription at a time */
    struct buffer json; /* of one invoice at a time */
    int64_t sequence;   /* of the last message */
    int64_t began_ms;   /* of the monotonic clock */
    bool has_said;      /* what it waits for */

    close_visit *visit; /* of a preview, which keeps nothing; else NULL */
    void *context;
};

static void tell(const struct run *run, enum close_stage stage, size_t done, size_t total)
{
    if (run->watch && run->watch->on_progress)
        run->watch->on_progress(run->watch->context, stage, done, total);
}

static int bucket_partitions(struct store_txn *txn, const char *bucket, int32_t *partitions)
{
    int r = mirror_partitions(txn, bucket, partitions);

    if (r)
        return fault_pass(r);
    if (*partitions == 0)
        return fault(FAULT_RETRY, "there is no bucket %s yet: `invoicer topics create` makes it",
                     bucket);
    return 0;
}

static struct bill_terms terms_of(const struct close_record *record)
{
    return (struct bill_terms){record->at, record->interval_ms};
}

/* --- who is due --- */

struct due_list {
    struct run *run;
    struct store_txn *txn;
    enum bills_ended ended;
    bool is_any; /* one is enough; the others are only asked where their records stand */
    char **keys; /* "subscription/ID" */
    size_t count, room;
    int64_t catalog_next; /* behind the newest of their records */
};

static void due_list_deinit(struct due_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->keys[i]);
    free(list->keys);
}

static void note_failure(struct run *run, struct text subscription, const char *why)
{
    struct close_report *report = run->report;

    if (report->failed < CLOSE_FAILURES_MAX) {
        struct close_failure *failure = &report->failures[report->failed];

        snprintf(failure->subscription, sizeof(failure->subscription), "%.*s",
                 (int)subscription.length, subscription.at);
        snprintf(failure->why, sizeof(failure->why), "%s", why);
    }
    report->failed++;
}

static void add_due(struct due_list *list, struct text key)
{
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 64;
        list->keys = realloc(list->keys, list->room * sizeof(*list->keys));
        assert(list->keys);
    }
    list->keys[list->count++] = text_copy(key);
}

/* Reads the record to find out. */
static int read_whether_due(struct due_list *list, struct text id, struct text record)
{
    struct run *run = list->run;
    struct bill_terms terms = terms_of(&run->record);
    struct billing_boundary boundary;
    struct bill_subject subject;
    int r;

    arena_reset(&run->arena);
    r = bills_subject(run->bills, list->txn, record, &run->arena, &subject);
    if (r == FAULT_REFUSE) {
        note_failure(run, id, fault_text());
        return BILLS_NONE;
    }
    if (!r)
        r = bills_due(list->txn, &subject, &terms, &boundary);
    if (r == BILLS_NONE && list->ended != BILLS_ENDED_NONE)
        r = bills_afterwards(list->txn, &subject, &terms, &boundary);
    return r < 0 ? fault_pass(r) : r;
}

/* In a list of all, one that has to be read first is taken: billing reads it anyway. */
static int look_whether_due(void *context, struct text key, struct text value)
{
    struct due_list *list = context;
    struct run *run = list->run;
    struct bill_terms terms = terms_of(&run->record);
    struct text id = text_from(key.at + 13, key.length - 13), record;
    int64_t offset;
    int r;

    if (run->record.only[0] && !text_is(id, run->record.only))
        return 0;
    memcpy(&offset, value.at, sizeof(offset));
    if (offset + 1 > list->catalog_next)
        list->catalog_next = offset + 1;
    if (list->is_any && list->count)
        return 0;
    record = text_from(value.at + sizeof(offset), value.length - sizeof(offset));
    r = bills_glance(list->txn, id, record, &terms, list->ended);
    if (r == BILLS_UNREAD)
        r = list->is_any ? read_whether_due(list, id, record) : 0;
    if (r < 0)
        return fault_pass(r);
    if (r == 0)
        add_due(list, key);
    return 0;
}

/* The subscriptions with something due, in the order of their ids. */
static int find_due(struct run *run, struct due_list *list)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(engine_store(run->engine), STORE_READ, &txn);

    list->run = run;
    list->txn = txn;
    run->report->failed = 0;
    if (!r)
        r = books_each(txn, BOOKS_CATALOG, text_of("subscription/"), look_whether_due, list);
    list->txn = NULL;
    return r ? fault_pass(r) : 0;
}

/* --- billing --- */

/* The invoice goes into the store and the outbox. */
static int take_invoice(struct run *run, struct store_txn *txn, const struct invoice *invoice)
{
    struct text close = text_of(run->record.id);
    int r;

    buffer_clear(&run->json);
    render_json(invoice, &run->json);
    r = billed_take_built(txn, invoice, close, buffer_text(&run->json));
    if (!r && run->visit)
        r = run->visit(run->context, invoice);
    else if (!r)
        r = outbox_put_invoice(txn, invoice->id, close, &run->sequence);
    return r ? fault_pass(r) : 0;
}

/* What a batch came to; it counts only once it is committed. */
struct batch {
    struct store_txn *txn;
    size_t invoices, nothing;
    struct buffer boundaries; /* without an invoice: [subscription,minute],… */
};

static const char *why_not(int outcome)
{
    switch (outcome) {
    case INVOICE_OVERFLOW:
        return "an amount or quantity has no room";
    case INVOICE_NOT_RATED:
        return "its price can't rate what was counted";
    case INVOICE_TOO_LONG:
        return "the invoice has too many lines";
    default:
        return "the invoice has no room in memory";
    }
}

/* A boundary without an invoice; one of late usage alone leaves nothing behind. */
static int take_nothing(struct batch *batch, struct text id,
                        const struct billing_boundary *boundary)
{
    int64_t minute = instant_minute(boundary->at);
    int r;

    if (boundary->ended.phase == PERIODS_NONE && boundary->begins.phase == PERIODS_NONE)
        return 0;
    batch->nothing++;
    buffer_printf(&batch->boundaries, "%s[\"%.*s\",%lld]", batch->boundaries.length ? "," : "",
                  (int)id.length, id.at, (long long)minute);
    r = billed_nothing(batch->txn, id, minute);
    return r ? fault_pass(r) : 0;
}

enum bill_outcome { BILL_FAILED = 1 };

/* One boundary of a subscription: its invoice, or nothing. */
static int bill_boundary(struct run *run, struct batch *batch, const struct bill_subject *subject,
                         const struct billing_boundary *boundary)
{
    struct text id = subject->subscription.id;
    struct invoice invoice;
    int r = bills_build(run->bills, batch->txn, subject, boundary, &run->arena, &invoice);

    if (r == 0) {
        batch->invoices++;
        r = take_invoice(run, batch->txn, &invoice);
        return r ? fault_pass(r) : 0;
    }
    if (r == INVOICE_NOTHING) {
        r = take_nothing(batch, id, boundary);
        return r ? fault_pass(r) : 0;
    }
    if (r < 0 && r != FAULT_REFUSE)
        return fault_pass(r);
    note_failure(run, id, r < 0 ? fault_text() : why_not(r));
    return BILL_FAILED;
}

/* What is due, boundary after boundary; BILL_FAILED ends it. */
static int bill_due(struct run *run, struct batch *batch, const struct bill_subject *subject)
{
    struct bill_terms terms = terms_of(&run->record);
    struct billing_boundary boundary;
    int r = bills_due(batch->txn, subject, &terms, &boundary);

    while (r == 0) {
        struct billing_boundary done = boundary;

        r = bill_boundary(run, batch, subject, &done);
        if (r)
            return r < 0 ? fault_pass(r) : BILL_FAILED;
        r = bills_settle(batch->txn, subject, &terms, &done, &boundary);
    }
    return r < 0 ? fault_pass(r) : 0;
}

/* What came late, of one that is over. */
static int bill_afterwards(struct run *run, struct batch *batch, const struct bill_subject *subject)
{
    struct bill_terms terms = terms_of(&run->record);
    struct billing_boundary boundary, none;
    int r = bills_afterwards(batch->txn, subject, &terms, &boundary);

    if (r)
        return r < 0 ? fault_pass(r) : 0;
    r = bill_boundary(run, batch, subject, &boundary);
    if (!r)
        r = bills_settle(batch->txn, subject, &terms, &boundary, &none);
    return r < 0 ? fault_pass(r) : 0;
}

static int bill_subscription(struct run *run, struct batch *batch, const char *key)
{
    struct bill_subject subject;
    struct text record;
    int64_t offset;
    int r = books_catalog_get(batch->txn, text_of(key), &record, &offset);

    if (r)
        return r < 0 ? fault_pass(r) : fault(FAULT_STOP, "%s is gone", key);
    arena_reset(&run->arena);
    r = bills_subject(run->bills, batch->txn, record, &run->arena, &subject);
    if (r == FAULT_REFUSE) {
        note_failure(run, text_of(key + 13), fault_text());
        return 0;
    }
    if (!r)
        r = bill_due(run, batch, &subject);
    if (!r)
        r = bill_afterwards(run, batch, &subject);
    return r < 0 ? fault_pass(r) : 0;
}

/* The boundaries of a batch without an invoice, so that a lost folder knows them again. */
static int put_nothing(struct run *run, struct batch *batch, size_t first)
{
    struct buffer key = {0}, json = {0};
    int r;

    if (batch->boundaries.length == 0)
        return 0;
    buffer_printf(&key, "nothing/%s/%zu", run->record.id, first);
    buffer_add_string(&json, "{\"boundaries\":[");
    buffer_add_text(&json, buffer_text(&batch->boundaries));
    buffer_add_string(&json, "]}");
    r = outbox_put(batch->txn, TOPIC_INVOICES, buffer_text(&key), buffer_text(&json),
                   &run->sequence);
    buffer_deinit(&key);
    buffer_deinit(&json);
    return r ? fault_pass(r) : 0;
}

static int bill_batch(struct run *run, const struct due_list *list, size_t first)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct batch batch = {.invoices = 0};
    size_t end =
        first + BATCH_SUBSCRIPTIONS < list->count ? first + BATCH_SUBSCRIPTIONS : list->count;
    size_t failed = run->report->failed;
    int r = engine_begin(run->engine, &txn);

    batch.txn = txn;
    bills_forget_positions(run->bills);
    for (size_t i = first; !r && i < end; i++)
        r = bill_subscription(run, &batch, list->keys[i]);
    if (!r)
        r = put_nothing(run, &batch, first);
    if (!r)
        r = store_commit(&txn);
    buffer_deinit(&batch.boundaries);
    if (r) {
        run->report->failed = failed;
        return fault_pass(r);
    }
    run->report->invoices += batch.invoices;
    run->report->nothing += batch.nothing;
    return 0;
}

/* A step between batches sends what they wrote; a broker that is away is waited for at the end. */
static int step_between(struct run *run)
{
    int r = engine_step(run->engine, 0);

    return r && r != FAULT_RETRY ? fault_pass(r) : 0;
}

static int bill_all(struct run *run)
{
    struct due_list list = {.ended = BILLS_ENDED_LATE};
    int r = find_due(run, &list);

    for (size_t i = 0; !r && i < list.count; i += BATCH_SUBSCRIPTIONS) {
        tell(run, CLOSE_BILLS, i, list.count);
        r = FAULT_RETRY;
        for (int tries = 0; r == FAULT_RETRY && tries < CLOSE_TRIES_MAX; tries++)
            r = bill_batch(run, &list, i);
        if (!r)
            r = step_between(run);
    }
    if (!r)
        tell(run, CLOSE_BILLS, list.count, list.count);
    due_list_deinit(&list);
    return r ? fault_pass(r) : 0;
}

/* --- the states of a close --- */

static void explain(const struct mirror_progress *progress, struct buffer *text)
{
    standing_explain(&progress->behind, progress->partitions - progress->standing - 1, text);
}

/* Once, to whoever looks at the log while it waits: marks come every few seconds. */
static void say_what_is_waited_for(struct run *run, const struct mirror_progress *progress)
{
    CLEANUP(buffer_deinit) struct buffer text = {0};

    if (run->has_said || progress->behind.lack == MIRROR_LACKS_NOTHING ||
        monotonic_ms() - run->began_ms < WAITS_UNSAID_MS)
        return;
    run->has_said = true;
    explain(progress, &text);
    log_message(LOG_WARN, "close_waits", "%.*s", (int)text.length, text.at);
}

static int is_standing(void *context, struct store_txn *txn)
{
    struct mirror_progress progress;
    struct run *run = context;
    int r = mirror_frozen(txn, &progress);

    if (r)
        return fault_pass(r);
    say_what_is_waited_for(run, &progress);
    tell(run, CLOSE_WAITS, (size_t)progress.standing, (size_t)progress.partitions);
    return progress.standing == progress.partitions;
}

/* Says which partition was waited for. */
static int explain_wait(struct run *run)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    CLEANUP(buffer_deinit) struct buffer text = {0};
    struct mirror_progress progress;
    int r = store_begin(engine_store(run->engine), STORE_READ, &txn);

    if (!r)
        r = mirror_frozen(txn, &progress);
    if (r || progress.behind.lack == MIRROR_LACKS_NOTHING)
        return FAULT_RETRY;
    explain(&progress, &text);
    return fault(FAULT_RETRY, "%.*s. The close goes on where it is when it is run again",
                 (int)text.length, text.at);
}

static int wait_for_marks(struct run *run)
{
    int r = engine_until(run->engine, "the aggregators' marks", is_standing, run);

    if (r == FAULT_RETRY)
        r = explain_wait(run);
    return r ? fault_pass(r) : 0;
}

static int start_billing(struct run *run, int32_t partitions)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = engine_begin(run->engine, &txn);

    if (!r)
        r = close_record_bill(txn, &run->record, partitions, &run->sequence);
    if (!r)
        r = store_commit(&txn);
    return r ? fault_pass(r) : 0;
}

static int finish(struct run *run)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = engine_begin(run->engine, &txn);

    if (!r)
        r = close_record_finish(txn, &run->record, &run->sequence);
    if (!r)
        r = store_commit(&txn);
    if (!r) {
        tell(run, CLOSE_WRITES, 0, 0);
        r = engine_until_sent(run->engine, run->sequence);
    }
    return r ? fault_pass(r) : 0;
}

static int continue_close(struct run *run, int32_t partitions)
{
    int r = 0;

    log_event(LOG_DEBUG, "close_continues", "close", run->record.id, NULL);
    if (run->record.state == CLOSE_WAITING) {
        r = wait_for_marks(run);
        if (!r)
            r = start_billing(run, partitions);
    }
    if (!r)
        r = bill_all(run);
    if (!r)
        r = finish(run);
    return r ? fault_pass(r) : 0;
}

static int is_sent(void *context, struct store_txn *txn)
{
    bool is_empty;
    int r = outbox_is_empty(txn, &is_empty);

    (void)context;
    return r ? fault_pass(r) : is_empty;
}

enum begin_outcome { BEGIN_NOTHING = 1 };

static int stands_still(struct store_txn *txn, bool *stands)
{
    struct mirror_progress progress;
    int r = mirror_frozen(txn, &progress);

    if (!r)
        *stands = progress.partitions > 0;
    return r ? fault_pass(r) : 0;
}

/* No close is under way, or just this one, which began in another folder. */
static int may_begin(struct store_txn *txn, const char *id)
{
    struct close_record record;
    bool stands = false;
    int r = stands_still(txn, &stands);

    if (!r && !stands && close_record_unfinished(txn, &record) == 0 && strcmp(record.id, id) == 0)
        return 0;
    if (!r)
        r = close_none_is_under_way(txn);
    return r ? fault_pass(r) : 0;
}

static int put_close(struct run *run, const struct close_request *request, int32_t partitions,
                     int64_t catalog_next)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int64_t *ends = calloc((size_t)partitions, sizeof(*ends));
    char usage[TOPIC_NAME_MAX];
    int r;

    assert(ends);
    topic_name(TOPIC_USAGE, request->bucket, usage);
    r = engine_begin(run->engine, &txn);
    if (!r) /* in here: no total that the store holds is newer than these ends */
        r = topic_ends(&request->kafka, usage, ends, (size_t)partitions);
    if (!r)
        r = may_begin(txn, run->record.id);
    if (!r)
        r = close_record_begin(txn, request, ends, partitions, catalog_next, &run->sequence);
    if (!r)
        r = store_commit(&txn);
    free(ends);
    return r ? fault_pass(r) : 0;
}

/* Whether this very close ran to its end before. */
static int is_done_already(struct run *run, const char *id, bool *is_done)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct close_record record;
    int r = store_begin(engine_store(run->engine), STORE_READ, &txn);

    if (!r)
        r = close_record_get(txn, id, &record);
    if (r < 0)
        return fault_pass(r);
    *is_done = r == 0 && record.state == CLOSE_DONE;
    return 0;
}

static struct close_record record_of(const struct close_request *request)
{
    struct close_record record = {.at = request->at, .interval_ms = request->interval_ms};

    close_id(request, record.id);
    snprintf(record.only, sizeof(record.only), "%s", request->only ? request->only : "");
    return record;
}

/* Stores the close when anything is due. */
static int begin_close(struct run *run, const struct close_request *request, int32_t partitions)
{
    struct due_list list = {.is_any = true};
    bool is_done = false;
    int r = engine_until(run->engine, "writing to Kafka", is_sent, NULL);

    run->record = record_of(request);
    if (!r)
        r = is_done_already(run, run->record.id, &is_done);
    if (r)
        return fault_pass(r);
    list.ended = is_done ? BILLS_ENDED_NONE : BILLS_ENDED_ANY;
    r = find_due(run, &list);
    if (!r)
        r = list.count ? put_close(run, request, partitions, list.catalog_next) : BEGIN_NOTHING;
    due_list_deinit(&list);
    return r < 0 ? fault_pass(r) : r;
}

/*
 * A close that another folder's invoicer left behind comes from the topic, and what this store
 * holds may be less than it was begun for: it waits here anew, until where usage ends by now.
 */
static int begin_again(struct run *run, const struct close_request *request, int32_t partitions)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct due_list list = {.is_any = true, .ended = BILLS_ENDED_ANY};
    struct close_request again = *request;
    bool stands = false;
    int r = store_begin(engine_store(run->engine), STORE_READ, &txn);

    if (!r)
        r = stands_still(txn, &stands);
    store_abort(&txn);
    if (r || stands)
        return r ? fault_pass(r) : 0;
    again.at = run->record.at;
    again.only = run->record.only[0] ? run->record.only : NULL;
    again.interval_ms = run->record.interval_ms;
    r = find_due(run, &list);
    if (!r)
        r = put_close(run, &again, partitions, list.catalog_next);
    due_list_deinit(&list);
    run->record.state = CLOSE_WAITING;
    return r ? fault_pass(r) : 0;
}

static int find_unfinished(struct run *run, const char *bucket, int32_t *partitions)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(engine_store(run->engine), STORE_READ, &txn);

    if (!r)
        r = bucket_partitions(txn, bucket, partitions);
    if (!r)
        r = close_record_unfinished(txn, &run->record);
    return r < 0 ? fault_pass(r) : r;
}

static int run_closes(struct run *run, const struct close_request *request)
{
    for (;;) {
        int32_t partitions = 0;
        int r = find_unfinished(run, request->bucket, &partitions);

        if (r < 0)
            return fault_pass(r);
        if (!run->bills)
            run->bills = bills_new(partitions);
        if (r == CLOSE_RECORD_NONE) {
            r = begin_close(run, request, partitions);
            if (r == BEGIN_NOTHING)
                return 0;
        } else {
            bool is_requested = strcmp(run->record.id, run->report->id) == 0;

            r = begin_again(run, request, partitions);
            if (!r)
                r = continue_close(run, partitions);
            if (!r && is_requested)
                return 0;
        }
        if (r)
            return fault_pass(r);
    }
}

int close_run(struct engine *engine, const struct close_request *request,
              const struct close_watch *watch, struct close_report *report)
{
    struct run run = {
        .engine = engine, .watch = watch, .report = report, .began_ms = monotonic_ms()};
    int r;

    *report = (struct close_report){.invoices = 0};
    close_id(request, report->id);
    arena_init(&run.arena, ARENA_BYTES_MAX);
    r = run_closes(&run, request);
    arena_deinit(&run.arena);
    buffer_deinit(&run.json);
    bills_free(run.bills);
    return r ? fault_pass(r) : 0;
}

/* --- preview --- */

struct marks {
    struct run *run;
    int64_t *ends; /* of usage */
    struct mirror_progress progress;
};

/* Whether every partition stands at a mark; one without an event needs none. */
static int are_marked(void *context, struct store_txn *txn)
{
    struct marks *marks = context;
    struct mirror_progress found = {.partitions = marks->progress.partitions};
    int r = 0;

    for (int32_t i = 0; !r && i < found.partitions; i++) {
        struct mirror_standing standing;

        r = mirror_stands(txn, i, 0, 0, &standing);
        if (r)
            return fault_pass(r);
        if (standing.lack == MIRROR_LACKS_MARK && marks->ends[i] == 0)
            standing.lack = MIRROR_LACKS_NOTHING;
        found.standing += standing.lack == MIRROR_LACKS_NOTHING;
        if (found.behind.lack == MIRROR_LACKS_NOTHING)
            found.behind = standing;
    }
    marks->progress = found;
    say_what_is_waited_for(marks->run, &found);
    return found.standing == found.partitions;
}

/* Totals without a mark are those of a pass that is under way, or was when its owner died. */
static int wait_for_any_marks(struct run *run, const struct close_request *request,
                              int32_t partitions)
{
    CLEANUP(buffer_deinit) struct buffer text = {0};
    struct marks marks = {.run = run, .progress.partitions = partitions};
    char usage[TOPIC_NAME_MAX];
    int r;

    marks.ends = calloc((size_t)partitions, sizeof(*marks.ends));
    assert(marks.ends);
    topic_name(TOPIC_USAGE, request->bucket, usage);
    r = topic_ends(&request->kafka, usage, marks.ends, (size_t)partitions);
    if (!r) {
        r = engine_until(run->engine, "the aggregators' marks", are_marked, &marks);
        if (r == FAULT_RETRY && marks.progress.behind.lack != MIRROR_LACKS_NOTHING) {
            explain(&marks.progress, &text);
            r = fault(FAULT_RETRY, "%.*s", (int)text.length, text.at);
        }
    }
    free(marks.ends);
    return r ? fault_pass(r) : 0;
}

/* As a batch, in a transaction that is given up: each invoice finds those before it. */
static int preview_batch(struct run *run, const struct due_list *list, size_t first)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct batch batch = {.invoices = 0};
    int r = store_begin(engine_store(run->engine), STORE_WRITE, &txn);

    batch.txn = txn;
    bills_forget_positions(run->bills);
    for (size_t i = first; !r && i < list->count && i < first + BATCH_SUBSCRIPTIONS; i++)
        r = bill_subscription(run, &batch, list->keys[i]);
    buffer_deinit(&batch.boundaries);
    run->report->invoices += batch.invoices;
    run->report->nothing += batch.nothing;
    return r ? fault_pass(r) : 0;
}

static int preview_all(struct run *run)
{
    struct due_list list = {.ended = BILLS_ENDED_LATE};
    int r = find_due(run, &list);

    for (size_t i = 0; !r && i < list.count; i += BATCH_SUBSCRIPTIONS)
        r = preview_batch(run, &list, i);
    due_list_deinit(&list);
    return r ? fault_pass(r) : 0;
}

int close_preview(struct engine *engine, const struct close_request *request, close_visit *visit,
                  void *context, struct close_report *report)
{
    struct run run = {.engine = engine,
                      .report = report,
                      .began_ms = monotonic_ms(),
                      .visit = visit,
                      .context = context};
    int32_t partitions = 0;
    int r;

    *report = (struct close_report){.invoices = 0};
    close_id(request, report->id);
    arena_init(&run.arena, ARENA_BYTES_MAX);
    r = find_unfinished(&run, request->bucket, &partitions);
    if (r >= 0)
        r = wait_for_any_marks(&run, request, partitions);
    if (!r) {
        run.record = record_of(request);
        run.bills = bills_new(partitions);
        r = preview_all(&run);
    }
    arena_deinit(&run.arena);
    buffer_deinit(&run.json);
    bills_free(run.bills);
    return r ? fault_pass(r) : 0;
}
