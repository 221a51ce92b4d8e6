/*
 * gateway_batch.c - reads a gateway's batch.
 *
 * It is walked once, on opening: every number and length in it is checked, so that one broken batch
 * is refused as a whole, and what it says is laid out event by event. Behind that only paths are
 * looked at, as what is wrong with a text or a path costs its events alone.
 * An event is read along another one where it is like that (gateway_alike.c), else from
 * its start by the general way, which alone knows what can't be. Paths are sorted anew only where
 * others are named.
 */
#include "proto/gateway_parts.h"
#include "proto/gateway_texts.h"
#include "proto/wire.h"

#include <assert.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAGIC_SIZE = 4,
    CHECKSUM_SIZE = 4,
    VARINT_BYTES_MAX = 19, /* of 128 bits */
};

struct cursor {
    const uint8_t *at, *end;
    bool failed;
};

struct gateway_reader *gateway_reader_new(void)
{
    struct gateway_reader *reader = calloc(1, sizeof(*reader));

    if (!reader)
        abort();
    return reader;
}

struct gateway_reader *gateway_reader_free(struct gateway_reader *reader)
{
    if (!reader)
        return NULL;
    free(reader->strings);
    free(reader->string_paths);
    free(reader->scratch);
    free(reader->events);
    free(reader->owners);
    free(reader->uuids);
    free(reader->values);
    free(reader->namings);
    free(reader);
    return NULL;
}

static void *resize(void *bytes, size_t count, size_t size)
{
    void *resized = reallocarray(bytes, count, size);

    if (!resized)
        abort();
    return resized;
}

/* --- bytes that may be anything --- */

/* Nothing can be taken any more. */
static void fail(struct cursor *cursor)
{
    cursor->failed = true;
    cursor->at = cursor->end;
}

static inline const uint8_t *take(struct cursor *cursor, size_t length)
{
    const uint8_t *at = cursor->at;

    if ((size_t)(cursor->end - at) < length) {
        fail(cursor);
        return NULL;
    }
    cursor->at += length;
    return at;
}

static inline uint8_t take_byte(struct cursor *cursor)
{
    const uint8_t *at = take(cursor, 1);

    return at ? *at : 0;
}

/* Reads the number at `at`; returns what is behind it, NULL when it has more than 128 bits. */
static const uint8_t *pass_number(const uint8_t *at, const uint8_t *end, uint128 *number)
{
    uint128 value = 0;

    for (unsigned i = 0; i < VARINT_BYTES_MAX && at < end; i++) {
        uint8_t byte = *at++;

        if (i == VARINT_BYTES_MAX - 1 && byte > 3)
            return NULL;
        value |= (uint128)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *number = value;
            return at;
        }
    }
    return NULL;
}

/* Fails at more than 128 bits. */
static uint128 take_wide(struct cursor *cursor)
{
    uint128 number;
    const uint8_t *behind = pass_number(cursor->at, cursor->end, &number);

    if (!behind) {
        fail(cursor);
        return 0;
    }
    cursor->at = behind;
    return number;
}

/* One of a byte or two, as nearly all are; false for another. */
static inline bool take_short(struct cursor *cursor, uint64_t *number)
{
    const uint8_t *at = cursor->at;

    if (cursor->end - at < 2)
        return false;
    if (at[0] < 0x80) {
        *number = at[0];
        cursor->at = at + 1;
        return true;
    }
    *number = (uint64_t)(at[0] & 0x7f) | (uint64_t)at[1] << 7;
    cursor->at = at[1] < 0x80 ? at + 2 : at;
    return at[1] < 0x80;
}

/* Fails at more than 64 bits. */
static uint64_t take_long(struct cursor *cursor)
{
    uint128 number = take_wide(cursor);

    if (number <= UINT64_MAX)
        return (uint64_t)number;
    fail(cursor);
    return 0;
}

/* Fails above `most`. */
static inline uint64_t take_number(struct cursor *cursor, uint64_t most)
{
    uint64_t number;

    if (!take_short(cursor, &number))
        number = take_long(cursor);
    if (number <= most)
        return number;
    fail(cursor);
    return 0;
}

