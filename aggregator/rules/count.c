#include "aggregator/rules/count.h"

#include "aggregator/rules/rollup.h"
#include "common/base/partition.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT_AHEAD = 16 /* events whose memory is fetched ahead */ };

#define GROSS_MAX (((uint128)1 << 127) - 1)

struct batch_series {
    struct series_name name;
    uint32_t id;      /* INDEX_NONE: not counted yet */
    uint32_t account; /* INDEX_NONE: not asked for yet */
    size_t at;        /* of its encoded form in `text` */
};

const char *aside_reason_name(enum aside_reason reason)
{
    static const char *const names[] = {"late", "conflict", "misplaced", "total_overflow"};

    return names[reason];
}

struct tally *tally_new(int32_t partition, int32_t partitions, int64_t horizon_ms)
{
    struct tally *tally = calloc(1, sizeof(*tally));

    assert(partition >= 0 && partition < partitions && horizon_ms >= 0);
    if (!tally)
        abort();
    tally->batch = malloc(USAGE_SERIES_MAX * sizeof(*tally->batch));
    if (!tally->batch)
        abort();
    tally->partition = partition;
    tally->partitions = partitions;
    tally->horizon_ms = horizon_ms;
    tally->watermark_ms = tally->clock_ms = INT64_MIN;
    tally->first_open_day = INT32_MIN;
    tally->limits.combinations_max = LIMITS_COMBINATIONS_MAX;
    return tally;
}

struct tally *tally_free(struct tally *tally)
{
    if (!tally)
        return NULL;
    registry_deinit(&tally->series);
    days_deinit(&tally->days);
    cells_deinit(&tally->cells);
    uniques_deinit(&tally->uniques);
    ledger_deinit(&tally->ledger);
    limits_deinit(&tally->limits);
    numbered_deinit(&tally->numbered);
    buffer_deinit(&tally->text);
    buffer_deinit(&tally->other);
    free(tally->batch);
    free(tally);
    return NULL;
}

/* --- time --- */

bool tally_is_open(const struct tally *tally, int64_t day)
{
    return day >= tally->first_open_day;
}

void tally_age(struct tally *tally)
{
    int32_t first;

    if (tally->clock_ms == INT64_MIN)
        return;
    first = rollup_first_open_day(tally->clock_ms, tally->horizon_ms);
    if (first <= tally->first_open_day)
        return;
    tally->first_open_day = first;
    days_close(&tally->days, first);
    limits_clear(&tally->limits);
}

static void arrive(struct tally *tally, int64_t arrival_ms)
{
    if (arrival_ms > tally->watermark_ms)
        tally->watermark_ms = arrival_ms;
    if (tally->clock_ms == INT64_MIN)
        tally->clock_ms = arrival_ms;
    else if (arrival_ms > tally->clock_ms)
        tally->clock_ms = rollup_clock(tally->clock_ms, arrival_ms);
    else
        return;
    tally_age(tally);
}

static bool is_late(const struct tally *tally, const struct usage_event *event)
{
    int64_t day = instant_day(event->time);
    int128 age = (int128)instant_from_ms(event->arrival_ms).ns - event->time.ns;

    if (event->flags & USAGE_TIME_ABSENT)
        return !tally_is_open(tally, day - 1);
    return age > (int128)tally->horizon_ms * 1000000 || !tally_is_open(tally, day);
}

/* --- series and accounts of a batch --- */

static void name_series(struct tally *tally, const struct usage_batch *batch)
{
    buffer_clear(&tally->text);
    for (size_t i = 0; i < batch->series_count; i++) {
        tally->batch[i].at = tally->text.length;
        series_encode(&batch->series[i], &tally->text);
    }
    for (size_t i = 0; i < batch->series_count; i++) {
        struct batch_series *known = &tally->batch[i];
        size_t end = i + 1 < batch->series_count ? tally->batch[i + 1].at : tally->text.length;

        known->name = series_name_of(text_from(tally->text.at + known->at, end - known->at));
        registry_prefetch(&tally->series, &known->name);
    }
}

static void look_series_up(struct tally *tally, const struct usage_batch *batch)
{
    name_series(tally, batch);
    for (size_t i = 0; i < batch->series_count; i++) {
        struct batch_series *known = &tally->batch[i];

        known->id = registry_find(&tally->series, &known->name);
        known->account = known->id == INDEX_NONE ? (uint32_t)INDEX_NONE
                                                 : tally->series.series[known->id].account;
    }
}

