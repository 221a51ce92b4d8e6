/*
 * ingest - takes usage events in, over HTTP and from Kafka, and writes what is acceptable to
 * <bucket>.usage.
 *
 * One loop. It listens at once, and takes events in once the catalog is loaded and the topics are
 * right; /readyz says what is missing. SIGTERM drains: no new connections, requests under way are
 * answered, batches are flushed, offsets committed. A second signal ends it on the spot: nothing
 * durable is its own.
 */
#include "ingest/settings.h"

#include "common/base/fault.h"
#include "common/io/heap.h"
#include "common/io/log.h"
#include "common/io/ready_file.h"
#include "ingest/edges/catalog_feed.h"
#include "ingest/edges/intake_http.h"
#include "ingest/edges/intake_kafka.h"
#include "ingest/edges/topics_watch.h"
#include "proto/topics.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    TICK_MS = 200,
    DRAIN_TICK_MS = 20,
    LAST_WAIT_MS = 2000, /* for a question to the broker that is still unanswered at the end */
};

struct ingest {
    const struct ingest_config *config;
    struct kafka_config kafka_config;
    uv_loop_t loop;
    uv_signal_t term, interrupt;
    uv_timer_t tick, last;
    struct metrics *metrics;
    struct producer *producer;
    struct delivery *delivery;
    struct intake intake;
    struct intake_http http;
    struct intake_kafka *kafka; /* NULL: not read yet, or not at all */
    struct http_server *server;
    struct catalog_feed *feed;
    struct topics_watch *watch;
    char usage_topic[TOPIC_NAME_MAX], rejected_topic[TOPIC_NAME_MAX];
    int32_t partitions;
    uint8_t seed[FINGERPRINT_SEED_BYTES];
    enum catalog_hash hash;
    int64_t drain_until_ms;
    int status;
    bool is_draining, is_http_closed, is_over;
};

/* --- ending --- */

static void on_http_closed(void *context)
{
    struct ingest *ingest = context;

    ingest->is_http_closed = true;
}

static void drain(struct ingest *ingest, int status)
{
    if (ingest->is_draining)
        return;
    ingest->is_draining = true;
    ingest->status = status;
    ingest->drain_until_ms = (int64_t)uv_now(&ingest->loop) + ingest->config->drain_ms;
    log_event(LOG_INFO, "draining", NULL);
    if (ingest->kafka)
        intake_kafka_stop(ingest->kafka);
    http_server_drain(ingest->server, on_http_closed, ingest);
    delivery_flush(ingest->delivery);
    uv_timer_set_repeat(&ingest->tick, DRAIN_TICK_MS);
    uv_timer_again(&ingest->tick);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct ingest *ingest = handle->data;

    (void)number;
    if (ingest->is_draining)
        _exit(EX_TEMPFAIL);
    drain(ingest, 0);
}

static void on_failed(void *context, int code)
{
    log_fault(LOG_ERROR, "stopping");
    drain(context, code == FAULT_RETRY    ? EX_TEMPFAIL
                   : code == FAULT_FENCED ? EXIT_FENCED
                   : code == FAULT_DENIED ? EX_NOPERM
                                          : EX_SOFTWARE);
}

/* The broker owes an answer to a thread of the pool: it isn't waited for. */
static void on_last(uv_timer_t *timer)
{
    struct ingest *ingest = timer->data;

    _exit(ingest->status);
}

static void close_all(struct ingest *ingest)
{
    ingest->is_over = true;
    if (ingest->kafka)
        intake_kafka_close(ingest->kafka);
    if (ingest->watch)
        topics_watch_close(ingest->watch);
    catalog_feed_close(ingest->feed);
    delivery_close(ingest->delivery);
    uv_close((uv_handle_t *)&ingest->tick, NULL);
    uv_close((uv_handle_t *)&ingest->term, NULL);
    uv_close((uv_handle_t *)&ingest->interrupt, NULL);
    uv_timer_start(&ingest->last, on_last, LAST_WAIT_MS, 0);
    uv_unref((uv_handle_t *)&ingest->last);
}

static void drain_on(struct ingest *ingest)
{
    bool is_late = (int64_t)uv_now(&ingest->loop) >= ingest->drain_until_ms;

    delivery_flush(ingest->delivery);
    if (is_late && delivery_unsettled(ingest->delivery) > 0) {
        intake_http_expire_all(&ingest->http);
        ingest->status = EX_TEMPFAIL;
    }
    if ((ingest->is_http_closed && delivery_unsettled(ingest->delivery) == 0) || is_late)
        close_all(ingest);
}

/* --- time --- */

