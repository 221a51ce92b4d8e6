#include "aggregator/edges/catalog_feed.h"

#include "common/base/fault.h"
#include "common/base/pause.h"
#include "common/io/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 100, RETRY_MS = 500 };

struct catalog_feed {
    void (*failed)(void *context, int code);
    void *context;
    pthread_t thread;
    pthread_rwlock_t lock; /* over the catalog; the thread alone connects and fetches */
    struct catalog_follow *follow;
    atomic_bool is_ending;
};

/* False when we aren't let in, or the process ends. */
static bool connect_follow(struct catalog_feed *feed)
{
    while (!feed->is_ending) {
        int r = catalog_follow_connect(feed->follow);

        if (r == 0)
            return true;
        pthread_rwlock_wrlock(&feed->lock);
        catalog_follow_miss(feed->follow, fault_text());
        pthread_rwlock_unlock(&feed->lock);
        if (r == FAULT_DENIED) {
            feed->failed(feed->context, r);
            return false;
        }
        pause_ms(RETRY_MS);
    }
    return false;
}

static void *follow(void *context)
{
    struct catalog_feed *feed = context;

    if (!connect_follow(feed))
        return NULL;
    while (!feed->is_ending) {
        int count = catalog_follow_fetch(feed->follow, POLL_MS);

        if (count < 0 && count != FAULT_RETRY) {
            log_fault(LOG_ERROR, "catalog_not_followed");
            feed->failed(feed->context, count);
            return NULL;
        }
        pthread_rwlock_wrlock(&feed->lock);
        catalog_follow_apply(feed->follow);
        pthread_rwlock_unlock(&feed->lock);
    }
    return NULL;
}

struct catalog_feed *catalog_feed_new(const struct kafka_config *config, const char *bucket,
                                      void (*failed)(void *context, int code), void *context)
{
    struct catalog_feed *feed = calloc(1, sizeof(*feed));

    if (!feed)
        abort();
    feed->failed = failed;
    feed->context = context;
    feed->follow = catalog_follow_new(config, bucket, CATALOG_CUTS);
    pthread_rwlock_init(&feed->lock, NULL);
    if (pthread_create(&feed->thread, NULL, follow, feed))
        abort();
    return feed;
}

struct catalog_feed *catalog_feed_free(struct catalog_feed *feed)
{
    if (!feed)
        return NULL;
    feed->is_ending = true;
    pthread_join(feed->thread, NULL);
    catalog_follow_free(feed->follow);
    pthread_rwlock_destroy(&feed->lock);
    free(feed);
    return NULL;
}

bool catalog_feed_is_loaded(struct catalog_feed *feed)
{
    bool is_loaded;

    pthread_rwlock_rdlock(&feed->lock);
    is_loaded = catalog_follow_is_loaded(feed->follow);
    pthread_rwlock_unlock(&feed->lock);
    return is_loaded;
}

void catalog_feed_missing(struct catalog_feed *feed, char text[CATALOG_FOLLOW_TEXT_MAX])
{
    pthread_rwlock_rdlock(&feed->lock);
    (void)snprintf(text, CATALOG_FOLLOW_TEXT_MAX, "%s", catalog_follow_missing(feed->follow));
    pthread_rwlock_unlock(&feed->lock);
}

const struct catalog *catalog_feed_lock(struct catalog_feed *feed, int64_t *next_offset)
{
    pthread_rwlock_rdlock(&feed->lock);
    if (next_offset)
        *next_offset = catalog_follow_next_offset(feed->follow);
    return catalog_follow_catalog(feed->follow);
}

void catalog_feed_unlock(struct catalog_feed *feed)
{
    pthread_rwlock_unlock(&feed->lock);
}
