#include "tests/unit/aggregator_totals/world.h"

#include "aggregator/edges/measures.h"
#include "aggregator/rules/level.h"
#include "common/base/fault.h"
#include "common/io/log.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 4 * MESSAGES_MAX,
    RECORDS_MAX = 60000,
    LINES = 4,
    DAYS = 3,
    CUTS_MAX = 64,
    LATE_RECORDS = 60,
};

static uint64_t state;

int64_t random_below(int64_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((state >> 33) % (uint64_t)below);
}

/* --- the log, and what it comes to --- */

struct seen {
    int64_t offset, minute, units;
    int line; /* of LINES: the odd ones count unique values, `units` of them */
};

static struct seen events[EVENTS_MAX];
static size_t event_count;
static struct {
    char *bytes;
    size_t length;
} messages[MESSAGES_MAX];
int64_t message_count;

static void name_line(int line, struct usage_series *series)
{
    *series = (struct usage_series){
        .aggregation = line % 2 ? AGGREGATION_UNIQUE_COUNT : AGGREGATION_SUM,
        .subscription = text_of(line / 2 ? "sub-b" : "sub-a"),
        .meter = text_of(line % 2 ? "uniq" : "sum"),
    };
}

static void add_event(struct usage_writer *writer, int line, int64_t minute, int64_t units)
{
    struct seen *seen = &events[event_count++];
    struct usage_event event = {.flags = 0};
    union usage_value value = {.amount = {0}};
    struct usage_series series;

    *seen = (struct seen){.offset = message_count, .minute = minute, .units = units, .line = line};
    memcpy(event.fingerprint.identity, &event_count, sizeof(event_count));
    event.time = instant_from_minute(seen->minute);
    event.arrival_ms = (int64_t)(FIRST_DAY + DAYS - 1) * MINUTES_A_DAY * 60000;
    name_line(seen->line, &series);
    if (seen->line % 2)
        value.unique[0] = (uint8_t)seen->units;
    else
        value.amount.units = seen->units;
    cr_assert_eq(usage_writer_add(writer, &event, &series, &value, 1), 0);
}

static void end_message(struct usage_writer *writer)
{
    struct text bytes = usage_writer_finish(writer);

    messages[message_count].bytes = malloc(bytes.length);
    memcpy(messages[message_count].bytes, bytes.at, bytes.length);
    messages[message_count++].length = bytes.length;
    usage_writer_free(writer);
}

void write_message(void)
{
    struct usage_writer *writer = usage_writer_new();

    for (int64_t i = random_below(3); i >= 0; i--) {
        int64_t minute = (FIRST_DAY + random_below(DAYS)) * MINUTES_A_DAY + random_below(4) * 360;
        int64_t units = random_below(5);

        add_event(writer, (int)random_below(LINES), minute, units);
    }
    end_message(writer);
}

void write_event(int line, int64_t day, int64_t units)
{
    struct usage_writer *writer = usage_writer_new();

    add_event(writer, line, (FIRST_DAY + day) * MINUTES_A_DAY, units);
    end_message(writer);
}

struct sum {
    int64_t count, units;
    unsigned values; /* a bit each */
};

/* Of a line's window in the state before `next_offset`. */
static struct sum sum_of(int line, int64_t from, int64_t to, int64_t next_offset)
{
    struct sum sum = {0};

    for (size_t i = 0; i < event_count; i++) {
        const struct seen *seen = &events[i];

        if (seen->line != line || seen->minute < from || seen->minute >= to ||
            seen->offset >= next_offset)
            continue;
        sum.count++;
        sum.units += seen->units;
        sum.values |= 1u << seen->units;
    }
    if (line % 2)
        sum = (struct sum){.count = __builtin_popcount(sum.values), .values = sum.values};
    else
        sum.values = 0;
    return sum;
}

/* --- the catalog --- */

static uint16_t cuts[CUTS_MAX][2]; /* of each of its states: midnight, and another one */
static int64_t cuts_now;
static uint64_t cut_changes;

