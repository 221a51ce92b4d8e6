#include "common/io/metrics.h"

#include <criterion/criterion.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS, QUEUE, LATENCY };

static const char *const verdicts[] = {"counted", "late", NULL};
static const char *const routes[] = {"/v1/events", "a\"b\\c", NULL};
static const struct metric table[] = {
    [EVENTS] = {"tollway_events_total", "Events by verdict.", METRIC_COUNTER, "verdict", verdicts},
    [QUEUE] = {"tollway_queue_bytes", "Bytes waiting.", METRIC_GAUGE, NULL, NULL},
    [LATENCY] = {"tollway_request_seconds", "Time to answer.", METRIC_HISTOGRAM, "route", routes},
};

static struct metrics *sample(void)
{
    struct metrics *metrics = metrics_new(table, ARRAY_LEN(table));

    metrics_add(metrics, EVENTS, 0, 40);
    metrics_add(metrics, EVENTS, 0, 2);
    metrics_set(metrics, QUEUE, 0, 17);
    metrics_set(metrics, QUEUE, 0, -3);
    metrics_observe(metrics, LATENCY, 0, 0.001);
    metrics_observe(metrics, LATENCY, 0, 0.0011);
    metrics_observe(metrics, LATENCY, 0, 99.5);
    return metrics;
}

Test(metrics, a_table_is_written_in_prometheus_text_form)
{
    struct metrics *metrics = sample();
    struct buffer out = {0};

    metrics_write(metrics, METRICS_PROMETHEUS, &out);
    buffer_add_char(&out, 0);

    cr_assert(strstr(out.at, "# HELP tollway_events_total Events by verdict.\n"
                             "# TYPE tollway_events_total counter\n"
                             "tollway_events_total{verdict=\"counted\"} 42\n"
                             "tollway_events_total{verdict=\"late\"} 0\n"
                             "# HELP tollway_queue_bytes Bytes waiting.\n"
                             "# TYPE tollway_queue_bytes gauge\n"
                             "tollway_queue_bytes -3\n"),
              "%s", out.at);
    cr_assert(strstr(out.at, "{route=\"/v1/events\",le=\"0.0005\"} 0\n"), "%s", out.at);
    cr_assert(strstr(out.at, "{route=\"/v1/events\",le=\"0.001\"} 1\n"), "a bound is inclusive");
    cr_assert(strstr(out.at, "{route=\"/v1/events\",le=\"0.0025\"} 2\n"), "buckets cumulate");
    cr_assert(strstr(out.at, "{route=\"/v1/events\",le=\"+Inf\"} 3\n"), "%s", out.at);
    cr_assert(strstr(out.at, "_sum{route=\"/v1/events\"} 99.502100\n"), "%s", out.at);
    cr_assert(strstr(out.at, "_count{route=\"/v1/events\"} 3\n"), "%s", out.at);
    cr_assert(strstr(out.at, "_count{route=\"a\\\"b\\\\c\"} 0\n"), "%s", out.at);
    cr_assert_eq(metrics_get(metrics, EVENTS, 0), 42);
    cr_assert_eq(metrics_get(metrics, LATENCY, 0), 3);
    buffer_deinit(&out);
    metrics_free(metrics);
}

Test(metrics, promtool_has_nothing_to_object_to)
{
    struct metrics *metrics = sample();
    struct buffer out = {0};
    FILE *promtool;

    if (system("command -v promtool >/dev/null") != 0) {
        fprintf(stderr, "skipped: promtool isn't installed (Debian package prometheus)\n");
        metrics_free(metrics);
        return;
    }
    metrics_write(metrics, METRICS_PROMETHEUS, &out);
    promtool = popen("promtool check metrics >&2", "w");
    cr_assert_eq(fwrite(out.at, 1, out.length, promtool), out.length);

    cr_assert_eq(pclose(promtool), 0);
    buffer_deinit(&out);
    metrics_free(metrics);
}

Test(metrics, openmetrics_names_counters_without_total_and_says_units)
{
    struct metrics *metrics = sample();
    struct buffer out = {0};

    metrics_write(metrics, METRICS_OPENMETRICS, &out);
    metrics_write_end(METRICS_OPENMETRICS, &out);
    buffer_add_char(&out, 0);

    cr_assert(strstr(out.at, "# HELP tollway_events Events by verdict.\n"
                             "# TYPE tollway_events counter\n"
                             "tollway_events_total{verdict=\"counted\"} 42\n"
                             "tollway_events_total{verdict=\"late\"} 0\n"
                             "# HELP tollway_queue_bytes Bytes waiting.\n"
                             "# TYPE tollway_queue_bytes gauge\n"
                             "# UNIT tollway_queue_bytes bytes\n"
                             "tollway_queue_bytes -3\n"),
              "%s", out.at);
    cr_assert(strstr(out.at, "# UNIT tollway_request_seconds seconds\n"), "%s", out.at);
    cr_assert(strstr(out.at, "{route=\"/v1/events\",le=\"1.0\"} 2\n"), "%s", out.at);
    cr_assert(strstr(out.at, "{route=\"/v1/events\",le=\"+Inf\"} 3\n"), "%s", out.at);
    cr_assert_eq(strcmp(out.at + out.length - sizeof("\n# EOF\n"), "\n# EOF\n"), 0);
    buffer_deinit(&out);
    metrics_free(metrics);
}

static void *add_many(void *metrics)
{
    for (int i = 0; i < 100000; i++) {
        metrics_add(metrics, EVENTS, 1, 1);
        metrics_observe(metrics, LATENCY, 1, 0.5);
    }
    return NULL;
}

Test(metrics, threads_lose_nothing)
{
    struct metrics *metrics = metrics_new(table, ARRAY_LEN(table));
    pthread_t threads[4];

    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, add_many, metrics), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);

    cr_assert_eq(metrics_get(metrics, EVENTS, 1), 400000);
    cr_assert_eq(metrics_get(metrics, LATENCY, 1), 400000);
    metrics_free(metrics);
}

Test(metrics, a_counter_without_total_is_our_mistake, .signal = SIGABRT)
{
    static const struct metric wrong[] = {
        {"tollway_events", "Events.", METRIC_COUNTER, NULL, NULL}};

    metrics_free(metrics_new(wrong, 1));
}

Test(metrics, a_label_value_past_the_last_is_our_mistake, .signal = SIGABRT)
{
    struct metrics *metrics = metrics_new(table, ARRAY_LEN(table));

    metrics_add(metrics, EVENTS, 2, 1);
}

Test(metrics, a_gauge_of_a_counters_family_is_our_mistake, .signal = SIGABRT)
{
    static const struct metric wrong[] = {
        {"tollway_events_total", "Events.", METRIC_COUNTER, NULL, NULL},
        {"tollway_events", "Events waiting.", METRIC_GAUGE, NULL, NULL}};

    metrics_free(metrics_new(wrong, 2));
}
