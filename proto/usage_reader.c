/*
 * usage_reader.c - checks a message once and for all, and then hands out its events.
 *
 * The checks, in order: the header and what it says about the length; the checksum, which any
 * damage fails; the series, whose texts are noted; entries and events against the series. From the
 * checksum on only a faulty writer can be refused, but a faulty writer must not be counted either.
 */
#include "proto/usage.h"
#include "proto/usage_layout.h"
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct usage_reader {
    struct usage_series *series;
    size_t room;
};

/* What is left of the series to read; `failed` once something didn't fit. */
struct cursor {
    const uint8_t *at, *end;
    bool failed;
};

static const char *const names[AGGREGATION_KINDS] = {
    [AGGREGATION_SUM] = "SUM",
    [AGGREGATION_COUNT] = "COUNT",
    [AGGREGATION_MIN] = "MIN",
    [AGGREGATION_MAX] = "MAX",
    [AGGREGATION_AVG] = "AVG",
    [AGGREGATION_LATEST] = "LATEST",
    [AGGREGATION_UNIQUE_COUNT] = "UNIQUE_COUNT",
};

const char *aggregation_name(enum aggregation aggregation)
{
    assert(aggregation <= AGGREGATION_UNIQUE_COUNT);

    return names[aggregation];
}

bool aggregation_from(struct text name, enum aggregation *aggregation)
{
    for (unsigned i = 0; i < AGGREGATION_KINDS; i++) {
        if (text_is(name, names[i])) {
            *aggregation = (enum aggregation)i;
            return true;
        }
    }
    return false;
}

uint64_t usage_checksum(const uint8_t *batch, size_t length)
{
    uint64_t seed = XXH3_64bits(batch, USAGE_HEADER_CHECKSUM);

    return XXH3_64bits_withSeed(batch + USAGE_HEADER_SIZE, length - USAGE_HEADER_SIZE, seed);
}

bool usage_amount_is_valid(struct decimal amount)
{
    int128 end = (int128)1000000000000000 * 1000000000000; /* 10^15, in 10^-12 */

    return amount.units >= 0 && amount.units < end;
}

struct usage_reader *usage_reader_new(void)
{
    struct usage_reader *reader = calloc(1, sizeof(*reader));

    if (!reader)
        abort();
    return reader;
}

struct usage_reader *usage_reader_free(struct usage_reader *reader)
{
    if (reader)
        free(reader->series);
    free(reader);
    return NULL;
}

static void make_room(struct usage_reader *reader, size_t count)
{
    if (reader->room >= count)
        return;
    free(reader->series);
    reader->series = calloc(count, sizeof(*reader->series));
    if (!reader->series)
        abort();
    reader->room = count;
}

static const char *check_header(struct text message)
{
    const uint8_t *at = (const uint8_t *)message.at;

    if (message.length < USAGE_HEADER_SIZE || memcmp(at, USAGE_MAGIC, 4) != 0)
        return "not a usage batch";
    if (at[USAGE_HEADER_VERSION] != USAGE_VERSION)
        return "a usage batch of another version";
    if (wire_load_u32(at + USAGE_HEADER_BYTES) != message.length)
        return "a usage batch of another length than it says";
    if (message.length > USAGE_BYTES_MAX)
        return "a usage batch that is too long";
    if (usage_checksum(at, message.length) != wire_load_u64(at + USAGE_HEADER_CHECKSUM))
        return "a usage batch with a wrong checksum";
    if (at[5] != 0 || wire_load_u64(at + 16) != 0)
        return "a usage batch with reserved bytes in use";
    return NULL;
}

