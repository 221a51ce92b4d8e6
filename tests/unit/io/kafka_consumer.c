#include "common/io/kafka.h"

#include "common/base/fault.h"
#include "common/base/monotonic.h"
#include "common/io/kafka_parts.h"
#include "tests/support/mock_cluster.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Each case has a broker of its own with four partitions. */

enum { PARTITIONS = 4, PATIENCE_MS = 60000 };

static struct mock mock;

static void start(void)
{
    mock_init(&mock, PARTITIONS);
}

static void stop(void)
{
    mock_deinit(&mock);
}

TestSuite(consumer, .init = start, .fini = stop, .timeout = 240);
TestSuite(follower, .init = start, .fini = stop, .timeout = 240);

static void fill_partitions(int from, int to)
{
    struct producer *producer = new_producer(&mock);

    for (int p = 0; p < PARTITIONS; p++)
        for (int i = from; i < to; i++)
            send_number(producer, p, i, NULL, NULL);
    cr_assert_eq(producer_flush(producer, 20000), 0, "%s", fault_text());
    producer_free(producer);
}

/* --- one member of a group; the positions are shared, as our store would be --- */

static int64_t positions[PARTITIONS];

struct member {
    struct consumer *consumer;
    bool owned[PARTITIONS];
    int owned_count;
    int revocations;
};

static int on_assigned(void *context, int32_t partition, int64_t *offset)
{
    struct member *member = context;

    member->owned[partition] = true;
    member->owned_count++;
    *offset = positions[partition];
    return 0;
}

static void on_revoked(void *context, int32_t partition, bool lost)
{
    struct member *member = context;

    (void)lost;
    cr_assert(member->owned[partition]);
    member->owned[partition] = false;
    member->owned_count--;
    member->revocations++;
}

static const struct consumer_ops ops = {on_assigned, on_revoked};

static void join(struct member *member)
{
    *member = (struct member){0};
    cr_assert_eq(consumer_new(&mock.config, "g", "t", &ops, member, &member->consumer), 0, "%s",
                 fault_text());
}

/* Takes what there is; every message must be the very next of its partition. */
static int poll_member(struct member *member, int timeout_ms)
{
    struct kafka_message messages[50];
    int n = consumer_poll(member->consumer, messages, 50, timeout_ms);

    for (int i = 0; i < n; i++) {
        int32_t p = messages[i].partition;

        cr_assert(member->owned[p], "a message of partition %d after it went", p);
        cr_assert_eq(messages[i].offset, positions[p]);
        cr_assert_eq(number_of(&messages[i]), messages[i].offset);
        positions[p]++;
    }
    return n;
}

static bool all_at(int64_t offset)
{
    for (int p = 0; p < PARTITIONS; p++)
        if (positions[p] != offset)
            return false;
    return true;
}

Test(consumer, reading_starts_at_the_position_that_its_owner_names)
{
    struct member member;

    fill_partitions(0, 100);
    for (int p = 0; p < PARTITIONS; p++)
        positions[p] = 10 * p;
    join(&member);
    for (int64_t until = monotonic_ms() + PATIENCE_MS; !all_at(100) && monotonic_ms() < until;)
        cr_assert_geq(poll_member(&member, 100), 0, "%s", fault_text());

    cr_assert(all_at(100));
    consumer_free(member.consumer);
    cr_assert_eq(member.revocations, PARTITIONS, "leaving gives back what it owned");
}

Test(consumer, partitions_move_between_members_without_loss_or_repetition)
{
    struct member first, second;
    int end = 0;
    int64_t until = monotonic_ms() + PATIENCE_MS;

    join(&first);
    while (first.owned_count < PARTITIONS && monotonic_ms() < until)
        cr_assert_geq(poll_member(&first, 100), 0, "%s", fault_text());
    cr_assert_eq(first.owned_count, PARTITIONS);
    join(&second);
    until = monotonic_ms() + PATIENCE_MS;
    for (int i = 0; (second.owned_count != 2 || first.owned_count != 2) && monotonic_ms() < until;
         i++) {
        if (i % 10 == 0 && end < 300) {
            fill_partitions(end, end + 20);
            end += 20;
        }
        cr_assert_geq(poll_member(&first, 20), 0, "%s", fault_text());
        cr_assert_geq(poll_member(&second, 20), 0, "%s", fault_text());
    }
    cr_assert_eq(first.owned_count, 2);
    cr_assert_eq(second.owned_count, 2);
    consumer_free(first.consumer);
    until = monotonic_ms() + PATIENCE_MS;
    while ((second.owned_count < PARTITIONS || !all_at(end)) && monotonic_ms() < until)
        cr_assert_geq(poll_member(&second, 100), 0, "%s", fault_text());

    cr_assert_eq(second.owned_count, PARTITIONS);
    cr_assert(all_at(end));
    consumer_free(second.consumer);
}

