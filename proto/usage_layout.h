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
    USAGE_VERSION = 2,
    USAGE_FLAGS_KNOWN = USAGE_TIME_ABSENT | USAGE_NUMBERED,
    USAGE_TEXT_ABSENT = WIRE_TEXT_ABSENT,

    USAGE_HEADER_VERSION = 4,
    USAGE_HEADER_LAYOUT = 5,
    USAGE_HEADER_SERIES_COUNT = 6,
    USAGE_HEADER_EVENT_COUNT = 8,
    USAGE_HEADER_ENTRY_COUNT = 10,
    USAGE_HEADER_BYTES = 12,
    USAGE_HEADER_ARRIVAL = 16,
    USAGE_HEADER_CHECKSUM = 24,
    USAGE_HEADER_SIZE = 32,

    USAGE_LAYOUT_SEQUENCES = 1, /* every event has a sequence */
    USAGE_LAYOUT_WIDE = 2,      /* values of 16 bytes instead of 8 */
    USAGE_LAYOUT_KNOWN = USAGE_LAYOUT_SEQUENCES | USAGE_LAYOUT_WIDE,

    USAGE_EVENT_PAYLOAD = 12,
    USAGE_EVENT_TIME = 16,
    USAGE_EVENT_ARRIVAL = 24,
    USAGE_EVENT_ENTRY_COUNT = 28,
    USAGE_EVENT_FLAGS = 29,
    USAGE_EVENT_SERIES = 30,
    USAGE_EVENT_SIZE = 32,

    USAGE_SEQUENCE_SIZE = 8,

    /* An entry is the number of its series and its value. */
    USAGE_ENTRY_VALUE = 2,
    USAGE_ENTRY_NARROW = 2 + 8,
    USAGE_ENTRY_WIDE = 2 + 16,

    USAGE_ENCODED_SUBSCRIPTION = 2, /* behind aggregation and dimension_count */
    USAGE_SERIES_LEAST = 4 + 3 * 2, /* head and three empty texts */
};

/* Of a whole batch: over everything but the checksum itself. `length` >= USAGE_HEADER_SIZE. */
uint64_t usage_checksum(const uint8_t *batch, size_t length);
/* What ingest lets through (metering.md 15): 0 <= amount < 10^15. */
bool usage_amount_is_valid(struct decimal amount);
