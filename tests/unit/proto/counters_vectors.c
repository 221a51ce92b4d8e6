/*
 * counters_vectors.c - the records of proto/reference/counters_vectors.json, which the Python
 * reader is tested by, are read, and written byte for byte.
 */
#include "proto/counters.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>

static struct text string_of(const json_t *object, const char *name)
{
    return text_of(json_string_value(json_object_get(object, name)));
}

static void add_bytes(struct text hex, struct buffer *bytes)
{
    for (size_t i = 0; i + 1 < hex.length; i += 2) {
        char pair[3] = {hex.at[i], hex.at[i + 1], '\0'};

        buffer_add_char(bytes, (char)strtol(pair, NULL, 16));
    }
}

static void check_total(const json_t *record, const struct counters_total *total)
{
    struct decimal value;

    /* One sum is larger than any input may be, and has no text that is read. */
    cr_assert(decimal_parse(string_of(record, "value"), &value) == DECIMAL_TOO_LARGE ||
              value.units == total->total.value.units);
    cr_assert(text_equal(total->subscription, string_of(record, "subscription")));
    cr_assert(text_equal(total->meter, string_of(record, "meter")));
    cr_assert(
        text_is(string_of(record, "aggregation"), aggregation_name(total->total.aggregation)));
    cr_assert_eq(total->from_minute, json_integer_value(json_object_get(record, "from")));
    cr_assert_eq(total->to_minute, json_integer_value(json_object_get(record, "to")));
    cr_assert_eq(total->total.count, json_integer_value(json_object_get(record, "count")));
    cr_assert_eq(total->total.time.ns, json_integer_value(json_object_get(record, "time_ns")));
    cr_assert_eq(total->next_offset, json_integer_value(json_object_get(record, "next_offset")));
    cr_assert_eq(total->is_unique, json_is_string(json_object_get(record, "unique")));
}

static void check_vector(json_t *vector)
{
    CLEANUP(buffer_deinit) struct buffer bytes = {0}, key = {0}, value = {0};
    const json_t *record = json_object_get(vector, "record");
    struct counters_total total;
    struct counters_mark mark;
    const char *reason = "";
    int r;

    add_bytes(string_of(vector, "hex"), &bytes);
    r = counters_decode(string_of(vector, "key"), buffer_text(&bytes), &total, &mark, &reason);
    cr_assert_neq(r, COUNTERS_FOREIGN, "%s: %s", string_of(vector, "key").at, reason);
    if (r == COUNTERS_TOTAL) {
        check_total(record, &total);
        counters_encode_total(&total, &key, &value);
    } else {
        cr_assert_eq(mark.counted, json_integer_value(json_object_get(record, "counted")));
        cr_assert(text_is(string_of(record, "owner"), mark.owner));
        counters_encode_mark(&mark, &key, &value);
    }
    cr_assert(text_equal(buffer_text(&key), string_of(vector, "key")));
    cr_assert(text_equal(buffer_text(&value), buffer_text(&bytes)), "%s",
              string_of(vector, "key").at);
}

Test(counters_vectors, are_read_and_written_byte_for_byte)
{
    json_t *file =
        json_load_file(TOLLWAY_SOURCE_DIR "/proto/reference/counters_vectors.json", 0, NULL);
    json_t *vector;
    size_t i;

    json_array_foreach(json_object_get(file, "vectors"), i, vector) check_vector(vector);
    cr_assert_eq(i, 5);
    json_decref(file);
}
