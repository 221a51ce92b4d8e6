/*
 * partition.h - which partition a key belongs to, as Kafka's Java client decides it.
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

/* (murmur2(key) & 0x7fffffff) % partitions; `partitions` > 0. */
int32_t partition_of(struct text key, int32_t partitions);
