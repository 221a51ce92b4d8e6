/*
 * usage_writer.c - packs events into a batch.
 *
 * Series come in their final form and are looked up by their bytes; a new one is copied behind the
 * batch's last. Whether an event fits is decided before, as if all its series were new, so nothing
 * ever has to be taken back.
 */
#include "proto/usage.h"

#include "common/base/xxh3.h"
#include "proto/usage_series.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What is known of a series by its number. */
struct series_known {
    uint32_t hash;
    uint32_t start; /* in `series` */
};

struct usage_writer {
    struct buffer message; /* room for the header, and the events; the rest when it is finished */
    struct buffer sequences, entries, series;
    struct buffer own;  /* series of an event that come as texts */
    unsigned layout;    /* what the header says of it */
    int64_t arrival_ms; /* the first event's */
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

/* Room for `size` bytes at the buffer's end, which count as there. What is put together elsewhere
 * and copied here would wait: bytes that were just stored can't be loaded in larger pieces at once.
 */
static uint8_t *append(struct buffer *buffer, size_t size)
{
    buffer_reserve(buffer, size);
    buffer->length += size;
    return (uint8_t *)buffer->at + buffer->length - size;
}

struct usage_writer *usage_writer_new(void)
{
    struct usage_writer *writer = calloc(1, sizeof(*writer));

    if (!writer)
        abort();
    make_slots(writer, SLOTS_LEAST);
    append(&writer->message, USAGE_HEADER_SIZE);
    return writer;
}

struct usage_writer *usage_writer_free(struct usage_writer *writer)
{
    if (!writer)
        return NULL;
    buffer_deinit(&writer->sequences);
    buffer_deinit(&writer->entries);
    buffer_deinit(&writer->series);
    buffer_deinit(&writer->message);
    buffer_deinit(&writer->own);
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

/* Fetches what will be written next, behind what ends there: the open batches of all partitions are
 * more than the caches hold. It may lie outside of the buffer. */
static void prefetch_behind(const uint8_t *end, size_t lines)
{
    for (size_t i = 1; i <= lines; i++)
        __builtin_prefetch(end + i * LINE_BYTES, 1);
}

static bool is_series(const struct usage_writer *writer, const struct series_known *known,
                      struct text series)
{
    const char *at = writer->series.at + known->start;

