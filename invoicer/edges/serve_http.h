/*
 * serve_http.h - what `invoicer serve` answers: invoices as JSON, for the admin key.
 *
 *   GET /v1/invoices[?subscription=ID&page=1&pageSize=100]
 *       {"items":[{"id","subscription","currency","boundary","total"}],"page","pageSize",
 *        "totalCount"}
 *   GET /v1/invoices/{id}  the invoice, byte for byte as issued
 *
 * Threads    The loop's own.
 */
#pragma once

#include "common/io/http.h"
#include "common/io/metrics.h"
#include "common/io/store.h"

struct serve_http;
struct serve_http *serve_http_new(struct store *store, const char *bucket);
struct serve_http *serve_http_free(struct serve_http *http);
const struct http_route *serve_http_routes(struct serve_http *http, size_t *count);
/* Takes the gauges' values from the store, at most once a second; from one thread, any. */
void serve_http_measure(struct serve_http *http);
const struct metrics *serve_http_metrics(const struct serve_http *http);
