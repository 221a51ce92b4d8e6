/*
 * peers.h - who owns which partition: what the marks on <bucket>.counters say.
 *
 * A thread follows the topic from its end. Marks are repeated while a partition is idle, so every
 * owner is known a few seconds after the start. Records carry the instance that wrote them in a
 * header: one for a partition of ours by somebody else is a former owner's, late; its total may be
 * an older one, and the topic keeps the last by key, so the owner publishes that key again. Such
 * keys are collected here for the owner to take.
 *
 * Threads    Any.
 */
#pragma once

#include "aggregator/edges/owned.h"
#include "common/io/kafka.h"

enum { PEERS_URL_MAX = 256, PEERS_OVERWRITTEN_MAX = 100000, PEERS_INSTANCE_BYTES = 17 };

struct peers;

/* What a peer needs to know of itself: all must outlive it. */
struct peers_self {
    const struct kafka_config *config;
    const char *bucket;
    const char *instance; /* 16 hex digits, new with each start */
    struct owned *owned;
};

struct peers *peers_new(const struct peers_self *self, void (*failed)(void *context, int code),
                        void *context);
struct peers *peers_free(struct peers *peers); /* accepts NULL; waits for its thread */

/* The owner's URL as of its last mark; false when none was seen. */
MUST_USE bool peers_owner(struct peers *peers, int32_t partition, char url[PEERS_URL_MAX]);
/* Takes one key of the partition that somebody else has overwritten: false when there is none. The
 * text is to be freed. */
MUST_USE bool peers_take_overwritten(struct peers *peers, int32_t partition, char **key);
