/*
 * fuzz.h - the one function of a fuzz target, as libFuzzer and replay.c call it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Takes any bytes; whatever is wrong with them must not show. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
