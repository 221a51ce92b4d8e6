#include "ingest/rules/content.h"

#include "proto/wire.h"

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

/* An event's texts and its meters' are far below WIRE_TEXT_ABSENT. */
static size_t size_of(struct text text)
{
    return 2 + text.length;
}

size_t content_size_of_part(const struct catalog_meter *meter)
{
    size_t size = size_of(meter->slug) + sizeof(union usage_value);

    for (size_t i = 0; i < meter->dimension_count; i++)
        size += size_of(meter->dimensions[i].name) + 2;
    return size;
}

static uint8_t *write_value(uint8_t *at, const struct usage_part *part)
{
    if (part->aggregation == AGGREGATION_UNIQUE_COUNT)
        memcpy(at, part->value.unique, sizeof(part->value.unique));
    else
        wire_store_i128(at, part->value.amount.units);
    return at + sizeof(part->value.unique);
}

static uint8_t *write_head(uint8_t *at, const struct event *event)
{
    at = wire_store_present(at, event->type);
    at = wire_store_text(at, event->subject);
    wire_store_u64(at, event->time_is_absent);
    wire_store_i64(at + 8, event->time_is_absent ? 0 : event->time.ns);
    return at + 16;
}

static uint8_t *write_parts(uint8_t *at, const struct content *content)
{
    const struct text *value = content->values;

    for (size_t i = 0; i < content->count; i++) {
        struct usage_part *part = &content->parts[i];
        const struct catalog_dimension *dimension = content->dimensions[i];
        const struct catalog_dimension *end = dimension + part->dimension_count;
        const uint8_t *dimensions;

        at = wire_store_present(at, part->meter);
        dimensions = at = write_value(at, part);
        for (; dimension < end; dimension++) {
            at = wire_store_present(at, dimension->name);
            at = wire_store_text(at, *value++);
        }
        part->dimensions = text_from(dimensions, (size_t)(at - dimensions));
    }
    return at;
}

struct text content_write(const struct content *content, struct arena *arena)
{
    const struct event *event = content->event;
    size_t size = size_of(event->type) + size_of(event->subject) + 16 + content->size;
    uint8_t *bytes = arena_take_unset(arena, size), *at = bytes;

    if (!bytes)
        return text_of(NULL);
    at = write_head(at, event);
    at = write_parts(at, content);
    assert(at <= bytes + size);
    return text_from(bytes, (size_t)(at - bytes));
}
