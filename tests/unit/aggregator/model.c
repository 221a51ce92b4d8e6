#include "tests/unit/aggregator/model.h"

#include "common/base/partition.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

void model_init(struct model *model, int64_t horizon_ms, size_t combinations_max)
{
    *model = (struct model){.horizon_ms = horizon_ms,
                            .combinations_max = combinations_max,
                            .clock_ms = INT64_MIN,
                            .watermark_ms = INT64_MIN,
                            .partitions = 1};
}

void model_deinit(struct model *model)
{
    free(model->cells);
    free(model->ids);
}

void model_series_text(const struct usage_series *series, bool is_other,
                       char text[MODEL_SERIES_TEXT_MAX])
{
    struct text other = text_of("__other__");
    struct text subject = is_other ? other : series->subject;
    int used = snprintf(text, MODEL_SERIES_TEXT_MAX, "%.*s|%.*s|%d|%.*s",
                        (int)series->subscription.length, series->subscription.at,
                        (int)series->meter.length, series->meter.at, (int)series->aggregation,
                        subject.at ? (int)subject.length : 1, subject.at ? subject.at : "~");

    for (size_t i = 0; i < series->dimension_count; i++) {
        struct text value = is_other ? other : series->dimensions[i].value;

        used += snprintf(text + used, (size_t)(MODEL_SERIES_TEXT_MAX - used), "|%.*s=%.*s",
                         (int)series->dimensions[i].name.length, series->dimensions[i].name.at,
                         value.at ? (int)value.length : 1, value.at ? value.at : "~");
    }
}

const struct model_cell *model_find(const struct model *model, enum level level, int64_t window,
                                    const char *series)
{
    for (size_t i = 0; i < model->cell_count; i++)
        if (model->cells[i].level == level && model->cells[i].window == window &&
            strcmp(model->cells[i].series, series) == 0)
            return &model->cells[i];
    return NULL;
}

static struct model_cell *take_cell(struct model *model, enum level level, int64_t window,
                                    const char *series)
{
    struct model_cell *cell =
        (struct model_cell *)(uintptr_t)model_find(model, level, window, series);

    if (cell)
        return cell;
    if (model->cell_count % MODEL_STEP == 0)
        model->cells =
            realloc(model->cells, (model->cell_count + MODEL_STEP) * sizeof(*model->cells));
    cell = &model->cells[model->cell_count++];
    memset(cell, 0, sizeof(*cell));
    cell->level = level;
    cell->window = window;
    (void)snprintf(cell->series, sizeof(cell->series), "%s", series);
    return cell;
}

static int64_t floored(int64_t a, int64_t b)
{
    int64_t quotient = a / b;

    return quotient * b > a ? quotient - 1 : quotient;
}

static void add_value(struct model_cell *cell, enum aggregation aggregation,
                      const union usage_value *value, int64_t time_ns)
{
    bool first = cell->count == 0;
    int128 amount = value->amount.units;

    if (aggregation == AGGREGATION_UNIQUE_COUNT) {
        for (uint64_t i = 0; i < cell->count; i++)
            if (memcmp(cell->hashes[i], value->unique, 16) == 0)
                return;
        assert(cell->count < MODEL_HASHES_MAX);
        memcpy(cell->hashes[cell->count++], value->unique, 16);
        return;
    }
    cell->count++;
    if (aggregation == AGGREGATION_SUM || aggregation == AGGREGATION_AVG)
        cell->value += amount;
    if (aggregation == AGGREGATION_MIN && (first || amount < cell->value))
        cell->value = amount;
    if (aggregation == AGGREGATION_MAX && (first || amount > cell->value))
        cell->value = amount;
    if (aggregation == AGGREGATION_LATEST &&
        (first || time_ns > cell->time_ns || (time_ns == cell->time_ns && amount > cell->value))) {
        cell->value = amount;
        cell->time_ns = time_ns;
    }
}

/* Is the series counted as itself on the day, or is the day full of others? */
static bool is_full(const struct model *model, const struct usage_series *series, int64_t day)
{
    char wanted[MODEL_SERIES_TEXT_MAX], other[MODEL_SERIES_TEXT_MAX], group[64];
    size_t combinations = 0;
    int length = snprintf(group, sizeof(group), "%.*s|%.*s|%d|", (int)series->subscription.length,
                          series->subscription.at, (int)series->meter.length, series->meter.at,
                          (int)series->aggregation);

    model_series_text(series, false, wanted);
    model_series_text(series, true, other);
    for (size_t i = 0; i < model->cell_count; i++) {
        const struct model_cell *cell = &model->cells[i];

        if (cell->level != LEVEL_DAY || cell->window != day ||
            strncmp(cell->series, group, (size_t)length) != 0)
            continue;
        if (strcmp(cell->series, wanted) == 0)
            return false;
        combinations += strcmp(cell->series, other) != 0;
    }
    return strcmp(wanted, other) != 0 && combinations >= model->combinations_max;
}

