/*
 * bench_fill.c - fills a topic with made events, in one of four forms, and counts them by itself.
 *
 *   bench-fill brokers=HOST:PORT topic=NAME form=usage|json|json-batch|gateway events=N …
 *
 * json has one CloudEvent a message, json-batch and gateway `batch` of them, usage as many to a
 * partition's message. `counts` is a file to write the independent count to (made.h). Prints a JSON
 * object of what was sent, with the partitions' offsets before and after it.
 *
 * form=catalog writes a record for each subscription instead: `record` is one of them, whose id is
 * replaced.
 */
#include "bench/made.h"
#include "bench/words.h"

#include "common/base/partition.h"
#include "proto/gateway_batch.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTITIONS_MAX = 256, FLUSH_MS = 120000 };

struct fill {
    const char *brokers, *topic, *form, *codec, *counts, *record;
    int64_t partitions, batch, rate, zipf, numbered;
    struct made_plan plan;
    struct made *made;
    rd_kafka_t *kafka;
    struct usage_writer *writers[PARTITIONS_MAX];
    struct made_event *events;
    int64_t messages, bytes;
    int64_t from[PARTITIONS_MAX], to[PARTITIONS_MAX];
    int32_t next_partition;
};

static void fail(const char *what)
{
    fprintf(stderr, "bench-fill: %s\n", what);
    exit(1);
}

/* --- to Kafka --- */

static void on_delivery(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *context)
{
    (void)kafka;
    (void)context;
    if (message->err)
        fail(rd_kafka_err2str(message->err));
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[512];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
        fail(why);
}

static void connect_to(struct fill *fill)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[512];

    set(conf, "bootstrap.servers", fill->brokers);
    set(conf, "enable.idempotence", "true");
    set(conf, "compression.codec", fill->codec);
    set(conf, "linger.ms", "20");
    set(conf, "batch.size", "1000000");
    set(conf, "batch.num.messages", "10000");
    set(conf, "queue.buffering.max.messages", "500000");
    set(conf, "queue.buffering.max.kbytes", "262144");
    set(conf, "delivery.report.only.error", "true");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    fill->kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!fill->kafka)
        fail(why);
}

