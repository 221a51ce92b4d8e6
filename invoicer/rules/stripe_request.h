/*
 * stripe_request.h - a request to Stripe, before anybody sends it.
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"
#include "invoicer/rules/stripe_pace.h"

enum {
    STRIPE_REQUEST_MAX = 1024, /* a path with its query: two ids have room */
    STRIPE_TRIES_MAX = 10,     /* then it is left for later */
};

struct stripe_request {
    const char *method; /* GET, POST */
    char path[STRIPE_REQUEST_MAX];
    struct text key;  /* absent: of a GET */
    struct text body; /* absent: of a GET */
    enum stripe_endpoint endpoint;
};
