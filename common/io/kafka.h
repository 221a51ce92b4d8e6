/*
 * kafka.h - librdkafka, wrapped once: a producer that survives its own fatal errors, a group
 * consumer whose positions are ours, a follower of whole topics, and the topics themselves.
 *
 * The producer is idempotent with acks=all. It copies each message and keeps it until it is
 * confirmed; a fatal error destroys the librdkafka instance, makes a new one and sends the
 * unconfirmed ones again, in order: they can arrive twice, which every reader of ours takes (ids,
 * absolute totals, epochs), and are never lost.
 *
 * Errors     FAULT_RETRY when no broker answers; FAULT_STOP, with the remedy in its text, for a
 * topic that is missing or was made anew, a position that the log doesn't hold, another partition
 *            count, a wrong property; FAULT_FENCED when another member has this one's place;
 *            FAULT_DENIED when the broker refuses our credentials and never took them.
 * Ownership  Everything handed in is copied.
 * Threads    A producer belongs to one thread (producer_poll calls `delivered` on it). A consumer
 * and a follower likewise.
 */
#pragma once

#include "common/base/text.h"

struct kafka_config {
    const char *brokers;
    const char *properties; /* file of librdkafka properties (name=value lines), or NULL */
    const char *client_id;
    bool is_packed;   /* messages are batches already: the producer doesn't wait for more of them */
    bool is_hurrying; /* the consumer works through a backlog faster than Kafka hands it out */
};

/* Whether the properties can be read and are known; FAULT_STOP names the wrong line. */
MUST_USE int kafka_config_check(const struct kafka_config *config);

/* The version of librdkafka that runs, which needn't be the one that was compiled against. */
const char *kafka_library_version(void);

struct kafka_header {
    const char *name;
    struct text value;
};

struct kafka_message {
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* LogAppendTime where the topic says so; read: -1 none; sent: <= 0 now */
    struct text key;      /* absent when null */
    struct text value;    /* absent when null: a tombstone */
    const struct kafka_header *headers;
    size_t header_count;
};

/* --- producer --- */
struct producer;
enum producer_outcome { PRODUCER_FULL = 1 /* the queue's limit is reached: answer 503 */ };

/*
 * Called once for each message, on the producer's thread, from within producer_poll, producer_flush
 * or producer_free: `offset` >= 0 when Kafka has it; else it was given up, and why. May call
 * producer_send.
 */
typedef void producer_delivered(void *context, int64_t offset, const char *why);

/* `queue_bytes_max` limits what is unconfirmed; `message_timeout_ms` how long one stays so. */
MUST_USE int producer_new(const struct kafka_config *config, int64_t queue_bytes_max,
                          int64_t message_timeout_ms, struct producer **producer);
struct producer *producer_free(struct producer *producer); /* gives up what is unconfirmed */
/*
 * `message->partition` -1: by key, murmur2 as the Java client. `delivered` may be NULL.
 * Returns 0, PRODUCER_FULL, or FAULT_REFUSE for a message that Kafka can never take (too large).
 */
MUST_USE int producer_send(struct producer *producer, const char *topic,
                           const struct kafka_message *message, producer_delivered *delivered,
                           void *context);
/* Hears confirmations; to be called often, or whenever the descriptor below is readable. Returns
 * the number of deliveries. */
int producer_poll(struct producer *producer, int timeout_ms);
int producer_wakeup_fd(struct producer *producer); /* readable when producer_poll has work */
/* Waits until nothing is unconfirmed; FAULT_RETRY when time is up before. */
MUST_USE int producer_flush(struct producer *producer, int timeout_ms);
int64_t producer_unconfirmed(const struct producer *producer); /* messages */
bool producer_is_connected(struct producer *producer);         /* to a broker, now */

/* --- group consumer: `usage`, `events`, `control` --- */
struct consumer;
/* In place of an offset: where the group's commits say, or the beginning before the first. For
 * readers without a store of their own. */
