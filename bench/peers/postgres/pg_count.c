/*
 * pg_count.c - the peer: the same windowed, deduplicated, exactly-once count in PostgreSQL.
 *
 *   bench-peer-postgres brokers=HOST:PORT topic=NAME partitions=N events=N batch=N progress=FILE
 *                       conninfo=TEXT
 *
 * Reads one CloudEvent a message by librdkafka and takes it apart by Tollway's own scanner, the
 * fastest that we know. A batch, sorted by id and without repeats, goes by binary COPY into an
 * unlogged staging table; one statement then inserts its ids into the unique index, in index order,
 * and adds the values of those that were new to the hours' totals; the offsets are in the same
 * transaction. The identity is the 16-byte hash that Tollway would take, so that the index is as
 * small as it can be, and a subscription is a number that this program gives it. Writes how many
 * events are in to `progress` behind each commit.
 */
#include "bench/words.h"

#include "common/base/attrs.h"
#include "ingest/rules/cloudevents.h"

#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { MOST = 10000, POLL_MS = 100, PARTITIONS_MAX = 64, TEXT_MAX = 256, ROW_BYTES_MAX = 64 };
enum { SLOTS = 1 << 22, NAME_BYTES = 26 };

static const char schema[] =
    "SET client_min_messages = warning;"
    "CREATE TABLE IF NOT EXISTS seen (id uuid NOT NULL);"
    "CREATE UNIQUE INDEX IF NOT EXISTS seen_id ON seen (id);"
    "CREATE TABLE IF NOT EXISTS totals (subscription int, hour int, count bigint, sum bigint, "
    "PRIMARY KEY (subscription, hour)) WITH (fillfactor = 50);"
    "CREATE TABLE IF NOT EXISTS subscriptions (number int PRIMARY KEY, name text);"
    "CREATE TABLE IF NOT EXISTS offsets (part int PRIMARY KEY, next bigint);"
    "DROP TABLE IF EXISTS staging;"
    "CREATE UNLOGGED TABLE staging (id uuid, subscription int, hour int, value bigint)";

/* What the unique index takes in is counted, and nothing else. */
static const char merge[] =
    "WITH fresh AS (INSERT INTO seen SELECT id FROM staging ON CONFLICT DO NOTHING RETURNING id) "
    "INSERT INTO totals AS t SELECT subscription, hour, count(*), sum(value)::bigint FROM staging "
    "JOIN fresh USING (id) GROUP BY subscription, hour ON CONFLICT (subscription, hour) DO UPDATE "
    "SET count = t.count + excluded.count, sum = t.sum + excluded.sum";

struct row {
    XXH128_hash_t id;
    int32_t subscription, hour;
    int64_t value; /* millionths */
};

struct names { /* subscription: number */
    char name[SLOTS][NAME_BYTES];
    int32_t number[SLOTS]; /* from 1; 0: empty */
    int32_t count, stored;
};

struct peer {
    const char *brokers, *topic, *conninfo, *progress;
    int64_t partitions, events, batch;
    PGconn *db;
    rd_kafka_t *kafka;
    rd_kafka_queue_t *queue;
    struct names *names;
    struct arena nodes, texts;
    struct json_document document;
    struct row *rows;
    char *copy; /* the rows as COPY takes them */
    size_t length;
    int64_t in_batch, done, next[PARTITIONS_MAX];
};

static void fail(const char *what)
{
    fprintf(stderr, "bench-peer-postgres: %s\n", what);
    exit(1);
}

/* --- Kafka --- */

static void connect_kafka(struct peer *peer)
{
    static const char *const settings[][2] = {{"group.id", "peer"},
                                              {"enable.auto.commit", "false"},
                                              {"check.crcs", "false"},
                                              {"fetch.max.bytes", "8000000"},
                                              {"fetch.wait.max.ms", "10"},
                                              {"queued.min.messages", "2000000"},
                                              {"queued.max.messages.kbytes", "1000000"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)peer->partitions);
    char why[512];

    if (rd_kafka_conf_set(conf, "bootstrap.servers", peer->brokers, why, sizeof(why)))
        fail(why);
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof(why)))
            fail(why);
    peer->kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (!peer->kafka)
        fail(why);
    rd_kafka_poll_set_consumer(peer->kafka);
    for (int64_t i = 0; i < peer->partitions; i++)
        rd_kafka_topic_partition_list_add(list, peer->topic, (int32_t)i)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    if (rd_kafka_assign(peer->kafka, list))
        fail("the partitions can't be assigned");
    rd_kafka_topic_partition_list_destroy(list);
    peer->queue = rd_kafka_queue_get_consumer(peer->kafka);
}

