/*
 * audit_count.c - counts by the rules of metering.md 12 to 18 as they read.
 */
#include "invoicer/rules/audit_count.h"

#include "common/base/partition.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* Who an event is: its fingerprint on a day, or its source and number. */
struct seen {
    uint8_t identity[12];
    int32_t day; /* 0x7fffffff: numbered */
    uint64_t sequence;
};

enum { DAY_NUMBERED = 0x7fffffff };

struct seen_slot {
    struct seen seen;
    uint64_t is_used;
};

struct audit_count {
    struct audit_want *wants; /* by subscription */
    size_t count;
    int32_t partitions;
    const int64_t *horizons_ms; /* by partition */
    uint64_t late;
    struct seen_slot *slots;
    size_t room, used; /* room: a power of two */
};

/* --- the ids that were seen --- */

static size_t slot_of(const struct audit_count *count, const struct seen *seen)
{
    uint64_t hash;
    size_t at;

    memcpy(&hash, seen->identity, sizeof(hash)); /* random bits already */
    hash ^=
        (uint64_t)(uint32_t)seen->day * 0x9e3779b97f4a7c15u + seen->sequence * 0xff51afd7ed558ccdu;
    hash ^= hash >> 33;
    for (at = hash & (count->room - 1); count->slots[at].is_used;
         at = (at + 1) & (count->room - 1)) {
        if (memcmp(&count->slots[at].seen, seen, sizeof(*seen)) == 0)
            break;
    }
    return at;
}

static void grow(struct audit_count *count)
{
    struct seen_slot *old = count->slots;
    size_t room = count->room;

    count->room = room ? room * 2 : 1024;
    count->slots = calloc(count->room, sizeof(*count->slots));
    if (!count->slots)
        abort();
    for (size_t i = 0; i < room; i++) {
        if (old[i].is_used)
            count->slots[slot_of(count, &old[i].seen)] = old[i];
    }
    free(old);
}

static bool is_seen(const struct audit_count *count, const struct seen *seen)
{
    return count->room && count->slots[slot_of(count, seen)].is_used;
}

static void note(struct audit_count *count, const struct seen *seen)
{
    if (2 * count->used >= count->room)
        grow(count);
    count->slots[slot_of(count, seen)] = (struct seen_slot){*seen, 1};
    count->used++;
}

/* --- verdicts --- */

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int32_t day_of(struct instant instant)
{
    return (int32_t)floor_divide(instant.ns, INT64_C(86400000000000));
}

static struct seen seen_of(const struct usage_event *event)
{
    struct seen seen = {.day = day_of(event->time)};

    memcpy(seen.identity, event->fingerprint.identity, sizeof(seen.identity));
    if (event->flags & USAGE_NUMBERED) {
        seen.day = DAY_NUMBERED;
        seen.sequence = event->sequence;
    }
    return seen;
}

static bool is_late(int64_t horizon_ms, const struct usage_event *event)
{
    int128 age = (int128)event->arrival_ms * 1000000 - event->time.ns;

    return age > (int128)horizon_ms * 1000000;
}

/* The first of its identity is counted; without a time that may have been the day before. */
static bool is_counted(struct audit_count *count, int32_t partition,
                       const struct usage_event *event)
{
    struct seen seen = seen_of(event), before = seen;

    if (is_late(count->horizons_ms[partition], event)) {
        count->late++;
        return false;
    }
    if (is_seen(count, &seen))
        return false;
    before.day--;
    if (event->flags & USAGE_TIME_ABSENT && !(event->flags & USAGE_NUMBERED) &&
        is_seen(count, &before))
        return false;
    note(count, &seen);
    return true;
}

/* --- sums --- */

static bool is_wanted(const struct audit_want *want, struct text meter, struct instant time,
                      int32_t partition, int64_t offset)
{
    return want->partition == partition && offset < want->next_offset &&
           instant_compare(time, want->from) >= 0 && instant_compare(time, want->to) < 0 &&
           text_equal(want->meter, meter);
}

static void add_amount(struct audit_sum *found, struct decimal amount)
{
    if (decimal_add(found->sum, amount, &found->sum))
        found->has_overflow = true;
}

static void add_unique(struct audit_sum *found, const uint8_t unique[16])
{
    if (found->unique_count == found->unique_room) {
        found->unique_room = found->unique_room ? found->unique_room * 2 : 64;
        found->uniques = realloc(found->uniques, found->unique_room * sizeof(*found->uniques));
        if (!found->uniques)
            abort();
    }
    memcpy(found->uniques[found->unique_count++], unique, 16);
}