    /* Their first two bytes are their lengths. */
    return memcmp(at, series.at, 2) == 0 && memcmp(at, series.at, series.length) == 0;
}

static void append_series(struct usage_writer *writer, struct text series, uint32_t hash)
{
    writer->known[writer->series_count++] =
        (struct series_known){hash, (uint32_t)writer->series.length};
    prefetch_behind(wire_store_bytes(append(&writer->series, series.length), series), 2);
}

/* The number of the part's series. */
static uint16_t number_of(struct usage_writer *writer, const struct usage_part *part)
{
    uint32_t hash = (uint32_t)part->hash;
    size_t at = hash & (writer->slot_count - 1);

    for (; writer->slots[at]; at = (at + 1) & (writer->slot_count - 1)) {
        const struct series_known *known = &writer->known[writer->slots[at] - 1];

        if (known->hash == hash && is_series(writer, known, part->series))
            return (uint16_t)(writer->slots[at] - 1);
    }
    append_series(writer, part->series, hash);
    writer->slots[at] = (uint16_t)writer->series_count;
    if (writer->slot_count <= writer->series_count * 2)
        grow_slots(writer);
    return (uint16_t)(writer->series_count - 1);
}

/* Its first and its last line: nearly all have no others, but two. */
static void prefetch_text(const char *at, size_t length)
{
    __builtin_prefetch(at);
    __builtin_prefetch(at + length - 1);
}

static void prefetch_part(const struct usage_writer *writer, enum usage_writer_step step,
                          const struct usage_part *part)
{
    const uint16_t *slot = &writer->slots[part->hash & (writer->slot_count - 1)];
    const struct series_known *known;

    if (step == USAGE_WRITER_SLOTS)
        __builtin_prefetch(slot);
    if (step == USAGE_WRITER_SLOTS || !*slot)
        return;
    known = &writer->known[*slot - 1];
    if (step == USAGE_WRITER_KNOWN)
        __builtin_prefetch(known);
    else if (known->hash == (uint32_t)part->hash)
        prefetch_text(writer->series.at + known->start, part->series.length);
}

void usage_writer_prefetch(const struct usage_writer *writer, enum usage_writer_step step,
                           const struct usage_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        prefetch_part(writer, step, &parts[i]);
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

static bool fits(const struct usage_writer *writer, unsigned needed, const struct usage_part *parts,
                 size_t count)
{
    size_t bytes = bytes_of(writer, needed, writer->event_count + 1, writer->entry_count + count);

    for (size_t i = 0; i < count; i++)
        bytes += parts[i].series.length;
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

static uint16_t add_entry(struct usage_writer *writer, const struct usage_part *part)
{
    uint8_t *at = append(&writer->entries, entry_size(writer->layout));
    uint16_t number = number_of(writer, part);

    wire_store_u16(at, number);
    put_value(at + USAGE_ENTRY_VALUE, part, writer->layout & USAGE_LAYOUT_WIDE);
    prefetch_behind(at, 1);
    return number;
}

static void add_event(struct usage_writer *writer, const struct usage_event *event, uint16_t series,
                      size_t entry_count)
{
    uint8_t *at = append(&writer->message, USAGE_EVENT_SIZE);

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
                           const struct usage_part *parts, size_t count)
{
    unsigned needed = layout_with(writer, event, parts, count);
    uint16_t first = 0;

    assert(count > 0 && count <= USAGE_METERS_MAX);
    assert((event->flags & ~USAGE_FLAGS_KNOWN) == 0);

    if (!arrived_near(writer, event->arrival_ms) || !fits(writer, needed, parts, count))
        return USAGE_WRITER_FULL;

    if (writer->event_count == 0)
        writer->arrival_ms = event->arrival_ms;
    if (needed != writer->layout)
        give_layout(writer, needed);
    for (size_t i = 0; i < count; i++) {
        uint16_t number = add_entry(writer, &parts[i]);

        if (i == 0)
            first = number;
    }
    add_event(writer, event, first, count);
    writer->event_count++;
    writer->entry_count += count;
    return 0;
}

static size_t size_of_series(const struct usage_series *series)
{
    size_t size = usage_series_size(series->subscription, series->meter, series->subject);

    for (size_t i = 0; i < series->dimension_count; i++)
        size += usage_text_size(series->dimensions[i].name) +
                usage_text_size(series->dimensions[i].value);
    return size;
}

static struct text write_series(uint8_t *begin, const struct usage_series *series)
{
    uint8_t *at = usage_series_begin(begin, series->aggregation, series->dimension_count,
                                     series->subscription, series->meter, series->subject);

    for (size_t i = 0; i < series->dimension_count; i++) {
        const struct usage_dimension *dimension = &series->dimensions[i];

        assert(i == 0 || text_compare(dimension[-1].name, dimension->name) < 0);
        at = usage_series_add(at, dimension->name, dimension->value);
    }
    return usage_series_end(begin, at);
}

int usage_writer_add(struct usage_writer *writer, const struct usage_event *event,
                     const struct usage_series *series, const union usage_value *values,
                     size_t entry_count)
{
    struct usage_part parts[USAGE_METERS_MAX];
    size_t size = 0;
    uint8_t *at;

    assert(entry_count > 0 && entry_count <= USAGE_METERS_MAX);
    for (size_t i = 0; i < entry_count; i++)
        size += size_of_series(&series[i]);
    buffer_clear(&writer->own);
    at = append(&writer->own, size);
    for (size_t i = 0; i < entry_count; i++) {
        struct text written = write_series(at, &series[i]);

        assert(text_equal(series[i].subscription, series[0].subscription));
        parts[i] = (struct usage_part){
            .value = values[i],
            .series = written,
            .hash = XXH3_64bits(written.at, written.length),
            .aggregation = series[i].aggregation,
        };
        at += written.length;
    }
    return usage_writer_add_parts(writer, event, parts, entry_count);
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
    struct buffer *message = &writer->message;
    uint8_t *start;

    assert(writer->event_count > 0);
    assert(message->length == USAGE_HEADER_SIZE + writer->event_count * USAGE_EVENT_SIZE);
    buffer_reserve(message, usage_writer_bytes(writer) - message->length);
    buffer_add_text(message, buffer_text(&writer->sequences));
    buffer_add_text(message, buffer_text(&writer->entries));
    buffer_add_text(message, buffer_text(&writer->series));
    start = (uint8_t *)message->at;
    put_header(writer, start);
    wire_store_u64(start + USAGE_HEADER_CHECKSUM, usage_checksum(start, message->length));
    return buffer_text(message);
}

void usage_writer_reset(struct usage_writer *writer)
{
    writer->message.length = USAGE_HEADER_SIZE;
    buffer_clear(&writer->sequences);
    buffer_clear(&writer->entries);
    buffer_clear(&writer->series);
    writer->event_count = 0;
    writer->entry_count = 0;
    writer->series_count = 0;
    writer->layout = 0;
    memset(writer->slots, 0, writer->slot_count * sizeof(*writer->slots));
}
