/*
 * counters_writer.c - stands in for aggregators: writes totals, marks and usage that a test names.
 *
 *   counters-writer BROKERS BUCKET < COMMANDS
 *   usage PARTITION COUNT                     messages on usage
 *   total PARTITION SUBSCRIPTION METER FROM TO QUANTITY NEXT_OFFSET [COUNT [DIMENSIONS
 *       [AGGREGATION]]]                       minutes; dimensions as in a key, no spaces; a SUM
 *   mark PARTITION NEXT_OFFSET CATALOG_OFFSET
 */
#include "common/base/fault.h"
#include "common/io/kafka.h"
#include "proto/counters.h"
#include "proto/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1024 };

static const char *bucket;

static void fail(const char *what)
{
    fprintf(stderr, "counters-writer: %s: %s\n", what, fault_text());
    exit(1);
}

static void send(struct producer *producer, enum topic topic, int partition, struct text key,
                 struct text value)
{
    struct kafka_message message = {.partition = partition, .key = key, .value = value};
    char name[TOPIC_NAME_MAX];
    int r;

    topic_name(topic, bucket, name);
    while ((r = producer_send(producer, name, &message, NULL, NULL)) == PRODUCER_FULL)
        producer_poll(producer, 100);
    if (r)
        fail("send");
    producer_poll(producer, 0);
}

static void write_usage(struct producer *producer, const char *line)
{
    int partition, count;

    if (sscanf(line, "usage %d %d", &partition, &count) != 2)
        fail(line);
    for (int i = 0; i < count; i++)
        send(producer, TOPIC_USAGE, partition, text_of(NULL), text_of("x"));
}

static void write_total(struct producer *producer, const char *line)
{
    char subscription[300], meter[80], quantity[64], dimensions[300] = "{}", kind[32] = "SUM";
    struct counters_total total = {.dimensions = text_of(NULL)};
    struct buffer key = {0}, value = {0};
    long long from, to, next, count = 1;
    int partition;

    if (sscanf(line, "total %d %299s %79s %lld %lld %63s %lld %lld %299s %31s", &partition,
               subscription, meter, &from, &to, quantity, &next, &count, dimensions, kind) < 7 ||
        !aggregation_from(text_of(kind), &total.total.aggregation) ||
        decimal_parse_sum(text_of(quantity), &total.total.value))
        fail(line);
    total.subscription = text_of(subscription);
    total.meter = text_of(meter);
    total.dimensions = text_of(dimensions);
    total.from_minute = from;
    total.to_minute = to;
    total.next_offset = next;
    total.total.count = (uint64_t)count;
    counters_encode_total(&total, &key, &value);
    send(producer, TOPIC_COUNTERS, partition, buffer_text(&key), buffer_text(&value));
    buffer_deinit(&key);
    buffer_deinit(&value);
}

static void write_mark(struct producer *producer, const char *line)
{
    struct counters_mark mark = {.watermark = instant_from_seconds(0)};
    struct buffer key = {0}, value = {0};
    long long next, catalog;

    if (sscanf(line, "mark %d %lld %lld", &mark.partition, &next, &catalog) != 3)
        fail(line);
    mark.next_offset = next;
    mark.catalog_offset = catalog;
    memset(mark.digest, '0', sizeof(mark.digest) - 1);
    snprintf(mark.owner, sizeof(mark.owner), "http://127.0.0.1:1");
    counters_encode_mark(&mark, &key, &value);
    send(producer, TOPIC_COUNTERS, mark.partition, buffer_text(&key), buffer_text(&value));
    buffer_deinit(&key);
    buffer_deinit(&value);
}

int main(int argc, char **argv)
{
    struct kafka_config config = {.client_id = "counters-writer"};
    struct producer *producer;
    char line[LINE_MAX_BYTES];

    if (argc != 3) {
        fprintf(stderr, "usage: counters-writer BROKERS BUCKET < COMMANDS\n");
        return 64;
    }
    config.brokers = argv[1];
    bucket = argv[2];
    if (producer_new(&config, 16 * 1024 * 1024, 20000, &producer))
        fail("producer");
    while (fgets(line, sizeof(line), stdin)) {
        if (strncmp(line, "usage ", 6) == 0)
            write_usage(producer, line);
        else if (strncmp(line, "total ", 6) == 0)
            write_total(producer, line);
        else if (strncmp(line, "mark ", 5) == 0)
            write_mark(producer, line);
    }
    if (producer_flush(producer, 20000))
        fail("flush");
    producer_free(producer);
    return 0;
}
