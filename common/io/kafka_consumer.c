#include "common/base/fault.h"
#include "common/base/monotonic.h"
#include "common/io/kafka_parts.h"
#include "common/io/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * Rebalances are noted in librdkafka's callback and carried out after the call that they came in:
 * so that messages which the call had collected before a partition went are not handed over after
 * it.
 *
 * An assignment is given our own positions (`assigned`), never the group's. Nothing is ever paused:
 * a pause amid a rebalance loses the start offset (librdkafka #2190).
 */

static const struct kafka_property consumer_rows[] = {
    {"partition.assignment.strategy", "range", PROPERTY_FIXED},
    {"enable.partition.eof", "false", PROPERTY_FIXED},
    /* The least that a broker takes unless told otherwise: a killed member's partitions stand still
     * as long, also for its own next start. */
    {"session.timeout.ms", "6000", PROPERTY_USUAL},
    {"heartbeat.interval.ms", "1500", PROPERTY_USUAL},
};

struct partition {
    bool owned;
    int64_t next; /* the least offset that may come: below it the log went backwards; < 0: any */
};

struct rebalance {
    struct rebalance *next;
    rd_kafka_topic_partition_list_t *partitions;
    bool assigns;
    bool lost;
};

struct consumer {
    struct reader reader;
    char *topic;
    struct consumer_ops ops;
    void *context;
    struct rebalance *noted; /* in the order they came */
    struct partition *partitions;
    int32_t partition_count;  /* 0 until the first assignment */
    int64_t poll_interval_ms; /* not polled for so long, a member is put out */
    int64_t polled_at_ms;
    bool has_joined;
    bool closing;
};

/* --- rebalances --- */

static struct partition *partition_at(struct consumer *consumer, int32_t number)
{
    return number >= 0 && number < consumer->partition_count ? &consumer->partitions[number] : NULL;
}

/* The topic keeps the number of partitions that it had at the first assignment. */
static int check_partition_count(struct consumer *consumer)
{
    int32_t count;
    int r = kafka_partition_count(consumer->reader.client, consumer->topic, &count);

    if (r == TOPIC_MISSING)
        return fault(FAULT_STOP, "the topic %s is gone; remedy: make it with `topics create`",
                     consumer->topic);
    if (r)
        return fault_pass(r);
    if (consumer->partition_count == 0) {
        consumer->partitions = calloc((size_t)count, sizeof(*consumer->partitions));
        assert(consumer->partitions);
        consumer->partition_count = count;
    }
    if (count != consumer->partition_count)
        return fault(
            FAULT_STOP,
            "%s has %d partitions and had %d: subscriptions would be counted in two places; "
            "remedy: see docs/runbook.md, partition count",
            consumer->topic, count, consumer->partition_count);
    return 0;
}

/* Asks the owner for the position of each; those positions go into the list. */
static int take_partitions(struct consumer *consumer, rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *given = &list->elems[i];
        struct partition *partition = partition_at(consumer, given->partition);
        int r;

        if (!partition)
            return fault(FAULT_STOP, "%s has a partition %d beyond its %d", consumer->topic,
                         given->partition, consumer->partition_count);
        given->offset = RD_KAFKA_OFFSET_BEGINNING;
        r = consumer->ops.assigned(consumer->context, given->partition, &given->offset);
        if (r)
            return fault_pass(r);
        partition->owned = true;
        partition->next = given->offset;
    }
    return 0;
}

/* Puts the group's committed position, or the beginning where there is none, in place of each
 * CONSUMER_COMMITTED. */
static int look_up_committed(struct consumer *consumer, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *asked = rd_kafka_topic_partition_list_new(list->cnt);
    rd_kafka_resp_err_t rc = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (int i = 0; i < list->cnt; i++)
        if (list->elems[i].offset == CONSUMER_COMMITTED)
            rd_kafka_topic_partition_list_add(asked, consumer->topic, list->elems[i].partition);
    if (asked->cnt > 0)
        rc = rd_kafka_committed(consumer->reader.client, asked, KAFKA_ANSWER_MS_MAX);
    for (int i = 0; !rc && i < asked->cnt; i++) {
        const rd_kafka_topic_partition_t *found = &asked->elems[i];
        int64_t offset = found->offset >= 0 ? found->offset : RD_KAFKA_OFFSET_BEGINNING;

        rd_kafka_topic_partition_list_set_offset(list, consumer->topic, found->partition, offset);
        consumer->partitions[found->partition].next = offset;
    }
    rd_kafka_topic_partition_list_destroy(asked);
    return rc ? fault(FAULT_RETRY, "%s: no answer about the group's positions: %s", consumer->topic,
                      rd_kafka_err2str(rc))
              : 0;
}