/* The parts that the header's counts promise lie inside the message. */
static const char *find_parts(struct text message, struct usage_batch *batch)
{
    const uint8_t *at = (const uint8_t *)message.at;

    batch->series_count = wire_load_u16(at + USAGE_HEADER_SERIES_COUNT);
    batch->event_count = wire_load_u16(at + USAGE_HEADER_EVENT_COUNT);
    batch->entry_count = wire_load_u16(at + USAGE_HEADER_ENTRY_COUNT);
    if (batch->event_count == 0)
        return "a usage batch without events";
    if (batch->event_count > USAGE_EVENTS_MAX || batch->entry_count > USAGE_ENTRIES_MAX ||
        batch->series_count > USAGE_SERIES_MAX)
        return "a usage batch with too many events, entries or series";
    batch->events = at + USAGE_HEADER_SIZE;
    batch->entries = batch->events + batch->event_count * USAGE_EVENT_SIZE;
    if (USAGE_HEADER_SIZE + batch->event_count * USAGE_EVENT_SIZE +
            batch->entry_count * USAGE_ENTRY_SIZE + batch->series_count * USAGE_SERIES_LEAST >
        message.length)
        return "a usage batch shorter than its counts say";
    return NULL;
}

static struct text take_text(struct cursor *cursor, size_t longest)
{
    struct text text = {NULL, 0};
    size_t length;

    if (cursor->failed || cursor->end - cursor->at < 2) {
        cursor->failed = true;
        return text;
    }
    length = wire_load_u16(cursor->at);
    cursor->at += 2;
    if (length == USAGE_TEXT_ABSENT)
        return text;
    if (length > longest || (size_t)(cursor->end - cursor->at) < length) {
        cursor->failed = true;
        return text;
    }
    text = text_from(cursor->at, length);
    cursor->at += length;
    return text;
}

static bool read_dimensions(struct cursor *cursor, struct usage_series *series)
{
    for (size_t i = 0; i < series->dimension_count; i++) {
        struct usage_dimension *dimension = &series->dimensions[i];

        dimension->name = take_text(cursor, USAGE_NAME_MAX);
        dimension->value = take_text(cursor, USAGE_TEXT_MAX);
        if (dimension->name.length == 0)
            return false;
        if (i > 0 && text_compare(series->dimensions[i - 1].name, dimension->name) >= 0)
            return false;
    }
    return true;
}

/* Reads one series, which must fill the bytes that it says it has. */
static bool read_series(struct cursor *all, struct usage_series *series)
{
    struct cursor cursor = *all;
    size_t size;

    if (all->end - all->at < USAGE_SERIES_LEAST)
        return false;
    size = wire_load_u16(all->at);
    if (size < USAGE_SERIES_LEAST || size > (size_t)(all->end - all->at))
        return false;
    if (all->at[2] >= AGGREGATION_KINDS || all->at[3] > USAGE_DIMENSIONS_MAX)
        return false;
    series->aggregation = (enum aggregation)all->at[2];
    series->dimension_count = all->at[3];
    cursor.at = all->at + 4;
    cursor.end = all->at + size;
    series->subscription = take_text(&cursor, USAGE_SUBSCRIPTION_MAX);
    series->meter = take_text(&cursor, USAGE_METER_MAX);
    series->subject = take_text(&cursor, USAGE_TEXT_MAX);
    if (series->subscription.length == 0 || series->meter.length == 0)
        return false;
    all->at += size;
    return read_dimensions(&cursor, series) && !cursor.failed && cursor.at == cursor.end;
}

static const char *read_all_series(struct usage_reader *reader, struct text message,
                                   const struct usage_batch *batch)
{
    struct cursor cursor = {
        .at = batch->entries + batch->entry_count * USAGE_ENTRY_SIZE,
        .end = (const uint8_t *)message.at + message.length,
    };

    make_room(reader, batch->series_count);
    for (size_t i = 0; i < batch->series_count; i++) {
        if (!read_series(&cursor, &reader->series[i]))
            return "a usage batch with a malformed series";
    }
    return cursor.at == cursor.end ? NULL : "a usage batch with bytes behind its series";
}

static bool entry_is_valid(const struct usage_batch *batch, size_t index)
{
    const uint8_t *at = batch->entries + index * USAGE_ENTRY_SIZE;
    size_t series = wire_load_u16(at + USAGE_ENTRY_SERIES);

    if (series >= batch->series_count)
        return false;
    return batch->series[series].aggregation == AGGREGATION_UNIQUE_COUNT ||
           usage_amount_is_valid((struct decimal){wire_load_i128(at)});
}

