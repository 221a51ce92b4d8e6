/*
 * stripe_deliver.h - hands the invoices that are due to Stripe, many at a time, at Stripe's pace.
 *
 * One thread, one loop: the engine is stepped, jobs are begun, released once Kafka has their
 * records, sent, and written down as they end. Ended anywhere, a run is continued by the next one,
 * on this host or another, and no invoice becomes two.
 *
 * Errors     FAULT_RETRY: the broker, the tenure or Stripe is away. FAULT_DENIED: Stripe refuses
 * us. Threads    One.
 */
#pragma once

#include "invoicer/edges/stripe_api.h"
#include "invoicer/edges/stripe_jobs.h"

struct stripe_deliver {
    struct stripe_orders orders;
    const struct stripe_api *api;
    int64_t endpoint_rate, account_rate; /* requests a second */
    size_t due;                          /* how many invoices are due, to show how far it is */
};

/* Called now and then, with how many are done and how many s are left at the least. */
typedef void stripe_deliver_progress(void *context, size_t done, size_t due, int64_t eta_s);

MUST_USE int stripe_deliver_run(struct engine *engine, const struct stripe_deliver *deliver,
                                stripe_deliver_progress *progress, void *context,
                                struct stripe_report *report);
