/*
 * gateway_alike.c - reads an event along the last one of its type.
 *
 * Most events of a batch have the source and the paths of the last one of their type. So those are
 * compared as bytes, and what stands between them is taken, with one look at how much is left of
 * the batch. What doesn't fit is left to the general way: an event that differs, that is near the
 * end, or that has a number of many bytes.
 */
#include "proto/gateway_parts.h"
#include "proto/gateway_texts.h"
#include "proto/wire.h"

enum {
    NUMBER_BYTES = 3, /* of a string, at most */
    WORD_BYTES = 8,
    /* Of every event, at least: flags, id and type. */
    BEGIN_BYTES = 1 + UUID_BYTES + 1,
    /* Of an event, at most: type, source, subscription, subject, time, sequence, property_count,
     * and so that a word can be loaded wherever one of them begins; of each property path, kind,
     * scale and mantissa. */
    REST_BYTES = 1 + 1 + 2 * NUMBER_BYTES + 8 + WORD_BYTES + 1 + WORD_BYTES,
    PROPERTY_BYTES = 1 + 1 + 1 + WORD_BYTES,
};

void gateway_forget(struct gateway_reader *reader)
{
    for (size_t i = 0; i < GATEWAY_ALIKES; i++) {
        reader->alikes[i].least = SIZE_MAX;
        reader->alikes[i].naming = NAMING_NONE;
    }
}

void gateway_keep(struct gateway_reader *reader, const struct gateway_event *event)
{
    const struct gateway_naming *naming = gateway_naming_at(reader, event->naming);
    struct gateway_alike *alike = gateway_alike_of(reader, naming->type);
    uint32_t all = naming->type | naming->source;

    alike->type_number = (uint8_t)naming->type;
    alike->source_number = (uint8_t)naming->source;
    alike->type = event->type;
    alike->source = event->source;
    alike->naming = event->naming;
    alike->property_count = naming->count;
    for (size_t i = 0; i < naming->count; i++) {
        alike->paths[i] = (uint8_t)naming->paths[i];
        all |= naming->paths[i];
    }
    alike->least =
        all > 0x7f || !reader->is_sound ? SIZE_MAX : REST_BYTES + naming->count * PROPERTY_BYTES;
}

/* Behind a number of at most 56 bits. */
static inline const uint8_t *pass_word(const uint8_t *at, uint64_t *number)
{
    uint64_t word = wire_load_u64(at), ends = ~word & 0x8080808080808080u;

    if (ends & 0x8080) {
        *number = ends & 0x80 ? at[0] : (at[0] & 0x7fu) | (unsigned)at[1] << 7;
        return ends & 0x80 ? at + 1 : at + 2;
    }
    if (!ends)
        return NULL;
    at += __builtin_ctzll(ends) / 8 + 1;
    word &= ends ^ (ends - 1); /* up to the first end */
    word = (word & 0x007f007f007f007f) | (word & 0x7f007f007f007f00) >> 1;
    word = (word & 0x00003fff00003fff) | (word & 0x3fff00003fff0000) >> 2;
    *number = (word & 0x000000000fffffff) | (word & 0x0fffffff00000000) >> 4;
    return at;
}

/* Strings in registers, whatever is stored. */
struct strings {
    const struct text *texts;
    size_t count;
};

static inline const uint8_t *follow_string(struct strings strings, const uint8_t *at,
                                           struct text *text)
{
    uint32_t number = *at++;

    if (number >= 0x80)
        number = (number & 0x7f) | (uint32_t)*at++ << 7;
    if (number >= 0x80 << 7)
        number = (number & 0x3fff) | (uint32_t)*at++ << 14; /* a longer one is none of them */
    if (number >= strings.count)
        return NULL;
    *text = strings.texts[number];
    return at;
}

static inline const uint8_t *follow_text(struct strings strings, const uint8_t *at, bool is_there,
                                         struct text *text)
{
    if (is_there)
        return follow_string(strings, at, text);
    *text = (struct text){NULL, 0};
    return at;
}