/* The event's entries follow those of the event before it, and are all its subscription's. */
static bool event_is_valid(const struct usage_batch *batch, size_t index, size_t first_entry)
{
    struct usage_event event = usage_event_at(batch, index);
    const uint8_t *at = batch->events + index * USAGE_EVENT_SIZE;

    if (event.first_entry != first_entry || event.entry_count == 0 ||
        event.entry_count > USAGE_METERS_MAX ||
        first_entry + event.entry_count > batch->entry_count ||
        (event.flags & ~USAGE_FLAGS_KNOWN) != 0 || wire_load_u16(at + USAGE_EVENT_RESERVED) != 0)
        return false;
    if (event.series != usage_entry_at(batch, first_entry).series)
        return false;
    for (size_t i = first_entry + 1; i < first_entry + event.entry_count; i++) {
        size_t series = usage_entry_at(batch, i).series;

        if (!text_equal(batch->series[series].subscription,
                        batch->series[event.series].subscription))
            return false;
    }
    return true;
}

static const char *check_events(const struct usage_batch *batch)
{
    size_t entry = 0;

    for (size_t i = 0; i < batch->entry_count; i++) {
        if (!entry_is_valid(batch, i))
            return "a usage batch with a malformed entry";
    }
    for (size_t i = 0; i < batch->event_count; i++) {
        if (!event_is_valid(batch, i, entry))
            return "a usage batch with a malformed event";
        entry += usage_event_at(batch, i).entry_count;
    }
    return entry == batch->entry_count ? NULL : "a usage batch with entries of no event";
}

int usage_decode(struct usage_reader *reader, struct text message, struct usage_batch *batch,
                 const char **reason)
{
    struct usage_batch found = {0};
    const char *why = check_header(message);

    if (!why)
        why = find_parts(message, &found);
    if (!why)
        why = read_all_series(reader, message, &found);
    found.series = reader->series;
    if (!why)
        why = check_events(&found);
    if (why) {
        *reason = why;
        return USAGE_FOREIGN;
    }
    *batch = found;
    return 0;
}

struct usage_event usage_event_at(const struct usage_batch *batch, size_t index)
{
    assert(index < batch->event_count);

    const uint8_t *at = batch->events + index * USAGE_EVENT_SIZE;
    struct usage_event event = {
        .fingerprint.payload = wire_load_u32(at + USAGE_EVENT_PAYLOAD),
        .time.ns = wire_load_i64(at + USAGE_EVENT_TIME),
        .arrival_ms = wire_load_i64(at + USAGE_EVENT_ARRIVAL),
        .sequence = wire_load_u64(at + USAGE_EVENT_SEQUENCE),
        .first_entry = wire_load_u16(at + USAGE_EVENT_FIRST_ENTRY),
        .entry_count = at[USAGE_EVENT_ENTRY_COUNT],
        .flags = at[USAGE_EVENT_FLAGS],
        .series = wire_load_u16(at + USAGE_EVENT_SERIES),
    };

    memcpy(event.fingerprint.identity, at, sizeof(event.fingerprint.identity));
    return event;
}

struct usage_entry usage_entry_at(const struct usage_batch *batch, size_t index)
{
    assert(index < batch->entry_count);

    const uint8_t *at = batch->entries + index * USAGE_ENTRY_SIZE;
    struct usage_entry entry = {.series = wire_load_u16(at + USAGE_ENTRY_SERIES)};

    if (batch->series[entry.series].aggregation == AGGREGATION_UNIQUE_COUNT)
        memcpy(entry.value.unique, at, sizeof(entry.value.unique));
    else
        entry.value.amount.units = wire_load_i128(at);
    return entry;
}

size_t usage_next_numbered(const struct usage_batch *batch, size_t index)
{
    const uint8_t *flags = batch->events + USAGE_EVENT_FLAGS;

    while (index < batch->event_count && !(flags[index * USAGE_EVENT_SIZE] & USAGE_NUMBERED))
        index++;
    return index;
}
