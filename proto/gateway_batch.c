/*
 * gateway_batch.c - reads a gateway's batch.
 *
 * It is walked twice: on opening, to know that every number and length in it is right, so that one
 * broken batch is refused as a whole; and event by event afterwards, when nothing can be missing
 * any more and nothing is checked again. What is wrong with a text or a path costs its events
 * alone. Most events of a batch name the same paths in the same order as the one before: those
 * are sorted as that one's were.
 */
#include "common/base/digits.h"
#include "proto/gateway_batch.h"
#include "proto/wire.h"

#include <assert.h>
#include <libdeflate.h>
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
    /* A decimal's text may be so many times as long as its property, which has four bytes or more:
     * "-0.000000000063" has four, and each further one adds at most three digits. */
    NUMBER_GROWTH_MAX = 4,
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
    uint16_t rank; /* among the sound ones in their order; those alike are neighbours */
};

/* The paths of the last event whose were in order, as it named them. */
struct gateway_shape {
    bool is_known;
    uint32_t number; /* how many were kept */
    size_t count;
    const struct gateway_string *strings[GATEWAY_PROPERTIES_MAX];
    uint8_t places[GATEWAY_PROPERTIES_MAX]; /* of each, among the sorted */
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
    struct gateway_path *ranked[GATEWAY_PATHS_MAX]; /* the sound ones, by rank */
    size_t ranked_count;
    char *scratch; /* where paths are unquoted: as long as the message */
    size_t scratch_used, scratch_room;
    struct gateway_property properties[GATEWAY_PROPERTIES_MAX];
    char *numbers; /* where the batch's decimals are spelled, one behind the other */
    size_t numbers_used, numbers_room;
    struct gateway_shape shape;
    const uint8_t *at; /* the next event */
    size_t events_left;
    struct text owners[GATEWAY_EVENTS_MAX];
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
    free(reader->numbers);
    free(reader);
    return NULL;
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

/* A number of ten bytes or more; fails at more than 128 bits. */
static uint128 take_huge(struct cursor *cursor)
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
    fail(cursor);
    return 0;
}

/* Fails at more than 128 bits. Nearly all have a byte or two. */
static inline uint128 take_wide(struct cursor *cursor)
{
    const uint8_t *at = cursor->at;
    uint64_t value = 0;

    for (unsigned shift = 0; at < cursor->end && shift < 63; shift += 7) {
        uint8_t byte = *at++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            cursor->at = at;
            return value;
        }
    }
    return take_huge(cursor);
}

/* Fails above `most`. */
static inline uint64_t take_number(struct cursor *cursor, uint64_t most)
{
    uint128 value;

    if (cursor->at < cursor->end && *cursor->at < 0x80 && *cursor->at <= most)
        return *cursor->at++;
    value = take_wide(cursor);
    if (value > most) {
        fail(cursor);
        return 0;
    }
    return (uint64_t)value;
}

static inline struct text take_text(struct cursor *cursor)
{
    size_t length = take_number(cursor, (uint64_t)(cursor->end - cursor->at));
    const uint8_t *at = take(cursor, length);

    return at ? text_from(at, length) : (struct text){NULL, 0};
}

/* Whether each of eight bytes is ASCII and none of them NUL. */
static inline bool is_ascii(const char *at)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t bytes;

    memcpy(&bytes, at, sizeof(bytes));
    return !((bytes | (bytes - ones)) & tops);
}

/* Of at least eight bytes; the last eight may overlap those before. */
static bool is_long_ascii(struct text text)
{
    for (size_t i = 0; i + 8 < text.length; i += 8)
        if (!is_ascii(text.at + i))
            return false;
    return is_ascii(text.at + text.length - 8);
}

/* Nearly all are ASCII. */
static bool is_sound(struct text text)
{
    if (text.length >= 8 && is_long_ascii(text))
        return true;
    return text_is_utf8(text) && !(text.length && memchr(text.at, '\0', text.length));
}

/* --- opening --- */

/* NULL after a failure. */
static inline struct gateway_string *take_string(struct gateway_reader *reader,
                                                 struct cursor *cursor)
{
    uint64_t number = take_number(cursor, GATEWAY_STRINGS_MAX);