const struct catalog *catalog_feed_lock(struct catalog_feed *feed, int64_t *next_offset)
{
    (void)feed;
    if (next_offset)
        *next_offset = cuts_now;
    return NULL;
}

void catalog_feed_unlock(struct catalog_feed *feed)
{
    (void)feed;
}

const uint16_t *catalog_cuts(const struct catalog *catalog, struct text id, size_t *count)
{
    (void)catalog, (void)id;
    *count = 2;
    return cuts[cuts_now];
}

uint64_t catalog_cuts_hash(const uint16_t *of, size_t count)
{
    cr_assert_eq(count, 2);
    return 1 + (uint64_t)of[1];
}

const uint16_t *catalog_cuts_known(const struct catalog *catalog, uint64_t hash, size_t *count)
{
    (void)catalog;
    *count = 2;
    for (int64_t i = 0; i <= cuts_now; i++)
        if (catalog_cuts_hash(cuts[i], 2) == hash)
            return cuts[i];
    return NULL;
}

uint64_t catalog_cuts_changes(const struct catalog *catalog)
{
    (void)catalog;
    return cut_changes;
}

struct text catalog_cuts_changed(const struct catalog *catalog, uint64_t change)
{
    (void)catalog;
    cr_assert_lt(cut_changes - 1 - change, CATALOG_CUTS_RECENT);
    return text_of(change % 2 ? "sub-b" : "sub-a");
}

/* Everybody's, one after the other; now and then among more than the catalog keeps. */
void change_cuts(void)
{
    if (cuts_now + 1 == CUTS_MAX)
        return;
    cuts[++cuts_now][1] = (uint16_t)(360 * (1 + random_below(3)));
    cut_changes += random_below(4) ? 2 : CATALOG_CUTS_RECENT;
}

/* --- the topic --- */

struct record *topic;
int64_t record_count;

/* The last record of a key, or the one of the latest state, as a reader from the beginning has it.
 */
static const struct record *find(int line, int64_t from, int64_t to, int unique, bool is_last)
{
    const struct record *found = NULL;

    for (int64_t i = 0; i < record_count; i++) {
        const struct record *record = &topic[i];

        if (record->is_mark || record->line != line || record->total.from_minute != from ||
            record->total.to_minute != to || record->total.is_unique != (unique >= 0) ||
            (unique >= 0 && record->total.unique[0] != unique))
            continue;
        if (is_last || !found || found->total.next_offset <= record->total.next_offset)
            found = record;
    }
    return found;
}

/* Says the topic all that the state before `next_offset` has of the window? */
static void check_window(int line, int64_t from, int64_t to, int64_t next_offset, bool is_last)
{
    struct sum want = sum_of(line, from, to, next_offset), got;
    const struct record *record = find(line, from, to, -1, is_last);

    if (want.count == 0)
        return;
    cr_assert_not_null(record, "line %d from %ld: never published", line, (long)from);
    got = sum_of(line, from, to, record->total.next_offset);
    cr_assert(record->total.next_offset >= next_offset || got.count == want.count,
              "line %d from %ld: the state before %ld instead of %ld", line, (long)from,
              (long)record->total.next_offset, (long)next_offset);
    for (int i = 0; i < 5; i++)
        cr_assert(!(want.values >> i & 1) || find(line, from, to, i, is_last),
                  "line %d from %ld: unique value %d was never published", line, (long)from, i);
}

static void check_state(int64_t next_offset, int64_t catalog_offset, bool is_last)
{
    int64_t end = (FIRST_DAY + DAYS) * MINUTES_A_DAY;

    for (int line = 0; line < LINES; line++)
        for (int64_t from = FIRST_DAY * MINUTES_A_DAY, to; from < end; from = to) {
            int64_t start;

            counters_window(cuts[catalog_offset], 2, from, &start, &to);
            check_window(line, start, to, next_offset, is_last);
        }
}

