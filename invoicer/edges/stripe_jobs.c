#include "invoicer/edges/stripe_jobs.h"

#include "common/base/fault.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/stripe_books.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    JOBS_KEPT = 100, /* under way, before more are begun */
    DUE_MAX = 200,   /* begun at a time */
    TRIES_MAX = 5,
    ARENA_BYTES_MAX = 256 * 1024 * 1024,
};

struct stripe_jobs {
    struct engine *engine;
    const struct stripe_orders *orders;
    struct stripe_report *report;
    struct stripe_job *first;
    size_t count;
    struct buffer cursor; /* the due invoice that was looked at last */
    struct buffer due;    /* those looked at now, each with a NUL */
    size_t due_count;
    bool is_at_end; /* all that are due were looked at */
    int64_t sequence;
};

/* --- the list --- */

struct stripe_jobs *stripe_jobs_new(struct engine *engine, const struct stripe_orders *orders,
                                    struct stripe_report *report)
{
    struct stripe_jobs *jobs = calloc(1, sizeof(*jobs));

    assert(jobs);
    jobs->engine = engine;
    jobs->orders = orders;
    jobs->report = report;
    jobs->sequence = -1;
    return jobs;
}

static void free_job(struct stripe_job *job)
{
    arena_deinit(&job->arena);
    buffer_deinit(&job->waiting);
    free(job);
}

struct stripe_jobs *stripe_jobs_free(struct stripe_jobs *jobs)
{
    while (jobs && jobs->first) {
        struct stripe_job *job = jobs->first;

        jobs->first = job->next;
        free_job(job);
    }
    if (jobs) {
        buffer_deinit(&jobs->cursor);
        buffer_deinit(&jobs->due);
    }
    free(jobs);
    return NULL;
}

struct stripe_job *stripe_jobs_first(struct stripe_jobs *jobs)
{
    return jobs->first;
}

bool stripe_jobs_are_over(const struct stripe_jobs *jobs)
{
    return jobs->is_at_end && !jobs->first;
}

int64_t stripe_jobs_sequence(const struct stripe_jobs *jobs)
{
    return jobs->sequence;
}

/* One that hasn't ended. */
static struct stripe_job *find_job(struct stripe_jobs *jobs, struct text id, bool is_customer)
{
    for (struct stripe_job *job = jobs->first; job; job = job->next)
        if (job->is_customer == is_customer && job->stage != STRIPE_JOB_ENDED &&
            text_equal(job->id, id))
            return job;
    return NULL;
}

static struct stripe_job *new_job(struct text id, bool is_customer)
{
    struct stripe_job *job = calloc(1, sizeof(*job));

    assert(job);
    arena_init(&job->arena, ARENA_BYTES_MAX);
    job->id = arena_copy(&job->arena, id);
    job->is_customer = is_customer;
    assert(!text_is_absent(job->id));
    return job;
}

static void add_failure(struct stripe_jobs *jobs, const struct stripe_job *job, const char *why)
{
    struct stripe_report *report = jobs->report;
    struct stripe_failure *failure = &report->failures[report->failed];

    if (report->failed++ >= STRIPE_FAILURES_MAX)
        return;
    snprintf(failure->what, sizeof(failure->what), "%s%.*s", job->is_customer ? "customer " : "",
             (int)job->id.length, job->id.at);
    snprintf(failure->why, sizeof(failure->why), "%s", why);
}

static void add_id(struct buffer *ids, struct text id)
{
    buffer_add_text(ids, id);
    buffer_add_char(ids, '\0');
}

/* --- records --- */

static void record_key(const struct stripe_job *job, struct buffer *key)
{
    buffer_add_string(key, job->is_customer ? "customer/" : "invoice/");
    buffer_add_text(key, job->id);
}

static int put_delivery(struct stripe_jobs *jobs, struct store_txn *txn,
                        const struct stripe_job *job)
{
    CLEANUP(buffer_deinit) struct buffer key = {0}, json = {0};
    int r;

    record_key(job, &key);
    stripe_delivery_write(&job->delivery, &json);
    r = stripe_books_put(txn, buffer_text(&key), buffer_text(&json), &jobs->sequence);
    return r ? fault_pass(r) : 0;
}

enum read_outcome { READ_NONE = 1 };

