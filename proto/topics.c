/*
 * topics.c - names and settings of the bucket's topics.
 *
 * events and usage carry the broker's time: arrival is taken from it (metering.md 8), and retention
 * must not fall on old traffic that is loaded late. usage and invoices are the truth and kept for
 * ever; everything that is compacted holds a latest state.
 */
#include "proto/topics.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct topic_row {
    const char *name;
    bool is_single; /* one partition, whatever the bucket's P */
    const char *settings[7];
    const char *advised[3];
};

static const struct topic_row rows[TOPIC_COUNT] = {
    [TOPIC_EVENTS] = {.name = "events",
                      .settings = {"cleanup.policy", "delete", "message.timestamp.type",
                                   "LogAppendTime", "retention.ms", "604800000", NULL}},
    [TOPIC_USAGE] = {.name = "usage",
                     .settings = {"cleanup.policy", "delete", "message.timestamp.type",
                                  "LogAppendTime", "retention.ms", "-1", NULL}},
    [TOPIC_REJECTED] = {.name = "rejected",
                        .settings = {"cleanup.policy", "delete", "message.timestamp.type",
                                     "LogAppendTime", "retention.ms", "3024000000", NULL}},
    [TOPIC_CATALOG] = {.name = "catalog",
                       .is_single = true,
                       .settings = {"cleanup.policy", "compact", NULL}},
    /* A former owner's late total is mended before it can have a newer one compacted away. */
    [TOPIC_COUNTERS] = {.name = "counters",
                        .settings = {"cleanup.policy", "compact", NULL},
                        .advised = {"min.compaction.lag.ms", "60000", NULL}},
    [TOPIC_ACCESS] = {.name = "access",
                      .is_single = true,
                      .settings = {"cleanup.policy", "compact", NULL}},
    [TOPIC_INVOICES] = {.name = "invoices",
                        .is_single = true,
                        .settings = {"cleanup.policy", "delete", "message.timestamp.type",
                                     "LogAppendTime", "retention.ms", "-1", NULL}},
    [TOPIC_CONTROL] = {.name = "control",
                       .is_single = true,
                       .settings = {"cleanup.policy", "delete", NULL}},
};

void topic_name(enum topic topic, const char *bucket, char name[TOPIC_NAME_MAX])
{
    int length;

    assert(topic < TOPIC_COUNT);

    length = snprintf(name, TOPIC_NAME_MAX, "%s.%s", bucket, rows[topic].name);
    assert(length > 0 && length < TOPIC_NAME_MAX);
}

int32_t topic_partitions_of(enum topic topic, int32_t bucket_partitions)
{
    assert(topic < TOPIC_COUNT);

    return rows[topic].is_single ? 1 : bucket_partitions;
}

const char *const *topic_settings(enum topic topic)
{
    assert(topic < TOPIC_COUNT);

    return rows[topic].settings;
}

const char *const *topic_advised(enum topic topic)
{
    assert(topic < TOPIC_COUNT);

    return rows[topic].advised[0] ? rows[topic].advised : NULL;
}