static int poll_until_fault(struct consumer *consumer)
{
    struct kafka_message messages[50];
    int r = 0;

    for (int64_t until = monotonic_ms() + PATIENCE_MS; r >= 0 && monotonic_ms() < until;)
        r = consumer_poll(consumer, messages, 50, 100);
    return r;
}

Test(consumer, a_position_that_the_log_does_not_hold_stops_it)
{
    struct member member;

    fill_partitions(0, 10);
    positions[2] = 1000;
    join(&member);

    cr_assert_eq(poll_until_fault(member.consumer), FAULT_STOP);
    cr_assert_not_null(strstr(fault_text(), "t/2"), "%s", fault_text());
    cr_assert_not_null(strstr(fault_text(), "remedy"), "%s", fault_text());
    consumer_free(member.consumer);
}

Test(consumer, a_message_ends_the_wait)
{
    struct member member;
    struct producer *producer = new_producer(&mock);
    int64_t began;

    join(&member);
    while (member.owned_count < PARTITIONS)
        cr_assert_geq(poll_member(&member, 100), 0, "%s", fault_text());
    send_number(producer, 0, 0, NULL, NULL);
    cr_assert_eq(producer_flush(producer, 10000), 0);
    began = monotonic_ms();
    while (positions[0] == 0)
        cr_assert_geq(poll_member(&member, PATIENCE_MS), 0);

    cr_assert_lt(monotonic_ms() - began, PATIENCE_MS / 2);
    consumer_free(member.consumer);
    producer_free(producer);
}

static int times_asked;

static int on_assigned_at_second_asking(void *context, int32_t partition, int64_t *offset)
{
    if (partition == 1 && times_asked++ == 0)
        return fault(FAULT_RETRY, "not yet");
    return on_assigned(context, partition, offset);
}

Test(consumer, an_owner_that_is_not_ready_is_asked_again)
{
    static const struct consumer_ops later = {on_assigned_at_second_asking, on_revoked};
    struct member member = {0};
    struct kafka_message messages[1];
    int r = 0;

    cr_assert_eq(consumer_new(&mock.config, "g", "t", &later, &member, &member.consumer), 0);
    for (int64_t until = monotonic_ms() + PATIENCE_MS; r == 0 && monotonic_ms() < until;)
        r = consumer_poll(member.consumer, messages, 1, 100);
    cr_assert_eq(r, FAULT_RETRY);
    cr_assert_eq(member.owned_count, 0, "those already taken were given back");

    cr_assert_eq(consumer_poll(member.consumer, messages, 1, 100), 0);
    cr_assert_eq(member.owned_count, PARTITIONS);
    consumer_free(member.consumer);
}

static int times_loaded;

static int on_assigned_after_a_load(void *context, int32_t partition, int64_t *offset)
{
    static const struct timespec load = {.tv_sec = 8};

    times_loaded++;
    if (partition == 0)
        nanosleep(&load, NULL);
    return on_assigned(context, partition, offset);
}

/* librdkafka doesn't count the time before an assignment is carried out; else it would load for
 * ever: the group takes the partitions away, and gives them back. */
