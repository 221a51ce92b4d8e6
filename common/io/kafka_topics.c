#include "common/base/fault.h"
#include "common/base/pause.h"
#include "common/io/kafka_parts.h"
#include "common/io/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    TOPICS_MAX = 64,
    LEADER_WAIT_MS_MAX = 15000, /* for the partitions of new topics to have leaders */
    NEWS_WAIT_MS_MAX = 5000,    /* for every broker to have heard of a new topic */
    STEP_MS = 50,
};

/* --- partitions --- */

static const rd_kafka_metadata_topic_t *topic_in(const rd_kafka_metadata_t *metadata,
                                                 const char *name)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, name) == 0)
            return &metadata->topics[i];
    return NULL;
}

/* All topics' metadata; asking for one by name would make it, where a broker makes topics itself.
 */
static int ask_metadata(rd_kafka_t *client, const rd_kafka_metadata_t **metadata)
{
    rd_kafka_resp_err_t rc = rd_kafka_metadata(client, 1, NULL, metadata, KAFKA_ANSWER_MS_MAX);

    if (rc)
        return kafka_no_answer(client, rd_kafka_err2str(rc));
    kafka_let_in();
    return 0;
}

int kafka_partition_count(rd_kafka_t *client, const char *topic, int32_t *count)
{
    const rd_kafka_metadata_t *metadata;
    const rd_kafka_metadata_topic_t *found;
    int r = ask_metadata(client, &metadata);

    if (r)
        return fault_pass(r);
    found = topic_in(metadata, topic);
    if (!found || found->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        r = TOPIC_MISSING;
    else if (found->partition_cnt == 0)
        r = fault(FAULT_RETRY, "%s: %s", topic, rd_kafka_err2str(found->err));
    else
        *count = found->partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    return r;
}

int kafka_known_partitions(rd_kafka_t *client, const char *topic, int32_t *count)
{
    int r = kafka_partition_count(client, topic, count);

    for (int waited = 0; r == TOPIC_MISSING && waited < NEWS_WAIT_MS_MAX; waited += STEP_MS) {
        pause_ms(STEP_MS);
        r = kafka_partition_count(client, topic, count);
    }
    if (r == TOPIC_MISSING)
        return fault(FAULT_STOP, "the topic %s is missing; remedy: make it with `topics create`",
                     topic);
    return r ? fault_pass(r) : 0;
}

int topic_partitions(const struct kafka_config *config, const char *topic, int32_t *count)
{
    CLEANUP(kafka_client_drop) rd_kafka_t *client = NULL;
    int r = kafka_inquirer_new(config, &client);

    if (!r)
        r = kafka_known_partitions(client, topic, count);
    return r ? fault_pass(r) : 0;
}

int topic_ends(const struct kafka_config *config, const char *topic, int64_t *ends, size_t count)
{
    CLEANUP(kafka_client_drop) rd_kafka_t *client = NULL;
    int r = kafka_inquirer_new(config, &client);

    if (r)
        return fault_pass(r);
    for (size_t i = 0; i < count; i++) {
        int64_t low;
        rd_kafka_resp_err_t rc = rd_kafka_query_watermark_offsets(client, topic, (int32_t)i, &low,
                                                                  &ends[i], KAFKA_ANSWER_MS_MAX);

        if (rc)
            return fault(FAULT_RETRY, "%s/%zu: no answer about its end: %s", topic, i,
                         rd_kafka_err2str(rc));
    }
    return 0;
}

/* --- questions to the admin API: each is sent, and its one answer awaited --- */

struct inquiry {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
    rd_kafka_event_t *answer;
};

static int inquiry_init(struct inquiry *inquiry, const struct kafka_config *config,
                        rd_kafka_admin_op_t kind)
{
    char why[KAFKA_ERROR_BYTES_MAX];
    int r = kafka_inquirer_new(config, &inquiry->client);

    if (r)
        return fault_pass(r);
    inquiry->queue = rd_kafka_queue_new(inquiry->client);
    inquiry->options = rd_kafka_AdminOptions_new(inquiry->client, kind);
    (void)rd_kafka_AdminOptions_set_request_timeout(inquiry->options, KAFKA_ANSWER_MS_MAX, why,
                                                    sizeof(why));
    return 0;
}

static void inquiry_deinit(struct inquiry *inquiry)
{
    if (inquiry->answer)
        rd_kafka_event_destroy(inquiry->answer);
    if (inquiry->options)
        rd_kafka_AdminOptions_destroy(inquiry->options);
    if (inquiry->queue)
        rd_kafka_queue_destroy(inquiry->queue);
    kafka_client_drop(&inquiry->client);
}

static int await_answer(struct inquiry *inquiry)
{
    inquiry->answer = rd_kafka_queue_poll(inquiry->queue, KAFKA_ANSWER_MS_MAX + 5000);
    if (!inquiry->answer)
        return kafka_no_answer(inquiry->client, "in time");
    if (rd_kafka_event_error(inquiry->answer))
        return kafka_no_answer(inquiry->client, rd_kafka_event_error_string(inquiry->answer));
    return 0;
}

/* --- making --- */

static void set_all(rd_kafka_NewTopic_t *topic, const char *const *config)
{
    for (; config && *config; config += 2)
        (void)rd_kafka_NewTopic_set_config(topic, config[0], config[1]);
}

static rd_kafka_NewTopic_t *new_topic(const struct topic_spec *spec, int replication)
{
    char why[KAFKA_ERROR_BYTES_MAX];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(spec->name, spec->partitions, replication, why, sizeof(why));

    assert(topic);
    set_all(topic, spec->config);
    set_all(topic, spec->advised);
    return topic;
}

static int read_creation(rd_kafka_event_t *answer)
{
    size_t count;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer), &count);

    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t rc = rd_kafka_topic_result_error(results[i]);

        if (rc && rc != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            return fault(FAULT_STOP, "cannot make the topic %s: %s",
                         rd_kafka_topic_result_name(results[i]),
                         rd_kafka_topic_result_error_string(results[i])
                             ? rd_kafka_topic_result_error_string(results[i])
                             : rd_kafka_err2str(rc));
    }
    return 0;
}

