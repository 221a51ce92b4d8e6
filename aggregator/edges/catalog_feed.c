#include "aggregator/edges/catalog_feed.h"

#include "common/base/fault.h"
#include "common/io/log.h"
#include "proto/topics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POLL_MS = 100, RETRY_MS = 500, RECORDS_MAX = 500 };

struct catalog_feed {
    const struct kafka_config *config;
    void (*failed)(void *context, int code);
    void *context;
    char topic[TOPIC_NAME_MAX];
    pthread_t thread;
    pthread_rwlock_t lock; /* over all below but the follower, which is the thread's */
    struct catalog *catalog;
    struct follower *follower;
    int64_t next_offset;
    char missing[CATALOG_FEED_TEXT_MAX];
    bool is_loaded;
    atomic_bool is_ending;
};

static void say_missing(struct catalog_feed *feed, const char *text)
{
    bool is_news;

    pthread_rwlock_wrlock(&feed->lock);
    is_news = strcmp(feed->missing, text) != 0;
    (void)snprintf(feed->missing, sizeof(feed->missing), "%s", text);
    pthread_rwlock_unlock(&feed->lock);
    if (is_news && text[0])
        log_event(LOG_WARN, "catalog_not_loaded", "reason", text, NULL);
}

static void apply(struct catalog_feed *feed, const struct kafka_message *record)
{
    const char *reason = "";
    char *key = text_copy(record->key);

    if (catalog_apply(feed->catalog, record->key, record->value, &reason) == CATALOG_MALFORMED)
        log_event(LOG_WARN, "catalog_record_ignored", "reason", reason, "key", key, NULL);
    feed->next_offset = record->offset + 1;
    free(key);
}

static void check_loaded(struct catalog_feed *feed)
{
    bool has_bucket = catalog_has_bucket(feed->catalog);

    if (feed->is_loaded || !follower_is_caught_up(feed->follower))
        return;
    if (!has_bucket) {
        say_missing(feed, "the catalog has no bucket record: make the bucket with `invoicer topics "
                          "create`");
        return;
    }
    pthread_rwlock_wrlock(&feed->lock);
    feed->is_loaded = true;
    feed->missing[0] = '\0';
    pthread_rwlock_unlock(&feed->lock);
}

static void sleep_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&time, NULL);
}

/* False when we aren't let in, or the process ends. */
static bool connect_follower(struct catalog_feed *feed)
{
    while (!feed->is_ending) {
        int r = follower_new(feed->config, feed->topic, NULL, 0, &feed->follower);

        if (r == 0)
            return true;
        say_missing(feed, fault_text());
        if (r == FAULT_DENIED) {
            feed->failed(feed->context, r);
            return false;
        }
        sleep_ms(RETRY_MS);
    }
    return false;
}

static void *follow(void *context)
{
    struct catalog_feed *feed = context;
    struct kafka_message records[RECORDS_MAX];

    if (!connect_follower(feed))
        return NULL;
    while (!feed->is_ending) {
        int count = follower_poll(feed->follower, records, RECORDS_MAX, POLL_MS);

        if (count < 0 && count != FAULT_RETRY) {
            log_fault(LOG_ERROR, "catalog_not_followed");
            feed->failed(feed->context, count);
            return NULL;
        }
        if (count > 0) {
            pthread_rwlock_wrlock(&feed->lock);
            for (int i = 0; i < count; i++)
                apply(feed, &records[i]);
            pthread_rwlock_unlock(&feed->lock);
        }
        check_loaded(feed);
    }
    return NULL;
}

struct catalog_feed *catalog_feed_new(const struct kafka_config *config, const char *bucket,
                                      void (*failed)(void *context, int code), void *context)
{
    struct catalog_feed *feed = calloc(1, sizeof(*feed));

    if (!feed)
        abort();
    feed->config = config;
    feed->failed = failed;
    feed->context = context;
    feed->catalog = catalog_new();
    topic_name(TOPIC_CATALOG, bucket, feed->topic);
    (void)snprintf(feed->missing, sizeof(feed->missing), "%s is being read", feed->topic);
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
    follower_free(feed->follower);
    catalog_free(feed->catalog);
    pthread_rwlock_destroy(&feed->lock);
    free(feed);
    return NULL;
}

bool catalog_feed_is_loaded(struct catalog_feed *feed)
{
    bool is_loaded;

    pthread_rwlock_rdlock(&feed->lock);
    is_loaded = feed->is_loaded;
    pthread_rwlock_unlock(&feed->lock);
    return is_loaded;
}

void catalog_feed_missing(struct catalog_feed *feed, char text[CATALOG_FEED_TEXT_MAX])
{
    pthread_rwlock_rdlock(&feed->lock);
    memcpy(text, feed->missing, CATALOG_FEED_TEXT_MAX);
    pthread_rwlock_unlock(&feed->lock);
}

const struct catalog *catalog_feed_lock(struct catalog_feed *feed, int64_t *next_offset)
{
    pthread_rwlock_rdlock(&feed->lock);
    if (next_offset)
        *next_offset = feed->next_offset;
    return feed->catalog;
}

void catalog_feed_unlock(struct catalog_feed *feed)
{
    pthread_rwlock_unlock(&feed->lock);
}
