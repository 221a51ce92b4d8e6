/*
 * catalog_reading.c - what a subscription's record says.
 */
#include "proto/catalog_parts.h"

enum { MINUTES_OF_DAY = 24 * 60 };

static const char *read_cuts(const json_t *record, struct catalog_reading *reading)
{
    const json_t *cuts = json_object_get(record, "cuts"), *cut;
    size_t i;

    if (!cuts || json_is_null(cuts)) {
        reading->cuts[0] = 0;
        reading->cut_count = 1;
        return NULL;
    }
    reading->cut_count = json_array_size(cuts); /* 0 of what is no array */
    if (reading->cut_count == 0 || reading->cut_count > CATALOG_CUTS_MAX)
        return "cuts that aren't an array of 1 to 49";
    json_array_foreach(cuts, i, cut)
    {
        json_int_t minute = json_integer_value(cut);

        if (!json_is_integer(cut) || minute < 0 || minute >= MINUTES_OF_DAY ||
            (i > 0 && minute <= reading->cuts[i - 1]))
            return "cuts that aren't ascending minutes of a day";
        reading->cuts[i] = (uint16_t)minute;
    }
    return NULL;
}

static const char *read_consumer(const json_t *record, struct catalog_reading *reading)
{
    const json_t *consumer = json_object_get(record, "consumer");

    reading->consumer_name = (struct text){NULL, 0};
    if (!consumer || json_is_null(consumer))
        return NULL;
    if (!json_is_object(consumer))
        return "a consumer that isn't an object";
    return catalog_read_text(consumer, "name", CATALOG_ID_MAX, &reading->consumer_name);
}

const char *catalog_read_subscription(struct text id, const json_t *record,
                                      struct catalog_reading *reading)
{
    const struct instant none = {INT64_MIN}, open = {INT64_MAX};
    const char *why = catalog_read_text(record, "id", CATALOG_ID_MAX, &reading->id);

    if (!why)
        why = catalog_read_text(record, "customerKey", CATALOG_ID_MAX, &reading->customer_key);
    if (!why)
        why = catalog_read_time(record, "activeFrom", none, &reading->active_from);
    if (!why && reading->active_from.ns == none.ns)
        why = "a subscription without activeFrom";
    if (!why)
        why = catalog_read_time(record, "activeTo", open, &reading->active_to);
    if (!why)
        why = read_consumer(record, reading);
    if (!why)
        why = read_cuts(record, reading);
    if (!why && !text_equal(reading->id, id))
        why = "a subscription under another's key";
    return why;
}
