/*
 * audit_count.h - what a log says was used, once more: one event after the other, without a line of
 * the code that counts.
 *
 * It shares the decoding of batches with the aggregator (proto/usage.h), nothing else. The ids that
 * were seen are kept in one set, the sums asked for in one list. It knows neither the limit of
 * dimensions (`__other__`) nor the ageing of days: where these decided something, it differs.
 *
 * Ownership  audit_count_free, which accepts NULL; wants and what they point to are the caller's.
 * Threads    One at a time.
 */
#pragma once

#include "invoicer/rules/audit_rate.h"
#include "proto/usage.h"

/* What was found of some events. */
struct audit_sum {
    bool is_found;
    enum aggregation aggregation;
    struct decimal sum, least, most, latest;
    struct instant latest_at;
    uint64_t events;
    uint8_t (*uniques)[16]; /* unsorted, with repetitions */
    size_t unique_count, unique_room;
    bool has_overflow;
};

/* A quantity that is asked for: of a meter, of events within [from, to) before an offset. */
struct audit_want {
    struct text subscription, meter;
    int32_t partition;
    int64_t next_offset;
    struct instant from, to;
    const json_t *matrix; /* a matrix price, by whose values it is asked for too; NULL */
    size_t about;         /* the caller's: wants are sorted */

    struct audit_sum found; /* of a matrix: of all events, whatever their dimensions */
    void *cells;            /* of a matrix: a tree of what each combination of dimensions has */
    struct decimal *values; /* once it is answered: of each value, then the others' */
};

struct audit_count;
/* `wants` and a horizon for each partition stand still until the end. */
struct audit_count *audit_count_new(struct audit_want *wants, size_t count, int32_t partitions,
                                    const int64_t *horizons_ms);
struct audit_count *audit_count_free(struct audit_count *count);
/* A message of `usage`, in the order of each partition's log. */
void audit_count_take(struct audit_count *count, int32_t partition, int64_t offset,
                      const struct usage_batch *batch);

/* Events that were older than the horizon at their arrival. */
uint64_t audit_count_late(const struct audit_count *count);

/* The answer of what was found: sum, count, least, … Of a matrix each combination of its dimensions
 * has one of its own, and a quantity is their sum. */
struct decimal audit_want_answer(struct audit_want *want);
void audit_want_deinit(struct audit_want *want);
