/*
 * usage_writer.c - packs events into a batch.
 *
 * Series are written in their final form behind the open batch's last one, then looked up by their
 * bytes: a known series is dropped again and its number used, a new one stays. Whether an event
 * fits is decided before, as if all its series were new, so nothing ever has to be taken back.
 */
#include "proto/usage.h"

#include "common/base/xxh3.h"
#include "proto/usage_layout.h"
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What is known of a series by its number. */
struct series_known {
    uint32_t hash;
    uint32_t start; /* in `series` */
};

struct usage_writer {
    struct buffer events, sequences, entries, series, message;
    struct buffer dimensions; /* of an event whose parts' aren't written yet */
    unsigned layout;          /* what the header says of it */
    int64_t arrival_ms;       /* the first event's */
    size_t event_count, entry_count, series_count;
    struct series_known *known;
    /* Open addressing; a series' number plus one, 0 is empty. Slots of two bytes stay in the caches
     * for the batches of all partitions, and most are only looked at to find them empty. */
    uint16_t *slots;
    size_t
        slot_count; /* a power of two, over twice series_count; `known` has room for half of it */
};

enum { SLOTS_LEAST = 64, LINE_BYTES = 64 };

/* Room for so many slots, all empty. */
static void make_slots(struct usage_writer *writer, size_t count)
{
    free(writer->slots);
    writer->slots = calloc(count, sizeof(*writer->slots));
    writer->known = reallocarray(writer->known, count / 2, sizeof(*writer->known));
    if (!writer->slots || !writer->known)
        abort();
    writer->slot_count = count;
}

struct usage_writer *usage_writer_new(void)
{
    struct usage_writer *writer = calloc(1, sizeof(*writer));

    if (!writer)
        abort();
    make_slots(writer, SLOTS_LEAST);
    return writer;
}

struct usage_writer *usage_writer_free(struct usage_writer *writer)
{
    if (!writer)
        return NULL;
    buffer_deinit(&writer->events);
    buffer_deinit(&writer->sequences);
    buffer_deinit(&writer->entries);
    buffer_deinit(&writer->series);
    buffer_deinit(&writer->message);
    buffer_deinit(&writer->dimensions);
    free(writer->slots);
    free(writer->known);
    free(writer);
    return NULL;
}

static void place(struct usage_writer *writer, size_t number)
{
    size_t at = writer->known[number].hash & (writer->slot_count - 1);

    while (writer->slots[at])
        at = (at + 1) & (writer->slot_count - 1);
    writer->slots[at] = (uint16_t)(number + 1);
}

static void grow_slots(struct usage_writer *writer)
{
    make_slots(writer, writer->slot_count * 2);
    for (size_t i = 0; i < writer->series_count; i++)
        place(writer, i);
}

static size_t size_of_text(struct text text)
{
    return 2 + text.length;
}

static size_t size_of_series(struct text subscription, const struct usage_part *part)
{
    return USAGE_SERIES_LEAST - 3 * 2 + size_of_text(subscription) + size_of_text(part->meter) +
           size_of_text(part->subject) + part->dimensions.length;
}

/* Fetches what will be written next, behind what ends there: the open batches of all partitions are
 * more than the caches hold. It may lie outside of the buffer. */
static void prefetch_behind(const uint8_t *end, size_t lines)
{
    for (size_t i = 1; i <= lines; i++)
        __builtin_prefetch(end + i * LINE_BYTES, 1);
}

/* Room for `size` bytes at the buffer's end, which count as there. What is put together elsewhere
 * and copied here would wait: bytes that were just stored can't be loaded in larger pieces at once.
 */
static uint8_t *append(struct buffer *buffer, size_t size)
{
    buffer_reserve(buffer, size);
    buffer->length += size;
    return (uint8_t *)buffer->at + buffer->length - size;
}

