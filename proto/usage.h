/*
 * usage.h - the packed batch on <bucket>.usage: what ingest accepted, ready to be counted without the catalog.
 *
 * A batch names each *series* once - subscription, meter with its aggregation, subject, dimensions - and then lists
 * events that refer to them. All events of a batch belong to one partition. Layout (little-endian), version 1:
 *
 *   header    32 bytes: magic "TWU1", version u8, reserved u8, series_count u16, event_count u16, entry_count u16, bytes u32 (of the whole
 *             batch), reserved u64, checksum u64 (XXH3-64 of everything behind the header, seeded with the first 24 bytes' XXH3-64)
 *   events    48 bytes each: identity and payload 16, time_ns i64, arrival_ms i64, sequence u64 (0: none), first_entry u16,
 *             entry_count u8, flags u8, series u16 (of its subscription: any of its entries' series), reserved u16
 *   entries   32 bytes each: value 16 (decimal units, or the 16-byte hash of a UNIQUE_COUNT text), series u16, reserved
 *   series    each: bytes u16, aggregation u8, dimension_count u8, then subscription, meter, subject, and for each dimension (sorted by name) name
 *             and value; a string is length u16 (0xffff: null) and bytes
 *
 * Values in the header are the truth of proto/README.md too.
 *
 * Errors     usage_decode returns USAGE_FOREIGN with a reason for anything that isn't a whole, valid batch: never reads outside it.
 * Ownership  Decoded texts point into the message.
 * Threads    Any.
 */
#pragma once

#include "common/base/decimal.h"
#include "common/base/instant.h"

enum {
    USAGE_EVENTS_MAX = 1000,
    USAGE_ENTRIES_MAX = 16000,
    USAGE_SERIES_MAX = 16000,
    USAGE_DIMENSIONS_MAX = 8,
    USAGE_METERS_MAX = 64, /* of one event type */
    USAGE_BYTES_MAX = 900 * 1024, /* under Kafka's default message.max.bytes */
};

enum aggregation {
    AGGREGATION_SUM,
    AGGREGATION_COUNT,
    AGGREGATION_MIN,
    AGGREGATION_MAX,
    AGGREGATION_AVG,
    AGGREGATION_LATEST,
    AGGREGATION_UNIQUE_COUNT,
};
const char *aggregation_name(enum aggregation aggregation);                    /* "SUM" */
MUST_USE bool aggregation_from(struct text name, enum aggregation *aggregation);

/* 96 bits of who the event is, 32 of what it says (metering.md 13, 14). */
struct fingerprint {
    uint8_t identity[12];
    uint32_t payload;
};

struct usage_dimension {
    struct text name;
    struct text value; /* absent: null */
};

struct usage_series {
    enum aggregation aggregation;
    struct text subscription, meter;
    struct text subject; /* absent: null */
    struct usage_dimension dimensions[USAGE_DIMENSIONS_MAX]; /* sorted by name */
    size_t dimension_count;
};

union usage_value {
    struct decimal amount;
    uint8_t unique[16];
};

enum usage_flag {
    USAGE_TIME_ABSENT = 1, /* `time` is the arrival; the identity may be of the day before too */
};

struct usage_event {
    struct fingerprint fingerprint;
    struct instant time;
    int64_t arrival_ms;
    uint64_t sequence;
    uint16_t first_entry;
    uint8_t entry_count;
    uint8_t flags;
    uint16_t series; /* names its subscription */
};

struct usage_entry {
    union usage_value value;
    uint16_t series;
};

/* --- writing --- */
struct usage_writer; /* one open batch */
enum usage_writer_outcome { USAGE_WRITER_FULL = 1 /* doesn't fit any more: send, reset, add again */ };
struct usage_writer *usage_writer_new(void);
struct usage_writer *usage_writer_free(struct usage_writer *writer);
/* Adds an event with its entries; `series[i]` is entry i's. `event`'s index fields are set here. */
MUST_USE int usage_writer_add(struct usage_writer *writer, const struct usage_event *event,
                              const struct usage_series *series, const union usage_value *values,
                              size_t entry_count);
size_t usage_writer_count(const struct usage_writer *writer);
size_t usage_writer_bytes(const struct usage_writer *writer); /* of the finished batch, at most */
struct text usage_writer_finish(struct usage_writer *writer); /* good until the next call */
void usage_writer_reset(struct usage_writer *writer);

/* --- reading --- */
struct usage_batch { /* a checked view of a message */
    const uint8_t *events, *entries;
    size_t event_count, entry_count, series_count;
    struct usage_series *series; /* the reader's */
};
enum usage_outcome { USAGE_FOREIGN = 1 };
struct usage_reader; /* holds the series table between calls */
struct usage_reader *usage_reader_new(void);
struct usage_reader *usage_reader_free(struct usage_reader *reader);
MUST_USE int usage_decode(struct usage_reader *reader, struct text message,
                          struct usage_batch *batch, const char **reason);
struct usage_event usage_event_at(const struct usage_batch *batch, size_t index);
struct usage_entry usage_entry_at(const struct usage_batch *batch, size_t index);