static void give_up_partitions(struct consumer *consumer, bool lost)
{
    for (int32_t i = 0; i < consumer->partition_count; i++) {
        if (!consumer->partitions[i].owned)
            continue;
        consumer->partitions[i].owned = false;
        consumer->ops.revoked(consumer->context, i, lost);
    }
}

static int assign(struct consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t rc = rd_kafka_assign(consumer->reader.client, list);

    if (rc == RD_KAFKA_RESP_ERR__FATAL)
        return reader_fatal(&consumer->reader);
    if (rc)
        return fault(FAULT_STOP, "%s: assigning failed: %s", consumer->topic, rd_kafka_err2str(rc));
    return 0;
}

static int carry_out(struct consumer *consumer, const struct rebalance *rebalance)
{
    int r;

    if (!rebalance->assigns) {
        give_up_partitions(consumer, rebalance->lost);
        return assign(consumer, NULL);
    }
    r = check_partition_count(consumer);
    if (!r)
        r = take_partitions(consumer, rebalance->partitions);
    if (!r)
        r = look_up_committed(consumer, rebalance->partitions);
    if (!r)
        r = assign(consumer, rebalance->partitions);
    if (r)
        return fault_pass(r);
    consumer->has_joined = true;
    return 0;
}

static void drop_first(struct consumer *consumer)
{
    struct rebalance *first = consumer->noted;

    consumer->noted = first->next;
    rd_kafka_topic_partition_list_destroy(first->partitions);
    free(first);
}

/* A fault leaves the rebalance noted: FAULT_RETRY carries it out with the next call. */
static int carry_out_all(struct consumer *consumer)
{
    while (consumer->noted) {
        int r = carry_out(consumer, consumer->noted);

        if (r) {
            give_up_partitions(consumer, false);
            return fault_pass(r);
        }
        drop_first(consumer);
    }
    return 0;
}

/* A member that was put out for not polling may hear of the rebalance before it hears of that. */
static bool is_lost(const struct consumer *consumer)
{
    return rd_kafka_assignment_lost(consumer->reader.client) ||
           monotonic_ms() - consumer->polled_at_ms >= consumer->poll_interval_ms;
}

static void note(struct consumer *consumer, struct rebalance rebalance)
{
    struct rebalance **at = &consumer->noted;
    struct rebalance *made = malloc(sizeof(*made));

    assert(made);
    *made = rebalance;
    while (*at)
        at = &(*at)->next;
    *at = made;
}

static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *partitions, void *context)
{
    struct consumer *consumer = context;

    if (consumer->closing) {
        give_up_partitions(consumer, is_lost(consumer));
        (void)rd_kafka_assign(client, NULL);
        return;
    }
    note(consumer, (struct rebalance){
                       .partitions = rd_kafka_topic_partition_list_copy(partitions),
                       .assigns = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS,
                       .lost = is_lost(consumer),
                   });
    rd_kafka_queue_yield(consumer->reader.queue); /* ends the wait for messages */
}

/* --- messages --- */

static int judge(void *context, const rd_kafka_message_t *message)
{
    struct consumer *consumer = context;
    struct partition *partition;

    if (message->err)
        return reader_error(&consumer->reader, message, consumer->topic);
    partition = partition_at(consumer, message->partition);
    if (!partition || !partition->owned)
        return READER_SKIP; /* collected before it went */
    if (message->offset < partition->next)
        return fault(FAULT_STOP,
                     "%s/%d went backwards: offset %lld after %lld; remedy: see "
                     "docs/runbook.md, offset went backwards",
                     consumer->topic, message->partition, (long long)message->offset,
                     (long long)partition->next - 1);
    partition->next = message->offset + 1;
    return 0;
}

