/*
 * stripe_jobs_parts.h - what the files of stripe_jobs.h share: stripe_jobs.c keeps the jobs,
 * stripe_begin.c begins them, stripe_settle.c writes down what became of them.
 *
 * Errors     As engine.h.
 * Threads    One.
 */
#pragma once

#include "invoicer/edges/stripe_jobs.h"

#include <jansson.h>

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
    int64_t epoch; /* of the tenure that all of it is done in; -1: none yet */
};

/* --- one job --- */

struct stripe_job *stripe_job_new(struct text id, bool is_customer);
void stripe_job_free(struct stripe_job *job);
void stripe_job_drop(struct stripe_job **job); /* for CLEANUP; accepts a pointer to NULL */
/* Its record, into its arena. */
enum stripe_job_outcome { STRIPE_JOB_NO_RECORD = 1 };
MUST_USE int stripe_job_read(struct store_txn *txn, struct stripe_job *job);
MUST_USE int stripe_job_put(struct stripe_jobs *jobs, struct store_txn *txn,
                            const struct stripe_job *job);
/* Ends it before it has sent anything: somebody has to look. */
MUST_USE int stripe_job_hold(struct stripe_jobs *jobs, struct store_txn *txn,
                             struct stripe_job *job, const char *why);

/* --- all of them --- */

/* One that hasn't ended; NULL when there is none. */
struct stripe_job *stripe_jobs_find(struct stripe_jobs *jobs, struct text id, bool is_customer);
void stripe_jobs_fail(struct stripe_jobs *jobs, const struct stripe_job *job, const char *why);
void stripe_ids_add(struct buffer *ids, struct text id);
/* All that `write` does, or nothing of it. */
MUST_USE int stripe_jobs_transact(struct stripe_jobs *jobs,
                                  int (*write)(struct stripe_jobs *jobs, struct store_txn *txn));

/* --- beginning --- */

/* What is to be done about an invoice now: a job, or a word in the report. */
MUST_USE int stripe_begin(struct stripe_jobs *jobs, struct store_txn *txn, struct text id,
                          bool is_new_attempt);
/* What the catalog says of a customer, which may be gone from there; the caller's to decref. */
MUST_USE int stripe_begin_record(struct store_txn *txn, struct text key, json_t **record);
/* Takes the job over. */
MUST_USE int stripe_begin_customer(struct stripe_jobs *jobs, struct store_txn *txn,
                                   const json_t *record, struct stripe_job **job);
