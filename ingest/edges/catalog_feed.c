#include "ingest/edges/catalog_feed.h"

#include "common/base/fault.h"
#include "common/io/log.h"
#include "proto/topics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 20, RETRY_MS = 1000, RECORDS_MAX = 500, MISSING_BYTES_MAX = 512 };

struct catalog_feed {
    uv_loop_t *loop;
    const struct kafka_config *config;
    struct catalog_feed_ops ops;
    void *context;
    char topic[TOPIC_NAME_MAX];
    struct catalog *catalog;
    struct follower *follower;
    uv_work_t work; /* connecting */
    uv_timer_t timer;
    int connect_result;
    char missing[MISSING_BYTES_MAX];
    bool is_loaded, is_closed;
};

static void say_missing(struct catalog_feed *feed, const char *text)
{
    if (strcmp(feed->missing, text) == 0)
        return;
    snprintf(feed->missing, sizeof(feed->missing), "%s", text);
    log_event(LOG_WARN, "catalog_not_loaded", "reason", text, NULL);
}

/* --- following --- */

static void apply(struct catalog_feed *feed, const struct kafka_message *record)
{
    const char *reason = "";
    char *key = text_copy(record->key);

    if (catalog_apply(feed->catalog, record->key, record->value, &reason) == CATALOG_MALFORMED)
        log_event(LOG_WARN, "catalog_record_ignored", "reason", reason, "key", key, NULL);
    free(key);
}

static void check_loaded(struct catalog_feed *feed)
{
    if (feed->is_loaded || !follower_is_caught_up(feed->follower))
        return;
    if (!catalog_has_bucket(feed->catalog)) {
        say_missing(feed, "the catalog has no bucket record: make the bucket with `invoicer topics "
                          "create`");
        return;
    }
    feed->is_loaded = true;
    feed->missing[0] = '\0';
    feed->ops.loaded(feed->context);
}

static void on_timer(uv_timer_t *timer)
{
    struct catalog_feed *feed = timer->data;
    struct kafka_message records[RECORDS_MAX];
    int count = follower_poll(feed->follower, records, RECORDS_MAX, 0);

    if (count < 0 && count != FAULT_RETRY) {
        feed->ops.failed(feed->context, count);
        return;
    }
    for (int i = 0; i < count; i++)
        apply(feed, &records[i]);
    check_loaded(feed);
    uv_timer_start(timer, on_timer, count > 0 ? 0 : POLL_MS, 0);
}

/* --- connecting --- */

static void connect_again(uv_timer_t *timer);

/* On a thread of the pool: touches the follower and the result alone. */
static void on_connect(uv_work_t *work)
{
    struct catalog_feed *feed = work->data;

    feed->connect_result = follower_new(feed->config, feed->topic, NULL, 0, &feed->follower);
    if (feed->connect_result)
        snprintf(feed->missing, sizeof(feed->missing), "%s", fault_text());
}

static void on_connected(uv_work_t *work, int status)
{
    struct catalog_feed *feed = work->data;

    (void)status;
    if (feed->is_closed)
        return;
    if (feed->connect_result == 0) {
        uv_timer_start(&feed->timer, on_timer, 0, 0);
        return;
    }
    if (feed->connect_result == FAULT_DENIED) {
        feed->ops.failed(feed->context, fault(FAULT_DENIED, "%s", feed->missing));
        return;
    }
    log_event(LOG_WARN, "catalog_not_followed", "reason", feed->missing, NULL);
    uv_timer_start(&feed->timer, connect_again, RETRY_MS, 0);
}

static void connect_again(uv_timer_t *timer)
{
    struct catalog_feed *feed = timer->data;
    int rc = uv_queue_work(feed->loop, &feed->work, on_connect, on_connected);

    assert(rc == 0);
}

struct catalog_feed *catalog_feed_new(uv_loop_t *loop, const struct kafka_config *config,
                                      const char *bucket, const struct catalog_feed_ops *ops,
                                      void *context)
{
    struct catalog_feed *feed = calloc(1, sizeof(*feed));

    if (!feed)
        abort();
    feed->loop = loop;
    feed->config = config;
    feed->ops = *ops;
    feed->context = context;
    feed->catalog = catalog_new();
    topic_name(TOPIC_CATALOG, bucket, feed->topic);
    snprintf(feed->missing, sizeof(feed->missing), "%s is being read", feed->topic);
    uv_timer_init(loop, &feed->timer);
    feed->timer.data = feed;
    feed->work.data = feed;
    uv_timer_start(&feed->timer, connect_again, 0, 0);
    return feed;
}

void catalog_feed_close(struct catalog_feed *feed)
{
    feed->is_closed = true;
    uv_close((uv_handle_t *)&feed->timer, NULL);
}

struct catalog_feed *catalog_feed_free(struct catalog_feed *feed)
{
    if (!feed)
        return NULL;
    follower_free(feed->follower);
    catalog_free(feed->catalog);
    free(feed);
    return NULL;
}

bool catalog_feed_is_loaded(const struct catalog_feed *feed)
{
    return feed->is_loaded;
}

const struct catalog *catalog_feed_catalog(const struct catalog_feed *feed)
{
    return feed->catalog;
}

const char *catalog_feed_missing(const struct catalog_feed *feed)
{
    return feed->missing;
}
