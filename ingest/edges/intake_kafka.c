/*
 * Records are read in runs. A run waits for its batches like an HTTP request does; runs are
 * committed in the order they were read, the first only when all of it is acknowledged. A partition
 * that is taken away meanwhile gets a new tenure, and what was read under an older one isn't
 * committed.
 */
#include "ingest/edges/intake_kafka.h"

#include "common/base/fault.h"
#include "common/io/log.h"
#include "ingest/edges/batch.h"
#include "ingest/edges/record.h"
#include "ingest/edges/reject.h"
#include "proto/topics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IDLE_POLL_MS = 10,
    COMMIT_MS = 500,
    CONNECTED_MS = 1000,
    PARTITIONS_MAX = CATALOG_PARTITIONS_MAX,
    INDEXES_BYTES_MAX = 16 * 1024, /* of the list that says which events of a batch are refused */
};

struct position {
    int32_t partition;
    uint32_t tenure;
    int64_t next_offset;
};

/* What one poll brought. */
struct run {
    struct waiter waiter; /* first: waiters are cast back */
    struct intake_kafka *kafka;
    bool is_settled;
    int64_t received, accepted; /* events */
    size_t count, room;         /* partitions read from */
    struct position *positions;
};

struct intake_kafka {
    struct intake *intake;
    struct consumer *consumer;
    char topic[TOPIC_NAME_MAX];
    uv_timer_t timer;
    void (*failed)(void *context, int code);
    void *context;
    uint32_t *tenures;  /* by partition; PARTITIONS_MAX */
    int64_t *settled;   /* the next offset to commit, by partition; 0: none */
    int32_t partitions; /* those beyond were never assigned */
    uint64_t committed_ms;
    struct run *runs[INTAKE_KAFKA_RUNS_MAX]; /* a ring, in reading order */
    size_t first, count;
    struct admitted admitted[PACK_GROUP]; /* not added yet */
    size_t admitted_count;
    bool is_stopped;
};

/* --- runs --- */

static struct run *run_new(struct intake_kafka *kafka)
{
    struct run *run = calloc(1, sizeof(*run));

    if (!run)
        abort();
    run->kafka = kafka;
    return run;
}

static void run_free(struct run *run)
{
    free(run->positions);
    free(run);
}

static struct position *position_in(struct run *run, int32_t partition)
{
    for (size_t i = run->count; i-- > 0;)
        if (run->positions[i].partition == partition)
            return &run->positions[i];
    if (run->count == run->room) {
        run->room = run->room == 0 ? 8 : run->room * 2;
        run->positions = realloc(run->positions, run->room * sizeof(*run->positions));
        if (!run->positions)
            abort();
    }
    run->positions[run->count].partition = partition;
    return &run->positions[run->count++];
}

static void note_position(struct run *run, const struct kafka_message *record)
{
    struct position *position = position_in(run, record->partition);

    position->next_offset = record->offset + 1;
    position->tenure = run->kafka->tenures[record->partition];
}

static void note_settled(struct intake_kafka *kafka, const struct run *run)
{
    for (size_t i = 0; i < run->count; i++)
        if (kafka->tenures[run->positions[i].partition] == run->positions[i].tenure)
            kafka->settled[run->positions[i].partition] = run->positions[i].next_offset;
}

static void pass_settled(struct intake_kafka *kafka)
{
    while (kafka->count > 0 && kafka->runs[kafka->first]->is_settled) {
        struct run *run = kafka->runs[kafka->first];
        note_settled(kafka, run);
        run_free(run);
        kafka->first = (kafka->first + 1) % INTAKE_KAFKA_RUNS_MAX;
        kafka->count--;
    }
}

static void commit_settled(struct intake_kafka *kafka)
{
    for (int32_t i = 0; i < kafka->partitions && kafka->consumer; i++) {
        if (kafka->settled[i] > 0)
            consumer_commit(kafka->consumer, i, kafka->settled[i]);
        kafka->settled[i] = 0;
    }
}

