#include "common/base/fault.h"
#include "common/base/pause.h"
#include "common/io/kafka_parts.h"

#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ENDING_SECONDS_MAX = 5, ENDING_STEP_MS = 5 };

/*
 * Positions are ours alone: nothing is committed or reset behind our back, and the group's offsets
 * are for lag tools. Records are checked against their checksum.
 */
static const struct kafka_property reader_rows[] = {
    {"enable.auto.commit", "false", PROPERTY_FIXED},
    {"enable.auto.offset.store", "false", PROPERTY_FIXED},
    {"auto.offset.reset", "error", PROPERTY_FIXED},
    {"check.crcs", "true", PROPERTY_FIXED},
    /* A broker answers one request of a connection after the other: what follows a fetch that waits
     * for messages - the start of another partition - waits as long. */
    {"fetch.wait.max.ms", "100", PROPERTY_USUAL},
    {"fetch.error.backoff.ms", "100", PROPERTY_USUAL},
    {"fetch.max.bytes", "8388608", PROPERTY_USUAL},
    {"topic.metadata.refresh.fast.interval.ms", "50", PROPERTY_USUAL},
};

/* How much is fetched ahead: little, so that it lies in memory that was used a moment ago. */
static const struct kafka_property ahead_rows[] = {
    {"queued.min.messages", "1000000", PROPERTY_USUAL},
    {"queued.max.messages.kbytes", "16384", PROPERTY_USUAL},
    {"fetch.queue.backoff.ms", "1", PROPERTY_IF_KNOWN}, /* else see kafka_nudge.c */
};
/* Whoever commits the less often the more there is to read must not take a short queue for the end
 * of its backlog. */
static const struct kafka_property hurrying_row = {"queued.max.messages.kbytes", "65536",
                                                   PROPERTY_USUAL};

static size_t add_rows(struct kafka_property *all, size_t at, const struct kafka_property *rows,
                       size_t count)
{
    memcpy(all + at, rows, count * sizeof(*rows));
    return at + count;
}

int reader_conf_new(const struct kafka_config *config, const struct kafka_property *rows,
                    size_t count, rd_kafka_conf_t **conf)
{
    struct kafka_property all[ARRAY_LEN(reader_rows) + ARRAY_LEN(ahead_rows) + 1 + READER_ROWS_MAX];
    size_t used = 0;

    assert(count <= READER_ROWS_MAX);
    used = add_rows(all, used, reader_rows, ARRAY_LEN(reader_rows));
    used = add_rows(all, used, ahead_rows, ARRAY_LEN(ahead_rows));
    used = add_rows(all, used, &hurrying_row, config->is_hurrying);
    used = add_rows(all, used, rows, count);
    return kafka_conf_new(config, all, used, conf);
}

int reader_init(struct reader *reader, rd_kafka_conf_t *conf)
{
    int r;

    nudge_init(&reader->nudge, conf);
    r = kafka_client_new(RD_KAFKA_CONSUMER, conf, &reader->client);
    if (r)
        return fault_pass(r);
    rd_kafka_poll_set_consumer(reader->client); /* one queue for messages, errors and rebalances */
    reader->queue = rd_kafka_queue_get_consumer(reader->client);
    return 0;
}

static void let_go(struct reader *reader)
{
    for (size_t i = 0; i < reader->taken_count; i++)
        rd_kafka_message_destroy(reader->taken[i]);
    reader->taken_count = 0;
}

void reader_quiesce(struct reader *reader)
{
    let_go(reader);
    if (reader->queue)
        rd_kafka_queue_destroy(reader->queue);
    reader->queue = NULL;
}

/*
 * librdkafka 2.0.2 can wait for ever at the end of a consumer whose topic was deleted. By then the
 * group is left and nothing depends on that end: it gets a thread of its own and a limited wait.
 */
struct ending {
    rd_kafka_t *client;
    sem_t over;
    atomic_int holders; /* the last one frees it */
};

static void let_go_of_ending(struct ending *ending)
{
    if (atomic_fetch_sub(&ending->holders, 1) > 1)
        return;
    sem_destroy(&ending->over);
    free(ending);
}

static void *end_client(void *context)
{
    struct ending *ending = context;

    kafka_client_drop(&ending->client);
    sem_post(&ending->over);
    let_go_of_ending(ending);
    return NULL;
}

static void end_in_time(rd_kafka_t *client)
{
    struct ending *ending = calloc(1, sizeof(*ending));
    pthread_t thread;

    assert(ending);
    ending->client = client;
    sem_init(&ending->over, 0, 0);
    atomic_init(&ending->holders, 2);
    if (pthread_create(&thread, NULL, end_client, ending)) {
        end_client(ending);
        let_go_of_ending(ending);
        return;
    }
    pthread_detach(thread);
    /* Not sem_timedwait: its clock may be set back meanwhile. */
    for (int ms = 0; ms < ENDING_SECONDS_MAX * 1000 && sem_trywait(&ending->over);
         ms += ENDING_STEP_MS)
        pause_ms(ENDING_STEP_MS);
    let_go_of_ending(ending);
}

void reader_deinit(struct reader *reader)
{
    reader_quiesce(reader);
    if (reader->client)
        end_in_time(reader->client);
    reader->client = NULL;
    nudge_deinit(&reader->nudge);
    free(reader->taken);
    free(reader->headers);
}