static bool is_later(const struct audit_sum *found, struct instant time, struct decimal amount)
{
    int order = instant_compare(time, found->latest_at);

    return order > 0 || (order == 0 && decimal_compare(amount, found->latest) > 0);
}

static void add_value(struct audit_sum *found, enum aggregation aggregation,
                      const struct usage_entry *entry, struct instant time)
{
    struct decimal amount =
        aggregation == AGGREGATION_COUNT ? decimal_from_int(1) : entry->value.amount;

    found->aggregation = aggregation;
    if (aggregation == AGGREGATION_UNIQUE_COUNT) {
        add_unique(found, entry->value.unique);
        found->is_found = true;
        return;
    }
    add_amount(found, amount);
    if (!found->is_found || decimal_compare(amount, found->least) < 0)
        found->least = amount;
    if (!found->is_found || decimal_compare(amount, found->most) > 0)
        found->most = amount;
    if (!found->is_found || is_later(found, time, amount)) {
        found->latest = amount;
        found->latest_at = time;
    }
    found->events++;
    found->is_found = true;
}

/* --- matrices --- */

/* A combination of a matrix's dimensions. */
struct cell {
    struct buffer dimensions; /* their values, each behind its length; -1: missing */
    size_t value;             /* of the price that matches; behind the last one: none does */
    struct audit_sum found;
};

static struct text dimension_of(const struct usage_series *series, const char *name)
{
    for (size_t i = 0; i < series->dimension_count; i++) {
        if (text_is(series->dimensions[i].name, name))
            return series->dimensions[i].value;
    }
    return text_of(NULL);
}

static bool matches(const json_t *value, const struct usage_series *series)
{
    const char *name;
    json_t *text;

    json_object_foreach(json_object_get(value, "match"), name, text)
    {
        if (!text_is(dimension_of(series, name), json_string_value(text)))
            return false;
    }
    return true;
}

static size_t value_count(const struct audit_want *want)
{
    return json_array_size(json_object_get(want->matrix, "values"));
}

static size_t value_of(const struct audit_want *want, const struct usage_series *series)
{
    const json_t *values = json_object_get(want->matrix, "values");
    size_t at = 0;

    while (at < value_count(want) && !matches(json_array_get(values, at), series))
        at++;
    return at;
}

static void write_dimensions(const struct audit_want *want, const struct usage_series *series,
                             struct buffer *dimensions)
{
    json_t *name;
    size_t i;

    json_array_foreach(json_object_get(want->matrix, "dimensions"), i, name)
    {
        struct text value = dimension_of(series, json_string_value(name));

        buffer_printf(dimensions, "%lld:", text_is_absent(value) ? -1LL : (long long)value.length);
        buffer_add_text(dimensions, value);
    }
}

static int by_dimensions(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;

    return text_compare(buffer_text(&x->dimensions), buffer_text(&y->dimensions));
}

/* The sum of the series' dimensions, which may be new. */
static struct audit_sum *cell_of(struct audit_want *want, const struct usage_series *series)
{
    struct cell probe = {.value = 0};
    struct cell *const *there, *made;

    write_dimensions(want, series, &probe.dimensions);
    there = tfind(&probe, &want->cells, by_dimensions);
    if (there) {
        buffer_deinit(&probe.dimensions);
        return &(*there)->found;
    }
    made = malloc(sizeof(*made));
    if (!made)
        abort();
    *made = probe;
    made->value = value_of(want, series);
    if (!tsearch(made, &want->cells, by_dimensions))
        abort();
    return &made->found;
}

static void add_entry(struct audit_want *want, const struct usage_series *series,
                      const struct usage_entry *entry, struct instant time)
{
    add_value(&want->found, series->aggregation, entry, time);
    if (want->matrix)
        add_value(cell_of(want, series), series->aggregation, entry, time);
}

/* The first want of a subscription; `count` when there is none. */
static size_t first_of(const struct audit_count *count, struct text subscription)
{
    size_t low = 0, high = count->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (text_compare(count->wants[middle].subscription, subscription) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < count->count && text_equal(count->wants[low].subscription, subscription))
        return low;
    return count->count;
}

