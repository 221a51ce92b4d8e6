/*
 * follow.h - the topics catalog and invoices, read into the store in the order in which they stand.
 *
 * A record of an older epoch than the newest seen in its topic is ignored, as every reader does.
 * One on `catalog` that stands behind the valid record would outlive it in compaction: who acts
 * writes the valid one again. One whose key waits in the outbox is older than what the store holds,
 * and ignored too.
 *
 * Errors     Faults of kafka.h and store.h; FAULT_STOP for a record that isn't one of ours.
 * Threads    One.
 */
#pragma once

#include "common/io/kafka.h"
#include "common/io/store.h"
#include "proto/topics.h"

struct follow;
/* TOPIC_CATALOG or TOPIC_INVOICES, from where the store stands. */
MUST_USE int follow_new(const struct kafka_config *kafka, const char *bucket, enum topic topic,
                        struct store *store, struct follow **follow);
struct follow *follow_free(struct follow *follow);
/* Takes what has come, waiting up to timeout_ms for the first; the number of messages or a fault.
 */
MUST_USE int follow_step(struct follow *follow, int timeout_ms);
int64_t follow_next(const struct follow *follow);  /* the offset up to which the store stands */
int64_t follow_epoch(const struct follow *follow); /* the newest seen, -1 before the first */
bool follow_is_caught_up(const struct follow *follow);
