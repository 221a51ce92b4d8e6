#include "invoicer/edges/usage.h"

#include "common/base/fault.h"
#include "invoicer/edges/mirror.h"
#include "invoicer/edges/usage_cells.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A unique value in a window. */
struct seen {
    int64_t from;
    uint8_t unique[16];
};

/* A window of earlier cuts. */
struct earlier {
    int64_t from, to;
    uint64_t count; /* of its events, or unique values */
};

/* What stands beside a window of the invoice. */
struct window_sum {
    struct total total;
    uint64_t count; /* as above */
};

struct summing {
    const struct usage_source *source;
    int64_t from, to; /* of the period, in minutes */
    struct earlier *earlier;
    size_t earlier_count, earlier_room;
    bool are_kept; /* those of earlier cuts count: the second pass */
    struct total whole;
    struct window_sum *sums; /* of each window */
    struct invoice_window *windows;
    size_t count, room;
    struct seen *seen;
    size_t seen_count, seen_room;
    struct usage_cells *cells; /* of a matrix price, else NULL */
};

static void *grow(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room ? *room * 2 : 64;
    array = realloc(array, *room * size);
    if (!array)
        abort();
    return array;
}

/* The window that begins at `from`, which is the last one or a new one behind it. */
static size_t window_at(struct summing *summing, int64_t from, int64_t to)
{
    size_t room = summing->room;

    if (summing->count > 0) {
        const struct invoice_window *last = &summing->windows[summing->count - 1];

        if (instant_minute(last->window.from) == from)
            return summing->count - 1;
    }
    summing->windows = grow(summing->windows, summing->count, &room, sizeof(*summing->windows));
    summing->sums = grow(summing->sums, summing->count, &summing->room, sizeof(*summing->sums));
    summing->windows[summing->count] =
        (struct invoice_window){.window = {instant_from_minute(from), instant_from_minute(to)}};
    summing->sums[summing->count] = (struct window_sum){.count = 0};
    return summing->count++;
}

static int merge(struct total *into, const struct total *more)
{
    if (into->count == 0)
        *into = *more;
    else if (total_merge(into, more))
        return fault(FAULT_REFUSE, "the usage of a period has no room in a decimal");
    return 0;
}

static void note_seen(struct summing *summing, const struct counters_total *total)
{
    summing->seen =
        grow(summing->seen, summing->seen_count, &summing->seen_room, sizeof(*summing->seen));
    summing->seen[summing->seen_count].from = total->from_minute;
    memcpy(summing->seen[summing->seen_count].unique, total->unique, sizeof(total->unique));
    summing->seen_count++;
}

static bool lies_on_cuts(const struct usage_source *source, const struct counters_total *total)
{
    int64_t from, to;

    counters_window(source->cuts, source->cut_count, total->from_minute, &from, &to);
    return from == total->from_minute && to == total->to_minute;
}

/* A unique value has a record of its own beside the one that says how many they are. */
static uint64_t count_of(const struct counters_total *total)
{
    return total->is_unique ? 0 : total->total.count;
}

/* In the order of time, so the same one comes in a row, or never again but for other cuts. */
static void note_earlier(struct summing *summing, const struct counters_total *total)
{
    for (size_t i = summing->earlier_count; i > 0; i--) {
        struct earlier *earlier = &summing->earlier[i - 1];

        if (earlier->from == total->from_minute && earlier->to == total->to_minute) {
            earlier->count += count_of(total);
            return;
        }
        if (earlier->from < total->from_minute)
            break;
    }
    summing->earlier = grow(summing->earlier, summing->earlier_count, &summing->earlier_room,
                            sizeof(*summing->earlier));
    summing->earlier[summing->earlier_count++] =
        (struct earlier){total->from_minute, total->to_minute, count_of(total)};
}

/* The last one that is kept and begins by then; NULL: none. */
static const struct earlier *kept_at(const struct summing *summing, int64_t minute)
{
    size_t low = 0, high = summing->earlier_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (summing->earlier[middle].from <= minute)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &summing->earlier[low - 1] : NULL;
}

/* Whether the window counts; one of earlier cuts is noted in the first pass. */
static bool counts(struct summing *summing, const struct counters_total *total)
{
    bool is_today_s = lies_on_cuts(summing->source, total);
    const struct earlier *kept;

    if (!summing->are_kept) {
        if (!is_today_s)
            note_earlier(summing, total);
        return is_today_s;
    }
    kept = kept_at(summing, total->from_minute);
    if (is_today_s)
        return !kept || kept->to <= total->from_minute;
    return kept && kept->from == total->from_minute && kept->to == total->to_minute;
}

static int add_total(void *context, const struct counters_total *total)
{
    struct summing *summing = context;
    size_t at;
    int r = 0;

    if (total->from_minute >= summing->to)
        return 1; /* behind the period: enough */
    if (total->to_minute > summing->to || total->total.count == 0 || !counts(summing, total))
        return 0;
    at = window_at(summing, total->from_minute, total->to_minute);
    summing->sums[at].count += count_of(total);
    if (summing->cells)
        r = usage_cells_add(summing->cells, total);
    if (r)
        return fault_pass(r);
    if (total->total.aggregation == AGGREGATION_UNIQUE_COUNT) {
        if (total->is_unique)
            note_seen(summing, total);
        return 0;
    }
    r = merge(&summing->sums[at].total, &total->total);
    if (!r)
        r = merge(&summing->whole, &total->total);
    return r ? fault_pass(r) : 0;
}

