#include "ingest/settings.h"

#include <stddef.h>

const struct setting ingest_settings[] = {
    {
        .name = "linger",
        .kind = SETTING_DURATION,
        .usual = "5ms",
        .most = 1000,
        .help = "How long a usage batch is kept open for more events at most: while others are on "
                "their way, while ingest is busy taking events in, or while clients that were just "
                "answered are likely to come again. Otherwise it leaves at once. "
                "More makes larger batches under load, which cost less to send, read and "
                "count. While five of a partition are unacknowledged its next one is kept open.",
        .offset = offsetof(struct ingest_config, linger_ms),
    },
    {
        .name = "batch-events",
        .kind = SETTING_NUMBER,
        .usual = "4000",
        .least = 1,
        .most = 4000,
        .help = "How many events close a usage batch before its time.",
        .offset = offsetof(struct ingest_config, batch_events),
    },
    {
        .name = "batch-bytes",
        .kind = SETTING_BYTES,
        .usual = "512KiB",
        .least = 1024,
        .most = 921600,
        .help = "How many bytes close a usage batch before its time. Stay below the broker's "
                "message.max.bytes.",
        .offset = offsetof(struct ingest_config, batch_bytes),
    },
    {
        .name = "future-tolerance",
        .kind = SETTING_DURATION,
        .usual = "PT5M",
        .most = 86400000,
        .help = "How far an event's time may be ahead of its arrival. More takes in events of "
                "clocks that are wrong, less refuses those of clocks that are a little fast.",
        .offset = offsetof(struct ingest_config, future_ms),
    },
    {
        .name = "queue-bytes",
        .kind = SETTING_BYTES,
        .usual = "64MiB",
        .least = 8388608,
        .most = 17179869184,
        .help = "How many bytes may wait for Kafka's acknowledgement before requests are answered "
                "503. More rides out longer pauses of the broker and takes as much memory twice.",
        .offset = offsetof(struct ingest_config, queue_bytes),
    },
    {
        .name = "answer-timeout",
        .kind = SETTING_DURATION,
        .usual = "30s",
        .least = 100,
        .most = 3600000,
        .help = "How long a request waits for Kafka's acknowledgement before it is answered 503.",
        .offset = offsetof(struct ingest_config, answer_ms),
    },
    {
        .name = "broker-grace",
        .kind = SETTING_DURATION,
        .usual = "5s",
        .least = 1000,
        .most = 3600000,
        .help = "How long without any broker requests are still taken in and kept waiting; then "
                "they are answered 503 at once.",
        .offset = offsetof(struct ingest_config, broker_grace_ms),
    },
    {
        .name = "drain-timeout",
        .kind = SETTING_DURATION,
        .usual = "10s",
        .most = 600000,
        .help = "How long SIGTERM waits for requests under way and for Kafka's acknowledgement.",
        .offset = offsetof(struct ingest_config, drain_ms),
    },
    {
        .name = "key-rate",
        .kind = SETTING_NUMBER,
        .usual = "0",
        .most = 1000000000,
        .help = "How many events a second each API key may send over HTTP; beyond it, 429 with "
                "Retry-After. 0: as many as it likes.",
        .offset = offsetof(struct ingest_config, key_rate),
    },
    {
        .name = "kafka-intake",
        .kind = SETTING_SWITCH,
        .usual = "true",
        .help = "Whether events are read from <bucket>.events, too. Any number of processes share "
                "its partitions.",
        .offset = offsetof(struct ingest_config, kafka_intake),
    },
    {
        .name = "single-bytes",
        .kind = SETTING_BYTES,
        .usual = "1MiB",
        .least = 1024,
        .most = 1048576,
        .help = "How many bytes a request of one event may have, inflated; more is answered 413.",
        .offset = offsetof(struct ingest_config, single_bytes),
    },
    {
        .name = "body-bytes",
        .kind = SETTING_BYTES,
        .usual = "4MiB",
        .least = 1024,
        .most = 16777216,
        .help =
            "How many bytes a request may have, as sent and inflated; more is answered 413. The "
            "worst JSON takes 24 times as much memory while it is read.",
        .offset = offsetof(struct ingest_config, body_bytes),
    },
    {
        .name = "request-events",
        .kind = SETTING_NUMBER,
        .usual = "1000",
        .least = 1,
        .most = 10000,
        .help = "How many events a request may have; more is answered 413. Larger requests cost "
                "less an event, and hold up the others for longer.",
        .offset = offsetof(struct ingest_config, request_events),
    },
};
const size_t ingest_setting_count = ARRAY_LEN(ingest_settings);
