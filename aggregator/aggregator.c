/*
 * aggregator - counts what is on <bucket>.usage, each event once, and answers what was counted.
 *
 * One loop for HTTP, one thread or more that count (edges/consume.h), one that follows the catalog,
 * one that follows the counters. It listens at once and begins to count once the catalog is loaded
 * and the topics are right; /readyz says what is missing. SIGTERM commits, publishes and hands the
 * partitions over; a second signal ends it on the spot, which costs nothing but a replay.
 */
#include "aggregator/settings.h"

#include "aggregator/edges/answer.h"
#include "aggregator/edges/consume.h"
#include "aggregator/edges/inspect.h"
#include "aggregator/edges/measures.h"
#include "aggregator/edges/restore.h"
#include "common/base/fault.h"
#include "common/io/heap.h"
#include "common/io/http.h"
#include "common/io/log.h"
#include "common/io/ready_file.h"
#include "common/io/store.h"
#include "proto/topics.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    TICK_MS = 100,
    CHECK_AGAIN_MS = 3000,
    THREADS_MAX = 64,
    WRONG_BYTES_MAX = 2048,
    INSTANCE_BYTES = 8,
};

struct aggregator {
    const struct aggregator_config *config;
    struct kafka_config kafka_config;
    uv_loop_t loop;
    uv_signal_t term, interrupt;
    uv_timer_t tick;
    uv_async_t failure;
    uv_work_t check;
    struct metrics *metrics;
    struct http_server *server;
    struct answers answers;
    struct catalog_feed *feed;
    struct owned *owned;
    struct peers *peers;
    struct shard_setup setup;
    struct consume *threads[THREADS_MAX];
    char counters_topic[TOPIC_NAME_MAX], rejected_topic[TOPIC_NAME_MAX];
    char usage_topic[TOPIC_NAME_MAX], catalog_topic[TOPIC_NAME_MAX];
    char owner[PEERS_URL_MAX], instance[2 * INSTANCE_BYTES + 1];
    int32_t partitions;
    char wrong[WRONG_BYTES_MAX]; /* with the topics; "" when they are right */
    int64_t check_at_ms;
    bool is_checking, is_right, is_counting, is_http_closed;
    atomic_bool is_ending;
    atomic_int failed_with; /* the fault that ended a thread */
    int status;
};

/* --- ending --- */

static void on_http_closed(void *context)
{
    struct aggregator *aggregator = context;

    aggregator->is_http_closed = true;
}

static void end(struct aggregator *aggregator, int status)
{
    if (aggregator->is_ending)
        return;
    aggregator->is_ending = true;
    aggregator->status = status;
    log_event(LOG_INFO, "ending", NULL);
    http_server_drain(aggregator->server, on_http_closed, aggregator);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct aggregator *aggregator = handle->data;

    (void)number;
    if (aggregator->is_ending)
        _exit(EX_TEMPFAIL);
    end(aggregator, 0);
}

/* From any thread: a part of the process can't go on. */
static void on_failed(void *context, int code)
{
    struct aggregator *aggregator = context;

    aggregator->failed_with = code;
    uv_async_send(&aggregator->failure);
}

/* From a question's thread, whose fault says why. The next start reads all of the store and makes
 * it anew from a snapshot or the log. */
static void on_damaged(void *context, int32_t partition)
{
    struct aggregator *aggregator = context;
    char folder[SHARD_PATH_MAX];

    log_fault(LOG_ERROR, "store_damaged");
    if (shard_folder(aggregator->config->data, aggregator->config->common.bucket, partition,
                     folder))
        restore_suspect(folder);
    on_failed(aggregator, FAULT_STOP);
}

static void on_failure(uv_async_t *async)
{
    struct aggregator *aggregator = async->data;

    end(aggregator, aggregator->failed_with == FAULT_STOP     ? EXIT_STATE_CORRUPT
                    : aggregator->failed_with == FAULT_FENCED ? EXIT_FENCED
                    : aggregator->failed_with == FAULT_DENIED ? EX_NOPERM
                    : aggregator->failed_with == FAULT_REFUSE ? EX_CONFIG
                                                              : EX_TEMPFAIL);
}

static void close_handles(struct aggregator *aggregator)
{
    uv_close((uv_handle_t *)&aggregator->tick, NULL);
    uv_close((uv_handle_t *)&aggregator->failure, NULL);
    uv_close((uv_handle_t *)&aggregator->term, NULL);
    uv_close((uv_handle_t *)&aggregator->interrupt, NULL);
}

/* --- the topics --- */

static struct topic_spec spec_of(enum topic topic, const char *name, int32_t partitions)
{
    return (struct topic_spec){name, partitions, topic_settings(topic), topic_advised(topic)};
}

