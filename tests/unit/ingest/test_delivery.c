#include "ingest/edges/delivery.h"
#include "proto/usage_series.h"
#include "tests/support/mock_cluster.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Each case has a broker of its own, and so much time that only a hang is told by it. */

enum { PARTITIONS = 2, PATIENCE_S = 20, NEVER_MS = 60000 };

static struct mock mock;
static uv_loop_t loop;
static struct producer *producer;
static struct delivery *delivery;
static struct metrics *metrics;
static struct catalog_subscription subscriptions[PARTITIONS];

static void start(void)
{
    mock_init(&mock, PARTITIONS);
    uv_loop_init(&loop);
    metrics = measures_new();
    for (int i = 0; i < PARTITIONS; i++)
        subscriptions[i] = (struct catalog_subscription){
            .id = text_of("01ARZ3NDEKTSV4RRFFQ69G5FAV"), .partition = i};
}

static void begin_with(size_t batch_events, int64_t linger_ms, int64_t message_timeout_ms,
                       int64_t queue_bytes_max)
{
    struct delivery_config config = {
        .limits = {.events = batch_events, .bytes = 1 << 20, .linger_ms = linger_ms},
        .in_flight_bytes_max = 64 << 20,
        .usage_topic = "t",
        .rejected_topic = "t",
    };

    cr_assert_eq(producer_new(&mock.config, queue_bytes_max, message_timeout_ms, &producer), 0);
    delivery = delivery_new(&loop, producer, &config, metrics);
    delivery_set_partitions(delivery, PARTITIONS);
}

static void begin_lingering(size_t batch_events, int64_t linger_ms, int64_t message_timeout_ms)
{
    begin_with(batch_events, linger_ms, message_timeout_ms, 64 << 20);
}

static void begin(size_t batch_events, int64_t message_timeout_ms)
{
    begin_lingering(batch_events, NEVER_MS, message_timeout_ms);
}

static void stop(void)
{
    delivery_close(delivery);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    producer_free(producer);
    delivery_free(delivery);
    metrics_free(metrics);
    mock_deinit(&mock);
}

TestSuite(delivery, .init = start, .fini = stop, .timeout = 60);

/* --- clients --- */

struct client {
    struct waiter waiter; /* first: waiters are cast back */
    int told;
};

static void on_done(struct waiter *waiter)
{
    ((struct client *)waiter)->told++;
}

static void add(struct client *client, int partition)
{
    uint8_t series[USAGE_SERIES_LEAST + USAGE_SUBSCRIPTION_MAX + USAGE_METER_MAX];
    const uint8_t *behind = usage_series_begin(
        series, AGGREGATION_COUNT, 0, subscriptions[partition].id, text_of("calls"), text_of(NULL));
    const struct usage_part part = {.series = usage_series_end(series, behind),
                                    .aggregation = AGGREGATION_COUNT};
    const struct admitted admitted = {
        .subscription = &subscriptions[partition], .parts = &part, .part_count = 1};

    delivery_add(delivery, &admitted, 1, &client->waiter);
}

/* One event, and nothing else to wait for. */
static void send_one(struct client *client, int partition)
{
    delivery_hold(&client->waiter, on_done);
    add(client, partition);
    delivery_release(&client->waiter);
}

/* What was added before came with the sockets of the first turn. */
static void turn_until(bool (*is_so)(const void *), const void *context)
{
    uint64_t until = uv_hrtime() + (uint64_t)PATIENCE_S * 1000000000;

    uv_run(&loop, UV_RUN_NOWAIT);
    while (!is_so(context) && uv_hrtime() < until)
        uv_run(&loop, UV_RUN_ONCE);
    cr_assert(is_so(context));
}

/* As a loop does that finds something to do whenever it looks. */
static void turn_without_rest(int64_t ms)
{
    uint64_t until = uv_hrtime() + (uint64_t)ms * 1000000;

    while (uv_hrtime() < until)
        uv_run(&loop, UV_RUN_NOWAIT);
}

static bool is_told(const void *client)
{
    return ((const struct client *)client)->told > 0;
}

static bool is_on_its_way(const void *count)
{
    return producer_unconfirmed(producer) == *(const int64_t *)count;
}

static bool is_settled(const void *context)
{
    (void)context;
    return delivery_unsettled(delivery) == 0;
}

static int64_t batches(void)
{
    return metrics_get(metrics, MEASURE_BATCHES, 0);
}

/* --- cases --- */