static void add_event(struct audit_count *count, int32_t partition, int64_t offset,
                      const struct usage_batch *batch, const struct usage_event *event)
{
    size_t first = first_of(count, usage_subscription_of(batch, event->series));

    for (size_t i = 0; i < event->entry_count; i++) {
        struct usage_entry entry = usage_entry_at(batch, (size_t)event->first_entry + i);
        struct usage_series series = usage_series_at(batch, entry.series);

        for (size_t at = first; at < count->count; at++) {
            struct audit_want *want = &count->wants[at];

            if (!text_equal(want->subscription, series.subscription))
                break;
            if (is_wanted(want, series.meter, event->time, partition, offset))
                add_entry(want, &series, &entry, event->time);
        }
    }
}

/* Ids of subscriptions that nobody asks for needn't be remembered, but for those that are known by
 * their source. */
void audit_count_take(struct audit_count *count, int32_t partition, int64_t offset,
                      const struct usage_batch *batch)
{
    for (size_t i = 0; i < batch->event_count; i++) {
        struct usage_event event = usage_event_at(batch, i);
        struct text subscription = usage_subscription_of(batch, event.series);

        if (partition_of(subscription, count->partitions) != partition)
            continue;
        if (!(event.flags & USAGE_NUMBERED) && first_of(count, subscription) == count->count)
            continue;
        if (is_counted(count, partition, &event))
            add_event(count, partition, offset, batch, &event);
    }
}

static int by_subscription(const void *a, const void *b)
{
    return text_compare(((const struct audit_want *)a)->subscription,
                        ((const struct audit_want *)b)->subscription);
}

struct audit_count *audit_count_new(struct audit_want *wants, size_t count, int32_t partitions,
                                    const int64_t *horizons_ms)
{
    struct audit_count *made = calloc(1, sizeof(*made));

    if (!made)
        abort();
    if (count)
        qsort(wants, count, sizeof(*wants), by_subscription);
    *made = (struct audit_count){
        .wants = wants, .count = count, .partitions = partitions, .horizons_ms = horizons_ms};
    return made;
}

struct audit_count *audit_count_free(struct audit_count *count)
{
    if (count)
        free(count->slots);
    free(count);
    return NULL;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

static int64_t distinct(struct audit_sum *sum)
{
    int64_t found = 0;

    if (sum->unique_count)
        qsort(sum->uniques, sum->unique_count, sizeof(*sum->uniques), by_bytes);
    for (size_t i = 0; i < sum->unique_count; i++)
        found += i == 0 || memcmp(sum->uniques[i - 1], sum->uniques[i], 16) != 0;
    return found;
}

uint64_t audit_count_late(const struct audit_count *count)
{
    return count->late;
}

static struct decimal answer_of(struct audit_sum *found)
{
    switch (found->aggregation) {
    case AGGREGATION_COUNT:
    case AGGREGATION_SUM:
        return found->sum;
    case AGGREGATION_MIN:
        return found->least;
    case AGGREGATION_MAX:
        return found->most;
    case AGGREGATION_LATEST:
        return found->latest;
    case AGGREGATION_AVG:
        return found->events ? decimal_divide_rounded(found->sum, found->events) : found->sum;
    case AGGREGATION_UNIQUE_COUNT:
        return decimal_from_int(distinct(found));
    }
    return found->sum;
}

/* An inner node is met three times. */
static void add_cell(const void *node, VISIT visit, void *context)
{
    struct cell *cell = *(struct cell *const *)node;
    struct audit_want *want = context;

    if (visit != postorder && visit != leaf)
        return;
    if (decimal_add(want->values[cell->value], answer_of(&cell->found), &want->values[cell->value]))
        want->found.has_overflow = true;
}

struct decimal audit_want_answer(struct audit_want *want)
{
    struct decimal sum = {0};

    if (!want->matrix)
        return answer_of(&want->found);
    free(want->values);
    want->values = calloc(value_count(want) + 1, sizeof(*want->values));
    if (!want->values)
        abort();
    twalk_r(want->cells, add_cell, want);
    for (size_t i = 0; i <= value_count(want); i++)
        if (decimal_add(sum, want->values[i], &sum))
            want->found.has_overflow = true;
    return sum;
}

static void free_cell(void *node)
{
    struct cell *cell = node;

    buffer_deinit(&cell->dimensions);
    free(cell->found.uniques);
    free(cell);
}

void audit_want_deinit(struct audit_want *want)
{
    tdestroy(want->cells, free_cell);
    free(want->found.uniques);
    free(want->values);
}
