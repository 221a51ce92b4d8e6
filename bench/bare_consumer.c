/*
 * bare_consumer.c - the floor: what librdkafka alone costs to read a topic from its beginning to
 * its end, untouched, with the best settings that we know.
 *
 *   bench-bare brokers=HOST:PORT topic=NAME [partitions=N]
 *
 * Prints {"messages","bytes","cpu_ns","wall_ns"} from the first message to the last.
 */
#include "bench/words.h"

#include "common/base/attrs.h"

#include <librdkafka/rdkafka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 10000, POLL_MS = 100 };

struct reading {
    int64_t messages, bytes, first_cpu, first_wall;
    int64_t ended; /* partitions that were read to their end */
};

static void fail(const char *what)
{
    fprintf(stderr, "bench-bare: %s\n", what);
    exit(1);
}

/* Names that this librdkafka doesn't know are left out. */
static rd_kafka_t *connect_to(const char *brokers)
{
    static const char *const settings[][2] = {
        {"group.id", "bench-bare"},
        {"enable.auto.commit", "false"},
        {"enable.partition.eof", "true"},
        {"check.crcs", "false"},
        {"fetch.wait.max.ms", "10"},
        {"fetch.max.bytes", "8000000"},
        {"max.partition.fetch.bytes", "1048576"},
        {"queued.min.messages", "2000000"},
        {"queued.max.messages.kbytes", "2000000"},
        {"fetch.queue.backoff.ms", "1"},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_t *kafka;
    char why[512];

    if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof(why)))
        fail(why);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        (void)rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof(why));
    kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!kafka)
        fail(why);
    rd_kafka_poll_set_consumer(kafka);
    return kafka;
}

/* `from`: an offset for each partition, or NULL: the beginning. */
static void assign(rd_kafka_t *kafka, const char *topic, int64_t partitions, const char *from)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)partitions);

    for (int64_t i = 0; i < partitions; i++) {
        rd_kafka_topic_partition_list_add(list, topic, (int32_t)i)->offset =
            from ? strtoll(from, NULL, 10) : RD_KAFKA_OFFSET_BEGINNING;
        from = from && strchr(from, ',') ? strchr(from, ',') + 1 : from;
    }
    if (rd_kafka_assign(kafka, list))
        fail("the partitions can't be assigned");
    rd_kafka_topic_partition_list_destroy(list);
}

static void take(struct reading *reading, const rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        reading->ended++;
        return;
    }
    if (message->err)
        fail(rd_kafka_message_errstr(message));
    if (reading->messages++ == 0) {
        reading->first_cpu = clock_process_ns();
        reading->first_wall = clock_wall_ns();
    }
    reading->bytes += (int64_t)message->len;
}

int main(int argc, char **argv)
{
    static rd_kafka_message_t *messages[MOST];
    const char *brokers = NULL, *topic = NULL, *from = NULL;
    int64_t partitions = 4;
    const struct word words[] = {{.name = "brokers", .text = &brokers},
                                 {.name = "topic", .text = &topic},
                                 {.name = "from", .text = &from},
                                 {.name = "partitions", .number = &partitions}};
    struct reading reading = {.messages = 0};
    rd_kafka_queue_t *queue;
    rd_kafka_t *kafka;

    words_read("bench-bare", argc, argv, words, (int)ARRAY_LEN(words));
    if (!brokers || !topic)
        fail("needs brokers and topic");
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 2000000000);
    mallopt(M_TOP_PAD, 64 << 20);
    kafka = connect_to(brokers);
    assign(kafka, topic, partitions, from);
    queue = rd_kafka_queue_get_consumer(kafka);
    while (reading.ended < partitions) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, POLL_MS, messages, MOST);
        for (ssize_t i = 0; i < count; i++) {
            take(&reading, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    printf("{\"messages\":%lld,\"bytes\":%lld,\"cpu_ns\":%lld,\"wall_ns\":%lld}\n",
           (long long)reading.messages, (long long)reading.bytes,
           (long long)(clock_process_ns() - reading.first_cpu),
           (long long)(clock_wall_ns() - reading.first_wall));
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(kafka);
    return 0;
}
