#include "common/base/fault.h"
#include "common/base/monotonic.h"
#include "common/io/kafka_parts.h"
#include "common/io/log.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/*
 * Every message is kept here until it is confirmed, and librdkafka is lent our copy.
 *
 * librdkafka's idempotent producer can end in a fatal error (a sequence that it lost track of):
 * that instance sends nothing any more, and what it had queued is of unknown fate. So it is
 * destroyed, and all that isn't confirmed is sent again by a new one, in order. It can then be in
 * the log twice.
 */

enum {
    FLUSH_STEP_MS = 50,
    REMAKE_PAUSE_MS = 500, /* between two new clients: what ended one may end the next as well */
    INTRODUCTION_MS_MAX = 300,         /* of a topic, once a client */
    CONFIRMATION_OVERHEAD_BYTES = 512, /* of a message in librdkafka */
};

/* The values are in line with facts about throughput: our messages are packed batches already, so
 * waiting long or compressing them buys little. */
static const struct kafka_property producer_rows[] = {
    {"acks", "all", PROPERTY_FIXED},
    {"enable.idempotence", "true", PROPERTY_FIXED},
    {"partitioner", "murmur2_random", PROPERTY_FIXED},
    {"linger.ms", "3", PROPERTY_USUAL},
    {"retry.backoff.ms", "50", PROPERTY_USUAL},
    {"topic.metadata.refresh.fast.interval.ms", "50", PROPERTY_USUAL},
    /* The limit is ours, in bytes; these only must not come before it. */
    {"queue.buffering.max.messages", "10000000", PROPERTY_FIXED},
    {"queue.buffering.max.kbytes", "2147483647", PROPERTY_FIXED},
};

/* --- what is unconfirmed --- */

static size_t bytes_of(const struct kafka_message *message, const char *topic)
{
    size_t bytes = message->key.length + message->value.length + strlen(topic) + 1;

    for (size_t i = 0; i < message->header_count; i++)
        bytes += strlen(message->headers[i].name) + 1 + message->headers[i].value.length;
    return bytes;
}

static struct text store_text(char **at, struct text text)
{
    struct text stored = {*at, text.length};

    if (text_is_absent(text))
        return text;
    memcpy(*at, text.at, text.length);
    *at += text.length;
    return stored;
}

static const char *store_string(char **at, const char *string)
{
    return store_text(at, text_from(string, strlen(string) + 1)).at;
}

static struct outgoing *copy_message(const char *topic, const struct kafka_message *message)
{
    size_t room = sizeof(struct outgoing) + message->header_count * sizeof(struct kafka_header);
    size_t bytes = room + bytes_of(message, topic);
    struct outgoing *copy = malloc(bytes);
    char *at = (char *)copy + room;

    assert(copy);
    *copy = (struct outgoing){.next = NULL};
    copy->bytes = bytes + CONFIRMATION_OVERHEAD_BYTES;
    copy->partition = message->partition;
    copy->timestamp_ms = message->timestamp_ms > 0 ? message->timestamp_ms : 0; /* 0: now */
    copy->topic = store_string(&at, topic);
    copy->key = store_text(&at, message->key);
    copy->value = store_text(&at, message->value);
    copy->header_count = message->header_count;
    for (size_t i = 0; i < message->header_count; i++) {
        copy->headers[i].name = store_string(&at, message->headers[i].name);
        copy->headers[i].value = store_text(&at, message->headers[i].value);
    }
    return copy;
}

static void keep(struct producer *producer, struct outgoing *message)
{
    message->previous = producer->last;
    if (producer->last)
        producer->last->next = message;
    else
        producer->first = message;
    producer->last = message;
    producer->unconfirmed++;
    producer->unconfirmed_bytes += (int64_t)message->bytes;
}

