#include "aggregator/edges/consume.h"

#include "aggregator/edges/measures.h"
#include "aggregator/rules/pace.h"
#include "common/base/fault.h"
#include "common/base/monotonic.h"
#include "common/base/pause.h"
#include "common/io/log.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MESSAGES_MAX = 1000,
    ROUND_BYTES = 4 << 20, /* of messages: some 90,000 events, or 20 ms */
    POLL_MS = 20,
    RETRY_MS = 200,
    GAUGES_MS = 1000,
    GROUP_MAX = 96,
    SHORT_LOG_MS = 10000,
    SETTLE_MS = 5000,   /* for all partitions that are handed over together */
    TOGETHER_MS = 1000, /* one after the other without a longer pause */
    MAKE_ROOM_MS = 200,
    CELLS_BYTES_MAX = 256 << 20, /* then commit: old events of many minutes take a chunk each */
    NEW_SERIES_MAX = 25000,      /* what is first met costs a commit most: ten times a counter */
    IDLE_PUBLISH_MS = 50,        /* a round's time for totals when nothing came */
    BUSY_PUBLISH_MS = 2,         /* saved up to, out of a tenth, while something comes */
    BUSY_PUBLISH_SHARE = 10,
    BEHIND_PUBLISH_SHARE = 5 /* of that: who is behind sends most of it again soon */
};
enum { GAUGES = 6 };

struct consume {
    const struct shard_setup *setup;
    const struct kafka_config *config;
    struct consume_limits limits;
    void (*failed)(void *context, int code);
    void *context;
    pthread_t thread;
    struct producer *producer;
    struct consumer *consumer;
    struct usage_reader *reader;
    struct shard **shards;       /* by partition; NULL: not ours */
    struct published *published; /* by partition */
    struct kafka_message *messages;
    int64_t settled_ms, settle_until_ms;
    int64_t tended_ns; /* when the totals last had their time */
    int32_t turn;      /* the partition whose totals come first */
    bool has_waited;   /* since the last poll, for what FAULT_RETRY is about */
    atomic_bool has_joined;
    int64_t gauges_ms;
    int64_t room_ms;        /* when the ids last had room enough */
    int64_t gauges[GAUGES]; /* this thread's part of each */
};

/* FAULT_RETRY waits a little and is then as good as done; other faults are forwarded. */
static int wait_on_retry(struct consume *consume, int r)
{
    if (r != FAULT_RETRY)
        return r;
    consume->has_waited = true;
    log_fault(LOG_WARN, "waiting");
    metrics_add(consume->setup->metrics, MEASURE_RETRIES, 0, 1);
    producer_poll(consume->producer, 0);
    pause_ms(RETRY_MS);
    return 0;
}

/* --- gauges: each thread adds what its part has changed by --- */

static void set_part(struct consume *consume, size_t gauge, enum measure measure, int64_t value)
{
    metrics_add(consume->setup->metrics, measure, 0, value - consume->gauges[gauge]);
    consume->gauges[gauge] = value;
}

/* Messages in the partition's log from that offset on, at the last fetch; -1 before the first. */
static int64_t unread_from(struct consume *consume, const struct shard *shard, int64_t offset)
{
    int64_t end;

    if (consumer_end_offset(consume->consumer, shard->partition, &end))
        return -1;
    return end > offset ? end - offset : 0;
}

/* What isn't committed. Before the first fetch it is unknown, and never said to be nothing. */
static int64_t lag_of(struct consume *consume, const struct shard *shard)
{
    int64_t lag = unread_from(consume, shard, shard->vault.state.next_offset);

    if (lag >= 0)
        return lag;
    consume->gauges_ms = 0; /* look again in the next round */
    return 1;
}