static struct text take_text(struct cursor *cursor)
{
    size_t length = take_number(cursor, (uint64_t)(cursor->end - cursor->at));
    const uint8_t *at = take(cursor, length);

    return at ? text_from(at, length) : (struct text){NULL, 0};
}

/* --- opening --- */

/* Takes the texts out that aren't sound. */
static void check_strings(struct gateway_reader *reader, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (gateway_is_sound(reader->strings[i]))
            continue;
        reader->strings[i] = (struct text){NULL, 0};
        reader->is_sound = false;
    }
}

static void make_string_room(struct gateway_reader *reader, size_t count)
{
    if (count < reader->string_room)
        return;
    reader->strings = resize(reader->strings, count + 1, sizeof(*reader->strings));
    reader->string_paths = resize(reader->string_paths, count + 1, sizeof(*reader->string_paths));
    reader->string_room = count + 1;
}

/* Nearly all have a length of one byte and much behind them. */
static void take_texts(struct cursor *cursor, struct text *texts, size_t count)
{
    const uint8_t *at = cursor->at, *const end = cursor->end;

    for (size_t i = 0; i < count; i++) {
        if (end - at > SHORT_BYTES && *at <= SHORT_BYTES) {
            texts[i].at = (const char *)at + 1;
            texts[i].length = *at;
            at += 1 + *at;
            continue;
        }
        cursor->at = at;
        texts[i] = take_text(cursor);
        at = cursor->at;
    }
    cursor->at = at;
}

/* Where nothing is odd in all of them, lengths and texts, each text is sound: so are nearly all. */
static void read_strings(struct gateway_reader *reader, struct cursor *cursor)
{
    size_t count = take_number(cursor, GATEWAY_STRINGS_MAX);
    const char *begin = (const char *)cursor->at;
    struct text all;

    make_string_room(reader, count);
    take_texts(cursor, reader->strings, count);
    all = text_from(begin, (size_t)((const char *)cursor->at - begin));
    reader->is_sound = true;
    if (all.length < 16 || !gateway_is_long_ascii(all))
        check_strings(reader, count);
    reader->string_count = cursor->failed ? 0 : count;
    reader->strings[reader->string_count] = (struct text){NULL, 0};
    memset(reader->string_paths, 0, count * sizeof(*reader->string_paths));
}

/* The number of a string; string_count after a failure. */
static inline uint32_t take_string(const struct gateway_reader *reader, struct cursor *cursor)
{
    uint64_t number;

    if (!take_short(cursor, &number))
        number = take_long(cursor);
    if (number < reader->string_count)
        return (uint32_t)number;
    fail(cursor);
    return (uint32_t)reader->string_count;
}

/* A string's text, absent when it isn't sound. */
static inline struct text take_sound(const struct gateway_reader *reader, struct cursor *cursor)
{
    return reader->strings[take_string(reader, cursor)];
}

static inline int128 take_mantissa(struct cursor *cursor)
{
    uint64_t few;
    uint128 zigzag;

    if (take_short(cursor, &few))
        return (int64_t)(few >> 1) ^ -(int64_t)(few & 1);
    zigzag = take_wide(cursor);
    return (int128)(zigzag >> 1) ^ -(int128)(zigzag & 1);
}

/* Returns the string of its path. */
static inline uint32_t read_property(const struct gateway_reader *reader, struct cursor *cursor,
                                     struct gateway_value *value)
{
    uint32_t path = take_string(reader, cursor);

    value->kind = take_byte(cursor);
    switch (value->kind) {
    case GATEWAY_NULL:
    case GATEWAY_FALSE:
    case GATEWAY_TRUE:
        break;
    case GATEWAY_STRING:
        value->is.text = take_sound(reader, cursor);
        break;
    case GATEWAY_DECIMAL:
        value->scale = take_byte(cursor);
        if (value->scale > GATEWAY_SCALE_MAX)
            fail(cursor);
        value->is.mantissa = take_mantissa(cursor);
        break;
    default:
        fail(cursor);
    }
    return path;
}

void gateway_grow_values(struct gateway_reader *reader, size_t wanted)
{
    reader->value_room = 2 * wanted + 1;
    reader->values = resize(reader->values, reader->value_room, sizeof(*reader->values));
}

