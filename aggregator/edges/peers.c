#include "aggregator/edges/peers.h"

#include "common/base/fault.h"
#include "common/base/pause.h"
#include "common/io/log.h"
#include "proto/counters.h"
#include "proto/topics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 100, RETRY_MS = 500, RECORDS_MAX = 1000 };

struct overwritten {
    struct overwritten *next;
    struct peers_overwritten total;
};

struct peer_slot {
    char url[PEERS_URL_MAX];
    int64_t next_offset;
    int64_t followed;                /* of the topic: what is read next */
    bool is_watched, is_catching_up; /* the latter only of a watched one */
    char writer[PEERS_WRITER_BYTES]; /* the owner, here */
    struct overwritten *overwritten;
};

struct peers {
    struct peers_self self;
    struct kafka_config config;
    void (*failed)(void *context, int code);
    void *context;
    char topic[TOPIC_NAME_MAX];
    int32_t partitions;
    pthread_t thread;
    pthread_mutex_t mutex; /* over the slots */
    struct peer_slot *slots;
    size_t overwritten_count;
    uint32_t watches;    /* so many began */
    bool has_to_go_back; /* for one of them: the topic is followed anew from what is read next */
    struct follower *follower;
    atomic_bool is_ending;
};

static bool is_own(const struct peer_slot *slot, const struct kafka_message *record)
{
    for (size_t i = 0; i < record->header_count; i++)
        if (strcmp(record->headers[i].name, "tollway_owner") == 0)
            return text_is(record->headers[i].value, slot->writer);
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

static void note_overwritten(struct peers *peers, const struct kafka_message *record,
                             int64_t next_offset)
{
    struct peer_slot *slot = &peers->slots[record->partition];
    struct overwritten *more = malloc(sizeof(*more));

    if (!more)
        abort();
    *more = (struct overwritten){
        .next = slot->overwritten,
        .total = {.key = text_copy(record->key), .next_offset = next_offset},
    };
    slot->overwritten = more;
    peers->overwritten_count++;
}

static void note(struct peers *peers, const struct kafka_message *record)
{
    struct counters_total total;
    struct counters_mark mark;
    const char *reason;
    struct peer_slot *slot;

    if (record->partition < 0 || record->partition >= peers->partitions)
        return;
    slot = &peers->slots[record->partition];
    slot->followed = record->offset + 1;
    if (!text_starts(record->key, "M/") && (!slot->is_watched || is_own(slot, record)))
        return;
    switch (counters_decode(record->key, record->value, &total, &mark, &reason)) {
    case COUNTERS_MARK:
        note_mark(peers, record->partition, &mark);
        break;
    case COUNTERS_TOTAL:
        note_overwritten(peers, record, total.next_offset);
        break;
    }
}

/* What is followed from an end is so from that very end on, when another partition has the topic
 * followed anew as well. One that is watched only since then may read a little more. Of a partition
 * that doesn't answer it is known later. */
static void note_end(struct peers *peers, int32_t partition)
{
    struct peer_slot *slot = &peers->slots[partition];

    if (slot->followed == PEERS_FROM_END && follower_has_read(peers->follower, partition))
        slot->followed = follower_next_offset(peers->follower, partition);
}

static void note_ends(struct peers *peers)
{
    pthread_mutex_lock(&peers->mutex);
    for (int32_t i = 0; i < peers->partitions; i++)
        note_end(peers, i);
    pthread_mutex_unlock(&peers->mutex);
}

static void say_silent(const struct peers *peers)
{
    int32_t silent = follower_silent(peers->follower);

    if (silent >= 0)
        log_message(LOG_WARN, "counters_not_read",
                    "%s/%d doesn't answer; no mark of it goes out before it is read", peers->topic,
                    (int)silent);
}

static int connect_follower(struct peers *peers)
{
    int64_t *offsets = malloc((size_t)peers->partitions * sizeof(*offsets));
    int r = FAULT_RETRY;

    if (!offsets)
        abort();
    peers->follower = follower_free(peers->follower);
    pthread_mutex_lock(&peers->mutex);
    peers->has_to_go_back = false;
    for (int32_t i = 0; i < peers->partitions; i++)
        offsets[i] = peers->slots[i].followed;
    pthread_mutex_unlock(&peers->mutex);
    while (!peers->is_ending) {
        r = follower_new_partly(&peers->config, peers->topic, offsets, (size_t)peers->partitions,
                                &peers->follower);
        if (r == 0)
            say_silent(peers);
        if (r != FAULT_RETRY)
            break;
        log_fault(LOG_WARN, "counters_not_read"); /* no mark before it is */
        pause_ms(RETRY_MS);
    }
    free(offsets);
    if (r == 0) {
        follower_take_headers(peers->follower);
        note_ends(peers);
    }
    return r;
}

/* What has been read; nothing of it counts when the topic is to be followed anew. */
static void note_all(struct peers *peers, const struct kafka_message *records, int count)
{
    pthread_mutex_lock(&peers->mutex);
    for (int i = 0; i < count && !peers->has_to_go_back; i++)
        note(peers, &records[i]);
    for (int32_t i = 0; i < peers->partitions && !peers->has_to_go_back; i++) {
        note_end(peers, i);
        if (follower_has_read(peers->follower, i))
            peers->slots[i].is_catching_up = false;
    }
    pthread_mutex_unlock(&peers->mutex);
}

enum next_step { STEP_READ, STEP_GO_BACK, STEP_WAIT };

static enum next_step next_step(struct peers *peers)
{
    enum next_step step;

    pthread_mutex_lock(&peers->mutex);
    step = peers->has_to_go_back                               ? STEP_GO_BACK
           : peers->overwritten_count >= PEERS_OVERWRITTEN_MAX ? STEP_WAIT
                                                               : STEP_READ;
    pthread_mutex_unlock(&peers->mutex);
    return step;
}

static void *follow(void *context)
{
    struct peers *peers = context;
    struct kafka_message *records = calloc(RECORDS_MAX, sizeof(*records));
    int r = connect_follower(peers);

    while (!peers->is_ending && (r >= 0 || r == FAULT_RETRY)) {
        switch (next_step(peers)) {
        case STEP_GO_BACK:
            r = connect_follower(peers);
            break;
        case STEP_WAIT:
            pause_ms(POLL_MS);
            break;
        case STEP_READ:
            r = follower_poll(peers->follower, records, RECORDS_MAX, POLL_MS);
            note_all(peers, records, r);
            break;
        }
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
    peers->config = *self->config;
    peers->config.is_hurrying = false; /* small records take four times their bytes */
    peers->failed = failed;
    peers->context = context;
    peers->partitions = owned_partitions(self->owned);
    peers->slots = calloc((size_t)peers->partitions, sizeof(*peers->slots));
    if (!peers->slots)
        abort();
    for (int32_t i = 0; i < peers->partitions; i++)
        peers->slots[i].followed = PEERS_FROM_END;
    topic_name(TOPIC_COUNTERS, self->bucket, peers->topic);
    pthread_mutex_init(&peers->mutex, NULL);
    if (pthread_create(&peers->thread, NULL, follow, peers))
        abort();
    return peers;
}

struct peers *peers_free(struct peers *peers)
{
    if (!peers)
        return NULL;
    peers->is_ending = true;
    pthread_join(peers->thread, NULL);
    follower_free(peers->follower);
    for (int32_t i = 0; i < peers->partitions; i++)
        peers_unwatch(peers, i);
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

static bool take(struct peers *peers, struct peer_slot *slot, struct peers_overwritten *taken)
{
    struct overwritten *first = slot->overwritten;

    if (!first)
        return false;
    slot->overwritten = first->next;
    peers->overwritten_count--;
    *taken = first->total;
    free(first);
    return true;
}

static void forget(struct peers *peers, struct peer_slot *slot)
{
    struct peers_overwritten taken;

    while (take(peers, slot, &taken))
        free(taken.key);
}

void peers_watch(struct peers *peers, int32_t partition, int64_t from,
                 char writer[PEERS_WRITER_BYTES])
{
    struct peer_slot *slot = &peers->slots[partition];

    pthread_mutex_lock(&peers->mutex);
    forget(peers, slot);
    slot->is_watched = slot->is_catching_up = peers->has_to_go_back = true;
    slot->followed = from;
    (void)snprintf(slot->writer, sizeof(slot->writer), "%s-%x", peers->self.instance,
                   (unsigned)++peers->watches);
    memcpy(writer, slot->writer, PEERS_WRITER_BYTES);
    pthread_mutex_unlock(&peers->mutex);
}

void peers_unwatch(struct peers *peers, int32_t partition)
{
    struct peer_slot *slot = &peers->slots[partition];

    pthread_mutex_lock(&peers->mutex);
    forget(peers, slot);
    slot->is_watched = slot->is_catching_up = false;
    pthread_mutex_unlock(&peers->mutex);
}

bool peers_take_overwritten(struct peers *peers, int32_t partition, struct peers_overwritten *taken,
                            int64_t *followed)
{
    struct peer_slot *slot = &peers->slots[partition];
    bool is_there;

    pthread_mutex_lock(&peers->mutex);
    is_there = take(peers, slot, taken);
    if (!is_there)
        *followed = slot->is_catching_up ? PEERS_CATCHING_UP : slot->followed;
    pthread_mutex_unlock(&peers->mutex);
    return is_there;
}
