/*
 * scan.h - what a query asks of one partition, read from its store.
 *
 * A window is answered from the coarsest counters that lie whole in it: UTC days, then
 * quarter-hours, then minutes. Where the finer ones that are needed have aged away the query is
 * refused, never approximated (metering.md 20).
 *
 * Errors     enum scan_outcome; FAULT_STOP when the store is damaged.
 * Threads    Any, with a read transaction of its own.
 */
#pragma once

#include "aggregator/rules/rows.h"
#include "common/io/store.h"

enum scan_outcome {
    SCAN_TOO_MANY_ROWS = 1,
    SCAN_OVERFLOW,
    SCAN_FINER_THAN_STORED,
};

/* Adds the partition's rows. */
MUST_USE int scan_partition(struct store_txn *txn, const struct query *query, struct rows *rows);