static void set_gauges(struct consume *consume)
{
    int64_t values[GAUGES] = {0};

    for (int32_t i = 0; i < consume->setup->partitions; i++) {
        const struct shard *shard = consume->shards[i];
        struct account_counts sum;

        if (!shard)
            continue;
        sum = shard->tally->ledger.sum;
        values[0] +=
            (int64_t)(sum.accepted - sum.counted - sum.duplicate - sum.rejected - sum.late);
        values[1] += lag_of(consume, shard);
        values[2]++;
        values[4] += (int64_t)numbered_bytes(&shard->tally->numbered);
        values[5] += store_bytes_used(shard->vault.store);
        for (struct day *day = days_next(&shard->tally->days, INT32_MIN); day;
             day = days_next(&shard->tally->days, (int64_t)day->number + 1)) {
            values[3] += (int64_t)day_ids_count(day);
            values[4] += (int64_t)day_ids_bytes(day);
        }
    }
    set_part(consume, 0, MEASURE_CONSERVATION_DIFFERENCE, values[0]);
    set_part(consume, 1, MEASURE_LAG, values[1]);
    set_part(consume, 2, MEASURE_PARTITIONS, values[2]);
    set_part(consume, 3, MEASURE_DEDUP_ENTRIES, values[3]);
    set_part(consume, 4, MEASURE_DEDUP_BYTES, values[4]);
    set_part(consume, 5, MEASURE_STORE_BYTES, values[5]);
}

/* --- partitions come and go --- */

static int on_assigned(void *context, int32_t partition, int64_t *offset)
{
    struct consume *consume = context;
    int r = shard_open(consume->setup, partition, consume->producer, &consume->published[partition],
                       monotonic_ms(), &consume->shards[partition]);

    if (r)
        return fault_pass(r);
    metrics_add(consume->setup->metrics, MEASURE_REBALANCES, 0, 1);
    set_gauges(consume);
    *offset = shard_start(consume->shards[partition]);
    if (*offset == 0)
        *offset = -2;
    return 0;
}

/* Of a broker that is gone, each partition would wait for as long as the first; what isn't sent in
 * time the next owner sends. */
static int settle(struct consume *consume, struct shard *shard)
{
    int64_t now_ms = monotonic_ms();
    int r;

    if (now_ms - consume->settled_ms > TOGETHER_MS)
        consume->settle_until_ms = now_ms + SETTLE_MS;
    r = shard_settle(shard, now_ms,
                     consume->settle_until_ms > now_ms ? (int)(consume->settle_until_ms - now_ms)
                                                       : 0);
    consume->settled_ms = monotonic_ms();
    return r ? fault_pass(r) : 0;
}

/* A partition that is lost may be somebody else's by now: what isn't committed is read again there.
 */
static void on_revoked(void *context, int32_t partition, bool lost)
{
    struct consume *consume = context;
    struct shard *shard = consume->shards[partition];
    int r = lost ? 0 : settle(consume, shard);

    if (r)
        log_fault(LOG_WARN, "handed_over_uncommitted");
    log_message(LOG_INFO, lost ? "partition_lost" : "partition_revoked",
                "partition %d at offset %lld", partition,
                (long long)shard->vault.state.next_offset);
    metrics_add(consume->setup->metrics, MEASURE_REBALANCES, lost ? 2 : 1, 1);
    consume->shards[partition] = shard_close(shard);
}

/* --- a round --- */

static int take(struct consume *consume, const struct kafka_message *message)
{
    struct shard *shard = consume->shards[message->partition];
    int r;

    if (!shard)
        return 0;
    do
        r = wait_on_retry(consume, shard_take(shard, consume->reader, message, monotonic_ms()));
    while (r == 0 && !shard->is_torn && shard->tally->next_offset <= message->offset &&
           !*consume->setup->is_ending);
    return r ? fault_pass(r) : 0;
}

static int64_t at_most(int64_t value, int64_t most)
{
    return value < most ? value : most;
}

