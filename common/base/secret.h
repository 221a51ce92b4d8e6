/*
 * secret.h - compares what a stranger mustn't find out bit by bit.
 *
 * It takes equally long wherever the bytes differ: all of them are looked at, eight at a time.
 *
 * Threads    Any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t secret_eight_at(const char *at)
{
    uint64_t bytes;

    memcpy(&bytes, at, sizeof(bytes));
    return bytes;
}

static inline bool secret_equal(const void *a, const void *b, size_t length)
{
    const char *first = a, *second = b;
    uint64_t difference = 0;
    size_t at = 0;

    for (; length - at >= 8; at += 8)
        difference |= secret_eight_at(first + at) ^ secret_eight_at(second + at);
    for (; at < length; at++)
        difference |= (uint64_t)(unsigned char)(first[at] ^ second[at]);
    return difference == 0;
}