static void on_settled(struct waiter *waiter)
{
    struct run *run = (struct run *)waiter;
    struct intake_kafka *kafka = run->kafka;

    if (waiter->failed) {
        /* Never settled, so nothing behind it is committed: a restart reads it again. */
        kafka->is_stopped = true;
        (void)!fault(FAULT_RETRY, "Kafka gave up events read from %s", kafka->topic);
        kafka->failed(kafka->context, FAULT_RETRY);
        return;
    }
    run->is_settled = true;
    pass_settled(kafka);
}

/* --- refusals --- */

static void reject(struct intake_kafka *kafka, const struct kafka_message *record,
                   const struct refusal *refusal, struct text index, struct run *run)
{
    struct reject headers;
    struct kafka_message message = *record;

    reject_headers(&headers, record, kafka->topic, refusal, index, instant_ms(instant_now()));
    message.headers = headers.headers; /* the partition stays: `rejected` has those of `events` */
    message.header_count = headers.count;
    message.timestamp_ms = 0;
    delivery_reject(kafka->intake->delivery, &message, headers.foreign, &run->waiter);
}

/* What is admitted is added a few at a time. */
static void add_admitted(struct intake_kafka *kafka, struct run *run)
{
    delivery_add(kafka->intake->delivery, kafka->admitted, kafka->admitted_count, &run->waiter);
    kafka->admitted_count = 0;
}

/* Weighs the event, whatever reading it returned; false: it is refused. */
static bool take_event(struct intake_kafka *kafka, struct intake_reading *reading,
                       int64_t arrival_ms, struct run *run)
{
    struct intake *intake = kafka->intake;

    run->received++;
    if (intake_weigh(intake, reading, arrival_ms, &kafka->admitted[kafka->admitted_count])) {
        metrics_add(intake->metrics, MEASURE_REJECTED, (size_t)reading->refusal.code - 1, 1);
        return false;
    }
    run->accepted++;
    if (++kafka->admitted_count == PACK_GROUP)
        add_admitted(kafka, run);
    return true;
}

static int64_t arrival_of(const struct kafka_message *record)
{
    return record->timestamp_ms >= 0 ? record->timestamp_ms : instant_ms(instant_now());
}

/* --- a record of many events --- */

/* What a batch's events were refused for: a record on `rejected` for each code, not for each event,
 * since each carries the whole batch. */
struct refused {
    struct refusal first;
    struct buffer indexes;
    bool is_cut; /* there are more than are named */
};

struct taken_batch {
    struct intake_kafka *kafka;
    struct run *run;
    int64_t arrival_ms;
    struct refused refused[REFUSAL_COUNT];
};

static void note_refused(struct refused *refused, size_t index, const struct refusal *refusal)
{
    struct refused *of_code = &refused[refusal->code];

    if (of_code->is_cut)
        return;
    if (of_code->first.code == REFUSAL_NONE)
        of_code->first = *refusal;
    else
        buffer_add_char(&of_code->indexes, ',');
    of_code->is_cut = of_code->indexes.length > INDEXES_BYTES_MAX;
    if (of_code->is_cut)
        buffer_add_string(&of_code->indexes, "…");
    else
        buffer_printf(&of_code->indexes, "%zu", index);
}

static void reject_refused(struct intake_kafka *kafka, const struct kafka_message *record,
                           struct refused *refused, struct run *run)
{
    for (size_t code = REFUSAL_NONE + 1; code < REFUSAL_COUNT; code++) {
        if (refused[code].first.code == REFUSAL_NONE)
            continue;
        reject(kafka, record, &refused[code].first, buffer_text(&refused[code].indexes), run);
        buffer_deinit(&refused[code].indexes);
    }
}

static void take_of_batch(void *context, size_t index, struct intake_reading *reading)
{
    struct taken_batch *batch = context;

    if (!take_event(batch->kafka, reading, batch->arrival_ms, batch->run))
        note_refused(batch->refused, index, &reading->refusal);
}

/* The array breaks off at event `end`. What stood before it is taken: it counts once, however often
 * the corrected batch is sent. */
static void refuse_rest(struct taken_batch *batch, size_t end, const struct refusal *why)
{
    struct intake *intake = batch->kafka->intake;
    struct refusal refusal = {.code = REFUSAL_NONE};

    refuse(&refusal, &intake->arena, why->code, why->pointer,
           "%.*s; the events before it are taken", (int)why->detail.length, why->detail.at);
    batch->run->received++;
    metrics_add(intake->metrics, MEASURE_REJECTED, (size_t)why->code - 1, 1);
    note_refused(batch->refused, end, &refusal);
}

