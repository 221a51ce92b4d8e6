#include "invoicer/edges/stripe_jobs_parts.h"

#include "common/base/fault.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/stripe_books.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    JOBS_KEPT = 100, /* under way, before more are begun */
    DUE_MAX = 200,   /* begun at a time */
    TRIES_MAX = 5,
    ARENA_BYTES_MAX = 256 * 1024 * 1024,
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
    jobs->sequence = jobs->epoch = -1;
    return jobs;
}

void stripe_job_free(struct stripe_job *job)
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
        stripe_job_free(job);
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
struct stripe_job *stripe_jobs_find(struct stripe_jobs *jobs, struct text id, bool is_customer)
{
    for (struct stripe_job *job = jobs->first; job; job = job->next)
        if (job->is_customer == is_customer && job->stage != STRIPE_JOB_ENDED &&
            text_equal(job->id, id))
            return job;
    return NULL;
}

struct stripe_job *stripe_job_new(struct text id, bool is_customer)
{
    struct stripe_job *job = calloc(1, sizeof(*job));

    assert(job);
    arena_init(&job->arena, ARENA_BYTES_MAX);
    job->id = arena_copy(&job->arena, id);
    job->is_customer = is_customer;
    assert(!text_is_absent(job->id));
    return job;
}

void stripe_jobs_fail(struct stripe_jobs *jobs, const struct stripe_job *job, const char *why)
{
    struct stripe_report *report = jobs->report;
    struct stripe_failure *failure = &report->failures[report->failed];

    if (report->failed++ >= STRIPE_FAILURES_MAX)
        return;
    snprintf(failure->what, sizeof(failure->what), "%s%.*s", job->is_customer ? "customer " : "",
             (int)job->id.length, job->id.at);
    snprintf(failure->why, sizeof(failure->why), "%s", why);
}

void stripe_ids_add(struct buffer *ids, struct text id)
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

int stripe_job_put(struct stripe_jobs *jobs, struct store_txn *txn, const struct stripe_job *job)
{
    CLEANUP(buffer_deinit) struct buffer key = {0}, json = {0};
    int r;

    record_key(job, &key);
    stripe_delivery_write(&job->delivery, &json);
    r = stripe_books_put(txn, buffer_text(&key), buffer_text(&json), &jobs->sequence);
    return r ? fault_pass(r) : 0;
}

/* The job's record, in its arena. */
int stripe_job_read(struct store_txn *txn, struct stripe_job *job)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    struct text json, copy;
    int r;

    record_key(job, &key);
    r = stripe_books_get(txn, buffer_text(&key), &json);
    if (r)
        return r < 0 ? fault_pass(r) : STRIPE_JOB_NO_RECORD;
    copy = arena_copy(&job->arena, json);
    if (text_is_absent(copy) || stripe_delivery_read(copy, &job->arena, &job->delivery))
        return fault(FAULT_STOP, "stripe/%.*s isn't a record of ours", (int)key.length, key.at);
    return 0;
}

/* A job ends before it has sent anything: somebody has to look. */
int stripe_job_hold(struct stripe_jobs *jobs, struct store_txn *txn, struct stripe_job *job,
                    const char *why)
{
    int r;

    job->delivery.state = STRIPE_HELD;
    job->delivery.reason = text_of(why);
    job->delivery.steps = NULL;
    job->delivery.step_count = 0;
    r = stripe_job_put(jobs, txn, job);
    if (r)
        return fault_pass(r);
    jobs->report->held++;
    stripe_jobs_fail(jobs, job, why);
    return 0;
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
        stripe_job_free(job);
    }
    jobs->count = mark->count;
    jobs->sequence = mark->sequence;
    report->delivered = mark->delivered;
    report->held = mark->held;
    report->later = mark->later;
    report->nothing = mark->nothing;
    report->failed = mark->failed;
}

/* All of it in one tenure: between two, another host may have gone on, and what we saw at Stripe is
 * the past. */
static int check_tenure(struct stripe_jobs *jobs, struct store_txn *txn)
{
    int64_t acting, epoch;
    int r = books_number(txn, "tenure/acting", 0, &acting);

    if (!r)
        r = books_number(txn, "tenure/epoch", -1, &epoch);
    if (r)
        return fault_pass(r);
    if (!acting || (jobs->epoch >= 0 && epoch != jobs->epoch))
        return fault(FAULT_RETRY, "another invoicer may have gone on with it: run it again");
    jobs->epoch = epoch;
    return 0;
}

/* All that `write` does, or nothing of it; a full store grows at the next try. */
int stripe_jobs_transact(struct stripe_jobs *jobs,
                         int (*write)(struct stripe_jobs *, struct store_txn *))
{
    int r = FAULT_RETRY;

    for (int i = 0; r == FAULT_RETRY && i < TRIES_MAX; i++) {
        CLEANUP(store_abort) struct store_txn *txn = NULL;
        struct mark before = mark(jobs);

        r = engine_begin(jobs->engine, &txn);
        if (!r)
            r = check_tenure(jobs, txn);
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

    stripe_ids_add(&jobs->due, id);
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
        stripe_ids_add(&jobs->due, text_of(jobs->orders->only));
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
        int r = stripe_begin(jobs, txn, text_cut(&ids, '\0'), false);

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
        r = stripe_jobs_transact(jobs, consider_due);
    if (r)
        return fault_pass(r);
    move_on(jobs);
    return 0;
}

int stripe_jobs_release(struct stripe_jobs *jobs)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(engine_store(jobs->engine), STORE_READ, &txn);

    if (!r)
        r = check_tenure(jobs, txn);
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
