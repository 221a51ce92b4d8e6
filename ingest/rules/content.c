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

size_t content_size_of_series(const struct catalog_meter *meter)
{
    const struct text none = {NULL, 0};
    size_t size = usage_series_size(none, meter->slug, none);

    for (size_t i = 0; i < meter->dimension_count; i++)
        size += usage_text_size(meter->dimensions[i].name) + usage_text_size(none);
    return size;
}

int content_write_series(const struct content *content, struct text subscription,
                         struct arena *arena)
{
    struct text subject = content->event->subject;
    size_t size = content->series_size + content->values_size +
                  content->count * (subscription.length + subject.length);
    uint8_t *bytes = arena_take_unset(arena, size), *at = bytes;
    const struct text *value = content->values;

    if (!bytes)
        return -1;
    for (size_t i = 0; i < content->count; i++) {
        const struct catalog_meter *meter = content->meters[i];
        const struct catalog_dimension *dimension = meter->dimensions;
        const struct catalog_dimension *end = dimension + meter->dimension_count;
        uint8_t *begin = at;

        at = usage_series_begin(at, meter->aggregation, meter->dimension_count, subscription,
                                meter->slug, subject);
        for (; dimension < end; dimension++)
            at = usage_series_add(at, dimension->name, *value++);
        content->parts[i].series = usage_series_end(begin, at);
    }
    assert(at <= bytes + size);
    return 0;
}

static uint8_t *write_value(uint8_t *at, const struct usage_part *part)
{
    if (part->aggregation == AGGREGATION_UNIQUE_COUNT)
        memcpy(at, part->value.unique, sizeof(part->value.unique));
    else
        wire_store_i128(at, part->value.amount.units);
    return at + sizeof(part->value.unique);
}

struct text content_write_payload(const struct content *content, uint64_t type_hash,
                                  uint8_t bytes[CONTENT_PAYLOAD_MAX])
{
    const struct event *event = content->event;
    uint8_t *at = bytes + 24;

    wire_store_u64(bytes, type_hash);
    wire_store_u64(bytes + 8, event->time_is_absent);
    wire_store_i64(bytes + 16, event->time_is_absent ? 0 : event->time.ns);
    for (size_t i = 0; i < content->count; i++) {
        wire_store_u64(at, content->parts[i].hash);
        at = write_value(at + 8, &content->parts[i]);
    }
    return text_from(bytes, (size_t)(at - bytes));
}