static bool all_led(const rd_kafka_metadata_t *metadata, const struct topic_spec *specs,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_metadata_topic_t *topic = topic_in(metadata, specs[i].name);

        if (!topic || topic->err || topic->partition_cnt == 0)
            return false;
        for (int p = 0; p < topic->partition_cnt; p++)
            if (topic->partitions[p].err || topic->partitions[p].leader < 0)
                return false;
    }
    return true;
}

/* A new topic can be written to only once the brokers have heard who leads it. */
static int await_leaders(rd_kafka_t *client, const struct topic_spec *specs, size_t count)
{
    for (int waited = 0; waited < LEADER_WAIT_MS_MAX; waited += STEP_MS) {
        const rd_kafka_metadata_t *metadata;
        int r = ask_metadata(client, &metadata);
        bool led;

        if (r)
            return fault_pass(r);
        led = all_led(metadata, specs, count);
        rd_kafka_metadata_destroy(metadata);
        if (led)
            return 0;
        pause_ms(STEP_MS);
    }
    return fault(FAULT_RETRY, "the new topics have no leaders after %d ms", LEADER_WAIT_MS_MAX);
}

int topics_create(const struct kafka_config *config, const struct topic_spec *topics, size_t count,
                  int replication)
{
    rd_kafka_NewTopic_t *made[TOPICS_MAX];
    struct inquiry inquiry = {0};
    int r;

    assert(count <= TOPICS_MAX);
    r = inquiry_init(&inquiry, config, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    if (!r) {
        for (size_t i = 0; i < count; i++)
            made[i] = new_topic(&topics[i], replication);
        rd_kafka_CreateTopics(inquiry.client, made, count, inquiry.options, inquiry.queue);
        rd_kafka_NewTopic_destroy_array(made, count);
        r = await_answer(&inquiry);
    }
    if (!r)
        r = read_creation(inquiry.answer);
    if (!r)
        r = await_leaders(inquiry.client, topics, count);
    inquiry_deinit(&inquiry);
    return r;
}

/* --- checking --- */

static void complain(struct buffer *reason, const char *format, ...) PRINTF_LIKE(2, 3);

static void complain(struct buffer *reason, const char *format, ...)
{
    char line[KAFKA_ERROR_BYTES_MAX];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (reason->length)
        buffer_add_string(reason, "; ");
    buffer_add_string(reason, line);
}

static void check_partitions(rd_kafka_t *client, const struct topic_spec *specs, size_t count,
                             struct buffer *reason)
{
    const rd_kafka_metadata_t *metadata;

    if (ask_metadata(client, &metadata)) {
        complain(reason, "%s", fault_text());
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_metadata_topic_t *topic = topic_in(metadata, specs[i].name);

        if (!topic || topic->err)
            complain(reason, "the topic %s is missing: make it with `topics create`",
                     specs[i].name);
        else if (topic->partition_cnt != specs[i].partitions)
            complain(reason,
                     "%s has %d partitions instead of %d: a bucket's count is fixed; make a new "
                     "bucket, or give this one its own count",
                     specs[i].name, topic->partition_cnt, specs[i].partitions);
    }
    rd_kafka_metadata_destroy(metadata);
}

static const char *value_of(const rd_kafka_ConfigEntry_t **entries, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            return rd_kafka_ConfigEntry_value(entries[i]);
    return NULL;
}

static void check_settings(const struct topic_spec *spec, const rd_kafka_ConfigResource_t *answer,
                           struct buffer *reason)
{
    size_t count;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(answer, &count);

    if (rd_kafka_ConfigResource_error(answer)) {
        complain(reason, "the settings of %s can't be read: %s", spec->name,
                 rd_kafka_ConfigResource_error_string(answer));
        return;
    }
    for (const char *const *config = spec->config; config && *config; config += 2) {
        const char *value = value_of(entries, count, config[0]);

        if (!value || strcmp(value, config[1]) != 0)
            complain(reason, "%s has %s=%s instead of %s: set it with kafka-configs --alter",
                     spec->name, config[0], value ? value : "(none)", config[1]);
    }
    for (const char *const *config = spec->advised; config && *config; config += 2) {
        const char *value = value_of(entries, count, config[0]);

        if (!value || strcmp(value, config[1]) != 0)
            log_message(LOG_WARN, "topic_setting_advised",
                        "%s has %s=%s: %s is better, and new topics have it; set it with "
                        "kafka-configs --alter",
                        spec->name, config[0], value ? value : "(none)", config[1]);
    }
}

static const struct topic_spec *spec_named(const struct topic_spec *specs, size_t count,
                                           const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(specs[i].name, name) == 0)
            return &specs[i];
    return NULL;
}

