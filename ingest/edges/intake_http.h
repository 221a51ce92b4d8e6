/*
 * intake_http.h - POST /v1/events: usage events over HTTP, answered once Kafka has them.
 *
 * Forms and answers are those of metering.md 28 to 31. 202 is sent when every batch that holds one
 * of the request's events is acknowledged; a request whose acknowledgement takes too long, or
 * fails, is answered 503, and may be sent again whole: what had come through is a duplicate then.
 *
 * Limits     A request waits `answer_ms` at the most; nothing is taken in without room for it.
 * Threads    The loop's own.
 */
#pragma once

#include "common/catalog/access.h"
#include "common/io/http.h"
#include "ingest/edges/intake.h"
#include "ingest/rules/rate.h"

struct intake_http_config {
    const uv_loop_t *loop;   /* whose time requests wait by */
    int64_t answer_ms;       /* how long a request waits for Kafka */
    int64_t broker_grace_ms; /* how long without a broker requests are still taken in */
    int64_t key_rate;        /* events a second and key; 0: any */
};

struct waiting;

struct intake_http {
    struct intake *intake;
    struct intake_http_config config;
    struct rate *rate;         /* NULL: any */
    struct admitted *admitted; /* room for one request's events */
    struct buffer body;        /* of the answer being written */
    struct access_memo memo;
    struct waiting *oldest, *newest;
    size_t waiting;
};

void intake_http_init(struct intake_http *http, struct intake *intake,
                      const struct intake_http_config *config);
void intake_http_deinit(struct intake_http *http);
struct http_route intake_http_route(struct intake_http *http);
/* Answers 503 to those that have waited too long, or to all that wait. */
void intake_http_expire(struct intake_http *http);
void intake_http_expire_all(struct intake_http *http);
