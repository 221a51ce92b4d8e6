/*
 * rows.h - a query's rows: totals by window and group, merged from partitions and from peers, then
 * written as JSON or CSV.
 *
 * A group is the texts of subscription and subject (where grouped by) and of the dimensions as
 * asked. Rows come out by window, subscription, subject, dimensions, null first, bytewise
 * (metering.md 23).
 *
 * Units      Minutes since the epoch; INT64_MIN and INT64_MAX: unbounded, written as null.
 * Ownership  rows_deinit, which accepts a zeroed one.
 * Threads    One at a time.
 */
#pragma once

#include "aggregator/rules/index.h"
#include "aggregator/rules/query.h"
#include "proto/counters.h"

enum { ROWS_MAX = 100000, ROWS_GROUP_MAX = USAGE_DIMENSIONS_MAX + 2 };

struct row {
    int64_t from_minute, to_minute;
    uint32_t group;
    struct total total;
    uint8_t (*uniques)[16]; /* UNIQUE_COUNT: the values' hashes, sorted and each once up to */
    size_t unique_count, unique_sorted, unique_room; /* unique_sorted */
};

struct rows_group {
    char *bytes; /* of each value: length u32 (0xffffffff: null) and bytes */
    size_t length;
};

struct rows {
    size_t value_count; /* of a group */
    struct row *rows;
    uint32_t count, room;
    struct rows_group *groups;
    uint32_t group_count, group_room;
    struct index by_group, by_row;
};

enum rows_outcome {
    ROWS_TOO_MANY = 1,
    ROWS_OVERFLOW, /* totals of several partitions don't fit in one */
    ROWS_FOREIGN,  /* a peer's bytes aren't rows */
};

void rows_init(struct rows *rows, const struct query *query);
void rows_deinit(struct rows *rows);
/* The number of the group of these values (value_count of them; absent: null). */
uint32_t rows_group(struct rows *rows, const struct text *values);
MUST_USE int rows_take(struct rows *rows, int64_t from_minute, int64_t to_minute, uint32_t group,
                       enum aggregation aggregation, struct row **row);
MUST_USE int row_add(struct row *row, const struct total *total);
void row_add_unique(struct row *row, const uint8_t hash[16]);

/* For peers: the rows as bytes, and merged in from them. */
void rows_encode(const struct rows *rows, struct buffer *bytes);
MUST_USE int rows_merge(struct rows *rows, struct text bytes);

void rows_sort(struct rows *rows); /* groups keep their numbers; no rows_take afterwards */
void rows_write_json(const struct rows *rows, const struct query *query, struct buffer *out);
void rows_write_csv(const struct rows *rows, const struct query *query, struct buffer *out);