static uint32_t account_of(struct tally *tally, const struct usage_batch *batch, uint16_t series)
{
    struct batch_series *known = &tally->batch[series];
    struct text subscription = batch->series[series].subscription;

    if (known->account != INDEX_NONE)
        return known->account;
    known->account = ledger_find(&tally->ledger, subscription);
    if (known->account == INDEX_NONE) {
        known->account = ledger_take(&tally->ledger, subscription);
        tally->ledger.accounts[known->account].is_misplaced =
            partition_of(subscription, tally->partitions) != tally->partition;
    }
    return known->account;
}

/* Past the limit, the series of `__other__` takes the place of the batch's. */
static uint32_t other_series(struct tally *tally, const struct usage_series *series,
                             uint32_t account)
{
    struct series_name name;
    uint32_t id;

    buffer_clear(&tally->other);
    series_encode_other(series, &tally->other);
    name = series_name_of(buffer_text(&tally->other));
    id = registry_find(&tally->series, &name);
    return id != INDEX_NONE ? id : registry_add(&tally->series, &name, account);
}

/* The series that an entry counts under on the day: its own, or `__other__`. */
static uint32_t series_of(struct tally *tally, const struct usage_batch *batch, uint16_t series,
                          struct day *day)
{
    struct batch_series *known = &tally->batch[series];
    uint32_t account = account_of(tally, batch, series);
    uint32_t group, id;

    if (known->id == INDEX_NONE) /* it may have been counted since: a batch can name it twice */
        known->id = registry_find(&tally->series, &known->name);
    if (known->id != INDEX_NONE && day_has_seen(day, known->id))
        return known->id;
    group = registry_group(&tally->series, &batch->series[series]);
    if (series_is_other(known->name.encoded) ||
        limits_take(&tally->limits, &tally->series, day, group)) {
        if (known->id == INDEX_NONE)
            known->id = registry_add(&tally->series, &known->name, account);
        id = known->id;
    } else {
        id = other_series(tally, &batch->series[series], account);
    }
    day_see(day, id);
    return id;
}

/* --- one event --- */

static bool fits_gross(const struct tally *tally, const struct usage_batch *batch,
                       const struct usage_event *event, uint128 *gross)
{
    *gross = tally->gross;
    for (size_t i = 0; i < event->entry_count; i++) {
        struct usage_entry entry = usage_entry_at(batch, event->first_entry + i);

        if (batch->series[entry.series].aggregation == AGGREGATION_UNIQUE_COUNT)
            continue;
        *gross += (uint128)entry.value.amount.units;
        if (*gross > GROSS_MAX)
            return false;
    }
    return true;
}

static void count_entries(struct tally *tally, const struct usage_batch *batch,
                          const struct usage_event *event, struct day *day)
{
    int64_t minute = instant_minute(event->time);

    for (size_t i = 0; i < event->entry_count; i++) {
        struct usage_entry entry = usage_entry_at(batch, event->first_entry + i);
        enum aggregation aggregation = batch->series[entry.series].aggregation;
        uint64_t key = cell_key(minute, series_of(tally, batch, entry.series, day));
        struct total more = {.aggregation = aggregation, .count = 1};

        if (aggregation == AGGREGATION_UNIQUE_COUNT) {
            uniques_add(&tally->uniques, key, entry.value.unique);
            more.count = 0;
        } else if (aggregation != AGGREGATION_COUNT) {
            more.value = entry.value.amount;
        }
        if (aggregation == AGGREGATION_LATEST)
            more.time = event->time;
        cells_add(&tally->cells, key, &more);
    }
}

static enum dedup_verdict look_id_up(struct tally *tally, const struct usage_event *event)
{
    int64_t number = instant_day(event->time);
    const struct day *day = days_find(&tally->days, number);
    enum dedup_verdict verdict = DEDUP_NEW;

    if (event->flags & USAGE_NUMBERED)
        return numbered_look(&tally->numbered, event);
    if (day)
        verdict = day_look(day, &event->fingerprint);
    if (verdict != DEDUP_NEW || !(event->flags & USAGE_TIME_ABSENT))
        return verdict;
    day = days_find(&tally->days, number - 1);
    return day ? day_look(day, &event->fingerprint) : DEDUP_NEW;
}

enum event_verdict {
    EVENT_COUNTED,
    EVENT_DUPLICATE,
    EVENT_CONFLICT,
    EVENT_LATE,
    EVENT_MISPLACED,
    EVENT_OVERFLOW
};