static void produce(struct fill *fill, int32_t partition, struct text value, const char *type)
{
    rd_kafka_resp_err_t rc;

    for (;;) {
        if (type)
            rc = rd_kafka_producev(fill->kafka, RD_KAFKA_V_TOPIC(fill->topic),
                                   RD_KAFKA_V_PARTITION(partition),
                                   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                   RD_KAFKA_V_VALUE((void *)(uintptr_t)value.at, value.length),
                                   RD_KAFKA_V_HEADER("content-type", type, -1), RD_KAFKA_V_END);
        else
            rc = rd_kafka_producev(
                fill->kafka, RD_KAFKA_V_TOPIC(fill->topic), RD_KAFKA_V_PARTITION(partition),
                RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                RD_KAFKA_V_VALUE((void *)(uintptr_t)value.at, value.length), RD_KAFKA_V_END);
        if (rc != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            break;
        rd_kafka_poll(fill->kafka, 20);
    }
    if (rc)
        fail(rd_kafka_err2str(rc));
    fill->messages++;
    fill->bytes += (int64_t)value.length;
    if (fill->messages % 1000 == 0)
        rd_kafka_poll(fill->kafka, 0);
}

static void ask_ends(struct fill *fill, int64_t *ends)
{
    for (int32_t i = 0; i < fill->partitions; i++) {
        int64_t low;
        rd_kafka_resp_err_t rc =
            rd_kafka_query_watermark_offsets(fill->kafka, fill->topic, i, &low, &ends[i], 20000);
        if (rc)
            fail(rd_kafka_err2str(rc));
    }
}

/* --- forms --- */

static int32_t partition_for(const struct fill *fill, const struct made_event *event)
{
    char name[MADE_SUBSCRIPTION_BYTES + 1];

    made_subscription(event, name);
    return partition_of(text_from(name, MADE_SUBSCRIPTION_BYTES), (int32_t)fill->partitions);
}

static void send_usage(struct fill *fill, int32_t partition)
{
    struct usage_writer *writer = fill->writers[partition];

    if (usage_writer_count(writer) == 0)
        return;
    produce(fill, partition, usage_writer_finish(writer), NULL);
    usage_writer_reset(writer);
}

static void add_usage(struct fill *fill, const struct made_event *event)
{
    int32_t partition = partition_for(fill, event);

    if (!made_usage(fill->made, fill->writers[partition], event)) {
        send_usage(fill, partition);
        if (!made_usage(fill->made, fill->writers[partition], event))
            fail("an event that fits no batch");
    }
    if ((int64_t)usage_writer_count(fill->writers[partition]) == fill->batch)
        send_usage(fill, partition);
}

static void fill_usage(struct fill *fill)
{
    struct made_event event;

    for (int64_t i = 0; i < fill->partitions; i++)
        fill->writers[i] = usage_writer_new();
    while (made_next(fill->made, &event))
        add_usage(fill, &event);
    for (int64_t i = 0; i < fill->partitions; i++) {
        send_usage(fill, (int32_t)i);
        usage_writer_free(fill->writers[i]);
    }
}

static void fill_json(struct fill *fill)
{
    struct made_event event;
    char json[MADE_JSON_MAX];

    while (made_next(fill->made, &event)) {
        size_t length = made_json(fill->made, &event, json);
        produce(fill, partition_for(fill, &event), text_from(json, length), NULL);
    }
}

static void write_batch(struct fill *fill, size_t count, bool is_gateway, struct buffer *out)
{
    char json[MADE_JSON_MAX];

    if (is_gateway) {
        made_gateway(fill->events, count, fill->plan.is_numbered, out);
        return;
    }
    buffer_clear(out);
    for (size_t i = 0; i < count; i++) {
        buffer_add_char(out, i ? ',' : '[');
        buffer_add(out, json, made_json(fill->made, &fill->events[i], json));
    }
    buffer_add_char(out, ']');
}

/* Messages of a gateway hold whoever's events came in, so they go round the partitions. */
static void fill_batches(struct fill *fill, bool is_gateway)
{
    CLEANUP(buffer_deinit) struct buffer out = {.length = 0};
    const char *type =
        is_gateway ? GATEWAY_CONTENT_TYPE : "application/cloudevents-batch+json; charset=UTF-8";
    int64_t began = clock_wall_ns(), sent = 0;
    size_t count;

    fill->events = calloc((size_t)fill->batch, sizeof(*fill->events));
    do {
        count = 0;
        while ((int64_t)count < fill->batch && made_next(fill->made, &fill->events[count]))
            count++;
        if (count == 0)
            break;
        write_batch(fill, count, is_gateway, &out);
        produce(fill, fill->next_partition, buffer_text(&out), type);
        fill->next_partition = (int32_t)((fill->next_partition + 1) % fill->partitions);
        sent += (int64_t)count;
        while (fill->rate > 0 && sent * 1000000000 / fill->rate > clock_wall_ns() - began)
            rd_kafka_poll(fill->kafka, 1);
    } while ((int64_t)count == fill->batch);
    free(fill->events);
}

static void fill_catalog(struct fill *fill)
{
    CLEANUP(buffer_deinit) struct buffer value = {.length = 0};
    char name[MADE_SUBSCRIPTION_BYTES + 1], key[64];
    const char *at = fill->record ? strstr(fill->record, "01ARZ3NDEKTSV4RRFF") : NULL;
    rd_kafka_resp_err_t rc;

    if (!at)
        fail("record= isn't a subscription's");
    buffer_add_string(&value, fill->record);
    for (int64_t i = 0; i < fill->plan.subscriptions; i++) {
        struct made_event event = {.subscription = (uint32_t)i};
        made_subscription(&event, name);
        memcpy(value.at + (at - fill->record), name, MADE_SUBSCRIPTION_BYTES);
        snprintf(key, sizeof(key), "subscription/%s", name);
        while ((rc = rd_kafka_producev(
                    fill->kafka, RD_KAFKA_V_TOPIC(fill->topic), RD_KAFKA_V_PARTITION(0),
                    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, strlen(key)),
                    RD_KAFKA_V_VALUE(value.at, value.length), RD_KAFKA_V_END)) ==
               RD_KAFKA_RESP_ERR__QUEUE_FULL)
            rd_kafka_poll(fill->kafka, 20);
        if (rc)
            fail(rd_kafka_err2str(rc));
    }
}

