/*
 * gateway_batch.c - reads a gateway's batch.
 *
 * It is walked twice: on opening, to know that every number and length in it is right, so that one
 * broken batch is refused as a whole; and event by event afterwards, when nothing can be missing
 * any more. What is wrong with a text or a path costs its events alone.
 */
#include "proto/gateway_batch.h"
#include "proto/wire.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAGIC_SIZE = 4,
    CHECKSUM_SIZE = 4,
    FLAG_TIME = 1,
    FLAG_SUBSCRIPTION = 2,
    FLAG_SUBJECT = 4,
    FLAG_SEQUENCE = 8,
    FLAGS_KNOWN = 15,
    VARINT_BYTES_MAX = 19, /* of 128 bits */
};

struct gateway_string {
    struct text text;
    bool is_sound;
    uint16_t path; /* plus one, of `paths`; 0: not read yet */
};

/* How a text fared as a path. */
struct gateway_path {
    struct catalog_path path;
    bool is_sound;
};

struct cursor {
    const uint8_t *at, *end;
    bool failed;
};

struct gateway_reader {
    struct gateway_string *strings;
    size_t string_count, string_room;
    struct gateway_path paths[GATEWAY_PATHS_MAX];
    size_t path_count;
    char *scratch; /* where paths are unquoted: as long as the message */
    size_t scratch_used, scratch_room;
    struct gateway_property properties[GATEWAY_PROPERTIES_MAX];
    char numbers[GATEWAY_PROPERTIES_MAX][GATEWAY_NUMBER_MAX];
    struct cursor cursor;
    size_t events_left;
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
    free(reader->scratch);
    free(reader);
    return NULL;
}

/* zlib's CRC-32, a nibble at a time: batches are checked once, and no library is needed. */
static uint32_t crc32_of(const uint8_t *at, size_t length)
{
    static const uint32_t nibbles[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < length; i++) {
        crc ^= at[i];
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return ~crc;
}

/* --- bytes --- */

static const uint8_t *take(struct cursor *cursor, size_t length)
{
    const uint8_t *at = cursor->at;

    if (cursor->failed || (size_t)(cursor->end - at) < length) {
        cursor->failed = true;
        return NULL;
    }
    cursor->at += length;
    return at;
}

static uint8_t take_byte(struct cursor *cursor)
{
    const uint8_t *at = take(cursor, 1);

    return at ? *at : 0;
}

/* Fails at more than 128 bits. */
static uint128 take_wide(struct cursor *cursor)
{
    uint128 value = 0;

    for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
        uint8_t byte = take_byte(cursor);

        if (i == VARINT_BYTES_MAX - 1 && byte > 3)
            break;
        value |= (uint128)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return value;
    }
    cursor->failed = true;
    return 0;
}

/* Fails above `most`. */
static uint64_t take_number(struct cursor *cursor, uint64_t most)
{
    uint128 value = take_wide(cursor);

    if (value > most)
        cursor->failed = true;
    return cursor->failed ? 0 : (uint64_t)value;
}

static struct text take_text(struct cursor *cursor)
{
    size_t length = take_number(cursor, (uint64_t)(cursor->end - cursor->at));
    const uint8_t *at = take(cursor, length);

    return at ? text_from(at, length) : (struct text){NULL, 0};
}

static bool is_sound(struct text text)
{
    return text_is_utf8(text) && !(text.length && memchr(text.at, '\0', text.length));
}

/* --- opening --- */

/* The number of a string; NULL after a failure. */
static struct gateway_string *take_string(struct gateway_reader *reader, struct cursor *cursor)
{
    uint64_t number;

    if (reader->string_count == 0)
        cursor->failed = true;
    number = take_number(cursor, reader->string_count - 1);
    return cursor->failed ? NULL : &reader->strings[number];
}

static void read_strings(struct gateway_reader *reader, struct cursor *cursor)
{
    size_t count = take_number(cursor, GATEWAY_STRINGS_MAX);

    if (count > reader->string_room) {
        free(reader->strings);
        reader->strings = calloc(count, sizeof(*reader->strings));
        if (!reader->strings)
            abort();
        reader->string_room = count;
    }
    for (size_t i = 0; i < count && !cursor->failed; i++) {
        struct text text = take_text(cursor);

        reader->strings[i] = (struct gateway_string){.text = text, .is_sound = is_sound(text)};
    }
    reader->string_count = cursor->failed ? 0 : count;
}

