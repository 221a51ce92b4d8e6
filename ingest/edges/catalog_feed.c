#include "ingest/edges/catalog_feed.h"

#include "common/base/fault.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { POLL_MS = 20, RETRY_MS = 1000 };

struct catalog_feed {
    uv_loop_t *loop;
    struct catalog_feed_ops ops;
    void *context;
    struct catalog_follow *follow;
    uv_work_t work; /* connecting */
    uv_timer_t timer;
    int connect_result;
    char why[CATALOG_FOLLOW_TEXT_MAX]; /* of the result */
    bool is_closed;
};

/* --- following --- */

static void on_timer(uv_timer_t *timer)
{
    struct catalog_feed *feed = timer->data;
    bool was_loaded = catalog_follow_is_loaded(feed->follow);
    int count = catalog_follow_fetch(feed->follow, 0);

    if (count < 0 && count != FAULT_RETRY) {
        feed->ops.failed(feed->context, count);
        return;
    }
    catalog_follow_apply(feed->follow);
    if (!was_loaded && catalog_follow_is_loaded(feed->follow))
        feed->ops.loaded(feed->context);
    uv_timer_start(timer, on_timer, count > 0 ? 0 : POLL_MS, 0);
}

/* --- connecting --- */

static void connect_again(uv_timer_t *timer);

/* On a thread of the pool. */
static void on_connect(uv_work_t *work)
{
    struct catalog_feed *feed = work->data;

    feed->connect_result = catalog_follow_connect(feed->follow);
    if (feed->connect_result)
        (void)snprintf(feed->why, sizeof(feed->why), "%s", fault_text());
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
        feed->ops.failed(feed->context, fault(FAULT_DENIED, "%s", feed->why));
        return;
    }
    catalog_follow_miss(feed->follow, feed->why);
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
    feed->ops = *ops;
    feed->context = context;
    feed->follow = catalog_follow_new(config, bucket, CATALOG_SUBSCRIPTIONS);
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
    if (feed)
        catalog_follow_free(feed->follow);
    free(feed);
    return NULL;
}

const struct catalog_follow *catalog_feed_follow(const struct catalog_feed *feed)
{
    return feed->follow;
}