static inline const uint8_t *follow_id(const uint8_t *at, const uint8_t *end, bool is_uuid,
                                       struct text *id, char *uuid)
{
    size_t length = *at;

    if (is_uuid) {
        gateway_write_uuid(uuid, at);
        *id = (struct text){uuid, UUID_TEXT_BYTES};
        return at + UUID_BYTES;
    }
    if (length > SHORT_BYTES || (size_t)(end - at) < 1 + length + 1)
        return NULL;
    *id = text_from(at + 1, length);
    return gateway_is_sound(*id) ? at + 1 + length : NULL;
}

/* Those behind the source, of these flags. */
static inline const uint8_t *follow_attributes(unsigned flags, struct strings strings,
                                               const uint8_t *at, struct gateway_event *event)
{
    at = follow_text(strings, at, flags & FLAG_SUBSCRIPTION, &event->subscription);
    if (at)
        at = follow_text(strings, at, flags & FLAG_SUBJECT, &event->subject);
    event->has_time = flags & FLAG_TIME;
    if (at && event->has_time) {
        event->time.ns = wire_load_i64(at);
        at += sizeof(int64_t);
    }
    event->has_sequence = flags & FLAG_SEQUENCE;
    if (at && event->has_sequence)
        at = pass_word(at, &event->sequence);
    return at;
}

static inline const uint8_t *follow_value(struct strings strings, const uint8_t *at,
                                          struct gateway_value *value)
{
    uint64_t zigzag;

    value->kind = *at++;
    if (value->kind == GATEWAY_STRING)
        return follow_string(strings, at, &value->is.text);
    if (value->kind != GATEWAY_DECIMAL)
        return value->kind <= GATEWAY_TRUE ? at : NULL;
    value->scale = *at++;
    at = pass_word(at, &zigzag);
    if (!at || value->scale > GATEWAY_SCALE_MAX)
        return NULL;
    value->is.mantissa = (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
    return at;
}

static inline const uint8_t *follow_properties(const struct gateway_alike *alike,
                                               struct strings strings, const uint8_t *at,
                                               struct gateway_value *value)
{
    const uint8_t *path = alike->paths, *const last = path + alike->property_count;

    if (*at++ != alike->property_count)
        return NULL;
    while (path < last) {
        if (*at++ != *path++)
            return NULL;
        at = follow_value(strings, at, value++);
        if (!at)
            return NULL;
    }
    return at;
}

/* From the type on. */
static inline const uint8_t *follow_rest(struct gateway_reader *reader, unsigned flags,
                                         const uint8_t *at, const uint8_t *end,
                                         struct gateway_event *event)
{
    const struct gateway_alike *alike = gateway_alike_of(reader, *at);
    const struct strings strings = {reader->strings, reader->string_count};

    if ((size_t)(end - at) < alike->least || at[0] != alike->type_number ||
        at[1] != alike->source_number)
        return NULL;
    at = follow_attributes(flags, strings, at + 2, event);
    if (at)
        at = follow_properties(alike, strings, at,
                               gateway_room_for_values(reader, alike->property_count));
    if (!at)
        return NULL;
    event->fault = GATEWAY_SOUND;
    event->type = alike->type;
    event->source = alike->source;
    event->property_count = (uint32_t)alike->property_count;
    event->naming = alike->naming;
    reader->value_count += alike->property_count;
    return at;
}

const uint8_t *gateway_follow(struct gateway_reader *reader, const uint8_t *at, const uint8_t *end,
                              struct gateway_event *event, char *uuid)
{
    unsigned flags;

    if (end - at < BEGIN_BYTES)
        return NULL;
    flags = *at++;
    if (flags > FLAGS_KNOWN)
        return NULL;
    at = follow_id(at, end, flags & FLAG_UUID, &event->id, uuid);
    return at ? follow_rest(reader, flags, at, end, event) : NULL;
}
