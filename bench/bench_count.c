/*
 * bench_count - what counting costs: packed batches through the reader, the tally and into its
 * store, on one core, with real commits; the totals are checked against a count of the bench's own.
 *
 *   build/bin/bench-count [--folder DIR] [--events N] [--subscriptions N] [--zipf] [--batch N]
 *                         [--duplicates PERMILLE] [--preload N] [--warm N] [--commit-events N]
 *                         [--sources N] [--seed N]
 *
 * With --sources, each of them numbers its events, and a batch is of one source; ids without. Half
 * of the events have two entries; 2 % are of the minute before. Without --preload the table of ids
 * grows as they come. Prints CPU nanoseconds an event by stage. For instructions by stage:
 *
 *   valgrind --tool=callgrind --toggle-collect='stage_*' build/bin/bench-count ...
 */
#include "aggregator/edges/vault.h"
#include "aggregator/rules/block.h"
#include "common/base/fault.h"

#include <assert.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CHUNK_MESSAGES = 500,
    RECENT_IDS = 1 << 16,
    METERS = 2,
    WARM_COMMIT_EVENTS = 500000,
    START_MINUTE = 29453760
};
#define START_MS ((int64_t)START_MINUTE * 60000) /* 2026-01-01 */

struct choice {
    const char *folder;
    int64_t events, subscriptions, batch, duplicates, preload, warm, commit_events, sources;
    uint64_t seed;
    bool zipf;
};

struct message {
    char *bytes;
    size_t length, room;
};

