#include "aggregator/edges/publisher.h"

#include "aggregator/edges/span_read.h"
#include "common/base/fault.h"
#include "common/io/log.h"
#include "proto/counters.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FULL_WAIT_MS = 50,
    FULL_WAITS_MAX = 200,
    STEP_WINDOWS = 256,
    ENDED_AT_ONCE_MAX = 10000, /* windows: a tenth of a second */
};

void publisher_init(struct publisher *publisher)
{
    *publisher = (struct publisher){.catalog_offset = -1};
}

void publisher_deinit(struct publisher *publisher)
{
    windows_deinit(&publisher->windows);
    windows_deinit(&publisher->sending);
    windows_deinit(&publisher->whole);
    free(publisher->noted);
    buffer_deinit(&publisher->key);
    buffer_deinit(&publisher->value);
    buffer_deinit(&publisher->dimensions);
}

/* --- noting --- */

/* The subscription's cuts; midnight for one that the catalog doesn't know (yet). */
static const uint16_t *cuts_of(const struct catalog *catalog, struct text subscription,
                               size_t *count)
{
    static const uint16_t midnight[] = {0};
    const uint16_t *cuts = catalog_cuts(catalog, subscription, count);

    if (cuts)
        return cuts;
    *count = 1;
    return midnight;
}

/* The same of a row whose cuts were taken down, without a search for the subscription. */
static const uint16_t *cuts_of_row(const struct catalog *catalog, const struct ledger *ledger,
                                   uint32_t number, size_t *count)
{
    const uint16_t *cuts = catalog_cuts_known(catalog, ledger->accounts[number].cuts, count);

    return cuts ? cuts : cuts_of(catalog, ledger->names[number], count);
}

static void note_unique(struct publisher *publisher, const struct changed_window *window,
                        const struct unique *unique)
{
    struct changed_unique changed = {.line = window->line, .from = window->from, .to = window->to};

    memcpy(changed.hash, unique->hash, sizeof(changed.hash));
    windows_add_unique(&publisher->windows, &changed);
}

static struct changed_window window_of(const struct catalog *catalog, const struct tally *tally,
                                       int64_t minute, uint32_t id)
{
    const struct series *series = &tally->series.series[id];
    struct changed_window window = {.line = series->line};
    size_t count;
    const uint16_t *cuts = cuts_of_row(catalog, &tally->ledger, series->account, &count);

    counters_window(cuts, count, minute, &window.from, &window.to);
    return window;
}

/* Where nearly all chunks are touched, nearly all lines will be. */
static void expect_windows(struct publisher *publisher, const struct tally *tally)
{
    uint32_t lines = tally->series.line_count;

    if (tally->cells.count * CHUNK_CELLS >= lines)
        windows_make_room(&publisher->windows, lines);
}

static void make_noted_room(struct publisher *publisher, uint32_t count)
{
    uint32_t room = publisher->noted_room ? publisher->noted_room : 64;

    if (count <= publisher->noted_room)
        return;
    while (room < count)
        room *= 2;
    publisher->noted = realloc(publisher->noted, room * sizeof(*publisher->noted));
    if (!publisher->noted)
        abort();
    memset(publisher->noted + publisher->noted_room, 0,
           (room - publisher->noted_room) * sizeof(*publisher->noted));
    publisher->noted_room = room;
}

static void forget_noted(struct publisher *publisher)
{
    if (publisher->noted)
        memset(publisher->noted, 0, publisher->noted_room * sizeof(*publisher->noted));
}

/* Is the minute in another window than the one that the series was noted in last? */
static bool is_news(struct publisher *publisher, const struct catalog *catalog,
                    const struct tally *tally, int64_t minute, uint32_t id,
                    struct changed_window *window)
{
    struct noted_window *noted = &publisher->noted[id];

    if (minute >= noted->from && minute < noted->to)
        return false;
    *window = window_of(catalog, tally, minute, id);
    *noted = (struct noted_window){.from = (int32_t)window->from, .to = (int32_t)window->to};
    return true;
}

