/*
 * stripe_begin.c - which deliveries begin: an invoice's, and its customer's before it.
 */
#include "invoicer/edges/stripe_jobs_parts.h"

#include "common/base/fault.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/stripe_books.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

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
        r = stripe_job_hold(jobs, txn, made, "there is no memory for it: it is too large");
        return r ? fault_pass(r) : 0;
    }
    adopt(jobs, job);
    return 0;
}

void stripe_job_drop(struct stripe_job **job)
{
    if (*job)
        stripe_job_free(*job);
}

/* What the catalog says of a customer, which may be gone from there. */
int stripe_begin_record(struct store_txn *txn, struct text key, json_t **record)
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

int stripe_begin_customer(struct stripe_jobs *jobs, struct store_txn *txn, const json_t *record,
                          struct stripe_job **job)
{
    struct stripe_step *step = arena_take(&(*job)->arena, sizeof(*step));
    char *json = json_dumps(record, JSON_COMPACT);
    int r = step ? stripe_plan_customer(text_of(json), &jobs->orders->terms,
                                        (*job)->delivery.attempt + 1, &(*job)->arena, step)
                 : STRIPE_PLAN_NO_MEMORY;

    free(json);
    if (r) {
        r = stripe_job_hold(jobs, txn, *job, "the customer can't be written as a request");
        return r ? fault_pass(r) : 0;
    }
    (*job)->is_renewed = (*job)->delivery.attempt > 0;
    begin_attempt(*job, text_of(NULL), step, 1);
    r = stripe_job_put(jobs, txn, *job);
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
    CLEANUP(stripe_job_drop) struct stripe_job *job = NULL;
    struct stripe_job *under_way = stripe_jobs_find(jobs, key, true);
    int r;

    if (under_way) {
        stripe_ids_add(&under_way->waiting, invoice);
        return CUSTOMER_IS_AWAITED;
    }
    job = stripe_job_new(key, true);
    r = stripe_job_read(txn, job);
    if (r < 0)
        return fault_pass(r);
    if (r == 0 && job->delivery.state == STRIPE_FINALIZED) {
        *stripe = arena_copy(arena, job->delivery.stripe);
        return 0;
    }
    if (r == 0 && job->delivery.state == STRIPE_HELD && !jobs->orders->tries_held)
        return CUSTOMER_IS_HELD;
    stripe_ids_add(&job->waiting, invoice);
    r = r == STRIPE_JOB_NO_RECORD ? stripe_begin_customer(jobs, txn, record, &job)
                                  : start(jobs, txn, &job);
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
    r = stripe_begin_record(txn, text_of(key), &record);
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
        r = stripe_job_hold(jobs, txn, made, "it can't be written as requests");
        return r ? fault_pass(r) : 0;
    }
    made->is_renewed = made->delivery.attempt > 0;
    begin_attempt(made, customer, steps, count);
    r = stripe_job_put(jobs, txn, made);
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
        r = stripe_job_hold(jobs, txn, job, r == STRIPE_PLAN_UNFIT ? why : "it can't be read back");
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
        r = stripe_job_hold(jobs, txn, *job,
                            "its customer isn't at Stripe: see what is said of the customer");
        return r ? fault_pass(r) : 0;
    }
    if (r)
        return r < 0 ? fault_pass(r) : 0;
    r = begin_invoice(jobs, txn, json, customer, job);
    return r ? fault_pass(r) : 0;
}

/* One that is settled stays so when it is named: were it gone from Stripe, somebody did that. One
 * that is held stays so until it is asked for, and is told of in each run. */
static bool is_left_alone(struct stripe_jobs *jobs, const struct stripe_job *job)
{
    const struct stripe_delivery *delivery = &job->delivery;
    CLEANUP(buffer_deinit) struct buffer reason = {0};

    if (delivery->state == STRIPE_FINALIZED)
        return true;
    if (delivery->state != STRIPE_HELD || jobs->orders->tries_held)
        return false;
    jobs->report->held++;
    buffer_add_text(&reason, delivery->reason);
    buffer_add_char(&reason, '\0');
    stripe_jobs_fail(jobs, job, reason.at);
    return true;
}

/* What is to be done about an invoice now: a job, or a word in the report. */
int stripe_begin(struct stripe_jobs *jobs, struct store_txn *txn, struct text id,
                 bool is_new_attempt)
{
    CLEANUP(stripe_job_drop) struct stripe_job *job = NULL;
    json_t *invoice;
    struct text json;
    int r;

    if (stripe_jobs_find(jobs, id, false))
        return 0;
    job = stripe_job_new(id, false);
    r = stripe_job_read(txn, job);
    if (r < 0)
        return fault_pass(r);
    if (r != STRIPE_JOB_NO_RECORD && !is_new_attempt && is_left_alone(jobs, job))
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
