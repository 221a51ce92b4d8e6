#include "common/base/fault.h"
#include "common/io/kafka_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct kafka_property follower_rows[] = {
    {"enable.partition.eof", "true", PROPERTY_FIXED}, /* compaction can leave a gap at the end */
};

enum { PARTLY_ANSWER_MS_MAX = 2000 /* a partition that has no leader doesn't */ };
static const int64_t UNTIL_UNKNOWN = INT64_MAX;

struct followed {
    int64_t next;  /* the least offset that may come; < 0: any */
    int64_t until; /* the end when following began, or was first fetched */
    bool caught_up;
};

struct follower {
    struct reader reader;
    char *topic;
    struct followed *partitions;
    int32_t partition_count;
    int32_t behind; /* partitions that haven't caught up */
    bool is_partly; /* goes without the partitions that don't answer */
    int32_t silent; /* the first of them, or -1 */
};

static void catch_up(struct follower *follower, struct followed *partition)
{
    if (partition->caught_up)
        return;
    partition->caught_up = true;
    follower->behind--;
}

/* As its first fetch has told. */
static void learn_end(struct follower *follower, int32_t number)
{
    struct followed *partition = &follower->partitions[number];
    int64_t low, high;

    if (partition->until == UNTIL_UNKNOWN && !partition->caught_up &&
        rd_kafka_get_watermark_offsets(follower->reader.client, follower->topic, number, &low,
                                       &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        high >= 0)
        partition->until = high;
}

static int judge(void *context, const rd_kafka_message_t *message)
{
    struct follower *follower = context;
    struct followed *partition;

    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        partition = &follower->partitions[message->partition];
        if (partition->next < 0)
            partition->next = message->offset;
        catch_up(follower, partition);
        return READER_SKIP;
    }
    if (message->err)
        return reader_error(&follower->reader, message, follower->topic);
    partition = &follower->partitions[message->partition];
    if (message->offset < partition->next)
        return fault(FAULT_STOP, "%s/%d went backwards: offset %lld after %lld", follower->topic,
                     message->partition, (long long)message->offset,
                     (long long)partition->next - 1);
    partition->next = message->offset + 1;
    learn_end(follower, message->partition);
    if (partition->next >= partition->until)
        catch_up(follower, partition);
    return 0;
}

int follower_poll(struct follower *follower, struct kafka_message *messages, size_t most,
                  int timeout_ms)
{
    reader_take(&follower->reader, most, timeout_ms);
    return reader_keep(&follower->reader, judge, follower, messages);
}

bool follower_is_caught_up(const struct follower *follower)
{
    return follower->behind == 0;
}

int32_t follower_silent(const struct follower *follower)
{
    return follower->silent;
}

bool follower_has_read(const struct follower *follower, int32_t partition)
{
    return follower->partitions[partition].caught_up;
}

void follower_take_headers(struct follower *follower)
{
    follower->reader.wants_headers = true;
}

int64_t follower_next_offset(const struct follower *follower, int32_t partition)
{
    return follower->partitions[partition].next;
}

/* --- start --- */

/* What the topic holds now; a position of ours outside it means that it isn't the topic we knew. */
static int check_bounds(struct follower *follower, int32_t number)
{
    struct followed *partition = &follower->partitions[number];
    int64_t low, high;
    rd_kafka_resp_err_t rc = rd_kafka_query_watermark_offsets(
        follower->reader.client, follower->topic, number, &low, &high,
        follower->is_partly ? PARTLY_ANSWER_MS_MAX : KAFKA_ANSWER_MS_MAX);

    if (rc)
        return fault(FAULT_RETRY, "%s/%d: no answer about its end: %s", follower->topic, number,
                     rd_kafka_err2str(rc));
    if (partition->next > high || (partition->next >= 0 && partition->next < low))
        return fault(FAULT_STOP,
                     "%s/%d holds offsets %lld to %lld, and we have read up to %lld: the topic was "
                     "made anew, or its retention overtook us; remedy: see docs/runbook.md",
                     follower->topic, number, (long long)low, (long long)high,
                     (long long)partition->next);
    partition->until = high;
    if (partition->next == RD_KAFKA_OFFSET_END) /* librdkafka would ask for it later */
        partition->next = high;
    if (low == high || partition->next == high)
        catch_up(follower, partition);
    return 0;
}

