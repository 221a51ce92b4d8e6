/*
 * monotonic.h - a clock that nobody sets: only differences mean something.
 *
 * Threads    Any.
 */
#pragma once

#include <stdint.h>

int64_t monotonic_ns(void);
int64_t monotonic_ms(void);
