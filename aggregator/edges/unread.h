/*
 * unread.h - how many events of `usage` stand between a position and an end: the ledger's lag.
 *
 * Up to UNREAD_MESSAGES_MAX messages are read for it and their events counted, as they will count
 * in `accepted`; where there are more, or Kafka doesn't hand them over in time, the rest is taken
 * at the partition's own events a message so far, never below one. So 0 is 0, and little is exact.
 *
 * Threads    Any; it waits for Kafka.
 */
#pragma once

#include "common/io/kafka.h"

enum { UNREAD_MESSAGES_MAX = 256, UNREAD_WAIT_MS_MAX = 1000 };

struct unread_stretch { /* of one partition; `from` >= `to`: nothing */
    int64_t from, to;   /* offsets */
    uint64_t accepted;  /* events of the partition before `from` */
};

/* `stretches`[count], one a partition. */
int64_t unread_events(const struct kafka_config *config, const char *topic,
                      const struct unread_stretch *stretches, size_t count);