static int by_value(const void *a, const void *b)
{
    return memcmp(((const struct seen *)a)->unique, ((const struct seen *)b)->unique, 16);
}

static int by_window(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;

    return x->from != y->from ? (x->from < y->from ? -1 : 1) : by_value(a, b);
}

/* Distinct values: of the period, and of each window. */
static void count_seen(struct summing *summing, struct invoice_usage *usage)
{
    int64_t whole = 0;
    size_t at = 0;

    qsort(summing->seen, summing->seen_count, sizeof(*summing->seen), by_value);
    for (size_t i = 0; i < summing->seen_count; i++)
        whole += i == 0 || by_value(&summing->seen[i - 1], &summing->seen[i]) != 0;
    usage->quantity = decimal_from_int(whole);
    qsort(summing->seen, summing->seen_count, sizeof(*summing->seen), by_window);
    for (size_t i = 0; i < summing->count; i++) {
        int64_t from = instant_minute(summing->windows[i].window.from), count = 0;

        for (; at < summing->seen_count && summing->seen[at].from == from; at++)
            count += at == 0 || by_window(&summing->seen[at - 1], &summing->seen[at]) != 0;
        summing->windows[i].quantity = decimal_from_int(count);
    }
}

static int finish(struct summing *summing, struct invoice_usage *usage)
{
    struct invoice_window *windows;

    if (summing->seen_count > 0) {
        count_seen(summing, usage);
    } else {
        usage->quantity = total_answer(&summing->whole);
        for (size_t i = 0; i < summing->count; i++)
            summing->windows[i].quantity = total_answer(&summing->sums[i].total);
    }
    usage->events = summing->whole.count;
    if (summing->count == 0)
        return 0;
    windows = arena_take(summing->source->arena, summing->count * sizeof(*windows));
    if (!windows)
        return fault(FAULT_REFUSE, "the usage of a period has too many windows");
    memcpy(windows, summing->windows, summing->count * sizeof(*windows));
    usage->windows = windows;
    usage->window_count = summing->count;
    return 0;
}

/*
 * Whether more was counted in it than today's windows within it say, `at` being the first that ends
 * behind its start. Where one of those lies in it only in part it can't be told, and they count.
 */
static bool is_fuller(const struct summing *summing, const struct earlier *earlier, size_t at)
{
    uint64_t count = 0;

    for (; at < summing->count; at++) {
        int64_t from = instant_minute(summing->windows[at].window.from);

        if (from >= earlier->to)
            break;
        if (from < earlier->from || instant_minute(summing->windows[at].window.to) > earlier->to)
            return false;
        count += summing->sums[at].count;
    }
    return count < earlier->count;
}

/*
 * Leaves those windows of earlier cuts that say more than today's in their place, and of those that
 * lie over each other the first. False: none.
 */
static bool keep_fuller(struct summing *summing)
{
    size_t kept = 0, at = 0;
    int64_t end = INT64_MIN;

    for (size_t i = 0; i < summing->earlier_count; i++) {
        struct earlier earlier = summing->earlier[i];

        while (at < summing->count &&
               instant_minute(summing->windows[at].window.to) <= earlier.from)
            at++;
        if (earlier.from < end || !is_fuller(summing, &earlier, at))
            continue;
        summing->earlier[kept++] = earlier;
        end = earlier.to;
    }
    summing->earlier_count = kept;
    return kept > 0;
}

static int pass(struct summing *summing, const struct rate_card *card)
{
    const struct usage_source *source = summing->source;
    int r;

    if (card->price.kind == PRICE_MATRIX)
        summing->cells = usage_cells_new(&card->price, source->arena);
    r = mirror_each(source->txn, source->subscription, card->feature_key, summing->from, add_total,
                    summing);
    return r < 0 ? fault_pass(r) : 0;
}

static void forget(struct summing *summing)
{
    summing->cells = usage_cells_free(summing->cells);
    summing->whole = (struct total){0};
    summing->count = summing->seen_count = 0;
}

int usage_in(const struct usage_source *source, const struct rate_card *card, struct window period,
             struct invoice_usage *usage)
{
    struct summing summing = {
        .source = source,
        .from = instant_minute(period.from),
        .to = instant_minute(period.to),
    };
    struct invoice_usage found = {0};
    int r = pass(&summing, card);

    if (!r && summing.earlier_count > 0 && keep_fuller(&summing)) {
        forget(&summing);
        summing.are_kept = true;
        r = pass(&summing, card);
    }
    if (!r)
        r = finish(&summing, &found);
    if (!r && summing.cells)
        r = usage_cells_finish(summing.cells, &found);
    forget(&summing);
    free(summing.earlier);
    free(summing.sums);
    free(summing.windows);
    free(summing.seen);
    if (r)
        return fault_pass(r);
    *usage = found;
    return 0;
}