static void unlink_message(struct producer *producer, struct outgoing *message)
{
    if (message->previous)
        message->previous->next = message->next;
    else
        producer->first = message->next;
    if (message->next)
        message->next->previous = message->previous;
    else
        producer->last = message->previous;
    producer->unconfirmed--;
    producer->unconfirmed_bytes -= (int64_t)message->bytes;
}

/* Its fate is known: tell, and forget it. */
static void settle(struct producer *producer, struct outgoing *message, int64_t offset,
                   const char *why)
{
    unlink_message(producer, message);
    producer->deliveries++;
    if (message->delivered)
        message->delivered(message->context, offset, why);
    free(message);
}

/* --- librdkafka's side --- */

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *report, void *context)
{
    struct producer *producer = context;
    struct outgoing *message = report->_private;

    if (!report->err) {
        settle(producer, message, report->offset, NULL);
        return;
    }
    /* Of unknown fate: to be sent again by the next client. */
    if (producer->remaking || rd_kafka_fatal_error(client, NULL, 0)) {
        producer->fatal = true;
        return;
    }
    settle(producer, message, -1, rd_kafka_err2str(report->err));
}

static void on_error(rd_kafka_t *client, int code, const char *reason, void *context)
{
    struct producer *producer = context;

    (void)client;
    (void)reason;
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        producer->fatal = true;
}

static rd_kafka_conf_t *hooked(struct producer *producer, rd_kafka_conf_t *conf)
{
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    brokers_watch(&producer->brokers, conf);
    return conf;
}

static void watch_queue(struct producer *producer)
{
    static const uint64_t one = 1;
    rd_kafka_queue_t *queue = rd_kafka_queue_get_main(producer->client);

    rd_kafka_queue_io_event_enable(queue, producer->wakeup, &one, sizeof(one));
    rd_kafka_queue_destroy(queue);
}

static int make_client(struct producer *producer)
{
    enum { FIXED_ROWS = ARRAY_LEN(producer_rows) };
    struct kafka_property rows[FIXED_ROWS + 2];
    size_t count = FIXED_ROWS;
    rd_kafka_conf_t *conf;
    char timeout[24];
    int r;

    snprintf(timeout, sizeof(timeout), "%lld", (long long)producer->message_timeout_ms);
    memcpy(rows, producer_rows, sizeof(producer_rows));
    rows[count++] = (struct kafka_property){"message.timeout.ms", timeout, PROPERTY_FIXED};
    if (producer->config.is_packed)
        rows[count++] = (struct kafka_property){"linger.ms", "0", PROPERTY_USUAL};
    r = kafka_conf_new(&producer->config, rows, count, &conf);
    if (!r)
        r = kafka_client_new(RD_KAFKA_PRODUCER, hooked(producer, conf), &producer->client);
    if (r)
        return fault_pass(r);
    watch_queue(producer);
    return 0;
}

/* --- topics --- */

/*
 * librdkafka 2.0.2 looks once a second for topics that it doesn't know yet, and the first message
 * to each waits as long. Asking makes it know. Without a broker that wait is short and nothing is
 * lost.
 */
static void introduce(struct producer *producer, rd_kafka_topic_t *topic)
{
    const rd_kafka_metadata_t *metadata;

    if (!rd_kafka_metadata(producer->client, 0, topic, &metadata, INTRODUCTION_MS_MAX))
        rd_kafka_metadata_destroy(metadata);
}

static rd_kafka_topic_t *topic_of(struct producer *producer, const char *name)
{
    rd_kafka_topic_t *topic;

    for (size_t i = 0; i < producer->topic_count; i++)
        if (strcmp(rd_kafka_topic_name(producer->topics[i]), name) == 0)
            return producer->topics[i];
    if (producer->topic_count == PRODUCER_TOPICS_MAX)
        return NULL;
    topic = rd_kafka_topic_new(producer->client, name, NULL);
    if (!topic)
        return NULL;
    producer->topics[producer->topic_count++] = topic;
    introduce(producer, topic);
    return topic;
}

