/*
 * peers.h - who owns which partition: what the marks on <bucket>.counters say.
 *
 * A thread follows the topic from its end. Marks are repeated while a partition is idle, so every
 * owner is known a few seconds after the start. Records carry the name of who wrote them in a
 * header: a total for a partition of ours by somebody else is a former owner's, perhaps late; it
 * may be an older one, and the topic keeps the last by key, so the owner publishes that key again.
 * Such totals are collected here for the owner to take. What came before it was the owner is read
 * once more, from where the store says that all was seen to, unless it publishes everything anew.
 *
 * Threads    Any.
 */
#pragma once

#include "aggregator/edges/owned.h"
#include "common/io/kafka.h"

/* When as many overwritten totals wait to be taken, no more is read. */
enum { PEERS_URL_MAX = 256, PEERS_OVERWRITTEN_MAX = 100000, PEERS_WRITER_BYTES = 32 };

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

enum { PEERS_FROM_END = -1 };
/* Collects what others write for the partition from that offset of the topic on; -2: from its
 * beginning; PEERS_FROM_END: from an end that it has afterwards. `writer` becomes the name that the
 * owner signs its records with. */
void peers_watch(struct peers *peers, int32_t partition, int64_t from,
                 char writer[PEERS_WRITER_BYTES]);
/* The partition isn't ours any more. */
void peers_unwatch(struct peers *peers, int32_t partition);

struct peers_overwritten {
    char *key; /* to be freed */
    int64_t next_offset;
};
enum { PEERS_CATCHING_UP = -1 };
/* Takes one total of a watched partition that somebody else has written. When there is none: false,
 * and *followed is where all before it was taken, or PEERS_CATCHING_UP while the topic isn't read
 * up to where it ended after the partition was watched. */
MUST_USE bool peers_take_overwritten(struct peers *peers, int32_t partition,
                                     struct peers_overwritten *taken, int64_t *followed);
