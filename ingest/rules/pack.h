/*
 * pack.h - the open usage batches, one a partition: events in, finished batches out.
 *
 * A batch is closed when it holds enough events or bytes, or when it has been open for the linger
 * time and fewer than PACK_ON_WAY_MAX of its partition are on their way. Whoever waits for an
 * event's batch hangs on it by its `cargo`, a pointer that is handed on with the finished batch.
 *
 * Units      Times in ms on any one clock.
 * Limits     One batch a partition; at most USAGE_BYTES_MAX each.
 * Threads    One at a time.
 */
#pragma once

#include "ingest/rules/admit.h"

/* As many as an idempotent producer may have unacknowledged of a partition. librdkafka 2.0.2 has
 * nowhere to send one more, and its thread doesn't rest until it has. */
enum { PACK_ON_WAY_MAX = 5 };

struct pack_limits {
    size_t events; /* 1 to USAGE_EVENTS_MAX */
    size_t bytes;  /* closed once it holds as many */
    int64_t linger_ms;
};

struct pack_batch {
    int32_t partition;
    struct text message; /* good during the call */
    size_t events;
    void *cargo;
};
/* Called for each finished batch, from within the functions that finish one. */
typedef void pack_finished(void *context, const struct pack_batch *batch);

struct pack;
struct pack *pack_new(int32_t partitions, const struct pack_limits *limits, pack_finished *finished,
                      void *context);
struct pack *pack_free(struct pack *pack); /* what is open is lost: flush first */

/* Fetches what adding the events, one behind the other, will look at; worth it for several. */
enum { PACK_GROUP = 16 };
void pack_prefetch(const struct pack *pack, const struct admitted *admitted, size_t count);

/* Adds an event to its subscription's batch; returns where that batch keeps its cargo, NULL in
 * there when the event is its first. The batch may be finished by this very call only after the
 * cargo was looked at: call pack_settle then. */
void **pack_add(struct pack *pack, const struct admitted *admitted, int64_t now_ms);
/* Finishes the partition's batch if it has reached its limits. */
void pack_settle(struct pack *pack, int32_t partition);
/* Finishes batches that have been open for the linger time. Returns the ms until the next is due;
 * -1 when none is open, or only those that wait for pack_arrived. */
int64_t pack_expire(struct pack *pack, int64_t now_ms);
/* A finished batch is on its way no longer. True when its partition had as many as it may: what is
 * open of it can be due. */
bool pack_arrived(struct pack *pack, int32_t partition);
void pack_flush(struct pack *pack);
/* Finishes the partition's batch, if one is open. */
void pack_finish(struct pack *pack, int32_t partition);
size_t pack_bytes(const struct pack *pack); /* in open batches */