static int64_t commit_interval_ms(const struct consume *consume)
{
    int64_t commits_cpu_ms = 0;

    for (int32_t i = 0; i < consume->setup->partitions; i++)
        if (consume->shards[i] && consume->shards[i]->tally->pending > 0)
            commits_cpu_ms += consume->shards[i]->commit_cpu_ms;
    return pace_interval_ms(consume->limits.commit_ms, commits_cpu_ms);
}

static bool is_time(struct consume *consume, const struct shard *shard, int64_t now_ms,
                    int64_t interval_ms)
{
    struct pace pace = {.messages = (int64_t)shard->tally->pending,
                        .ms = now_ms - shard->pending_ms,
                        .unread = unread_from(consume, shard, shard->tally->next_offset)};

    return pace_is_due(&pace, interval_ms);
}

static bool is_due(struct consume *consume, const struct shard *shard, int64_t now_ms,
                   int64_t interval_ms)
{
    if (shard->tally->pending == 0)
        return false;
    return (int64_t)shard->tally->pending_events >= consume->limits.commit_events ||
           shard->tally->series.count - shard->tally->series_committed >= NEW_SERIES_MAX ||
           cells_bytes(&shard->tally->cells) >= CELLS_BYTES_MAX ||
           shard->tally->numbered.count >= NUMBERED_HELD_MAX ||
           is_time(consume, shard, now_ms, interval_ms);
}

static int commit_due(struct consume *consume)
{
    int64_t now_ms = monotonic_ms(), interval_ms = commit_interval_ms(consume);

    for (int32_t i = 0; i < consume->setup->partitions; i++) {
        struct shard *shard = consume->shards[i];
        int r;

        if (!shard)
            continue;
        if (is_due(consume, shard, now_ms, interval_ms)) {
            r = shard_commit(shard);
            if (!shard->is_torn)
                r = wait_on_retry(consume, r);
            if (r)
                return fault_pass(r);
            consumer_commit(consume->consumer, i, shard->vault.state.next_offset);
        }
    }
    return 0;
}

/* Has the partition more before it than a quarter of what it has counted since it last began to
 * publish? Before it first does hardly: that mark tells who owns it. */
static bool is_behind(struct consume *consume, const struct shard *shard)
{
    int64_t next = shard->tally->next_offset;

    return pace_is_behind(next - shard->publisher.mark.next_offset,
                          unread_from(consume, shard, next));
}

/* What a partition's totals get of the time while nothing comes, or their share while it does. What
 * isn't committed yet changes them again. */
static int64_t part_of(struct consume *consume, const struct shard *shard, bool is_idle,
                       int64_t share_ns)
{
    int64_t most_ns = INT64_C(1000000) * IDLE_PUBLISH_MS;

    if (is_idle && shard->tally->pending == 0)
        return most_ns;
    share_ns = at_most(share_ns, most_ns);
    return is_behind(consume, shard) ? share_ns / BEHIND_PUBLISH_SHARE : share_ns;
}

/* Gives the partitions' totals their time, each in its turn. Rounds may be shorter than what is
 * worth beginning with: then it gathers. */
static int tend(struct consume *consume, bool is_idle)
{
    int32_t partitions = consume->setup->partitions, first = consume->turn;
    int64_t now_ns = monotonic_ns();
    int64_t share_ns = (now_ns - consume->tended_ns) / BUSY_PUBLISH_SHARE;

    if (!is_idle && share_ns < INT64_C(1000000) * BUSY_PUBLISH_MS)
        return 0;
    consume->tended_ns = now_ns;
    for (int32_t i = 0; i < partitions; i++) {
        int32_t number = (first + i) % partitions;
        struct shard *shard = consume->shards[number];
        int64_t until_ns;
        int r;

        if (!shard)
            continue;
        until_ns = now_ns + part_of(consume, shard, is_idle, share_ns);
        r = wait_on_retry(consume, shard_tend(shard, now_ns / 1000000, until_ns));
        if (r)
            return fault_pass(r);
        if (shard->publisher.is_sending && consume->turn == first)
            consume->turn = number;
    }
    return 0;
}

