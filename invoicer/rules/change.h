/*
 * change.h - what may be done with a subscription, and when it takes effect (product.md 2.2, 2.3).
 *
 * Status is computed from term and time, never stored. What is active can be changed or cancelled,
 * what is cancelled can be restored until it ends, what hasn't begun can be deleted.
 *
 * Immediate is the next whole minute: what was counted by then belongs to the old term. At the next
 * billing cycle is the end of the billing period that holds now, phases and end included; a phase
 * where nothing costs anything has no cycle. A time lies in the future.
 *
 * Units      Whole minutes.
 * Errors     CHANGE_REFUSED with a refusal.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/periods.h"

enum subscription_status {
    SUBSCRIPTION_SCHEDULED, /* hasn't begun */
    SUBSCRIPTION_ACTIVE,
    SUBSCRIPTION_CANCELED, /* works until its end */
    SUBSCRIPTION_INACTIVE, /* is over, or was deleted */
};

enum subscription_status subscription_status(const struct subscription *subscription,
                                             struct instant now);
const char *subscription_status_name(enum subscription_status status); /* "active", … */

enum change_action { CHANGE_PLAN, CHANGE_CANCEL, CHANGE_RESTORE, CHANGE_DELETE };

enum change_timing_kind { TIMING_IMMEDIATE, TIMING_NEXT_CYCLE, TIMING_AT };
struct change_timing {
    enum change_timing_kind kind;
    struct instant at; /* of TIMING_AT */
};
/* "immediate", "next_billing_cycle", or an RFC 3339 time of a whole minute. */
MUST_USE bool change_timing_parse(struct text text, struct change_timing *timing);

struct change_refusal {
    const char *code; /* "subscription_canceled", … */
    char detail[200];
};
/* A refusal with a code; returns CHANGE_REFUSED. */
int change_refuse(struct change_refusal *refusal, const char *code, const char *format, ...)
    PRINTF_LIKE(3, 4);

enum change_outcome { CHANGE_REFUSED = 1 };

/* Whether the status allows the action. */
MUST_USE int change_is_legal(const struct subscription *subscription, enum change_action action,
                             struct instant now, struct change_refusal *refusal);
/*
 * When a change or a cancellation takes effect; TIMING_IMMEDIATE in *effect where it does so at
 * once. `billed` is the boundary until which the subscription is invoiced, or the far past: an end
 * can't lie before it.
 */
MUST_USE int change_time(const struct subscription *subscription, enum change_action action,
                         const struct change_timing *timing, struct instant now,
                         struct instant billed, struct change_timing *effect,
                         struct change_refusal *refusal);
