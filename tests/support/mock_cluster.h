/*
 * mock_cluster.h - librdkafka's mock cluster inside a test, and what the Kafka tests share.
 */
#pragma once

#include "common/base/arena.h"
#include "common/io/kafka.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

struct mock {
    rd_kafka_t *host;
    rd_kafka_mock_cluster_t *cluster;
    struct kafka_config config;
    struct arena arena;  /* of what read_topic copies */
    char properties[64]; /* a file that shortens the group's session */
};

/* One broker with the topic `t` of so many partitions. */
void mock_init(struct mock *mock, int partitions);
void mock_deinit(struct mock *mock);

/* Sends the decimal number to the partition; asserts that it was taken. */
void send_number(struct producer *producer, int32_t partition, int number,
                 producer_delivered *delivered, void *context);
int number_of(const struct kafka_message *message);

/* Reads the topic `t` from its beginning to its end, `count` messages at most. */
size_t read_topic(struct mock *mock, struct kafka_message *copies, size_t count);

/* A producer with roomy limits. */
struct producer *new_producer(const struct mock *mock);
