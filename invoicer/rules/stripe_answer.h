/*
 * stripe_answer.h - what Stripe answered, and what that means for the request.
 *
 * Source     Stripe's API reference: errors, idempotent requests, invoice and line item objects.
 * Ownership  Texts point into the answer's JSON.
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"
#include "invoicer/rules/stripe_plan.h"

#include <jansson.h>

/* As it came. */
struct stripe_answer {
    int status; /* 0: none came; `body` says why */
    struct text body;
    struct text retry_after;  /* headers; absent where there was none */
    struct text should_retry; /* Stripe-Should-Retry */
    struct text replayed;     /* Idempotent-Replayed */
    struct text request_id;   /* Request-Id */
};

enum stripe_verdict {
    STRIPE_DONE,      /* 2xx with an object */
    STRIPE_AGAIN,     /* the same bytes and key, after *wait_ms */
    STRIPE_SLOWER,    /* so, and all others slower, too: 429 */
    STRIPE_RECONCILE, /* what happened isn't known and won't be by asking again */
    STRIPE_HOLD,      /* Stripe refuses this one; `why` says what to do */
    STRIPE_STOP,      /* Stripe refuses us: no request is worth sending; `why` says what to do */
};

struct stripe_judgement {
    enum stripe_verdict verdict;
    int64_t wait_ms;
    bool is_missing;          /* Stripe doesn't know what the request names: resource_missing */
    char why[STRIPE_WHY_MAX]; /* one line: Stripe's words, its request id, what to do */
};

/* `tries`: how often the request was sent, this one included. `jitter`: any number; the same one
 * gives the same wait. */
void stripe_judge(const struct stripe_answer *answer, int tries, uint64_t jitter,
                  struct stripe_judgement *judgement);

/* Stripe's ids go into paths as they are: false for what can't be one. */
enum { STRIPE_ID_MAX = 255 };
bool stripe_is_id(struct text text);

/* An invoice object. Absent where null or missing. */
struct stripe_invoice {
    struct text id, status, number, currency;
    struct text our_invoice, our_bucket; /* metadata tollway_invoice, tollway_bucket */
    int64_t total_excluding_tax, total, created_s;
};
MUST_USE bool stripe_invoice_read(const json_t *object, struct stripe_invoice *invoice);

/* A page of a list. */
struct stripe_page {
    const json_t *data; /* an array */
    struct text next;   /* the next page begins behind this id; absent: it is the last page */
};
/* `after`: what it was asked for behind of; absent: the first page. False: it is no page of a list,
 * or leads nowhere: it says nothing of what there is. */
MUST_USE bool stripe_page_read(const json_t *object, struct text after, struct stripe_page *page);

/* Compares a listed line with what is expected. Marks seen[i]; false with why when it isn't one of
 * them, is there twice, or differs. */
MUST_USE bool stripe_line_matches(const json_t *object, const struct stripe_expected *expected,
                                  bool *seen, char why[STRIPE_WHY_MAX]);