static void note_chunk(struct publisher *publisher, const struct catalog *catalog,
                       const struct tally *tally, uint64_t chunk)
{
    const struct cell *cells = cells_chunk(&tally->cells, chunk);
    uint64_t key = tally->cells.keys[chunk];
    struct changed_window news[CHUNK_CELLS];
    size_t count = 0;

    static_assert((int)CHUNK_CELLS <= (int)WINDOWS_TOGETHER, "a chunk is noted at once");
    for (uint32_t place = 0; place < CHUNK_CELLS; place++)
        if (cells[place].count > 0)
            count += is_news(publisher, catalog, tally, cell_window(key),
                             cell_series(key) * CHUNK_CELLS + place, &news[count]);
    windows_add_all(&publisher->windows, news, count);
}

int publisher_note(struct publisher *publisher, const struct vault *vault, struct tally *tally)
{
    const struct catalog *catalog = catalog_feed_lock(publisher->feed, NULL);

    (void)vault;
    make_noted_room(publisher, tally->series.count);
    expect_windows(publisher, tally);
    for (uint64_t i = 0; i < tally->cells.count; i++)
        note_chunk(publisher, catalog, tally, i);
    for (uint64_t i = 0; i < tally->uniques.room; i++) {
        const struct unique *unique = &tally->uniques.slots[i];
        struct changed_window window;

        if (unique->key == 0)
            continue;
        window = window_of(catalog, tally, cell_window(unique->key), cell_series(unique->key));
        note_unique(publisher, &window, unique);
    }
    catalog_feed_unlock(publisher->feed);
    return 0;
}

/* Has a series of the line a cell on the day? Of a closed day it isn't known: it may have. */
static bool may_touch(const struct tally *tally, uint32_t line, const struct day *day)
{
    if (!day->is_open)
        return true;
    for (uint32_t id = tally->series.lines[line].first; id != INDEX_NONE;
         id = tally->series.series[id].next_in_line)
        if (day_has_seen(day, id))
            return true;
    return false;
}

/* Every billing window that touches the day. */
static void note_day(struct publisher *publisher, uint32_t line, const uint16_t *cuts,
                     size_t cut_count, int64_t day)
{
    int64_t minute = day * MINUTES_A_DAY, end = minute + MINUTES_A_DAY;

    while (minute < end) {
        struct changed_window window = {.line = line, .with_uniques = true};

        counters_window(cuts, cut_count, minute, &window.from, &window.to);
        windows_add(&publisher->windows, window);
        minute = window.to;
    }
}

static struct text subscription_of_line(const struct tally *tally, uint32_t line)
{
    const struct series *first = &tally->series.series[tally->series.lines[line].first];

    return tally->ledger.names[first->account];
}

void publisher_note_days(struct publisher *publisher, const struct tally *tally, int64_t offset)
{
    const struct catalog *catalog = catalog_feed_lock(publisher->feed, NULL);

    for (struct day *day = days_next(&tally->days, INT32_MIN); day;
         day = days_next(&tally->days, (int64_t)day->number + 1)) {
        if (day->changed_offset <= offset)
            continue;
        for (uint32_t line = 0; line < tally->series.line_count; line++) {
            size_t count;
            const uint16_t *cuts = cuts_of(catalog, subscription_of_line(tally, line), &count);

            if (may_touch(tally, line, day))
                note_day(publisher, line, cuts, count, day->number);
        }
    }
    catalog_feed_unlock(publisher->feed);
}

static void note_account(struct publisher *publisher, const struct catalog *catalog,
                         struct tally *tally, uint32_t line)
{
    size_t count;
    const uint16_t *cuts = cuts_of(catalog, subscription_of_line(tally, line), &count);

    for (struct day *day = days_next(&tally->days, INT32_MIN); day;
         day = days_next(&tally->days, (int64_t)day->number + 1))
        if (may_touch(tally, line, day))
            note_day(publisher, line, cuts, count, day->number);
}

