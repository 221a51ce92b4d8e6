#include "common/catalog/catalog_follow.h"

#include "common/base/fault.h"
#include "common/io/log.h"
#include "proto/topics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS_MAX = 500 };

struct catalog_follow {
    const struct kafka_config *config;
    char topic[TOPIC_NAME_MAX];
    struct follower *follower;
    struct kafka_message records[RECORDS_MAX];
    int count; /* of records that were fetched */
    struct catalog *catalog;
    int64_t next_offset;
    char missing[CATALOG_FOLLOW_TEXT_MAX];
    bool is_loaded;
};

struct catalog_follow *catalog_follow_new(const struct kafka_config *config, const char *bucket,
                                          enum catalog_extent extent)
{
    struct catalog_follow *follow = calloc(1, sizeof(*follow));

    if (!follow)
        abort();
    follow->config = config;
    follow->catalog = catalog_new(extent);
    topic_name(TOPIC_CATALOG, bucket, follow->topic);
    (void)snprintf(follow->missing, sizeof(follow->missing), "%s is being read", follow->topic);
    return follow;
}

struct catalog_follow *catalog_follow_free(struct catalog_follow *follow)
{
    if (!follow)
        return NULL;
    follower_free(follow->follower);
    catalog_free(follow->catalog);
    free(follow);
    return NULL;
}

void catalog_follow_miss(struct catalog_follow *follow, const char *why)
{
    if (strcmp(follow->missing, why) == 0)
        return;
    (void)snprintf(follow->missing, sizeof(follow->missing), "%s", why);
    log_event(LOG_WARN, "catalog_not_loaded", "reason", why, NULL);
}

int catalog_follow_connect(struct catalog_follow *follow)
{
    int r = follower_new(follow->config, follow->topic, NULL, 0, &follow->follower);

    return r ? fault_pass(r) : 0;
}

int catalog_follow_fetch(struct catalog_follow *follow, int timeout_ms)
{
    int count = follower_poll(follow->follower, follow->records, RECORDS_MAX, timeout_ms);

    follow->count = count < 0 ? 0 : count;
    return count < 0 ? fault_pass(count) : count;
}

static void apply(struct catalog_follow *follow, const struct kafka_message *record)
{
    const char *reason = "";
    char *key = text_copy(record->key);

    if (catalog_apply(follow->catalog, record->key, record->value, &reason) == CATALOG_MALFORMED)
        log_event(LOG_WARN, "catalog_record_ignored", "reason", reason, "key", key, NULL);
    follow->next_offset = record->offset + 1;
    free(key);
}

void catalog_follow_apply(struct catalog_follow *follow)
{
    for (int i = 0; i < follow->count; i++)
        apply(follow, &follow->records[i]);
    follow->count = 0;
    if (follow->is_loaded || !follower_is_caught_up(follow->follower))
        return;
    if (!catalog_has_bucket(follow->catalog)) {
        catalog_follow_miss(follow, "the catalog has no bucket record: make the bucket with "
                                    "`invoicer topics create`");
        return;
    }
    follow->is_loaded = true;
    follow->missing[0] = '\0';
}

bool catalog_follow_is_loaded(const struct catalog_follow *follow)
{
    return follow->is_loaded;
}

const struct catalog *catalog_follow_catalog(const struct catalog_follow *follow)
{
    return follow->catalog;
}

int64_t catalog_follow_next_offset(const struct catalog_follow *follow)
{
    return follow->next_offset;
}

const char *catalog_follow_missing(const struct catalog_follow *follow)
{
    return follow->missing;
}