Test(delivery, who_waits_is_told_once_when_all_its_batches_are_acknowledged)
{
    struct client client = {.told = 0};

    begin(1000, NEVER_MS);
    delivery_hold(&client.waiter, on_done);
    for (int i = 0; i < 10; i++)
        add(&client, i % PARTITIONS);
    delivery_release(&client.waiter);
    cr_assert_eq(client.told, 0);
    turn_until(is_told, &client);
    turn_until(is_settled, NULL);
    cr_assert_eq(client.told, 1);
    cr_assert_not(client.waiter.failed);
    cr_assert_eq(batches(), PARTITIONS);
    cr_assert_eq(delivery_in_flight_bytes(delivery), 0);
}

Test(delivery, who_has_more_to_send_is_not_told_before_it_lets_go)
{
    struct client client = {.told = 0};

    begin(1000, NEVER_MS);
    delivery_hold(&client.waiter, on_done);
    add(&client, 0);
    turn_until(is_settled, NULL);
    cr_assert_eq(client.told, 0);
    delivery_release(&client.waiter);
    cr_assert_eq(client.told, 1);
}

Test(delivery, events_gather_while_a_batch_is_on_its_way_and_leave_together)
{
    struct client first = {.told = 0}, others[5] = {{.told = 0}};
    const int64_t one = 1;

    begin(1000, NEVER_MS);
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 2000);
    send_one(&first, 0);
    turn_until(is_on_its_way, &one);
    for (int i = 0; i < 5; i++) {
        send_one(&others[i], 0);
        for (int turn = 0; turn < 3; turn++)
            uv_run(&loop, UV_RUN_NOWAIT);
    }
    cr_assert_eq(producer_unconfirmed(producer), 1);
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 0);
    turn_until(is_settled, NULL);
    cr_assert_eq(batches(), 2);
    cr_assert_eq(first.told, 1);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(others[i].told, 1);
}

Test(delivery, a_full_batch_waits_for_none)
{
    struct client clients[3] = {{.told = 0}};
    const int64_t one = 1;

    begin(2, NEVER_MS);
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 300);
    send_one(&clients[0], 0);
    turn_until(is_on_its_way, &one);
    send_one(&clients[1], 0);
    cr_assert_eq(producer_unconfirmed(producer), 1);
    send_one(&clients[2], 0);
    cr_assert_eq(producer_unconfirmed(producer), 2);
    turn_until(is_settled, NULL);
}

Test(delivery, a_single_event_leaves_though_more_were_under_way_before)
{
    struct client crowd[8] = {{.told = 0}}, alone = {.told = 0};

    begin(1000, NEVER_MS);
    for (int i = 0; i < 8; i++)
        send_one(&crowd[i], i % PARTITIONS);
    turn_until(is_settled, NULL);
    send_one(&alone, 0);
    turn_until(is_told, &alone);
}

Test(delivery, a_batch_leaves_in_the_turn_that_brings_the_last_of_three_quarters)
{
    struct client crowd[8] = {{.told = 0}};

    begin(1000, NEVER_MS);
    for (int i = 0; i < 8; i++)
        send_one(&crowd[i], 0);
    turn_until(is_settled, NULL);
    for (int i = 0; i < 5; i++)
        send_one(&crowd[i], 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_eq(producer_unconfirmed(producer), 0);
    send_one(&crowd[5], 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    cr_assert_eq(producer_unconfirmed(producer), 1);
    turn_until(is_settled, NULL);
}

Test(delivery, a_busy_loop_waits_longer_for_those_that_it_answered)
{
    struct client crowd[8] = {{.told = 0}};

    begin(1000, NEVER_MS);
    for (int i = 0; i < 8; i++)
        send_one(&crowd[i], 0);
    turn_until(is_settled, NULL);
    send_one(&crowd[0], 0);
    turn_without_rest(100);
    cr_assert_eq(producer_unconfirmed(producer), 0);
    for (int i = 1; i < 8; i++)
        send_one(&crowd[i], 0);
    turn_until(is_settled, NULL);
    cr_assert_eq(batches(), 2);
}

Test(delivery, an_event_lingers_no_longer_than_it_may_however_busy_the_loop_is)
{
    struct client crowd[8] = {{.told = 0}};

    begin_lingering(1000, 300, NEVER_MS);
    for (int i = 0; i < 8; i++)
        send_one(&crowd[i], 0);
    turn_until(is_settled, NULL);
    send_one(&crowd[0], 0);
    turn_without_rest(100);
    cr_assert_eq(batches(), 1);
    cr_assert_eq(producer_unconfirmed(producer), 0);
    for (int ms = 0; ms < PATIENCE_S * 1000 && batches() == 1; ms += 50)
        turn_without_rest(50);
    cr_assert_eq(batches(), 2);
}

Test(delivery, a_partition_with_as_many_batches_on_their_way_as_may_be_keeps_the_next_one_open)
{
    struct client clients[PACK_ON_WAY_MAX + 4] = {{.told = 0}}, other = {.told = 0};

    begin_lingering(1000, 5, NEVER_MS);
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 3000);
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        send_one(&clients[i], 0);
        turn_without_rest(20);
    }
    cr_assert_eq(producer_unconfirmed(producer), PACK_ON_WAY_MAX);
    send_one(&other, 1);
    turn_without_rest(20);
    cr_assert_eq(producer_unconfirmed(producer), PACK_ON_WAY_MAX + 1);
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 0);
    turn_until(is_settled, NULL);
    cr_assert_eq(batches(), PACK_ON_WAY_MAX + 2);
    for (size_t i = 0; i < ARRAY_LEN(clients); i++)
        cr_assert_eq(clients[i].told, 1);
}

