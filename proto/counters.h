/*
 * counters.h - the records on <bucket>.counters: totals and marks, from the aggregator to the invoicer.
 *
 * The topic has the partitions of `usage`; the records of usage partition p stand in partition p. After each commit the owner of a
 * partition writes the totals that changed, then a *mark*: a reader that has applied everything up to a mark holds exactly the usage
 * before the mark's `next_offset`, in the catalog's state before its `catalog_offset`. A total is absolute, so reading it twice is harmless; one with a
 * lower `next_offset` than what is held is older and ignored.
 *
 * A total's window is a *billing window*: the UTC day, cut at the subscription's `cuts` (minutes of the day at which its billing periods, phases or
 * term can begin or end). So every period that a bill needs is a sum of whole billing windows. When cuts change, the owner publishes the subscription's windows again on
 * the new cuts; a reader uses those windows alone that lie on the cuts it knows.
 *
 * Keys (text, readable in any Kafka tool):
 *   T/<subscription>/<meter>/<from>/<to>/<dimensions>    from, to: minutes since the epoch; dimensions: JSON object of name to string|null, sorted by
 *                                                        name, without the subject; "{}" when the meter has none
 *   U/…the same…/<32 hex>                                one unique value seen in that window (UNIQUE_COUNT); the value is a total too, count 1
 *   M/<partition>                                        the mark
 * Values: a total is 56 bytes, little-endian: magic u16 0x5443 "CT", version u8 1, aggregation u8, reserved u32, value 16 (decimal units), count u64,
 * time i64 (LATEST), next_offset i64, checksum u64 (XXH3-64 of the 48 before). A mark is JSON:
 *   {"partition","nextOffset","catalogOffset","watermark"(RFC 3339, greatest arrival),"digest"(32 hex),"owner"(URL),"accepted","counted","duplicate","conflict","rejected","late"}
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/decimal.h"
#include "common/base/instant.h"
#include "proto/usage.h"

/* What a window holds, whatever the aggregation: enough to answer and to merge. */
struct total {
    enum aggregation aggregation;
    struct decimal value; /* SUM and AVG: the sum; MIN, MAX, LATEST: it; COUNT, UNIQUE_COUNT: unused */
    uint64_t count;       /* events; UNIQUE_COUNT: distinct values */
    struct instant time;  /* LATEST: of the value */
};
enum total_outcome { TOTAL_OVERFLOW = 1 };
/* Adds `more` (same aggregation; not UNIQUE_COUNT, whose sets decide) to *into; a total of count 0 is nothing. */
MUST_USE int total_merge(struct total *into, const struct total *more);
/* The answer: sum, count, least, greatest, mean (half away from zero), latest. */
struct decimal total_answer(const struct total *total);

struct counters_total {
    struct text subscription, meter, dimensions; /* borrowed */
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
    char digest[33];
    char owner[256];
    uint64_t accepted, counted, duplicate, conflict, rejected, late;
};

enum counters_outcome { COUNTERS_FOREIGN = 1, COUNTERS_MARK, COUNTERS_TOTAL };
void counters_encode_total(const struct counters_total *total, struct buffer *key, struct buffer *value);
void counters_encode_mark(const struct counters_mark *mark, struct buffer *key, struct buffer *value);
/* COUNTERS_TOTAL or COUNTERS_MARK with that one filled; COUNTERS_FOREIGN with a reason. */
MUST_USE int counters_decode(struct text key, struct text value, struct counters_total *total,
                             struct counters_mark *mark, const char **reason);
/* The billing window of a minute: the cuts that enclose it. */
void counters_window(const uint16_t *cuts, size_t cut_count, int64_t minute, int64_t *from_minute,
                     int64_t *to_minute);