/* Takes down the cuts of a row; were there others? */
static bool take_cuts(struct publisher *publisher, const struct catalog *catalog,
                      struct tally *tally, uint32_t number)
{
    uint64_t before = tally->ledger.accounts[number].cuts, hash;
    size_t count;
    const uint16_t *cuts = cuts_of(catalog, tally->ledger.names[number], &count);

    hash = catalog_cuts_hash(cuts, count);
    if (before == hash)
        return false;
    ledger_set_cuts(&tally->ledger, number, hash);
    if (before == 0)
        return false;
    /* The new hash is in the store before the windows are on the topic: a crash in between must
     * find that nothing is certain. */
    publisher->published->offset = -1;
    publisher->published->generation++;
    return true;
}

static void note_row(bool **rows, uint32_t row, uint32_t count)
{
    if (!*rows)
        *rows = calloc(count, sizeof(**rows));
    if (!*rows)
        abort();
    (*rows)[row] = true;
}

/* By row, whose cuts have changed; NULL when nobody's. Rows are looked at whose subscriptions the
 * catalog says, or all when it has forgotten some, and those that are new. */
static bool *take_changed_cuts(struct publisher *publisher, const struct catalog *catalog,
                               struct tally *tally)
{
    uint64_t changes = catalog_cuts_changes(catalog);
    bool is_followed = publisher->catalog_offset >= 0 &&
                       changes - publisher->catalog_changes <= CATALOG_CUTS_RECENT;
    uint32_t count = tally->ledger.count, row = is_followed ? publisher->catalog_accounts : 0;
    bool *changed = NULL;

    for (; row < count; row++)
        if (take_cuts(publisher, catalog, tally, row))
            note_row(&changed, row, count);
    for (uint64_t i = publisher->catalog_changes; is_followed && i < changes; i++) {
        row = ledger_find(&tally->ledger, catalog_cuts_changed(catalog, i));
        if (row != INDEX_NONE && take_cuts(publisher, catalog, tally, row))
            note_row(&changed, row, count);
    }
    publisher->catalog_changes = changes;
    publisher->catalog_accounts = count;
    return changed;
}

void publisher_note_cuts(struct publisher *publisher, struct tally *tally)
{
    int64_t catalog_offset;
    const struct catalog *catalog = catalog_feed_lock(publisher->feed, &catalog_offset);
    bool *changed = take_changed_cuts(publisher, catalog, tally);

    for (uint32_t line = 0; changed && line < tally->series.line_count; line++)
        if (changed[tally->series.series[tally->series.lines[line].first].account])
            note_account(publisher, catalog, tally, line);
    if (changed) { /* windows on the old cuts */
        forget_noted(publisher);
        publisher->mixed_passes = 2;
    }
    publisher->catalog_offset = catalog_offset;
    catalog_feed_unlock(publisher->feed);
    free(changed);
}

/* Has a day that the window touches changed since the state before `next_offset`? */
static bool has_changed(const struct tally *tally, int64_t from, int64_t to, int64_t next_offset)
{
    int64_t last = floor_divide(to - 1, MINUTES_A_DAY);

    for (struct day *day = days_next(&tally->days, floor_divide(from, MINUTES_A_DAY));
         day && day->number <= last; day = days_next(&tally->days, (int64_t)day->number + 1))
        if (day->changed_offset > next_offset)
            return true;
    return false;
}

static int64_t minute_in(struct text *rest)
{
    struct text digits = text_cut(rest, '/');

    return digits.length ? strtoll(digits.at, NULL, 10) : 0;
}

/* A meter's series are a group for each aggregation that it had. Of one that was overwritten, many
 * windows were: all are noted with the first. */