static void set_gauges(struct ingest *ingest, bool is_ready)
{
    struct metrics *metrics = ingest->metrics;

    metrics_set(metrics, MEASURE_IN_FLIGHT_BYTES, 0, delivery_in_flight_bytes(ingest->delivery));
    metrics_set(metrics, MEASURE_UNCONFIRMED, 0, producer_unconfirmed(ingest->producer));
    metrics_set(metrics, MEASURE_WAITING_REQUESTS, 0, (int64_t)ingest->http.waiting);
    metrics_set(metrics, MEASURE_BROKER_CONNECTED, 0, producer_is_connected(ingest->producer));
    metrics_set(metrics, MEASURE_CATALOG_SUBSCRIPTIONS, 0,
                (int64_t)catalog_subscription_count(
                    catalog_follow_catalog(catalog_feed_follow(ingest->feed))));
    metrics_set(metrics, MEASURE_READY, 0, is_ready);
}

/* Why events aren't taken in though the catalog is loaded. */
static const char *why_closed(const struct ingest *ingest)
{
    const char *wrong = ingest->watch ? topics_watch_wrong(ingest->watch) : "";

    return *wrong ? wrong : "the bucket's record has changed: ingest is about to end";
}

static bool is_ready(void *context, struct buffer *reason)
{
    const struct ingest *ingest = context;

    if (ingest->is_draining)
        buffer_add_string(reason, "ingest is ending");
    else if (!catalog_follow_is_loaded(catalog_feed_follow(ingest->feed)))
        buffer_add_string(reason, catalog_follow_missing(catalog_feed_follow(ingest->feed)));
    else if (!intake_is_open(&ingest->intake))
        buffer_add_string(reason, why_closed(ingest));
    else if (!delivery_is_connected(ingest->delivery, ingest->config->broker_grace_ms))
        buffer_printf(reason, "no Kafka broker answers at %s: start it, or correct `brokers`",
                      ingest->config->common.brokers);
    return reason->length == 0;
}

/* Partitions, seed and hash decide where an event is counted and what it is known by. */
static void check_bucket(struct ingest *ingest)
{
    const struct catalog *catalog = catalog_follow_catalog(catalog_feed_follow(ingest->feed));

    if (ingest->partitions == 0)
        return;
    if (catalog_has_bucket(catalog) && catalog_partitions(catalog) == ingest->partitions &&
        memcmp(catalog_seed(catalog), ingest->seed, sizeof(ingest->seed)) == 0 &&
        catalog_hash(catalog) == ingest->hash)
        return;
    on_failed(ingest,
              fault(FAULT_STOP, "the bucket's record has changed its partitions, seed or hash: "
                                "restart every process of the bucket"));
}

static void on_tick(uv_timer_t *timer)
{
    struct ingest *ingest = timer->data;
    CLEANUP(buffer_deinit) struct buffer reason = {.length = 0};

    delivery_poll(ingest->delivery);
    intake_http_expire(&ingest->http);
    set_gauges(ingest, is_ready(ingest, &reason));
    if (ingest->is_draining)
        drain_on(ingest);
    else
        check_bucket(ingest);
}

/* --- beginning --- */

static void on_topics_right(void *context)
{
    struct ingest *ingest = context;
    int r;

    intake_open(&ingest->intake, catalog_follow_catalog(catalog_feed_follow(ingest->feed)));
    log_message(
        LOG_INFO, "open", "%zu subscriptions, %d partitions",
        catalog_subscription_count(catalog_follow_catalog(catalog_feed_follow(ingest->feed))),
        ingest->partitions);
    if (!ingest->config->kafka_intake || ingest->is_draining)
        return;
    r = intake_kafka_new(&ingest->loop, &ingest->intake, &ingest->kafka_config,
                         ingest->config->common.bucket, on_failed, ingest, &ingest->kafka);
    if (r)
        on_failed(ingest, r);
}

static void on_loaded(void *context)
{
    struct ingest *ingest = context;
    const struct catalog *catalog = catalog_follow_catalog(catalog_feed_follow(ingest->feed));

    ingest->partitions = catalog_partitions(catalog);
    memcpy(ingest->seed, catalog_seed(catalog), sizeof(ingest->seed));
    ingest->hash = catalog_hash(catalog);
    delivery_set_partitions(ingest->delivery, ingest->partitions);
    if (ingest->config->common.topics_check)
        ingest->watch =
            topics_watch_new(&ingest->loop, &ingest->kafka_config, ingest->config->common.bucket,
                             ingest->partitions, on_topics_right, ingest);
    else
        on_topics_right(ingest);
}

static void watch_signals(struct ingest *ingest)
{
    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(&ingest->loop, &ingest->term);
    uv_signal_init(&ingest->loop, &ingest->interrupt);
    ingest->term.data = ingest;
    ingest->interrupt.data = ingest;
    uv_signal_start(&ingest->term, on_signal, SIGTERM);
    uv_signal_start(&ingest->interrupt, on_signal, SIGINT);
    uv_timer_init(&ingest->loop, &ingest->tick);
    uv_timer_init(&ingest->loop, &ingest->last);
    ingest->tick.data = ingest;
    ingest->last.data = ingest;
    uv_timer_start(&ingest->tick, on_tick, 0, TICK_MS);
}