/* --- once a second --- */

/* A log that ends before our position has lost what we counted. Just after a change of leaders its
 * end may be told too low for a moment. */
static int check_ends(struct consume *consume)
{
    for (int32_t i = 0; i < consume->setup->partitions; i++) {
        struct shard *shard = consume->shards[i];
        int64_t end;

        if (!shard || consumer_end_offset(consume->consumer, i, &end))
            continue;
        if (end >= shard->vault.state.next_offset) {
            shard->short_ms = 0;
            continue;
        }
        if (shard->short_ms == 0)
            shard->short_ms = monotonic_ms();
        if (monotonic_ms() - shard->short_ms > SHORT_LOG_MS)
            return fault(FAULT_STOP,
                         "%s/%d ends at offset %lld and our position is %lld: the topic was made "
                         "anew or has lost its end; remedy: a new bucket, or an empty --data and "
                         "--snapshots to count this log from its beginning",
                         consume->setup->usage_topic, i, (long long)end,
                         (long long)shard->vault.state.next_offset);
    }
    return 0;
}

static void set_watermark_age(struct consume *consume)
{
    int64_t oldest_ms = 0, now_ms = instant_ms(instant_now());

    for (int32_t i = 0; i < consume->setup->partitions; i++) {
        const struct shard *shard = consume->shards[i];

        if (shard && shard->tally->watermark_ms > INT64_MIN &&
            now_ms - shard->tally->watermark_ms > oldest_ms)
            oldest_ms = now_ms - shard->tally->watermark_ms;
    }
    metrics_set(consume->setup->metrics, MEASURE_WATERMARK_AGE, 0, oldest_ms / 1000);
}

/* --- ids that are too many for the memory --- */

static int64_t ids_bytes(const struct consume *consume)
{
    int64_t bytes = 0;

    for (int32_t i = 0; i < consume->setup->partitions; i++)
        if (consume->shards[i])
            bytes += shard_ids_bytes(consume->shards[i]);
    return bytes;
}

/* Each partition gives back its share of what is too much, and some more, to be seldom here. */
static int free_ids(struct consume *consume, int64_t bytes, bool *freed)
{
    int64_t most = consume->setup->ids_bytes_max;
    int128 excess = bytes - most + most / 8;

    *freed = false;
    for (int32_t i = 0; i < consume->setup->partitions; i++) {
        struct shard *shard = consume->shards[i];
        bool some = false;
        int64_t share;
        int r;

        if (!shard)
            continue;
        share = (int64_t)(excess * shard_ids_bytes(shard) / bytes) + 1;
        r = wait_on_retry(consume, shard_free_ids(shard, share, &some));
        if (r)
            return fault_pass(r);
        *freed = *freed || some;
    }
    return 0;
}

/* Once a second, and as long as there is too much: for a while at a time, so that counting goes on.
 */
static int make_room(struct consume *consume)
{
    int64_t began_ms = monotonic_ms();

    if (began_ms - consume->room_ms < GAUGES_MS)
        return 0;
    while (monotonic_ms() - began_ms < MAKE_ROOM_MS) {
        int64_t bytes = ids_bytes(consume);
        bool freed = false;
        int r = 0;

        if (bytes > consume->setup->ids_bytes_max)
            r = free_ids(consume, bytes, &freed);
        if (r)
            return fault_pass(r);
        if (!freed) {
            consume->room_ms = began_ms;
            return 0;
        }
    }
    return 0;
}

/* --- the thread --- */

/* What is due between messages. */
static int look_around(struct consume *consume, bool is_idle)
{
    int r;

    producer_poll(consume->producer, 0);
    r = commit_due(consume);
    if (r == 0)
        r = tend(consume, is_idle);
    if (r == 0)
        r = make_room(consume);
    if (r)
        return fault_pass(r);
    if (monotonic_ms() - consume->gauges_ms >= GAUGES_MS) {
        consume->gauges_ms = monotonic_ms();
        set_gauges(consume);
        set_watermark_age(consume);
        return check_ends(consume);
    }
    return 0;
}

