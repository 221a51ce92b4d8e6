#include "tests/support/mock_cluster.h"

#include "common/base/fault.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_properties(struct mock *mock)
{
    static const char lines[] = "# a first member waits for 3 s, and must live that long\n"
                                "session.timeout.ms=4000\nheartbeat.interval.ms=200\n";
    int file;

    strcpy(mock->properties, "/tmp/tollway-properties-XXXXXX");
    file = mkstemp(mock->properties);
    cr_assert_geq(file, 0);
    cr_assert_eq(write(file, lines, sizeof(lines) - 1), (ssize_t)sizeof(lines) - 1);
    close(file);
}

void mock_init(struct mock *mock, int partitions)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    (void)rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    mock->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    cr_assert_not_null(mock->host);
    mock->cluster = rd_kafka_mock_cluster_new(mock->host, 1);
    cr_assert_not_null(mock->cluster);
    cr_assert_eq(rd_kafka_mock_topic_create(mock->cluster, "t", partitions, 1), 0);
    write_properties(mock);
    arena_init(&mock->arena, 64 << 20);
    mock->config = (struct kafka_config){
        .brokers = rd_kafka_mock_cluster_bootstraps(mock->cluster),
        .properties = mock->properties,
        .client_id = "test",
    };
}

void mock_deinit(struct mock *mock)
{
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->host);
    unlink(mock->properties);
    arena_deinit(&mock->arena);
}

struct producer *new_producer(const struct mock *mock)
{
    struct producer *producer = NULL;

    cr_assert_eq(producer_new(&mock->config, 64 << 20, 30000, &producer), 0, "%s", fault_text());
    return producer;
}

void send_number(struct producer *producer, int32_t partition, int number,
                 producer_delivered *delivered, void *context)
{
    char digits[16];
    struct kafka_message message = {.partition = partition};

    snprintf(digits, sizeof(digits), "%d", number);
    message.value = text_of(digits);
    cr_assert_eq(producer_send(producer, "t", &message, delivered, context), 0, "%s", fault_text());
}

int number_of(const struct kafka_message *message)
{
    char digits[16] = "";

    cr_assert_lt(message->value.length, sizeof(digits));
    memcpy(digits, message->value.at, message->value.length);
    return atoi(digits);
}

static struct kafka_message copy(struct arena *arena, const struct kafka_message *message)
{
    struct kafka_message made = *message;
    struct kafka_header *headers =
        arena_take(arena, (message->header_count + 1) * sizeof(*headers));

    cr_assert_not_null(headers);
    made.headers = headers;
    made.key = arena_copy(arena, message->key);
    made.value = arena_copy(arena, message->value);
    for (size_t i = 0; i < message->header_count; i++) {
        const char *name = message->headers[i].name;

        headers[i].name = arena_copy(arena, text_from(name, strlen(name) + 1)).at;
        headers[i].value = arena_copy(arena, message->headers[i].value);
    }
    return made;
}

size_t read_topic(struct mock *mock, struct kafka_message *copies, size_t count)
{
    struct follower *follower = NULL;
    struct kafka_message messages[64];
    size_t got = 0;

    cr_assert_eq(follower_new(&mock->config, "t", NULL, 0, &follower), 0, "%s", fault_text());
    follower_take_headers(follower);
    for (int polls = 0; got < count && !follower_is_caught_up(follower) && polls < 200; polls++) {
        size_t most = count - got < 64 ? count - got : 64;
        int n = follower_poll(follower, messages, most, 100);

        cr_assert_geq(n, 0, "%s", fault_text());
        for (int i = 0; i < n; i++)
            copies[got++] = copy(&mock->arena, &messages[i]);
    }
    follower_free(follower);
    return got;
}
