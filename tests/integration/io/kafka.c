#include "common/io/kafka.h"

#include "common/base/fault.h"
#include "common/base/monotonic.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * The cases share a broker and have a topic each. tests/integration/kafka_io starts it and names
 * its folder.
 */

enum { PARTITIONS = 4, PATIENCE_MS = 60000 };

static char brokers[256];
static char topic[64];
static char properties[64];
static struct kafka_config config;

/* --- the broker, through scripts/kafka --- */

static int kafka(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int kafka(const char *format, ...)
{
    char command[1024];
    char arguments[512];
    va_list list;

    va_start(list, format);
    vsnprintf(arguments, sizeof(arguments), format, list);
    va_end(list);
    snprintf(command, sizeof(command), "%s/scripts/kafka %s >/dev/null 2>&1", TOLLWAY_SOURCE_DIR,
             arguments);
    return system(command);
}

static const char *home(void)
{
    const char *folder = getenv("TOLLWAY_KAFKA_HOME");

    cr_assert_not_null(folder, "run tests/integration/kafka_io");
    return folder;
}

static void find_brokers(void)
{
    char command[512];
    FILE *out;

    snprintf(command, sizeof(command), "%s/scripts/kafka start --home %s", TOLLWAY_SOURCE_DIR,
             home());
    out = popen(command, "r");
    cr_assert_not_null(fgets(brokers, sizeof(brokers), out));
    pclose(out);
    brokers[strcspn(brokers, "\n")] = '\0';
}

static void start(void)
{
    int file;
    static const char lines[] = "session.timeout.ms=3000\nheartbeat.interval.ms=300\n"
                                "max.poll.interval.ms=4000\n"
                                "topic.metadata.refresh.interval.ms=1000\n";

    find_brokers();
    strcpy(properties, "/tmp/tollway-properties-XXXXXX");
    file = mkstemp(properties);
    cr_assert_eq(write(file, lines, sizeof(lines) - 1), (ssize_t)sizeof(lines) - 1);
    close(file);
    snprintf(topic, sizeof(topic), "t-%ld-%d", (long)time(NULL), getpid());
    config =
        (struct kafka_config){.brokers = brokers, .properties = properties, .client_id = "test"};
}

static void stop(void)
{
    unlink(properties);
}

TestSuite(kafka, .init = start, .fini = stop, .timeout = 400);

static const char *const settings[] = {"cleanup.policy", "delete", "message.timestamp.type",
                                       "LogAppendTime", NULL};

static void make_topic(void)
{
    struct topic_spec spec = {topic, PARTITIONS, settings, NULL};

    cr_assert_eq(topics_create(&config, &spec, 1, 1), 0, "%s", fault_text());
}

/* --- numbers, one more each message of a partition --- */

static int confirmed;

static void on_fate(void *context, int64_t offset, const char *why)
{
    (void)context;
    cr_assert_geq(offset, 0, "%s", why);
    confirmed++;
}

static void send_numbers(struct producer *producer, int from, int to)
{
    for (int i = from; i < to; i++) {
        for (int32_t p = 0; p < PARTITIONS; p++) {
            char digits[16];
            struct kafka_message message = {.partition = p};

            snprintf(digits, sizeof(digits), "%d", i);
            message.value = text_of(digits);
            cr_assert_eq(producer_send(producer, topic, &message, on_fate, NULL), 0, "%s",
                         fault_text());
        }
        (void)producer_poll(producer, 0);
    }
}

static struct producer *new_producer(void)
{
    struct producer *producer = NULL;

    cr_assert_eq(producer_new(&config, 256 << 20, 60000, &producer), 0, "%s", fault_text());
    return producer;
}

static void fill_partitions(int from, int to)
{
    struct producer *producer = new_producer();

    send_numbers(producer, from, to);
    cr_assert_eq(producer_flush(producer, 30000), 0, "%s", fault_text());
    producer_free(producer);
}

static int number_of(const struct kafka_message *message)
{
    char digits[16] = "";

    memcpy(digits, message->value.at, message->value.length);
    return (int)strtol(digits, NULL, 10);
}

/* --- topics --- */

Test(kafka, topics_are_made_once_and_checked_against_what_they_should_be)
{
    static const char *const others[] = {"cleanup.policy", "compact", NULL};
    static const char *const later[] = {"min.compaction.lag.ms", "60000", NULL};
    struct topic_spec spec = {topic, PARTITIONS, settings, NULL};
    struct topic_spec wrong = {topic, PARTITIONS + 1, settings, NULL};
    struct topic_spec compact = {topic, PARTITIONS, others, NULL};
    struct topic_spec advised = {topic, PARTITIONS, settings, later};
    struct topic_spec absent = {"absent", 1, settings, NULL};
    struct buffer reason = {0};
    int64_t ends[PARTITIONS] = {-1, -1, -1, -1};
    int32_t count = 0;

    cr_assert_not(topics_check(&config, &spec, 1, &reason));
    make_topic();
    make_topic();
    cr_assert(topics_check(&config, &spec, 1, &reason), "%s", reason.at);
    cr_assert_not(topics_check(&config, &wrong, 1, &reason));
    cr_assert_not(topics_check(&config, &compact, 1, &reason));
    cr_assert_not(topics_check(&config, &absent, 1, &reason));
    cr_assert(topics_check(&config, &advised, 1, &reason), "it was made before: %s", reason.at);
    cr_assert_eq(topic_partitions(&config, topic, &count), 0);
    cr_assert_eq(count, PARTITIONS);
    cr_assert_eq(topic_partitions(&config, "absent", &count), FAULT_STOP);
    fill_partitions(0, 7);
    cr_assert_eq(topic_ends(&config, topic, ends, PARTITIONS), 0);
    for (int p = 0; p < PARTITIONS; p++)
        cr_assert_eq(ends[p], 7);
    buffer_deinit(&reason);
}

static void *make_topic_later(void *unused)
{
    (void)unused;
    usleep(300000);
    make_topic();
    return NULL;
}

/* As it is to a broker that hears of it only after another one has said that it was made. */
Test(kafka, a_topic_that_comes_to_be_known_while_it_is_asked_for_isnt_missing)
{
    pthread_t thread;
    int32_t count = 0;

    cr_assert_eq(pthread_create(&thread, NULL, make_topic_later, NULL), 0);
    cr_assert_eq(topic_partitions(&config, topic, &count), 0, "%s", fault_text());
    pthread_join(thread, NULL);
    cr_assert_eq(count, PARTITIONS);
}

/* --- producer --- */

/* Reads all: each partition's numbers must be 0, 1, 2… to `count`, each once. */
static void assert_log_holds_each_once(int count)
{
    struct follower *follower = NULL;
    struct kafka_message messages[500];
    int next[PARTITIONS] = {0};

    cr_assert_eq(follower_new(&config, topic, NULL, 0, &follower), 0, "%s", fault_text());
    while (!follower_is_caught_up(follower)) {
        int n = follower_poll(follower, messages, 500, 100);

        cr_assert_geq(n, 0, "%s", fault_text());
        for (int i = 0; i < n; i++)
            cr_assert_eq(number_of(&messages[i]), next[messages[i].partition]++);
    }
    for (int p = 0; p < PARTITIONS; p++)
        cr_assert_eq(next[p], count);
    follower_free(follower);
}

Test(kafka, a_broker_killed_under_load_loses_nothing_and_doubles_nothing)
{
    struct producer *producer;

    make_topic();
    producer = new_producer();
    send_numbers(producer, 0, 5000);
    cr_assert_eq(kafka("stop --node 1 --kill --home %s", home()), 0);
    send_numbers(producer, 5000, 10000);
    cr_assert_eq(producer_flush(producer, 1000), FAULT_RETRY);
    cr_assert_not(producer_is_connected(producer));
    cr_assert_eq(kafka("start --node 1 --home %s", home()), 0);
    cr_assert_eq(producer_flush(producer, 60000), 0, "%s", fault_text());

    cr_assert_eq(confirmed, 10000 * PARTITIONS);
    assert_log_holds_each_once(10000);
    producer_free(producer);
}

/* --- group --- */

static int64_t positions[PARTITIONS];

struct member {
    struct consumer *consumer;
    bool owned[PARTITIONS];
    int owned_count;
    int lost_count;
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

    member->owned[partition] = false;
    member->owned_count--;
    member->lost_count += lost;
}

static const struct consumer_ops ops = {on_assigned, on_revoked};

static void join(struct member *member)
{
    *member = (struct member){0};
    cr_assert_eq(consumer_new(&config, topic, topic, &ops, member, &member->consumer), 0, "%s",
                 fault_text());
}

static int poll_member(struct member *member, int timeout_ms)
{
    struct kafka_message messages[50];
    int n = consumer_poll(member->consumer, messages, 50, timeout_ms);

    for (int i = 0; i < n; i++) {
        int32_t p = messages[i].partition;

        cr_assert(member->owned[p]);
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

Test(kafka, members_that_come_and_go_read_everything_once)
{
    struct member first, second;
    int end = 0;

    make_topic();
    join(&first);
    for (int round = 0; round < 4; round++) {
        int64_t until = monotonic_ms() + PATIENCE_MS;

        join(&second);
        for (int i = 0;
             (second.owned_count != 2 || first.owned_count != 2) && monotonic_ms() < until; i++) {
            if (i % 5 == 0 && all_at(end)) {
                fill_partitions(end, end + 100);
                end += 100;
            }
            cr_assert_geq(poll_member(&first, 20), 0, "%s", fault_text());
            cr_assert_geq(poll_member(&second, 20), 0, "%s", fault_text());
        }
        cr_assert_eq(first.owned_count, 2);
        cr_assert_eq(second.owned_count, 2);
        consumer_free(second.consumer);
    }
    for (int64_t until = monotonic_ms() + PATIENCE_MS; !all_at(end) && monotonic_ms() < until;)
        cr_assert_geq(poll_member(&first, 100), 0, "%s", fault_text());

    cr_assert(all_at(end));
    consumer_free(first.consumer);
}

Test(kafka, who_does_not_poll_for_long_is_told_that_its_partitions_are_lost)
{
    struct member slow, other;

    make_topic();
    join(&slow);
    for (int64_t until = monotonic_ms() + PATIENCE_MS;
         slow.owned_count < PARTITIONS && monotonic_ms() < until;)
        cr_assert_geq(poll_member(&slow, 100), 0, "%s", fault_text());
    join(&other);
    for (int64_t until = monotonic_ms() + PATIENCE_MS;
         other.owned_count < PARTITIONS && monotonic_ms() < until;)
        cr_assert_geq(poll_member(&other, 100), 0, "%s", fault_text());
    cr_assert_eq(other.owned_count, PARTITIONS);

    for (int64_t until = monotonic_ms() + PATIENCE_MS;
         slow.lost_count < PARTITIONS && monotonic_ms() < until;)
        cr_assert_geq(poll_member(&slow, 100), 0, "%s", fault_text());
    cr_assert_eq(slow.lost_count, PARTITIONS);
    consumer_free(slow.consumer);
    consumer_free(other.consumer);
}

static void add_property(const char *line)
{
    FILE *file = fopen(properties, "a");

    cr_assert_not_null(file);
    cr_assert_geq(fputs(line, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static int poll_until_fault(struct member *member)
{
    int r = 0;

    for (int64_t until = monotonic_ms() + PATIENCE_MS; r >= 0 && monotonic_ms() < until;)
        r = poll_member(member, 100);
    return r;
}

/* Who is out of the group while its topic is made anew is another matter: librdkafka 2.8.0 can ask
 * for its metadata for ever then. So no tool may take longer than a member may leave us waiting. */
Test(kafka, a_topic_made_anew_stops_its_reader)
{
    struct member member;

    add_property("max.poll.interval.ms=120000\n");
    make_topic();
    fill_partitions(0, 500);
    join(&member);
    for (int64_t until = monotonic_ms() + PATIENCE_MS; !all_at(500) && monotonic_ms() < until;)
        cr_assert_geq(poll_member(&member, 100), 0, "%s", fault_text());
    cr_assert_eq(kafka("topics --home %s -- --delete --topic %s", home(), topic), 0);
    make_topic();
    fill_partitions(0, 3);

    cr_assert_eq(poll_until_fault(&member), FAULT_STOP);
    cr_assert(strstr(fault_text(), "made anew") || strstr(fault_text(), "gone"), "%s",
              fault_text());
    consumer_free(member.consumer);
}

Test(kafka, a_topic_with_another_number_of_partitions_stops_its_reader)
{
    struct member member;

    make_topic();
    join(&member);
    for (int64_t until = monotonic_ms() + PATIENCE_MS;
         member.owned_count < PARTITIONS && monotonic_ms() < until;)
        cr_assert_geq(poll_member(&member, 100), 0, "%s", fault_text());
    cr_assert_eq(kafka("topics --home %s -- --alter --partitions 6 --topic %s", home(), topic), 0);

    cr_assert_eq(poll_until_fault(&member), FAULT_STOP);
    cr_assert_not_null(strstr(fault_text(), "6 partitions and had 4"), "%s", fault_text());
    consumer_free(member.consumer);
}

Test(kafka, a_member_whose_place_another_took_is_fenced)
{
    struct member first, second;

    add_property("group.instance.id=the-only-one\n");
    make_topic();
    join(&first);
    for (int64_t until = monotonic_ms() + PATIENCE_MS;
         first.owned_count < PARTITIONS && monotonic_ms() < until;)
        cr_assert_geq(poll_member(&first, 100), 0, "%s", fault_text());
    join(&second);
    for (int64_t until = monotonic_ms() + PATIENCE_MS;
         second.owned_count < PARTITIONS && monotonic_ms() < until;)
        cr_assert_geq(poll_member(&second, 100), 0, "%s", fault_text());

    cr_assert_eq(poll_until_fault(&first), FAULT_FENCED);
    cr_assert_not_null(strstr(fault_text(), "fenced"), "%s", fault_text());
    consumer_free(first.consumer);
    consumer_free(second.consumer);
}

/* --- follower --- */

Test(kafka, a_compacted_topic_is_caught_up_with_though_offsets_are_missing)
{
    static const char *const compact[] = {
        "cleanup.policy",      "compact", "segment.ms", "200", "min.cleanable.dirty.ratio", "0.01",
        "delete.retention.ms", "0",       NULL};
    struct topic_spec spec = {topic, 1, compact, NULL};
    struct producer *producer = new_producer();
    struct follower *follower = NULL;
    struct kafka_message messages[500];
    int tombstones = 0, last = -1;

    cr_assert_eq(topics_create(&config, &spec, 1, 1), 0, "%s", fault_text());
    for (int i = 0; i < 300; i++) {
        char digits[16];
        struct kafka_message message = {.key = text_of("k"), .value = {0}};

        snprintf(digits, sizeof(digits), "%d", i);
        if (i % 3)
            message.value = text_of(digits);
        cr_assert_eq(producer_send(producer, topic, &message, on_fate, NULL), 0);
        if (i % 50 == 0) {
            cr_assert_eq(producer_flush(producer, 10000), 0);
            usleep(250000);
        }
    }
    cr_assert_eq(producer_flush(producer, 10000), 0);

    cr_assert_eq(follower_new(&config, topic, NULL, 0, &follower), 0, "%s", fault_text());
    while (!follower_is_caught_up(follower)) {
        int n = follower_poll(follower, messages, 500, 100);

        cr_assert_geq(n, 0, "%s", fault_text());
        for (int i = 0; i < n; i++) {
            if (text_is_absent(messages[i].value))
                tombstones++;
            else
                last = number_of(&messages[i]);
        }
    }
    cr_assert_eq(last, 299);
    cr_assert_gt(tombstones, 0);
    follower_free(follower);
    producer_free(producer);
}
