/*
 * measures.h - what the aggregator counts about itself, for /metrics.
 *
 * Threads    Any.
 */
#pragma once

#include "common/io/metrics.h"

enum measure {
    MEASURE_EVENTS, /* by verdict */
    MEASURE_CONFLICTS,
    MEASURE_MESSAGES,
    MEASURE_CONSERVATION_DIFFERENCE,
    MEASURE_LAG,
    MEASURE_PARTITIONS,
    MEASURE_DEDUP_ENTRIES,
    MEASURE_DEDUP_BYTES,
    MEASURE_STORE_BYTES,
    MEASURE_COMMITS,
    MEASURE_COMMIT_SECONDS,
    MEASURE_WATERMARK_AGE,
    MEASURE_REBALANCES,
    MEASURE_RETRIES,
    MEASURE_READY,
};
enum measure_verdict { VERDICT_COUNTED, VERDICT_DUPLICATE, VERDICT_REJECTED, VERDICT_LATE };

struct metrics *measures_new(void);
