#include "aggregator/settings.h"

#include <stddef.h>

const struct setting aggregator_settings[] = {
    {
        .name = "data",
        .kind = SETTING_TEXT,
        .usual = "data",
        .help = "Folder of the counters, one store a partition below <data>/<bucket>. Give each "
                "aggregator one of its own, on a local disk.",
        .offset = offsetof(struct aggregator_config, data),
    },
    {
        .name = "snapshots",
        .kind = SETTING_TEXT,
        .help = "Folder of snapshots, shared by all aggregators of the bucket; a partition that "
                "comes to another host starts from the newest. Without it, from the log alone.",
        .offset = offsetof(struct aggregator_config, snapshots),
    },
    {
        .name = "snapshot-interval",
        .kind = SETTING_DURATION,
        .usual = "PT15M",
        .least = 1000,
        .most = 604800000,
        .help = "How often a partition that has changed is copied to the snapshots. More often "
                "shortens a restore and costs a full copy each time.",
        .offset = offsetof(struct aggregator_config, snapshot_ms),
    },
    {
        .name = "dedup-horizon",
        .kind = SETTING_DURATION,
        .usual = "P35D",
        .least = 0,
        .most = 3155760000000,
        .help = "How old an event may be at its arrival, and how long its id is remembered. More "
                "takes memory (--dedup-memory) and disk; less sets more events aside as late. It "
                "decides verdicts, so it can't be changed over counters that are there.",
        .offset = offsetof(struct aggregator_config, horizon_ms),
    },
    {
        .name = "dedup-memory",
        .kind = SETTING_BYTES,
        .usual = "4GiB",
        .least = 65536,
        .most = 17592186044416,
        .help = "How much memory ids may take, of all partitions that this aggregator has. An id "
                "takes 27 bytes; beyond this the oldest days are sealed: their ids stay on disk "
                "alone, behind a filter of 2 bytes an id. It decides no verdict and can be changed "
                "at any time.",
        .offset = offsetof(struct aggregator_config, dedup_bytes),
    },
    {
        .name = "map-size",
        .kind = SETTING_BYTES,
        .usual = "64MiB",
        .least = 1048576,
        .most = 17592186044416,
        .help = "First size of a partition's memory map; it grows by itself.",
        .offset = offsetof(struct aggregator_config, map_bytes),
    },
    {
        .name = "threads",
        .kind = SETTING_NUMBER,
        .usual = "1",
        .least = 1,
        .most = 64,
        .help = "How many threads count, each for partitions of its own.",
        .offset = offsetof(struct aggregator_config, threads),
    },
    {
        .name = "commit-events",
        .kind = SETTING_NUMBER,
        .usual = "2000000",
        .least = 1,
        .most = 100000000,
        .help = "How many events a partition counts in memory before it commits. More costs less "
                "an event, and more memory.",
        .offset = offsetof(struct aggregator_config, commit_events),
    },
    {
        .name = "commit-interval",
        .kind = SETTING_DURATION,
        .usual = "100ms",
        .least = 1,
        .most = 60000,
        .help = "How long an event may be counted in memory before it is committed and can be "
                "queried; up to four seconds when the aggregator is behind. Less costs more disk "
                "syncs.",
        .offset = offsetof(struct aggregator_config, commit_ms),
    },
    {
        .name = "publish-interval",
        .kind = SETTING_DURATION,
        .usual = "250ms",
        .least = 1,
        .most = 60000,
        .help = "How often changed totals of a partition are published to <bucket>.counters, when "
                "they are few. When more than a thousand change in a second, twenty times as "
                "seldom: a close waits that long for them. Less writes more records.",
        .offset = offsetof(struct aggregator_config, publish_ms),
    },
    {
        .name = "mark-interval",
        .kind = SETTING_DURATION,
        .usual = "2s",
        .least = 100,
        .most = 600000,
        .help = "How often an idle partition repeats its mark, by which others know its owner.",
        .offset = offsetof(struct aggregator_config, mark_ms),
    },
    {
        .name = "queue-bytes",
        .kind = SETTING_BYTES,
        .usual = "64MiB",
        .least = 8388608,
        .most = 17179869184,
        .help = "How many bytes of totals and rejected events may wait for Kafka's "
                "acknowledgement, a thread.",
        .offset = offsetof(struct aggregator_config, queue_bytes),
    },
    {
        .name = "query-threads",
        .kind = SETTING_NUMBER,
        .usual = "16",
        .least = 2,
        .most = 256,
        .help = "How many queries are answered at once, and as many parts of other aggregators' "
                "queries. More wait.",
        .offset = offsetof(struct aggregator_config, query_threads),
    },
};
const size_t aggregator_setting_count = ARRAY_LEN(aggregator_settings);
