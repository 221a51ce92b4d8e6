/*
 * usage_series.h - writes a series as a batch has it.
 *
 * Begin it, write its dimensions sorted by name, end it. Inline, as ingest writes one and more an
 * event.
 *
 * Errors     None: the texts keep the limits of usage.h, and there is room.
 * Threads    Any.
 */
#pragma once

#include "proto/usage_layout.h"

#include <assert.h>

/* How much a text takes. */
static inline size_t usage_text_size(struct text text)
{
    return 2 + text.length;
}

/* All of a series but for its dimensions. */
static inline size_t usage_series_size(struct text subscription, struct text meter,
                                       struct text subject)
{
    return USAGE_SERIES_LEAST + subscription.length + meter.length + subject.length;
}

/* Returns where its dimensions are to be written. */
ALWAYS_INLINE static inline uint8_t *usage_series_begin(uint8_t *at, enum aggregation aggregation,
                                                        size_t dimension_count,
                                                        struct text subscription, struct text meter,
                                                        struct text subject)
{
    assert(aggregation <= AGGREGATION_UNIQUE_COUNT);
    assert(dimension_count <= USAGE_DIMENSIONS_MAX);
    assert(subscription.length > 0 && subscription.length <= USAGE_SUBSCRIPTION_MAX);
    assert(meter.length > 0 && meter.length <= USAGE_METER_MAX);
    assert(subject.length <= USAGE_TEXT_MAX);
    at[2] = (uint8_t)aggregation;
    at[3] = (uint8_t)dimension_count;
    at = wire_store_present(at + 4, subscription);
    at = wire_store_present(at, meter);
    return wire_store_text(at, subject);
}

/* Returns what is behind it. */
ALWAYS_INLINE static inline uint8_t *usage_series_add(uint8_t *at, struct text name,
                                                      struct text value)
{
    assert(name.length > 0 && name.length <= USAGE_NAME_MAX && value.length <= USAGE_TEXT_MAX);
    return wire_store_text(wire_store_present(at, name), value);
}

/* The whole, from where it was begun to behind its last dimension. */
static inline struct text usage_series_end(uint8_t *begin, const uint8_t *end)
{
    size_t size = (size_t)(end - begin);

    wire_store_u16(begin, (uint16_t)size);
    return text_from(begin, size);
}
