/*
 * topic_tool.c - writes and reads topics as lines of JSON, for tests in other languages.
 *
 *   topic-tool put BROKERS TOPIC < lines {"key","value"|"hex","headers":{name:value},"partition",
 *                                         "timestamp"}
 *   topic-tool get BROKERS TOPIC[/PARTITION] each record as such a line, with its offset
 *   topic-tool usage BROKERS TOPIC           each event of the usage batches as a line
 *   topic-tool create BROKERS BUCKET:COUNT   the bucket's topics, with so many partitions
 *
 * Reads from the beginning to the end that the topic had when it began, which it asks for until the
 * broker knows it. Ends with 0, or 1 and a line that says why.
 */
#include "common/base/fault.h"
#include "common/base/pause.h"
#include "common/io/kafka.h"
#include "proto/topics.h"
#include "proto/usage.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    HEADERS_MAX = 64,
    RECORDS_MAX = 100,
    FLUSH_MS = 20000,
    POLL_MS = 100,
    OPEN_SECONDS_MAX = 20,
    AGAIN_MS = 200,
    /* Readers of lines take U+0085, U+2028 and their like for line ends: only ASCII is written. */
    LINE = JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII,
};

static int complain(const char *what)
{
    fprintf(stderr, "topic-tool: %s: %s\n", what, fault_text());
    return 1;
}

/* --- put --- */

static struct text text_of_member(const json_t *line, const char *name)
{
    const json_t *member = json_object_get(line, name);

    return json_is_string(member) ? text_from(json_string_value(member), json_string_length(member))
                                  : text_of(NULL);
}

static struct text unhex(struct text hex, struct buffer *bytes)
{
    buffer_clear(bytes);
    for (size_t i = 0; i + 1 < hex.length; i += 2) {
        char digits[3] = {hex.at[i], hex.at[i + 1], '\0'};
        buffer_add_char(bytes, (char)strtol(digits, NULL, 16));
    }
    return text_from(bytes->at ? bytes->at : "", bytes->length);
}

static size_t headers_of(const json_t *line, struct kafka_header *headers)
{
    const char *name;
    json_t *value;
    size_t count = 0;

    json_object_foreach(json_object_get(line, "headers"), name, value)
    {
        if (count == HEADERS_MAX)
            break;
        headers[count++] =
            (struct kafka_header){name, json_is_string(value) ? text_from(json_string_value(value),
                                                                          json_string_length(value))
                                                              : text_of(NULL)};
    }
    return count;
}

static int put_line(struct producer *producer, const char *topic, const json_t *line)
{
    CLEANUP(buffer_deinit) struct buffer bytes = {.length = 0};
    struct kafka_header headers[HEADERS_MAX];
    struct kafka_message message = {
        .partition = -1,
        .key = text_of_member(line, "key"),
        .value = text_of_member(line, "value"),
        .headers = headers,
    };

    if (json_object_get(line, "partition"))
        message.partition = (int32_t)json_integer_value(json_object_get(line, "partition"));
    if (json_object_get(line, "timestamp"))
        message.timestamp_ms = json_integer_value(json_object_get(line, "timestamp"));
    if (json_object_get(line, "hex"))
        message.value = unhex(text_of_member(line, "hex"), &bytes);
    message.header_count = headers_of(line, headers);
    return producer_send(producer, topic, &message, NULL, NULL);
}

static int put(const struct kafka_config *config, const char *topic)
{
    struct producer *producer;
    char *line = NULL;
    size_t room = 0;
    int r = producer_new(config, 1 << 28, FLUSH_MS, &producer);

    while (r == 0 && getline(&line, &room, stdin) > 0) {
        json_error_t error;
        json_t *json = json_loads(line, 0, &error);
        if (!json) {
            fprintf(stderr, "topic-tool: %s: %s\n", error.text, line);
            return 1;
        }
        r = put_line(producer, topic, json);
        json_decref(json);
    }
    free(line);
    if (r == 0)
        r = producer_flush(producer, FLUSH_MS);
    if (r)
        return complain(topic);
    producer_free(producer);
    return 0;
}