/* Is a total what the log says, up to where it says that it is of? */
static void check_total(const struct record *record)
{
    const struct counters_total *total = &record->total;
    struct sum sum = sum_of(record->line, total->from_minute, total->to_minute, total->next_offset);

    if (total->is_unique) {
        cr_assert(sum.values >> total->unique[0] & 1, "%s of the state before %ld isn't counted",
                  record->key, (long)total->next_offset);
        return;
    }
    cr_assert_eq((int64_t)total->total.count, sum.count, "%s before %ld", record->key,
                 (long)total->next_offset);
    cr_assert_eq((int64_t)total->total.value.units, sum.units);
}

/* No total of a window that has ended is newer than the next mark of who wrote it: a close, which
 * bills those, would pass over that mark. */
static void check_ended(int64_t at, const struct counters_mark *mark)
{
    for (int64_t i = at - 1; i >= 0; i--) {
        const struct counters_total *total = &topic[i].total;

        if (strcmp(topic[i].writer, topic[at].writer) != 0)
            continue;
        if (topic[i].is_mark)
            return;
        cr_assert(total->to_minute > instant_minute(mark->watermark) ||
                      total->next_offset <= mark->next_offset,
                  "%s of %ld is newer than the mark of %ld", topic[i].key, (long)total->next_offset,
                  (long)mark->next_offset);
    }
}

/* --- the processes --- */

struct process processes[2];
struct process *owner;
static struct usage_reader *reader;
static struct metrics *metrics;
static atomic_bool is_ending;
int64_t now_ms;
unsigned writers;
static bool was_alone; /* since its owner opened it nobody else had the partition */

static void append(const struct outgoing *message)
{
    struct record *record = &topic[record_count];
    struct counters_mark mark;
    const char *reason;
    int kind;

    cr_assert_lt(record_count, RECORDS_MAX);
    *record = (struct record){.line = 0};
    memcpy(record->key, message->key, sizeof(record->key));
    memcpy(record->writer, message->writer, sizeof(record->writer));
    kind = counters_decode(text_from(record->key, message->key_length),
                           text_from(message->value, message->value_length), &record->total, &mark,
                           &reason);
    record_count++;
    if (kind == COUNTERS_TOTAL) {
        record->line = (text_is(record->total.subscription, "sub-b") ? 2 : 0) +
                       (text_is(record->total.meter, "uniq") ? 1 : 0);
        check_total(record);
        return;
    }
    cr_assert_eq(kind, COUNTERS_MARK);
    record->is_mark = true;
    check_ended(record_count - 1, &mark);
    check_state(mark.next_offset, mark.catalog_offset, false);
    if (was_alone)
        check_state(mark.next_offset, mark.catalog_offset, true);
}

/* The first `count` of what is on its way gets there, or is refused. */
void deliver(struct producer *producer, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct outgoing *message = &producer->queue[i];
        bool is_refused =
            producer->is_refusing_all || (producer->is_refusing && random_below(8) == 0);

        if (!is_refused)
            append(message);
        message->delivered(message->context, is_refused ? -1 : record_count - 1,
                           is_refused ? "too large" : NULL);
    }
    producer->count -= count;
    memmove(producer->queue, producer->queue + count, producer->count * sizeof(*producer->queue));
}

/* Some of it gets there, but nobody hears of it. */
static void lose(struct process *process)
{
    struct producer *producer = process->producer;
    size_t arrived = (size_t)random_below((int64_t)producer->count + 1);

    for (size_t i = 0; i < producer->count; i++) {
        if (i < arrived)
            append(&producer->queue[i]);
        producer->queue[i].delivered(producer->queue[i].context, -1, "killed");
    }
    producer->count = 0;
}

int producer_send(struct producer *producer, const char *name, const struct kafka_message *message,
                  producer_delivered *delivered, void *context)
{
    struct outgoing *outgoing = &producer->queue[producer->count++];

    (void)name;
    cr_assert_leq(producer->count, QUEUE_MAX);
    *outgoing = (struct outgoing){.key_length = message->key.length,
                                  .value_length = message->value.length,
                                  .delivered = delivered,
                                  .context = context};
    cr_assert_lt(message->key.length, sizeof(outgoing->key));
    cr_assert_leq(message->value.length, sizeof(outgoing->value));
    memcpy(outgoing->key, message->key.at, message->key.length);
    memcpy(outgoing->value, message->value.at, message->value.length);
    cr_assert_lt(message->headers[0].value.length, sizeof(outgoing->writer));
    memcpy(outgoing->writer, message->headers[0].value.at, message->headers[0].value.length);
    return 0;
}

