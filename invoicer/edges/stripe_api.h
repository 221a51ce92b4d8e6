/*
 * stripe_api.h - one request to Stripe: where, with which key, in which version.
 *
 * The key goes nowhere but into the Authorization header.
 *
 * Errors     FAULT_RETRY: no answer that decides anything. FAULT_DENIED: Stripe refuses us.
 *            FAULT_REFUSE: the key, or what was asked for.
 * Threads    One.
 */
#pragma once

#include "common/io/http_client.h"
#include "invoicer/rules/stripe_answer.h"
#include "invoicer/rules/stripe_pace.h"
#include "invoicer/rules/stripe_request.h"

struct stripe_api {
    const char *url; /* without a slash at its end */
    const char *version;
    int64_t wait_ms; /* for one that is waited for: no more tries after it */
    const char *key;
};

/* Borrows its texts. FAULT_REFUSE: the key isn't one, or would go over the network for all to read.
 */
MUST_USE int stripe_api_open(const char *url, const char *version, const char *key, int64_t wait_ms,
                             struct stripe_api *api);
/* Of a live account; otherwise of a test one. */
bool stripe_api_is_live(const struct stripe_api *api);
/* A secret key, which may do everything; not a restricted one. */
bool stripe_api_is_secret(const struct stripe_api *api);

/* `done` runs once, on the client's loop; the answer lives until it returns. */
void stripe_api_send(const struct stripe_api *api, struct http_client *client,
                     const struct stripe_request *request,
                     void (*done)(void *context, const struct stripe_answer *answer),
                     void *context);
/* Whose the key is; blocking as below. */
enum { STRIPE_ACCOUNT_MAX = 128 };
MUST_USE int stripe_api_account(const struct stripe_api *api, char id[STRIPE_ACCOUNT_MAX]);
/* Blocking, until Stripe has answered, or wait_ms or STRIPE_TRIES_MAX are reached. *object is the
 * caller's. */
MUST_USE int stripe_api_fetch(const struct stripe_api *api, const struct stripe_request *request,
                              json_t **object);