/* --- get --- */

static void print_hex(struct text text)
{
    printf("\"");
    for (size_t i = 0; i < text.length; i++)
        printf("%02x", (unsigned char)text.at[i]);
    printf("\"");
}

static json_t *string_of(struct text text)
{
    json_t *string = text_is_absent(text) ? json_null() : json_stringn(text.at, text.length);

    return string ? string : json_stringn_nocheck("?", 1);
}

static void print_record(const struct kafka_message *record)
{
    json_t *headers = json_object();
    json_t *value = text_is_absent(record->value)
                        ? json_null()
                        : json_stringn(record->value.at, record->value.length);
    json_t *key_json = string_of(record->key);
    char *key, *text, *head;

    for (size_t i = 0; i < record->header_count; i++)
        json_object_set_new(headers, record->headers[i].name, string_of(record->headers[i].value));
    head = json_dumps(headers, LINE);
    key = json_dumps(key_json, LINE);
    printf("{\"partition\":%d,\"offset\":%lld,\"timestamp\":%lld,\"key\":%s,\"headers\":%s,",
           record->partition, (long long)record->offset, (long long)record->timestamp_ms, key,
           head);
    if (value) {
        text = json_dumps(value, LINE);
        printf("\"value\":%s}\n", text);
        free(text);
    } else {
        printf("\"hex\":");
        print_hex(record->value);
        printf("}\n");
    }
    free(key);
    free(head);
    json_decref(key_json);
    json_decref(headers);
    json_decref(value);
}

static json_t *entry_json(const struct usage_batch *batch, size_t index)
{
    struct usage_entry entry = usage_entry_at(batch, index);
    struct usage_series series = usage_series_at(batch, entry.series);
    json_t *dimensions = json_object(), *json;
    char digits[DECIMAL_TEXT_MAX], unique[33] = "";

    for (size_t i = 0; i < series.dimension_count; i++) {
        char *name = text_copy(series.dimensions[i].name);
        json_object_set_new(dimensions, name, string_of(series.dimensions[i].value));
        free(name);
    }
    if (series.aggregation == AGGREGATION_UNIQUE_COUNT)
        for (size_t i = 0; i < 16; i++)
            snprintf(unique + 2 * i, 3, "%02x", entry.value.unique[i]);
    else
        decimal_format(entry.value.amount, digits);
    json = json_pack("{s:o,s:s,s:o,s:s,s:o}", "meter", string_of(series.meter), "aggregation",
                     aggregation_name(series.aggregation), "subject", string_of(series.subject),
                     "value", *unique ? unique : digits, "dimensions", dimensions);
    return json;
}

static void print_event(const struct kafka_message *record, const struct usage_batch *batch,
                        size_t index)
{
    struct usage_event event = usage_event_at(batch, index);
    char time[INSTANT_TEXT_MAX], identity[25];
    json_t *entries = json_array(), *json;
    char *text;

    instant_format(event.time, time);
    for (size_t i = 0; i < 12; i++)
        snprintf(identity + 2 * i, 3, "%02x", event.fingerprint.identity[i]);
    for (size_t i = 0; i < event.entry_count; i++)
        json_array_append_new(entries, entry_json(batch, event.first_entry + i));
    json = json_pack("{s:i,s:I,s:i,s:s,s:I,s:o,s:s,s:I,s:b,s:b,s:I,s:o}", "partition",
                     (int)record->partition, "offset", (json_int_t)record->offset, "index",
                     (int)index, "time", time, "arrivalMs", (json_int_t)event.arrival_ms,
                     "subscription", string_of(usage_subscription_of(batch, event.series)),
                     "identity", identity, "payload", (json_int_t)event.fingerprint.payload,
                     "timeAbsent", (event.flags & USAGE_TIME_ABSENT) != 0, "numbered",
                     (event.flags & USAGE_NUMBERED) != 0, "sequence", (json_int_t)event.sequence,
                     "entries", entries);
    text = json_dumps(json, LINE);
    printf("%s\n", text);
    free(text);
    json_decref(json);
}