Test(consumer, an_owner_may_load_for_longer_than_a_member_may_go_without_polling)
{
    static const struct consumer_ops slow = {on_assigned_after_a_load, on_revoked};
    struct member member = {0};
    FILE *properties = fopen(mock.properties, "a");

    fprintf(properties, "max.poll.interval.ms=6000\n");
    cr_assert_eq(fclose(properties), 0);
    fill_partitions(0, 10);
    cr_assert_eq(consumer_new(&mock.config, "g", "t", &slow, &member, &member.consumer), 0);
    for (int64_t until = monotonic_ms() + PATIENCE_MS; !all_at(10) && monotonic_ms() < until;)
        cr_assert_geq(poll_member(&member, 100), 0, "%s", fault_text());
    for (int64_t until = monotonic_ms() + 1000; monotonic_ms() < until;)
        cr_assert_geq(poll_member(&member, 100), 0, "%s", fault_text());

    cr_assert(all_at(10));
    cr_assert_eq(times_loaded, PARTITIONS);
    cr_assert_eq(member.revocations, 0);
    consumer_free(member.consumer);
}

/* --- follower --- */

Test(follower, has_caught_up_when_it_has_read_what_was_there_at_its_start)
{
    struct follower *follower = NULL;
    struct kafka_message messages[7];
    int total = 0;

    fill_partitions(0, 25);
    cr_assert_eq(follower_new(&mock.config, "t", NULL, 0, &follower), 0, "%s", fault_text());
    cr_assert_not(follower_is_caught_up(follower));
    for (int64_t until = monotonic_ms() + PATIENCE_MS;
         !follower_is_caught_up(follower) && monotonic_ms() < until;) {
        int n = follower_poll(follower, messages, 7, 100);

        cr_assert_geq(n, 0, "%s", fault_text());
        total += n;
    }

    cr_assert(follower_is_caught_up(follower));
    cr_assert_eq(total, 100);
    follower_free(follower);
}

/* How long reading all there is takes. */
static int64_t read_all_with(const char *property)
{
    struct follower *follower = NULL;
    struct kafka_message messages[500];
    FILE *properties = fopen(mock.properties, "a");
    int64_t begun;

    cr_assert_not_null(properties);
    fprintf(properties, "%s\n", property);
    cr_assert_eq(fclose(properties), 0);
    cr_assert_eq(follower_new(&mock.config, "t", NULL, 0, &follower), 0, "%s", fault_text());
    begun = monotonic_ms();
    while (!follower_is_caught_up(follower) && monotonic_ms() < begun + PATIENCE_MS)
        cr_assert_geq(follower_poll(follower, messages, ARRAY_LEN(messages), 20), 0, "%s",
                      fault_text());
    cr_assert(follower_is_caught_up(follower));
    follower_free(follower);
    return monotonic_ms() - begun;
}

/* With one message ahead fetching stops after each of the 100 produced batches, 25 a partition, for
 * a second where nothing wakes it. */
Test(follower, goes_on_fetching_soon_after_it_had_enough_ahead)
{
    for (int i = 0; i < 25; i++)
        fill_partitions(i, i + 1);
    cr_assert_lt(read_all_with("queued.min.messages=1"), 15000);
}

/* With two messages ahead, for some 16 seconds in all. */
Test(follower, goes_on_fetching_soon_after_it_had_enough_bytes_ahead)
{
    enum { LARGE = 100 << 10, MANY = 80 };
    static char bytes[LARGE];
    struct producer *producer = new_producer(&mock);
    struct kafka_message message = {.value = {bytes, LARGE}};

    for (int i = 0; i < MANY; i++) {
        message.partition = i % PARTITIONS;
        cr_assert_eq(producer_send(producer, "t", &message, NULL, NULL), 0, "%s", fault_text());
        cr_assert_eq(producer_flush(producer, 20000), 0, "%s", fault_text());
    }
    producer_free(producer);
    cr_assert_lt(read_all_with("queued.max.messages.kbytes=200"), 8000);
}

Test(follower, of_an_empty_topic_has_caught_up_at_once)
{
    struct follower *follower = NULL;

    cr_assert_eq(follower_new(&mock.config, "t", NULL, 0, &follower), 0, "%s", fault_text());
    cr_assert(follower_is_caught_up(follower));
    follower_free(follower);
}