/* Appends the part's series in its final form. */
static void put_series(struct buffer *buffer, struct text subscription,
                       const struct usage_part *part)
{
    size_t size = size_of_series(subscription, part);
    uint8_t *at = append(buffer, size);

    assert(part->aggregation <= AGGREGATION_UNIQUE_COUNT);
    assert(part->dimension_count <= USAGE_DIMENSIONS_MAX);
    assert(part->meter.length > 0 && part->meter.length <= USAGE_METER_MAX);
    assert(part->subject.length <= USAGE_TEXT_MAX);
    wire_store_u16(at, (uint16_t)size);
    at[2] = (uint8_t)part->aggregation;
    at[3] = (uint8_t)part->dimension_count;
    at = wire_store_present(at + 4, subscription);
    at = wire_store_present(at, part->meter);
    at = wire_store_text(at, part->subject);
    at = wire_store_bytes(at, part->dimensions);
    prefetch_behind(at, 2);
    assert(at == (uint8_t *)buffer->at + buffer->length);
}

/* The number of the series whose bytes stand at the end of `series`, from `start` on. */
static uint16_t number_of_last(struct usage_writer *writer, size_t start)
{
    const char *bytes = writer->series.at + start;
    size_t size = writer->series.length - start;
    uint32_t hash = (uint32_t)XXH3_64bits(bytes, size);
    size_t at = hash & (writer->slot_count - 1);

    for (; writer->slots[at]; at = (at + 1) & (writer->slot_count - 1)) {
        const struct series_known *known = &writer->known[writer->slots[at] - 1];

        /* The first two bytes are the length, so equal bytes are equal series. */
        if (known->hash == hash && memcmp(writer->series.at + known->start, bytes, size) == 0) {
            writer->series.length = start;
            return (uint16_t)(writer->slots[at] - 1);
        }
    }
    writer->known[writer->series_count++] = (struct series_known){hash, (uint32_t)start};
    writer->slots[at] = (uint16_t)writer->series_count;
    if (writer->slot_count <= writer->series_count * 2)
        grow_slots(writer);
    return (uint16_t)(writer->series_count - 1);
}

/* --- a batch's layout --- */

static size_t entry_size(unsigned layout)
{
    return layout & USAGE_LAYOUT_WIDE ? USAGE_ENTRY_WIDE : USAGE_ENTRY_NARROW;
}

/* The one that a batch with this event needs. */
static unsigned layout_with(const struct usage_writer *writer, const struct usage_event *event,
                            const struct usage_part *parts, size_t count)
{
    unsigned needed = writer->layout;

    if (event->flags & USAGE_NUMBERED)
        needed |= USAGE_LAYOUT_SEQUENCES;
    for (size_t i = 0; i < count; i++)
        if (parts[i].aggregation == AGGREGATION_UNIQUE_COUNT ||
            parts[i].value.amount.units > (int128)UINT64_MAX)
            needed |= USAGE_LAYOUT_WIDE;
    return needed;
}

/* From the last to the first, as each moves up. */
static void widen_entries(struct usage_writer *writer)
{
    uint8_t *at;

    buffer_reserve(&writer->entries, writer->entry_count * (USAGE_ENTRY_WIDE - USAGE_ENTRY_NARROW));
    writer->entries.length = writer->entry_count * USAGE_ENTRY_WIDE;
    at = (uint8_t *)writer->entries.at;
    for (size_t i = writer->entry_count; i-- > 0;) {
        uint16_t series = wire_load_u16(at + i * USAGE_ENTRY_NARROW);
        uint64_t value = wire_load_u64(at + i * USAGE_ENTRY_NARROW + USAGE_ENTRY_VALUE);

        wire_store_u16(at + i * USAGE_ENTRY_WIDE, series);
        wire_store_i128(at + i * USAGE_ENTRY_WIDE + USAGE_ENTRY_VALUE, (int128)value);
    }
}

/* The events that are there have them now, too. */
static void give_layout(struct usage_writer *writer, unsigned layout)
{
    unsigned missing = layout & ~writer->layout;
    size_t sequences = writer->event_count * USAGE_SEQUENCE_SIZE;

    if (missing & USAGE_LAYOUT_SEQUENCES && sequences > 0)
        memset(append(&writer->sequences, sequences), 0, sequences);
    if (missing & USAGE_LAYOUT_WIDE && writer->entry_count > 0)
        widen_entries(writer);
    writer->layout = layout;
}

static size_t bytes_of(const struct usage_writer *writer, unsigned layout, size_t events,
                       size_t entries)
{
    size_t event_size =
        USAGE_EVENT_SIZE + (layout & USAGE_LAYOUT_SEQUENCES ? USAGE_SEQUENCE_SIZE : 0);

    return USAGE_HEADER_SIZE + events * event_size + entries * entry_size(layout) +
           writer->series.length;
}