    if (number >= reader->string_count)
        fail(cursor);
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
            fail(cursor);
        take_wide(cursor);
        break;
    default:
        fail(cursor);
    }
}

static void check_event(struct gateway_reader *reader, struct cursor *cursor, struct text *owner)
{
    const struct gateway_string *subscription = NULL, *subject = NULL;
    uint8_t flags = take_byte(cursor);
    size_t count;

    if (flags & ~FLAGS_KNOWN)
        fail(cursor);
    take_text(cursor);
    take_string(reader, cursor);
    take_string(reader, cursor);
    if (flags & FLAG_SUBSCRIPTION)
        subscription = take_string(reader, cursor);
    if (flags & FLAG_SUBJECT)
        subject = take_string(reader, cursor);
    *owner = subscription ? subscription->text : subject ? subject->text : text_of(NULL);
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
    size_t length = message.length - CHECKSUM_SIZE;

    if (message.length < MAGIC_SIZE + CHECKSUM_SIZE || memcmp(at, "TWG", 3) != 0)
        return "not a gateway batch";
    if (at[3] != '1')
        return "a gateway batch of another version";
    if (libdeflate_crc32(0, at, length) != wire_load_u32(at + length))
        return "a gateway batch with a wrong checksum";
    return NULL;
}

/* What was in it is lost. */
static void make_room(char **bytes, size_t *room, size_t wanted)
{
    if (wanted <= *room)
        return;
    free(*bytes);
    *bytes = malloc(wanted);
    if (!*bytes)
        abort();
    *room = wanted;
}

static void make_scratch(struct gateway_reader *reader, size_t length)
{
    reader->path_count = 0;
    reader->ranked_count = 0;
    reader->scratch_used = 0;
    reader->numbers_used = 0;
    make_room(&reader->scratch, &reader->scratch_room, length);
    make_room(&reader->numbers, &reader->numbers_room, length * NUMBER_GROWTH_MAX);
}

int gateway_batch_open(struct gateway_reader *reader, struct text message, size_t *event_count,
                       const char **reason)
{
    const char *why = check_frame(message);
    struct cursor cursor = {0};
    const uint8_t *events;
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
    events = cursor.at;
    for (size_t i = 0; i < count && !cursor.failed; i++)
        check_event(reader, &cursor, &reader->owners[i]);
    if (cursor.failed || cursor.at != cursor.end) {
        *reason = "a gateway batch with a length, number or kind that can't be";
        return GATEWAY_FOREIGN;
    }
    make_scratch(reader, message.length);
    reader->shape.is_known = false;
    reader->shape.number = 0;
    reader->at = events;
    reader->events_left = count;
    *event_count = count;
    return 0;
}

/* --- bytes that opening has checked --- */

static inline const uint8_t *read_bytes(struct gateway_reader *reader, size_t length)
{
    const uint8_t *at = reader->at;

    reader->at += length;
    return at;
}

static inline uint128 read_wide(struct gateway_reader *reader)
{
    const uint8_t *at = reader->at;
    uint128 value = *at & 0x7f;

    for (unsigned shift = 7; *at++ & 0x80; shift += 7)
        value |= (uint128)(*at & 0x7f) << shift;
    reader->at = at;
    return value;
}

static inline uint64_t read_number(struct gateway_reader *reader)
{
    return *reader->at < 0x80 ? *reader->at++ : (uint64_t)read_wide(reader);
}

static inline struct gateway_string *read_string(struct gateway_reader *reader)
{
    size_t number = read_number(reader);

    assert(number < reader->string_count);
    return &reader->strings[number];
}

/* --- the next event --- */

static void note(struct gateway_event *event, enum gateway_fault fault)
{
    if (event->fault == GATEWAY_SOUND)
        event->fault = fault;
}