int producer_poll(struct producer *producer, int timeout_ms)
{
    (void)producer, (void)timeout_ms;
    return 0;
}

int producer_flush(struct producer *producer, int timeout_ms)
{
    (void)timeout_ms;
    if (producer->is_refusing && random_below(4) == 0)
        return fault(FAULT_RETRY, "Kafka is away");
    deliver(producer, producer->count);
    producer->is_refusing_all = false;
    return 0;
}

void peers_watch(struct peers *peers, int32_t partition, int64_t from,
                 char writer[PEERS_WRITER_BYTES])
{
    (void)partition;
    peers->until = record_count;
    peers->at = peers->visible = from == PEERS_FROM_END ? record_count : from < 0 ? 0 : from;
    (void)snprintf(peers->writer, sizeof(peers->writer), "w%u", ++writers);
    memcpy(writer, peers->writer, PEERS_WRITER_BYTES);
}

void peers_unwatch(struct peers *peers, int32_t partition)
{
    (void)peers, (void)partition;
}

bool peers_take_overwritten(struct peers *peers, int32_t partition, struct peers_overwritten *taken,
                            int64_t *followed)
{
    (void)partition;
    while (peers->at < peers->visible) {
        const struct record *record = &topic[peers->at++];

        if (record->is_mark || strcmp(record->writer, peers->writer) == 0)
            continue;
        *taken = (struct peers_overwritten){.key = strdup(record->key),
                                            .next_offset = record->total.next_offset};
        return true;
    }
    *followed = peers->at < peers->until ? PEERS_CATCHING_UP : peers->at;
    return false;
}

void look_further(struct process *process)
{
    struct peers *peers = &process->peers;

    peers->visible += random_below(record_count - peers->visible + 1);
}

struct process *other_than(const struct process *process)
{
    return process == &processes[0] ? &processes[1] : &processes[0];
}

void start_process(struct process *process)
{
    const struct process *other = other_than(process);

    cr_assert_eq(shard_open(&process->setup, 0, process->producer, &process->published, now_ms,
                            &process->shard),
                 0, "%s", fault_text());
    owner = process;
    was_alone = !other->shard && other->producer->count == 0 && process->producer->count == 0;
}

void stop_process(struct process *process)
{
    process->shard = shard_close(process->shard);
}

/* The process, not the partition alone: nothing of its memory is left. */
void kill_process(struct process *process)
{
    stop_process(process);
    lose(process);
    process->published = (struct published){0};
}

void lose_store(struct process *process)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s", process->folder);
    cr_assert_eq(system(command), 0);
}

void take_some(struct process *process, int64_t most)
{
    while (most-- > 0 && process->shard->tally->next_offset < message_count) {
        int64_t at = process->shard->tally->next_offset;
        struct kafka_message message = {
            .offset = at, .value = text_from(messages[at].bytes, messages[at].length)};

        cr_assert_eq(shard_take(process->shard, reader, &message, now_ms), 0, "%s", fault_text());
    }
}

void commit(struct process *process)
{
    int r;

    do
        r = shard_commit(process->shard);
    while (r == FAULT_RETRY); /* the map grows */
    cr_assert_eq(r, 0, "%s", fault_text());
}

void commit_to_a_full_disk(struct process *process)
{
    struct rlimit limit, none = {.rlim_cur = 1};

    getrlimit(RLIMIT_FSIZE, &limit);
    none.rlim_max = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &none);
    (void)!shard_commit(process->shard);
    setrlimit(RLIMIT_FSIZE, &limit);
}

void tend_until(struct process *process, int64_t until_ns)
{
    cr_assert_eq(shard_tend(process->shard, now_ms, until_ns), 0, "%s", fault_text());
}

void tend(struct process *process)
{
    tend_until(process, INT64_MAX);
}