static void note_meter(struct publisher *publisher, const struct registry *registry,
                       struct usage_series named, struct changed_window window)
{
    for (int i = 0; i <= AGGREGATION_UNIQUE_COUNT; i++) {
        uint32_t group, id, before = publisher->whole.count;

        named.aggregation = (enum aggregation)i;
        group = window.line = registry_group(registry, &named);
        if (group == INDEX_NONE)
            continue;
        windows_add(&publisher->whole, window);
        if (publisher->whole.count == before)
            continue;
        for (id = registry->groups[group].first; id != INDEX_NONE;
             id = registry->series[id].next_in_group) {
            window.line = registry->series[id].line;
            windows_add(&publisher->windows, window);
        }
    }
}

void publisher_note_foreign(struct publisher *publisher, const struct tally *tally, struct text key,
                            int64_t next_offset)
{
    struct text rest = key, kind = text_cut(&rest, '/');
    struct usage_series named = {.subscription = text_cut(&rest, '/')};
    struct changed_window window = {.with_uniques = true};

    (void)kind;
    named.meter = text_cut(&rest, '/');
    window.from = minute_in(&rest);
    window.to = minute_in(&rest);
    if (window.from < window.to && window.to - window.from <= MINUTES_A_DAY &&
        has_changed(tally, window.from, window.to, next_offset)) {
        note_meter(publisher, &tally->series, named, window);
        publisher->mixed_passes = 2;
    }
}

/* --- sending --- */

static void on_total(void *context, int64_t offset, const char *why)
{
    struct published *published = context;

    (void)why;
    published->unconfirmed--;
    if (offset >= 0) {
        if (published->last_total < offset)
            published->last_total = offset;
        return;
    }
    published->has_lost = true;
    published->generation++;
}

static int send_record(struct publisher *publisher, int32_t partition,
                       producer_delivered *delivered, void *context)
{
    struct kafka_header header = {.name = "tollway_owner", .value = text_of(publisher->writer)};
    struct kafka_message message = {.partition = partition,
                                    .key = buffer_text(&publisher->key),
                                    .value = buffer_text(&publisher->value),
                                    .headers = &header,
                                    .header_count = 1};
    int r = PRODUCER_FULL;

    for (int waits = 0; r == PRODUCER_FULL && waits < FULL_WAITS_MAX; waits++) {
        r = producer_send(publisher->producer, publisher->topic, &message, delivered, context);
        if (r == PRODUCER_FULL)
            producer_poll(publisher->producer, FULL_WAIT_MS);
    }
    if (r == PRODUCER_FULL)
        return fault(FAULT_RETRY, "%s takes no more records just now", publisher->topic);
    return r ? fault_pass(r) : 0;
}

static int send_total(struct publisher *publisher, int32_t partition,
                      const struct counters_total *record)
{
    int r;

    counters_encode_total(record, &publisher->key, &publisher->value);
    r = send_record(publisher, partition, on_total, publisher->published);
    publisher->published->unconfirmed += r == 0;
    return r ? fault_pass(r) : 0;
}

/* Of a window that hasn't changed since the pass began a total isn't newer than the pass's mark: a
 * close takes it for what that mark says. One on earlier cuts isn't noted when it changes. */
static int64_t state_of(const struct publisher *publisher, const struct vault *vault,
                        const struct changed_window *window)
{
    return publisher->mixed_passes > 0 || windows_hold(&publisher->windows, window)
               ? vault->state.next_offset
               : publisher->mark.next_offset;
}

static void name_window(struct publisher *publisher, const struct vault *vault,
                        const struct tally *tally, struct changed_window window,
                        struct counters_total *record)
{
    const struct series *first = &tally->series.series[tally->series.lines[window.line].first];
    struct usage_series series;

    if (!series_decode(series_text(first), &series))
        assert(!"a registered series can be decoded");
    buffer_clear(&publisher->dimensions);
    counters_dimensions(series.dimensions, series.dimension_count, &publisher->dimensions);
    *record = (struct counters_total){.subscription = series.subscription,
                                      .meter = series.meter,
                                      .dimensions = buffer_text(&publisher->dimensions),
                                      .from_minute = window.from,
                                      .to_minute = window.to,
                                      .total = {.aggregation = series.aggregation},
                                      .next_offset = state_of(publisher, vault, &window)};
}