/* The job's record, in its arena. */
static int read_delivery(struct store_txn *txn, struct stripe_job *job)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    struct text json, copy;
    int r;

    record_key(job, &key);
    r = stripe_books_get(txn, buffer_text(&key), &json);
    if (r)
        return r < 0 ? fault_pass(r) : READ_NONE;
    copy = arena_copy(&job->arena, json);
    if (text_is_absent(copy) || stripe_delivery_read(copy, &job->arena, &job->delivery))
        return fault(FAULT_STOP, "stripe/%.*s isn't a record of ours", (int)key.length, key.at);
    return 0;
}

/* A job ends before it has sent anything: somebody has to look. */
static int hold(struct stripe_jobs *jobs, struct store_txn *txn, struct stripe_job *job,
                const char *why)
{
    int r;

    job->delivery.state = STRIPE_HELD;
    job->delivery.reason = text_of(why);
    job->delivery.steps = NULL;
    job->delivery.step_count = 0;
    r = put_delivery(jobs, txn, job);
    if (r)
        return fault_pass(r);
    jobs->report->held++;
    add_failure(jobs, job, why);
    return 0;
}

/* --- beginning --- */

static void adopt(struct stripe_jobs *jobs, struct stripe_job **job)
{
    (*job)->next = jobs->first;
    jobs->first = *job;
    jobs->count++;
    *job = NULL;
}

/* Until Kafka has everything up to now, the job's record with it. */
static int wait_for_kafka(struct store_txn *txn, struct stripe_job *job)
{
    int64_t next;
    int r = books_number(txn, "outbox/next", 0, &next);

    job->sent.sequence = next - 1;
    if (!r)
        r = books_number(txn, "generation", 0, &job->sent.generation);
    job->stage = STRIPE_JOB_WAITS;
    return r ? fault_pass(r) : 0;
}

static void begin_attempt(struct stripe_job *job, struct text customer,
                          const struct stripe_step *steps, size_t count)
{
    job->delivery = (struct stripe_delivery){
        .state = STRIPE_BEGUN,
        .attempt = job->delivery.attempt + 1,
        .begun_at = instant_now(),
        .customer = customer,
        .steps = steps,
        .step_count = count,
    };
}

/* Takes the job over when it is one. */
static int start(struct stripe_jobs *jobs, struct store_txn *txn, struct stripe_job **job)
{
    struct stripe_job *made = *job;
    const struct stripe_terms *terms = &jobs->orders->terms;
    int64_t now_ms = instant_ms(instant_now());
    int r = wait_for_kafka(txn, made);

    if (r)
        return fault_pass(r);
    if (made->is_customer)
        stripe_customer_init(&made->way, made->id, &made->delivery, terms, now_ms, &made->arena);
    else if (!stripe_flow_init(&made->flow, &made->delivery, &made->expected, terms, now_ms,
                               &made->arena)) {
        r = hold(jobs, txn, made, "there is no memory for it: it is too large");
        return r ? fault_pass(r) : 0;
    }
    adopt(jobs, job);
    return 0;
}

static void drop_job(struct stripe_job **job)
{
    if (*job)
        free_job(*job);
}

/* What the catalog says of a customer, which may be gone from there. */
static int customer_record(struct store_txn *txn, struct text key, json_t **record)
{
    CLEANUP(buffer_deinit) struct buffer name = {0};
    struct text json;
    int64_t offset;
    int r;

    buffer_add_string(&name, "customer/");
    buffer_add_text(&name, key);
    r = books_catalog_get(txn, buffer_text(&name), &json, &offset);
    if (r < 0)
        return fault_pass(r);
    *record = r == 0 ? json_loadb(json.at, json.length, 0, NULL)
                     : json_pack("{s:s%}", "key", key.at, key.length);
    return 0;
}

static int begin_customer(struct stripe_jobs *jobs, struct store_txn *txn, const json_t *record,
                          struct stripe_job **job)
{
    struct stripe_step *step = arena_take(&(*job)->arena, sizeof(*step));
    char *json = json_dumps(record, JSON_COMPACT);
    int r = step ? stripe_plan_customer(text_of(json), &jobs->orders->terms,
                                        (*job)->delivery.attempt + 1, &(*job)->arena, step)
                 : STRIPE_PLAN_NO_MEMORY;

    free(json);
    if (r) {
        r = hold(jobs, txn, *job, "the customer can't be written as a request");
        return r ? fault_pass(r) : 0;
    }
    begin_attempt(*job, text_of(NULL), step, 1);
    r = put_delivery(jobs, txn, *job);
    if (!r)
        r = start(jobs, txn, job);
    return r ? fault_pass(r) : 0;
}

