/*
 * pause.h - lets time pass: before a try is repeated, between looks at something.
 *
 * Threads    Any.
 */
#pragma once

#include <stdint.h>

/* Shorter when a signal is handled meanwhile. */
void pause_ms(int64_t ms);
