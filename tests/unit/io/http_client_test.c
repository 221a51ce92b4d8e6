/*
 * http_client_test.c - both clients against our own server, and the operations routes by them.
 */
#include "common/io/http_client.h"
#include "common/base/fault.h"
#include "common/io/metrics.h"
#include "tests/unit/io/http_fixture.h"

#include <criterion/criterion.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

TestSuite(http_client, .timeout = 60);

struct outcome {
    int status;
    char body[600], type[64];
    size_t calls;
};

static void note(void *context, const struct http_reply *reply)
{
    struct outcome *outcome = context;
    struct text type = http_reply_header(reply, "content-type");

    outcome->status = reply->status;
    snprintf(outcome->body, sizeof(outcome->body), "%.*s", (int)reply->body.length, reply->body.at);
    snprintf(outcome->type, sizeof(outcome->type), "%.*s", (int)type.length,
             type.at ? type.at : "");
    outcome->calls++;
}

static void mark(void *context)
{
    bool *closed = context;

    *closed = true;
}

static void run_until(struct fixture *fixture, const size_t *calls, size_t wanted)
{
    while (*calls < wanted)
        uv_run(&fixture->loop, UV_RUN_ONCE);
}

Test(http_client, calls_are_answered_on_the_loop)
{
    struct fixture fixture;
    struct outcome echoed = {0}, missing = {0};
    struct http_client *client;
    char url[100];
    bool closed = false;

    fixture_start(&fixture, NULL);
    client = http_client_new(&fixture.loop);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/later", fixture.port);
    http_client_send(client,
                     &(struct http_call){.method = "POST",
                                         .url = url,
                                         .content_type = "application/json",
                                         .body = text_of("{\"a\":1}"),
                                         .timeout_ms = 5000},
                     note, &echoed);
    cr_assert_eq(echoed.calls, 0, "never from within");
    run_until(&fixture, &echoed.calls, 1);
    cr_assert_eq(echoed.status, 202);
    cr_assert_str_eq(echoed.body, "{\"a\":1}");

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/nothing", fixture.port);
    http_client_send(client, &(struct http_call){.method = "GET", .url = url, .timeout_ms = 5000},
                     note, &missing);
    run_until(&fixture, &missing.calls, 1);
    cr_assert_eq(missing.status, 404);

    http_client_close(client, mark, &closed);
    fixture_stop(&fixture);
    cr_assert(closed);
}

Test(http_client, a_call_s_own_headers_are_sent_and_a_reply_s_can_be_asked_for)
{
    const struct http_call_header headers[] = {{"Idempotency-Key", "k-1"}, {"Left-Out", NULL}};
    struct fixture fixture;
    struct outcome told = {0};
    struct http_client *client;
    char url[100];
    bool closed = false;

    fixture_start(&fixture, NULL);
    client = http_client_new(&fixture.loop);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/tell/it", fixture.port);
    http_client_send(client,
                     &(struct http_call){.method = "POST",
                                         .url = url,
                                         .headers = headers,
                                         .header_count = ARRAY_LEN(headers),
                                         .body = text_of("x"),
                                         .timeout_ms = 5000},
                     note, &told);
    run_until(&fixture, &told.calls, 1);
    http_client_close(client, mark, &closed);

    cr_assert(strstr(told.body, "|Idempotency-Key|k-1|"), "%s", told.body);
    cr_assert(!strstr(told.body, "Left-Out"), "%s", told.body);
    cr_assert_str_eq(told.type, "text/plain");
    fixture_stop(&fixture);
    cr_assert(closed);
}

/* Reads an answer with so many headers of 1,000 bytes. */
static struct outcome read_headers(size_t many)
{
    CLEANUP(buffer_deinit) struct buffer url = {0};
    struct fixture fixture;
    struct outcome outcome = {0};
    struct http_client *client;
    bool closed = false;

    fixture_start(&fixture, NULL);
    client = http_client_new(&fixture.loop);
    buffer_printf(&url, "http://127.0.0.1:%d/headers?many=", fixture.port);
    for (size_t i = 0; i < many; i++)
        buffer_add_char(&url, 'x');
    buffer_add_char(&url, '\0');
    http_client_send(client,
                     &(struct http_call){.method = "GET", .url = url.at, .timeout_ms = 5000}, note,
                     &outcome);
    run_until(&fixture, &outcome.calls, 1);
    http_client_close(client, mark, &closed);
    fixture_stop(&fixture);
    return outcome;
}

Test(http_client, an_answer_with_more_headers_than_anybody_needs_is_none)
{
    struct outcome fits = read_headers(HTTP_CLIENT_HEADERS_MAX / 1024);
    struct outcome exceeds = read_headers(HTTP_CLIENT_HEADERS_MAX / 1000 + 1);

    cr_assert_eq(fits.status, 200);
    cr_assert_str_eq(fits.body, "ok");
    cr_assert_eq(exceeds.status, 0);
    cr_assert_neq(strlen(exceeds.body), 0);
    cr_assert_str_eq(exceeds.type, "");
}