/* Reads until the partition has caught up, or the time is over. */
static bool catches_up(struct follower *follower, int32_t partition, int64_t patience_ms)
{
    struct kafka_message messages[50];

    for (int64_t until = monotonic_ms() + patience_ms;
         !follower_has_read(follower, partition) && monotonic_ms() < until;)
        cr_assert_geq(follower_poll(follower, messages, ARRAY_LEN(messages), 20), 0, "%s",
                      fault_text());
    return follower_has_read(follower, partition);
}

Test(follower, partly_reads_a_partition_once_it_has_a_leader)
{
    struct producer *producer = new_producer(&mock);
    int64_t offsets[PARTITIONS];
    struct follower *follower = NULL;

    for (int i = 0; i < PARTITIONS; i++) {
        send_number(producer, i, i, NULL, NULL);
        offsets[i] = i == 3 ? -1 : -2;
    }
    cr_assert_eq(producer_flush(producer, 20000), 0);
    producer_free(producer);
    rd_kafka_mock_partition_set_leader(mock.cluster, "t", 1, -1);
    cr_assert_eq(follower_new_partly(&mock.config, "t", offsets, PARTITIONS, &follower), 0, "%s",
                 fault_text());
    cr_assert_eq(follower_silent(follower), 1);
    for (int i = 0; i < PARTITIONS; i++)
        cr_assert(i == 1 || catches_up(follower, i, PATIENCE_MS), "partition %d", i);
    cr_assert_eq(follower_next_offset(follower, 3), 1); /* the end of one that wasn't asked */
    cr_assert_not(follower_has_read(follower, 1));
    cr_assert_not(follower_is_caught_up(follower));
    rd_kafka_mock_partition_set_leader(mock.cluster, "t", 1, 1);
    cr_assert(catches_up(follower, 1, PATIENCE_MS));
    cr_assert(follower_is_caught_up(follower));
    follower_free(follower);
}

Test(follower, goes_on_from_the_given_offsets)
{
    struct follower *follower = NULL;
    struct kafka_message messages[50];
    int64_t offsets[PARTITIONS] = {20, 25, -1, -2};
    int total[PARTITIONS] = {0};

    fill_partitions(0, 25);
    cr_assert_eq(follower_new(&mock.config, "t", offsets, PARTITIONS, &follower), 0, "%s",
                 fault_text());
    for (int64_t until = monotonic_ms() + PATIENCE_MS;
         !follower_is_caught_up(follower) && monotonic_ms() < until;) {
        int n = follower_poll(follower, messages, 50, 100);

        for (int m = 0; m < n; m++)
            total[messages[m].partition]++;
    }

    cr_assert(total[0] == 5 && total[1] == 0 && total[2] == 0 && total[3] == 25);
    follower_free(follower);
}

Test(follower, reads_what_comes_behind_the_end_that_it_began_at)
{
    struct follower *follower = NULL;
    struct kafka_message messages[50];
    int64_t offsets[PARTITIONS] = {-1, -1, -1, -1};
    int got = 0;

    fill_partitions(0, 25);
    cr_assert_eq(follower_new(&mock.config, "t", offsets, PARTITIONS, &follower), 0, "%s",
                 fault_text());
    cr_assert(follower_is_caught_up(follower));
    cr_assert_eq(follower_next_offset(follower, 2), 25);
    fill_partitions(25, 26);
    for (int64_t until = monotonic_ms() + PATIENCE_MS; got < PARTITIONS && monotonic_ms() < until;)
        got += follower_poll(follower, messages, 50, 100);
    cr_assert_eq(got, PARTITIONS);
    cr_assert_eq(follower_next_offset(follower, 2), 26);
    follower_free(follower);
}

