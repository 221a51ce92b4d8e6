/*
 * consume.h - one thread that owns some of the partitions: it polls, counts, commits, publishes.
 *
 * Several threads of a process are several members of the group, as several processes are.
 *
 * A partition that keeps up commits within `commit_ms`, or within twice the CPU time that its
 * thread's commits take; one that is behind, within four seconds: aggregator/rules/pace.h.
 *
 * Threads    consume_start and consume_join from the process's; the rest is its own.
 */
#pragma once

#include "aggregator/edges/shard.h"

struct consume_limits {
    int64_t commit_events;
    int64_t commit_ms;
    int64_t queue_bytes; /* of the producer for totals and copies */
};

struct consume;

/* `failed` is called on its thread when it can't go on, with the fault that ended it. */
struct consume *consume_start(const struct shard_setup *setup, const struct kafka_config *config,
                              const struct consume_limits *limits,
                              void (*failed)(void *context, int code), void *context);
/* Has it got its first partitions, if any, and loaded their stores? From any thread. */
bool consume_has_joined(const struct consume *consume);
/* Waits until it has committed and handed over; `setup->is_ending` is set before. */
struct consume *consume_join(struct consume *consume);
