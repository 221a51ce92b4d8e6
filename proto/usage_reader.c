/*
 * usage_reader.c - checks a message once and for all, and then hands out its events.
 *
 * The checks, in order: the header and what it says about the length; the checksum, which any
 * damage fails; the series, whose texts are noted; entries and events against the series. From the
 * checksum on only a faulty writer can be refused, but a faulty writer must not be counted either.
 */
#include "proto/usage.h"

#include "common/base/xxh3.h"
#include "proto/usage_view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct usage_reader {
    struct usage_series_view *series;
    size_t room;
    uint16_t first_entries[USAGE_EVENTS_MAX];
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
    if (at[USAGE_HEADER_LAYOUT] & ~USAGE_LAYOUT_KNOWN)
        return "a usage batch of an unknown layout";
    return NULL;
}

/* The parts that the header's counts promise lie inside the message. */
static const char *find_parts(struct text message, struct usage_batch *batch)
{
    const uint8_t *at = (const uint8_t *)message.at;
    unsigned layout = at[USAGE_HEADER_LAYOUT];

    batch->series_count = wire_load_u16(at + USAGE_HEADER_SERIES_COUNT);
    batch->event_count = wire_load_u16(at + USAGE_HEADER_EVENT_COUNT);
    batch->entry_count = wire_load_u16(at + USAGE_HEADER_ENTRY_COUNT);
    batch->arrival_ms = wire_load_i64(at + USAGE_HEADER_ARRIVAL);
    batch->is_wide = layout & USAGE_LAYOUT_WIDE;
    batch->entry_size = batch->is_wide ? USAGE_ENTRY_WIDE : USAGE_ENTRY_NARROW;
    if (batch->event_count == 0)
        return "a usage batch without events";
    if (batch->event_count > USAGE_EVENTS_MAX || batch->entry_count > USAGE_ENTRIES_MAX ||
        batch->series_count > USAGE_SERIES_MAX)
        return "a usage batch with too many events, entries or series";
    batch->events = at + USAGE_HEADER_SIZE;
    batch->entries = batch->events + batch->event_count * USAGE_EVENT_SIZE;
    if (layout & USAGE_LAYOUT_SEQUENCES) {
        batch->sequences = batch->entries;
        batch->entries += batch->event_count * USAGE_SEQUENCE_SIZE;
    }
    if ((size_t)(usage_view_entry(batch, batch->entry_count) - at) +
            batch->series_count * USAGE_SERIES_LEAST >
        message.length)
        return "a usage batch shorter than its counts say";
    return NULL;
}

/* Passes a text that ends before `end`; returns where it ends, or NULL. `at` may be NULL. */
static inline const uint8_t *pass_text(const uint8_t *at, const uint8_t *end, size_t least,
                                       size_t longest)
{
    size_t length;

    if (!at || end - at < 2)
        return NULL;
    length = wire_load_u16(at);
    at += 2;
    if (length == USAGE_TEXT_ABSENT)
        return least == 0 ? at : NULL;
    return length >= least && length <= longest && length <= (size_t)(end - at) ? at + length
                                                                                : NULL;
}

/* Takes a text that pass_text has passed. */
static struct text take_text(const uint8_t **at)
{
    size_t length = wire_load_u16(*at);
    struct text text = {(const char *)*at + 2, length};

    if (length == USAGE_TEXT_ABSENT)
        text = (struct text){NULL, 0};
    *at += 2 + text.length;
    return text;
}

static const uint8_t *pass_dimensions(const uint8_t *at, const uint8_t *end, size_t count)
{
    struct text last = {0};

    for (size_t i = 0; at && i < count; i++) {
        const uint8_t *begin = at;
        struct text name;

        at = pass_text(at, end, 1, USAGE_NAME_MAX);
        if (!at)
            return NULL;
        name = take_text(&begin);
        if (i > 0 && text_compare(last, name) >= 0)
            return NULL;
        last = name;
        at = pass_text(at, end, 0, USAGE_TEXT_MAX);
    }
    return at;
}

/* Passes one series, which must fill the bytes that it says it has; returns its end, or NULL. */
static const uint8_t *pass_series(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *begin = at;
    size_t size;

    if (end - at < USAGE_SERIES_LEAST)
        return NULL;
    size = wire_load_u16(at);
    if (size < USAGE_SERIES_LEAST || size > (size_t)(end - at))
        return NULL;
    if (at[2] >= AGGREGATION_KINDS || at[3] > USAGE_DIMENSIONS_MAX)
        return NULL;
    end = begin + size;
    at = pass_text(at + 4, end, 1, USAGE_SUBSCRIPTION_MAX);
    at = pass_text(at, end, 1, USAGE_METER_MAX);
    at = pass_text(at, end, 0, USAGE_TEXT_MAX);
    return pass_dimensions(at, end, begin[3]) == end ? end : NULL;
}

static const char *read_all_series(struct usage_reader *reader, struct text message,
                                   const struct usage_batch *batch)
{
    const uint8_t *at = usage_view_entry(batch, batch->entry_count);
    const uint8_t *end = (const uint8_t *)message.at + message.length;

    make_room(reader, batch->series_count);
    for (size_t i = 0; i < batch->series_count; i++) {
        const uint8_t *begin = at;

        at = pass_series(at, end);
        if (!at)
            return "a usage batch with a malformed series";
        reader->series[i] = (struct usage_series_view){
            .encoded = begin + 2, .length = (uint16_t)(at - begin - 2), .aggregation = begin[2]};
    }
    return at == end ? NULL : "a usage batch with bytes behind its series";
}

