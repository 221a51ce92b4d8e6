#include "common/io/kafka.h"

#include "common/base/fault.h"
#include "common/io/kafka_parts.h"
#include "tests/support/mock_cluster.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each case has a broker of its own. */

static struct mock mock;

static void start(void)
{
    mock_init(&mock, 2);
}

static void stop(void)
{
    mock_deinit(&mock);
}

TestSuite(producer, .init = start, .fini = stop, .timeout = 60);

/* What became of each number that was sent. */
enum { NUMBERS_MAX = 4000 };
static int confirmed[NUMBERS_MAX], given_up[NUMBERS_MAX];
static char last_why[256];

static void on_fate(void *context, int64_t offset, const char *why)
{
    int number = (int)(intptr_t)context;

    if (offset >= 0) {
        confirmed[number]++;
        return;
    }
    given_up[number]++;
    snprintf(last_why, sizeof(last_why), "%s", why);
}

static void send_numbers(struct producer *producer, int from, int to)
{
    for (int i = from; i < to; i++)
        send_number(producer, 0, i, on_fate, (void *)(intptr_t)i);
}

Test(producer, what_is_confirmed_is_in_the_log_with_all_it_carried)
{
    struct producer *producer = new_producer(&mock);
    struct kafka_header headers[] = {{"reason", text_of("late")}, {"none", {0}}};
    struct kafka_message got[1];
    struct kafka_message message = {
        .partition = 1, .key = text_of("k"), .headers = headers, .header_count = 2};

    cr_assert_eq(producer_send(producer, "t", &message, on_fate, NULL), 0);
    cr_assert_eq(producer_flush(producer, 10000), 0, "%s", fault_text());

    cr_assert_eq(confirmed[0], 1);
    cr_assert_eq(read_topic(&mock, got, 1), 1);
    cr_assert_eq(got[0].partition, 1);
    cr_assert(text_is(got[0].key, "k"));
    cr_assert(text_is_absent(got[0].value), "a tombstone stays one");
    cr_assert_eq(got[0].header_count, 2);
    cr_assert_str_eq(got[0].headers[0].name, "reason");
    cr_assert(text_is(got[0].headers[0].value, "late"));
    producer_free(producer);
}

Test(producer, a_key_without_a_partition_goes_where_the_java_client_sends_it)
{
    struct producer *producer = new_producer(&mock);
    struct kafka_message got[3];
    /* murmur2 modulo 2, as Kafka's own client computes it */
    struct {
        const char *key;
        int32_t partition;
    } known[] = {{"21", 0}, {"foobar", 0}, {"abc", 1}};

    for (size_t i = 0; i < 3; i++) {
        struct kafka_message message = {
            .partition = -1, .key = text_of(known[i].key), .value = text_of("v")};

        cr_assert_eq(producer_send(producer, "t", &message, NULL, NULL), 0);
    }
    cr_assert_eq(producer_flush(producer, 10000), 0, "%s", fault_text());

    cr_assert_eq(read_topic(&mock, got, 3), 3);
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++)
            if (text_is(got[i].key, known[j].key))
                cr_assert_eq(got[i].partition, known[j].partition, "%s", known[j].key);
    producer_free(producer);
}

/* The numbers from 0 on, each at least once, first occurrences in order, and told of exactly once.
 */
static void assert_whole_log(int count)
{
    static struct kafka_message got[NUMBERS_MAX * 2];
    size_t found = read_topic(&mock, got, ARRAY_LEN(got));
    int next = 0;

    for (size_t i = 0; i < found; i++) {
        int number = number_of(&got[i]);

        cr_assert_leq(number, next, "%d came before %d", number, next);
        if (number == next)
            next++;
    }
    cr_assert_eq(next, count);
    for (int i = 0; i < count; i++) {
        cr_assert_eq(confirmed[i], 1, "%d was confirmed %d times", i, confirmed[i]);
        cr_assert_eq(given_up[i], 0);
    }
}

Test(producer, a_fatal_error_loses_nothing_and_keeps_the_order)
{
    struct producer *producer = new_producer(&mock);

    send_numbers(producer, 0, 500);
    (void)producer_poll(producer, 200);
    rd_kafka_mock_broker_set_rtt(mock.cluster, 1, 100);
    send_numbers(producer, 500, 1000);
    (void)producer_poll(producer, 20);
    rd_kafka_test_fatal_error(producer->client, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                              "made up");
    send_numbers(producer, 1000, 2000);
    rd_kafka_mock_broker_set_rtt(mock.cluster, 1, 0);
    cr_assert_eq(producer_flush(producer, 20000), 0, "%s", fault_text());

    cr_assert_eq(producer->remade, 1);
    assert_whole_log(2000);
    producer_free(producer);
}