static int listen_http(struct ingest *ingest)
{
    struct intake_http_config config = {
        .loop = &ingest->loop,
        .answer_ms = ingest->config->answer_ms,
        .broker_grace_ms = ingest->config->broker_grace_ms,
        .key_rate = ingest->config->key_rate,
    };
    struct http_limits limits;
    struct http_route route;
    int r;

    common_http_limits(&ingest->config->common, &limits);
    intake_http_init(&ingest->http, &ingest->intake, &config);
    route = intake_http_route(&ingest->http);
    r = http_server_new(&ingest->loop, ingest->config->common.listen, &route, 1, &limits,
                        &ingest->server);
    if (r)
        return fault_pass(r);
    http_serve_operations(ingest->server, is_ready, ingest, ingest->metrics, "ingest");
    log_event(LOG_INFO, "listening", "address", http_server_address(ingest->server), NULL);
    return ready_file_write(ingest->config->common.ready_file, http_server_address(ingest->server));
}

static void wire(struct ingest *ingest)
{
    const struct ingest_config *config = ingest->config;
    struct delivery_config delivery = {
        .limits = {.events = (size_t)config->batch_events,
                   .bytes = (size_t)config->batch_bytes,
                   .linger_ms = config->linger_ms},
        .in_flight_bytes_max = config->queue_bytes,
        .usage_topic = ingest->usage_topic,
        .rejected_topic = ingest->rejected_topic,
    };
    struct intake_limits limits = {.single_bytes = (size_t)config->single_bytes,
                                   .body_bytes = (size_t)config->body_bytes,
                                   .request_events = (size_t)config->request_events};
    struct span future = {.ns = config->future_ms * 1000000};
    static const struct catalog_feed_ops ops = {.loaded = on_loaded, .failed = on_failed};

    topic_name(TOPIC_USAGE, config->common.bucket, ingest->usage_topic);
    topic_name(TOPIC_REJECTED, config->common.bucket, ingest->rejected_topic);
    ingest->metrics = measures_new();
    ingest->delivery = delivery_new(&ingest->loop, ingest->producer, &delivery, ingest->metrics);
    intake_init(&ingest->intake, &limits, ingest->delivery, ingest->metrics, future);
    ingest->feed =
        catalog_feed_new(&ingest->loop, &ingest->kafka_config, config->common.bucket, &ops, ingest);
    watch_signals(ingest);
}

static int begin(struct ingest *ingest)
{
    /* Kafka is waited for as long as it takes: requests have a timeout of their own, and records of
     * `events` must not be given up. */
    const int64_t no_timeout_ms = INT32_MAX;
    int r;

    ingest->kafka_config = (struct kafka_config){
        .brokers = ingest->config->common.brokers,
        .properties = ingest->config->common.kafka_config,
        .client_id = "tollway-ingest",
        .is_packed = true,
    };
    r = producer_new(&ingest->kafka_config, 2 * ingest->config->queue_bytes, no_timeout_ms,
                     &ingest->producer);
    if (r)
        return fault_pass(r);
    wire(ingest);
    r = listen_http(ingest);
    return r ? fault_pass(r) : 0;
}

static void free_all(struct ingest *ingest)
{
    producer_free(ingest->producer); /* what isn't confirmed is given up, and told */
    intake_kafka_free(ingest->kafka);
    topics_watch_free(ingest->watch);
    catalog_feed_free(ingest->feed);
    http_server_free(ingest->server);
    intake_http_deinit(&ingest->http);
    intake_deinit(&ingest->intake);
    delivery_free(ingest->delivery);
    metrics_free(ingest->metrics);
}

static int run(void *config, int argc, char **argv)
{
    struct ingest ingest = {.config = config};
    int r;

    (void)argc;
    (void)argv;
    heap_tend();
    uv_loop_init(&ingest.loop);
    r = begin(&ingest);
    if (r) {
        log_fault(LOG_ERROR, "not_started");
        return r == FAULT_RETRY ? EX_UNAVAILABLE : EX_CONFIG;
    }
    uv_run(&ingest.loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&ingest.last, NULL);
    uv_run(&ingest.loop, UV_RUN_DEFAULT);
    free_all(&ingest);
    uv_loop_close(&ingest.loop);
    log_message(LOG_INFO, "ended", "status %d", ingest.status);
    return ingest.status;
}

int main(int argc, char **argv)
{
    static const struct command command = {
        .name = "",
        .arguments = "",
        .help = "Takes usage events in until it is told to end.",
        .run = run,
    };
    static const struct program program = {
        .name = "ingest",
        .about = "Takes usage events in over HTTP (POST /v1/events) and from <bucket>.events, "
                 "checks each against the catalog, and writes what is acceptable to "
                 "<bucket>.usage, packed. An event is acknowledged once Kafka has it.",
        .has_common_settings = true,
        .commands = &command,
        .command_count = 1,
        .config_size = sizeof(struct ingest_config),
    };
    struct program whole = program;

    whole.settings = ingest_settings;
    whole.setting_count = ingest_setting_count;
    return program_run(&whole, argc, argv);
}