struct bench {
    struct choice choice;
    uint64_t random;
    int64_t made, warmed;
    uint64_t (*recent)[2];      /* ids that were sent */
    uint64_t *expected[METERS]; /* events by subscription */
    uint64_t duplicates;
    uint64_t *next_numbers; /* of each source */
    size_t source;          /* of the batch that is made */
    struct usage_writer *writer;
    struct usage_reader *reader;
    struct message messages[CHUNK_MESSAGES];
    struct tally *tally;
    struct vault vault;
    int64_t decode_ns, count_ns, commit_ns, commit_wall_ns, longest_ns, commits;
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t next_random(struct bench *bench)
{
    bench->random ^= bench->random << 13;
    bench->random ^= bench->random >> 7;
    bench->random ^= bench->random << 17;
    return bench->random * 0x2545f4914f6cdd1du;
}

/* --- traffic --- */

static uint64_t pick_subscription(struct bench *bench)
{
    double share = (double)(next_random(bench) >> 11) / (double)(UINT64_C(1) << 53);
    double count = (double)bench->choice.subscriptions;
    double place = bench->choice.zipf ? pow(count + 1, share) - 1 : count * share;
    uint64_t number = (uint64_t)place;

    return number < (uint64_t)bench->choice.subscriptions ? number : number - 1;
}

/* Of the batch's source: its next number, or one of its last ones again. */
static void number_event(struct bench *bench, bool again, struct usage_event *event)
{
    uint64_t *next = &bench->next_numbers[bench->source];
    uint64_t id[2] = {(bench->source + 1) * UINT64_C(0x9e3779b97f4a7c15), bench->source + 1};

    memcpy(event->fingerprint.identity, id, sizeof(event->fingerprint.identity));
    event->flags = USAGE_NUMBERED;
    event->sequence = again ? *next - 1 - next_random(bench) % 1000 : (*next)++;
}

/* A new id, or one of the last ones again. */
static void identify_event(struct bench *bench, bool again, struct usage_event *event)
{
    uint64_t *recent = bench->recent[bench->made % RECENT_IDS];

    if (!again) {
        recent[0] = next_random(bench);
        recent[1] = next_random(bench);
    } else {
        recent = bench->recent[next_random(bench) % RECENT_IDS];
    }
    memcpy(event->fingerprint.identity, recent, sizeof(event->fingerprint.identity));
}

/* An event; one in so many is one of the last ones again. */
static void add_event(struct bench *bench)
{
    char subscription[48];
    struct usage_series series[METERS] = {
        {.aggregation = AGGREGATION_SUM, .meter = text_of("api")},
        {.aggregation = AGGREGATION_COUNT, .meter = text_of("calls")}};
    union usage_value values[METERS] = {{.amount = decimal_from_int(3)}, {.unique = {0}}};
    struct usage_event event = {.arrival_ms = START_MS + 120000 + bench->made / 1000};
    bool may_repeat = bench->choice.sources ? bench->next_numbers[bench->source] > 1000
                                            : bench->made >= RECENT_IDS;
    bool again = may_repeat && next_random(bench) % 1000 < (uint64_t)bench->choice.duplicates;
    size_t entries = 1 + (size_t)(bench->made & 1);
    uint64_t number = pick_subscription(bench);

    if (bench->choice.sources)
        number_event(bench, again, &event);
    else
        identify_event(bench, again, &event);
    event.time = instant_from_ms(event.arrival_ms - (next_random(bench) % 50 == 0 ? 60000 : 0));
    (void)snprintf(subscription, sizeof(subscription), "01ARZ3NDEKTSV4RRFF%08llu",
                   (unsigned long long)number);
    series[0].subscription = series[1].subscription = text_of(subscription);
    if (usage_writer_add(bench->writer, &event, series, values, entries))
        assert(!"the events of a batch fit");
    bench->made++;
    if (again)
        bench->duplicates++;
    for (size_t i = 0; !again && i < entries; i++)
        bench->expected[i][number]++;
}

static void make_chunk(struct bench *bench)
{
    for (size_t i = 0; i < CHUNK_MESSAGES; i++) {
        struct message *message = &bench->messages[i];
        struct text bytes;

        usage_writer_reset(bench->writer);
        bench->source = bench->choice.sources ? i % (size_t)bench->choice.sources : 0;
        for (int64_t event = 0; event < bench->choice.batch; event++)
            add_event(bench);
        bytes = usage_writer_finish(bench->writer);
        if (message->room < bytes.length) {
            message->room = bytes.length + 1024;
            message->bytes = realloc(message->bytes, message->room);
            if (!message->bytes)
                abort();
        }
        memcpy(message->bytes, bytes.at, bytes.length);
        message->length = bytes.length;
    }
}

/* Into a table that is as full as one is on average, and has room for what will be counted. */
static void preload(struct bench *bench)
{
    struct day *day = days_take(&bench->tally->days, START_MINUTE / MINUTES_A_DAY);
    int64_t usual = bench->choice.preload / 4 * 5;
    int64_t all = bench->choice.preload + bench->choice.warm + bench->choice.events;

    if (bench->choice.preload == 0)
        return;
    dedup_reserve(&day->ids, (uint64_t)(all > usual ? all : usual));
    for (int64_t i = 0; i < bench->choice.preload; i++) {
        uint64_t words[2] = {next_random(bench), next_random(bench)};
        struct fingerprint id = {.payload = 1};

        memcpy(id.identity, words, sizeof(id.identity));
        dedup_load(&day->ids, &id);
    }
}

/* --- the stages: functions of their own, for callgrind --- */

__attribute__((noinline)) static void
stage_decode(struct bench *bench, const struct message *message, struct usage_batch *batch)
{
    const char *reason = "";

    if (usage_decode(bench->reader, text_from(message->bytes, message->length), batch, &reason))
        assert(!"a written batch can be read");
}

__attribute__((noinline)) static void stage_count(struct bench *bench,
                                                  const struct usage_batch *batch)
{
    static struct aside asides[USAGE_EVENTS_MAX];
    size_t count;

    if (vault_recall(&bench->vault, bench->tally, batch))
        assert(!"a source can be read");
    tally_count(bench->tally, batch, bench->tally->next_offset, asides, &count);
    assert(count == 0);
}

__attribute__((noinline)) static int stage_commit(struct bench *bench)
{
    int r;

    do
        r = vault_commit(&bench->vault, bench->tally);
    while (r == FAULT_RETRY);
    return r;
}

static void commit_or_end(struct bench *bench)
{
    if (stage_commit(bench)) {
        (void)fprintf(stderr, "%s\n", fault_text());
        exit(1);
    }
}

static void commit(struct bench *bench)
{
    int64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

    commit_or_end(bench);
    bench->commit_ns += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = clock_ns(CLOCK_MONOTONIC) - wall;
    bench->commit_wall_ns += wall;
    bench->longest_ns = wall > bench->longest_ns ? wall : bench->longest_ns;
    bench->commits++;
}

static void run_chunk(struct bench *bench)
{
    for (size_t i = 0; i < CHUNK_MESSAGES; i++) {
        int64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID), decoded;
        struct usage_batch batch;

        stage_decode(bench, &bench->messages[i], &batch);
        decoded = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        stage_count(bench, &batch);
        bench->decode_ns += decoded - began;
        bench->count_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - decoded;
        if ((int64_t)bench->tally->pending_events >= bench->choice.commit_events)
            commit(bench);
    }
}