/* --- rows --- */

static int32_t number_of(struct names *names, struct text name)
{
    size_t slot = XXH3_64bits(name.at, name.length) % SLOTS;

    if (name.length != NAME_BYTES)
        fail("a subscription of another length");
    while (names->number[slot] && memcmp(names->name[slot], name.at, NAME_BYTES) != 0)
        slot = (slot + 1) % SLOTS;
    if (!names->number[slot]) {
        memcpy(names->name[slot], name.at, NAME_BYTES);
        names->number[slot] = ++names->count;
    }
    return names->number[slot];
}

static int64_t value_of(const struct peer *peer, const struct event *event)
{
    uint32_t at = json_member(&peer->document, event->data, text_of("value"));
    struct decimal value;

    if (at == JSON_NONE || decimal_parse(json_text(json_at(&peer->document, at)), &value) != 0)
        fail("an event without a value");
    return (int64_t)(value.units / 1000000);
}

static XXH128_hash_t identity_of(const struct event *event)
{
    char bytes[TEXT_MAX * 2];

    if (event->id.length + event->source.length > sizeof(bytes))
        fail("an id that is too long");
    memcpy(bytes, event->id.at, event->id.length);
    memcpy(bytes + event->id.length, event->source.at, event->source.length);
    return XXH3_128bits(bytes, event->id.length + event->source.length);
}

static void read_row(struct peer *peer, struct text message, struct row *row)
{
    struct refusal refusal = {.code = REFUSAL_NONE};
    struct event event;
    size_t position = 0;

    if (event_from_json(&peer->document, message, &position, &event, &refusal))
        fail("a message that isn't an event");
    row->id = identity_of(&event);
    row->subscription = number_of(peer->names, event.subscription);
    row->hour = (int32_t)(instant_ms(event.time) / 3600000);
    row->value = value_of(peer, &event);
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    if (x->id.high64 != y->id.high64)
        return x->id.high64 < y->id.high64 ? -1 : 1;
    return (x->id.low64 > y->id.low64) - (x->id.low64 < y->id.low64);
}

static void put(struct peer *peer, uint64_t number, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        peer->copy[peer->length++] = (char)(number >> (i * 8));
}

static void put_row(struct peer *peer, const struct row *row)
{
    put(peer, 4, 2);
    put(peer, 16, 4);
    put(peer, row->id.high64, 8);
    put(peer, row->id.low64, 8);
    put(peer, 4, 4);
    put(peer, (uint32_t)row->subscription, 4);
    put(peer, 4, 4);
    put(peer, (uint32_t)row->hour, 4);
    put(peer, 8, 4);
    put(peer, (uint64_t)row->value, 8);
}

static void put_rows(struct peer *peer)
{
    qsort(peer->rows, (size_t)peer->in_batch, sizeof(*peer->rows), compare_rows);
    peer->length = 0;
    for (int64_t i = 0; i < peer->in_batch; i++)
        if (i == 0 || compare_rows(&peer->rows[i], &peer->rows[i - 1]) != 0)
            put_row(peer, &peer->rows[i]);
    put(peer, 0xffff, 2);
}

/* --- PostgreSQL --- */

static void run(struct peer *peer, const char *statement, ExecStatusType wanted)
{
    PGresult *result = PQexec(peer->db, statement);

    if (PQresultStatus(result) != wanted)
        fail(PQerrorMessage(peer->db));
    PQclear(result);
}

static void copy_staging(struct peer *peer)
{
    static const char head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
    PGresult *result;

    put_rows(peer);
    run(peer, "COPY staging FROM STDIN (FORMAT binary)", PGRES_COPY_IN);
    if (PQputCopyData(peer->db, head, 19) != 1 ||
        PQputCopyData(peer->db, peer->copy, (int)peer->length) != 1 ||
        PQputCopyEnd(peer->db, NULL) != 1)
        fail(PQerrorMessage(peer->db));
    result = PQgetResult(peer->db);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        fail(PQerrorMessage(peer->db));
    PQclear(result);
    while ((result = PQgetResult(peer->db)))
        PQclear(result);
}