Test(http_client, no_answer_is_status_0_with_the_reason)
{
    struct fixture fixture;
    struct outcome refused = {0}, slow = {0}, given_up = {0};
    struct http_client *client;
    char url[100];
    bool closed = false;

    fixture_start(&fixture, NULL);
    client = http_client_new(&fixture.loop);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/later", fixture.port);
    http_client_send(
        client,
        &(struct http_call){.method = "GET", .url = "http://127.0.0.1:1/", .timeout_ms = 5000},
        note, &refused);
    http_client_send(
        client,
        &(struct http_call){.method = "POST", .url = url, .body = text_of("{}"), .timeout_ms = 3},
        note, &slow);
    run_until(&fixture, &refused.calls, 1);
    run_until(&fixture, &slow.calls, 1);
    http_client_send(client,
                     &(struct http_call){
                         .method = "POST", .url = url, .body = text_of("{}"), .timeout_ms = 5000},
                     note, &given_up);
    http_client_close(client, mark, &closed);

    cr_assert_eq(refused.status, 0);
    cr_assert_neq(strlen(refused.body), 0);
    cr_assert_eq(slow.status, 0);
    cr_assert_eq(given_up.calls, 1);
    cr_assert_eq(given_up.status, 0);
    fixture_stop(&fixture);
    cr_assert(closed);
}

/* --- blocking, against a server in a thread --- */

struct served {
    struct fixture fixture;
    uv_async_t stop;
    pthread_t thread;
    atomic_bool ready;
    struct metrics *metrics;
};

static bool is_ready(void *context, struct buffer *reason)
{
    struct served *served = context;

    if (!served->ready)
        buffer_add_string(reason, "topic demo.usage is missing: run invoicer topics create");
    return served->ready;
}

static void on_stop(uv_async_t *stop)
{
    uv_close((uv_handle_t *)stop, NULL);
    uv_stop(stop->loop);
}

static void *serve(void *context)
{
    struct served *served = context;

    uv_run(&served->fixture.loop, UV_RUN_DEFAULT);
    return NULL;
}

static void serve_start(struct served *served)
{
    static const struct metric table[] = {
        {"tollway_test_total", "A test's count.", METRIC_COUNTER, NULL, NULL}};

    fixture_start(&served->fixture, NULL);
    served->metrics = metrics_new(table, ARRAY_LEN(table));
    http_serve_operations(served->fixture.server, is_ready, served, served->metrics, "ingest");
    uv_async_init(&served->fixture.loop, &served->stop, on_stop);
    pthread_create(&served->thread, NULL, serve, served);
}

static void serve_stop(struct served *served)
{
    uv_async_send(&served->stop);
    pthread_join(served->thread, NULL);
    fixture_stop(&served->fixture);
    metrics_free(served->metrics);
}

static int get(struct served *served, const char *path, struct buffer *body)
{
    char url[100];
    int status = 0;

    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", served->fixture.port, path);
    buffer_clear(body);
    cr_assert_eq(http_fetch(&(struct http_call){.method = "GET", .url = url, .timeout_ms = 5000},
                            &status, body),
                 0, "%s", fault_text());
    return status;
}

Test(http_client, the_operations_routes_answer)
{
    CLEANUP(buffer_deinit) struct buffer body = {0};
    struct served served = {0};

    serve_start(&served);

    cr_assert_eq(get(&served, "/healthz", &body), 200);
    cr_assert_eq(get(&served, "/readyz", &body), 503);
    cr_assert(contains(&body, "run invoicer topics create"));
    cr_assert(contains(&body, "\"code\":\"not_ready\""));
    served.ready = true;
    cr_assert_eq(get(&served, "/readyz", &body), 200);
    cr_assert_eq(get(&served, "/version", &body), 200);
    cr_assert(contains(&body, "{\"process\":\"ingest\",\"version\":\"" TOLLWAY_VERSION "\"}"));
    metrics_add(served.metrics, 0, 0, 7);
    cr_assert_eq(get(&served, "/metrics", &body), 200);
    cr_assert(contains(&body, "tollway_test_total 7\n"));
    cr_assert(contains(&body, "tollway_http_responses_total{class=\"5xx\"} 1\n"));
    serve_stop(&served);
}

Test(http_client, fetch_faults_when_no_answer_comes)
{
    CLEANUP(buffer_deinit) struct buffer body = {0};
    int status = 77;
    int r = http_fetch(
        &(struct http_call){.method = "GET", .url = "http://127.0.0.1:1/", .timeout_ms = 1000},
        &status, &body);

    cr_assert_eq(r, FAULT_RETRY);
    cr_assert_eq(status, 77);
    cr_assert_eq(
        http_fetch(
            &(struct http_call){.method = "GET", .url = "file:///etc/hostname", .timeout_ms = 1000},
            &status, &body),
        FAULT_RETRY, "no scheme but http and https");
    cr_assert_eq(body.length, 0);
}
