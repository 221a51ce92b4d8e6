/*
 * partition.c - murmur2 as org.apache.kafka.common.utils.Utils computes it.
 */
#include "common/base/partition.h"

#include <assert.h>

static const uint32_t SEED = 0x9747b28c, MULTIPLIER = 0x5bd1e995;

static uint32_t word_of(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t murmur2(const unsigned char *at, size_t length)
{
    uint32_t hash = SEED ^ (uint32_t)length;
    size_t i;

    for (i = 0; i + 4 <= length; i += 4) {
        uint32_t word = word_of(at + i) * MULTIPLIER;

        word ^= word >> 24;
        hash = (hash * MULTIPLIER) ^ (word * MULTIPLIER);
    }
    if (i < length) {
        for (size_t last = length; last-- > i;)
            hash ^= (uint32_t)at[last] << (8 * (last - i));
        hash *= MULTIPLIER;
    }
    hash ^= hash >> 13;
    hash *= MULTIPLIER;
    return hash ^ hash >> 15;
}

int32_t partition_of(struct text key, int32_t partitions)
{
    assert(partitions > 0);

    return (int32_t)(murmur2((const unsigned char *)key.at, key.length) & 0x7fffffff) % partitions;
}
