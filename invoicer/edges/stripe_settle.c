/*
 * stripe_settle.c - what became of the deliveries that have ended.
 */
#include "invoicer/edges/stripe_jobs_parts.h"

#include "common/base/fault.h"

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
    int r = stripe_begin(jobs, txn, id, false);

    return r ? fault_pass(r) : 0;
}

static int hold_waiting(struct stripe_jobs *jobs, struct store_txn *txn, struct text id)
{
    CLEANUP(stripe_job_drop) struct stripe_job *job = stripe_job_new(id, false);
    int r = stripe_job_read(txn, job);

    if (r >= 0)
        r = stripe_job_hold(jobs, txn, job,
                            "its customer isn't at Stripe: see what is said of the customer");
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
    CLEANUP(stripe_job_drop) struct stripe_job *job = stripe_job_new(ended->id, true);
    json_t *record = NULL;
    int r = stripe_begin_record(txn, ended->id, &record);

    buffer_add_text(&job->waiting, buffer_text(&ended->waiting));
    job->delivery.attempt = ended->delivery.attempt;
    if (!r)
        r = stripe_begin_customer(jobs, txn, record, &job);
    json_decref(record);
    return r ? fault_pass(r) : 0;
}

static int settle_customer(struct stripe_jobs *jobs, struct store_txn *txn, struct stripe_job *job)
{
    int r = 0;

    switch (job->end) {
    case STRIPE_FLOW_FINALIZED:
        end_delivery(job, STRIPE_FINALIZED, text_of(NULL));
        r = stripe_job_put(jobs, txn, job);
        return r ? fault_pass(r) : each_waiting(jobs, txn, job, go_on);
    case STRIPE_FLOW_HELD:
        end_delivery(job, STRIPE_HELD, text_of(job->way.why));
        stripe_jobs_fail(jobs, job, job->way.why);
        r = stripe_job_put(jobs, txn, job);
        return r ? fault_pass(r) : each_waiting(jobs, txn, job, hold_waiting);
    case STRIPE_FLOW_NEW_ATTEMPT:
        if (job->is_renewed)
            break;
        return begin_customer_again(jobs, txn, job);
    case STRIPE_FLOW_GOES_ON:
    case STRIPE_FLOW_LATER:
    case STRIPE_FLOW_STOP:
        break;
    }
    stripe_jobs_fail(jobs, job, job->way.why);
    return each_waiting(jobs, txn, job, put_off);
}

static int settle_invoice(struct stripe_jobs *jobs, struct store_txn *txn, struct stripe_job *job)
{
    int r = 0;

    switch (job->end) {
    case STRIPE_FLOW_FINALIZED:
        jobs->report->delivered++;
        end_delivery(job, STRIPE_FINALIZED, text_of(NULL));
        r = stripe_job_put(jobs, txn, job);
        return r ? fault_pass(r) : 0;
    case STRIPE_FLOW_HELD:
        jobs->report->held++;
        stripe_jobs_fail(jobs, job, job->flow.why);
        end_delivery(job, STRIPE_HELD, text_of(job->flow.why));
        r = stripe_job_put(jobs, txn, job);
        return r ? fault_pass(r) : 0;
    case STRIPE_FLOW_NEW_ATTEMPT:
        if (job->is_renewed)
            break;
        r = stripe_begin(jobs, txn, job->id, true);
        return r ? fault_pass(r) : 0;
    case STRIPE_FLOW_GOES_ON:
    case STRIPE_FLOW_LATER:
    case STRIPE_FLOW_STOP:
        break;
    }
    jobs->report->later++;
    stripe_jobs_fail(jobs, job, job->flow.why);
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
            stripe_job_free(job);
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
    r = stripe_jobs_transact(jobs, settle);
    if (r)
        return fault_pass(r);
    forget_ended(jobs);
    return 0;
}
