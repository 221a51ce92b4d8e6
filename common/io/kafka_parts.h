/*
 * kafka_parts.h - what the files of kafka share among themselves; only they and their tests include
 * it.
 */
#pragma once

#include "common/io/kafka.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>

enum {
    KAFKA_ANSWER_MS_MAX = 10000, /* how long a question to the broker may take */
    KAFKA_ERROR_BYTES_MAX = 512,
};

/* --- properties --- */

/* How firmly a property is ours. */
enum property_hold {
    PROPERTY_USUAL,    /* the properties file may say otherwise */
    PROPERTY_FIXED,    /* correctness rests on it: the file must not name it */
    PROPERTY_IF_KNOWN, /* usual, and left out where this librdkafka doesn't know it */
};

struct kafka_property {
    const char *name;
    const char *value;
    enum property_hold hold;
};

/*
 * A new configuration: what all clients share, then the rows, then the properties file. FAULT_STOP
 * for a file that cannot be read, an unknown name, a wrong value or one that is fixed: with file
 * and line.
 */
MUST_USE int kafka_conf_new(const struct kafka_config *config, const struct kafka_property *rows,
                            size_t count, rd_kafka_conf_t **conf);

/* A client of that configuration, which is taken, also on a fault (FAULT_RETRY). */
MUST_USE int kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **client);

/* The broker has answered one of the process's clients: what fails from now on will heal. */
void kafka_let_in(void);
/* FAULT_DENIED when the broker refuses the credentials and never took them; else FAULT_RETRY. */
MUST_USE int kafka_no_answer(rd_kafka_t *client, const char *why);

/* A client for questions alone. */
MUST_USE int kafka_inquirer_new(const struct kafka_config *config, rd_kafka_t **client);
void kafka_client_drop(rd_kafka_t **client); /* for CLEANUP */

struct kafka_config kafka_config_copy(const struct kafka_config *config);
void kafka_config_deinit(struct kafka_config *config);

/* --- topics --- */

enum topic_outcome { TOPIC_MISSING = 1 };

/* The number of partitions, asked of the broker. FAULT_RETRY when nobody answers. */
MUST_USE int kafka_partition_count(rd_kafka_t *client, const char *topic, int32_t *count);
/* The same of a topic that must be there; FAULT_STOP when it isn't, which takes seconds: the broker
 * that answers may not have heard yet of one that was just made. */
MUST_USE int kafka_known_partitions(rd_kafka_t *client, const char *topic, int32_t *count);

/* --- nudge: a consumer that has enough ahead goes on fetching soon --- */

struct nudge {
    bool is_needed; /* by this librdkafka */
    bool is_due;    /* much was taken since the last one */
    int64_t nudged_ms;
    size_t much_messages, much_bytes; /* to take at once: a part of what may be ahead */
    char *user, *password;            /* the client's, or empty */
};

void nudge_init(struct nudge *nudge, const rd_kafka_conf_t *conf);
void nudge_deinit(struct nudge *nudge);
/* After each look for messages, and whether it took as much as one does from a backlog. */
void nudge(struct nudge *nudge, rd_kafka_t *client, bool has_taken_much);

/* --- reader: what a group consumer and a follower have in common --- */

struct reader {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    struct nudge nudge;
    rd_kafka_message_t **taken; /* of the last call: texts point into them */
    size_t taken_count, taken_room;
    bool wants_headers; /* asking for them costs as much as all else of a small message */
    struct kafka_header *headers;
    size_t header_room;
};

enum { READER_ROWS_MAX = 8 };

/* kafka_conf_new with what all readers share before the rows. */
MUST_USE int reader_conf_new(const struct kafka_config *config, const struct kafka_property *rows,
                             size_t count, rd_kafka_conf_t **conf);
MUST_USE int reader_init(struct reader *reader, rd_kafka_conf_t *conf); /* takes `conf` */
void reader_quiesce(
    struct reader *reader); /* before the client is closed: lets go of its messages */
void reader_deinit(struct reader *reader);

/* What becomes of one that librdkafka handed over: 0 keep, READER_SKIP, or a fault that ends the
 * call. */
enum reader_outcome { READER_SKIP = 1 };
typedef int reader_judge(void *context, const rd_kafka_message_t *message);

/* Lets go of the last call's messages and takes up to `most` new ones; waits for the first alone.
 */
void reader_take(struct reader *reader, size_t most, int timeout_ms);
/* Those that `judge` keeps, in order. Their number, or the first fault. */
MUST_USE int reader_keep(struct reader *reader, reader_judge *judge, void *context,
                         struct kafka_message *messages);

/* Why the client has failed for good: FAULT_FENCED or FAULT_STOP. */
MUST_USE int reader_fatal(const struct reader *reader);
/* The fault for an error that a consumer was handed instead of a message; READER_SKIP when it
 * heals. */
MUST_USE int reader_error(const struct reader *reader, const rd_kafka_message_t *message,
                          const char *topic);

/* --- brokers: which of them a client is connected to --- */

struct broker_state {
    char *name;
    int port;
    bool is_up; /* connected, and let in */
};

struct brokers {
    pthread_mutex_t lock;
    struct broker_state *states; /* of each that the client has heard of */
    size_t count;
};

void brokers_init(struct brokers *brokers);
void brokers_deinit(struct brokers *brokers);                       /* once the client is gone */
void brokers_watch(struct brokers *brokers, rd_kafka_conf_t *conf); /* of the client to be made */
bool brokers_any_up(struct brokers *brokers);

/* --- producer, for its tests --- */

struct outgoing {
    struct outgoing *previous, *next;
    producer_delivered *delivered;
    void *context;
    struct producer *producer;
    int64_t deadline_ms;
    int64_t timestamp_ms;
    size_t bytes; /* what it counts against the limit */
    int32_t partition;
    const char *topic;
    struct text key, value;
    size_t header_count;
    struct kafka_header headers[]; /* then the bytes that all the texts point to */
};

enum { PRODUCER_TOPICS_MAX = 16 }; /* beyond, a topic is found by its name each time */

struct producer {
    rd_kafka_t *client; /* NULL while it cannot be made anew */
    rd_kafka_topic_t *topics[PRODUCER_TOPICS_MAX];
    size_t topic_count;
    struct kafka_config config;
    int64_t queue_bytes_max;
    int64_t message_timeout_ms;
    struct outgoing *first, *last; /* unconfirmed, in the order of producer_send */
    int64_t unconfirmed, unconfirmed_bytes;
    int64_t remade; /* how often a fatal error made a new client necessary */
    int64_t remade_at_ms;
    int wakeup;
    int deliveries; /* of the poll that runs */
    bool fatal;
    bool remaking; /* the old client's failures are its own */
    struct brokers brokers;
};