static int send_unique(struct publisher *publisher, const struct tally *tally,
                       struct counters_total *record, const uint8_t hash[16])
{
    record->is_unique = true;
    memcpy(record->unique, hash, sizeof(record->unique));
    record->total.count = 1;
    return send_total(publisher, tally->partition, record);
}

static int send_window(struct publisher *publisher, struct span_read *read,
                       const struct vault *vault, const struct tally *tally,
                       const struct changed_window *window)
{
    struct counters_total record;
    int r;

    if (!span_is_stored(tally, window->from, window->to))
        return 0;
    name_window(publisher, vault, tally, *window, &record);
    span_read_begin(read, record.total.aggregation);
    for (uint32_t id = tally->series.lines[window->line].first; id != INDEX_NONE;
         id = tally->series.series[id].next_in_line) {
        r = span_read_series(read, id, window->from, window->to);
        if (r)
            return fault_pass(r);
    }
    span_read_finish(read);
    if (read->total.count == 0)
        return 0;
    record.total = read->total;
    r = send_total(publisher, tally->partition, &record);
    for (size_t i = 0; r == 0 && window->with_uniques && i < read->hash_count; i++)
        r = send_unique(publisher, tally, &record, read->hashes[i]);
    return r ? fault_pass(r) : 0;
}

static int send_uniques(struct publisher *publisher, const struct vault *vault,
                        const struct tally *tally)
{
    struct windows *windows = &publisher->sending;

    for (int i = 0; i < STEP_WINDOWS && windows->unique_count > 0; i++) {
        const struct changed_unique *unique = &windows->uniques[windows->unique_count - 1];
        struct changed_window window = {
            .line = unique->line, .from = unique->from, .to = unique->to};
        struct counters_total record;
        int r;

        name_window(publisher, vault, tally, window, &record);
        record.next_offset = publisher->mark.next_offset; /* noted before: it is in there */
        r = send_unique(publisher, tally, &record, unique->hash);
        if (r)
            return fault_pass(r);
        windows->unique_count--;
    }
    return 0;
}

struct sent_mark {
    struct published *published;
    int64_t next_offset, followed;
    uint32_t generation;
};

static void on_mark(void *context, int64_t offset, const char *why)
{
    struct sent_mark *mark = context;
    struct published *published = mark->published;

    (void)why;
    if (offset >= 0 && mark->generation == published->generation) {
        if (published->offset < mark->next_offset)
            published->offset = mark->next_offset;
        if (published->followed < mark->followed)
            published->followed = mark->followed;
    }
    free(mark);
}

static int send_mark(struct publisher *publisher)
{
    struct sent_mark *sent = malloc(sizeof(*sent));
    int r;

    if (!sent)
        abort();
    *sent = (struct sent_mark){.published = publisher->published,
                               .next_offset = publisher->mark.next_offset,
                               .followed = publisher->pass_followed,
                               .generation = publisher->pass_generation};
    counters_encode_mark(&publisher->mark, &publisher->key, &publisher->value);
    r = send_record(publisher, publisher->mark.partition, on_mark, sent);
    if (r)
        free(sent);
    return r ? fault_pass(r) : 0;
}

/* What was on its way behind the last confirmed mark may be lost. */
static void note_lost(struct publisher *publisher, const struct tally *tally)
{
    if (!publisher->published->has_lost)
        return;
    publisher->published->has_lost = false;
    log_message(LOG_WARN, "totals_refused",
                "partition %d: %s has refused some; they are sent again", tally->partition,
                publisher->topic);
    publisher_note_days(publisher, tally, publisher->published->offset);
}

