/*
 * pause.h - lets time pass: before a try is repeated, between looks at something, until a deadline.
 *
 * Threads    Any.
 */
#pragma once

#include <stdint.h>

/* Shorter when a signal is handled meanwhile. */
void pause_ms(int64_t ms);

/* Of a clock that nobody sets: only differences mean something. */
int64_t pause_clock_ms(void);