static void print_usage(const struct kafka_message *record)
{
    struct usage_reader *reader = usage_reader_new();
    struct usage_batch batch;
    const char *reason;

    if (usage_decode(reader, record->value, &batch, &reason))
        printf("{\"partition\":%d,\"offset\":%lld,\"foreign\":\"%s\"}\n", record->partition,
               (long long)record->offset, reason);
    else
        for (size_t i = 0; i < batch.event_count; i++)
            print_event(record, &batch, i);
    usage_reader_free(reader);
}

/* A broker that has just been started doesn't lead its partitions yet. */
static int follow(const struct kafka_config *config, const char *topic, bool is_one,
                  struct follower **follower)
{
    time_t until = time(NULL) + OPEN_SECONDS_MAX;
    int r;

    for (;;) {
        r = is_one ? follower_new_partly(config, topic, NULL, 0, follower)
                   : follower_new(config, topic, NULL, 0, follower);
        if (r != FAULT_RETRY || time(NULL) >= until)
            return r;
        pause_ms(AGAIN_MS);
    }
}

/* "topic", or "topic/partition": -1 is all of them. */
static int32_t split(char *name)
{
    char *slash = strchr(name, '/');

    if (!slash)
        return -1;
    *slash = '\0';
    return atoi(slash + 1);
}

static bool has_read(const struct follower *follower, int32_t partition)
{
    return partition < 0 ? follower_is_caught_up(follower) : follower_has_read(follower, partition);
}

static int get(const struct kafka_config *config, char *topic,
               void (*print)(const struct kafka_message *record))
{
    struct kafka_message records[RECORDS_MAX];
    int32_t partition = split(topic);
    struct follower *follower;
    int r = follow(config, topic, partition >= 0, &follower);

    if (r)
        return complain(topic);
    follower_take_headers(follower);
    do {
        r = follower_poll(follower, records, RECORDS_MAX, POLL_MS);
        for (int i = 0; i < r; i++)
            if (partition < 0 || records[i].partition == partition)
                print(&records[i]);
    } while (r > 0 || (r == 0 && !has_read(follower, partition)));
    if (r < 0)
        return complain(topic);
    follower_free(follower);
    return 0;
}

/* --- create --- */

static int create(const struct kafka_config *config, const char *bucket_and_count)
{
    struct text rest = text_of(bucket_and_count);
    char *bucket = text_copy(text_cut(&rest, ':')), *count = text_copy(rest);
    char names[TOPIC_COUNT][TOPIC_NAME_MAX];
    struct topic_spec specs[TOPIC_COUNT];
    int r;

    for (enum topic topic = 0; topic < TOPIC_COUNT; topic++) {
        topic_name(topic, bucket, names[topic]);
        specs[topic] = (struct topic_spec){
            .name = names[topic],
            .partitions = topic_partitions_of(topic, atoi(count)),
            .config = topic_settings(topic),
            .advised = topic_advised(topic),
        };
    }
    r = topics_create(config, specs, TOPIC_COUNT, 1);
    free(bucket);
    free(count);
    return r ? complain(bucket_and_count) : 0;
}

int main(int argc, char **argv)
{
    struct kafka_config config = {.client_id = "topic-tool"};

    if (argc != 4) {
        fprintf(stderr, "topic-tool: put|get|usage|create BROKERS TOPIC\n");
        return 64;
    }
    config.brokers = argv[2];
    if (strcmp(argv[1], "put") == 0)
        return put(&config, argv[3]);
    if (strcmp(argv[1], "create") == 0)
        return create(&config, argv[3]);
    return get(&config, argv[3], strcmp(argv[1], "usage") == 0 ? print_usage : print_record);
}
