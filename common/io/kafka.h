/*
 * kafka.h - librdkafka, wrapped once: a producer that survives its own fatal errors, a group consumer whose positions are ours, a
 * follower of whole topics, and the topics themselves.
 *
 * The producer is idempotent with acks=all. It copies each message and keeps it until it is confirmed; a fatal error destroys the
 * librdkafka instance, makes a new one and sends the unconfirmed ones again, in order: they can arrive twice, which every reader of
 * ours takes (ids, absolute totals, epochs), and are never lost.
 *
 * Threads    A producer belongs to one thread (producer_poll calls `delivered` on it). A consumer and a follower likewise.
 */
#pragma once

#include "common/base/text.h"

struct kafka_config {
    const char *brokers;
    const char *properties; /* file of librdkafka properties, or NULL */
    const char *client_id;
};

struct kafka_header {
    const char *name;
    struct text value;
};

struct kafka_message {
    struct text topic;     /* only where it can differ */
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;  /* of the record; LogAppendTime where the topic says so; -1 when none */
    struct text key;       /* absent when null */
    struct text value;     /* absent when null: a tombstone */
    const struct kafka_header *headers;
    size_t header_count;
};

/* --- producer --- */
struct producer;
enum producer_outcome { PRODUCER_FULL = 1 /* the queue's limit is reached: answer 503 */ };

/* Called once for each message, on the producer's thread: `offset` >= 0 when Kafka has it; else it was given up, and why. */
typedef void producer_delivered(void *context, int64_t offset, const char *why);

MUST_USE int producer_new(const struct kafka_config *config, int64_t queue_bytes_max,
                          int64_t message_timeout_ms, struct producer **producer);
struct producer *producer_free(struct producer *producer); /* gives up what is unconfirmed */
/* Copies everything. `message->partition` -1: by key, murmur2 as the Java client. `delivered` may be NULL. */
MUST_USE int producer_send(struct producer *producer, const char *topic,
                           const struct kafka_message *message, producer_delivered *delivered,
                           void *context);
int producer_poll(struct producer *producer, int timeout_ms); /* the number of deliveries */
int producer_wakeup_fd(struct producer *producer); /* readable when producer_poll has work: for uv_poll */
MUST_USE int producer_flush(struct producer *producer, int timeout_ms);
int64_t producer_unconfirmed(const struct producer *producer);
bool producer_is_connected(const struct producer *producer); /* a broker answered lately */

/* --- group consumer: `usage`, `events`, `control` --- */
struct consumer;
struct consumer_ops {
    /* Which offset to start at; -2: the beginning, -1: the end. A fault refuses the partition and stops. */
    int (*assigned)(void *context, int32_t partition, int64_t *offset);
    /* The partition is gone or about to be; `lost`: others may own it already, so write nothing for it. */
    void (*revoked)(void *context, int32_t partition, bool lost);
};
MUST_USE int consumer_new(const struct kafka_config *config, const char *group, const char *topic,
                          const struct consumer_ops *ops, void *context,
                          struct consumer **consumer);
struct consumer *consumer_free(struct consumer *consumer); /* leaves the group */
/* Up to `most` messages into `messages`, waiting up to timeout_ms; calls ops from within. Texts live until the next call. Returns their number, or a
 * fault: FAULT_STOP for an offset out of range, a topic that was made anew, another partition count. */
MUST_USE int consumer_poll(struct consumer *consumer, struct kafka_message *messages, size_t most,
                           int timeout_ms);
/* For lag tools only: our own position is the truth. Asynchronous. */
void consumer_commit(struct consumer *consumer, int32_t partition, int64_t next_offset);
MUST_USE int consumer_end_offset(struct consumer *consumer, int32_t partition, int64_t *end); /* cached high watermark */

/* --- follower: every partition of a topic, from given offsets, no group --- */
struct follower;
/* `offsets`[count]: where to start in each partition (-2 beginning, -1 end); NULL: the beginning. */
MUST_USE int follower_new(const struct kafka_config *config, const char *topic, const int64_t *offsets,
                          size_t count, struct follower **follower);
struct follower *follower_free(struct follower *follower);
MUST_USE int follower_poll(struct follower *follower, struct kafka_message *messages, size_t most,
                           int timeout_ms); /* as consumer_poll */
bool follower_is_caught_up(const struct follower *follower); /* it has read to the ends seen at its start */

/* --- topics --- */
struct topic_spec {
    const char *name;
    int32_t partitions;
    const char *const *config; /* name, value, name, value, …, NULL */
};
MUST_USE int topics_create(const struct kafka_config *config, const struct topic_spec *topics,
                           size_t count, int replication); /* existing ones are left alone */
/* Compares each topic's partitions and settings with the spec. Writes what is wrong with the remedy into `reason`; true when all is well. */
bool topics_check(const struct kafka_config *config, const struct topic_spec *topics, size_t count,
                  struct buffer *reason);
/* The end offsets of every partition, asked of the broker now. */
MUST_USE int topic_ends(const struct kafka_config *config, const char *topic, int64_t *ends,
                        size_t count);
MUST_USE int topic_partitions(const struct kafka_config *config, const char *topic, int32_t *count);