static void on_check(uv_work_t *work)
{
    struct aggregator *aggregator = work->data;
    struct topic_spec specs[] = {
        spec_of(TOPIC_USAGE, aggregator->usage_topic, aggregator->partitions),
        spec_of(TOPIC_REJECTED, aggregator->rejected_topic, aggregator->partitions),
        spec_of(TOPIC_COUNTERS, aggregator->counters_topic, aggregator->partitions),
        spec_of(TOPIC_CATALOG, aggregator->catalog_topic, 1),
    };
    CLEANUP(buffer_deinit) struct buffer reason = {0};

    aggregator->is_right =
        topics_check(&aggregator->kafka_config, specs, ARRAY_LEN(specs), &reason);
    (void)snprintf(aggregator->wrong, sizeof(aggregator->wrong), "%.*s", (int)reason.length,
                   reason.at ? reason.at : "");
}

static void begin_counting(struct aggregator *aggregator)
{
    struct consume_limits limits = {.commit_events = aggregator->config->commit_events,
                                    .commit_ms = aggregator->config->commit_ms,
                                    .queue_bytes = aggregator->config->queue_bytes};

    aggregator->is_counting = true;
    for (int64_t i = 0; i < aggregator->config->threads; i++)
        aggregator->threads[i] = consume_start(&aggregator->setup, &aggregator->kafka_config,
                                               &limits, on_failed, aggregator);
}

static void on_checked(uv_work_t *work, int status)
{
    struct aggregator *aggregator = work->data;

    (void)status;
    aggregator->is_checking = false;
    aggregator->check_at_ms = (int64_t)uv_now(&aggregator->loop) + CHECK_AGAIN_MS;
    if (aggregator->is_ending)
        return;
    if (aggregator->is_right)
        begin_counting(aggregator);
    else
        log_event(LOG_WARN, "topics_wrong", "reason", aggregator->wrong, NULL);
}

static void on_loaded(struct aggregator *aggregator)
{
    const struct catalog *catalog = catalog_feed_lock(aggregator->feed, NULL);
    struct peers_self self = {.config = &aggregator->kafka_config,
                              .bucket = aggregator->config->common.bucket,
                              .instance = aggregator->instance};

    aggregator->partitions = catalog_partitions(catalog);
    catalog_feed_unlock(aggregator->feed);
    aggregator->owned = self.owned = owned_new(aggregator->partitions);
    aggregator->peers = peers_new(&self, on_failed, aggregator);
    aggregator->answers.peers = aggregator->peers;
    aggregator->answers.owned = aggregator->owned;
    aggregator->setup.partitions = aggregator->partitions;
    aggregator->setup.owned = aggregator->owned;
    aggregator->setup.peers = aggregator->peers;
}

static void go_on(struct aggregator *aggregator)
{
    if (!aggregator->owned && catalog_feed_is_loaded(aggregator->feed))
        on_loaded(aggregator);
    if (!aggregator->owned || aggregator->is_counting || aggregator->is_checking ||
        (int64_t)uv_now(&aggregator->loop) < aggregator->check_at_ms)
        return;
    if (!aggregator->config->common.topics_check) {
        begin_counting(aggregator);
        return;
    }
    aggregator->is_checking = true;
    aggregator->check.data = aggregator;
    if (uv_queue_work(&aggregator->loop, &aggregator->check, on_check, on_checked))
        aggregator->is_checking = false;
}

/* --- readiness and time --- */

/* Marks that a predecessor left on its way out mustn't stand for what isn't loaded yet. */
static bool has_joined(const struct aggregator *aggregator)
{
    for (int64_t i = 0; i < aggregator->config->threads; i++)
        if (!consume_has_joined(aggregator->threads[i]))
            return false;
    return true;
}

static bool knows_owners(const struct aggregator *aggregator)
{
    char url[PEERS_URL_MAX];

    for (int32_t i = 0; i < aggregator->partitions; i++)
        if (!owned_has(aggregator->owned, i) && !peers_owner(aggregator->peers, i, url))
            return false;
    return true;
}

/* Its thread may read the last record between two questions: then nothing is missing any more. */
static void add_missing(const struct aggregator *aggregator, struct buffer *reason)
{
    char missing[CATALOG_FOLLOW_TEXT_MAX];

    catalog_feed_missing(aggregator->feed, missing);
    buffer_add_string(reason, *missing ? missing : "the catalog has been read just now");
}

