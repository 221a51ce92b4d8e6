/*
 * record.h - the event that one record of <bucket>.events holds (metering.md 32).
 *
 * Threads    The loop's own.
 */
#pragma once

#include "common/io/kafka.h"
#include "ingest/edges/intake.h"

enum record_outcome {
    RECORD_IS_GATEWAY_BATCH = EVENT_BROKEN + 1, /* many events: proto/gateway_batch.h reads them */
};

/* The outcome is 0 with the event; EVENT_REFUSED with the refusal; RECORD_IS_GATEWAY_BATCH. After
 * intake_begin. */
void record_read(struct intake *intake, const struct kafka_message *record,
                 struct intake_reading *reading);
