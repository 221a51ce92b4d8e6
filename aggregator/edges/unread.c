#include "aggregator/edges/unread.h"

#include "common/base/monotonic.h"
#include "proto/usage.h"

#include <stdlib.h>

enum { MESSAGES_A_POLL = 64, POLL_MS = 50 };

struct reading {
    const struct unread_stretch *stretches;
    size_t count;
    int64_t *offsets; /* the next one of each */
    int64_t left;     /* messages */
    int64_t events;
    struct usage_reader *reader;
};

/* What isn't a batch is one event that can't be decoded. */
static int64_t events_of(struct reading *reading, struct text message)
{
    struct usage_batch batch;
    const char *reason;

    if (usage_decode(reading->reader, message, &batch, &reason))
        return 1;
    return (int64_t)batch.event_count;
}

static void take(struct reading *reading, const struct kafka_message *message)
{
    size_t partition = (size_t)message->partition;

    if (message->offset < reading->offsets[partition] ||
        message->offset >= reading->stretches[partition].to)
        return; /* behind the end that was asked for, or of a partition with nothing unread */
    reading->left -= message->offset + 1 - reading->offsets[partition];
    reading->offsets[partition] = message->offset + 1;
    reading->events += events_of(reading, message->value);
}

static void read_on(struct reading *reading, struct follower *follower)
{
    struct kafka_message messages[MESSAGES_A_POLL];
    int64_t until = monotonic_ms() + UNREAD_WAIT_MS_MAX;

    while (reading->left > 0 && monotonic_ms() < until) {
        int got = follower_poll(follower, messages, MESSAGES_A_POLL, POLL_MS);

        if (got < 0)
            return; /* the rest is estimated */
        for (int i = 0; i < got; i++)
            take(reading, &messages[i]);
    }
}

static void read_messages(struct reading *reading, const struct kafka_config *config,
                          const char *topic)
{
    struct follower *follower;

    if (follower_new(config, topic, reading->offsets, reading->count, &follower))
        return;
    reading->reader = usage_reader_new();
    read_on(reading, follower);
    reading->reader = usage_reader_free(reading->reader);
    follower_free(follower);
}

/* At the partition's own events a message, rounded up; one, where nothing is known. */
static int64_t estimate(const struct unread_stretch *stretch, int64_t messages)
{
    uint64_t read = stretch->from > 0 ? (uint64_t)stretch->from : 1;
    uint64_t each = (stretch->accepted + read - 1) / read;

    return messages * (int64_t)(each > 0 ? each : 1);
}

int64_t unread_events(const struct kafka_config *config, const char *topic,
                      const struct unread_stretch *stretches, size_t count)
{
    struct reading reading = {.stretches = stretches, .count = count};
    int64_t events;

    reading.offsets = calloc(count, sizeof(*reading.offsets));
    if (!reading.offsets)
        abort();
    for (size_t i = 0; i < count; i++) {
        bool is_unread = stretches[i].from < stretches[i].to;
        reading.offsets[i] = is_unread ? stretches[i].from : -1; /* -1: the end */
        reading.left += is_unread ? stretches[i].to - stretches[i].from : 0;
    }
    if (reading.left > 0 && reading.left <= UNREAD_MESSAGES_MAX)
        read_messages(&reading, config, topic);
    events = reading.events;
    for (size_t i = 0; i < count; i++)
        if (stretches[i].from < stretches[i].to)
            events += estimate(&stretches[i], stretches[i].to - reading.offsets[i]);
    free(reading.offsets);
    return events;
}