static enum event_verdict judge(struct tally *tally, const struct usage_batch *batch,
                                const struct usage_event *event, uint32_t account)
{
    enum dedup_verdict seen;
    struct day *day;
    uint128 gross;

    if (tally->ledger.accounts[account].is_misplaced)
        return EVENT_MISPLACED;
    if (is_late(tally, event))
        return EVENT_LATE;
    seen = look_id_up(tally, event);
    if (seen != DEDUP_NEW)
        return seen == DEDUP_CONFLICT ? EVENT_CONFLICT : EVENT_DUPLICATE;
    if (!fits_gross(tally, batch, event, &gross))
        return EVENT_OVERFLOW;

    day = days_take(&tally->days, instant_day(event->time));
    if (event->flags & USAGE_NUMBERED)
        numbered_add(&tally->numbered, event);
    else
        dedup_add(&day->ids, &event->fingerprint);
    count_entries(tally, batch, event, day);
    day->is_dirty = true;
    day->changed_offset = tally->next_offset;
    tally->gross = gross;
    return EVENT_COUNTED;
}

static void enter(struct account_counts *counts, enum event_verdict verdict)
{
    counts->accepted++;
    counts->counted += verdict == EVENT_COUNTED;
    counts->duplicate += verdict == EVENT_DUPLICATE || verdict == EVENT_CONFLICT;
    counts->conflict += verdict == EVENT_CONFLICT;
    counts->late += verdict == EVENT_LATE;
    counts->rejected += verdict == EVENT_MISPLACED || verdict == EVENT_OVERFLOW;
}

static void count_event(struct tally *tally, const struct usage_batch *batch, size_t index,
                        struct aside *asides, size_t *aside_count)
{
    static const enum aside_reason reasons[] = {[EVENT_CONFLICT] = ASIDE_CONFLICT,
                                                [EVENT_LATE] = ASIDE_LATE,
                                                [EVENT_MISPLACED] = ASIDE_MISPLACED,
                                                [EVENT_OVERFLOW] = ASIDE_OVERFLOW};
    struct usage_event event = usage_event_at(batch, index);
    uint32_t account = account_of(tally, batch, event.series);
    enum event_verdict verdict;

    arrive(tally, event.arrival_ms);
    verdict = judge(tally, batch, &event, account);
    enter(&ledger_change(&tally->ledger, account)->counts, verdict);
    if (verdict > EVENT_DUPLICATE)
        asides[(*aside_count)++] =
            (struct aside){.event = (uint16_t)index, .reason = reasons[verdict]};
}

/* --- messages --- */

static void pass(struct tally *tally, int64_t offset, uint64_t events)
{
    assert(offset >= tally->next_offset);
    tally->next_offset = offset + 1;
    tally->pending++;
    tally->pending_events += events;
}

static void fetch_ahead(const struct tally *tally, const struct usage_batch *batch, size_t index)
{
    struct usage_event event;
    const struct day *day;

    if (index >= batch->event_count)
        return;
    event = usage_event_at(batch, index);
    day = days_find(&tally->days, instant_day(event.time));
    if (event.flags & USAGE_NUMBERED)
        numbered_prefetch(&tally->numbered, &event);
    else if (day)
        dedup_prefetch(&day->ids, &event.fingerprint);
    if (tally->batch[event.series].id != INDEX_NONE)
        cells_prefetch(&tally->cells,
                       cell_key(instant_minute(event.time), tally->batch[event.series].id));
}

void tally_count(struct tally *tally, const struct usage_batch *batch, int64_t offset,
                 struct aside *asides, size_t *aside_count)
{
    *aside_count = 0;
    pass(tally, offset, batch->event_count);
    look_series_up(tally, batch);
    for (size_t i = 0; i < COUNT_AHEAD; i++)
        fetch_ahead(tally, batch, i);
    for (size_t i = 0; i < batch->event_count; i++) {
        fetch_ahead(tally, batch, i + COUNT_AHEAD);
        count_event(tally, batch, i, asides, aside_count);
    }
}

void tally_reject(struct tally *tally, int64_t offset)
{
    struct account *account;

    pass(tally, offset, 1);
    account = ledger_change(&tally->ledger, ledger_take(&tally->ledger, (struct text){0}));
    account->counts.accepted++;
    account->counts.rejected++;
}

void tally_committed(struct tally *tally)
{
    for (struct day *day = days_next(&tally->days, INT32_MIN); day;
         day = days_next(&tally->days, (int64_t)day->number + 1)) {
        if (!day->is_dirty)
            continue;
        dedup_committed(&day->ids);
        day->sums = day->staged;
        day->runs = day->staged_runs;
        day->is_dirty = false;
    }
    ledger_committed(&tally->ledger);
    cells_clear(&tally->cells);
    uniques_clear(&tally->uniques);
    tally->series_committed = tally->series.count;
    tally->pending = tally->pending_events = 0;
}
