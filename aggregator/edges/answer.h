/*
 * answer.h - the questions that an aggregator answers over HTTP: meter queries and the ledger.
 *
 *   GET, POST /v3/metering/{bucket}/meters/{slug}/query    product.md 4.4, metering.md 21 to 27
 *   GET       /v1/ledger                                   metering.md 34
 *   POST      /internal/v1/meters/{slug}/query, GET /internal/v1/ledger  the same of named
 * partitions, for peers
 *
 * Any instance answers for any subscription: of its own partitions by read transactions on a thread
 * of libuv's pool, of the others by asking their owners there, with the client's own key. A
 * partition that nobody is known to own, or that moves meanwhile, is 503 with Retry-After; no
 * answer is ever without some of its partitions. A store that a question finds damaged is no store
 * to answer from, nor to count on: `damaged` is told, and has the process end and the store made
 * anew.
 *
 * Clients' questions may take half of the pool's threads; more of them wait. The other half is for
 * peers' questions, which ask nobody: so two aggregators full of questions to each other both go
 * on.
 *
 * Threads    answer_routes: the loop's.
 */
#pragma once

#include "aggregator/edges/catalog_feed.h"
#include "aggregator/edges/owned.h"
#include "aggregator/edges/peers.h"
#include "common/io/http.h"
#include "aggregator/rules/query.h"

enum { ANSWER_ROUTES = 5, ANSWER_PEER_TIMEOUT_MS = 20000 };

struct answer_job;

struct answers { /* all borrowed; must outlive the server */
    uv_loop_t *loop;
    int64_t threads_max; /* for clients' questions */
    const char *bucket;
    const struct kafka_config *kafka;
    struct catalog_feed *catalog;
    struct owned *owned;
    struct peers *peers;
    /* On a thread of the pool: a question found the partition's store damaged. */
    void (*damaged)(void *context, int32_t partition);
    void *context;
    /* The loop's own. */
    int64_t threads;                     /* that work on clients' questions */
    struct answer_job *waiting, *newest; /* for one, oldest first */
};

void answer_routes(struct answers *answers, struct http_route routes[ANSWER_ROUTES]);
