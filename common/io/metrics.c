#include "common/io/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Upper bounds of the histograms' buckets, in microseconds, and as they are written in seconds. */
static const struct {
    int64_t us;
    const char *seconds;
} bounds[] = {
    {100, "0.0001"},  {250, "0.00025"}, {500, "0.0005"},  {1000, "0.001"},  {2500, "0.0025"},
    {5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},  {100000, "0.1"},
    {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},   {2500000, "2.5"}, {5000000, "5"},
    {10000000, "10"}, {30000000, "30"}, {60000000, "60"},
};

enum { BUCKETS = ARRAY_LEN(bounds) + 1, BOUND_TEXT_MAX = 16 }; /* the last is +Inf */

struct series {
    _Atomic int64_t value; /* a histogram's count is the sum of its buckets */
    _Atomic int64_t *buckets;
    _Atomic int64_t sum_us;
};

struct row {
    struct series *series; /* one of each value of its label */
    size_t count;
};

struct metrics {
    const struct metric *table;
    size_t count;
    struct row *rows;
};

static size_t series_count(const struct metric *metric)
{
    size_t count = 0;

    if (!metric->label)
        return 1;
    while (metric->values[count])
        count++;
    return count;
}

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), end_length = strlen(end);

    return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

/* A family's name: OpenMetrics counts a counter's _total as its samples' ending. */
static size_t family_length(const char *name)
{
    return strlen(name) - (ends_with(name, "_total") ? strlen("_total") : 0);
}

/* What `promtool check metrics` or an OpenMetrics parser would object to is a mistake in the table.
 */
static void check_row(const struct metric *table, size_t row)
{
    const struct metric *metric = &table[row];
    size_t length = family_length(metric->name);

    for (size_t i = 0; i < row; i++)
        assert(family_length(table[i].name) != length ||
               memcmp(table[i].name, metric->name, length) != 0);
    assert(strncmp(metric->name, "tollway_", 8) == 0);
    assert(metric->help && metric->help[0]);
    assert((metric->kind == METRIC_COUNTER) == ends_with(metric->name, "_total"));
    assert(metric->kind != METRIC_HISTOGRAM || ends_with(metric->name, "_seconds"));
    assert(!metric->label == !metric->values);
}

struct metrics *metrics_new(const struct metric *table, size_t count)
{
    struct metrics *metrics = calloc(1, sizeof(*metrics));

    assert(metrics);
    metrics->table = table;
    metrics->count = count;
    metrics->rows = calloc(count + 1, sizeof(metrics->rows[0]));
    assert(metrics->rows);
    for (size_t row = 0; row < count; row++) {
        size_t values = series_count(&table[row]);

        check_row(table, row);
        metrics->rows[row] = (struct row){calloc(values, sizeof(struct series)), values};
        assert(metrics->rows[row].series);
        for (size_t i = 0; table[row].kind == METRIC_HISTOGRAM && i < values; i++) {
            metrics->rows[row].series[i].buckets = calloc(BUCKETS, sizeof(_Atomic int64_t));
            assert(metrics->rows[row].series[i].buckets);
        }
    }
    return metrics;
}

struct metrics *metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return NULL;
    for (size_t row = 0; row < metrics->count; row++) {
        for (size_t i = 0; i < metrics->rows[row].count; i++)
            free((void *)metrics->rows[row].series[i].buckets);
        free(metrics->rows[row].series);
    }
    free(metrics->rows);
    free(metrics);
    return NULL;
}

static struct series *series_at(const struct metrics *metrics, size_t row, size_t value)
{
    assert(row < metrics->count);
    assert(value < metrics->rows[row].count);
    return &metrics->rows[row].series[value];
}

void metrics_add(struct metrics *metrics, size_t row, size_t value, int64_t amount)
{
    atomic_fetch_add_explicit(&series_at(metrics, row, value)->value, amount, memory_order_relaxed);
}

void metrics_set(struct metrics *metrics, size_t row, size_t value, int64_t amount)
{
    atomic_store_explicit(&series_at(metrics, row, value)->value, amount, memory_order_relaxed);
}

void metrics_observe(struct metrics *metrics, size_t row, size_t value, double seconds)
{
    struct series *series = series_at(metrics, row, value);
    int64_t us = seconds > 0 ? (int64_t)(seconds * 1e6) : 0;
    size_t bucket = 0;

    assert(series->buckets);
    while (bucket < ARRAY_LEN(bounds) && us > bounds[bucket].us)
        bucket++;
    atomic_fetch_add_explicit(&series->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&series->sum_us, us, memory_order_relaxed);
}

