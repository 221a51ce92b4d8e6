/*
 * record.h - the event that one record of <bucket>.events holds (metering.md 32).
 *
 * Threads    The loop's own.
 */
#pragma once

#include "common/io/kafka.h"
#include "ingest/edges/intake.h"
#include "ingest/rules/content_mode.h"

/* Reads the record's event, after intake_begin. Returns in which mode it came; nothing is read when
 * the record holds many: batch_is. */
enum content_mode record_read(struct intake *intake, const struct kafka_message *record,
                              struct intake_reading *reading);