static bool entry_is_valid(const struct usage_batch *batch, size_t index)
{
    size_t series = usage_view_series(batch, index);

    if (series >= batch->series_count)
        return false;
    if (usage_view_aggregation(batch, series) == AGGREGATION_UNIQUE_COUNT)
        return batch->is_wide;
    return !batch->is_wide || usage_amount_is_valid(usage_view_amount(batch, index));
}

static bool same_subscription(const struct usage_batch *batch, size_t series, size_t other)
{
    return series == other || text_equal(usage_view_subscription(batch, series),
                                         usage_view_subscription(batch, other));
}

/* Its entries are all its subscription's. */
static bool event_is_valid(const struct usage_batch *batch, const uint8_t *at, size_t first_entry)
{
    size_t count = at[USAGE_EVENT_ENTRY_COUNT], series = wire_load_u16(at + USAGE_EVENT_SERIES);

    if (count == 0 || count > USAGE_METERS_MAX || first_entry + count > batch->entry_count ||
        (at[USAGE_EVENT_FLAGS] & ~USAGE_FLAGS_KNOWN) != 0)
        return false;
    if (series != usage_view_series(batch, first_entry))
        return false;
    for (size_t i = first_entry + 1; i < first_entry + count; i++)
        if (!same_subscription(batch, usage_view_series(batch, i), series))
            return false;
    return true;
}

static bool sequence_is_valid(const struct usage_batch *batch, size_t index)
{
    return batch->events[index * USAGE_EVENT_SIZE + USAGE_EVENT_FLAGS] & USAGE_NUMBERED
               ? batch->sequences != NULL
               : !batch->sequences ||
                     wire_load_u64(batch->sequences + index * USAGE_SEQUENCE_SIZE) == 0;
}

/* Notes where each event's entries begin, too. */
static const char *check_events(const struct usage_batch *batch, uint16_t *first_entries)
{
    const uint8_t *at = batch->events;
    size_t entry = 0;

    for (size_t i = 0; i < batch->entry_count; i++) {
        if (!entry_is_valid(batch, i))
            return "a usage batch with a malformed entry";
    }
    for (size_t i = 0; i < batch->event_count; i++, at += USAGE_EVENT_SIZE) {
        if (!event_is_valid(batch, at, entry) || !sequence_is_valid(batch, i))
            return "a usage batch with a malformed event";
        first_entries[i] = (uint16_t)entry;
        entry += at[USAGE_EVENT_ENTRY_COUNT];
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
    found.first_entries = reader->first_entries;
    if (!why)
        why = check_events(&found, reader->first_entries);
    if (why) {
        *reason = why;
        return USAGE_FOREIGN;
    }
    *batch = found;
    return 0;
}

bool usage_carried_checksum(struct text message, uint64_t *checksum)
{
    const uint8_t *at = (const uint8_t *)message.at;

    if (message.length < USAGE_HEADER_SIZE || memcmp(at, USAGE_MAGIC, 4) != 0)
        return false;
    *checksum = wire_load_u64(at + USAGE_HEADER_CHECKSUM);
    return true;
}

struct usage_event usage_event_at(const struct usage_batch *batch, size_t index)
{
    struct usage_event event = {0};

    assert(index < batch->event_count);
    usage_view_event(batch, index, &event);
    return event;
}

struct usage_entry usage_entry_at(const struct usage_batch *batch, size_t index)
{
    struct usage_entry entry = {0};

    assert(index < batch->entry_count);
    entry.series = usage_view_series(batch, index);
    if (usage_view_aggregation(batch, entry.series) == AGGREGATION_UNIQUE_COUNT)
        memcpy(entry.value.unique, usage_view_unique(batch, index), sizeof(entry.value.unique));
    else
        entry.value.amount = usage_view_amount(batch, index);
    return entry;
}

struct usage_series usage_series_at(const struct usage_batch *batch, size_t number)
{
    struct usage_series series = {0};
    const uint8_t *at;

    assert(number < batch->series_count);
    at = batch->series[number].encoded;
    series.aggregation = (enum aggregation)at[0];
    series.dimension_count = at[1];
    at += 2;
    series.subscription = take_text(&at);
    series.meter = take_text(&at);
    series.subject = take_text(&at);
    for (size_t i = 0; i < series.dimension_count; i++) {
        series.dimensions[i].name = take_text(&at);
        series.dimensions[i].value = take_text(&at);
    }
    return series;
}

struct text usage_subscription_of(const struct usage_batch *batch, size_t series)
{
    assert(series < batch->series_count);
    return usage_view_subscription(batch, series);
}

size_t usage_next_numbered(const struct usage_batch *batch, size_t index)
{
    const uint8_t *flags = batch->events + USAGE_EVENT_FLAGS;

    while (index < batch->event_count && !(flags[index * USAGE_EVENT_SIZE] & USAGE_NUMBERED))
        index++;
    return index;
}