/* A thousand messages may be four million events: commits don't wait for the last of them, unless
 * one had to wait for the disk or for Kafka: who doesn't poll for too long is put out of the group.
 * An ending may leave a message uncounted, and then nothing behind it is counted either. */
static int round_once(struct consume *consume)
{
    int count = consumer_poll(consume->consumer, consume->messages, MESSAGES_MAX, POLL_MS);
    size_t bytes = 0;
    int r;

    if (count < 0)
        return wait_on_retry(consume, count);
    consume->has_waited = false;
    consume->has_joined = consumer_has_joined(consume->consumer);
    for (int i = 0; i < count && !*consume->setup->is_ending; i++) {
        if (bytes >= ROUND_BYTES && !consume->has_waited) {
            bytes = 0;
            r = look_around(consume, false);
            if (r)
                return fault_pass(r);
        }
        r = take(consume, &consume->messages[i]);
        if (r)
            return fault_pass(r);
        bytes += consume->messages[i].value.length;
    }
    return look_around(consume, count == 0);
}

static int begin(struct consume *consume)
{
    static const struct consumer_ops ops = {.assigned = on_assigned, .revoked = on_revoked};
    char group[GROUP_MAX];
    int r;

    (void)snprintf(group, sizeof(group), "%s.aggregator", consume->setup->bucket);
    r = producer_new(consume->config, consume->limits.queue_bytes, INT32_MAX, &consume->producer);
    if (r)
        return fault_pass(r);
    return consumer_new(consume->config, group, consume->setup->usage_topic, &ops, consume,
                        &consume->consumer);
}

/* After a fault nothing more is written: the partitions are closed as they are on disk. */
static void abandon(struct consume *consume)
{
    for (int32_t i = 0; i < consume->setup->partitions; i++)
        consume->shards[i] = shard_close(consume->shards[i]);
}

static void distrust(struct shard *shard, int code)
{
    shard->is_torn = true;
    if (code == FAULT_STOP)
        shard_suspect(shard);
}

static void *run(void *context)
{
    struct consume *consume = context;
    int r = begin(consume);

    while (r == 0 && !*consume->setup->is_ending)
        r = round_once(consume);
    if (r) {
        log_fault(LOG_ERROR, "counting_stopped");
        consume->failed(consume->context, r);
        for (int32_t i = 0; i < consume->setup->partitions; i++)
            if (consume->shards[i])
                distrust(consume->shards[i], r);
    }
    consumer_free(consume->consumer);
    abandon(consume);
    producer_free(consume->producer);
    return NULL;
}

struct consume *consume_start(const struct shard_setup *setup, const struct kafka_config *config,
                              const struct consume_limits *limits,
                              void (*failed)(void *context, int code), void *context)
{
    struct consume *consume = calloc(1, sizeof(*consume));
    size_t partitions = (size_t)setup->partitions;

    if (!consume)
        abort();
    consume->setup = setup;
    consume->config = config;
    consume->limits = *limits;
    consume->failed = failed;
    consume->context = context;
    consume->reader = usage_reader_new();
    consume->shards = calloc(partitions, sizeof(struct shard *));
    consume->published = calloc(partitions, sizeof(*consume->published));
    consume->messages = calloc(MESSAGES_MAX, sizeof(*consume->messages));
    if (!consume->shards || !consume->published || !consume->messages)
        abort();
    if (pthread_create(&consume->thread, NULL, run, consume))
        abort();
    return consume;
}

bool consume_has_joined(const struct consume *consume)
{
    return consume->has_joined;
}

struct consume *consume_join(struct consume *consume)
{
    if (!consume)
        return NULL;
    pthread_join(consume->thread, NULL);
    usage_reader_free(consume->reader);
    free(consume->shards);
    free(consume->published);
    free(consume->messages);
    free(consume);
    return NULL;
}