enum customer_outcome { CUSTOMER_IS_AWAITED = 1, CUSTOMER_IS_HELD };

/* A customer that isn't at Stripe, or isn't known to be: a job for it, for which the invoice waits.
 */
static int await_customer(struct stripe_jobs *jobs, struct store_txn *txn, struct text key,
                          const json_t *record, struct text invoice, struct arena *arena,
                          struct text *stripe)
{
    CLEANUP(drop_job) struct stripe_job *job = NULL;
    struct stripe_job *under_way = find_job(jobs, key, true);
    int r;

    if (under_way) {
        add_id(&under_way->waiting, invoice);
        return CUSTOMER_IS_AWAITED;
    }
    job = new_job(key, true);
    r = read_delivery(txn, job);
    if (r < 0)
        return fault_pass(r);
    if (r == 0 && job->delivery.state == STRIPE_FINALIZED) {
        *stripe = arena_copy(arena, job->delivery.stripe);
        return 0;
    }
    if (r == 0 && job->delivery.state == STRIPE_HELD && !jobs->orders->tries_held)
        return CUSTOMER_IS_HELD;
    add_id(&job->waiting, invoice);
    r = r == READ_NONE ? begin_customer(jobs, txn, record, &job) : start(jobs, txn, &job);
    return r ? fault_pass(r) : CUSTOMER_IS_AWAITED;
}

/* The id of the invoice's customer at Stripe, in the job's arena. */
static int find_stripe_customer(struct stripe_jobs *jobs, struct store_txn *txn,
                                struct stripe_job *job, const json_t *invoice, struct text *stripe)
{
    const json_t *customer = json_object_get(invoice, "customer");
    const char *key = json_string_value(json_object_get(customer, "key"));
    json_t *record = NULL;
    const char *given;
    int r;

    if (!key)
        return fault(FAULT_STOP, "invoice %.*s names no customer", (int)job->id.length, job->id.at);
    r = customer_record(txn, text_of(key), &record);
    if (r)
        return fault_pass(r);
    given = json_string_value(json_object_get(record, "stripeCustomerId"));
    if (given)
        *stripe = arena_copy(&job->arena, text_of(given));
    else
        r = await_customer(jobs, txn, text_of(key), record, job->id, &job->arena, stripe);
    assert(r || !text_is_absent(*stripe));
    json_decref(record);
    return r < 0 ? fault_pass(r) : r;
}

/* The next attempt, with keys of its own. */
static int begin_invoice(struct stripe_jobs *jobs, struct store_txn *txn, struct text json,
                         struct text customer, struct stripe_job **job)
{
    struct stripe_job *made = *job;
    const struct stripe_step *steps = NULL;
    size_t count = 0;
    int r = stripe_plan(json, &made->expected, &jobs->orders->terms, customer,
                        made->delivery.attempt + 1, &made->arena, &steps, &count);

    if (r) {
        r = hold(jobs, txn, made, "it can't be written as requests");
        return r ? fault_pass(r) : 0;
    }
    begin_attempt(made, customer, steps, count);
    r = put_delivery(jobs, txn, made);
    if (!r)
        r = start(jobs, txn, job);
    return r ? fault_pass(r) : 0;
}

/* What Stripe must hold; an outcome when there is nothing to do, or nothing that can be done. */
enum expect_outcome { EXPECT_OVER = 1 };
static int expect(struct stripe_jobs *jobs, struct store_txn *txn, struct stripe_job *job,
                  struct text json)
{
    char why[STRIPE_WHY_MAX] = "";
    int r = stripe_expect(json, &job->arena, &job->expected, why);

    if (r == 0)
        return 0;
    if (r == STRIPE_PLAN_NOTHING) {
        jobs->report->nothing++;
        r = stripe_books_note_nothing(txn, job->id);
    } else {
        r = hold(jobs, txn, job, r == STRIPE_PLAN_UNFIT ? why : "it can't be read back");
    }
    return r ? fault_pass(r) : EXPECT_OVER;
}

static bool is_for_stripe(const struct stripe_jobs *jobs, const json_t *invoice)
{
    const char *boundary = json_string_value(json_object_get(invoice, "boundary"));
    struct instant at;

    return boundary && instant_parse(text_of(boundary), &at) == 0 &&
           instant_compare(at, jobs->orders->from) >= 0;
}

