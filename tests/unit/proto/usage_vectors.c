/*
 * usage_vectors.c - the usage batches of proto/reference/usage_vectors.json, which the Python
 * reader is tested by, are what the writer writes.
 */
#include "proto/usage.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct text string_of(const json_t *object, const char *name)
{
    return text_of(json_string_value(json_object_get(object, name)));
}

static void read_hex(struct text hex, uint8_t *bytes)
{
    for (size_t i = 0; i + 1 < hex.length; i += 2) {
        char pair[3] = {hex.at[i], hex.at[i + 1], '\0'};

        bytes[i / 2] = (uint8_t)strtol(pair, NULL, 16);
    }
}

static void read_series(json_t *entry, struct usage_series *series)
{
    json_t *dimensions = json_object_get(entry, "dimensions"), *value;
    const char *name;

    *series = (struct usage_series){.subscription = string_of(entry, "subscription"),
                                    .meter = string_of(entry, "meter"),
                                    .subject = string_of(entry, "subject")};
    cr_assert(aggregation_from(string_of(entry, "aggregation"), &series->aggregation));
    json_object_foreach(dimensions, name, value) /* in the file's order, which is sorted */
        series->dimensions[series->dimension_count++] =
        (struct usage_dimension){text_of(name), text_of(json_string_value(value))};
}

static void add_event(struct usage_writer *writer, json_t *event)
{
    struct usage_series series[USAGE_METERS_MAX];
    union usage_value values[USAGE_METERS_MAX] = {0};
    struct usage_event made = {
        .fingerprint.payload = (uint32_t)json_integer_value(json_object_get(event, "payload")),
        .time.ns = json_integer_value(json_object_get(event, "time_ns")),
        .arrival_ms = json_integer_value(json_object_get(event, "arrival_ms")),
        .sequence = (uint64_t)json_integer_value(json_object_get(event, "sequence")),
        .flags = (json_is_true(json_object_get(event, "time_absent")) ? USAGE_TIME_ABSENT : 0) |
                 (json_is_true(json_object_get(event, "numbered")) ? USAGE_NUMBERED : 0),
    };
    json_t *entry;
    size_t i;

    read_hex(string_of(event, "identity"), made.fingerprint.identity);
    json_array_foreach(json_object_get(event, "entries"), i, entry)
    {
        read_series(entry, &series[i]);
        if (series[i].aggregation == AGGREGATION_UNIQUE_COUNT)
            read_hex(string_of(entry, "unique"), values[i].unique);
        else
            cr_assert_eq(decimal_parse(string_of(entry, "value"), &values[i].amount), 0);
    }
    cr_assert_eq(usage_writer_add(writer, &made, series, values, i), 0);
}

Test(usage_vectors, are_written_byte_for_byte)
{
    json_t *file =
        json_load_file(TOLLWAY_SOURCE_DIR "/proto/reference/usage_vectors.json", 0, NULL);
    struct usage_writer *writer = usage_writer_new();
    json_t *vector, *event;
    size_t i, k;

    json_array_foreach(json_object_get(file, "vectors"), i, vector)
    {
        CLEANUP(buffer_deinit) struct buffer hex = {0};
        struct text batch;

        usage_writer_reset(writer);
        json_array_foreach(json_object_get(vector, "events"), k, event) add_event(writer, event);
        batch = usage_writer_finish(writer);
        for (k = 0; k < batch.length; k++)
            buffer_printf(&hex, "%02x", (unsigned)(uint8_t)batch.at[k]);
        cr_assert(text_equal(buffer_text(&hex), string_of(vector, "hex")), "%s: %.*s",
                  string_of(vector, "name").at, (int)hex.length, hex.at);
    }
    cr_assert_geq(i, 3);
    usage_writer_free(writer);
    json_decref(file);
}