static void count_entry(struct model *model, const struct usage_series *series,
                        const union usage_value *value, int64_t time_ns)
{
    static const int64_t minutes[LEVELS] = {1, 15, 1440};
    int64_t minute = floored(time_ns, INT64_C(60000000000));
    char text[MODEL_SERIES_TEXT_MAX];

    model_series_text(series, is_full(model, series, floored(minute, 1440)), text);
    for (int level = 0; level < LEVELS; level++)
        add_value(take_cell(model, (enum level)level, floored(minute, minutes[level]), text),
                  series->aggregation, value, time_ns);
}

static struct account_counts *account_of(struct model *model, struct text subscription)
{
    for (size_t i = 0; i < model->account_count; i++)
        if (text_is(subscription, model->accounts[i].subscription))
            return &model->accounts[i].counts;
    assert(model->account_count < ARRAY_LEN(model->accounts));
    (void)snprintf(model->accounts[model->account_count].subscription, 32, "%.*s",
                   (int)subscription.length, subscription.at);
    return &model->accounts[model->account_count++].counts;
}

static bool is_gone(const struct model *model, int64_t day)
{
    return (day + 1) * DAY_MS + model->horizon_ms + 3 * DAY_MS < model->clock_ms;
}

static const struct model_id *seen(const struct model *model, const struct usage_event *event,
                                   int64_t day)
{
    bool is_numbered = event->flags & USAGE_NUMBERED;

    for (size_t i = 0; i < model->id_count; i++)
        if (model->ids[i].is_numbered == is_numbered &&
            memcmp(model->ids[i].id.identity, event->fingerprint.identity, 12) == 0 &&
            (is_numbered ? model->ids[i].sequence == event->sequence : model->ids[i].day == day))
            return &model->ids[i];
    return NULL;
}

static void count_event(struct model *model, const struct usage_batch *batch,
                        const struct usage_event *event)
{
    struct text subscription = usage_subscription_of(batch, event->series);
    struct account_counts *counts = account_of(model, subscription);
    int64_t day = floored(event->time.ns, DAY_MS * 1000000);
    bool without_time = event->flags & USAGE_TIME_ABSENT;
    const struct model_id *before;

    if (event->arrival_ms > model->watermark_ms)
        model->watermark_ms = event->arrival_ms;
    if (model->clock_ms == INT64_MIN)
        model->clock_ms = event->arrival_ms;
    else if (event->arrival_ms - model->clock_ms > 600000)
        model->clock_ms += 600000;
    else if (event->arrival_ms > model->clock_ms)
        model->clock_ms = event->arrival_ms;

    counts->accepted++;
    if (partition_of(subscription, model->partitions) != model->partition) {
        counts->rejected++;
        return;
    }
    if ((!without_time &&
         event->arrival_ms * 1000000 - event->time.ns > model->horizon_ms * 1000000) ||
        is_gone(model, without_time ? day - 1 : day)) {
        counts->late++;
        return;
    }
    before = seen(model, event, day);
    if (!before && without_time)
        before = seen(model, event, day - 1);
    if (before) {
        counts->duplicate++;
        counts->conflict +=
            !before->is_numbered && before->id.payload != event->fingerprint.payload;
        return;
    }
    counts->counted++;
    if (model->id_count % MODEL_STEP == 0)
        model->ids = realloc(model->ids, (model->id_count + MODEL_STEP) * sizeof(*model->ids));
    model->ids[model->id_count++] = (struct model_id){.day = day,
                                                      .id = event->fingerprint,
                                                      .is_numbered = event->flags & USAGE_NUMBERED,
                                                      .sequence = event->sequence};
    for (size_t i = 0; i < event->entry_count; i++) {
        struct usage_entry entry = usage_entry_at(batch, event->first_entry + i);
        struct usage_series series = usage_series_at(batch, entry.series);

        count_entry(model, &series, &entry.value, event->time.ns);
    }
}

void model_count(struct model *model, const struct usage_batch *batch)
{
    for (size_t i = 0; i < batch->event_count; i++) {
        struct usage_event event = usage_event_at(batch, i);

        count_event(model, batch, &event);
    }
}

/* --- streams --- */

void stream_init(struct stream *stream, uint64_t seed)
{
    *stream = (struct stream){.state = seed * 2654435761u + 1,
                              .now_ms = INT64_C(1767225600000), /* 2026-01-01 */
                              .writer = usage_writer_new(),
                              .reader = usage_reader_new()};
}

void stream_deinit(struct stream *stream)
{
    usage_writer_free(stream->writer);
    usage_reader_free(stream->reader);
    free(stream->bytes);
}

