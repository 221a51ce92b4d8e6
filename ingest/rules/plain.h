/*
 * plain.h - how far a JSON string goes on without anything special, on this target.
 *
 * Special are the quote, the backslash, control characters and every byte of 0x80 or more.
 * plain_end(at, end) is the first of them, or `end`, and reads nothing at or behind that;
 * plain_run(at) is how many of the 16 bytes at `at` stand before it. plain_same(a, b, length) is
 * whether the first bytes are the same; both have PLAIN_SAME_BYTES to be read, `length` at the
 * most.
 *
 * Threads    Any.
 */
#pragma once

#if defined(__SSE2__)
#include "ingest/rules/plain_sse2.h"
#define PLAIN_TARGET "sse2"
static inline const char *plain_end(const char *at, const char *end)
{
    return plain_end_sse2(at, end);
}
static inline size_t plain_run(const char *at)
{
    return plain_run_sse2(at);
}
static inline bool plain_same(const char *a, const char *b, size_t length)
{
    return plain_same_sse2(a, b, length);
}
#else
#include "ingest/rules/plain_scalar.h"
#define PLAIN_TARGET "scalar"
static inline const char *plain_end(const char *at, const char *end)
{
    return plain_end_scalar(at, end);
}
static inline size_t plain_run(const char *at)
{
    return plain_run_scalar(at);
}
static inline bool plain_same(const char *a, const char *b, size_t length)
{
    return plain_same_scalar(a, b, length);
}
#endif
