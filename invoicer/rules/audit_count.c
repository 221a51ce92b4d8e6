/*
 * audit_count.c - counts by the rules of metering.md 12 to 18 as they read.
 */
#include "invoicer/rules/audit_count.h"

#include "common/base/partition.h"

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

static void add_to(struct audit_want *want, struct decimal *sum, struct decimal amount)
{
    if (decimal_add(*sum, amount, sum))
        want->has_overflow = true;
}

static void add_unique(struct audit_want *want, const uint8_t unique[16])
{
    if (want->unique_count == want->unique_room) {
        want->unique_room = want->unique_room ? want->unique_room * 2 : 64;
        want->uniques = realloc(want->uniques, want->unique_room * sizeof(*want->uniques));
        if (!want->uniques)
            abort();
    }
    memcpy(want->uniques[want->unique_count++], unique, 16);
}

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

static void add_value(struct audit_want *want, const struct usage_series *series,
                      struct decimal amount)
{
    const json_t *values = json_object_get(want->matrix, "values");
    size_t count = json_array_size(values), at = 0;

    if (!want->values)
        want->values = calloc(count + 1, sizeof(*want->values));
    if (!want->values)
        abort();
    while (at < count && !matches(json_array_get(values, at), series))
        at++;
    add_to(want, &want->values[at], amount);
}

static void add_entry(struct audit_want *want, const struct usage_series *series,
                      const struct usage_entry *entry, struct instant time)
{
    bool is_count = series->aggregation == AGGREGATION_COUNT;
    struct decimal amount = is_count ? decimal_from_int(1) : entry->value.amount;

    want->aggregation = series->aggregation;
    if (series->aggregation == AGGREGATION_UNIQUE_COUNT) {
        add_unique(want, entry->value.unique);
        want->is_found = true;
        return;
    }
    if (want->matrix)
        add_value(want, series, amount);
    add_to(want, &want->sum, amount);
    if (!want->is_found || decimal_compare(amount, want->least) < 0)
        want->least = amount;
    if (!want->is_found || decimal_compare(amount, want->most) > 0)
        want->most = amount;
    if (!want->is_found || instant_compare(time, want->latest_at) > 0 ||
        (instant_compare(time, want->latest_at) == 0 &&
         decimal_compare(amount, want->latest) > 0)) {
        want->latest = amount;
        want->latest_at = time;
    }
    want->events++;
    want->is_found = true;
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

static int64_t distinct(struct audit_want *want)
{
    int64_t found = 0;

    if (want->unique_count)
        qsort(want->uniques, want->unique_count, sizeof(*want->uniques), by_bytes);
    for (size_t i = 0; i < want->unique_count; i++)
        found += i == 0 || memcmp(want->uniques[i - 1], want->uniques[i], 16) != 0;
    return found;
}

uint64_t audit_count_late(const struct audit_count *count)
{
    return count->late;
}

struct decimal audit_want_answer(struct audit_want *want)
{
    switch (want->aggregation) {
    case AGGREGATION_COUNT:
    case AGGREGATION_SUM:
        return want->sum;
    case AGGREGATION_MIN:
        return want->least;
    case AGGREGATION_MAX:
        return want->most;
    case AGGREGATION_LATEST:
        return want->latest;
    case AGGREGATION_AVG:
        return want->events ? decimal_divide_rounded(want->sum, want->events) : want->sum;
    case AGGREGATION_UNIQUE_COUNT:
        return decimal_from_int(distinct(want));
    }
    return want->sum;
}

void audit_want_deinit(struct audit_want *want)
{
    free(want->uniques);
    free(want->values);
}