static bool arrived_near(const struct usage_writer *writer, int64_t arrival_ms)
{
    int64_t later_ms;

    return writer->event_count == 0 ||
           (!__builtin_sub_overflow(arrival_ms, writer->arrival_ms, &later_ms) &&
            later_ms >= INT32_MIN && later_ms <= INT32_MAX);
}

/* --- adding --- */

static bool fits(const struct usage_writer *writer, unsigned needed, struct text subscription,
                 const struct usage_part *parts, size_t count)
{
    size_t bytes = bytes_of(writer, needed, writer->event_count + 1, writer->entry_count + count);

    for (size_t i = 0; i < count; i++)
        bytes += size_of_series(subscription, &parts[i]);
    return bytes <= USAGE_BYTES_MAX && writer->event_count < USAGE_EVENTS_MAX &&
           writer->entry_count + count <= USAGE_ENTRIES_MAX &&
           writer->series_count + count <= USAGE_SERIES_MAX;
}

static void put_value(uint8_t *at, const struct usage_part *part, bool is_wide)
{
    if (part->aggregation == AGGREGATION_UNIQUE_COUNT) {
        memcpy(at, part->value.unique, sizeof(part->value.unique));
        return;
    }
    assert(usage_amount_is_valid(part->value.amount));
    if (is_wide)
        wire_store_i128(at, part->value.amount.units);
    else
        wire_store_u64(at, (uint64_t)part->value.amount.units);
}

static uint16_t add_entry(struct usage_writer *writer, struct text subscription,
                          const struct usage_part *part)
{
    size_t start = writer->series.length;
    uint8_t *at = append(&writer->entries, entry_size(writer->layout));
    uint16_t number;

    put_series(&writer->series, subscription, part);
    number = number_of_last(writer, start);
    wire_store_u16(at, number);
    put_value(at + USAGE_ENTRY_VALUE, part, writer->layout & USAGE_LAYOUT_WIDE);
    return number;
}

static void add_event(struct usage_writer *writer, const struct usage_event *event, uint16_t series,
                      size_t entry_count)
{
    uint8_t *at = append(&writer->events, USAGE_EVENT_SIZE);

    memcpy(at, event->fingerprint.identity, sizeof(event->fingerprint.identity));
    wire_store_u32(at + USAGE_EVENT_PAYLOAD, event->fingerprint.payload);
    wire_store_i64(at + USAGE_EVENT_TIME, event->time.ns);
    wire_store_u32(at + USAGE_EVENT_ARRIVAL, (uint32_t)(event->arrival_ms - writer->arrival_ms));
    at[USAGE_EVENT_ENTRY_COUNT] = (uint8_t)entry_count;
    at[USAGE_EVENT_FLAGS] = event->flags;
    wire_store_u16(at + USAGE_EVENT_SERIES, series);
    prefetch_behind(at + USAGE_EVENT_SIZE, 1);
    if (writer->layout & USAGE_LAYOUT_SEQUENCES)
        wire_store_u64(append(&writer->sequences, USAGE_SEQUENCE_SIZE),
                       event->flags & USAGE_NUMBERED ? event->sequence : 0);
}

int usage_writer_add_parts(struct usage_writer *writer, const struct usage_event *event,
                           struct text subscription, const struct usage_part *parts, size_t count)
{
    unsigned needed = layout_with(writer, event, parts, count);
    uint16_t first = 0;

    assert(count > 0 && count <= USAGE_METERS_MAX);
    assert((event->flags & ~USAGE_FLAGS_KNOWN) == 0);
    assert(subscription.length > 0 && subscription.length <= USAGE_SUBSCRIPTION_MAX);

    if (!arrived_near(writer, event->arrival_ms) ||
        !fits(writer, needed, subscription, parts, count))
        return USAGE_WRITER_FULL;

    if (writer->event_count == 0)
        writer->arrival_ms = event->arrival_ms;
    if (needed != writer->layout)
        give_layout(writer, needed);
    for (size_t i = 0; i < count; i++) {
        uint16_t number = add_entry(writer, subscription, &parts[i]);

        if (i == 0)
            first = number;
    }
    add_event(writer, event, first, count);
    writer->event_count++;
    writer->entry_count += count;
    return 0;
}