uint64_t stream_random(struct stream *stream, uint64_t below)
{
    stream->state = stream->state * 6364136223846793005u + 1442695040888963407u;
    return (stream->state >> 33) % below;
}

static int64_t random_age_ms(struct stream *stream)
{
    switch (stream_random(stream, 10)) {
    case 0:
        return (int64_t)stream_random(stream, 5 * 86400) * 1000; /* late ones too */
    case 1:
        return -(int64_t)stream_random(stream, 300) * 1000;
    default:
        return (int64_t)stream_random(stream, 7200) * 1000;
    }
}

static void random_series(struct stream *stream, size_t subscription, enum aggregation aggregation,
                          struct usage_series *series)
{
    static const char *const subscriptions[] = {"sub-a", "sub-b", "sub-c", "sub-d", "sub-e"};
    static const char *const meters[] = {"sum", "count", "min", "max", "avg", "latest", "uniq"};
    static const char *const subjects[] = {"alice", "bob", NULL};
    static const char *const methods[] = {"GET", "PUT", NULL, "", "__other__"};

    *series = (struct usage_series){.aggregation = aggregation,
                                    .subscription = text_of(subscriptions[subscription]),
                                    .meter = text_of(meters[aggregation]),
                                    .subject = text_of(subjects[stream_random(stream, 3)]),
                                    .dimension_count = 1};
    series->dimensions[0].name = text_of("method");
    series->dimensions[0].value = text_of(methods[stream_random(stream, 5)]);
}

/* Of some sources: the next number, one of the last, or seldom one far away. */
static void make_numbered(struct stream *stream, struct usage_event *event)
{
    size_t source = stream_random(stream, 3);
    uint64_t next = stream->numbers[source], back = stream_random(stream, 30);

    memset(event->fingerprint.identity, (int)(source + 1), sizeof(event->fingerprint.identity));
    event->flags |= USAGE_NUMBERED;
    switch (stream_random(stream, 8)) {
    case 0:
        event->sequence = next > back ? next - back : 0;
        break;
    case 1:
        event->sequence = stream_random(stream, 200) * 3000;
        break;
    case 2:
        event->sequence = UINT64_MAX - back;
        break;
    default:
        event->sequence = next;
        stream->numbers[source] += 1 + stream_random(stream, 9) / 8 * 1500;
    }
}

static void add_event(struct stream *stream)
{
    struct usage_series series[3];
    union usage_value values[3];
    struct usage_event event = {.arrival_ms = stream->now_ms};
    size_t entries = 1 + stream_random(stream, 3), subscription = stream_random(stream, 5);
    uint64_t id = 1 + stream_random(stream, 400);

    memcpy(event.fingerprint.identity, &id, sizeof(id));
    event.fingerprint.payload = stream_random(stream, 8) == 0;
    event.time = instant_from_ms(stream->now_ms - random_age_ms(stream));
    if (stream_random(stream, 4) == 0) {
        event.time = instant_from_ms(stream->now_ms);
        event.flags = USAGE_TIME_ABSENT;
    }
    if (stream_random(stream, 4) == 0)
        make_numbered(stream, &event);
    for (size_t i = 0; i < entries; i++) {
        enum aggregation aggregation = (enum aggregation)stream_random(stream, AGGREGATION_KINDS);

        random_series(stream, subscription, aggregation, &series[i]);
        memset(&values[i], 0, sizeof(values[i]));
        if (aggregation == AGGREGATION_UNIQUE_COUNT)
            values[i].unique[3] = (uint8_t)stream_random(stream, 40);
        else if (aggregation != AGGREGATION_COUNT)
            values[i].amount.units = (int128)stream_random(stream, 1000000) * 1000003;
    }
    if (usage_writer_add(stream->writer, &event, series, values, entries))
        assert(!"a batch of a few events isn't full");
}

void stream_next(struct stream *stream)
{
    size_t count = 1 + stream_random(stream, 12);
    const char *reason;
    struct text bytes;

    usage_writer_reset(stream->writer);
    for (size_t i = 0; i < count; i++) {
        /* Seldom a leap of hours, which the clock follows by ten minutes an event. */
        stream->now_ms += stream_random(stream, 50) == 0
                              ? (int64_t)stream_random(stream, 7200) * 1000
                              : (int64_t)stream_random(stream, 1200) * 1000;
        add_event(stream);
    }
    bytes = usage_writer_finish(stream->writer);
    stream->bytes = realloc(stream->bytes, bytes.length);
    memcpy(stream->bytes, bytes.at, bytes.length);
    stream->length = bytes.length;
    if (usage_decode(stream->reader, text_from(stream->bytes, stream->length), &stream->batch,
                     &reason))
        assert(!"a written batch can be read");
}
