/*
 * `serve`: the engine on a thread of its own, HTTP on the loop of this one; both meet in the store.
 *
 * SIGTERM and SIGINT drain: the server stops accepting, the engine leaves the group, what is unsent
 * stays in the outbox for the next start.
 */
#include "common/base/fault.h"
#include "common/base/monotonic.h"
#include "common/base/pause.h"
#include "common/io/heap.h"
#include "common/io/http.h"
#include "common/io/log.h"
#include "common/io/ready_file.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/config.h"
#include "invoicer/edges/mirror.h"
#include "invoicer/edges/serve_amends.h"
#include "invoicer/edges/serve_http.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SERVE_STEP_MS = 20,
    RETRY_MS = 500,
    TOPICS_CHECK_MS = 60000,
    TOPICS_WRONG_MS = 1000,
    SERVE_ROUTES_MAX = 16,
};

struct serve {
    const struct invoicer_config *config;
    struct engine *engine;
    pthread_t thread;
    atomic_bool ends;
    atomic_int fault; /* that ended the engine */
    uv_loop_t loop;
    uv_signal_t on_term, on_int;
    uv_async_t on_fault;
    struct http_server *server;
    struct serve_http *http;
    struct serve_amends *amends;
    bool is_draining;

    pthread_mutex_t gate;    /* of the next two */
    struct buffer topics;    /* what is wrong with them; empty: nothing */
    bool topics_are_checked; /* at least once */
    uint64_t topics_at_ms;   /* the engine's thread: when they were checked */
};

/* What is wrong with the topics, if anything. False: it can't be said now. */
static bool judge_topics(struct serve *serve, struct buffer *reason)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    const struct invoicer_config *config = serve->config;
    struct kafka_config kafka = config_kafka(config);
    struct config_topics topics;
    int32_t partitions = 0;

    if (store_begin(engine_store(serve->engine), STORE_READ, &txn) ||
        mirror_partitions(txn, config->common.bucket, &partitions))
        return false;
    store_abort(&txn);
    if (partitions == 0) {
        buffer_add_string(reason, "the bucket has no record: `invoicer topics create` makes it");
        return true;
    }
    config_topics(config, partitions, &topics);
    if (config->common.topics_check && !topics_check(&kafka, topics.specs, TOPIC_COUNT, reason))
        buffer_add_string(reason, " ");
    return true;
}

/* At the start and now and then: topics can be changed under us. */
static void check_topics(struct serve *serve)
{
    uint64_t now = uv_hrtime() / 1000000;
    struct buffer reason = {0};

    if (serve->topics_at_ms && now - serve->topics_at_ms < TOPICS_CHECK_MS)
        return;
    if (!judge_topics(serve, &reason)) {
        buffer_deinit(&reason);
        return;
    }
    serve->topics_at_ms = reason.length ? now - TOPICS_CHECK_MS + TOPICS_WRONG_MS : now;
    pthread_mutex_lock(&serve->gate);
    if (reason.length && !text_equal(buffer_text(&reason), buffer_text(&serve->topics)))
        log_message(LOG_WARN, "topics_wrong", "%.*s", (int)reason.length, reason.at);
    buffer_deinit(&serve->topics);
    serve->topics = reason;
    serve->topics_are_checked = true;
    pthread_mutex_unlock(&serve->gate);
}

static void *run_engine(void *context)
{
    struct serve *serve = context;
    bool was_ill = false;

    while (!atomic_load(&serve->ends)) {
        int r = engine_step(serve->engine, SERVE_STEP_MS);

        check_topics(serve);
        serve_http_measure(serve->http);
        if (r == 0 || r == FAULT_RETRY)
            serve_amends_step(serve->amends);
        if (r == FAULT_RETRY) {
            if (!was_ill)
                log_fault(LOG_WARN, "engine_retries");
            pause_ms(RETRY_MS);
        } else if (r) {
            log_fault(LOG_ERROR, "engine_stopped");
            atomic_store(&serve->fault, r);
            uv_async_send(&serve->on_fault);
            break;
        }
        was_ill = r == FAULT_RETRY;
    }
    serve_amends_stop(serve->amends);
    return NULL;
}

static bool topics_are_right(struct serve *serve, struct buffer *reason)
{
    bool are_right;

    pthread_mutex_lock(&serve->gate);
    are_right = serve->topics_are_checked && serve->topics.length == 0;
    if (!serve->topics_are_checked)
        buffer_add_string(reason, "the topics aren't checked yet");
    buffer_add_text(reason, buffer_text(&serve->topics));
    pthread_mutex_unlock(&serve->gate);
    return are_right;
}

static bool is_ready(void *context, struct buffer *reason)
{
    struct serve *serve = context;
    int64_t acting = 0;

    if (atomic_load(&serve->fault)) {
        buffer_add_string(reason, "the engine has stopped; see the log");
        return false;
    }
    if (books_read_number(engine_store(serve->engine), "tenure/acting", 0, &acting)) {
        buffer_add_string(reason, fault_text());
        return false;
    }
    if (!acting)
        buffer_add_string(reason, "another invoicer acts for the bucket, or none is elected yet");
    return topics_are_right(serve, reason) && acting != 0;
}

