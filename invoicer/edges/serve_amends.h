/*
 * serve_amends.h - subscriptions over HTTP: shown, changed, cancelled, restored, deleted.
 *
 *   GET, DELETE /v3/metering/{bucket}/subscriptions/{id}
 *   POST …/{id}/change                   {"plan":{"key","version"?},"timing"?,"billingAnchor"?,
 *                                         "name"?,"description"?,"metadata"?} →
 * {"current","next",…} POST …/{id}/change/estimate-credit   the same → the same, and nothing is
 * written POST …/{id}/cancel                   {"timing"?} or nothing → the subscription POST
 * …/{id}/unschedule-cancelation   (unschedule-cancellation, restore) → the subscription
 *
 * A request is a job: the engine's thread, the store's only writer, works it off between its steps
 * and it is answered when Kafka has what was written. What is refused has the code of change.h or
 * of the catalog's checks: 404 for a subscription that isn't there, 409 for what its state forbids,
 * 400 for what is wrong with the request.
 *
 * Threads    The loop's, but for serve_amends_step and serve_amends_stop: the engine's.
 */
#pragma once

#include "common/io/http.h"
#include "invoicer/edges/engine.h"

struct serve_amends_config {
    struct kafka_config kafka;
    const char *bucket;
    int64_t wait_ms; /* for counters and Kafka; then 503 */
};

struct serve_amends;
struct serve_amends *serve_amends_new(uv_loop_t *loop, struct engine *engine,
                                      const struct serve_amends_config *config);
struct serve_amends *serve_amends_free(struct serve_amends *amends);
/* Before the loop can end; every request has been answered. */
void serve_amends_close(struct serve_amends *amends);
const struct http_route *serve_amends_routes(struct serve_amends *amends, size_t *count);

/* Moves every job on as far as it can go now. */
void serve_amends_step(struct serve_amends *amends);
/* The engine has ended: what waits is answered 503, and so is what comes. */
void serve_amends_stop(struct serve_amends *amends);
