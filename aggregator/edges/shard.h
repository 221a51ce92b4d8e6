/*
 * shard.h - one partition's life in this process: restored, counted, committed, published, handed
 * over.
 *
 * Its folder is <data>/<bucket>/p<N>. At the beginning the copy with the greatest position counts:
 * the folder's own or the newest snapshot. What is damaged is set aside (renamed to p<N>.damaged-…)
 * and the next best is taken; with none, the log alone.
 *
 * Snapshots are <snapshots>/<bucket>.usage.p<N>.<offset, 20 digits>.<digest>.mdb, written aside and
 * renamed, never changed; the newest SHARD_SNAPSHOTS_KEPT of a partition stay.
 *
 * Errors     FAULT_STOP for a state that can't be gone on from, with the remedy; FAULT_RETRY leaves
 *            the shard as it was: call again.
 * Threads    The consumer thread that owns it.
 */
#pragma once

#include "aggregator/edges/owned.h"
#include "aggregator/edges/peers.h"
#include "aggregator/edges/publisher.h"
#include "aggregator/edges/reject.h"

#include <stdatomic.h>

enum { SHARD_SNAPSHOTS_KEPT = 2 };

/* What all shards of a process share; all borrowed. */
struct shard_setup {
    const char *data, *snapshots; /* folders; snapshots may be NULL */
    const char *bucket;
    int64_t horizon_ms, map_bytes;
    int64_t ids_bytes_max; /* of memory, a thread */
    int32_t partitions;
    int64_t publish_ms, mark_ms, snapshot_ms;
    struct owned *owned;
    struct peers *peers;
    struct catalog_feed *feed;
    struct metrics *metrics;
    const char *counters_topic, *rejected_topic, *usage_topic;
    const char *owner, *instance;
    atomic_bool *is_ending; /* the process was told to end: nothing is waited for any more */
};

struct shard {
    const struct shard_setup *setup;
    int32_t partition;
    struct vault vault;
    struct tally *tally;
    struct publisher publisher;
    char writer[PEERS_WRITER_BYTES];
    uint32_t watched; /* what of `published` was refused by then is looked for again */
    struct reject reject;
    struct producer *producer;
    bool has_asides;                   /* sent since the last flush */
    bool is_torn;                      /* an event is counted whose copy isn't sent: never commit */
    int64_t published_ms, snapshot_ms; /* when last */
    int64_t snapshot_offset;
    int64_t short_ms;      /* since when the log ends before our position; 0: it doesn't */
    int64_t pending_ms;    /* when the first of what isn't committed came */
    int64_t commit_cpu_ms; /* how long the last commit took, waits for the disk left out */
};

/* The folder of a partition; false when the name is too long. */
enum { SHARD_PATH_MAX = 1024 };
MUST_USE bool shard_folder(const char *data, const char *bucket, int32_t partition,
                           char path[SHARD_PATH_MAX]);

MUST_USE int shard_open(const struct shard_setup *setup, int32_t partition,
                        struct producer *producer, struct published *published, int64_t now_ms,
                        struct shard **shard);
/* The process ends by what it read of this shard, or of another: see restore_suspect. */
void shard_suspect(const struct shard *shard);
/* Ends without writing. */
struct shard *shard_close(struct shard *shard);
/* The offset to read from: that of the last message counted, which shows whether the log is still
 * the one that it was counted from. */
int64_t shard_start(const struct shard *shard);
/* Counts a message; one that was counted already is passed over. */
MUST_USE int shard_take(struct shard *shard, struct usage_reader *reader,
                        const struct kafka_message *message, int64_t now_ms);
/* Commits what is pending. FAULT_RETRY of a torn one, which can't be committed any more: end. */
MUST_USE int shard_commit(struct shard *shard);
/* What the ids of its events take of memory. */
int64_t shard_ids_bytes(const struct shard *shard);
/* Takes up to `bytes` of it back: what was recalled, else the oldest days' tables, which are
 * sealed, else the oldest filters. False in *freed when there was nothing to seal or drop. */
MUST_USE int shard_free_ids(struct shard *shard, int64_t bytes, bool *freed);
/* Publishes what is due, until that time of the monotonic clock; repeats the mark; writes a
 * snapshot when it is time. */
MUST_USE int shard_tend(struct shard *shard, int64_t now_ms, int64_t until_ns);
/* Publishes at once, waiting for Kafka at most flush_ms, and, with a folder for them, writes a
 * snapshot: before handing over. */
MUST_USE int shard_settle(struct shard *shard, int64_t now_ms, int flush_ms);