/* The same for events that aren't in the figures. */
static void warm_up(struct bench *bench)
{
    static struct aside asides[USAGE_EVENTS_MAX];

    for (int64_t i = 0; i < bench->choice.warm; i += CHUNK_MESSAGES * bench->choice.batch) {
        make_chunk(bench);
        for (size_t j = 0; j < CHUNK_MESSAGES; j++) {
            struct text message = text_from(bench->messages[j].bytes, bench->messages[j].length);
            struct usage_batch batch;
            const char *reason;
            size_t count;

            if (usage_decode(bench->reader, message, &batch, &reason))
                assert(!"a written batch can be read");
            if (vault_recall(&bench->vault, bench->tally, &batch))
                assert(!"a source can be read");
            tally_count(bench->tally, &batch, bench->tally->next_offset, asides, &count);
        }
        if ((int64_t)bench->tally->pending_events < WARM_COMMIT_EVENTS &&
            i + CHUNK_MESSAGES * bench->choice.batch < bench->choice.warm)
            continue;
        commit_or_end(bench);
    }
    bench->warmed = bench->made;
}

/* --- is it right? --- */

static void add_block(struct bench *bench, struct block_key where, const struct block *block,
                      uint64_t *sums[LEVELS])
{
    for (uint32_t place = 0; place < BLOCK_CELLS; place++) {
        uint32_t series = where.number * BLOCK_CELLS + place;

        if (!(block->bitmap >> place & 1))
            continue;
        assert(series < bench->tally->series.count);
        sums[where.level][series] += block->cells[place].count;
        if (bench->tally->series.series[series].aggregation == AGGREGATION_SUM)
            assert(block->cells[place].value.units ==
                   decimal_from_int(3 * (int64_t)block->cells[place].count).units);
    }
}

static void read_cells(struct bench *bench, uint64_t *sums[LEVELS])
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    CLEANUP(store_cursor_drop) struct store_cursor *cursor = NULL;
    struct text key = {0}, value;
    int r = store_begin(bench->vault.store, STORE_READ, &txn);

    if (r || store_cursor_new(txn, VAULT_CELLS, &cursor))
        exit(1);
    for (r = store_cursor_seek(cursor, &key, &value); r == 0;
         r = store_cursor_next(cursor, &key, &value)) {
        struct block_key where;
        struct block block;
        uint128 sum;

        if (!block_key_decode(key, &where) || !block_decode(key, value, &block, &sum))
            assert(!"a block can be read");
        add_block(bench, where, &block, sums);
    }
    assert(r == STORE_NOT_FOUND);
}

static void check_series(const struct bench *bench, uint32_t id, uint64_t *const sums[LEVELS])
{
    struct usage_series series;
    uint64_t number, expected;
    char digits[9] = "";

    if (!series_decode(series_text(&bench->tally->series.series[id]), &series))
        assert(!"a series can be decoded");
    memcpy(digits, series.subscription.at + series.subscription.length - 8, 8);
    number = strtoull(digits, NULL, 10);
    expected = bench->expected[series.aggregation == AGGREGATION_COUNT][number];
    for (size_t level = 0; level < LEVELS; level++)
        if (sums[level][id] != expected) {
            (void)fprintf(stderr, "series %u, level %zu: %llu counted, %llu sent\n", id, level,
                          (unsigned long long)sums[level][id], (unsigned long long)expected);
            exit(1);
        }
}

/* Each series' sum in the store, at each level, is what was sent; so is the ledger. */
static void check(struct bench *bench)
{
    struct account_counts counts = bench->tally->ledger.sum;
    uint64_t *sums[LEVELS];

    for (size_t level = 0; level < LEVELS; level++)
        sums[level] = calloc(bench->tally->series.count, sizeof(uint64_t));
    read_cells(bench, sums);
    for (uint32_t id = 0; id < bench->tally->series.count; id++)
        check_series(bench, id, sums);
    for (size_t level = 0; level < LEVELS; level++)
        free(sums[level]);
    if (counts.duplicate != bench->duplicates ||
        counts.counted + counts.duplicate != (uint64_t)bench->made) {
        (void)fprintf(stderr, "the ledger has %llu duplicates, sent were %llu\n",
                      (unsigned long long)counts.duplicate, (unsigned long long)bench->duplicates);
        exit(1);
    }
}

/* --- the program --- */