static void forget_topics(struct producer *producer)
{
    while (producer->topic_count > 0)
        rd_kafka_topic_destroy(producer->topics[--producer->topic_count]);
}

/* --- sending --- */

static rd_kafka_headers_t *headers_of(const struct outgoing *message)
{
    rd_kafka_headers_t *headers;

    if (message->header_count == 0)
        return NULL;
    headers = rd_kafka_headers_new(message->header_count);
    for (size_t i = 0; i < message->header_count; i++)
        rd_kafka_header_add(headers, message->headers[i].name, -1, message->headers[i].value.at,
                            (ssize_t)message->headers[i].value.length);
    return headers;
}

static rd_kafka_resp_err_t code_of(const rd_kafka_error_t *error)
{
    if (!error)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    return rd_kafka_error_is_fatal(error) ? RD_KAFKA_RESP_ERR__FATAL : rd_kafka_error_code(error);
}

/* Lends the message to librdkafka until its delivery report. */
static rd_kafka_resp_err_t lend(struct producer *producer, struct outgoing *message)
{
    rd_kafka_headers_t *headers = headers_of(message);
    rd_kafka_topic_t *topic = topic_of(producer, message->topic);
    rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = message->topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = message->partition},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {(void *)(uintptr_t)message->key.at, message->key.length}},
        {.vtype = RD_KAFKA_VTYPE_VALUE,
         .u.mem = {(void *)(uintptr_t)message->value.at, message->value.length}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = message->timestamp_ms},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = message},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
    };
    size_t count = headers ? ARRAY_LEN(parts) : ARRAY_LEN(parts) - 1;
    rd_kafka_error_t *error;
    rd_kafka_resp_err_t code;

    if (topic)
        parts[0] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic};
    error = rd_kafka_produceva(producer->client, parts, count);
    code = code_of(error);

    if (error && headers)
        rd_kafka_headers_destroy(headers);
    rd_kafka_error_destroy(error);
    return code;
}