/* Appends the dimensions as a series has them. */
static void put_dimensions(struct buffer *buffer, const struct usage_series *series)
{
    assert(series->dimension_count <= USAGE_DIMENSIONS_MAX);
    for (size_t i = 0; i < series->dimension_count; i++) {
        struct text name = series->dimensions[i].name, value = series->dimensions[i].value;
        uint8_t *at = append(buffer, size_of_text(name) + size_of_text(value));

        assert(name.length > 0 && name.length <= USAGE_NAME_MAX && value.length <= USAGE_TEXT_MAX);
        assert(i == 0 || text_compare(series->dimensions[i - 1].name, name) < 0);
        wire_store_text(wire_store_present(at, name), value);
    }
}

int usage_writer_add(struct usage_writer *writer, const struct usage_event *event,
                     const struct usage_series *series, const union usage_value *values,
                     size_t entry_count)
{
    struct buffer *dimensions = &writer->dimensions;
    struct usage_part parts[USAGE_METERS_MAX];
    const char *at;

    assert(entry_count > 0 && entry_count <= USAGE_METERS_MAX);
    buffer_clear(dimensions);
    for (size_t i = 0; i < entry_count; i++) {
        size_t before = dimensions->length;

        assert(text_equal(series[i].subscription, series[0].subscription));
        put_dimensions(dimensions, &series[i]);
        parts[i] = (struct usage_part){
            .value = values[i],
            .meter = series[i].meter,
            .subject = series[i].subject,
            .dimensions.length = dimensions->length - before,
            .dimension_count = series[i].dimension_count,
            .aggregation = series[i].aggregation,
        };
    }
    at = dimensions->at;
    for (size_t i = 0; i < entry_count; at += parts[i++].dimensions.length)
        parts[i].dimensions.at = at;
    return usage_writer_add_parts(writer, event, series[0].subscription, parts, entry_count);
}

size_t usage_writer_count(const struct usage_writer *writer)
{
    return writer->event_count;
}

size_t usage_writer_bytes(const struct usage_writer *writer)
{
    return bytes_of(writer, writer->layout, writer->event_count, writer->entry_count);
}

static void put_header(const struct usage_writer *writer, uint8_t header[USAGE_HEADER_SIZE])
{
    memcpy(header, USAGE_MAGIC, 4);
    header[USAGE_HEADER_VERSION] = USAGE_VERSION;
    header[USAGE_HEADER_LAYOUT] = (uint8_t)writer->layout;
    wire_store_u16(header + USAGE_HEADER_SERIES_COUNT, (uint16_t)writer->series_count);
    wire_store_u16(header + USAGE_HEADER_EVENT_COUNT, (uint16_t)writer->event_count);
    wire_store_u16(header + USAGE_HEADER_ENTRY_COUNT, (uint16_t)writer->entry_count);
    wire_store_u32(header + USAGE_HEADER_BYTES, (uint32_t)usage_writer_bytes(writer));
    wire_store_i64(header + USAGE_HEADER_ARRIVAL, writer->arrival_ms);
}

struct text usage_writer_finish(struct usage_writer *writer)
{
    uint8_t header[USAGE_HEADER_SIZE];
    struct buffer *message = &writer->message;
    uint8_t *start;

    assert(writer->event_count > 0);

    put_header(writer, header);
    buffer_clear(message);
    buffer_reserve(message, usage_writer_bytes(writer));
    buffer_add(message, header, sizeof(header));
    buffer_add_text(message, buffer_text(&writer->events));
    buffer_add_text(message, buffer_text(&writer->sequences));
    buffer_add_text(message, buffer_text(&writer->entries));
    buffer_add_text(message, buffer_text(&writer->series));
    start = (uint8_t *)message->at;
    wire_store_u64(start + USAGE_HEADER_CHECKSUM, usage_checksum(start, message->length));
    return buffer_text(message);
}

void usage_writer_reset(struct usage_writer *writer)
{
    buffer_clear(&writer->events);
    buffer_clear(&writer->sequences);
    buffer_clear(&writer->entries);
    buffer_clear(&writer->series);
    writer->event_count = 0;
    writer->entry_count = 0;
    writer->series_count = 0;
    writer->layout = 0;
    memset(writer->slots, 0, writer->slot_count * sizeof(*writer->slots));
}
