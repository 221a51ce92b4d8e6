/*
 * topics.h - the bucket's topics by name, with the settings that they must have (architecture.md
 * 2).
 *
 * Threads    Any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum topic {
    TOPIC_EVENTS,
    TOPIC_USAGE,
    TOPIC_REJECTED,
    TOPIC_CATALOG,
    TOPIC_COUNTERS,
    TOPIC_ACCESS,
    TOPIC_INVOICES,
    TOPIC_CONTROL,
    TOPIC_COUNT
};

enum { TOPIC_NAME_MAX = 96 }; /* with the NUL */

/* Writes "<bucket>.usage" and so on. `bucket` is at most 64 bytes. */
void topic_name(enum topic topic, const char *bucket, char name[TOPIC_NAME_MAX]);
/* 1 for catalog, access, invoices and control; the bucket's P for the others. */
int32_t topic_partitions_of(enum topic topic, int32_t bucket_partitions);
/* name, value, …, NULL: cleanup.policy, message.timestamp.type, retention.ms (-1: for ever). */
const char *const *topic_settings(enum topic topic);
/* The same, of what topics of earlier versions lack; NULL: nothing. */
const char *const *topic_advised(enum topic topic);
