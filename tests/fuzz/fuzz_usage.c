/*
 * fuzz_usage.c - usage_decode on any bytes, and again with the checksum put right, so that the
 * checks behind it are reached.
 */
#include "proto/usage.h"
#include "proto/usage_layout.h"
#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t read_text(struct text text)
{
    size_t sum = 0;

    for (size_t i = 0; i < text.length; i++)
        sum += (unsigned char)text.at[i];
    return sum;
}

static size_t read_series(const struct usage_series *series)
{
    size_t sum = read_text(series->subscription) + read_text(series->meter);

    sum += read_text(series->subject);
    for (size_t i = 0; i < series->dimension_count; i++)
        sum += read_text(series->dimensions[i].name) + read_text(series->dimensions[i].value);
    return sum;
}

/* Touches everything; the next batch that a reader decodes mustn't be spoilt by the last. */
static void read_batch(const struct usage_batch *batch)
{
    volatile size_t sum = 0;
    size_t entries = 0;

    for (size_t i = 0; i < batch->series_count; i++) {
        struct usage_series series = usage_series_at(batch, i);

        sum = sum + read_series(&series);
    }
    for (size_t i = 0; i < batch->event_count; i++) {
        struct usage_event event = usage_event_at(batch, i);

        assert(event.first_entry == entries);
        for (size_t k = 0; k < event.entry_count; k++)
            sum = sum + usage_entry_at(batch, entries + k).series;
        entries += event.entry_count;
    }
    assert(entries == batch->entry_count);
}

static void decode(struct usage_reader *reader, const uint8_t *bytes, size_t length)
{
    struct usage_batch batch;
    const char *reason = NULL;

    if (usage_decode(reader, text_from(bytes, length), &batch, &reason) == 0)
        read_batch(&batch);
    else
        assert(reason);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct usage_reader *reader = usage_reader_new();
    uint8_t *mended = malloc(length ? length : 1);

    if (!mended)
        abort();
    memcpy(mended, bytes, length);
    decode(reader, mended, length);
    if (length >= USAGE_HEADER_SIZE) {
        wire_store_u32(mended + USAGE_HEADER_BYTES, (uint32_t)length);
        wire_store_u64(mended + USAGE_HEADER_CHECKSUM, usage_checksum(mended, length));
        decode(reader, mended, length);
    }
    free(mended);
    usage_reader_free(reader);
    return 0;
}
