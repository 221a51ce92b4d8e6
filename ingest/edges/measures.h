/*
 * measures.h - what ingest counts: the rows of its metrics table.
 *
 * Threads    Any.
 */
#pragma once

#include "common/io/metrics.h"

enum measure {
    MEASURE_RECEIVED, /* by intake */
    MEASURE_ACCEPTED, /* by intake */
    MEASURE_REJECTED, /* by code: enum refusal_code - 1 */
    MEASURE_ANSWERS,  /* by status: enum measure_status */
    MEASURE_BATCHES,
    MEASURE_BATCH_BYTES,
    MEASURE_DELIVERY_FAILURES,
    MEASURE_REQUEST_SECONDS,
    MEASURE_IN_FLIGHT_BYTES,
    MEASURE_UNCONFIRMED,
    MEASURE_WAITING_REQUESTS,
    MEASURE_BROKER_CONNECTED,
    MEASURE_CATALOG_SUBSCRIPTIONS,
    MEASURE_READY,
    MEASURE_COUNT,
};

enum measure_intake { INTAKE_HTTP, INTAKE_KAFKA };

enum measure_status {
    STATUS_202,
    STATUS_400,
    STATUS_401,
    STATUS_413,
    STATUS_415,
    STATUS_429,
    STATUS_500,
    STATUS_503,
};

struct metrics *measures_new(void);
/* The label value of an HTTP status that ingest answers with. */
enum measure_status measure_status_of(int status);
