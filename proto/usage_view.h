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
    int32_t later_ms = (int32_t)wire_load_u32(at + USAGE_EVENT_ARRIVAL);

    memcpy(event->fingerprint.identity, at, sizeof(event->fingerprint.identity));
    event->fingerprint.payload = wire_load_u32(at + USAGE_EVENT_PAYLOAD);
    event->time.ns = wire_load_i64(at + USAGE_EVENT_TIME);
    event->arrival_ms = (int64_t)((uint64_t)batch->arrival_ms + (uint64_t)later_ms);
    event->sequence =
        batch->sequences ? wire_load_u64(batch->sequences + index * USAGE_SEQUENCE_SIZE) : 0;
    event->first_entry = batch->first_entries[index];
    event->entry_count = at[USAGE_EVENT_ENTRY_COUNT];
    event->flags = at[USAGE_EVENT_FLAGS];
    event->series = wire_load_u16(at + USAGE_EVENT_SERIES);
}

static inline struct text usage_view_encoded(const struct usage_batch *batch, size_t series)
{
    return text_from(batch->series[series].encoded, batch->series[series].length);
}

static inline enum aggregation usage_view_aggregation(const struct usage_batch *batch,
                                                      size_t series)
{
    return (enum aggregation)batch->series[series].aggregation;
}

static inline struct text usage_view_subscription(const struct usage_batch *batch, size_t series)
{
    const uint8_t *at = batch->series[series].encoded + USAGE_ENCODED_SUBSCRIPTION;

    return text_from(at + 2, wire_load_u16(at));
}

static inline const uint8_t *usage_view_entry(const struct usage_batch *batch, size_t index)
{
    return batch->entries + index * batch->entry_size;
}

/* The number of an entry's series; `index` < entry_count, as below. */
static inline uint16_t usage_view_series(const struct usage_batch *batch, size_t index)
{
    return wire_load_u16(usage_view_entry(batch, index));
}

/* Its value, where the series counts unique values: sixteen bytes. */
static inline const uint8_t *usage_view_unique(const struct usage_batch *batch, size_t index)
{
    return usage_view_entry(batch, index) + USAGE_ENTRY_VALUE;
}

/* And where it doesn't. */
static inline struct decimal usage_view_amount(const struct usage_batch *batch, size_t index)
{
    const uint8_t *at = usage_view_entry(batch, index) + USAGE_ENTRY_VALUE;

    return (struct decimal){batch->is_wide ? wire_load_i128(at) : (int128)wire_load_u64(at)};
}