static void take_batch(struct intake_kafka *kafka, const struct kafka_message *record,
                       enum content_mode mode, struct run *run)
{
    struct taken_batch batch = {.kafka = kafka, .run = run, .arrival_ms = arrival_of(record)};
    const struct batch_sink sink = {
        .take = take_of_batch, .context = &batch, .events_max = SIZE_MAX};
    struct refusal why = {.code = REFUSAL_NONE};
    size_t end;
    int r = batch_read(kafka->intake, mode, record->value, &sink, &end, &why);

    if (r == BATCH_BROKEN) {
        refuse_rest(&batch, end, &why);
    } else if (r) {
        metrics_add(kafka->intake->metrics, MEASURE_REJECTED, (size_t)why.code - 1, 1);
        reject(kafka, record, &why, text_of(NULL), run);
    }
    reject_refused(kafka, record, batch.refused, run);
}

/* --- any record --- */

static void take_single(struct intake_kafka *kafka, const struct kafka_message *record,
                        struct intake_reading *reading, struct run *run)
{
    if (!take_event(kafka, reading, arrival_of(record), run))
        reject(kafka, record, &reading->refusal, text_of(NULL), run);
}

/* How many of the records are read together. */
static size_t group_of(const struct kafka_message *records, size_t count)
{
    size_t bytes = records[0].value.length, in_group = 1;

    while (in_group < count && in_group < INTAKE_GROUP) {
        bytes += records[in_group].value.length;
        if (bytes > INTAKE_GROUP_BYTES)
            break;
        in_group++;
    }
    return in_group;
}

/* Takes records up to the first that holds many events, that one included: reading those needs all
 * the readings. Returns how many records it took. */
static size_t take_group(struct intake_kafka *kafka, const struct kafka_message *records,
                         size_t count, struct run *run)
{
    struct intake *intake = kafka->intake;
    enum content_mode mode = CONTENT_STRUCTURED;
    size_t read = 0, singles;

    intake_begin(intake);
    for (; read < count && !batch_is(mode); read++) {
        note_position(run, &records[read]);
        mode = record_read(intake, &records[read], intake_reading(intake, read));
    }
    singles = batch_is(mode) ? read - 1 : read;
    intake_prefetch(intake, singles);
    for (size_t i = 0; i < singles; i++)
        take_single(kafka, &records[i], &intake->readings[i], run);
    if (batch_is(mode))
        take_batch(kafka, &records[singles], mode, run);
    add_admitted(kafka, run);
    return read;
}

/* --- reading --- */

/* Without a broker nothing is asked for: an answer about positions would be waited for, and HTTP
 * requests with it. */
static bool has_room(const struct intake_kafka *kafka)
{
    const struct delivery *delivery = kafka->intake->delivery;

    return kafka->count < INTAKE_KAFKA_RUNS_MAX && intake_is_open(kafka->intake) &&
           delivery_has_room(delivery, 0) && delivery_is_connected(delivery, CONNECTED_MS);
}

/* Once a run: an addition that other threads may read while it is made costs as much as a look-up.
 */
static void count_events(const struct run *run)
{
    struct metrics *metrics = run->kafka->intake->metrics;

    metrics_add(metrics, MEASURE_RECEIVED, INTAKE_KAFKA, run->received);
    metrics_add(metrics, MEASURE_ACCEPTED, INTAKE_KAFKA, run->accepted);
}

static void take_run(struct intake_kafka *kafka, const struct kafka_message *records, size_t count)
{
    struct run *run = run_new(kafka);

    kafka->runs[(kafka->first + kafka->count) % INTAKE_KAFKA_RUNS_MAX] = run;
    kafka->count++;
    delivery_hold(&run->waiter, on_settled);
    for (size_t taken = 0; taken < count;)
        taken += take_group(kafka, records + taken, group_of(records + taken, count - taken), run);
    count_events(run);
    delivery_release(&run->waiter);
}

