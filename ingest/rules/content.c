#include "ingest/rules/content.h"

#include "proto/usage_series.h"

struct text content_write_identity(const struct event *event, struct text subscription,
                                   uint8_t bytes[CONTENT_IDENTITY_MAX])
{
    struct text id = text_is_absent(subscription) ? text_of(NULL) : event->id;
    uint8_t *at = bytes;

    assert(subscription.length + event->source.length + id.length + 3 * 2 <= CONTENT_IDENTITY_MAX);
    at = wire_store_text(at, subscription);
    at = wire_store_present(at, event->source);
    at = wire_store_text(at, id);
    return text_from(bytes, (size_t)(at - bytes));
}

struct text content_write_series(const struct catalog_meter *meter, struct text subscription,
                                 struct text subject, const struct content_values *values,
                                 struct arena *arena)
{
    size_t size = meter->series_size + subscription.length + subject.length + values->size;
    uint8_t *begin = arena_take_unset(arena, size), *at;
    struct text series;

    if (!begin)
        return text_of(NULL);
    at = usage_series_begin(begin, meter->aggregation, meter->dimension_count, subscription,
                            meter->slug, subject);
    for (size_t i = 0; i < meter->dimension_count; i++)
        at = usage_series_add(at, meter->dimensions[i].name, values->values[i]);
    series = usage_series_end(begin, at);
    assert(series.length == size);
    return series;
}

static uint8_t *write_value(uint8_t *at, const struct usage_part *part)
{
    if (part->aggregation == AGGREGATION_UNIQUE_COUNT)
        memcpy(at, part->value.unique, sizeof(part->value.unique));
    else
        wire_store_i128(at, part->value.amount.units);
    return at + sizeof(part->value.unique);
}

struct text content_write_payload(const struct event *event, uint64_t type_hash,
                                  const struct usage_part *parts, size_t count,
                                  uint8_t bytes[CONTENT_PAYLOAD_MAX])
{
    uint8_t *at = bytes + 24;

    wire_store_u64(bytes, type_hash);
    wire_store_u64(bytes + 8, event->time_is_absent);
    wire_store_i64(bytes + 16, event->time_is_absent ? 0 : event->time.ns);
    for (size_t i = 0; i < count; i++) {
        wire_store_u64(at, parts[i].hash);
        at = write_value(at + 8, &parts[i]);
    }
    return text_from(bytes, (size_t)(at - bytes));
}
