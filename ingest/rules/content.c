#include "ingest/rules/content.h"

#include "proto/wire.h"

/* An event's texts and its meters' are far below WIRE_TEXT_ABSENT. */
static size_t size_of(struct text text)
{
    return 2 + text.length;
}

static size_t size_of_all(const struct content *content)
{
    size_t size = size_of(content->type) + size_of(content->subject) + 16;
    const struct text *value = content->values;

    for (size_t i = 0; i < content->count; i++) {
        const struct usage_part *part = &content->parts[i];

        size += size_of(part->meter) + sizeof(part->value);
        for (size_t j = 0; j < part->dimension_count; j++)
            size += size_of(content->dimensions[i][j].name) + size_of(*value++);
    }
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

static uint8_t *write_head(uint8_t *at, const struct content *content)
{
    at = wire_store_text(at, content->type);
    at = wire_store_text(at, content->subject);
    wire_store_u64(at, content->time_is_absent);
    wire_store_i64(at + 8, content->time_is_absent ? 0 : content->time.ns);
    return at + 16;
}

struct text content_write(const struct content *content, struct arena *arena)
{
    size_t size = size_of_all(content);
    uint8_t *bytes = arena_take_unset(arena, size), *at = bytes;
    const struct text *value = content->values;

    if (!bytes)
        return text_of(NULL);
    at = write_head(at, content);
    for (size_t i = 0; i < content->count; i++) {
        struct usage_part *part = &content->parts[i];
        const struct catalog_dimension *dimension = content->dimensions[i];
        const uint8_t *dimensions;

        at = wire_store_text(at, part->meter);
        dimensions = at = write_value(at, part);
        for (size_t j = 0; j < part->dimension_count; j++) {
            at = wire_store_text(at, dimension[j].name);
            at = wire_store_text(at, *value++);
        }
        part->dimensions = text_from(dimensions, (size_t)(at - dimensions));
    }
    assert(at == bytes + size);
    return text_from(bytes, size);
}
