#include "aggregator/rules/count.h"

#include "aggregator/rules/rollup.h"
#include "common/base/partition.h"
#include "proto/usage_view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * Events are counted sixty-four at a time. What they are is read first, then their ids' slots,
 * which are waited for together: reads are kept where prefetches can be forgotten. What they are
 * added to was fetched while the sixty-four before them were counted, a few lines at each of these.
 */
enum { AT_ONCE = 64 };

#define GROSS_MAX (((uint128)1 << 127) - 1)
enum { AMOUNT_BITS = 90 /* of 10^15 with twelve decimals */ };
#define MINUTE_NS INT64_C(60000000000)

/* What an event shares with the one before it, nearly always. */
struct moment {
    uint64_t begins; /* the minute's first nanosecond */
    int64_t minute, day_number;
    struct day *day;                 /* NULL: not known yet */
    const struct cell_minute *cells; /* NULL: there are none yet */
};

struct ahead {
    struct usage_event event;
    const struct moment *at;
    struct cell **cells; /* of its entries */
};

/* Events that are counted together. */
struct group {
    size_t first, count; /* of the batch's events */
    struct ahead ahead[AT_ONCE];
    struct moment moments[AT_ONCE];                 /* theirs */
    struct cell *cells[AT_ONCE * USAGE_METERS_MAX]; /* of their entries; NULL: not there yet */
};