/* A string's text, absent when it isn't sound. */
static inline struct text read_text(struct gateway_reader *reader, struct gateway_event *event)
{
    const struct gateway_string *string = read_string(reader);

    if (string->is_sound)
        return string->text;
    note(event, GATEWAY_BAD_STRING);
    return (struct text){NULL, 0};
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

/* Gives a new path its place among the others, once a batch: events then sort numbers. */
static void rank(struct gateway_reader *reader, struct gateway_path *path)
{
    struct gateway_path **ranked = reader->ranked;
    size_t at = reader->ranked_count++;

    for (; at > 0 && compare_paths(&ranked[at - 1]->path, &path->path) > 0; at--) {
        ranked[at] = ranked[at - 1];
        ranked[at]->rank = (uint16_t)at;
    }
    ranked[at] = path;
    path->rank = (uint16_t)at;
}

/* Reads a string as a path. NULL when it is one too many. */
static const struct gateway_path *make_path(struct gateway_reader *reader,
                                            struct gateway_string *string)
{
    struct gateway_path *path;

    if (reader->path_count == GATEWAY_PATHS_MAX)
        return NULL;
    path = &reader->paths[reader->path_count++];
    path->is_sound =
        string->is_sound &&
        catalog_path_parse(string->text, reader->scratch + reader->scratch_used, &path->path);
    if (path->is_sound)
        rank(reader, path);
    reader->scratch_used += string->text.length;
    string->path = (uint16_t)reader->path_count;
    return path;
}

/* NULL when the string isn't a path, or one too many. */
static const struct gateway_path *path_of(struct gateway_reader *reader,
                                          struct gateway_string *string)
{
    const struct gateway_path *path =
        string->path ? &reader->paths[string->path - 1] : make_path(reader, string);

    return path && path->is_sound ? path : NULL;
}

/* Spells the mantissa × 10^-scale; returns its end. Nearly all have 64 bits. */
static inline char *spell_short(uint64_t mantissa, unsigned scale, char *at)
{
    uint64_t power = digits_powers[scale], whole = scale > 0 ? mantissa / power : mantissa;

    at = digits_write_all(at, whole);
    if (scale == 0)
        return at;
    *at++ = '.';
    return digits_write(at, mantissa - whole * power, (int)scale);
}

static char *spell_long(uint128 mantissa, unsigned scale, char *at)
{
    uint64_t power = digits_powers[scale];

    at = digits_write_wide(at, mantissa / power);
    if (scale == 0)
        return at;
    *at++ = '.';
    return digits_write(at, (uint64_t)(mantissa % power), (int)scale);
}

/* As JSON has it: "-0.05". */
static inline char *spell(uint128 zigzag, unsigned scale, char *at)
{
    bool is_negative = zigzag & 1;
    uint128 mantissa = (zigzag >> 1) + (is_negative ? 1 : 0);

    if (is_negative)
        *at++ = '-';
    return mantissa <= UINT64_MAX ? spell_short((uint64_t)mantissa, scale, at)
                                  : spell_long(mantissa, scale, at);
}

static struct text read_decimal(struct gateway_reader *reader)
{
    unsigned scale = *read_bytes(reader, 1);
    char *begin = reader->numbers + reader->numbers_used;
    size_t length = (size_t)(spell(read_wide(reader), scale, begin) - begin);

    reader->numbers_used += length;
    assert(reader->numbers_used <= reader->numbers_room);
    return text_from(begin, length);
}

static void read_value(struct gateway_reader *reader, struct gateway_event *event,
                       struct gateway_property *property)
{
    property->kind = (enum gateway_kind) * read_bytes(reader, 1);
    property->text = (struct text){NULL, 0};
    if (property->kind == GATEWAY_STRING)
        property->text = read_text(reader, event);
    else if (property->kind == GATEWAY_DECIMAL)
        property->text = read_decimal(reader);
}

/* Returns its path; NULL, which is noted, when it has none. */
static const struct gateway_path *read_property(struct gateway_reader *reader,
                                                struct gateway_event *event, size_t index)
{
    struct gateway_string *string = read_string(reader);
    const struct gateway_path *path = path_of(reader, string);

    if (!path)
        note(event, string->is_sound ? GATEWAY_BAD_PATH : GATEWAY_BAD_STRING);
    reader->shape.strings[index] = string;
    reader->properties[index].path = path ? &path->path : NULL;
    read_value(reader, event, &reader->properties[index]);
    return path;
}

/* A property's path, and which of the event's it was. */
struct placed {
    const struct gateway_path *path;
    uint8_t index;
};

/* Moves the last of `count` properties to its place among those before it. */
static void insert(struct gateway_property *properties, struct placed *placed, size_t count)
{
    struct gateway_property last = properties[count - 1];
    struct placed moved = placed[count - 1];
    size_t at = count - 1;

    for (; at > 0 && placed[at - 1].path->rank > moved.path->rank; at--) {
        properties[at] = properties[at - 1];
        placed[at] = placed[at - 1];
    }
    properties[at] = last;
    placed[at] = moved;
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

/* The properties are in order: the next event may have the same. */
static void keep_shape(struct gateway_shape *shape, const struct placed *placed, size_t count)
{
    for (size_t i = 0; i < count; i++)
        shape->places[placed[i].index] = (uint8_t)i;
    shape->count = count;
    shape->number++;
    shape->is_known = true;
}

static void sort_properties(struct gateway_reader *reader, struct gateway_event *event,
                            struct placed *placed)
{
    struct gateway_property *properties = reader->properties;
    size_t count = event->property_count;

    for (size_t i = 1; i < count; i++)
        insert(properties, placed, i + 1);
    for (size_t i = 1; i < count; i++) {
        if (collide(properties[i - 1].path, properties[i].path))
            note(event, GATEWAY_PATHS_COLLIDE);
    }
    if (event->fault == GATEWAY_SOUND)
        keep_shape(&reader->shape, placed, count);
}

static void read_unlike(struct gateway_reader *reader, struct gateway_event *event)
{
    struct placed placed[GATEWAY_PROPERTIES_MAX];

    reader->shape.is_known = false;
    for (size_t i = 0; i < event->property_count; i++)
        placed[i] = (struct placed){read_property(reader, event, i), (uint8_t)i};
    if (event->fault == GATEWAY_SOUND)
        sort_properties(reader, event, placed);
}

/* Reads properties whose paths are those of the last event. False, with nothing read, when they
 * aren't. */
static bool read_alike(struct gateway_reader *reader, struct gateway_event *event)
{
    const struct gateway_shape *shape = &reader->shape;
    const uint8_t *begin = reader->at;
    size_t count = event->property_count, numbers_used = reader->numbers_used;

    if (!shape->is_known || count != shape->count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (read_string(reader) != shape->strings[i]) {
            reader->at = begin;
            reader->numbers_used = numbers_used;
            return false;
        }
        read_value(reader, event, &reader->properties[shape->places[i]]);
    }
    return true;
}

static void read_properties(struct gateway_reader *reader, struct gateway_event *event)
{
    event->properties = reader->properties;
    event->property_count = read_number(reader);
    if (!read_alike(reader, event))
        read_unlike(reader, event);
    if (event->fault == GATEWAY_SOUND)
        event->shape = reader->shape.number;
}

const struct text *gateway_batch_owners(const struct gateway_reader *reader)
{
    return reader->owners;
}

static struct text read_id(struct gateway_reader *reader, struct gateway_event *event)
{
    size_t length = read_number(reader);
    struct text id = text_from(read_bytes(reader, length), length);

    if (is_sound(id))
        return id;
    note(event, GATEWAY_BAD_STRING);
    return (struct text){NULL, 0};
}

bool gateway_batch_next(struct gateway_reader *reader, struct gateway_event *event)
{
    uint8_t flags;

    if (reader->events_left == 0)
        return false;
    reader->events_left--;
    *event = (struct gateway_event){.fault = GATEWAY_SOUND};
    flags = *read_bytes(reader, 1);
    event->id = read_id(reader, event);
    event->type = read_text(reader, event);
    event->source = read_text(reader, event);
    if (flags & FLAG_SUBSCRIPTION)
        event->subscription = read_text(reader, event);
    if (flags & FLAG_SUBJECT)
        event->subject = read_text(reader, event);
    event->has_time = flags & FLAG_TIME;
    if (event->has_time)
        event->time.ns = wire_load_i64(read_bytes(reader, sizeof(int64_t)));
    event->has_sequence = flags & FLAG_SEQUENCE;
    if (event->has_sequence)
        event->sequence = read_number(reader);
    read_properties(reader, event);
    return true;
}