/* Librdkafka's answer takes longer than all else of a small message. */
Test(follower, reads_headers_for_who_asks_for_them)
{
    struct producer *producer = new_producer(&mock);
    struct kafka_header header = {.name = "name", .value = text_of("value")};
    struct kafka_message sent = {.value = text_of("x"), .headers = &header, .header_count = 1};

    cr_assert_eq(producer_send(producer, "t", &sent, NULL, NULL), 0, "%s", fault_text());
    cr_assert_eq(producer_flush(producer, 20000), 0, "%s", fault_text());
    producer_free(producer);
    for (int asks = 0; asks <= 1; asks++) {
        struct follower *follower = NULL;
        struct kafka_message got;
        int count = 0;

        cr_assert_eq(follower_new(&mock.config, "t", NULL, 0, &follower), 0, "%s", fault_text());
        if (asks)
            follower_take_headers(follower);
        for (int64_t until = monotonic_ms() + PATIENCE_MS; count == 0 && monotonic_ms() < until;)
            count = follower_poll(follower, &got, 1, 100);
        cr_assert_eq(count, 1);
        cr_assert_eq(got.header_count, asks);
        cr_assert(!asks || text_is(got.headers[0].value, "value"));
        follower_free(follower);
    }
}

Test(follower, what_cannot_be_the_topic_it_knew_stops_it)
{
    struct follower *follower = NULL;
    int64_t offsets[PARTITIONS] = {0, 0, 0, 1000};

    cr_assert_eq(follower_new(&mock.config, "t", offsets, PARTITIONS, &follower), FAULT_STOP);
    cr_assert_not_null(strstr(fault_text(), "t/3"), "%s", fault_text());
    cr_assert_eq(follower_new(&mock.config, "t", offsets, PARTITIONS - 1, &follower), FAULT_STOP);
    cr_assert_not_null(strstr(fault_text(), "partitions"), "%s", fault_text());
    cr_assert_eq(follower_new(&mock.config, "absent", NULL, 0, &follower), FAULT_STOP);
    cr_assert_not_null(strstr(fault_text(), "missing"), "%s", fault_text());
}

/* --- properties --- */

static int with_line(const char *line)
{
    struct producer *producer = NULL;
    FILE *file = fopen(mock.properties, "w");
    int r;

    fprintf(file, "# a comment\n\n%s\n", line);
    fclose(file);
    r = producer_new(&mock.config, 1 << 20, 1000, &producer);
    producer_free(producer);
    return r;
}

TestSuite(properties, .init = start, .fini = stop, .timeout = 30);

Test(properties, a_file_can_say_what_is_not_ours_to_fix)
{
    cr_assert_eq(with_line("linger.ms = 20"), 0, "%s", fault_text());
    cr_assert_eq(with_line("security.protocol=SASL_SSL\nsasl.mechanisms=PLAIN\n"
                           "sasl.username=u\nsasl.password=p=q"),
                 0, "%s", fault_text());
    cr_assert_eq(with_line("session.timeout.ms=9000"), 0, "a reader's: %s", fault_text());
}

Test(properties, a_wrong_line_is_named)
{
    static const struct {
        const char *line, *said;
    } wrong[] = {
        {"enable.idempotence=false", "must be true"},
        {"no.such.property=1", "no.such.property"},
        {"linger.ms=soon", "linger.ms"},
        {"linger.ms", "name=value"},
    };

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        char place[96];

        snprintf(place, sizeof(place), "%s:3", mock.properties);
        cr_assert_eq(with_line(wrong[i].line), FAULT_STOP);
        cr_assert_not_null(strstr(fault_text(), place), "%s", fault_text());
        cr_assert_not_null(strstr(fault_text(), wrong[i].said), "%s", fault_text());
    }
}

/* Where librdkafka can push them, a client that ends waits for the last push. */
Test(properties, no_client_pushes_figures_to_the_broker)
{
    rd_kafka_conf_t *conf = NULL;
    char pushes[8] = "false";
    size_t size = sizeof(pushes);

    cr_assert_eq(kafka_conf_new(&mock.config, NULL, 0, &conf), 0, "%s", fault_text());

    (void)rd_kafka_conf_get(conf, "enable.metrics.push", pushes, &size); /* unknown before 2.5 */
    cr_assert_str_eq(pushes, "false");
    rd_kafka_conf_destroy(conf);
}

Test(properties, a_missing_file_is_named)
{
    struct producer *producer = NULL;

    mock.config.properties = "/nowhere/at/all";
    cr_assert_eq(producer_new(&mock.config, 1 << 20, 1000, &producer), FAULT_STOP);
    cr_assert_not_null(strstr(fault_text(), "/nowhere/at/all"), "%s", fault_text());
}