struct batch_series {
    uint32_t ids[USAGE_SERIES_MAX];      /* INDEX_NONE: not counted yet */
    uint32_t accounts[USAGE_SERIES_MAX]; /* INDEX_NONE: not asked for yet */
    bool has_room;                       /* for all of its values, whatever they are */
    struct group groups[2];              /* the one that is counted, and the next */
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
    tally->batch = malloc(sizeof(*tally->batch));
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

static bool is_late(const struct tally *tally, const struct ahead *ahead)
{
    const struct usage_event *event = &ahead->event;
    int128 age = (int128)instant_from_ms(event->arrival_ms).ns - event->time.ns;

    if (event->flags & USAGE_TIME_ABSENT)
        return !tally_is_open(tally, ahead->at->day_number - 1);
    return age > (int128)tally->horizon_ms * 1000000 ||
           !tally_is_open(tally, ahead->at->day_number);
}

/* --- series and accounts of a batch --- */

static uint32_t ask_account(struct tally *tally, const struct usage_batch *batch, uint16_t series)
{
    uint32_t *account = &tally->batch->accounts[series];
    struct text subscription = usage_view_subscription(batch, series);

    *account = ledger_find(&tally->ledger, subscription);
    if (*account == INDEX_NONE) {
        *account = ledger_take(&tally->ledger, subscription);
        ledger_set_misplaced(&tally->ledger, *account,
                             partition_of(subscription, tally->partitions) != tally->partition);
    }
    return *account;
}

static inline uint32_t account_of(struct tally *tally, const struct usage_batch *batch,
                                  uint16_t series)
{
    uint32_t account = tally->batch->accounts[series];

    return account != INDEX_NONE ? account : ask_account(tally, batch, series);
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

/* A series that the day hasn't seen yet, or that is new altogether. */
static uint32_t meet_series(struct tally *tally, const struct usage_batch *batch, uint16_t series,
                            struct day *day)
{
    struct series_name name = series_name_of(usage_view_encoded(batch, series));
    uint32_t *known = &tally->batch->ids[series];
    uint32_t account = account_of(tally, batch, series);
    struct usage_series met;
    uint32_t group, id;

    if (*known == INDEX_NONE) /* it may have been counted since: a batch can name it twice */
        *known = registry_find(&tally->series, &name);
    if (*known != INDEX_NONE && day_has_seen(day, *known))
        return *known;
    met = usage_series_at(batch, series);
    group = registry_group(&tally->series, &met);
    if (series_is_other(name.encoded) || limits_take(&tally->limits, &tally->series, day, group)) {
        if (*known == INDEX_NONE)
            *known = registry_add(&tally->series, &name, account);
        id = *known;
    } else {
        id = other_series(tally, &met, account);
    }
    day_see(day, id);
    return id;
}

/* The series that an entry counts under on the day: its own, or `__other__`. */
static inline uint32_t series_of(struct tally *tally, const struct usage_batch *batch,
                                 uint16_t series, struct day *day)
{
    uint32_t id = tally->batch->ids[series];

    if (id != INDEX_NONE && day_has_seen(day, id))
        return id;
    return meet_series(tally, batch, series, day);
}

/* --- one event --- */

/* Would all of the batch's events fit, whatever their values are? Else each is asked. */
static bool has_room(const struct tally *tally, const struct usage_batch *batch)
{
    return (uint128)batch->entry_count << AMOUNT_BITS <= GROSS_MAX - tally->gross;
}

static bool fits_gross(const struct tally *tally, const struct usage_batch *batch,
                       const struct usage_event *event)
{
    uint128 gross = tally->gross;

    for (size_t i = 0; i < event->entry_count; i++) {
        size_t entry = (size_t)event->first_entry + i;

        if (usage_view_aggregation(batch, usage_view_series(batch, entry)) ==
            AGGREGATION_UNIQUE_COUNT)
            continue;
        gross += (uint128)usage_view_amount(batch, entry).units;
        if (gross > GROSS_MAX)
            return false;
    }
    return true;
}

static void count_entry(struct cell *cell, enum aggregation aggregation, struct decimal amount,
                        struct instant time)
{
    struct cell more = {.count = 1};

    if (aggregation != AGGREGATION_COUNT)
        more.value = amount;
    if (aggregation == AGGREGATION_LATEST)
        more.time = time;
    cell_merge(aggregation, cell, &more);
}

static void count_entries(struct tally *tally, const struct usage_batch *batch,
                          const struct ahead *ahead, struct day *day)
{
    const struct usage_event *event = &ahead->event;
    struct cell **cells = ahead->cells;

    for (size_t i = event->first_entry; i < (size_t)event->first_entry + event->entry_count; i++) {
        uint16_t place = usage_view_series(batch, i);
        enum aggregation aggregation = usage_view_aggregation(batch, place);
        struct cell *cell = cells[i - event->first_entry];
        uint32_t series = series_of(tally, batch, place, day);

        if (!cell || series != tally->batch->ids[place])
            cell = cells_take(&tally->cells, ahead->at->minute, series);
        if (aggregation != AGGREGATION_UNIQUE_COUNT) {
            struct decimal amount = usage_view_amount(batch, i);

            tally->gross += (uint128)amount.units;
            count_entry(cell, aggregation, amount, event->time);
            continue;
        }
        uniques_add(&tally->uniques, cell_key(ahead->at->minute, series),
                    usage_view_unique(batch, i));
        cell->count = 1;
    }
}

static enum dedup_verdict look_id_up(struct tally *tally, const struct ahead *ahead)
{
    const struct usage_event *event = &ahead->event;
    const struct day *day = days_find(&tally->days, ahead->at->day_number);
    enum dedup_verdict verdict = DEDUP_NEW;

    if (event->flags & USAGE_NUMBERED)
        return numbered_look(&tally->numbered, event);
    if (day)
        verdict = day_look(day, &event->fingerprint);
    if (verdict != DEDUP_NEW || !(event->flags & USAGE_TIME_ABSENT))
        return verdict;
    day = days_find(&tally->days, ahead->at->day_number - 1);
    return day ? day_look(day, &event->fingerprint) : DEDUP_NEW;
}

/* Looks the id up and takes it when it is new and `fits`. */
static enum dedup_verdict take_id(struct tally *tally, const struct ahead *ahead, bool fits)
{
    const struct usage_event *event = &ahead->event;
    enum dedup_verdict verdict;

    if (fits && event->flags == 0 && ahead->at->day && !ahead->at->day->sealed)
        return dedup_take(&ahead->at->day->ids, &event->fingerprint);
    if (fits && event->flags & USAGE_NUMBERED)
        return numbered_take(&tally->numbered, event);
    verdict = look_id_up(tally, ahead);
    if (verdict == DEDUP_NEW && fits)
        dedup_add(&days_take(&tally->days, ahead->at->day_number)->ids, &event->fingerprint);
    return verdict;
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
                                const struct ahead *ahead, uint32_t account)
{
    enum dedup_verdict seen;
    struct day *day;
    bool fits;

    if (ledger_is_misplaced(&tally->ledger, account))
        return EVENT_MISPLACED;
    if (is_late(tally, ahead))
        return EVENT_LATE;
    fits = tally->batch->has_room || fits_gross(tally, batch, &ahead->event);
    seen = take_id(tally, ahead, fits);
    if (seen != DEDUP_NEW)
        return seen == DEDUP_CONFLICT ? EVENT_CONFLICT : EVENT_DUPLICATE;
    if (!fits)
        return EVENT_OVERFLOW;

    day = ahead->at->day ? ahead->at->day : days_take(&tally->days, ahead->at->day_number);
    count_entries(tally, batch, ahead, day);
    day->is_dirty = true;
    day->changed_offset = tally->next_offset;
    return EVENT_COUNTED;
}

static void count_event(struct tally *tally, const struct usage_batch *batch,
                        const struct ahead *ahead, size_t index, struct aside *asides,
                        size_t *aside_count)
{
    static const enum aside_reason reasons[] = {[EVENT_CONFLICT] = ASIDE_CONFLICT,
                                                [EVENT_LATE] = ASIDE_LATE,
                                                [EVENT_MISPLACED] = ASIDE_MISPLACED,
                                                [EVENT_OVERFLOW] = ASIDE_OVERFLOW};
    static const struct account_counts counts[] = {
        [EVENT_DUPLICATE] = {.accepted = 1, .duplicate = 1},
        [EVENT_CONFLICT] = {.accepted = 1, .duplicate = 1, .conflict = 1},
        [EVENT_LATE] = {.accepted = 1, .late = 1},
        [EVENT_MISPLACED] = {.accepted = 1, .rejected = 1},
        [EVENT_OVERFLOW] = {.accepted = 1, .rejected = 1}};
    uint32_t account = account_of(tally, batch, ahead->event.series);
    enum event_verdict verdict;

    arrive(tally, ahead->event.arrival_ms);
    verdict = judge(tally, batch, ahead, account);
    if (verdict == EVENT_COUNTED) {
        ledger_add_counted(&tally->ledger, account);
        return;
    }
    ledger_add(&tally->ledger, account, &counts[verdict]);
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

static void begin_moment(const struct tally *tally, struct instant time, struct moment *moment)
{
    moment->minute = floor_divide(time.ns, MINUTE_NS);
    moment->begins = (uint64_t)moment->minute * MINUTE_NS;
    moment->day_number = floor_divide(moment->minute, MINUTES_A_DAY);
    moment->day = days_find(&tally->days, moment->day_number);
    moment->cells = cells_minute(&tally->cells, moment->minute);
}

static void look_ahead(const struct tally *tally, const struct usage_batch *batch, size_t first,
                       struct group *group)
{
    struct moment *moment = group->moments;
    size_t left = batch->event_count - first;

    group->first = first;
    group->count = left < AT_ONCE ? left : AT_ONCE;
    for (size_t i = 0; i < group->count; i++) {
        struct ahead *ahead = &group->ahead[i];
        struct instant time;

        usage_view_event(batch, first + i, &ahead->event);
        time = ahead->event.time;
        if (i == 0)
            begin_moment(tally, time, moment);
        else if ((uint64_t)time.ns - moment->begins >= MINUTE_NS)
            begin_moment(tally, time, ++moment);
        ahead->at = moment;
        ahead->cells =
            group->cells + (ahead->event.first_entry - group->ahead[0].event.first_entry);
    }
}

static void fetch_id(const struct tally *tally, const struct ahead *ahead)
{
    const struct usage_event *event = &ahead->event;

    if (event->flags & USAGE_NUMBERED)
        numbered_prefetch(&tally->numbered, event);
    else if (ahead->at->day)
        dedup_fetch(&ahead->at->day->ids, &event->fingerprint);
}

/* What cells aren't there yet by now are looked for again when they are counted. */
static void fetch_sums(const struct tally *tally, const struct usage_batch *batch,
                       const struct ahead *ahead)
{
    const struct batch_series *known = tally->batch;
    const struct usage_event *event = &ahead->event;
    uint32_t account = known->accounts[event->series];

    if (account != INDEX_NONE)
        __builtin_prefetch(&tally->ledger.counted[account], 1);
    for (size_t i = 0; i < event->entry_count; i++) {
        uint32_t id = known->ids[usage_view_series(batch, event->first_entry + i)];
        struct cell *cell = NULL;

        if (ahead->at->cells && id != INDEX_NONE)
            cell = cells_find(ahead->at->cells, id);
        __builtin_prefetch(cell, 1);
        ahead->cells[i] = cell;
    }
}

static void count_group(struct tally *tally, const struct usage_batch *batch,
                        const struct group *group, const struct group *next, struct aside *asides,
                        size_t *aside_count)
{
    for (size_t i = 0; i < group->count; i++)
        fetch_id(tally, &group->ahead[i]);
    for (size_t i = 0; i < group->count; i++) {
        if (i < next->count)
            fetch_sums(tally, batch, &next->ahead[i]);
        count_event(tally, batch, &group->ahead[i], group->first + i, asides, aside_count);
    }
}

void tally_count(struct tally *tally, const struct usage_batch *batch, int64_t offset,
                 struct aside *asides, size_t *aside_count)
{
    struct group *group = &tally->batch->groups[0], *next = &tally->batch->groups[1];

    *aside_count = 0;
    pass(tally, offset, batch->event_count);
    registry_find_all(&tally->series, batch, tally->batch->ids, tally->batch->accounts);
    tally->batch->has_room = has_room(tally, batch);
    look_ahead(tally, batch, 0, group);
    for (size_t i = 0; i < group->count; i++)
        fetch_sums(tally, batch, &group->ahead[i]);
    while (group->count > 0) {
        struct group *counted = group;

        look_ahead(tally, batch, group->first + group->count, next);
        count_group(tally, batch, group, next, asides, aside_count);
        group = next;
        next = counted;
    }
}

void tally_reject(struct tally *tally, int64_t offset)
{
    pass(tally, offset, 1);
    ledger_add(&tally->ledger, ledger_take(&tally->ledger, (struct text){0}),
               &(struct account_counts){.accepted = 1, .rejected = 1});
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