Test(producer, a_sequence_that_the_broker_refuses_loses_nothing)
{
    struct producer *producer = new_producer(&mock);

    send_numbers(producer, 0, 100);
    cr_assert_eq(producer_flush(producer, 10000), 0);
    rd_kafka_mock_push_request_errors(mock.cluster, 0 /* Produce */, 1,
                                      RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    send_numbers(producer, 100, 600);
    cr_assert_eq(producer_flush(producer, 20000), 0, "%s", fault_text());

    assert_whole_log(600);
    producer_free(producer);
}

Test(producer, a_broker_that_comes_back_loses_nothing)
{
    struct producer *producer = new_producer(&mock);

    send_numbers(producer, 0, 100);
    cr_assert_eq(producer_flush(producer, 10000), 0);
    rd_kafka_mock_broker_set_down(mock.cluster, 1);
    send_numbers(producer, 100, 200);
    cr_assert_eq(producer_flush(producer, 700), FAULT_RETRY);
    cr_assert_eq(producer_unconfirmed(producer), 100);
    cr_assert_not(producer_is_connected(producer));
    rd_kafka_mock_broker_set_up(mock.cluster, 1);
    cr_assert_eq(producer_flush(producer, 20000), 0, "%s", fault_text());
    for (int i = 0; i < 30 && !producer_is_connected(producer); i++)
        (void)producer_poll(producer, 100);

    cr_assert(producer_is_connected(producer));
    assert_whole_log(200);
    producer_free(producer);
}

Test(producer, a_producer_knows_that_it_is_connected_before_it_is_polled)
{
    struct producer *producer = new_producer(&mock);

    for (int i = 0; i < 500 && !producer_is_connected(producer); i++)
        usleep(10000);

    cr_assert(producer_is_connected(producer));
    producer_free(producer);
}

Test(producer, the_limit_is_an_outcome_and_ends_with_the_confirmations)
{
    struct producer *producer = NULL;
    char kibibyte[1024] = "";
    struct kafka_message message = {.value = {kibibyte, sizeof(kibibyte)}};
    int taken = 0;

    cr_assert_eq(producer_new(&mock.config, 64 << 10, 30000, &producer), 0);
    rd_kafka_mock_broker_set_down(mock.cluster, 1);
    while (producer_send(producer, "t", &message, NULL, NULL) == 0)
        taken++;
    cr_assert_geq(taken, 32);
    cr_assert_leq(taken, 64);
    cr_assert_eq(producer_send(producer, "t", &message, NULL, NULL), PRODUCER_FULL);

    rd_kafka_mock_broker_set_up(mock.cluster, 1);
    cr_assert_eq(producer_flush(producer, 20000), 0, "%s", fault_text());
    cr_assert_eq(producer_send(producer, "t", &message, NULL, NULL), 0);
    producer_free(producer);
}

Test(producer, what_is_not_confirmed_in_time_is_given_up_with_the_reason)
{
    struct producer *producer = NULL;

    cr_assert_eq(producer_new(&mock.config, 1 << 20, 1000, &producer), 0);
    rd_kafka_mock_broker_set_down(mock.cluster, 1);
    send_numbers(producer, 0, 3);
    cr_assert_eq(producer_flush(producer, 5000), 0, "their fate is known: %s", fault_text());

    for (int i = 0; i < 3; i++)
        cr_assert(given_up[i] == 1 && confirmed[i] == 0);
    cr_assert_not_null(strstr(last_why, "timed out"), "%s", last_why);
    producer_free(producer);
}

Test(producer, freeing_gives_up_what_is_unconfirmed)
{
    struct producer *producer = new_producer(&mock);

    rd_kafka_mock_broker_set_down(mock.cluster, 1);
    send_numbers(producer, 0, 3);
    producer_free(producer);

    for (int i = 0; i < 3; i++)
        cr_assert(given_up[i] == 1 && confirmed[i] == 0);
}

Test(producer, a_message_that_kafka_can_never_take_is_refused)
{
    struct producer *producer = new_producer(&mock);
    char *large = calloc(1, 2 << 20);
    struct kafka_message message = {.value = {large, 2 << 20}};

    cr_assert_eq(producer_send(producer, "t", &message, on_fate, NULL), FAULT_REFUSE);
    cr_assert_eq(producer_unconfirmed(producer), 0);
    producer_free(producer);
    cr_assert_eq(given_up[0], 0, "a refused message isn't told of as well");
    free(large);
}

Test(producer, its_descriptor_says_when_there_is_something_to_hear)
{
    struct producer *producer = new_producer(&mock);
    struct pollfd wakeup = {producer_wakeup_fd(producer), POLLIN, 0};

    while (producer_poll(producer, 0) || poll(&wakeup, 1, 0))
        continue;
    send_numbers(producer, 0, 1);
    while (confirmed[0] == 0) {
        cr_assert_eq(poll(&wakeup, 1, 5000), 1);
        (void)producer_poll(producer, 0);
    }
    producer_free(producer);
}

/* Sends the next number from within the confirmation of the last. */
struct chain {
    struct producer *producer;
    int next;
};

static void on_link(void *context, int64_t offset, const char *why)
{
    struct chain *chain = context;

    (void)why;
    cr_assert_geq(offset, 0);
    if (chain->next < 20)
        send_number(chain->producer, 0, chain->next++, on_link, chain);
}

Test(producer, a_confirmation_may_send)
{
    struct chain chain = {.producer = new_producer(&mock), .next = 1};

    send_number(chain.producer, 0, 0, on_link, &chain);
    cr_assert_eq(producer_flush(chain.producer, 20000), 0, "%s", fault_text());

    cr_assert_eq(chain.next, 20);
    producer_free(chain.producer);
}
