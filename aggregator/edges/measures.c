#include "aggregator/edges/measures.h"

#include <stddef.h>

static const char *const verdicts[] = {"counted", "duplicate", "rejected", "late", NULL};
static const char *const changes[] = {"assigned", "revoked", "lost", NULL};

static const struct metric table[] = {
    [MEASURE_EVENTS] = {"tollway_aggregator_events_total",
                        "Events read from usage, by what became of them.", METRIC_COUNTER,
                        "verdict", verdicts},
    [MEASURE_CONFLICTS] = {"tollway_aggregator_conflicts_total",
                           "Duplicates whose payload differs from the first one's.", METRIC_COUNTER,
                           NULL, NULL},
    [MEASURE_MESSAGES] = {"tollway_aggregator_messages_total", "Messages read from usage.",
                          METRIC_COUNTER, NULL, NULL},
    [MEASURE_CONSERVATION_DIFFERENCE] =
        {"tollway_aggregator_conservation_difference",
         "Accepted less counted, duplicate, rejected and late, of the partitions owned: 0.",
         METRIC_GAUGE, NULL, NULL},
    [MEASURE_LAG] = {"tollway_aggregator_lag_messages",
                     "Messages of the partitions owned that aren't committed yet.", METRIC_GAUGE,
                     NULL, NULL},
    [MEASURE_PARTITIONS] = {"tollway_aggregator_partitions", "Partitions owned.", METRIC_GAUGE,
                            NULL, NULL},
    [MEASURE_DEDUP_ENTRIES] = {"tollway_aggregator_dedup_entries",
                               "Ids remembered, in memory or sealed.", METRIC_GAUGE, NULL, NULL},
    [MEASURE_DEDUP_BYTES] = {"tollway_aggregator_dedup_bytes", "Memory of the ids.", METRIC_GAUGE,
                             NULL, NULL},
    [MEASURE_STORE_BYTES] = {"tollway_aggregator_store_bytes",
                             "Bytes in use in the partitions' stores.", METRIC_GAUGE, NULL, NULL},
    [MEASURE_COMMITS] = {"tollway_aggregator_commits_total", "Commits.", METRIC_COUNTER, NULL,
                         NULL},
    [MEASURE_COMMIT_SECONDS] = {"tollway_aggregator_commit_seconds", "How long a commit took.",
                                METRIC_HISTOGRAM, NULL, NULL},
    [MEASURE_WATERMARK_AGE] = {"tollway_aggregator_watermark_age_seconds",
                               "Age of the newest arrival, of the partition where it is oldest.",
                               METRIC_GAUGE, NULL, NULL},
    [MEASURE_REBALANCES] = {"tollway_aggregator_rebalances_total", "Partitions that came or went.",
                            METRIC_COUNTER, "change", changes},
    [MEASURE_RETRIES] = {"tollway_aggregator_retries_total",
                         "Times that Kafka or the disk had to be waited for.", METRIC_COUNTER, NULL,
                         NULL},
    [MEASURE_READY] = {"tollway_aggregator_ready", "1 when /readyz says ready.", METRIC_GAUGE, NULL,
                       NULL},
};

struct metrics *measures_new(void)
{
    return metrics_new(table, sizeof(table) / sizeof(table[0]));
}