static void report(const struct bench *bench)
{
    double events = (double)(bench->made - bench->warmed);
    double all = (double)(bench->decode_ns + bench->count_ns + bench->commit_ns);

    printf("%lld subscriptions, %s, %lld ids before, %llu duplicates of %lld events: "
           "totals are right\n",
           (long long)bench->choice.subscriptions, bench->choice.zipf ? "zipf" : "uniform",
           (long long)bench->choice.preload, (unsigned long long)bench->duplicates,
           (long long)bench->made);
    printf("decode %.1f + count %.1f + commit %.1f = %.1f ns/event CPU: %.2f M events/s/core\n",
           (double)bench->decode_ns / events, (double)bench->count_ns / events,
           (double)bench->commit_ns / events, all / events, 1e3 * events / all);
    printf("%lld commits: %.1f ms of CPU, %.1f ms wall each, longest %.1f ms; store %lld MiB\n",
           (long long)bench->commits, (double)bench->commit_ns / 1e6 / (double)bench->commits,
           (double)bench->commit_wall_ns / 1e6 / (double)bench->commits,
           (double)bench->longest_ns / 1e6,
           (long long)(store_bytes_used(bench->vault.store) >> 20));
}

static bool set_choice(struct choice *choice, int option)
{
    int64_t number = optarg ? strtoll(optarg, NULL, 10) : 0;

    switch (option) {
    case 'f':
        choice->folder = optarg;
        return true;
    case 'e':
        choice->events = number;
        return number > 0;
    case 's':
        choice->subscriptions = number;
        return number > 0 && number <= 99999999;
    case 'z':
        return choice->zipf = true;
    case 'b':
        choice->batch = number;
        return number > 0 && number <= USAGE_EVENTS_MAX;
    case 'd':
        choice->duplicates = number;
        return number >= 0 && number <= 1000;
    case 'p':
        choice->preload = number;
        return number >= 0;
    case 'w':
        choice->warm = number;
        return number >= 0;
    case 'n':
        choice->sources = number;
        return number >= 0;
    case 'c':
        choice->commit_events = number;
        return number > 0;
    case 'r':
        choice->seed = (uint64_t)number;
        return number > 0;
    default:
        return false;
    }
}

static bool read_choice(int argc, char **argv, struct choice *choice)
{
    static const struct option options[] = {
        {"folder", required_argument, NULL, 'f'},
        {"events", required_argument, NULL, 'e'},
        {"subscriptions", required_argument, NULL, 's'},
        {"zipf", no_argument, NULL, 'z'},
        {"batch", required_argument, NULL, 'b'},
        {"duplicates", required_argument, NULL, 'd'},
        {"preload", required_argument, NULL, 'p'},
        {"warm", required_argument, NULL, 'w'},
        {"commit-events", required_argument, NULL, 'c'},
        {"sources", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!set_choice(choice, option))
            return false;
    return optind == argc;
}

int main(int argc, char **argv)
{
    static struct bench bench = {.choice = {.folder = "bench-count.data",
                                            .events = 5000000,
                                            .subscriptions = 100000,
                                            .batch = 100,
                                            .duplicates = 10,
                                            .commit_events = 1000000,
                                            .seed = 88172645463325252u}};

    if (!read_choice(argc, argv, &bench.choice)) {
        (void)fprintf(stderr, "see the head of bench/bench_count.c\n");
        return 64;
    }
    bench.random = bench.choice.seed;
    bench.recent = calloc(RECENT_IDS, sizeof(*bench.recent));
    for (size_t i = 0; i < METERS; i++)
        bench.expected[i] = calloc((size_t)bench.choice.subscriptions, sizeof(uint64_t));
    bench.next_numbers = calloc((size_t)bench.choice.sources + 1, sizeof(uint64_t));
    for (int64_t i = 0; i < bench.choice.sources; i++)
        bench.next_numbers[i] = 1;
    bench.writer = usage_writer_new();
    bench.reader = usage_reader_new();
    bench.tally = tally_new(0, 1, INT64_C(3024000000));
    if (vault_open(bench.choice.folder, INT64_C(1) << 30, &bench.vault))
        return 1;
    preload(&bench);
    warm_up(&bench);
    while (bench.made - bench.warmed < bench.choice.events) {
        make_chunk(&bench);
        run_chunk(&bench);
    }
    if (bench.tally->pending > 0)
        commit(&bench);
    check(&bench);
    report(&bench);
    tally_free(bench.tally);
    vault_close(&bench.vault);
    usage_writer_free(bench.writer);
    usage_reader_free(bench.reader);
    return 0;
}