static void check_property(struct gateway_reader *reader, struct cursor *cursor)
{
    take_string(reader, cursor);
    switch (take_byte(cursor)) {
    case GATEWAY_NULL:
    case GATEWAY_FALSE:
    case GATEWAY_TRUE:
        break;
    case GATEWAY_STRING:
        take_string(reader, cursor);
        break;
    case GATEWAY_DECIMAL:
        if (take_byte(cursor) > GATEWAY_SCALE_MAX)
            cursor->failed = true;
        take_wide(cursor);
        break;
    default:
        cursor->failed = true;
    }
}

static void check_event(struct gateway_reader *reader, struct cursor *cursor)
{
    uint8_t flags = take_byte(cursor);
    size_t count;

    if (flags & ~FLAGS_KNOWN)
        cursor->failed = true;
    take_text(cursor);
    take_string(reader, cursor);
    take_string(reader, cursor);
    if (flags & FLAG_SUBSCRIPTION)
        take_string(reader, cursor);
    if (flags & FLAG_SUBJECT)
        take_string(reader, cursor);
    if (flags & FLAG_TIME)
        take(cursor, sizeof(int64_t));
    if (flags & FLAG_SEQUENCE)
        take_number(cursor, UINT64_MAX);
    count = take_number(cursor, GATEWAY_PROPERTIES_MAX);
    for (size_t i = 0; i < count && !cursor->failed; i++)
        check_property(reader, cursor);
}

static const char *check_frame(struct text message)
{
    const uint8_t *at = (const uint8_t *)message.at;
    size_t length = message.length;

    if (length < MAGIC_SIZE + CHECKSUM_SIZE || memcmp(at, "TWG", 3) != 0)
        return "not a gateway batch";
    if (at[3] != '1')
        return "a gateway batch of another version";
    if (crc32_of(at, length - CHECKSUM_SIZE) != wire_load_u32(at + length - CHECKSUM_SIZE))
        return "a gateway batch with a wrong checksum";
    return NULL;
}

static void make_scratch(struct gateway_reader *reader, size_t length)
{
    reader->path_count = 0;
    reader->scratch_used = 0;
    if (length <= reader->scratch_room)
        return;
    free(reader->scratch);
    reader->scratch = malloc(length);
    if (!reader->scratch)
        abort();
    reader->scratch_room = length;
}

int gateway_batch_open(struct gateway_reader *reader, struct text message, size_t *event_count,
                       const char **reason)
{
    const char *why = check_frame(message);
    struct cursor cursor = {0}, events;
    size_t count;

    reader->events_left = 0;
    if (why) {
        *reason = why;
        return GATEWAY_FOREIGN;
    }
    cursor.at = (const uint8_t *)message.at + MAGIC_SIZE;
    cursor.end = (const uint8_t *)message.at + message.length - CHECKSUM_SIZE;
    read_strings(reader, &cursor);
    count = take_number(&cursor, GATEWAY_EVENTS_MAX);
    events = cursor;
    for (size_t i = 0; i < count && !cursor.failed; i++)
        check_event(reader, &cursor);
    if (cursor.failed || cursor.at != cursor.end) {
        *reason = "a gateway batch with a length, number or kind that can't be";
        return GATEWAY_FOREIGN;
    }
    make_scratch(reader, message.length);
    reader->cursor = events;
    reader->events_left = count;
    *event_count = count;
    return 0;
}

/* --- the next event --- */

static void note(struct gateway_event *event, enum gateway_fault fault)
{
    if (event->fault == GATEWAY_SOUND)
        event->fault = fault;
}

/* Its text, absent when it isn't sound. */
static struct text read_string(struct gateway_reader *reader, struct gateway_event *event)
{
    const struct gateway_string *string = take_string(reader, &reader->cursor);

    assert(string);
    if (string->is_sound)
        return string->text;
    note(event, GATEWAY_BAD_STRING);
    return (struct text){NULL, 0};
}

/* Reads a string as a path at its first use. NULL when it isn't one, or one too many. */
static const struct catalog_path *path_of(struct gateway_reader *reader,
                                          struct gateway_string *string)
{
    struct gateway_path *path;

    if (!string->path) {
        if (reader->path_count == GATEWAY_PATHS_MAX)
            return NULL;
        path = &reader->paths[reader->path_count++];
        path->is_sound =
            string->is_sound &&
            catalog_path_parse(string->text, reader->scratch + reader->scratch_used, &path->path);
        reader->scratch_used += string->text.length;
        string->path = (uint16_t)reader->path_count;
    }
    path = &reader->paths[string->path - 1];
    return path->is_sound ? &path->path : NULL;
}