/* A former owner that was frozen writes what it had to say then: often what the last message but
 * one came to, and that alone, since an older total of a window has that one mended, too. */
static void write_late(void)
{
    int64_t count = record_count, least = message_count - 1 - random_below(3);

    for (int64_t i = count < LATE_RECORDS ? 0 : count - LATE_RECORDS; i < count; i++) {
        if (topic[i].is_mark || topic[i].total.next_offset < least || random_below(2))
            continue;
        cr_assert_lt(record_count, RECORDS_MAX);
        topic[record_count] = topic[i];
        (void)snprintf(topic[record_count++].writer, sizeof(topic[i].writer), "a former owner");
    }
    was_alone = false;
}

void publish_once(struct process *process)
{
    take_some(process, MESSAGES_MAX);
    commit(process);
    process->peers.visible = record_count;
    now_ms += 60000;
    tend(process);
    deliver(process->producer, process->producer->count);
    tend(process);
    deliver(process->producer, process->producer->count);
}

static void refuse_what_mends(struct process *process)
{
    process->peers.visible = record_count;
    now_ms += 60000;
    tend(process);
    process->producer->is_refusing_all = true;
    deliver(process->producer, process->producer->count);
    process->producer->is_refusing_all = false;
}

/* The other process is no more and Kafka is well: after a while the topic says all, to a reader as
 * well who sees the last of each key only. Before that somebody writes what the last message but
 * one came to, and what mends it is refused. */
void come_to_rest(void)
{
    struct process *other = other_than(owner);

    kill_process(other);
    owner->producer->is_refusing = owner->producer->is_refusing_all = false;
    publish_once(owner);
    publish_once(owner);
    if (message_count < MESSAGES_MAX)
        write_message();
    publish_once(owner);
    write_late();
    if (random_below(2))
        refuse_what_mends(owner);
    for (int i = 0; i < 3; i++)
        publish_once(owner);
    cr_assert_eq(owner->published.offset, message_count);
    check_state(message_count, cuts_now, true);
}

static void set_up(struct process *process, int number)
{
    (void)snprintf(process->folder, sizeof(process->folder), "/dev/shm/tollway-totals-%d-%d",
                   (int)getpid(), number);
    process->producer = calloc(1, sizeof(*process->producer));
    process->setup = (struct shard_setup){.data = process->folder,
                                          .bucket = "b",
                                          .horizon_ms = INT64_C(35) * 86400000,
                                          .map_bytes = 1 << 20,
                                          .ids_bytes_max = 1 << 30,
                                          .partitions = 1,
                                          .publish_ms = 250,
                                          .mark_ms = 5000,
                                          .owned = owned_new(1),
                                          .peers = &process->peers,
                                          .metrics = metrics,
                                          .counters_topic = "b.counters",
                                          .rejected_topic = "b.rejected",
                                          .usage_topic = "b.usage",
                                          .owner = "http://localhost",
                                          .instance = "none",
                                          .is_ending = &is_ending};
}

static void tear_down(struct process *process)
{
    kill_process(process);
    lose_store(process);
    owned_free(process->setup.owned);
    free(process->producer);
    *process = (struct process){.shard = NULL};
}

void begin_world(uint64_t seed)
{
    state = seed;
    event_count = 0;
    record_count = message_count = cuts_now = 0;
    now_ms = 1000000;
    cuts[0][1] = 720;
    set_up(&processes[0], 0);
    set_up(&processes[1], 1);
    start_process(&processes[0]);
}

void end_world(void)
{
    come_to_rest();
    tear_down(&processes[0]);
    tear_down(&processes[1]);
    for (int64_t i = 0; i < message_count; i++)
        free(messages[i].bytes);
}

void open_world(void)
{
    signal(SIGXFSZ, SIG_IGN);
    log_init("totals", LOG_ERROR, LOG_LOGFMT);
    topic = calloc(RECORDS_MAX, sizeof(*topic));
    reader = usage_reader_new();
    metrics = measures_new();
}

void close_world(void)
{
    metrics_free(metrics);
    usage_reader_free(reader);
    free(topic);
}