static bool is_ready(void *context, struct buffer *reason)
{
    const struct aggregator *aggregator = context;

    if (aggregator->is_ending) {
        buffer_add_string(reason, "the aggregator is ending");
    } else if (!aggregator->owned || !catalog_feed_is_loaded(aggregator->feed)) {
        add_missing(aggregator, reason);
    } else if (!aggregator->is_counting) {
        buffer_add_string(reason, aggregator->wrong[0] ? aggregator->wrong
                                                       : "the topics are being checked");
    } else if (!has_joined(aggregator) || !knows_owners(aggregator)) {
        buffer_add_string(reason, "not every partition has an owner yet: the group is forming, or "
                                  "its aggregators are restoring");
    }
    return reason->length == 0;
}

static void on_tick(uv_timer_t *timer)
{
    struct aggregator *aggregator = timer->data;
    CLEANUP(buffer_deinit) struct buffer reason = {0};

    if (aggregator->is_ending) {
        if (aggregator->is_http_closed && !aggregator->is_checking) {
            aggregator->is_http_closed = false;
            close_handles(aggregator);
        }
        return;
    }
    go_on(aggregator);
    metrics_set(aggregator->metrics, MEASURE_READY, 0, is_ready(aggregator, &reason));
}

/* --- beginning --- */

static void watch_signals(struct aggregator *aggregator)
{
    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(&aggregator->loop, &aggregator->term);
    uv_signal_init(&aggregator->loop, &aggregator->interrupt);
    uv_async_init(&aggregator->loop, &aggregator->failure, on_failure);
    uv_timer_init(&aggregator->loop, &aggregator->tick);
    aggregator->term.data = aggregator->interrupt.data = aggregator;
    aggregator->failure.data = aggregator->tick.data = aggregator;
    uv_signal_start(&aggregator->term, on_signal, SIGTERM);
    uv_signal_start(&aggregator->interrupt, on_signal, SIGINT);
    uv_timer_start(&aggregator->tick, on_tick, 0, TICK_MS);
}

static void name_self(struct aggregator *aggregator)
{
    const char *advertise = aggregator->config->common.advertise;
    uint8_t random[INSTANCE_BYTES];

    if (advertise)
        (void)snprintf(aggregator->owner, sizeof(aggregator->owner), "%s", advertise);
    else
        (void)snprintf(aggregator->owner, sizeof(aggregator->owner), "http://%s",
                       http_server_address(aggregator->server));
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        abort();
    for (size_t i = 0; i < sizeof(random); i++)
        (void)snprintf(aggregator->instance + 2 * i, 3, "%02x", random[i]);
}

static void set_up(struct aggregator *aggregator)
{
    const struct aggregator_config *config = aggregator->config;

    aggregator->setup = (struct shard_setup){
        .data = config->data,
        .snapshots = config->snapshots,
        .bucket = config->common.bucket,
        .horizon_ms = config->horizon_ms,
        .map_bytes = config->map_bytes,
        .ids_bytes_max = config->dedup_bytes / config->threads,
        .publish_ms = config->publish_ms,
        .mark_ms = config->mark_ms,
        .snapshot_ms = config->snapshot_ms,
        .feed = aggregator->feed,
        .metrics = aggregator->metrics,
        .counters_topic = aggregator->counters_topic,
        .rejected_topic = aggregator->rejected_topic,
        .usage_topic = aggregator->usage_topic,
        .owner = aggregator->owner,
        .instance = aggregator->instance,
        .is_ending = &aggregator->is_ending,
    };
}

static int begin(struct aggregator *aggregator)
{
    const struct common_config *common = &aggregator->config->common;
    struct http_route routes[ANSWER_ROUTES];
    struct http_limits limits;
    int r;

    common_http_limits(common, &limits);
    aggregator->answers = (struct answers){.loop = &aggregator->loop,
                                           .threads_max = aggregator->config->query_threads,
                                           .bucket = common->bucket,
                                           .kafka = &aggregator->kafka_config,
                                           .catalog = aggregator->feed,
                                           .damaged = on_damaged,
                                           .context = aggregator};
    answer_routes(&aggregator->answers, routes);
    r = http_server_new(&aggregator->loop, common->listen, routes, ANSWER_ROUTES, &limits,
                        &aggregator->server);
    if (r)
        return fault_pass(r);
    http_serve_operations(aggregator->server, is_ready, aggregator, aggregator->metrics,
                          "aggregator");
    name_self(aggregator);
    set_up(aggregator);
    log_event(LOG_INFO, "listening", "address", http_server_address(aggregator->server), NULL);
    return ready_file_write(aggregator->config->common.ready_file,
                            http_server_address(aggregator->server));
}

