/*
 * metrics.h - counters, gauges and histograms for Prometheus, one table a process.
 *
 * A metric is a row of a static table: its name ("tollway_events_accepted_total"), its help, its
 * kind and at most one label name. Values are atomic, so any thread adds. Written as Prometheus'
 * text 0.0.4 or as OpenMetrics 1.0. Threads    Any.
 */
#pragma once

#include "common/base/text.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum metrics_form { METRICS_PROMETHEUS, METRICS_OPENMETRICS };

struct metric {
    const char *name;
    const char *help;
    enum metric_kind kind;
    const char *label;         /* NULL, or the name of its one label */
    const char *const *values; /* the label's values, NULL-terminated; NULL without a label */
};

struct metrics; /* the process's table with its values */

struct metrics *metrics_new(const struct metric *table, size_t count); /* aborts on a wrong table */
struct metrics *metrics_free(struct metrics *metrics);
/* `row` is the index in the table, `value` the index of the label value (0 without a label). */
void metrics_add(struct metrics *metrics, size_t row, size_t value, int64_t amount);
void metrics_set(struct metrics *metrics, size_t row, size_t value, int64_t amount);
void metrics_observe(struct metrics *metrics, size_t row, size_t value, double seconds);
int64_t metrics_get(const struct metrics *metrics, size_t row, size_t value);

void metrics_write(const struct metrics *metrics, enum metrics_form form, struct buffer *out);
/* What stands before a metric's own lines, for one that is in no table. */
void metrics_write_head(const char *name, enum metric_kind kind, const char *help,
                        enum metrics_form form, struct buffer *out);
void metrics_write_end(enum metrics_form form, struct buffer *out);
