/*
 * http_operations.c - /healthz, /readyz, /metrics and /version, the same in every process.
 */
#include "common/io/http_connection.h"
#include "common/io/metrics.h"

#include <assert.h>
#include <stdlib.h>

struct http_operations {
    struct http_server *server;
    http_ready *ready;
    void *ready_context;
    const struct metrics *metrics;
    const char *process;
};

static void answer_health(struct http_request *request)
{
    http_answer_json(request, 200, text_of("{\"status\":\"ok\"}"));
}

static void answer_ready(struct http_request *request)
{
    struct http_operations *operations = request->context;
    CLEANUP(buffer_deinit) struct buffer reason = {0};

    if (operations->ready(operations->ready_context, &reason)) {
        http_answer_json(request, 200, text_of("{\"status\":\"ready\"}"));
        return;
    }
    buffer_add_char(&reason, '\0');
    http_answer_problem(request, 503, "not_ready", reason.at, NULL);
}

static void answer_version(struct http_request *request)
{
    struct http_operations *operations = request->context;
    CLEANUP(buffer_deinit) struct buffer json = {0};

    buffer_printf(&json, "{\"process\":\"%s\",\"version\":\"%s\"}", operations->process,
                  TOLLWAY_VERSION);
    http_answer_json(request, 200, buffer_text(&json));
}

static void write_http_metrics(const struct http_server *server, enum metrics_form form,
                               struct buffer *out)
{
    const struct http_counts *counts = &server->counts;
    const struct {
        const char *name;
        enum metric_kind kind;
        const char *help;
        uint64_t value;
    } rows[] = {
        {"tollway_http_connections_open", METRIC_GAUGE, "Open HTTP connections.",
         server->connection_count},
        {"tollway_http_connections_total", METRIC_COUNTER, "HTTP connections accepted.",
         counts->connections_total},
        {"tollway_http_requests_total", METRIC_COUNTER, "HTTP requests that reached their handler.",
         counts->requests},
        {"tollway_http_refusals_total", METRIC_COUNTER,
         "HTTP requests that the server refused before any handler saw them.", counts->refusals},
        {"tollway_http_timeouts_total", METRIC_COUNTER,
         "HTTP requests given up because they came too slowly.", counts->timeouts},
        {"tollway_http_overloads_total", METRIC_COUNTER,
         "HTTP requests and connections turned away at a memory or connection limit.",
         counts->overloads},
        {"tollway_http_in_flight_bytes", METRIC_GAUGE, "Memory held by large request bodies.",
         server->pool.in_flight},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        metrics_write_head(rows[i].name, rows[i].kind, rows[i].help, form, out);
        buffer_printf(out, "%s %llu\n", rows[i].name, (unsigned long long)rows[i].value);
    }
    metrics_write_head("tollway_http_responses_total", METRIC_COUNTER, "HTTP responses by class.",
                       form, out);
    for (int i = 2; i <= 5; i++)
        buffer_printf(out, "tollway_http_responses_total{class=\"%dxx\"} %llu\n", i,
                      (unsigned long long)counts->answers_by_class[i]);
}

static void answer_metrics(struct http_request *request)
{
    static const struct http_offer offers[] = {
        [METRICS_PROMETHEUS] = {"text/plain", NULL},
        [METRICS_OPENMETRICS] = {"application/openmetrics-text", "1.0.0"},
    };
    static const struct http_answer answers[] = {
        [METRICS_PROMETHEUS] = {200, "text/plain; version=0.0.4; charset=utf-8", NULL, NULL},
        [METRICS_OPENMETRICS] = {200, "application/openmetrics-text; version=1.0.0; charset=utf-8",
                                 NULL, NULL},
    };
    struct http_operations *operations = request->context;
    enum metrics_form form = (enum metrics_form)http_choose(request, offers, ARRAY_LEN(offers));
    CLEANUP(buffer_deinit) struct buffer out = {0};

    if (operations->metrics)
        metrics_write(operations->metrics, form, &out);
    write_http_metrics(operations->server, form, &out);
    metrics_write_end(form, &out);
    http_answer(request, &answers[form], buffer_text(&out));
}

void http_serve_operations(struct http_server *server, http_ready *ready, void *context,
                           const struct metrics *metrics, const char *process)
{
    struct http_operations *operations = calloc(1, sizeof(*operations));
    const struct http_route routes[HTTP_OPERATIONS_ROUTES] = {
        {HTTP_GET_METHOD, "/healthz", answer_health, 0, operations},
        {HTTP_GET_METHOD, "/readyz", answer_ready, 0, operations},
        {HTTP_GET_METHOD, "/metrics", answer_metrics, 0, operations},
        {HTTP_GET_METHOD, "/version", answer_version, 0, operations},
    };

    assert(operations);
    assert(!server->operations);

    *operations = (struct http_operations){server, ready, context, metrics, process};
    server->operations = operations;
    for (size_t i = 0; i < HTTP_OPERATIONS_ROUTES; i++)
        server->routes[server->route_count++] = routes[i];
}