/* Nothing of it is at Stripe that its record doesn't name: begun, or held on the way. */
static bool can_be_looked_up(const struct stripe_delivery *delivery)
{
    return delivery->attempt > 0 && !text_is_absent(delivery->customer);
}

static int begin_with(struct stripe_jobs *jobs, struct store_txn *txn, struct stripe_job **job,
                      struct text json, const json_t *invoice)
{
    struct text customer = text_of(NULL);
    int r = find_stripe_customer(jobs, txn, *job, invoice, &customer);

    if (r == CUSTOMER_IS_HELD) {
        r = hold(jobs, txn, *job, "its customer isn't at Stripe: see what is said of the customer");
        return r ? fault_pass(r) : 0;
    }
    if (r)
        return r < 0 ? fault_pass(r) : 0;
    r = begin_invoice(jobs, txn, json, customer, job);
    return r ? fault_pass(r) : 0;
}

/* What is to be done about an invoice now: a job, or a word in the report. */
static int consider(struct stripe_jobs *jobs, struct store_txn *txn, struct text id,
                    bool is_new_attempt)
{
    CLEANUP(drop_job) struct stripe_job *job = NULL;
    json_t *invoice;
    struct text json;
    int r;

    if (find_job(jobs, id, false))
        return 0;
    job = new_job(id, false);
    r = read_delivery(txn, job);
    if (r < 0)
        return fault_pass(r);
    if (job->delivery.attempt && !is_new_attempt && job->delivery.state == STRIPE_HELD &&
        !jobs->orders->tries_held)
        return 0;
    r = billed_invoice(txn, id, &json);
    if (r)
        return r < 0 ? fault_pass(r) : 0;
    invoice = json_loadb(json.at, json.length, 0, NULL);
    if (is_for_stripe(jobs, invoice)) {
        r = expect(jobs, txn, job, json);
        if (r == 0 && can_be_looked_up(&job->delivery) && !is_new_attempt)
            r = start(jobs, txn, &job);
        else if (r == 0)
            r = begin_with(jobs, txn, &job, json, invoice);
    }
    json_decref(invoice);
    return r < 0 ? fault_pass(r) : 0;
}

/* --- transactions --- */

/* What a transaction that wasn't committed gives back. */
struct mark {
    struct stripe_job *first;
    size_t count, delivered, held, later, nothing, failed;
    int64_t sequence;
};

static struct mark mark(const struct stripe_jobs *jobs)
{
    const struct stripe_report *report = jobs->report;

    return (struct mark){jobs->first,   jobs->count,     report->delivered, report->held,
                         report->later, report->nothing, report->failed,    jobs->sequence};
}

static void go_back(struct stripe_jobs *jobs, const struct mark *mark)
{
    struct stripe_report *report = jobs->report;

    while (jobs->first != mark->first) {
        struct stripe_job *job = jobs->first;

        jobs->first = job->next;
        free_job(job);
    }
    jobs->count = mark->count;
    jobs->sequence = mark->sequence;
    report->delivered = mark->delivered;
    report->held = mark->held;
    report->later = mark->later;
    report->nothing = mark->nothing;
    report->failed = mark->failed;
}

/* All that `write` does, or nothing of it; a full store grows at the next try. */
static int transact(struct stripe_jobs *jobs,
                    int (*write)(struct stripe_jobs *, struct store_txn *))
{
    int r = FAULT_RETRY;

    for (int i = 0; r == FAULT_RETRY && i < TRIES_MAX; i++) {
        CLEANUP(store_abort) struct store_txn *txn = NULL;
        struct mark before = mark(jobs);

        r = engine_begin(jobs->engine, &txn);
        if (!r)
            r = write(jobs, txn);
        if (!r)
            r = store_commit(&txn);
        if (r)
            go_back(jobs, &before);
    }
    return r ? fault_pass(r) : 0;
}

/* --- filling --- */

static int collect(void *context, struct text id)
{
    struct stripe_jobs *jobs = context;

    add_id(&jobs->due, id);
    return ++jobs->due_count >= DUE_MAX;
}

/* The next ids that are due, without holding up those who write. */
static int collect_due(struct stripe_jobs *jobs)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r;

    jobs->due_count = 0;
    buffer_clear(&jobs->due);
    if (jobs->orders->only) {
        add_id(&jobs->due, text_of(jobs->orders->only));
        jobs->is_at_end = true;
        return 0;
    }
    r = store_begin(engine_store(jobs->engine), STORE_READ, &txn);
    if (!r)
        r = stripe_books_each_due(txn, buffer_text(&jobs->cursor), jobs->orders->from, collect,
                                  jobs);
    jobs->is_at_end = jobs->due_count < DUE_MAX;
    return r ? fault_pass(r) : 0;
}

