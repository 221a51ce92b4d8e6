/*
 * usage.h - the packed batch on <bucket>.usage: what ingest accepted, ready to be counted without
 * the catalog.
 *
 * A batch names each *series* once - subscription, meter with its aggregation, subject, dimensions
 * - and then lists events that refer to them. All events of a batch belong to one partition. Layout
 * (little-endian, without padding), version 2:
 *
 *   header    32 bytes: magic "TWU1", version u8 2, layout u8 (1: there are sequences; 2: values
 *             are wide), series_count u16, event_count u16, entry_count u16, bytes u32 (of the
 *             whole batch), arrival_ms i64, checksum u64 (XXH3-64 of everything behind the header,
 *             seeded with the XXH3-64 of the 24 bytes before the checksum)
 *   events    32 bytes each: identity 12, payload u32, time_ns i64, arrival i32 (ms after the
 *             header's), entry_count u8, flags u8, series u16 (that of its first entry: names its
 *             subscription)
 *   sequences 8 bytes for each event, where the header says so: u64 (0 unless it is numbered)
 *   entries   series u16 and value each. A value is u64 in decimal units; a wide one 16 bytes,
 *             two's complement or the hash of a UNIQUE_COUNT text. A batch is wide when one of its
 *             values has to be. Event 0's entries come first, then event 1's, …
 *   series    each: bytes u16 (of this series, these two included), aggregation u8,
 *             dimension_count u8, then subscription, meter, subject, and for each dimension (sorted
 *             by name) name and value; a string is length u16 (0xffff: null) and bytes
 *
 * proto/README.md says the same for people who write readers in other languages.
 *
 * Errors     usage_decode returns USAGE_FOREIGN with a reason for anything that isn't a whole,
 *            valid batch, and never reads outside it. What it has let through needs no further
 *            check.
 * Ownership  Decoded texts point into the message; the series table is the reader's.
 * Threads    Any, each writer and reader by one at a time.
 */
#pragma once

#include "common/base/decimal.h"
#include "common/base/instant.h"

enum {
    USAGE_EVENTS_MAX = 4000,
    USAGE_ENTRIES_MAX = 16000,
    USAGE_SERIES_MAX = 16000,
    USAGE_DIMENSIONS_MAX = 8,
    USAGE_METERS_MAX = 64,        /* of one event type: entries of an event */
    USAGE_BYTES_MAX = 900 * 1024, /* under Kafka's default message.max.bytes */
    USAGE_SUBSCRIPTION_MAX = 256, /* bytes */
    USAGE_METER_MAX = 64,         /* bytes */
    USAGE_NAME_MAX = 64,          /* bytes of a dimension's name */
    USAGE_TEXT_MAX = 1024,        /* bytes of subject and of a dimension's value */
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
enum { AGGREGATION_KINDS = AGGREGATION_UNIQUE_COUNT + 1 };

const char *aggregation_name(enum aggregation aggregation); /* "SUM" */
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
    size_t dimension_count;
    struct text subscription, meter;
    struct text subject;                                     /* absent: null */
    struct usage_dimension dimensions[USAGE_DIMENSIONS_MAX]; /* sorted by name */
};

union usage_value {
    struct decimal amount; /* 0 <= amount < 10^15; 0 for COUNT */
    uint8_t unique[16];    /* UNIQUE_COUNT: the text's hash */
};

/* What an event counts for with one meter. */
struct usage_part {
    union usage_value value;
    struct text series; /* as a batch has it: usage_series.h writes it */
    uint64_t hash;      /* of these bytes, by one function for all of a batch */
    enum aggregation aggregation;
};

enum usage_flag {
    USAGE_TIME_ABSENT = 1, /* `time` is the arrival; the identity may be of the day before too */
    USAGE_NUMBERED = 2,    /* known by `identity`, which is its source's, and `sequence` */
};

struct usage_event {
    struct fingerprint fingerprint;
    struct instant time;
    int64_t arrival_ms;
    uint64_t sequence; /* when USAGE_NUMBERED, else 0 */
    uint16_t first_entry;
    uint8_t entry_count; /* 1 to USAGE_METERS_MAX */
    uint8_t flags;
    uint16_t series; /* of its first entry: names its subscription */
};