Test(delivery, who_waits_for_a_batch_that_was_given_up_hears_that_it_failed)
{
    struct client lost = {.told = 0};

    begin(1000, 500);
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 4000);
    send_one(&lost, 0);
    turn_until(is_told, &lost);
    cr_assert(lost.waiter.failed);
    cr_assert_eq(metrics_get(metrics, MEASURE_DELIVERY_FAILURES, 0), 1);
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 0);
}

Test(delivery, nobody_is_told_that_a_batch_was_not_taken_while_another_adds_events)
{
    struct client clients[2] = {{.told = 0}}, adding = {.told = 0};
    const int64_t one = 1;

    begin_with(2, NEVER_MS, NEVER_MS, 1);
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 300);
    send_one(&clients[0], 0);
    turn_until(is_on_its_way, &one);
    send_one(&clients[1], 1);
    delivery_hold(&adding.waiter, on_done);
    add(&adding, 1);
    cr_assert_eq(producer_unconfirmed(producer), 1, "there is no room for the second batch");
    cr_assert_eq(clients[1].told, 0);
    delivery_release(&adding.waiter);
    cr_assert_eq(adding.told, 0);

    turn_until(is_told, &adding);
    cr_assert_eq(producer_unconfirmed(producer), 1, "it doesn't wait for the first one");
    cr_assert_eq(clients[1].told, 1);
    cr_assert(clients[1].waiter.failed && adding.waiter.failed);
    turn_until(is_settled, NULL);
    cr_assert(clients[0].told == 1 && !clients[0].waiter.failed);
}

Test(delivery, a_rejected_record_that_is_too_large_is_kept_without_its_value)
{
    struct client client = {.told = 0};
    struct kafka_message got[2], message = {.partition = 1, .key = text_of("k")};
    size_t length = 2 << 20;
    char *value = calloc(1, length);

    begin(1000, NEVER_MS);
    message.value = text_from(value, length);
    delivery_hold(&client.waiter, on_done);
    delivery_reject(delivery, &message, 0, &client.waiter);
    delivery_release(&client.waiter);
    turn_until(is_told, &client);
    cr_assert_not(client.waiter.failed);
    cr_assert_eq(read_topic(&mock, got, ARRAY_LEN(got)), 1);
    cr_assert(text_is(got[0].key, "k"));
    cr_assert(text_is_absent(got[0].value));
    free(value);
}

Test(delivery, a_rejected_record_with_too_large_a_key_or_header_is_kept_as_what_is_said_of_it)
{
    struct client client = {.told = 0};
    size_t length = 2 << 20;
    char *large = calloc(1, length);
    struct kafka_header headers[] = {{"theirs", text_from(large, length)}, {"ours", text_of("1")}};
    struct kafka_message got[2];
    struct kafka_message message = {.partition = 1,
                                    .key = text_from(large, length),
                                    .value = text_of("x"),
                                    .headers = headers,
                                    .header_count = 2};

    begin(1000, NEVER_MS);
    delivery_hold(&client.waiter, on_done);
    delivery_reject(delivery, &message, 1, &client.waiter);
    delivery_release(&client.waiter);
    turn_until(is_told, &client);
    cr_assert_not(client.waiter.failed);
    cr_assert_eq(read_topic(&mock, got, ARRAY_LEN(got)), 1);
    cr_assert(text_is_absent(got[0].key) && text_is_absent(got[0].value));
    cr_assert_eq(got[0].header_count, 1);
    cr_assert_str_eq(got[0].headers[0].name, "ours");
    free(large);
}