static int consider_due(struct stripe_jobs *jobs, struct store_txn *txn)
{
    struct text ids = buffer_text(&jobs->due);

    while (ids.length) {
        int r = consider(jobs, txn, text_cut(&ids, '\0'), false);

        if (r)
            return fault_pass(r);
    }
    return 0;
}

/* Behind the last of those that were collected. */
static void move_on(struct stripe_jobs *jobs)
{
    struct text ids = buffer_text(&jobs->due), last = text_of(NULL);

    while (ids.length)
        last = text_cut(&ids, '\0');
    buffer_clear(&jobs->cursor);
    buffer_add_text(&jobs->cursor, last);
}

int stripe_jobs_fill(struct stripe_jobs *jobs)
{
    int r;

    if (jobs->is_at_end || jobs->count > JOBS_KEPT)
        return 0;
    r = collect_due(jobs);
    if (!r && jobs->due.length)
        r = transact(jobs, consider_due);
    if (r)
        return fault_pass(r);
    move_on(jobs);
    return 0;
}

int stripe_jobs_release(struct stripe_jobs *jobs)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(engine_store(jobs->engine), STORE_READ, &txn);

    for (struct stripe_job *job = jobs->first; !r && job; job = job->next) {
        int sent;

        if (job->stage != STRIPE_JOB_WAITS)
            continue;
        sent = engine_is_sent(&job->sent, txn);
        if (sent < 0)
            return fault_pass(sent);
        if (sent)
            job->stage = STRIPE_JOB_READY;
    }
    return r ? fault_pass(r) : 0;
}

/* --- settling --- */

static void end_delivery(struct stripe_job *job, enum stripe_state state, struct text reason)
{
    struct stripe_delivery *delivery = &job->delivery;
    struct text stripe = job->is_customer ? job->way.stripe : job->flow.stripe;

    delivery->state = state;
    delivery->reason = reason;
    delivery->steps = NULL;
    delivery->step_count = 0;
    if (!text_is_absent(stripe))
        delivery->stripe = stripe;
    if (!job->is_customer && !text_is_absent(job->flow.status))
        delivery->status = job->flow.status;
    if (!job->is_customer && !text_is_absent(job->flow.number))
        delivery->number = job->flow.number;
}

static int each_waiting(struct stripe_jobs *jobs, struct store_txn *txn,
                        const struct stripe_job *customer,
                        int (*what)(struct stripe_jobs *, struct store_txn *, struct text id))
{
    struct text ids = buffer_text(&customer->waiting);

    while (ids.length) {
        int r = what(jobs, txn, text_cut(&ids, '\0'));

        if (r)
            return fault_pass(r);
    }
    return 0;
}

static int go_on(struct stripe_jobs *jobs, struct store_txn *txn, struct text id)
{
    int r = consider(jobs, txn, id, false);

    return r ? fault_pass(r) : 0;
}

static int hold_waiting(struct stripe_jobs *jobs, struct store_txn *txn, struct text id)
{
    CLEANUP(drop_job) struct stripe_job *job = new_job(id, false);
    int r = read_delivery(txn, job);

    if (r >= 0)
        r = hold(jobs, txn, job, "its customer isn't at Stripe: see what is said of the customer");
    return r ? fault_pass(r) : 0;
}

static int put_off(struct stripe_jobs *jobs, struct store_txn *txn, struct text id)
{
    (void)txn;
    (void)id;
    jobs->report->later++;
    return 0;
}

/* The next attempt at a customer, for which the same invoices wait. */
static int begin_customer_again(struct stripe_jobs *jobs, struct store_txn *txn,
                                const struct stripe_job *ended)
{
    CLEANUP(drop_job) struct stripe_job *job = new_job(ended->id, true);
    json_t *record = NULL;
    int r = customer_record(txn, ended->id, &record);

    buffer_add_text(&job->waiting, buffer_text(&ended->waiting));
    job->delivery.attempt = ended->delivery.attempt;
    if (!r)
        r = begin_customer(jobs, txn, record, &job);
    json_decref(record);
    return r ? fault_pass(r) : 0;
}