static void fill_all(struct fill *fill)
{
    if (strcmp(fill->form, "catalog") == 0)
        fill_catalog(fill);
    else if (strcmp(fill->form, "usage") == 0)
        fill_usage(fill);
    else if (strcmp(fill->form, "json") == 0)
        fill_json(fill);
    else if (strcmp(fill->form, "json-batch") == 0)
        fill_batches(fill, false);
    else if (strcmp(fill->form, "gateway") == 0)
        fill_batches(fill, true);
    else
        fail("form is usage, json, json-batch, gateway or catalog");
    if (rd_kafka_flush(fill->kafka, FLUSH_MS))
        fail("not everything was sent in two minutes");
}

static void read_words(struct fill *fill, int argc, char **argv)
{
    int64_t seed = 1;
    const struct word words[] = {
        {.name = "brokers", .text = &fill->brokers},
        {.name = "topic", .text = &fill->topic},
        {.name = "form", .text = &fill->form},
        {.name = "codec", .text = &fill->codec},
        {.name = "counts", .text = &fill->counts},
        {.name = "record", .text = &fill->record},
        {.name = "partitions", .number = &fill->partitions},
        {.name = "batch", .number = &fill->batch},
        {.name = "rate", .number = &fill->rate},
        {.name = "first", .number = &fill->plan.first},
        {.name = "events", .number = &fill->plan.events},
        {.name = "subscriptions", .number = &fill->plan.subscriptions},
        {.name = "duplicates", .number = &fill->plan.duplicates},
        {.name = "pace", .number = &fill->plan.pace},
        {.name = "start-ms", .number = &fill->plan.start_ms},
        {.name = "seed", .number = &seed},
        {.name = "zipf", .number = &fill->zipf},
        {.name = "numbered", .number = &fill->numbered},
    };

    words_read("bench-fill", argc, argv, words, (int)ARRAY_LEN(words));
    if (!fill->brokers || !fill->topic || !fill->form || fill->partitions < 1 ||
        fill->partitions > PARTITIONS_MAX || fill->batch < 1)
        fail("needs brokers, topic, form; partitions 1 to 256; batch from 1 on");
    fill->plan.seed = (uint64_t)seed;
    fill->plan.is_zipf = fill->zipf;
    fill->plan.is_numbered = fill->numbered;
}

static void print_offsets(const char *name, const int64_t *offsets, int64_t count)
{
    printf("\"%s\":[", name);
    for (int64_t i = 0; i < count; i++)
        printf("%s%lld", i ? "," : "", (long long)offsets[i]);
    printf("],");
}

static void print_summary(const struct fill *fill, int64_t wall_ns)
{
    struct made_count total = made_total(fill->made);

    printf("{");
    print_offsets("from", fill->from, fill->partitions);
    print_offsets("to", fill->to, fill->partitions);
    printf("\"events\":%llu,\"counted\":%llu,\"duplicate\":%llu,\"tenths\":%llu,\"messages\":%lld,"
           "\"bytes\":%lld,\"cpu_ns\":%lld,\"wall_ns\":%lld}\n",
           (unsigned long long)(total.counted + total.duplicate), (unsigned long long)total.counted,
           (unsigned long long)total.duplicate, (unsigned long long)total.tenths,
           (long long)fill->messages, (long long)fill->bytes, (long long)clock_process_ns(),
           (long long)wall_ns);
}

int main(int argc, char **argv)
{
    static struct fill fill = {
        .codec = "none",
        .partitions = 4,
        .batch = 100,
        .plan = {.events = 100000, .subscriptions = 100000, .pace = 1000},
    };
    int64_t began;

    read_words(&fill, argc, argv);
    fill.made = made_new(&fill.plan);
    connect_to(&fill);
    ask_ends(&fill, fill.from);
    began = clock_wall_ns();
    fill_all(&fill);
    began = clock_wall_ns() - began;
    ask_ends(&fill, fill.to);
    print_summary(&fill, began);
    if (fill.counts)
        made_write_counts(fill.made, fill.counts);
    rd_kafka_destroy(fill.kafka);
    made_free(fill.made);
    return 0;
}