int producer_send(struct producer *producer, const char *topic, const struct kafka_message *message,
                  producer_delivered *delivered, void *context)
{
    int64_t bytes = (int64_t)bytes_of(message, topic);
    struct outgoing *copy;
    rd_kafka_resp_err_t rc = RD_KAFKA_RESP_ERR_NO_ERROR;

    /* One that is larger than the whole limit is taken when nothing else waits. */
    if (producer->first && producer->unconfirmed_bytes + bytes > producer->queue_bytes_max)
        return PRODUCER_FULL;
    copy = copy_message(topic, message);
    copy->delivered = delivered;
    copy->context = context;
    copy->producer = producer;
    copy->deadline_ms = monotonic_ms() + producer->message_timeout_ms;
    /* After a fatal error it only queues up here: the next poll sends it, behind the others. */
    if (producer->client && !producer->fatal)
        rc = lend(producer, copy);
    if (rc == RD_KAFKA_RESP_ERR__FATAL) {
        producer->fatal = true;
        rc = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    if (rc) {
        free(copy);
        return rc == RD_KAFKA_RESP_ERR__QUEUE_FULL
                   ? PRODUCER_FULL
                   : fault(FAULT_REFUSE, "%s cannot take the message: %s", topic,
                           rd_kafka_err2str(rc));
    }
    keep(producer, copy);
    return 0;
}

/* --- after a fatal error --- */

/* Hears what the old client still has to say - confirmations above all - and ends it. */
static void end_client(struct producer *producer)
{
    char why[KAFKA_ERROR_BYTES_MAX] = "";

    if (!producer->client)
        return;
    rd_kafka_fatal_error(producer->client, why, sizeof(why));
    log_event(LOG_WARN, "producer_remade", "reason", why, NULL);
    producer->remaking = true;
    rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (rd_kafka_poll(producer->client, 0) > 0)
        continue;
    forget_topics(producer);
    rd_kafka_destroy(producer->client);
    producer->client = NULL;
    producer->remaking = false;
    brokers_deinit(&producer->brokers); /* the next one has its own */
    brokers_init(&producer->brokers);
}

/* A callback can call producer_send meanwhile: as `fatal` is set still, that queues up behind. */
static void send_again(struct producer *producer)
{
    int64_t now = monotonic_ms();
    struct outgoing *next;

    for (struct outgoing *message = producer->first; message; message = next) {
        struct outgoing *previous = message->previous;
        rd_kafka_resp_err_t rc = RD_KAFKA_RESP_ERR__MSG_TIMED_OUT;

        if (now < message->deadline_ms)
            rc = lend(producer, message);
        if (rc == RD_KAFKA_RESP_ERR__FATAL)
            return;
        next = message->next;
        if (rc) {
            settle(producer, message, -1, rd_kafka_err2str(rc));
            next = previous ? previous->next : producer->first;
        }
    }
    producer->fatal = false;
}

static void remake(struct producer *producer)
{
    if (producer->remade > 0 && monotonic_ms() - producer->remade_at_ms < REMAKE_PAUSE_MS)
        return;
    end_client(producer);
    producer->remade++;
    producer->remade_at_ms = monotonic_ms();
    if (make_client(producer))
        return; /* the next poll tries again */
    send_again(producer);
}

/* --- the rest --- */

int producer_poll(struct producer *producer, int timeout_ms)
{
    uint64_t wakeups;

    producer->deliveries = 0;
    (void)!read(producer->wakeup, &wakeups, sizeof(wakeups));
    if (producer->client)
        rd_kafka_poll(producer->client, timeout_ms);
    else
        poll(NULL, 0, timeout_ms);
    if (producer->fatal)
        remake(producer);
    return producer->deliveries;
}

int producer_flush(struct producer *producer, int timeout_ms)
{
    int64_t until = monotonic_ms() + timeout_ms;

    while (producer->unconfirmed > 0 && monotonic_ms() < until) {
        if (producer->client && !producer->fatal)
            rd_kafka_flush(producer->client, FLUSH_STEP_MS); /* doesn't linger */
        (void)producer_poll(producer, producer->fatal ? FLUSH_STEP_MS : 0);
    }
    if (producer->unconfirmed > 0)
        return fault(FAULT_RETRY, "%lld messages are not confirmed after %d ms",
                     (long long)producer->unconfirmed, timeout_ms);
    return 0;
}

int producer_wakeup_fd(struct producer *producer)
{
    return producer->wakeup;
}

int64_t producer_unconfirmed(const struct producer *producer)
{
    return producer->unconfirmed;
}

bool producer_is_connected(struct producer *producer)
{
    return brokers_any_up(&producer->brokers);
}

int producer_new(const struct kafka_config *config, int64_t queue_bytes_max,
                 int64_t message_timeout_ms, struct producer **producer)
{
    struct producer *made = calloc(1, sizeof(*made));
    int r;

    assert(made && queue_bytes_max > 0 && message_timeout_ms > 0);
    made->config = kafka_config_copy(config);
    brokers_init(&made->brokers);
    made->queue_bytes_max = queue_bytes_max;
    made->message_timeout_ms = message_timeout_ms;
    made->wakeup = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert(made->wakeup >= 0);
    r = make_client(made);
    if (r) {
        producer_free(made);
        return fault_pass(r);
    }
    *producer = made;
    return 0;
}

struct producer *producer_free(struct producer *producer)
{
    if (!producer)
        return NULL;
    if (producer->client) {
        producer->remaking = true;
        rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        while (rd_kafka_poll(producer->client, 0) > 0)
            continue;
        forget_topics(producer);
        rd_kafka_destroy(producer->client);
    }
    while (producer->first)
        settle(producer, producer->first, -1, "the producer was closed");
    close(producer->wakeup);
    kafka_config_deinit(&producer->config);
    brokers_deinit(&producer->brokers);
    free(producer);
    return NULL;
}
