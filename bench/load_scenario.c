/*
 * load_scenario.c - decides event by event what is sent.
 *
 * Everything comes from one random sequence, in the order of the events, so that how fast and over
 * how many connections they go changes nothing. A duplicate is the same bytes again, taken from the
 * last few thousand plain events.
 */
#include "bench/load_scenario.h"

#include "bench/load_event.h"

#include <stdlib.h>
#include <string.h>

enum { HISTORY = 4096, MILLION = 1000000, TRIES = 32 };

/* A plain event, kept to be sent again. */
struct past {
    struct buffer json;
    uint64_t batch;
    size_t index;
};

struct load_scenario {
    const struct load_catalog *catalog;
    struct load_plan plan;
    FILE *log;
    struct load_counts counts;
    uint64_t random;
    uint64_t *weights; /* cumulated, of the subscriptions */
    struct past *history;
    uint64_t history_count;
    struct buffer event;
};

/* A few large customers, many small ones: the k-th has 1/(k+3) of a share. */
static void weigh(struct load_scenario *scenario)
{
    size_t count = scenario->catalog->subscription_count;
    uint64_t sum = 0;

    scenario->weights = calloc(count, sizeof(*scenario->weights));
    if (!scenario->weights)
        abort();
    for (size_t i = 0; i < count; i++) {
        sum += 1000000 / (load_random(&scenario->random, count) + 3) + 1;
        scenario->weights[i] = sum;
    }
}

struct load_scenario *load_scenario_new(const struct load_catalog *catalog,
                                        const struct load_plan *plan, FILE *log)
{
    struct load_scenario *scenario = calloc(1, sizeof(*scenario));

    if (!scenario)
        abort();
    scenario->catalog = catalog;
    scenario->plan = *plan;
    scenario->log = log;
    scenario->random = plan->seed;
    scenario->history = calloc(HISTORY, sizeof(*scenario->history));
    if (!scenario->history)
        abort();
    weigh(scenario);
    return scenario;
}

struct load_scenario *load_scenario_free(struct load_scenario *scenario)
{
    if (!scenario)
        return NULL;
    for (size_t i = 0; i < HISTORY; i++)
        buffer_deinit(&scenario->history[i].json);
    buffer_deinit(&scenario->event);
    free(scenario->history);
    free(scenario->weights);
    free(scenario);
    return NULL;
}

const struct load_counts *load_scenario_counts(const struct load_scenario *scenario)
{
    return &scenario->counts;
}

/* How busy each hour of the day is. */
static const uint8_t hours[24] = {3,  2,  2,  2,  2,  3,  5,  8,  12, 15, 16, 15,
                                  13, 14, 16, 16, 15, 13, 11, 10, 9,  8,  6,  4};
enum { HOURS_SUM = 220 };

/* Where the event in place `at` of all lies in the days that plain events happen in: by the hours.
 */
static int64_t place_ms(const struct load_scenario *scenario, uint64_t at)
{
    int64_t hour_ms = 3600 * 1000, from = instant_ms(scenario->plan.plain_from);
    uint64_t days = (uint64_t)((instant_ms(scenario->plan.to) - from) / (24 * hour_ms));
    uint64_t place =
        (uint64_t)((uint128)at * days * HOURS_SUM * 1000 / (uint64_t)scenario->plan.events);
    uint64_t day = place / (HOURS_SUM * 1000), rest = place % (HOURS_SUM * 1000);
    int64_t hour = 0;

    while (rest >= hours[hour] * 1000u)
        rest -= hours[hour++] * 1000u;
    return from + ((int64_t)day * 24 + hour) * hour_ms +
           (int64_t)rest * hour_ms / (hours[hour] * 1000);
}

/* Up to two minutes out of order. */
static struct instant time_of(struct load_scenario *scenario, uint64_t at)
{
    int64_t ms = place_ms(scenario, at) - (int64_t)load_random(&scenario->random, 120 * 1000);
    int64_t least = instant_ms(scenario->plan.plain_from);

    return instant_from_ms(ms < least ? least : ms);
}

static struct instant late_time(struct load_scenario *scenario)
{
    int64_t from = instant_ms(scenario->plan.late_from), to = instant_ms(scenario->plan.late_to);

    return instant_from_ms(from + (int64_t)load_random(&scenario->random, (uint64_t)(to - from)));
}

