/*
 * settings.h - what can be set of the aggregator.
 *
 * Threads    One, at start.
 */
#pragma once

#include "common/io/settings.h"

struct aggregator_config {
    struct common_config common; /* first */
    const char *data, *snapshots;
    int64_t horizon_ms;
    int64_t map_bytes;
    int64_t dedup_bytes;
    int64_t threads;
    int64_t commit_events, commit_ms;
    int64_t publish_ms, mark_ms, snapshot_ms;
    int64_t queue_bytes;
    int64_t query_threads;
};

extern const struct setting aggregator_settings[];
extern const size_t aggregator_setting_count;