static void make_room(struct reader *reader, size_t most)
{
    if (reader->taken_room >= most)
        return;
    reader->taken = realloc(reader->taken, most * sizeof(*reader->taken));
    assert(reader->taken);
    reader->taken_room = most;
}

static void take(struct reader *reader, size_t most, int timeout_ms)
{
    ssize_t count = rd_kafka_consume_batch_queue(
        reader->queue, timeout_ms, reader->taken + reader->taken_count, most - reader->taken_count);

    if (count > 0)
        reader->taken_count += (size_t)count;
}

/* Whether so much was taken that there may be room ahead for more. */
static bool is_much(const struct reader *reader, size_t most)
{
    size_t bytes = 0;

    for (size_t i = 0; i < reader->taken_count; i++)
        bytes += reader->taken[i]->len;
    return reader->taken_count == most || reader->taken_count > reader->nudge.much_messages ||
           bytes > reader->nudge.much_bytes;
}

/* A batch call waits until it is full or its time is up; so the wait is for one message alone. */
void reader_take(struct reader *reader, size_t most, int timeout_ms)
{
    assert(most > 0);
    let_go(reader);
    make_room(reader, most);
    take(reader, most, 0);
    if (reader->taken_count == 0 && timeout_ms > 0) {
        take(reader, 1, timeout_ms);
        if (reader->taken_count > 0 && most > 1)
            take(reader, most, 0);
    }
    nudge(&reader->nudge, reader->client, is_much(reader, most));
}

/* --- messages in our words --- */

static void add_header(struct reader *reader, size_t at, struct kafka_header header)
{
    if (at == reader->header_room) {
        reader->header_room = at ? at * 2 : 64;
        reader->headers = realloc(reader->headers, reader->header_room * sizeof(*reader->headers));
        assert(reader->headers);
    }
    reader->headers[at] = header;
}

/* Adds the message's headers to the reader's, behind `at`; returns how many. Asks librdkafka once a
 * message: each time it allocates and parses them, also where there are none. */
static size_t take_headers(struct reader *reader, size_t at, const rd_kafka_message_t *from)
{
    struct kafka_header header;
    rd_kafka_headers_t *all;
    const void *value;
    size_t count = 0, length;

    if (!reader->wants_headers || rd_kafka_message_headers(from, &all))
        return 0;
    while (!rd_kafka_header_get_all(all, count, &header.name, &value, &length)) {
        header.value = text_from(value, length);
        add_header(reader, at + count, header);
        count++;
    }
    return count;
}

static void fill(const rd_kafka_message_t *from, struct kafka_message *message)
{
    rd_kafka_timestamp_type_t kind;

    message->partition = from->partition;
    message->offset = from->offset;
    message->timestamp_ms = rd_kafka_message_timestamp(from, &kind);
    message->key = text_from(from->key, from->key_len);
    message->value = text_from(from->payload, from->len);
}

/* Once all are there: they may have moved. */
static void give_headers(const struct reader *reader, struct kafka_message *messages, size_t count)
{
    const struct kafka_header *headers = reader->headers;

    for (size_t i = 0; i < count; i++) {
        messages[i].headers = headers;
        if (headers)
            headers += messages[i].header_count;
    }
}

int reader_keep(struct reader *reader, reader_judge *judge, void *context,
                struct kafka_message *messages)
{
    size_t kept = 0, headers = 0;

    for (size_t i = 0; i < reader->taken_count; i++) {
        int r = judge(context, reader->taken[i]);

        if (r < 0)
            return fault_pass(r);
        if (r == READER_SKIP)
            continue;
        fill(reader->taken[i], &messages[kept]);
        messages[kept].header_count = take_headers(reader, headers, reader->taken[i]);
        headers += messages[kept++].header_count;
    }
    give_headers(reader, messages, kept);
    return (int)kept;
}

/* --- errors --- */

/* True when the brokers, asked now, say that the topic isn't there. */
static bool is_gone(rd_kafka_t *client, const char *topic)
{
    int32_t count;

    return kafka_partition_count(client, topic, &count) == TOPIC_MISSING;
}

int reader_fatal(const struct reader *reader)
{
    char why[KAFKA_ERROR_BYTES_MAX];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(reader->client, why, sizeof(why));

    if (code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
        return fault(FAULT_FENCED, "fenced: another member took this one's place in the group: %s",
                     why);
    return fault(FAULT_STOP, "the Kafka consumer ended: %s", why);
}

int reader_error(const struct reader *reader, const rd_kafka_message_t *message, const char *topic)
{
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__FATAL:
        return reader_fatal(reader);
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return fault(
            FAULT_STOP,
            "%s/%d: the log doesn't hold our position (%s): the topic was made anew, or its "
            "retention overtook us; remedy: see docs/runbook.md, offset out of range",
            topic, message->partition, rd_kafka_message_errstr(message));
    case RD_KAFKA_RESP_ERR__BAD_MSG:
        return fault(FAULT_STOP, "%s/%d: a record is damaged: %s", topic, message->partition,
                     rd_kafka_message_errstr(message));
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return fault(FAULT_STOP, "%s: not allowed: %s; remedy: grant the client read access", topic,
                     rd_kafka_message_errstr(message));
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        if (is_gone(reader->client, topic))
            return fault(FAULT_STOP,
                         "the topic %s is gone; remedy: make it with `topics create`, "
                         "see docs/runbook.md when it had been filled",
                         topic);
        return READER_SKIP;
    default:
        return READER_SKIP; /* librdkafka tries again by itself, and logs */
    }
}
