/*
 * usage_layout.h - where each field of a usage batch stands: for its writer and its reader alone.
 *
 * Units      Bytes from the start of the header, event or entry.
 * Threads    Any.
 */
#pragma once

#include "proto/usage.h"
#include "proto/wire.h"

#define USAGE_MAGIC "TWU1"

enum {
    USAGE_VERSION = 1,
    USAGE_FLAGS_KNOWN = USAGE_TIME_ABSENT | USAGE_NUMBERED,
    USAGE_TEXT_ABSENT = WIRE_TEXT_ABSENT,

    USAGE_HEADER_VERSION = 4,
    USAGE_HEADER_SERIES_COUNT = 6,
    USAGE_HEADER_EVENT_COUNT = 8,
    USAGE_HEADER_ENTRY_COUNT = 10,
    USAGE_HEADER_BYTES = 12,
    USAGE_HEADER_CHECKSUM = 24,
    USAGE_HEADER_SIZE = 32,

    USAGE_EVENT_PAYLOAD = 12,
    USAGE_EVENT_TIME = 16,
    USAGE_EVENT_ARRIVAL = 24,
    USAGE_EVENT_SEQUENCE = 32,
    USAGE_EVENT_FIRST_ENTRY = 40,
    USAGE_EVENT_ENTRY_COUNT = 42,
    USAGE_EVENT_FLAGS = 43,
    USAGE_EVENT_SERIES = 44,
    USAGE_EVENT_RESERVED = 46,
    USAGE_EVENT_SIZE = 48,

    USAGE_ENTRY_SERIES = 16,
    USAGE_ENTRY_SIZE = 18,

    USAGE_SERIES_LEAST = 4 + 3 * 2, /* head and three empty texts */
};

/* Of a whole batch: over everything but the checksum itself. `length` >= USAGE_HEADER_SIZE. */
uint64_t usage_checksum(const uint8_t *batch, size_t length);
/* What ingest lets through (metering.md 15): 0 <= amount < 10^15. */
bool usage_amount_is_valid(struct decimal amount);