int consumer_poll(struct consumer *consumer, struct kafka_message *messages, size_t most,
                  int timeout_ms)
{
    int r = carry_out_all(consumer);

    if (r)
        return fault_pass(r);
    reader_take(&consumer->reader, most, timeout_ms);
    consumer->polled_at_ms = monotonic_ms();
    r = carry_out_all(consumer);
    if (r)
        return fault_pass(r);
    return reader_keep(&consumer->reader, judge, consumer, messages);
}

bool consumer_has_joined(const struct consumer *consumer)
{
    return consumer->has_joined;
}

void consumer_commit(struct consumer *consumer, int32_t partition, int64_t next_offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, consumer->topic, partition)->offset = next_offset;
    (void)rd_kafka_commit(consumer->reader.client, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
}

int consumer_end_offset(struct consumer *consumer, int32_t partition, int64_t *end)
{
    int64_t low, high;

    if (rd_kafka_get_watermark_offsets(consumer->reader.client, consumer->topic, partition, &low,
                                       &high) ||
        high < 0)
        return fault(FAULT_RETRY, "%s/%d: its end isn't known yet", consumer->topic, partition);
    *end = high;
    return 0;
}

/* --- joining and leaving --- */

static int subscribe(struct consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t rc;

    rd_kafka_topic_partition_list_add(list, consumer->topic, RD_KAFKA_PARTITION_UA);
    rc = rd_kafka_subscribe(consumer->reader.client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return rc ? fault(FAULT_STOP, "cannot subscribe to %s: %s", consumer->topic,
                      rd_kafka_err2str(rc))
              : 0;
}

static int64_t number_in(const rd_kafka_conf_t *conf, const char *name)
{
    char digits[24] = "";
    size_t size = sizeof(digits);

    (void)rd_kafka_conf_get(conf, name, digits, &size);
    return strtoll(digits, NULL, 10);
}

static int connect_consumer(struct consumer *consumer, const struct kafka_config *config,
                            const char *group)
{
    struct kafka_property rows[ARRAY_LEN(consumer_rows) + 1];
    rd_kafka_conf_t *conf;
    int r;

    memcpy(rows, consumer_rows, sizeof(consumer_rows));
    rows[ARRAY_LEN(consumer_rows)] = (struct kafka_property){"group.id", group, PROPERTY_FIXED};
    r = reader_conf_new(config, rows, ARRAY_LEN(rows), &conf);
    if (r)
        return fault_pass(r);
    rd_kafka_conf_set_opaque(conf, consumer);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    consumer->poll_interval_ms = number_in(conf, "max.poll.interval.ms");
    consumer->polled_at_ms = monotonic_ms();
    consumer->reader.wants_headers = true;
    r = reader_init(&consumer->reader, conf);
    return r ? fault_pass(r) : subscribe(consumer);
}

int consumer_new(const struct kafka_config *config, const char *group, const char *topic,
                 const struct consumer_ops *ops, void *context, struct consumer **consumer)
{
    struct consumer *made = calloc(1, sizeof(*made));
    int r;

    assert(made && ops->assigned && ops->revoked);
    made->topic = strdup(topic);
    made->ops = *ops;
    made->context = context;
    r = connect_consumer(made, config, group);
    if (r) {
        consumer_free(made);
        return fault_pass(r);
    }
    *consumer = made;
    return 0;
}

struct consumer *consumer_free(struct consumer *consumer)
{
    if (!consumer)
        return NULL;
    consumer->closing = true;
    reader_quiesce(&consumer->reader);
    if (consumer->reader.client) {
        give_up_partitions(consumer, is_lost(consumer));
        if (consumer->noted)
            (void)rd_kafka_assign(consumer->reader.client, NULL);
        rd_kafka_consumer_close(consumer->reader.client);
    }
    while (consumer->noted)
        drop_first(consumer);
    reader_deinit(&consumer->reader);
    free(consumer->partitions);
    free(consumer->topic);
    free(consumer);
    return NULL;
}