struct usage_entry {
    union usage_value value;
    uint16_t series;
};

/* --- writing --- */

struct usage_writer; /* one open batch */

enum usage_writer_outcome {
    /* May not fit any more, or arrived weeks before or after the first: send, reset, add again;
     * never of an empty one. */
    USAGE_WRITER_FULL = 1,
};

struct usage_writer *usage_writer_new(void);
struct usage_writer *usage_writer_free(struct usage_writer *writer);

/*
 * Adds an event with its entries; `series[i]` and `values[i]` are entry i's. All series name the
 * same subscription, dimensions are sorted; 1 <= entry_count <= USAGE_METERS_MAX; texts keep the
 * limits above. `event`'s first_entry, entry_count and series are set here, whatever they hold.
 *
 * Returns 0, or USAGE_WRITER_FULL with the batch as it was.
 */
MUST_USE int usage_writer_add(struct usage_writer *writer, const struct usage_event *event,
                              const struct usage_series *series, const union usage_value *values,
                              size_t entry_count);
/* The same of parts whose series are written already. */
MUST_USE int usage_writer_add_parts(struct usage_writer *writer, const struct usage_event *event,
                                    const struct usage_part *parts, size_t count);
/* Fetches what adding the parts will look at. In steps, as each looks at what the one before it
 * fetched: of several events first the first step of all. */
enum usage_writer_step { USAGE_WRITER_SLOTS, USAGE_WRITER_KNOWN, USAGE_WRITER_SERIES };
void usage_writer_prefetch(const struct usage_writer *writer, enum usage_writer_step step,
                           const struct usage_part *parts, size_t count);
size_t usage_writer_count(const struct usage_writer *writer); /* events */
size_t usage_writer_bytes(const struct usage_writer *writer); /* of the finished batch */
/* The batch; it holds at least one event. Good until the next call; before
 * anything is added the writer is reset. */
struct text usage_writer_finish(struct usage_writer *writer);
void usage_writer_reset(struct usage_writer *writer);

/* --- reading --- */

/* A series as it stands in a batch: small, since a batch may have thousands. usage_series_at tells
 * all of it. */
struct usage_series_view {
    const uint8_t *encoded; /* all of it but `bytes` */
    uint16_t length;
    uint8_t aggregation; /* an enum aggregation */
};

struct usage_batch {                             /* a checked view of a message */
    const uint8_t *events, *sequences, *entries; /* sequences: NULL when no event has one */
    size_t event_count, entry_count, series_count;
    int64_t arrival_ms;
    size_t entry_size;
    bool is_wide;
    /* The reader's, until its next usage_decode: */
    const struct usage_series_view *series;
    const uint16_t *first_entries; /* by event */
};

enum usage_outcome {
    USAGE_FOREIGN = 1, /* not a batch of ours, or a damaged one; *reason says why */
};

struct usage_reader; /* holds the series table between calls */

struct usage_reader *usage_reader_new(void);
struct usage_reader *usage_reader_free(struct usage_reader *reader);
/* Checks the whole message once. Returns 0, or USAGE_FOREIGN with a static text in *reason. */
MUST_USE int usage_decode(struct usage_reader *reader, struct text message,
                          struct usage_batch *batch, const char **reason);
/* The checksum that a message carries which looks like a batch; false for another. Checks nothing.
 */
MUST_USE bool usage_carried_checksum(struct text message, uint64_t *checksum);
struct usage_event usage_event_at(const struct usage_batch *batch, size_t index);
struct usage_entry usage_entry_at(const struct usage_batch *batch, size_t index);
struct usage_series usage_series_at(const struct usage_batch *batch, size_t number);
struct text usage_subscription_of(const struct usage_batch *batch, size_t series);
/* The first numbered event from `index` on; event_count when there is none. */
size_t usage_next_numbered(const struct usage_batch *batch, size_t index);