/* A commit a run would be many requests a second, for offsets that only a restart looks at. */
static void commit_in_time(struct intake_kafka *kafka)
{
    uint64_t now = uv_now(kafka->timer.loop);

    if (now - kafka->committed_ms < COMMIT_MS)
        return;
    kafka->committed_ms = now;
    commit_settled(kafka);
}

static void on_timer(uv_timer_t *timer)
{
    struct intake_kafka *kafka = timer->data;
    struct kafka_message records[INTAKE_KAFKA_RECORDS_MAX];
    int count = 0;

    if (kafka->is_stopped)
        return;
    commit_in_time(kafka);
    if (has_room(kafka))
        count = consumer_poll(kafka->consumer, records, INTAKE_KAFKA_RECORDS_MAX, 0);
    if (count == FAULT_RETRY) {
        log_fault(LOG_WARN, "events_not_read");
        uv_timer_start(timer, on_timer, 1000, 0);
        return;
    }
    if (count < 0) {
        kafka->is_stopped = true;
        kafka->failed(kafka->context, count);
        return;
    }
    if (count > 0)
        take_run(kafka, records, (size_t)count);
    uv_timer_start(timer, on_timer, count > 0 && has_room(kafka) ? 0 : IDLE_POLL_MS, 0);
}

static int on_assigned(void *context, int32_t partition, int64_t *offset)
{
    struct intake_kafka *kafka = context;

    if (partition >= PARTITIONS_MAX)
        return fault(FAULT_STOP, "%s has more than %d partitions", kafka->topic, PARTITIONS_MAX);
    kafka->tenures[partition]++;
    if (kafka->partitions <= partition)
        kafka->partitions = partition + 1;
    *offset = CONSUMER_COMMITTED;
    log_message(LOG_INFO, "partition_assigned", "%s/%d", kafka->topic, partition);
    return 0;
}

static void on_revoked(void *context, int32_t partition, bool lost)
{
    struct intake_kafka *kafka = context;

    if (!lost)
        commit_settled(kafka);
    kafka->settled[partition] = 0;
    kafka->tenures[partition]++;
    log_message(LOG_INFO, lost ? "partition_lost" : "partition_revoked", "%s/%d", kafka->topic,
                partition);
}

int intake_kafka_new(uv_loop_t *loop, struct intake *intake, const struct kafka_config *config,
                     const char *bucket, void (*failed)(void *context, int code), void *context,
                     struct intake_kafka **kafka)
{
    static const struct consumer_ops ops = {.assigned = on_assigned, .revoked = on_revoked};
    struct intake_kafka *made = calloc(1, sizeof(*made));
    char group[TOPIC_NAME_MAX + 8];
    int r;

    if (!made)
        abort();
    made->tenures = calloc(PARTITIONS_MAX, sizeof(*made->tenures));
    made->settled = calloc(PARTITIONS_MAX, sizeof(*made->settled));
    if (!made->tenures || !made->settled)
        abort();
    made->intake = intake;
    made->failed = failed;
    made->context = context;
    topic_name(TOPIC_EVENTS, bucket, made->topic);
    snprintf(group, sizeof(group), "%s.ingest", bucket);
    r = consumer_new(config, group, made->topic, &ops, made, &made->consumer);
    if (r) {
        intake_kafka_free(made);
        return fault_pass(r);
    }
    uv_timer_init(loop, &made->timer);
    made->timer.data = made;
    uv_timer_start(&made->timer, on_timer, 0, 0);
    *kafka = made;
    return 0;
}

void intake_kafka_stop(struct intake_kafka *kafka)
{
    kafka->is_stopped = true;
    uv_timer_stop(&kafka->timer);
}

void intake_kafka_close(struct intake_kafka *kafka)
{
    uv_close((uv_handle_t *)&kafka->timer, NULL);
    commit_settled(kafka);
    kafka->consumer = consumer_free(kafka->consumer);
}

struct intake_kafka *intake_kafka_free(struct intake_kafka *kafka)
{
    if (!kafka)
        return NULL;
    consumer_free(kafka->consumer);
    for (; kafka->count > 0; kafka->count--) {
        run_free(kafka->runs[kafka->first]);
        kafka->first = (kafka->first + 1) % INTAKE_KAFKA_RUNS_MAX;
    }
    free(kafka->tenures);
    free(kafka->settled);
    free(kafka);
    return NULL;
}
