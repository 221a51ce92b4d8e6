/*
 * counters.h - the records on <bucket>.counters: totals and marks, from the aggregator to the
 * invoicer.
 *
 * The topic has the partitions of `usage`; the records of usage partition p stand in partition p.
 * After each commit the owner of a partition writes the totals that changed, then a *mark*: a
 * reader that has applied everything up to a mark holds exactly the usage before the mark's
 * `next_offset`, in the catalog's state before its `catalog_offset`. A total is absolute, so
 * reading it twice is harmless; one with a lower `next_offset` than what is held is older and
 * ignored.
 *
 * A total's window is a *billing window*. A subscription's `cuts` are the minutes of the UTC day at
 * which its billing periods, phases or term can begin or end; time is cut at each of them every
 * day, and a billing window is what lies between two neighbouring cuts: with one cut, 24 hours. So
 * every period that a bill needs is a sum of whole billing windows. When cuts change, the owner
 * publishes the subscription's windows again on the new cuts; a reader uses those windows that lie
 * on the cuts it knows, and older ones only where none of these touches them.
 *
 * Keys (text, readable in any Kafka tool):
 *   T/<subscription>/<meter>/<from>/<to>/<dimensions>
 *             from, to: minutes since the epoch; dimensions: as counters_dimensions writes them
 *   U/…the same…/<32 hex>   one unique value seen in that window (UNIQUE_COUNT); it is a total too,
 *             of count 1
 *   M/<partition>           the mark
 * Values: a total is 56 bytes, little-endian: magic "CT", version u8 1, aggregation u8, reserved
 * u32, value 16 (decimal units), count u64, time_ns i64 (LATEST), next_offset i64, checksum u64
 * (XXH3-64 of the 48 before, seeded with the XXH3-64 of the key: a value stands under its own key
 * or is foreign). A mark is JSON:
 *   {"partition","nextOffset","catalogOffset","watermark"(RFC 3339, greatest arrival),"digest"(32
 *    hex),"owner"(URL),"accepted","counted","duplicate","conflict","rejected","late",
 *    "dedupHorizonMs"(absent in those of earlier versions)}
 *
 * Errors     counters_decode returns COUNTERS_FOREIGN for what isn't a record of ours.
 * Ownership  Decoded texts point into the key.
 * Threads    Any.
 */
#pragma once

#include "common/base/decimal.h"
#include "common/base/instant.h"
#include "proto/usage.h"

enum { COUNTERS_OWNER_MAX = 256 }; /* with the NUL */

/* What a window holds, whatever the aggregation: enough to answer and to merge. */
struct total {
    enum aggregation aggregation;
    struct decimal
        value;      /* SUM and AVG: the sum; MIN, MAX, LATEST: it; COUNT, UNIQUE_COUNT: unused */
    uint64_t count; /* events, at most INT64_MAX; UNIQUE_COUNT: distinct values */
    struct instant time; /* LATEST: of the value */
};

enum total_outcome {
    TOTAL_OVERFLOW = 1, /* *into is as it was */
};
/*
 * Adds `more` (same aggregation; UNIQUE_COUNT only of disjoint sets) to *into; a total of count 0
 * is nothing. What the aggregation doesn't use becomes zero, so that equal totals are equal bytes.
 */
MUST_USE int total_merge(struct total *into, const struct total *more);
/* The answer: sum, count, least, greatest, mean (half away from zero), latest; 0 of nothing. */
struct decimal total_answer(const struct total *total);

struct counters_total {
    struct text subscription, meter, dimensions; /* borrowed; no '/' in the first two */
    int64_t from_minute, to_minute;
    uint8_t unique[16]; /* kind U */
    bool is_unique;
    struct total total;
    int64_t next_offset;
};

struct counters_mark {
    int32_t partition;
    int64_t next_offset, catalog_offset;
    struct instant watermark;
    char digest[33]; /* 32 lower-case hexadecimal digits */
    char owner[COUNTERS_OWNER_MAX];
    uint64_t accepted, counted, duplicate, conflict, rejected, late; /* at most INT64_MAX */
    bool has_horizon; /* marks of earlier versions don't say it */
    int64_t horizon_ms;
};

enum counters_outcome { COUNTERS_FOREIGN = 1, COUNTERS_MARK, COUNTERS_TOTAL };

/* Both clear the buffers first. */
void counters_encode_total(const struct counters_total *total, struct buffer *key,
                           struct buffer *value);
void counters_encode_mark(const struct counters_mark *mark, struct buffer *key,
                          struct buffer *value);
/* COUNTERS_TOTAL or COUNTERS_MARK with that one filled; COUNTERS_FOREIGN with a static text in
 * *reason. A tombstone is foreign. */
MUST_USE int counters_decode(struct text key, struct text value, struct counters_total *total,
                             struct counters_mark *mark, const char **reason);
/* Appends a series' dimensions as the key has them: a JSON object of name to string or null, sorted
 * by name, without the subject and without spaces; "{}" when the meter has none. */
void counters_dimensions(const struct usage_dimension *dimensions, size_t count,
                         struct buffer *json);
/* The billing window of a minute: the neighbouring cuts that enclose it. `cut_count` > 0. */
void counters_window(const uint16_t *cuts, size_t cut_count, int64_t minute, int64_t *from_minute,
                     int64_t *to_minute);