enum { CONSUMER_COMMITTED = -1000 };
struct consumer_ops {
    /* Which offset to start at; -2: the beginning, -1: the end, CONSUMER_COMMITTED. A fault ends
     * consumer_poll; FAULT_RETRY asks again in the next one. */
    int (*assigned)(void *context, int32_t partition, int64_t *offset);
    /* The partition is gone or about to be; `lost`: others may own it already, so write nothing. */
    void (*revoked)(void *context, int32_t partition, bool lost);
};
MUST_USE int consumer_new(const struct kafka_config *config, const char *group, const char *topic,
                          const struct consumer_ops *ops, void *context,
                          struct consumer **consumer);
/* Calls `revoked` for what it owns and leaves the group. */
struct consumer *consumer_free(struct consumer *consumer);
/*
 * Up to `most` messages into `messages`, waiting up to timeout_ms for the first; calls ops from
 * within, before any message of that assignment. Texts live until the next call. To be called at
 * least every five minutes (max.poll.interval.ms), or the group takes the partitions away. Returns
 * their number, or a fault: FAULT_STOP for an offset out of range, a topic that was made anew,
 * another partition count.
 */
MUST_USE int consumer_poll(struct consumer *consumer, struct kafka_message *messages, size_t most,
                           int timeout_ms);
/* Has a first assignment been carried out, be it of no partition? */
bool consumer_has_joined(const struct consumer *consumer);
/* For lag tools only: our own position is the truth. Asynchronous. */
void consumer_commit(struct consumer *consumer, int32_t partition, int64_t next_offset);
/* The end as of the last fetch; FAULT_RETRY before the first. */
MUST_USE int consumer_end_offset(struct consumer *consumer, int32_t partition, int64_t *end);

/* --- follower: every partition of a topic, from given offsets, no group --- */
struct follower;
/* `offsets`[count]: where to start in each partition (-2 beginning, -1 the end that it has now);
 * NULL: the beginning. */
MUST_USE int follower_new(const struct kafka_config *config, const char *topic,
                          const int64_t *offsets, size_t count, struct follower **follower);
/* The same, though partitions may not answer: those are read as soon as they do. */
MUST_USE int follower_new_partly(const struct kafka_config *config, const char *topic,
                                 const int64_t *offsets, size_t count, struct follower **follower);
/* The first partition that didn't answer then; -1: all did. */
int32_t follower_silent(const struct follower *follower);
struct follower *follower_free(struct follower *follower);
/* As consumer_poll, but without headers: before the first one, follower_take_headers asks for them.
 */
MUST_USE int follower_poll(struct follower *follower, struct kafka_message *messages, size_t most,
                           int timeout_ms);
void follower_take_headers(struct follower *follower);
bool follower_is_caught_up(const struct follower *follower); /* with the ends seen at its start */
bool follower_has_read(const struct follower *follower, int32_t partition); /* up to that end */
/* The least that may come next; -2 as long as nothing has come since the beginning. */
int64_t follower_next_offset(const struct follower *follower, int32_t partition);

/* --- topics --- */
struct topic_spec {
    const char *name;
    int32_t partitions;
    const char *const *config;  /* name, value, name, value, …, NULL */
    const char *const *advised; /* likewise: a new topic gets these, an older one may lack them */
};
/* Returns once every partition has a leader; existing topics are left alone. */
MUST_USE int topics_create(const struct kafka_config *config, const struct topic_spec *topics,
                           size_t count, int replication);
/* Compares each topic's partitions and settings with the spec. Writes what is wrong with the remedy
 * into `reason`; true when all is well. */
bool topics_check(const struct kafka_config *config, const struct topic_spec *topics, size_t count,
                  struct buffer *reason);
/* The end offsets of every partition, asked of the broker now. */
MUST_USE int topic_ends(const struct kafka_config *config, const char *topic, int64_t *ends,
                        size_t count);
MUST_USE int topic_partitions(const struct kafka_config *config, const char *topic, int32_t *count);
