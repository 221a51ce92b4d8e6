/*
 * usage_view.h - usage_event_at and usage_entry_at for loops that can't afford a call: of a batch
 * that usage_decode has let through.
 *
 * Threads    Any.
 */
#pragma once

#include "proto/usage_layout.h"
#include "proto/wire.h"

#include <string.h>

/* `index` < event_count */
static inline struct usage_event usage_view_event(const struct usage_batch *batch, size_t index)
{
    const uint8_t *at = batch->events + index * USAGE_EVENT_SIZE;
    struct usage_event event = {
        .time.ns = wire_load_i64(at + USAGE_EVENT_TIME),
        .arrival_ms = wire_load_i64(at + USAGE_EVENT_ARRIVAL),
        .sequence = wire_load_u64(at + USAGE_EVENT_SEQUENCE),
        .first_entry = wire_load_u16(at + USAGE_EVENT_FIRST_ENTRY),
        .entry_count = at[USAGE_EVENT_ENTRY_COUNT],
        .flags = at[USAGE_EVENT_FLAGS],
        .series = wire_load_u16(at + USAGE_EVENT_SERIES),
    };

    memcpy(event.fingerprint.identity, at, sizeof(event.fingerprint.identity));
    event.fingerprint.payload = wire_load_u32(at + USAGE_EVENT_PAYLOAD);
    return event;
}

/* The number of an entry's series; `index` < entry_count, as below. */
static inline uint16_t usage_view_series(const struct usage_batch *batch, size_t index)
{
    return wire_load_u16(batch->entries + index * USAGE_ENTRY_SIZE + USAGE_ENTRY_SERIES);
}

static inline struct usage_entry usage_view_entry(const struct usage_batch *batch, size_t index)
{
    const uint8_t *at = batch->entries + index * USAGE_ENTRY_SIZE;
    struct usage_entry entry = {.series = usage_view_series(batch, index)};

    if (batch->series[entry.series].aggregation == AGGREGATION_UNIQUE_COUNT)
        memcpy(entry.value.unique, at, sizeof(entry.value.unique));
    else
        entry.value.amount.units = wire_load_i128(at);
    return entry;
}