int64_t metrics_get(const struct metrics *metrics, size_t row, size_t value)
{
    const struct series *series = series_at(metrics, row, value);
    int64_t count = 0;

    if (!series->buckets)
        return atomic_load_explicit(&series->value, memory_order_relaxed);
    for (size_t i = 0; i < BUCKETS; i++)
        count += atomic_load_explicit(&series->buckets[i], memory_order_relaxed);
    return count;
}

/* --- writing --- */

/* name_suffix{label="value",le="0.1"}; the braces only when there is something to say. */
static void write_name(const struct metric *metric, size_t value, const char *suffix,
                       const char *bound, struct buffer *out)
{
    buffer_printf(out, "%s%s", metric->name, suffix);
    if (!metric->label && !bound)
        return;
    buffer_add_char(out, '{');
    if (metric->label) {
        buffer_printf(out, "%s=", metric->label);
        buffer_add_json_string(out, text_of(metric->values[value]));
    }
    if (bound)
        buffer_printf(out, "%sle=\"%s\"", metric->label ? "," : "", bound);
    buffer_add_char(out, '}');
}

/* OpenMetrics wants "1.0" where the text format has always had "1". */
static void bound_of(size_t bucket, enum metrics_form form, char text[BOUND_TEXT_MAX])
{
    const char *bound = bucket < ARRAY_LEN(bounds) ? bounds[bucket].seconds : "+Inf";
    bool is_whole = bucket < ARRAY_LEN(bounds) && !strchr(bound, '.');

    (void)snprintf(text, BOUND_TEXT_MAX, "%s%s", bound,
                   is_whole && form == METRICS_OPENMETRICS ? ".0" : "");
}

static void write_histogram(const struct metric *metric, size_t value, const struct series *series,
                            enum metrics_form form, struct buffer *out)
{
    int64_t sum_us = atomic_load_explicit(&series->sum_us, memory_order_relaxed);
    char bound[BOUND_TEXT_MAX];
    int64_t count = 0;

    for (size_t i = 0; i < BUCKETS; i++) {
        count += atomic_load_explicit(&series->buckets[i], memory_order_relaxed);
        bound_of(i, form, bound);
        write_name(metric, value, "_bucket", bound, out);
        buffer_printf(out, " %" PRId64 "\n", count);
    }
    write_name(metric, value, "_sum", NULL, out);
    buffer_printf(out, " %" PRId64 ".%06" PRId64 "\n", sum_us / 1000000, sum_us % 1000000);
    write_name(metric, value, "_count", NULL, out);
    buffer_printf(out, " %" PRId64 "\n", count);
}

void metrics_write_head(const char *name, enum metric_kind kind, const char *help,
                        enum metrics_form form, struct buffer *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    static const char *const units[] = {"seconds", "bytes"};
    bool is_open = form == METRICS_OPENMETRICS;
    struct text family = text_from(name, is_open ? family_length(name) : strlen(name));

    buffer_printf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", (int)family.length, family.at, help,
                  (int)family.length, family.at, kinds[kind]);
    for (size_t i = 0; is_open && i < ARRAY_LEN(units); i++) {
        size_t length = strlen(units[i]);

        if (family.length > length && family.at[family.length - length - 1] == '_' &&
            memcmp(family.at + family.length - length, units[i], length) == 0)
            buffer_printf(out, "# UNIT %.*s %s\n", (int)family.length, family.at, units[i]);
    }
}

void metrics_write_end(enum metrics_form form, struct buffer *out)
{
    if (form == METRICS_OPENMETRICS)
        buffer_add_string(out, "# EOF\n");
}

static void write_row(const struct metrics *metrics, size_t row, enum metrics_form form,
                      struct buffer *out)
{
    const struct metric *metric = &metrics->table[row];

    metrics_write_head(metric->name, metric->kind, metric->help, form, out);
    for (size_t i = 0; i < metrics->rows[row].count; i++) {
        const struct series *series = &metrics->rows[row].series[i];

        if (metric->kind == METRIC_HISTOGRAM) {
            write_histogram(metric, i, series, form, out);
        } else {
            write_name(metric, i, "", NULL, out);
            buffer_printf(out, " %" PRId64 "\n",
                          atomic_load_explicit(&series->value, memory_order_relaxed));
        }
    }
}

void metrics_write(const struct metrics *metrics, enum metrics_form form, struct buffer *out)
{
    metrics_write_head("tollway_build_info", METRIC_GAUGE, "The version of this process; always 1.",
                       form, out);
    buffer_printf(out, "tollway_build_info{version=\"%s\"} 1\n", TOLLWAY_VERSION);
    for (size_t row = 0; row < metrics->count; row++)
        write_row(metrics, row, form, out);
}
