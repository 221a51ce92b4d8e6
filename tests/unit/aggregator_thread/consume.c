/*
 * The thread that counts, between a consumer and shards that do as a case says: what Kafka and the
 * store seldom do at the wrong moment. The program's own functions take the library's place.
 */
#include "aggregator/edges/consume.h"

#include "aggregator/edges/measures.h"
#include "common/base/fault.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { MESSAGES = 4, MESSAGE_BYTES = 5 << 20 /* more than are counted without looking around */ };

static atomic_bool is_ending;
static struct shard_setup setup = {.bucket = "b", .partitions = 1, .is_ending = &is_ending};
static const struct consume_limits limits = {.commit_events = 1};

static const struct consumer_ops *consumer_ops;
static void *consumer_context;
static int polls;

static int64_t refused;   /* the offset that the shard can't take; -1: none */
static bool disk_is_full; /* commits wait */
static int64_t taken[MESSAGES];
static size_t taken_count, commits, commits_midway;
static int64_t first_given_ns, last_given_ns; /* for totals */
static int64_t tended_ms, passed_ms;          /* before the last time that they got some */

/* --- a consumer whose first poll has all of the messages; ends in the second --- */

int consumer_new(const struct kafka_config *config, const char *group, const char *topic,
                 const struct consumer_ops *ops, void *context, struct consumer **consumer)
{
    (void)config, (void)group, (void)topic;
    consumer_ops = ops;
    consumer_context = context;
    *consumer = NULL;
    return 0;
}

int consumer_poll(struct consumer *consumer, struct kafka_message *messages, size_t most,
                  int timeout_ms)
{
    static char bytes[MESSAGE_BYTES];
    int64_t offset;

    (void)consumer, (void)most, (void)timeout_ms;
    if (polls++ > 0) {
        is_ending = true;
        return 0;
    }
    cr_assert_eq(consumer_ops->assigned(consumer_context, 0, &offset), 0);
    for (int64_t i = 0; i < MESSAGES; i++)
        messages[i] = (struct kafka_message){.offset = i, .value = text_from(bytes, MESSAGE_BYTES)};
    return MESSAGES;
}

struct consumer *consumer_free(struct consumer *consumer)
{
    (void)consumer;
    consumer_ops->revoked(consumer_context, 0, false);
    return NULL;
}

bool consumer_has_joined(const struct consumer *consumer)
{
    (void)consumer;
    return true;
}

void consumer_commit(struct consumer *consumer, int32_t partition, int64_t next_offset)
{
    (void)consumer, (void)partition, (void)next_offset;
}

int consumer_end_offset(struct consumer *consumer, int32_t partition, int64_t *end)
{
    (void)consumer, (void)partition;
    *end = MESSAGES;
    return 0;
}

int producer_new(const struct kafka_config *config, int64_t queue_bytes_max,
                 int64_t message_timeout_ms, struct producer **producer)
{
    (void)config, (void)queue_bytes_max, (void)message_timeout_ms;
    *producer = NULL;
    return 0;
}

struct producer *producer_free(struct producer *producer)
{
    return producer;
}

int producer_poll(struct producer *producer, int timeout_ms)
{
    (void)producer, (void)timeout_ms;
    return 0;
}

/* --- a shard --- */

int shard_open(const struct shard_setup *shared, int32_t partition, struct producer *producer,
               struct published *published, int64_t now_ms, struct shard **shard)
{
    struct shard *opened = calloc(1, sizeof(*opened));

    (void)producer, (void)published, (void)now_ms;
    cr_assert_not_null(opened);
    opened->setup = shared;
    opened->partition = partition;
    opened->tally = tally_new(partition, shared->partitions, 0);
    *shard = opened;
    return 0;
}

struct shard *shard_close(struct shard *shard)
{
    if (shard)
        tally_free(shard->tally);
    free(shard);
    return NULL;
}

void shard_suspect(const struct shard *shard)
{
    (void)shard;
}

int64_t shard_start(const struct shard *shard)
{
    return shard->tally->next_offset;
}

int shard_take(struct shard *shard, struct usage_reader *reader,
               const struct kafka_message *message, int64_t now_ms)
{
    (void)reader, (void)now_ms;
    if (message->offset == refused) {
        is_ending = true;
        return fault(FAULT_RETRY, "the store has no place for one more reader");
    }
    tally_reject(shard->tally, message->offset);
    taken[taken_count++] = message->offset;
    return 0;
}

int shard_commit(struct shard *shard)
{
    commits++;
    commits_midway += taken_count < MESSAGES;
    if (disk_is_full)
        return fault(FAULT_RETRY, "the disk is full");
    shard->vault.state.next_offset = shard->tally->next_offset;
    tally_committed(shard->tally);
    return 0;
}

int64_t shard_ids_bytes(const struct shard *shard)
{
    (void)shard;
    return 0;
}

int shard_free_ids(struct shard *shard, int64_t bytes, bool *freed)
{
    (void)shard, (void)bytes;
    *freed = false;
    return 0;
}

int shard_tend(struct shard *shard, int64_t now_ms, int64_t until_ns)
{
    (void)shard;
    last_given_ns = until_ns - now_ms * 1000000;
    if (first_given_ns == 0)
        first_given_ns = last_given_ns;
    passed_ms = now_ms - tended_ms;
    tended_ms = now_ms;
    return 0;
}

int shard_settle(struct shard *shard, int64_t now_ms, int flush_ms)
{
    (void)shard, (void)now_ms, (void)flush_ms;
    return 0;
}

int64_t store_bytes_used(const struct store *store)
{
    (void)store;
    return 0;
}

/* --- cases --- */

static void failed(void *context, int code)
{
    (void)context;
    cr_assert_fail("counting stopped with %d", code);
}

static void run(void)
{
    setup.metrics = measures_new();
    consume_join(consume_start(&setup, NULL, &limits, failed, NULL));
    metrics_free(setup.metrics);
}

static void begin(void)
{
    refused = -1;
}

TestSuite(consume, .init = begin);

Test(consume, a_poll_of_many_bytes_is_committed_before_its_last_message)
{
    run();

    cr_assert_eq(taken_count, MESSAGES);
    cr_assert_eq(commits_midway, MESSAGES - 1);
    cr_assert_eq(commits, MESSAGES);
}

Test(consume, nothing_behind_a_message_that_an_ending_left_is_counted)
{
    refused = 1;
    run();

    cr_assert_eq(taken_count, 1);
    cr_assert_eq(taken[0], 0);
}

/* Else a poll could take as many waits as it has messages, and the group put the member out. */
Test(consume, a_commit_that_has_to_wait_is_tried_again_when_the_poll_is_counted)
{
    disk_is_full = true;
    run();

    cr_assert_eq(taken_count, MESSAGES);
    cr_assert_eq(commits_midway, 1);
}

Test(consume, totals_of_a_partition_that_is_behind_get_a_fifth_of_the_time)
{
    run();

    cr_assert_lt(first_given_ns, 11000000, "of 50 ms, while the backlog is counted");
    cr_assert_geq(last_given_ns, 50000000, "when nothing comes any more");
}

/* They are other ones once it is committed. */
Test(consume, totals_of_what_is_not_committed_get_a_tenth_of_the_time_even_if_nothing_comes)
{
    disk_is_full = true;
    run();

    cr_assert_leq(last_given_ns, (passed_ms + 10) * 1000000 / 10 + 1000000);
}