static void store_names(struct peer *peer)
{
    if (peer->names->stored == peer->names->count)
        return;
    run(peer, "COPY subscriptions FROM STDIN", PGRES_COPY_IN);
    for (size_t i = 0; i < SLOTS; i++) {
        char line[64];
        if (peer->names->number[i] <= peer->names->stored)
            continue;
        int length = snprintf(line, sizeof(line), "%d\t%.26s\n", peer->names->number[i],
                              peer->names->name[i]);
        if (PQputCopyData(peer->db, line, length) != 1)
            fail(PQerrorMessage(peer->db));
    }
    if (PQputCopyEnd(peer->db, NULL) != 1)
        fail(PQerrorMessage(peer->db));
    PQclear(PQgetResult(peer->db));
    while (PQgetResult(peer->db))
        continue;
    peer->names->stored = peer->names->count;
}

static void store_offsets(struct peer *peer)
{
    char statement[256];

    for (int64_t i = 0; i < peer->partitions; i++) {
        snprintf(statement, sizeof(statement),
                 "INSERT INTO offsets VALUES (%lld, %lld) ON CONFLICT (part) DO UPDATE SET next = "
                 "excluded.next",
                 (long long)i, (long long)peer->next[i]);
        run(peer, statement, PGRES_COMMAND_OK);
    }
}

static void show_progress(const struct peer *peer)
{
    char text[32];
    FILE *file = fopen(peer->progress, "w");

    if (!file)
        fail("the progress can't be written");
    snprintf(text, sizeof(text), "%20lld\n", (long long)peer->done);
    fputs(text, file);
    fclose(file);
}

static void commit(struct peer *peer)
{
    run(peer, "BEGIN", PGRES_COMMAND_OK);
    run(peer, "TRUNCATE staging", PGRES_COMMAND_OK);
    copy_staging(peer);
    run(peer, merge, PGRES_COMMAND_OK);
    store_names(peer);
    store_offsets(peer);
    run(peer, "COMMIT", PGRES_COMMAND_OK);
    peer->done += peer->in_batch;
    peer->in_batch = 0;
    show_progress(peer);
}

/* --- all of it --- */

static void take(struct peer *peer, const rd_kafka_message_t *message)
{
    if (message->err)
        fail(rd_kafka_message_errstr(message));
    json_document_reset(&peer->document);
    read_row(peer, text_from(message->payload, message->len), &peer->rows[peer->in_batch]);
    peer->next[message->partition] = message->offset + 1;
    if (++peer->in_batch == peer->batch || peer->done + peer->in_batch == peer->events)
        commit(peer);
}

static void set_up(struct peer *peer)
{
    peer->names = calloc(1, sizeof(*peer->names));
    peer->rows = calloc((size_t)peer->batch, sizeof(*peer->rows));
    peer->copy = malloc((size_t)peer->batch * ROW_BYTES_MAX + 64);
    if (!peer->names || !peer->rows || !peer->copy)
        fail("no memory");
    arena_init(&peer->nodes, 64 << 20);
    arena_init(&peer->texts, 64 << 20);
    json_document_init(&peer->document, &peer->nodes, &peer->texts);
    peer->db = PQconnectdb(peer->conninfo);
    if (PQstatus(peer->db) != CONNECTION_OK)
        fail(PQerrorMessage(peer->db));
    run(peer, schema, PGRES_COMMAND_OK);
    connect_kafka(peer);
}

int main(int argc, char **argv)
{
    static rd_kafka_message_t *messages[MOST];
    static struct peer peer = {.partitions = 4, .batch = 100000};
    const struct word words[] = {{.name = "brokers", .text = &peer.brokers},
                                 {.name = "topic", .text = &peer.topic},
                                 {.name = "conninfo", .text = &peer.conninfo},
                                 {.name = "progress", .text = &peer.progress},
                                 {.name = "partitions", .number = &peer.partitions},
                                 {.name = "events", .number = &peer.events},
                                 {.name = "batch", .number = &peer.batch}};

    words_read("bench-peer-postgres", argc, argv, words, (int)ARRAY_LEN(words));
    if (!peer.brokers || !peer.topic || !peer.conninfo || !peer.progress || peer.events < 1 ||
        peer.partitions > PARTITIONS_MAX)
        fail("needs brokers, topic, conninfo, progress and events");
    set_up(&peer);
    while (peer.done < peer.events) {
        ssize_t count = rd_kafka_consume_batch_queue(peer.queue, POLL_MS, messages, MOST);
        for (ssize_t i = 0; i < count; i++) {
            take(&peer, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    pause(); /* until it is told to end: its CPU time is read from outside */
    return 0;
}