void publisher_begin(struct publisher *publisher, const struct vault *vault, struct tally *tally)
{
    const struct account_counts *counts = &tally->ledger.committed_sum;
    struct windows noted;

    assert(!publisher->is_sending);
    note_lost(publisher, tally);
    /* Last, so that all is noted on cuts that the mark is of. */
    publisher_note_cuts(publisher, tally);
    publisher->mixed_passes -= publisher->mixed_passes > 0;
    noted = publisher->windows;
    publisher->windows = publisher->sending;
    publisher->sending = noted;
    windows_deinit(&publisher->whole);
    publisher->sent = 0;
    forget_noted(publisher);
    publisher->is_sending = true;
    publisher->pass_generation = publisher->published->generation;
    publisher->pass_followed = publisher->followed;
    publisher->mark =
        (struct counters_mark){.partition = tally->partition,
                               .next_offset = vault->state.next_offset,
                               .catalog_offset = publisher->catalog_offset,
                               .watermark = instant_from_ms(vault->state.watermark_ms),
                               .accepted = counts->accepted,
                               .counted = counts->counted,
                               .duplicate = counts->duplicate,
                               .conflict = counts->conflict,
                               .rejected = counts->rejected,
                               .late = counts->late,
                               .has_horizon = true,
                               .horizon_ms = tally->horizon_ms};
    digest_format(vault->state.digest, publisher->mark.digest);
    (void)snprintf(publisher->mark.owner, sizeof(publisher->mark.owner), "%s", publisher->owner);
    publisher->ended =
        windows_put_ended_first(&publisher->sending, instant_minute(publisher->mark.watermark));
}

static bool has_unsent(const struct publisher *publisher)
{
    return publisher->sent < publisher->sending.count || publisher->sending.unique_count > 0;
}

bool publisher_can_step(const struct publisher *publisher)
{
    return publisher->is_sending &&
           (has_unsent(publisher) || publisher->published->unconfirmed == 0);
}

bool publisher_is_urgent(const struct publisher *publisher)
{
    return publisher->is_sending && publisher->ended <= ENDED_AT_ONCE_MAX &&
           publisher->sent < publisher->ended;
}

int publisher_step(struct publisher *publisher, const struct vault *vault,
                   const struct tally *tally)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    CLEANUP(span_read_deinit) struct span_read read;
    struct windows *windows = &publisher->sending;
    uint32_t until = publisher_is_urgent(publisher) ? publisher->ended : windows->count;
    int r = store_begin(vault->store, STORE_READ, &txn);

    assert(publisher->is_sending);
    span_read_init(&read, txn);
    for (int i = 0; r == 0 && i < STEP_WINDOWS && publisher->sent < until; i++) {
        r = send_window(publisher, &read, vault, tally, &windows->changed[publisher->sent]);
        publisher->sent += r == 0;
    }
    if (r == 0 && publisher->sent == windows->count)
        r = send_uniques(publisher, vault, tally);
    if (r)
        return fault_pass(r);
    if (!publisher_can_step(publisher) || has_unsent(publisher))
        return 0;
    if (!publisher->published->has_lost)
        r = send_mark(publisher);
    if (r)
        return fault_pass(r);
    windows_deinit(windows); /* a quiet process needn't hold what a busy one noted */
    publisher->sent = 0;
    publisher->is_sending = false;
    return 0;
}

static int send_pass(struct publisher *publisher, const struct vault *vault,
                     const struct tally *tally, int flush_ms)
{
    int r = 0;

    while (r == 0 && publisher->is_sending) {
        r = publisher_step(publisher, vault, tally);
        if (r == 0 && publisher->is_sending && !publisher_can_step(publisher))
            r = producer_flush(publisher->producer, flush_ms);
    }
    return r ? fault_pass(r) : 0;
}

int publisher_send(struct publisher *publisher, const struct vault *vault, struct tally *tally,
                   int flush_ms)
{
    int r = send_pass(publisher, vault, tally, flush_ms);

    if (r || publisher->published->has_lost)
        return r ? fault_pass(r) : 0;
    publisher_begin(publisher, vault, tally);
    return send_pass(publisher, vault, tally, flush_ms);
}
