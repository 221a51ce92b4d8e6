/*
 * load_sender.h - sends batches over kept-alive connections, each until it is answered for good.
 *
 * 2xx and 400 are answers. No connection, 429 and 5xx are tried again, after Retry-After or a
 * growing delay, until give_up_ms have passed without any answer. Anything else ends the run.
 *
 * Errors     Outcomes of load_sender_turn; the message is on stderr.
 * Threads    One.
 */
#pragma once

#include "bench/load_batch.h"

enum { LOAD_CONNECTIONS_MAX = 64 };

struct load_target {
    const char *url, *key;
    int64_t connections;
    int64_t give_up_ms;
    FILE *log; /* NULL: none */
};

struct load_sender;
struct load_sender *load_sender_new(const struct load_target *target);
struct load_sender *load_sender_free(struct load_sender *sender);

/* A batch to fill and to submit, NULL while every connection is busy. */
struct load_batch *load_sender_free_batch(struct load_sender *sender);
void load_sender_submit(struct load_sender *sender, struct load_batch *batch);
bool load_sender_is_idle(const struct load_sender *sender);

enum load_sender_outcome {
    LOAD_REFUSED = 1, /* the server will never take it */
    LOAD_GAVE_UP,     /* no answer for too long */
};
/* Moves everything on, waiting up to timeout_ms for something to happen. */
MUST_USE int load_sender_turn(struct load_sender *sender, int timeout_ms,
                              struct load_counts *counts);
