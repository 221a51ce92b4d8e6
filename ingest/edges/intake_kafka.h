/*
 * intake_kafka.h - usage events from <bucket>.events (metering.md 32, 33).
 *
 * The group's offset is committed once everything before it is acknowledged on `usage` or
 * `rejected`, so a crash reads some records again and loses none: what comes twice is a duplicate.
 * What can't be accepted goes to <bucket>.rejected with the reason in headers.
 *
 * Limits     INTAKE_KAFKA_RUNS_MAX runs of records unacknowledged; nothing is read without room.
 * Threads    The loop's own.
 */
#pragma once

#include "ingest/edges/intake.h"

#include <uv.h>

enum {
    INTAKE_KAFKA_RECORDS_MAX = 500, /* of one run */
    INTAKE_KAFKA_RUNS_MAX = 64,
};

struct intake_kafka;
/* Joins the group `<bucket>.ingest`. `failed` is called when reading can't go on: the last fault
 * says why. */
MUST_USE int intake_kafka_new(uv_loop_t *loop, struct intake *intake,
                              const struct kafka_config *config, const char *bucket,
                              void (*failed)(void *context, int code), void *context,
                              struct intake_kafka **kafka);
/* Reads no more; runs under way are still committed. Then close, before the loop's last run. */
void intake_kafka_stop(struct intake_kafka *kafka);
void intake_kafka_close(struct intake_kafka *kafka); /* leaves the group */
struct intake_kafka *intake_kafka_free(struct intake_kafka *kafka);