/* Spells mantissa × 10^-scale as JSON: "-0.05". */
static struct text spell(uint128 zigzag, unsigned scale, char text[GATEWAY_NUMBER_MAX])
{
    bool is_negative = zigzag & 1;
    uint128 rest = (zigzag >> 1) + (is_negative ? 1 : 0);
    size_t at = GATEWAY_NUMBER_MAX;
    unsigned count = 0;

    while (rest || count <= scale) {
        if (count == scale && scale > 0)
            text[--at] = '.';
        text[--at] = (char)('0' + (int)(rest % 10));
        rest /= 10;
        count++;
    }
    if (is_negative)
        text[--at] = '-';
    return text_from(text + at, GATEWAY_NUMBER_MAX - at);
}

static void read_property(struct gateway_reader *reader, struct gateway_event *event, size_t index)
{
    struct gateway_property *property = &reader->properties[index];
    struct gateway_string *path = take_string(reader, &reader->cursor);
    unsigned scale;

    assert(path);
    *property = (struct gateway_property){.path = path_of(reader, path)};
    if (!property->path)
        note(event, path->is_sound ? GATEWAY_BAD_PATH : GATEWAY_BAD_STRING);
    property->kind = (enum gateway_kind)take_byte(&reader->cursor);
    if (property->kind == GATEWAY_STRING)
        property->text = read_string(reader, event);
    if (property->kind == GATEWAY_DECIMAL) {
        scale = take_byte(&reader->cursor);
        property->text = spell(take_wide(&reader->cursor), scale, reader->numbers[index]);
    }
}

static int compare_paths(const struct catalog_path *a, const struct catalog_path *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        int order = text_compare(a->steps[i], b->steps[i]);

        if (order)
            return order;
    }
    return (a->count > b->count) - (a->count < b->count);
}

static int compare_properties(const void *a, const void *b)
{
    return compare_paths(((const struct gateway_property *)a)->path,
                         ((const struct gateway_property *)b)->path);
}

/* Whether `a` leads to or through what `b` leads to. `a` sorts before `b`. */
static bool collide(const struct catalog_path *a, const struct catalog_path *b)
{
    for (size_t i = 0; i < a->count; i++) {
        if (i == b->count || !text_equal(a->steps[i], b->steps[i]))
            return false;
    }
    return true;
}

static void read_properties(struct gateway_reader *reader, struct gateway_event *event)
{
    size_t count = take_number(&reader->cursor, GATEWAY_PROPERTIES_MAX);

    for (size_t i = 0; i < count; i++)
        read_property(reader, event, i);
    event->properties = reader->properties;
    event->property_count = count;
    if (event->fault != GATEWAY_SOUND)
        return;
    qsort(reader->properties, count, sizeof(reader->properties[0]), compare_properties);
    for (size_t i = 1; i < count; i++) {
        if (collide(reader->properties[i - 1].path, reader->properties[i].path))
            note(event, GATEWAY_PATHS_COLLIDE);
    }
}

bool gateway_batch_next(struct gateway_reader *reader, struct gateway_event *event)
{
    struct cursor *cursor = &reader->cursor;
    uint8_t flags;

    if (reader->events_left == 0)
        return false;
    reader->events_left--;
    *event = (struct gateway_event){.fault = GATEWAY_SOUND};
    flags = take_byte(cursor);
    event->id = take_text(cursor);
    if (!is_sound(event->id)) {
        event->id = (struct text){NULL, 0};
        note(event, GATEWAY_BAD_STRING);
    }
    event->type = read_string(reader, event);
    event->source = read_string(reader, event);
    if (flags & FLAG_SUBSCRIPTION)
        event->subscription = read_string(reader, event);
    if (flags & FLAG_SUBJECT)
        event->subject = read_string(reader, event);
    event->has_time = flags & FLAG_TIME;
    if (event->has_time)
        event->time.ns = wire_load_i64(take(cursor, sizeof(int64_t)));
    event->has_sequence = flags & FLAG_SEQUENCE;
    if (event->has_sequence)
        event->sequence = take_number(cursor, UINT64_MAX);
    read_properties(reader, event);
    assert(!cursor->failed);
    return true;
}