static void free_all(struct aggregator *aggregator)
{
    for (size_t i = 0; i < THREADS_MAX; i++)
        aggregator->threads[i] = consume_join(aggregator->threads[i]);
    peers_free(aggregator->peers);
    catalog_feed_free(aggregator->feed);
    http_server_free(aggregator->server);
    owned_free(aggregator->owned);
    metrics_free(aggregator->metrics);
}

/* Nothing was opened that would have to be closed, and the catalog's thread may wait for a broker
 * that isn't there, longer than who ended us does. */
static _Noreturn void end_unbegun(const struct aggregator *aggregator)
{
    log_message(LOG_INFO, "ended", "status %d", aggregator->status);
    log_end();
    _exit(aggregator->status);
}

/* As many threads of libuv's pool for peers' questions as for clients': answer.h. */
static void size_pool(int64_t query_threads)
{
    char size[24];

    (void)snprintf(size, sizeof(size), "%lld", (long long)query_threads * 2);
    setenv("UV_THREADPOOL_SIZE", size, 1);
}

/* Before the group is joined, which would give partitions to one that can't keep them. */
static int check_config(const struct aggregator *aggregator)
{
    CLEANUP(buffer_deinit) struct buffer folder = {0};
    int r = kafka_config_check(&aggregator->kafka_config);

    if (r)
        return fault_pass(r);
    buffer_printf(&folder, "%s/%s%c", aggregator->config->data, aggregator->config->common.bucket,
                  0);
    r = store_make_folder(folder.at);
    return r ? fault_pass(r) : 0;
}

static int exit_unstarted(int fault)
{
    log_fault(LOG_ERROR, "not_started");
    return fault == FAULT_RETRY ? EX_UNAVAILABLE : EX_CONFIG;
}

static int serve(void *config, int argc, char **argv)
{
    struct aggregator aggregator = {.config = config};
    const char *bucket = aggregator.config->common.bucket;
    int r;

    (void)argc;
    (void)argv;
    aggregator.kafka_config = (struct kafka_config){
        .brokers = aggregator.config->common.brokers,
        .properties = aggregator.config->common.kafka_config,
        .client_id = "tollway-aggregator",
        .is_hurrying = true,
    };
    topic_name(TOPIC_USAGE, bucket, aggregator.usage_topic);
    topic_name(TOPIC_REJECTED, bucket, aggregator.rejected_topic);
    topic_name(TOPIC_COUNTERS, bucket, aggregator.counters_topic);
    topic_name(TOPIC_CATALOG, bucket, aggregator.catalog_topic);
    r = check_config(&aggregator);
    if (r)
        return exit_unstarted(r);
    size_pool(aggregator.config->query_threads);
    heap_tend();
    uv_loop_init(&aggregator.loop);
    aggregator.metrics = measures_new();
    watch_signals(&aggregator);
    aggregator.feed = catalog_feed_new(&aggregator.kafka_config, bucket, on_failed, &aggregator);
    r = begin(&aggregator);
    if (r)
        return exit_unstarted(r);
    uv_run(&aggregator.loop, UV_RUN_DEFAULT);
    if (!aggregator.owned)
        end_unbegun(&aggregator);
    free_all(&aggregator);
    uv_loop_close(&aggregator.loop);
    log_message(LOG_INFO, "ended", "status %d", aggregator.status);
    return aggregator.status;
}

static int digest(void *config, int argc, char **argv)
{
    const struct aggregator_config *settings = config;

    (void)argc;
    (void)argv;
    return inspect_digest(settings->data, settings->common.bucket);
}

static int verify(void *config, int argc, char **argv)
{
    const struct aggregator_config *settings = config;

    (void)argc;
    (void)argv;
    return inspect_verify(settings->data, settings->common.bucket);
}

int main(int argc, char **argv)
{
    static const struct command commands[] = {
        {.name = "", .arguments = "", .help = "Counts until it is told to end.", .run = serve},
        {.name = "digest",
         .arguments = "",
         .help = "Prints each partition's position and digest, as stored.",
         .run = digest},
        {.name = "verify",
         .arguments = "",
         .help = "Recomputes each partition's digest from its rows and compares; exit 82 when one "
                 "doesn't match. Run it beside a stopped aggregator.",
         .run = verify},
    };
    struct program program = {
        .name = "aggregator",
        .about = "Counts usage from <bucket>.usage, each event exactly once, publishes totals to "
                 "<bucket>.counters, and answers meter queries and the ledger over HTTP.",
        .has_common_settings = true,
        .settings = aggregator_settings,
        .setting_count = aggregator_setting_count,
        .commands = commands,
        .command_count = ARRAY_LEN(commands),
        .config_size = sizeof(struct aggregator_config),
    };

    return program_run(&program, argc, argv);
}