static struct gateway_naming *room_for_naming(struct gateway_reader *reader)
{
    size_t most = sizeof(struct gateway_naming) / sizeof(uint32_t) + GATEWAY_PROPERTIES_MAX;
    size_t wanted = reader->naming_end + most;

    if (wanted > reader->naming_room) {
        reader->naming_room = 2 * wanted;
        reader->namings = resize(reader->namings, reader->naming_room, sizeof(*reader->namings));
    }
    return gateway_naming_at(reader, (uint32_t)reader->naming_end);
}

/* The last one, unless that of the event before of its type is the same. */
static uint32_t keep_naming(struct gateway_reader *reader, const struct gateway_naming *naming)
{
    uint32_t before = gateway_alike_of(reader, naming->type)->naming;
    size_t size = sizeof(*naming) + naming->count * sizeof(*naming->paths);
    uint32_t kept = (uint32_t)reader->naming_end;

    if (before != NAMING_NONE && memcmp(naming, gateway_naming_at(reader, before), size) == 0)
        return before;
    reader->naming_end += size / sizeof(uint32_t);
    return kept;
}

static void read_properties(struct gateway_reader *reader, struct cursor *cursor,
                            struct gateway_event *event, uint32_t type, uint32_t source)
{
    uint32_t count = (uint32_t)take_number(cursor, GATEWAY_PROPERTIES_MAX);
    struct gateway_value *value = gateway_room_for_values(reader, count);
    struct gateway_naming *naming = room_for_naming(reader);

    *naming = (struct gateway_naming){type, source, count};
    for (size_t i = 0; i < count; i++)
        naming->paths[i] = read_property(reader, cursor, &value[i]);
    reader->value_count += count;
    event->property_count = count;
    event->naming = keep_naming(reader, naming);
}

/* Notes an attribute whose text isn't sound. */
static void note_attributes(struct gateway_event *event, uint8_t flags)
{
    if (text_is_absent(event->type) || text_is_absent(event->source) ||
        (flags & FLAG_SUBSCRIPTION && text_is_absent(event->subscription)) ||
        (flags & FLAG_SUBJECT && text_is_absent(event->subject)))
        gateway_note(event, GATEWAY_BAD_STRING);
}

static struct text take_id(struct cursor *cursor, bool is_uuid, char *uuid)
{
    const uint8_t *bytes;

    if (!is_uuid)
        return take_text(cursor);
    bytes = take(cursor, UUID_BYTES);
    if (!bytes)
        return (struct text){NULL, 0};
    gateway_write_uuid(uuid, bytes);
    return text_from(uuid, UUID_TEXT_BYTES);
}

/* Returns what is behind the event, NULL when something of it can't be. `uuid` is where the text of
 * its id is written if that is one. */
static const uint8_t *read_event(struct gateway_reader *reader, const uint8_t *at,
                                 const uint8_t *end, struct gateway_event *event, char *uuid)
{
    const struct text absent = {NULL, 0};
    struct cursor cursor = {at, end, false};
    uint8_t flags = take_byte(&cursor);
    uint32_t type, source;

    if (flags & ~FLAGS_KNOWN)
        fail(&cursor);
    event->fault = GATEWAY_SOUND;
    event->id = take_id(&cursor, flags & FLAG_UUID, uuid);
    if (!(flags & FLAG_UUID) && !gateway_is_sound(event->id)) {
        gateway_note(event, GATEWAY_BAD_STRING);
        event->id = absent;
    }
    type = take_string(reader, &cursor);
    source = take_string(reader, &cursor);
    event->type = reader->strings[type];
    event->source = reader->strings[source];
    event->subscription = flags & FLAG_SUBSCRIPTION ? take_sound(reader, &cursor) : absent;
    event->subject = flags & FLAG_SUBJECT ? take_sound(reader, &cursor) : absent;
    if (!reader->is_sound)
        note_attributes(event, flags);
    event->has_time = flags & FLAG_TIME;
    if (event->has_time) {
        const uint8_t *time = take(&cursor, sizeof(int64_t));
        event->time.ns = time ? wire_load_i64(time) : 0;
    }
    event->has_sequence = flags & FLAG_SEQUENCE;
    if (event->has_sequence)
        event->sequence = take_number(&cursor, UINT64_MAX);
    read_properties(reader, &cursor, event, type, source);
    gateway_keep(reader, event);
    return cursor.failed ? NULL : cursor.at;
}

