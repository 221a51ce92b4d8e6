/*
 * bench_count - what counting costs: decoded batches through the tally and into its store, on one
 * core.
 *
 *   build/bin/bench-count [FOLDER [MILLIONS [SUBSCRIPTIONS [SOURCES]]]]
 *
 * Batches of 100 events, all ids new, two meters an event in half of them; a commit every million
 * events, synced. With SOURCES, each numbers its events, and a batch is of one source. Prints CPU
 * and wall nanoseconds an event, of counting and of committing.
 */
#include "aggregator/edges/vault.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 100, BATCHES = 10000, COMMIT_EVENTS = 1000000 };

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

struct message {
    char *bytes;
    size_t length;
};

/* Who numbers its events, and how far it is; NULL: ids. */
struct source {
    uint64_t number, next;
};

static void make_id(uint64_t *state, struct source *source, struct usage_event *event)
{
    uint64_t id[2] = {next_random(state), next_random(state)};

    if (source) {
        id[0] = source->number * UINT64_C(0x9e3779b97f4a7c15);
        id[1] = source->number;
        event->flags = USAGE_NUMBERED;
        event->sequence = source->next++;
    }
    memcpy(event->fingerprint.identity, id, sizeof(event->fingerprint.identity));
}

static void write_message(struct usage_writer *writer, uint64_t *state, int64_t subscriptions,
                          int64_t now_ms, struct source *source, struct message *message)
{
    usage_writer_reset(writer);
    for (int i = 0; i < BATCH; i++) {
        char subscription[48];
        struct usage_series series[2] = {
            {.aggregation = AGGREGATION_SUM, .meter = text_of("api")},
            {.aggregation = AGGREGATION_COUNT, .meter = text_of("calls")}};
        union usage_value values[2] = {{.amount = decimal_from_int(3)}, {.unique = {0}}};
        struct usage_event event = {.arrival_ms = now_ms, .time = instant_from_ms(now_ms)};

        (void)snprintf(subscription, sizeof(subscription), "01ARZ3NDEKTSV4RRFF%08llu",
                       (unsigned long long)(next_random(state) % (uint64_t)subscriptions));
        series[0].subscription = series[1].subscription = text_of(subscription);
        make_id(state, source, &event);
        if (usage_writer_add(writer, &event, series, values, 1 + (size_t)(i & 1)))
            assert(!"a hundred events fit");
    }
    struct text bytes = usage_writer_finish(writer);

    *message = (struct message){.bytes = malloc(bytes.length), .length = bytes.length};
    memcpy(message->bytes, bytes.at, bytes.length);
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : "bench-count.data";
    int64_t millions = argc > 2 ? strtoll(argv[2], NULL, 10) : 5;
    int64_t subscriptions = argc > 3 ? strtoll(argv[3], NULL, 10) : 100000;
    int64_t source_count = argc > 4 ? strtoll(argv[4], NULL, 10) : 0;
    struct source *sources = calloc((size_t)source_count + 1, sizeof(*sources));
    struct message *messages = calloc(BATCHES, sizeof(*messages));
    struct usage_writer *writer = usage_writer_new();
    struct usage_reader *reader = usage_reader_new();
    struct tally *tally = tally_new(0, 1, INT64_C(3024000000));
    static struct aside asides[USAGE_EVENTS_MAX];
    int64_t count_cpu = 0, commit_cpu = 0, commit_wall = 0, longest = 0;
    uint64_t state = 88172645463325252u;
    struct vault vault;

    if (!messages || !sources || vault_open(folder, INT64_C(1) << 30, &vault))
        return 1;
    for (int64_t round = 0; round < millions; round++) {
        for (int i = 0; i < BATCHES; i++) {
            struct source *source = source_count ? &sources[i % source_count] : NULL;

            if (source)
                source->number = 1 + (uint64_t)(i % source_count);
            write_message(writer, &state, subscriptions, 1767225600000 + round * 1000 + i / 10,
                          source, &messages[i]);
        }
        int64_t began = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
        for (int i = 0; i < BATCHES; i++) {
            struct usage_batch batch;
            const char *reason;
            size_t count;

            if (usage_decode(reader, text_from(messages[i].bytes, messages[i].length), &batch,
                             &reason))
                return 1;
            if (vault_recall(&vault, tally, &batch))
                return 1;
            tally_count(tally, &batch, tally->next_offset, asides, &count);
        }
        int64_t counted = clock_ns(CLOCK_PROCESS_CPUTIME_ID), wall = clock_ns(CLOCK_MONOTONIC);
        if (vault_commit(&vault, tally))
            return 1;
        count_cpu += counted - began;
        commit_cpu += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - counted;
        wall = clock_ns(CLOCK_MONOTONIC) - wall;
        commit_wall += wall;
        longest = wall > longest ? wall : longest;
        for (int i = 0; i < BATCHES; i++)
            free(messages[i].bytes);
    }
    int64_t events = millions * COMMIT_EVENTS;

    printf("count  %lld ns/event CPU\ncommit %lld ns/event CPU, %lld wall; longest %lld ms\n"
           "total  %.2f M events/s/core\n",
           (long long)(count_cpu / events), (long long)(commit_cpu / events),
           (long long)(commit_wall / events), (long long)(longest / 1000000),
           1e3 * (double)events / (double)(count_cpu + commit_cpu));
    tally_free(tally);
    vault_close(&vault);
    free(messages);
    free(sources);
    usage_reader_free(reader);
    usage_writer_free(writer);
    return 0;
}
