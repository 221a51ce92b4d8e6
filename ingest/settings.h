/*
 * settings.h - what can be set of ingest.
 *
 * Threads    One, at start.
 */
#pragma once

#include "common/io/settings.h"

struct ingest_config {
    struct common_config common; /* first */
    int64_t linger_ms;
    int64_t batch_events;
    int64_t batch_bytes;
    int64_t future_ms;
    int64_t queue_bytes;
    int64_t answer_ms;
    int64_t broker_grace_ms;
    int64_t drain_ms;
    int64_t key_rate;
    bool kafka_intake;
    int64_t single_bytes, body_bytes, request_events;
};

extern const struct setting ingest_settings[];
extern const size_t ingest_setting_count;