static void make_room(struct gateway_reader *reader, size_t count)
{
    if (count > reader->event_room) {
        reader->events = resize(reader->events, count, sizeof(*reader->events));
        reader->owners = resize(reader->owners, count, sizeof(*reader->owners));
        reader->uuids = resize(reader->uuids, count, sizeof(*reader->uuids));
        reader->event_room = count;
    }
    reader->value_count = reader->naming_end = 0;
    gateway_forget(reader);
}

static void read_events(struct gateway_reader *reader, struct cursor *cursor)
{
    size_t count = take_number(cursor, GATEWAY_EVENTS_MAX);
    const uint8_t *at = cursor->at, *const end = cursor->end;
    struct gateway_event *event;
    struct text *owner;
    char(*uuid)[UUID_TEXT_BYTES];

    make_room(reader, count);
    event = reader->events;
    owner = reader->owners;
    uuid = reader->uuids;
    for (size_t i = 0; i < count; i++, event++, owner++, uuid++) {
        const uint8_t *behind = gateway_follow(reader, at, end, event, *uuid);

        at = behind ? behind : read_event(reader, at, end, event, *uuid);
        if (!at) {
            fail(cursor);
            return;
        }
        *owner = text_is_absent(event->subscription) ? event->subject : event->subscription;
    }
    cursor->at = at;
    reader->event_count = count;
}

static const char *check_frame(struct text message)
{
    const uint8_t *at = (const uint8_t *)message.at;
    size_t length = message.length - CHECKSUM_SIZE;

    if (message.length < MAGIC_SIZE + CHECKSUM_SIZE || memcmp(at, "TWG", 3) != 0)
        return "not a gateway batch";
    if (at[3] != '1')
        return "a gateway batch of another version";
    if (libdeflate_crc32(0, at, length) != wire_load_u32(at + length))
        return "a gateway batch with a wrong checksum";
    return NULL;
}

/* Where paths will be read, those of the batch before forgotten. */
static void make_paths(struct gateway_reader *reader, size_t length)
{
    if (length > reader->scratch_room) {
        reader->scratch = resize(reader->scratch, length, 1);
        reader->scratch_room = length;
    }
    reader->scratch_used = 0;
    reader->path_count = 0;
    reader->ranked_count = 0;
    reader->shape_naming = NAMING_NONE;
}

int gateway_batch_open(struct gateway_reader *reader, struct text message, size_t *event_count,
                       const char **reason)
{
    const char *why = check_frame(message);
    struct cursor cursor = {0};

    reader->event_count = reader->next = reader->passed = 0;
    if (why) {
        *reason = why;
        return GATEWAY_FOREIGN;
    }
    cursor.at = (const uint8_t *)message.at + MAGIC_SIZE;
    cursor.end = (const uint8_t *)message.at + message.length - CHECKSUM_SIZE;
    read_strings(reader, &cursor);
    read_events(reader, &cursor);
    if (cursor.failed || cursor.at != cursor.end) {
        reader->event_count = 0;
        *reason = "a gateway batch with a length, number or kind that can't be";
        return GATEWAY_FOREIGN;
    }
    make_paths(reader, message.length);
    *event_count = reader->event_count;
    return 0;
}

const struct text *gateway_batch_owners(const struct gateway_reader *reader)
{
    return reader->owners;
}

/* --- event by event --- */

const struct gateway_event *gateway_batch_next(struct gateway_reader *reader)
{
    struct gateway_event *event;

    if (reader->next == reader->event_count)
        return NULL;
    event = &reader->events[reader->next++];
    event->properties = reader->values + reader->passed;
    reader->passed += event->property_count;
    event->shape = &reader->shape;
    if (event->naming != reader->shape_naming)
        gateway_find_shape(reader, event);
    else if (!reader->is_sound)
        for (size_t i = 0; i < event->property_count; i++)
            gateway_note_value(event, &event->properties[i]);
    return event;
}