static int settle_customer(struct stripe_jobs *jobs, struct store_txn *txn, struct stripe_job *job)
{
    int r = 0;

    switch (job->end) {
    case STRIPE_FLOW_FINALIZED:
        end_delivery(job, STRIPE_FINALIZED, text_of(NULL));
        r = put_delivery(jobs, txn, job);
        return r ? fault_pass(r) : each_waiting(jobs, txn, job, go_on);
    case STRIPE_FLOW_HELD:
        end_delivery(job, STRIPE_HELD, text_of(job->way.why));
        add_failure(jobs, job, job->way.why);
        r = put_delivery(jobs, txn, job);
        return r ? fault_pass(r) : each_waiting(jobs, txn, job, hold_waiting);
    case STRIPE_FLOW_NEW_ATTEMPT:
        return begin_customer_again(jobs, txn, job);
    case STRIPE_FLOW_GOES_ON:
    case STRIPE_FLOW_LATER:
    case STRIPE_FLOW_STOP:
        break;
    }
    add_failure(jobs, job, job->way.why);
    return each_waiting(jobs, txn, job, put_off);
}

static int settle_invoice(struct stripe_jobs *jobs, struct store_txn *txn, struct stripe_job *job)
{
    int r = 0;

    switch (job->end) {
    case STRIPE_FLOW_FINALIZED:
        jobs->report->delivered++;
        end_delivery(job, STRIPE_FINALIZED, text_of(NULL));
        r = put_delivery(jobs, txn, job);
        return r ? fault_pass(r) : 0;
    case STRIPE_FLOW_HELD:
        jobs->report->held++;
        add_failure(jobs, job, job->flow.why);
        end_delivery(job, STRIPE_HELD, text_of(job->flow.why));
        r = put_delivery(jobs, txn, job);
        return r ? fault_pass(r) : 0;
    case STRIPE_FLOW_NEW_ATTEMPT:
        r = consider(jobs, txn, job->id, true);
        return r ? fault_pass(r) : 0;
    case STRIPE_FLOW_GOES_ON:
    case STRIPE_FLOW_LATER:
    case STRIPE_FLOW_STOP:
        break;
    }
    jobs->report->later++;
    add_failure(jobs, job, job->flow.why);
    return 0;
}

static int settle(struct stripe_jobs *jobs, struct store_txn *txn)
{
    for (struct stripe_job *job = jobs->first; job; job = job->next) {
        int r;

        if (job->stage != STRIPE_JOB_ENDED)
            continue;
        r = job->is_customer ? settle_customer(jobs, txn, job) : settle_invoice(jobs, txn, job);
        if (r)
            return fault_pass(r);
    }
    return 0;
}

static bool any_has_ended(const struct stripe_jobs *jobs)
{
    for (const struct stripe_job *job = jobs->first; job; job = job->next)
        if (job->stage == STRIPE_JOB_ENDED)
            return true;
    return false;
}

static void forget_ended(struct stripe_jobs *jobs)
{
    struct stripe_job **at = &jobs->first;

    while (*at) {
        struct stripe_job *job = *at;

        if (job->stage == STRIPE_JOB_ENDED) {
            *at = job->next;
            free_job(job);
            jobs->count--;
        } else {
            at = &job->next;
        }
    }
}

int stripe_jobs_settle(struct stripe_jobs *jobs)
{
    int r;

    if (!any_has_ended(jobs))
        return 0;
    r = transact(jobs, settle);
    if (r)
        return fault_pass(r);
    forget_ended(jobs);
    return 0;
}

/* --- one job's requests --- */

void stripe_job_request(const struct stripe_job *job, struct stripe_request *request)
{
    if (job->is_customer)
        stripe_customer_request(&job->way, request);
    else
        stripe_flow_request(&job->flow, request);
}

void stripe_job_answer(struct stripe_job *job, const struct stripe_answer *answer, uint64_t jitter,
                       int64_t now_ms, bool *slows)
{
    int64_t wait_ms;

    job->end = job->is_customer ? stripe_customer_answer(&job->way, answer, jitter, &wait_ms)
                                : stripe_flow_answer(&job->flow, answer, jitter, &wait_ms);
    *slows = job->is_customer ? job->way.has_slowed : job->flow.has_slowed;
    job->not_before_ms = now_ms + wait_ms;
    job->stage = job->end == STRIPE_FLOW_GOES_ON ? STRIPE_JOB_READY : STRIPE_JOB_ENDED;
}