static const struct load_subscription *any_subscription(struct load_scenario *scenario)
{
    size_t low = 0, high = scenario->catalog->subscription_count - 1;
    uint64_t weight = load_random(&scenario->random, scenario->weights[high]);

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (weight < scenario->weights[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return &scenario->catalog->subscriptions[low];
}

/* One that is active then; NULL when the search was in vain. */
static const struct load_subscription *active_subscription(struct load_scenario *scenario,
                                                           struct instant time)
{
    for (int i = 0; i < TRIES; i++) {
        const struct load_subscription *one = any_subscription(scenario);

        if (instant_compare(one->from, time) <= 0 && instant_compare(time, one->to) < 0)
            return one;
    }
    return NULL;
}

static void remember(struct load_scenario *scenario, const struct load_line *line)
{
    struct past *past = &scenario->history[scenario->history_count++ % HISTORY];

    buffer_clear(&past->json);
    buffer_add_text(&past->json, line->event);
    past->batch = line->batch;
    past->index = line->index;
}

static void repeat(struct load_scenario *scenario, struct load_line *line)
{
    uint64_t kept = scenario->history_count < HISTORY ? scenario->history_count : HISTORY;
    const struct past *past = &scenario->history[load_random(&scenario->random, kept)];

    line->kind = "duplicate";
    line->is_duplicate = true;
    line->of_batch = past->batch;
    line->of_index = past->index;
    line->event = buffer_text(&past->json);
    scenario->counts.duplicate++;
}

/* An event of its own: plain, late or broken. False when nobody was there to send it. */
static bool make(struct load_scenario *scenario, struct load_line *line, bool is_late,
                 bool is_broken, bool is_ndjson)
{
    struct instant time =
        is_late ? late_time(scenario) : time_of(scenario, scenario->counts.events);
    const struct load_subscription *subscription = active_subscription(scenario, time);
    struct load_subject subject = {scenario->catalog,       subscription,       time, is_late,
                                   scenario->counts.events, scenario->plan.seed};

    if (!subscription)
        return false;
    buffer_clear(&scenario->event);
    load_event_write(&subject, &scenario->random, &scenario->event);
    line->kind = is_late ? "late" : is_broken ? "broken" : "plain";
    if (is_broken)
        line->expect = load_event_break(&subject, &scenario->random, is_ndjson, &scenario->event,
                                        &line->is_raw);
    line->event = buffer_text(&scenario->event);
    scenario->counts.late += is_late;
    scenario->counts.broken += is_broken;
    scenario->counts.plain += !is_late && !is_broken;
    if (!is_late && !is_broken)
        remember(scenario, line);
    return true;
}

static bool choose(struct load_scenario *scenario, struct load_line *line, bool is_ndjson)
{
    int64_t lot = (int64_t)load_random(&scenario->random, MILLION);

    lot -= scenario->plan.duplicate;
    if (lot < 0 && scenario->history_count > 0) {
        repeat(scenario, line);
        return true;
    }
    lot -= scenario->plan.late;
    if (lot < 0)
        return make(scenario, line, true, false, is_ndjson);
    lot -= scenario->plan.broken;
    return make(scenario, line, false, lot < 0, is_ndjson);
}

static void put(struct load_batch *batch, bool is_ndjson, struct text event)
{
    if (!is_ndjson)
        buffer_add_char(&batch->body, batch->event_count ? ',' : '[');
    buffer_add_text(&batch->body, event);
    if (is_ndjson)
        buffer_add_char(&batch->body, '\n');
    batch->event_count++;
}

bool load_scenario_next(struct load_scenario *scenario, struct load_batch *batch)
{
    bool is_ndjson = scenario->counts.batches % 2;

    buffer_clear(&batch->body);
    batch->event_count = 0;
    batch->tries = 0;
    batch->number = scenario->counts.batches;
    batch->content_type = is_ndjson ? "application/x-ndjson" : "application/cloudevents-batch+json";
    while (batch->event_count < (size_t)scenario->plan.batch &&
           scenario->counts.events < (uint64_t)scenario->plan.events) {
        struct load_line line = {.batch = batch->number, .index = batch->event_count};
        bool is_made = choose(scenario, &line, is_ndjson);

        scenario->counts.events++;
        if (!is_made)
            continue;
        load_log_event(scenario->log, &line);
        put(batch, is_ndjson, line.event);
    }
    if (batch->event_count == 0)
        return false;
    if (!is_ndjson)
        buffer_add_char(&batch->body, ']');
    scenario->counts.batches++;
    return true;
}
