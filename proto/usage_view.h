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

/* Written where it is wanted: a copy would wait for the narrow stores that it is made by.
 * `index` < event_count */
static inline void usage_view_event(const struct usage_batch *batch, size_t index,
                                    struct usage_event *event)
{
    const uint8_t *at = batch->events + index * USAGE_EVENT_SIZE;

    memcpy(event->fingerprint.identity, at, sizeof(event->fingerprint.identity));
    event->fingerprint.payload = wire_load_u32(at + USAGE_EVENT_PAYLOAD);
    event->time.ns = wire_load_i64(at + USAGE_EVENT_TIME);
    event->arrival_ms = wire_load_i64(at + USAGE_EVENT_ARRIVAL);
    event->sequence = wire_load_u64(at + USAGE_EVENT_SEQUENCE);
    event->first_entry = wire_load_u16(at + USAGE_EVENT_FIRST_ENTRY);
    event->entry_count = at[USAGE_EVENT_ENTRY_COUNT];
    event->flags = at[USAGE_EVENT_FLAGS];
    event->series = wire_load_u16(at + USAGE_EVENT_SERIES);
}

/* The number of an entry's series; `index` < entry_count, as below. */
static inline uint16_t usage_view_series(const struct usage_batch *batch, size_t index)
{
    return wire_load_u16(batch->entries + index * USAGE_ENTRY_SIZE + USAGE_ENTRY_SERIES);
}

/* Its value, where the series counts unique values: sixteen bytes. */
static inline const uint8_t *usage_view_unique(const struct usage_batch *batch, size_t index)
{
    return batch->entries + index * USAGE_ENTRY_SIZE;
}

/* And where it doesn't. */
static inline struct decimal usage_view_amount(const struct usage_batch *batch, size_t index)
{
    return (struct decimal){wire_load_i128(batch->entries + index * USAGE_ENTRY_SIZE)};
}
