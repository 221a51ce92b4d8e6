/*
 * stripe_jobs.h - the deliveries that are under way: begun in the store, carried to their end by
 * whoever has the network (stripe_deliver.h), and written down.
 *
 * Jobs are begun many at a time, in one transaction with their records, and may only send once
 * Kafka has these. An invoice whose customer isn't at Stripe yet waits for the customer's job. Each
 * due invoice is looked at once a run.
 *
 * Errors     As engine.h.
 * Threads    One.
 */
#pragma once

#include "invoicer/edges/engine.h"
#include "invoicer/rules/stripe_customer.h"

enum { STRIPE_FAILURES_MAX = 100 };

struct stripe_orders {
    struct stripe_terms terms;
    struct instant from; /* invoices of earlier boundaries were never for Stripe */
    const char *only;    /* an invoice; NULL: all */
    bool tries_held;
};

struct stripe_failure {
    char what[300]; /* an invoice, or customer KEY */
    char why[STRIPE_WHY_MAX];
};

struct stripe_report {
    size_t delivered, held, later, nothing;
    size_t failed;
    struct stripe_failure failures[STRIPE_FAILURES_MAX]; /* the first of them */
};

enum stripe_job_stage {
    STRIPE_JOB_WAITS, /* for Kafka to have its record */
    STRIPE_JOB_READY,
    STRIPE_JOB_IN_FLIGHT,
    STRIPE_JOB_ENDED,
};

struct stripe_job {
    struct text id; /* of the invoice, the customer's key */
    bool is_customer;
    bool is_renewed; /* a new attempt of this run; another one is the next run's */
    enum stripe_job_stage stage;
    struct engine_sent sent;
    int64_t not_before_ms; /* monotonic */
    struct arena arena;
    struct stripe_delivery delivery;
    struct stripe_expected expected;
    struct stripe_flow flow;    /* an invoice's */
    struct stripe_customer way; /* a customer's */
    enum stripe_flow_end end;
    struct buffer waiting; /* invoices that wait for this customer, each with a NUL */
    struct stripe_job *next;
};

struct stripe_jobs;
struct stripe_jobs *stripe_jobs_new(struct engine *engine, const struct stripe_orders *orders,
                                    struct stripe_report *report);
struct stripe_jobs *stripe_jobs_free(struct stripe_jobs *jobs);
/* Begins more, as many as may be under way at a time. */
MUST_USE int stripe_jobs_fill(struct stripe_jobs *jobs);
/* Those whose records Kafka has become ready. */
MUST_USE int stripe_jobs_release(struct stripe_jobs *jobs);
/* Writes down those that have ended, and forgets them. */
MUST_USE int stripe_jobs_settle(struct stripe_jobs *jobs);
struct stripe_job *stripe_jobs_first(struct stripe_jobs *jobs);
bool stripe_jobs_are_over(const struct stripe_jobs *jobs);
/* The last record's; -1: none was written. */
int64_t stripe_jobs_sequence(const struct stripe_jobs *jobs);

void stripe_job_request(const struct stripe_job *job, struct stripe_request *request);
/* Takes an answer; *slows: all are to go slower. */
void stripe_job_answer(struct stripe_job *job, const struct stripe_answer *answer, uint64_t jitter,
                       int64_t now_ms, bool *slows);
