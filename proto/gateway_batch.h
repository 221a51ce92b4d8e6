/*
 * gateway_batch.h - reads the compact batch that a gateway may write to <bucket>.events.
 *
 * A gateway knows neither the bucket's seed nor its catalog: it names things by their text, each
 * text once a batch, and says of each event what its JSON would have said. Content type:
 * application/vnd.tollway.gateway-batch. Bytes, "varint" being unsigned LEB128:
 *
 *   "TWG1"
 *   varint string_count, then each string: varint length, bytes (UTF-8, no NUL)
 *   varint event_count, then each event:
 *     u8      flags: 1 time, 2 subscription, 4 subject, 8 sequence is present; 16 the id is a UUID;
 *             the rest is 0
 *     varint  length of the id, and its bytes (UTF-8, no NUL); of a UUID its 16 bytes alone: the id
 *             is its text in lower case, with hyphens
 *     varint  type, varint source: numbers of strings, from 0
 *     varint  subscription, subject: numbers of strings, each where its flag is set
 *     i64     time, nanoseconds since 1970-01-01T00:00:00Z, little-endian, where its flag is set
 *     varint  sequence, where its flag is set
 *     varint  property_count, then each property:
 *       varint  path: number of a string as "$.total", by the catalog's grammar (metering.md 5)
 *       u8      kind, and behind it: 0 null, 1 false, 2 true: nothing; 3 string: varint number of a
 *               string; 4 decimal: u8 scale (0 to 12), varint mantissa in zigzag: -3 is 5
 *   u32     CRC-32 (zlib's) of everything before, little-endian
 *
 * proto/README.md says the same with an example; proto/reference/gateway_batch.py writes it.
 *
 * Errors     gateway_batch_open refuses the batch as a whole when it isn't one; behind that, an
 * event can be faulty alone: gateway_event.fault.
 * Ownership  Texts point into the message; ids that were UUIDs, events and properties are the
 *            reader's. All live until the next open; a shape until the next event.
 * Threads    Any, each reader by one at a time.
 */
#pragma once

#include "common/base/instant.h"
#include "proto/catalog.h"

#define GATEWAY_CONTENT_TYPE "application/vnd.tollway.gateway-batch"

enum {
    GATEWAY_EVENTS_MAX = 10000,
    GATEWAY_STRINGS_MAX = 65536,
    GATEWAY_PATHS_MAX = 256,     /* different ones of a batch */
    GATEWAY_PROPERTIES_MAX = 64, /* of an event */
    GATEWAY_SCALE_MAX = 12,
};

enum gateway_kind {
    GATEWAY_NULL,
    GATEWAY_FALSE,
    GATEWAY_TRUE,
    GATEWAY_STRING,
    GATEWAY_DECIMAL,
};

/* What a property says. */
struct gateway_value {
    uint8_t kind; /* enum gateway_kind */
    uint8_t scale;
    union {
        struct text text; /* STRING */
        int128 mantissa;  /* DECIMAL: mantissa × 10^-scale */
    } is;
};

/* The paths of an event's properties: those behind it that name the same share it. */
struct gateway_shape {
    size_t count;
    const struct catalog_path *paths[GATEWAY_PROPERTIES_MAX]; /* of each property */
    uint8_t sorted[GATEWAY_PROPERTIES_MAX]; /* the properties by path, step by step */
};

enum gateway_fault {
    GATEWAY_SOUND,
    GATEWAY_BAD_STRING,   /* not UTF-8, or with a NUL */
    GATEWAY_BAD_PATH,     /* a property's path can't be read */
    GATEWAY_PATHS_COLLIDE /* two properties with one path, or one inside the other */
};

struct gateway_event {
    enum gateway_fault fault; /* unless SOUND, only `id` may be used, when it isn't absent */
    bool has_time, has_sequence;
    struct text id, type, source;
    struct text subscription, subject; /* absent: none */
    struct instant time;
    uint64_t sequence;
    const struct gateway_value *properties; /* as they were sent */
    uint32_t property_count;
    uint32_t naming; /* the same: so are type, source and paths; below UINT32_MAX */
    const struct gateway_shape *shape; /* theirs; unset when unsound */
};

struct gateway_reader;
struct gateway_reader *gateway_reader_new(void);
struct gateway_reader *gateway_reader_free(struct gateway_reader *reader);

enum gateway_outcome {
    GATEWAY_FOREIGN = 1, /* not a batch, or a damaged one; *reason says why, a static text */
};
/* Checks the whole batch once. The message is borrowed until the next open. */
MUST_USE int gateway_batch_open(struct gateway_reader *reader, struct text message,
                                size_t *event_count, const char **reason);
/* Of each event of the batch its subscription, else its subject, else absent: what it will be
 * looked up by, sound or not. */
const struct text *gateway_batch_owners(const struct gateway_reader *reader);
/* The next event; NULL behind the last. */
MUST_USE const struct gateway_event *gateway_batch_next(struct gateway_reader *reader);

/* Appends the sound event as the CloudEvent that it stands for, in JSON. */
void gateway_event_json(const struct gateway_event *event, struct buffer *json);
