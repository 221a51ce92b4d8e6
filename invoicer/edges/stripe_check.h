/*
 * stripe_check.h - whether Stripe holds what we believe to have handed over: all of it, once, over
 * the same totals, and nothing else of this bucket's. What became of each (paid, void, …) is noted
 * on the way.
 *
 * Errors     As engine.h; FAULT_DENIED where Stripe refuses us.
 * Threads    One.
 */
#pragma once

#include "invoicer/edges/engine.h"
#include "invoicer/edges/stripe_api.h"
#include "invoicer/rules/stripe_answer.h"

enum { STRIPE_FINDINGS_MAX = 100 };

enum stripe_finding_kind {
    STRIPE_IS_MISSING,  /* handed over, and not there */
    STRIPE_IS_DOUBLE,   /* there a second time */
    STRIPE_IS_VOID,     /* voided there, and nothing in its place */
    STRIPE_HAS_CHANGED, /* over another total */
    STRIPE_IS_UNKNOWN,  /* says that it is ours, and isn't */
};
const char *stripe_finding_name(enum stripe_finding_kind kind);

struct stripe_finding {
    enum stripe_finding_kind kind;
    char invoice[300], stripe[64];
    int64_t ours, theirs; /* HAS_CHANGED: totals in minor units */
};

struct stripe_check_report {
    size_t handed_over; /* deliveries that are finalised */
    size_t listed;      /* Stripe's of this bucket */
    size_t under_way;   /* of these, deliveries that aren't finalised yet */
    size_t noted;       /* whose status was another than the one we knew */
    size_t differences;
    struct stripe_finding findings[STRIPE_FINDINGS_MAX]; /* the first of them */
};

/* `since`: from when on invoices are for Stripe; those that were handed over earlier are looked
 * for, too. */
MUST_USE int stripe_check_run(struct engine *engine, const struct stripe_api *api,
                              struct text bucket, struct instant since,
                              struct stripe_check_report *report);