/* Once one doesn't answer, the others aren't asked: each would be waited for. Their fetches say
 * what an answer would, later. */
static int begin_partition(struct follower *follower, int32_t number, int64_t offset)
{
    struct followed *partition = &follower->partitions[number];
    int r = FAULT_RETRY;

    partition->next = offset;
    if (follower->silent < 0)
        r = check_bounds(follower, number);
    if (r != FAULT_RETRY || !follower->is_partly)
        return r ? fault_pass(r) : 0;
    if (follower->silent < 0)
        follower->silent = number;
    partition->until = UNTIL_UNKNOWN;
    return 0;
}

static int check_partitions(struct follower *follower, size_t expected)
{
    int r = kafka_known_partitions(follower->reader.client, follower->topic,
                                   &follower->partition_count);

    if (r)
        return fault_pass(r);
    if (expected > 0 && expected != (size_t)follower->partition_count)
        return fault(FAULT_STOP,
                     "%s has %d partitions and had %zu; remedy: see docs/runbook.md, "
                     "partition count",
                     follower->topic, follower->partition_count, expected);
    return 0;
}

static int assign(struct follower *follower)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new(follower->partition_count);
    rd_kafka_resp_err_t rc;

    for (int32_t i = 0; i < follower->partition_count; i++)
        rd_kafka_topic_partition_list_add(list, follower->topic, i)->offset =
            follower->partitions[i].next;
    rc = rd_kafka_assign(follower->reader.client, list);
    rd_kafka_topic_partition_list_destroy(list);
    return rc ? fault(FAULT_STOP, "%s: assigning failed: %s", follower->topic, rd_kafka_err2str(rc))
              : 0;
}

static int begin(struct follower *follower, const int64_t *offsets, size_t count)
{
    int r = check_partitions(follower, offsets ? count : 0);

    if (r)
        return fault_pass(r);
    follower->partitions = calloc((size_t)follower->partition_count, sizeof(struct followed));
    assert(follower->partitions);
    follower->behind = follower->partition_count;
    for (int32_t i = 0; i < follower->partition_count; i++) {
        r = begin_partition(follower, i, offsets ? offsets[i] : RD_KAFKA_OFFSET_BEGINNING);
        if (r)
            return fault_pass(r);
    }
    return assign(follower);
}

static int connect_follower(struct follower *follower, const struct kafka_config *config)
{
    struct kafka_property rows[ARRAY_LEN(follower_rows) + 1];
    rd_kafka_conf_t *conf;
    int r;

    memcpy(rows, follower_rows, sizeof(follower_rows));
    /* librdkafka wants a group to be named; none is joined, and nothing is committed to it. */
    rows[ARRAY_LEN(follower_rows)] =
        (struct kafka_property){"group.id", "tollway-follower", PROPERTY_FIXED};
    r = reader_conf_new(config, rows, ARRAY_LEN(rows), &conf);
    return r ? fault_pass(r) : reader_init(&follower->reader, conf);
}

static int make(const struct kafka_config *config, const char *topic, const int64_t *offsets,
                size_t count, bool is_partly, struct follower **follower)
{
    struct follower *made = calloc(1, sizeof(*made));
    int r;

    assert(made);
    made->topic = strdup(topic);
    made->is_partly = is_partly;
    made->silent = -1;
    r = connect_follower(made, config);
    if (!r)
        r = begin(made, offsets, count);
    if (r) {
        follower_free(made);
        return fault_pass(r);
    }
    *follower = made;
    return 0;
}

int follower_new(const struct kafka_config *config, const char *topic, const int64_t *offsets,
                 size_t count, struct follower **follower)
{
    int r = make(config, topic, offsets, count, false, follower);

    return r ? fault_pass(r) : 0;
}

int follower_new_partly(const struct kafka_config *config, const char *topic,
                        const int64_t *offsets, size_t count, struct follower **follower)
{
    int r = make(config, topic, offsets, count, true, follower);

    return r ? fault_pass(r) : 0;
}

struct follower *follower_free(struct follower *follower)
{
    if (!follower)
        return NULL;
    reader_deinit(&follower->reader);
    free(follower->partitions);
    free(follower->topic);
    free(follower);
    return NULL;
}
