/*
 * reject.h - keeps what isn't counted on <bucket>.rejected, with the reason and where it stood.
 *
 * A late, conflicting or misplaced event is copied as a usage batch of one event; a message that
 * can't be decoded as it came. What was sent is flushed before the commit that counts it as set
 * aside: a crash in between sends it twice, none gets lost.
 *
 * Errors     FAULT_RETRY when Kafka doesn't take it in time.
 * Threads    The producer's.
 */
#pragma once

#include "aggregator/rules/count.h"
#include "common/io/kafka.h"

struct reject_copies; /* what became of them: Kafka may answer after the partition is given away */

struct reject {
    struct producer *producer;
    const char *topic, *usage_topic; /* borrowed */
    struct usage_writer *writer;
    struct reject_copies *copies;
};

void reject_init(struct reject *reject, struct producer *producer, const char *topic,
                 const char *usage_topic);
void reject_deinit(struct reject *reject);
MUST_USE int reject_event(struct reject *reject, const struct kafka_message *message,
                          const struct usage_batch *batch, const struct aside *aside);
MUST_USE int reject_message(struct reject *reject, const struct kafka_message *message,
                            const char *reason, const char *detail);
/* After a flush: FAULT_RETRY when Kafka gave up one of the copies. It is lost: what was counted
 * with it mustn't be committed, so that it is read again. */
MUST_USE int reject_check(const struct reject *reject);
