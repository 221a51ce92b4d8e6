#include "aggregator/edges/peers.h"

#include "common/base/fault.h"
#include "common/io/log.h"
#include "proto/counters.h"
#include "proto/topics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POLL_MS = 100, RETRY_MS = 500, RECORDS_MAX = 1000 };

struct overwritten {
    struct overwritten *next;
    char *key;
};

struct peer_slot {
    char url[PEERS_URL_MAX];
    int64_t next_offset;
    struct overwritten *overwritten;
};

struct peers {
    struct peers_self self;
    void (*failed)(void *context, int code);
    void *context;
    char topic[TOPIC_NAME_MAX];
    int32_t partitions;
    pthread_t thread;
    pthread_mutex_t mutex; /* over the slots */
    struct peer_slot *slots;
    size_t overwritten_count;
    struct follower *follower;
    atomic_bool is_ending;
};

static bool is_own(const struct peers *peers, const struct kafka_message *record)
{
    for (size_t i = 0; i < record->header_count; i++)
        if (strcmp(record->headers[i].name, "tollway_owner") == 0)
            return text_is(record->headers[i].value, peers->self.instance);
    return false;
}

static void note_mark(struct peers *peers, int32_t partition, const struct counters_mark *mark)
{
    struct peer_slot *slot = &peers->slots[partition];

    if (mark->next_offset < slot->next_offset)
        return;
    slot->next_offset = mark->next_offset;
    (void)snprintf(slot->url, sizeof(slot->url), "%s", mark->owner);
}

static void note_overwritten(struct peers *peers, const struct kafka_message *record)
{
    struct peer_slot *slot = &peers->slots[record->partition];
    struct overwritten *more;

    if (peers->overwritten_count == PEERS_OVERWRITTEN_MAX)
        return; /* each is also made right by the next event of its window */
    more = malloc(sizeof(*more));
    if (!more)
        abort();
    *more = (struct overwritten){.next = slot->overwritten, .key = text_copy(record->key)};
    slot->overwritten = more;
    peers->overwritten_count++;
}

static void note(struct peers *peers, const struct kafka_message *record)
{
    struct counters_total total;
    struct counters_mark mark;
    const char *reason;

    if (record->partition < 0 || record->partition >= peers->partitions ||
        text_is_absent(record->key))
        return;
    if (text_starts(record->key, "M/")) {
        if (counters_decode(record->key, record->value, &total, &mark, &reason) == COUNTERS_MARK)
            note_mark(peers, record->partition, &mark);
    } else if (!is_own(peers, record) && owned_has(peers->self.owned, record->partition)) {
        note_overwritten(peers, record);
    }
}

static int connect_follower(struct peers *peers)
{
    int64_t *ends = malloc((size_t)peers->partitions * sizeof(*ends));
    int r = FAULT_RETRY;

    if (!ends)
        abort();
    for (int32_t i = 0; i < peers->partitions; i++)
        ends[i] = -1;
    while (!peers->is_ending) {
        struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};

        r = follower_new(peers->self.config, peers->topic, ends, (size_t)peers->partitions,
                         &peers->follower);
        if (r != FAULT_RETRY)
            break;
        nanosleep(&pause, NULL);
    }
    free(ends);
    return r;
}

static void *follow(void *context)
{
    struct peers *peers = context;
    struct kafka_message *records = calloc(RECORDS_MAX, sizeof(*records));
    int r = connect_follower(peers);

    while (!peers->is_ending && (r >= 0 || r == FAULT_RETRY)) {
        r = follower_poll(peers->follower, records, RECORDS_MAX, POLL_MS);
        pthread_mutex_lock(&peers->mutex);
        for (int i = 0; i < r; i++)
            note(peers, &records[i]);
        pthread_mutex_unlock(&peers->mutex);
    }
    free(records);
    if (!peers->is_ending) {
        log_fault(LOG_ERROR, "counters_not_followed");
        peers->failed(peers->context, r);
    }
    return NULL;
}

struct peers *peers_new(const struct peers_self *self, void (*failed)(void *context, int code),
                        void *context)
{
    struct peers *peers = calloc(1, sizeof(*peers));

    if (!peers)
        abort();
    peers->self = *self;
    peers->failed = failed;
    peers->context = context;
    peers->partitions = owned_partitions(self->owned);
    peers->slots = calloc((size_t)peers->partitions, sizeof(*peers->slots));
    if (!peers->slots)
        abort();
    topic_name(TOPIC_COUNTERS, self->bucket, peers->topic);
    pthread_mutex_init(&peers->mutex, NULL);
    if (pthread_create(&peers->thread, NULL, follow, peers))
        abort();
    return peers;
}

struct peers *peers_free(struct peers *peers)
{
    char *key;

    if (!peers)
        return NULL;
    peers->is_ending = true;
    pthread_join(peers->thread, NULL);
    follower_free(peers->follower);
    for (int32_t i = 0; i < peers->partitions; i++)
        while (peers_take_overwritten(peers, i, &key))
            free(key);
    free(peers->slots);
    pthread_mutex_destroy(&peers->mutex);
    free(peers);
    return NULL;
}

bool peers_owner(struct peers *peers, int32_t partition, char url[PEERS_URL_MAX])
{
    bool is_known = false;

    pthread_mutex_lock(&peers->mutex);
    if (partition >= 0 && partition < peers->partitions && peers->slots[partition].url[0]) {
        memcpy(url, peers->slots[partition].url, PEERS_URL_MAX);
        is_known = true;
    }
    pthread_mutex_unlock(&peers->mutex);
    return is_known;
}

bool peers_take_overwritten(struct peers *peers, int32_t partition, char **key)
{
    struct overwritten *taken;

    pthread_mutex_lock(&peers->mutex);
    taken = peers->slots[partition].overwritten;
    if (taken) {
        peers->slots[partition].overwritten = taken->next;
        peers->overwritten_count--;
        *key = taken->key;
    }
    pthread_mutex_unlock(&peers->mutex);
    free(taken);
    return taken != NULL;
}