static void on_closed(void *context)
{
    struct serve *serve = context;

    uv_close((uv_handle_t *)&serve->on_term, NULL);
    uv_close((uv_handle_t *)&serve->on_int, NULL);
    uv_close((uv_handle_t *)&serve->on_fault, NULL);
    serve_amends_close(serve->amends);
}

static void drain(struct serve *serve)
{
    if (serve->is_draining)
        return;
    serve->is_draining = true;
    log_event(LOG_INFO, "draining", NULL);
    http_server_drain(serve->server, on_closed, serve);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    drain(handle->data);
}

static void on_engine_fault(uv_async_t *handle)
{
    drain(handle->data);
}

static int listen_for_http(struct serve *serve)
{
    struct http_route routes[SERVE_ROUTES_MAX];
    size_t first, second;
    const struct http_route *of_invoices = serve_http_routes(serve->http, &first);
    const struct http_route *of_amends = serve_amends_routes(serve->amends, &second);
    int r;

    assert(first + second <= SERVE_ROUTES_MAX);
    memcpy(routes, of_invoices, first * sizeof(*routes));
    memcpy(routes + first, of_amends, second * sizeof(*routes));
    r = http_server_new(&serve->loop, serve->config->common.listen, routes, first + second,
                        &http_limits_usual, &serve->server);
    return r ? fault_pass(r) : 0;
}

static int start_http(struct serve *serve)
{
    int r = listen_for_http(serve);

    if (r)
        return fault_pass(r);
    http_serve_operations(serve->server, is_ready, serve, serve_http_metrics(serve->http),
                          "invoicer");
    log_event(LOG_INFO, "listening", "address", http_server_address(serve->server), NULL);
    r = ready_file_write(serve->config->common.ready_file, http_server_address(serve->server));
    return r ? fault_pass(r) : 0;
}

static void start_signals(struct serve *serve)
{
    uv_signal_init(&serve->loop, &serve->on_term);
    uv_signal_init(&serve->loop, &serve->on_int);
    uv_async_init(&serve->loop, &serve->on_fault, on_engine_fault);
    serve->on_term.data = serve->on_int.data = serve->on_fault.data = serve;
    uv_signal_start(&serve->on_term, on_signal, SIGTERM);
    uv_signal_start(&serve->on_int, on_signal, SIGINT);
}

static int serve_until_drained(struct serve *serve)
{
    int r;

    uv_loop_init(&serve->loop);
    start_signals(serve);
    serve->http = serve_http_new(engine_store(serve->engine), serve->config->common.bucket);
    serve->amends = serve_amends_new(&serve->loop, serve->engine,
                                     &(struct serve_amends_config){config_kafka(serve->config),
                                                                   serve->config->common.bucket,
                                                                   serve->config->wait_ms});
    r = start_http(serve);
    if (r)
        return fault_pass(r);
    if (pthread_create(&serve->thread, NULL, run_engine, serve))
        return fault(FAULT_STOP, "no thread for the engine");
    uv_run(&serve->loop, UV_RUN_DEFAULT);
    atomic_store(&serve->ends, true);
    pthread_join(serve->thread, NULL);
    serve->server = http_server_free(serve->server);
    serve->http = serve_http_free(serve->http);
    serve->amends = serve_amends_free(serve->amends);
    uv_loop_close(&serve->loop);
    return atomic_load(&serve->fault);
}

/* Topics may be made after this process is started, by hand or by a script. */
static int open_patiently(const struct invoicer_config *config, struct engine **engine)
{
    const struct kafka_config kafka = config_kafka(config);
    int64_t end = monotonic_ms() + config->wait_ms;
    bool is_told = false;
    int r = kafka_config_check(&kafka);

    if (r)
        return fault_pass(r);
    r = config_engine_once(config, ENGINE_ACTS, engine);
    while (r && r != FAULT_DENIED && r != FAULT_REFUSE && monotonic_ms() < end) {
        if (!is_told)
            log_fault(LOG_WARN, "start_waits");
        is_told = true;
        pause_ms(RETRY_MS);
        r = config_engine_once(config, ENGINE_ACTS, engine);
    }
    return r ? fault_pass(r) : 0;
}

int verb_serve(void *context, int argc, char **argv)
{
    struct serve serve = {.config = context, .gate = PTHREAD_MUTEX_INITIALIZER};
    int r;

    (void)argc;
    (void)argv;
    heap_tend();
    r = open_patiently(serve.config, &serve.engine);
    if (!r)
        r = serve_until_drained(&serve);
    engine_close(serve.engine);
    buffer_deinit(&serve.topics);
    if (r < 0)
        return config_exit(r, "serve_failed");
    log_event(LOG_INFO, "stopped", NULL);
    return EX_OK;
}