static int ask_settings(struct inquiry *inquiry, const struct topic_spec *specs, size_t count)
{
    rd_kafka_ConfigResource_t *asked[TOPICS_MAX];

    for (size_t i = 0; i < count; i++)
        asked[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, specs[i].name);
    rd_kafka_DescribeConfigs(inquiry->client, asked, count, inquiry->options, inquiry->queue);
    rd_kafka_ConfigResource_destroy_array(asked, count);
    return await_answer(inquiry);
}

static void check_all_settings(struct inquiry *inquiry, const struct topic_spec *specs,
                               size_t count, struct buffer *reason)
{
    const rd_kafka_ConfigResource_t **answers;
    size_t answered;

    if (ask_settings(inquiry, specs, count)) {
        complain(reason, "%s", fault_text());
        return;
    }
    answers = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(inquiry->answer), &answered);
    for (size_t i = 0; i < answered; i++) {
        const char *name = rd_kafka_ConfigResource_name(answers[i]);
        const struct topic_spec *spec = spec_named(specs, count, name);

        if (spec)
            check_settings(spec, answers[i], reason);
    }
}

bool topics_check(const struct kafka_config *config, const struct topic_spec *topics, size_t count,
                  struct buffer *reason)
{
    struct inquiry inquiry = {0};

    assert(count <= TOPICS_MAX);
    buffer_clear(reason);
    if (inquiry_init(&inquiry, config, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS)) {
        complain(reason, "%s", fault_text());
    } else {
        check_partitions(inquiry.client, topics, count, reason);
        if (reason->length == 0)
            check_all_settings(&inquiry, topics, count, reason);
    }
    inquiry_deinit(&inquiry);
    return reason->length == 0;
}
