/*
 * topics.c - the bucket's topics.
 */
#include "proto/topics.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *setting_of(enum topic topic, const char *name)
{
    for (const char *const *at = topic_settings(topic); *at; at += 2) {
        if (strcmp(at[0], name) == 0)
            return at[1];
    }
    return "";
}

Test(topics, are_named_by_bucket)
{
    char name[TOPIC_NAME_MAX];

    topic_name(TOPIC_USAGE, "demo_1", name);
    cr_assert_str_eq(name, "demo_1.usage");
    topic_name(TOPIC_CONTROL, "a", name);
    cr_assert_str_eq(name, "a.control");
}

Test(topics, of_one_state_have_one_partition)
{
    static const int32_t expected[TOPIC_COUNT] = {12, 12, 12, 1, 12, 1, 1, 1};

    for (int i = 0; i < TOPIC_COUNT; i++)
        cr_assert_eq(topic_partitions_of((enum topic)i, 12), expected[i], "topic %d", i);
}

Test(topics, keep_what_bills_are_made_of_for_ever)
{
    cr_assert_str_eq(setting_of(TOPIC_USAGE, "retention.ms"), "-1");
    cr_assert_str_eq(setting_of(TOPIC_INVOICES, "retention.ms"), "-1");
    cr_assert_str_eq(setting_of(TOPIC_CATALOG, "cleanup.policy"), "compact");
    cr_assert_str_eq(setting_of(TOPIC_COUNTERS, "cleanup.policy"), "compact");
}

Test(topics, take_arrival_from_the_broker)
{
    cr_assert_str_eq(setting_of(TOPIC_EVENTS, "message.timestamp.type"), "LogAppendTime");
    cr_assert_str_eq(setting_of(TOPIC_USAGE, "message.timestamp.type"), "LogAppendTime");
}

Test(topics, compact_no_total_before_its_owner_has_looked_at_it)
{
    cr_assert_str_eq(topic_advised(TOPIC_COUNTERS)[0], "min.compaction.lag.ms");
    cr_assert_null(topic_advised(TOPIC_USAGE));
}
