/*
 * bench_ingest.c - what one event costs ingest, stage by stage, on one core.
 *
 *   build/bin/bench-ingest [--events N] [--rounds N] [--subscriptions N] [--stage NAME]
 *                          [--shapes N]
 *
 * Events of some 340 bytes as JSON: scanned, read as CloudEvents, weighed against a catalog,
 * packed; each stage includes those before it. `gateway` takes the same events in batches of 100 as
 * a gateway packs them, all the way. What comes out is checked against the events once, before
 * anything is measured. With --shapes, JSON events take turns in having one of N shapes: none has
 * that of the event before. Prints the median round's CPU time. For instructions of a stage:
 *
 *   valgrind --tool=callgrind --toggle-collect=stage_admit \
 *            build/bin/bench-ingest --stage admit --rounds 1 --events 5000
 */
#include "ingest/rules/json_shape.h"
#include "ingest/rules/pack.h"
#include "proto/gateway_batch.h"
#include "proto/wire.h"

#include <assert.h>
#include <getopt.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

enum { EVENT_ROOM = 512, ROUNDS_MAX = 99, PARTITIONS = 8, BATCH = 100, SHAPES_MAX = 100 };

/* Functions of their own, whatever the optimizer thinks, so that callgrind finds them. */
#define STAGE __attribute__((noinline)) static void

static const int64_t arrival_ms = 1795608000000;
static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
static const unsigned statuses[] = {200, 201, 404, 500};

struct bench {
    char *events; /* EVENT_ROOM apart */
    struct text *texts;
    size_t count, subscriptions, shapes;
    struct buffer *batches; /* as a gateway packs them */
    struct catalog *catalog;
    struct admission admission;
    struct event_places places;
    struct pack *pack;
    struct arena nodes, arena;
    struct json_document documents[CATALOG_PREFETCH_MAX]; /* events are read in groups */
    struct json_shape shape;
    struct gateway_reader *gateway;
    struct usage_reader *reader; /* while what is packed is checked */
    size_t packed, packed_bytes, messages;
    int128 sum;
};

static void fail(const char *what)
{
    fprintf(stderr, "bench-ingest: %s\n", what);
    exit(1);
}

/* --- what is taken in --- */

struct facts {
    unsigned random, value; /* tenths */
    char id[40], subscription[32], subject[32], path[32];
    int64_t time_ms;
};

/* As good as random: what multiplies alone strides through the catalog. */
static unsigned random_of(size_t index)
{
    uint64_t mixed = (index + 1) * 0x9e3779b97f4a7c15u;

    mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93u;
    return (unsigned)(mixed >> 32);
}

/* The same event for the same index, on every machine. */
static struct facts facts_of(const struct bench *bench, size_t index)
{
    unsigned random = random_of(index);
    struct facts facts = {.random = random,
                          .value = random % 1000 * 10 + random % 10,
                          .time_ms = arrival_ms - (int64_t)(random % 86400000)};

    snprintf(facts.id, sizeof(facts.id), "%08x-0000-4000-8000-%012zx", random, index);
    snprintf(facts.subscription, sizeof(facts.subscription), "01ARZ3NDEKTSV4RRF%09zu",
             random % bench->subscriptions);
    snprintf(facts.subject, sizeof(facts.subject), "consumer-%u", random % 100);
    snprintf(facts.path, sizeof(facts.path), "/v1/things/%u", random % 5000);
    return facts;
}

static void apply(struct bench *bench, const char *key, const char *value)
{
    const char *reason = "";

    if (catalog_apply(bench->catalog, text_of(key), text_of(value), &reason))
        fail(reason);
}

static void make_catalog(struct bench *bench)
{
    char key[64], value[512];

    bench->catalog = catalog_new(CATALOG_SUBSCRIPTIONS);
    apply(bench, "bucket/b",
          "{\"epoch\":1,\"partitions\":8,\"seed\":"
          "\"000102030405060708090a0b0c0d0e0f\",\"mode\":\"test\","
          "\"createdAt\":\"2026-01-01T00:00:00Z\"}");
    apply(bench, "meter/api",
          "{\"epoch\":1,\"slug\":\"api\",\"eventType\":\"request\","
          "\"aggregation\":\"SUM\",\"valueProperty\":\"$.value\","
          "\"groupBy\":{\"method\":\"$.method\",\"status\":\"$.status\"}}");
    for (size_t i = 0; i < bench->subscriptions; i++) {
        snprintf(key, sizeof(key), "subscription/01ARZ3NDEKTSV4RRF%09zu", i);
        snprintf(value, sizeof(value),
                 "{\"epoch\":1,\"id\":\"01ARZ3NDEKTSV4RRF%09zu\",\"customerKey\":\"c%zu\","
                 "\"plan\":{\"key\":\"p\",\"version\":1},\"activeFrom\":\"2026-01-01T00:00:00Z\","
                 "\"billingAnchor\":\"2026-01-01T00:00:00Z\",\"cuts\":[0]}",
                 i, i);
        apply(bench, key, value);
    }
    bench->admission.catalog = bench->catalog;
    bench->admission.future.ns = INT64_C(300000000000);
    fingerprint_key_init(&bench->admission.key, catalog_seed(bench->catalog),
                         catalog_hash(bench->catalog));
}

static void make_json(struct bench *bench)
{
    bench->events = malloc(bench->count * EVENT_ROOM);
    bench->texts = malloc(bench->count * sizeof(*bench->texts));
    if (!bench->events || !bench->texts)
        fail("no memory");
    for (size_t i = 0; i < bench->count; i++) {
        struct facts facts = facts_of(bench, i);
        char *at = bench->events + i * EVENT_ROOM, time[INSTANT_TEXT_MAX];
        unsigned r = facts.random;
        int length;

        instant_format(instant_from_ms(facts.time_ms), time);
        length = snprintf(at, EVENT_ROOM,
                          "{%*s\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":"
                          "\"monetization-policy\",\"type\":\"request\",\"subject\":\"%s\","
                          "\"subscription\":\"%s\",\"time\":\"%s\",\"datacontenttype\":"
                          "\"application/json\",\"data\":{\"value\":%u.%u,\"path\":\"%s\","
                          "\"method\":\"%s\",\"status\":%u,\"bytes\":%u}}",
                          (int)(i % bench->shapes), "", facts.id, facts.subject, facts.subscription,
                          time, facts.value / 10, facts.value % 10, facts.path, methods[r % 4],
                          statuses[r / 4 % 4], r % 100000);
        bench->texts[i] = text_from(at, (size_t)length);
    }
}

/* --- a gateway's batch: its strings, then its events, as proto/README.md has it --- */

enum string_of_batch { TYPE, SOURCE, VALUE, METHOD, STATUS, FIRST_METHOD, FIRST_OWN = 9 };

static void add_varint(struct buffer *batch, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        buffer_add_char(batch, (char)(number | 0x80));
    buffer_add_char(batch, (char)number);
}

static void add_string(struct buffer *batch, const char *string)
{
    add_varint(batch, strlen(string));
    buffer_add_string(batch, string);
}

/* Two strings of its own an event: subscription and subject. */
static void add_strings(struct bench *bench, struct buffer *batch, size_t first, size_t count)
{
    static const char *const shared[] = {
        "request", "monetization-policy", "$.value", "$.method", "$.status", "GET", "POST", "PUT",
        "DELETE"};

    add_varint(batch, FIRST_OWN + 2 * count);
    for (size_t i = 0; i < FIRST_OWN; i++)
        add_string(batch, shared[i]);
    for (size_t i = 0; i < count; i++) {
        struct facts facts = facts_of(bench, first + i);

        add_string(batch, facts.subscription);
        add_string(batch, facts.subject);
    }
}

static void add_uuid(struct buffer *batch, const char *id)
{
    char digits[3] = "";

    for (; *id; id += 2) {
        id += *id == '-';
        memcpy(digits, id, 2);
        buffer_add_char(batch, (char)strtoul(digits, NULL, 16));
    }
}

static void add_decimal(struct buffer *batch, enum string_of_batch path, unsigned scale,
                        uint64_t mantissa)
{
    add_varint(batch, path);
    buffer_add_char(batch, GATEWAY_DECIMAL);
    buffer_add_char(batch, (char)scale);
    add_varint(batch, mantissa * 2);
}

static void add_event(struct bench *bench, struct buffer *batch, size_t index, size_t first)
{
    struct facts facts = facts_of(bench, index);
    uint8_t time[8];

    buffer_add_char(batch, 23); /* time, subscription and subject are there, the id is a UUID */
    add_uuid(batch, facts.id);
    add_varint(batch, TYPE);
    add_varint(batch, SOURCE);
    add_varint(batch, FIRST_OWN + 2 * (index - first));
    add_varint(batch, FIRST_OWN + 2 * (index - first) + 1);
    wire_store_i64(time, facts.time_ms * 1000000);
    buffer_add(batch, time, sizeof(time));
    add_varint(batch, 3);
    add_decimal(batch, VALUE, 1, facts.value);
    add_varint(batch, METHOD);
    buffer_add_char(batch, GATEWAY_STRING);
    add_varint(batch, FIRST_METHOD + facts.random % 4);
    add_decimal(batch, STATUS, 0, statuses[facts.random / 4 % 4]);
}

static void make_gateway(struct bench *bench)
{
    bench->batches = calloc(bench->count / BATCH, sizeof(*bench->batches));
    if (!bench->batches)
        fail("no memory");
    for (size_t i = 0; i < bench->count / BATCH; i++) {
        struct buffer *batch = &bench->batches[i];
        uint8_t crc[4];

        buffer_add_string(batch, "TWG1");
        add_strings(bench, batch, i * BATCH, BATCH);
        add_varint(batch, BATCH);
        for (size_t j = 0; j < BATCH; j++)
            add_event(bench, batch, i * BATCH + j, i * BATCH);
        wire_store_u32(crc, libdeflate_crc32(0, batch->at, batch->length));
        buffer_add(batch, crc, sizeof(crc));
    }
}

/* --- the stages --- */

static void check_packed(struct bench *bench, struct text message)
{
    struct usage_batch batch;
    const char *reason;

    if (usage_decode(bench->reader, message, &batch, &reason))
        fail(reason);
    for (size_t i = 0; i < batch.entry_count; i++)
        bench->sum += usage_entry_at(&batch, i).value.amount.units;
}

static void on_finished(void *context, const struct pack_batch *batch)
{
    struct bench *bench = context;

    bench->packed += batch->events;
    bench->packed_bytes += batch->message.length;
    bench->messages++;
    if (bench->reader)
        check_packed(bench, batch->message);
}

STAGE stage_scan(struct bench *bench, const struct text *texts, size_t count)
{
    struct json_error error;

    for (size_t i = 0; i < count; i++) {
        struct json_place root = {.parent = JSON_NONE};
        size_t position = 0;

        json_document_reset(&bench->documents[i]);
        if (json_scan(&bench->documents[i], texts[i], &position, &root, 1, &error))
            fail(error.what);
    }
}

static void read_events(struct bench *bench, const struct text *texts, size_t count,
                        struct event *events)
{
    for (size_t i = 0; i < count; i++) {
        struct refusal refusal = {.code = REFUSAL_NONE};
        size_t position = 0;

        if (event_from_json(&bench->documents[i], texts[i], &position, &events[i], &refusal))
            fail(refusal_name(refusal.code));
    }
}

STAGE stage_read(struct bench *bench, const struct text *texts, size_t count)
{
    struct event events[CATALOG_PREFETCH_MAX];

    read_events(bench, texts, count, events);
}

static void weigh(struct bench *bench, const struct event *event, struct admitted *admitted)
{
    struct refusal refusal = {.code = REFUSAL_NONE};

    if (admit(&bench->admission, event, arrival_ms, &bench->arena, admitted, &refusal))
        fail(refusal_name(refusal.code));
}

static void prefetch(struct bench *bench, struct event *events, size_t count)
{
    const struct catalog_subscription *guesses[CATALOG_PREFETCH_MAX];
    struct text owners[CATALOG_PREFETCH_MAX] = {{NULL, 0}};

    for (size_t i = 0; i < count; i++)
        owners[i] = event_owner(&events[i]);
    catalog_prefetch(bench->catalog, owners, count, guesses);
    for (size_t i = 0; i < count; i++) {
        events[i].guess = guesses[i];
        events[i].places = &bench->places;
    }
}

STAGE stage_admit(struct bench *bench, const struct text *texts, size_t count)
{
    struct event events[CATALOG_PREFETCH_MAX];
    struct admitted admitted;

    read_events(bench, texts, count, events);
    prefetch(bench, events, count);
    for (size_t i = 0; i < count; i++)
        weigh(bench, &events[i], &admitted);
}

static void pack(struct bench *bench, const struct admitted *admitted, size_t count)
{
    pack_prefetch(bench->pack, admitted, count);
    for (size_t i = 0; i < count; i++) {
        pack_add(bench->pack, &admitted[i], 0);
        pack_settle(bench->pack, admitted[i].subscription->partition);
    }
}

STAGE stage_pack(struct bench *bench, const struct text *texts, size_t count)
{
    struct event events[CATALOG_PREFETCH_MAX];
    struct admitted admitted[CATALOG_PREFETCH_MAX];

    read_events(bench, texts, count, events);
    prefetch(bench, events, count);
    for (size_t i = 0; i < count; i++)
        weigh(bench, &events[i], &admitted[i]);
    pack(bench, admitted, count);
}

/* A batch each. */
STAGE stage_gateway(struct bench *bench, const struct text *texts, size_t batches)
{
    const struct gateway_event *gateway;
    struct admitted admitted[PACK_GROUP];
    struct event_form form;
    const char *reason;
    size_t count;

    assert(batches == 1);
    if (gateway_batch_open(bench->gateway, texts[0], &count, &reason))
        fail(reason);
    event_form_init(&form, &bench->arena);
    for (size_t i = 0; (gateway = gateway_batch_next(bench->gateway)) != NULL; i++) {
        struct refusal refusal = {.code = REFUSAL_NONE};
        struct event event;

        event_form_prefetch(&form, bench->catalog, bench->gateway, i, count);
        if (event_from_gateway(&form, gateway, &event, &refusal))
            fail(refusal_name(refusal.code));
        weigh(bench, &event, &admitted[i % PACK_GROUP]);
        if (i % PACK_GROUP == PACK_GROUP - 1 || i == count - 1)
            pack(bench, admitted, i % PACK_GROUP + 1);
    }
}

static const struct stage {
    const char *name;
    void (*take)(struct bench *bench, const struct text *texts, size_t count);
} stages[] = {
    {"scan", stage_scan}, {"read", stage_read},       {"admit", stage_admit},
    {"pack", stage_pack}, {"gateway", stage_gateway},
};

/* --- rounds --- */

/* A hundred events are a request: the arena is reset behind each. */
static void take_all(struct bench *bench, const struct stage *stage)
{
    for (size_t i = 0; i < bench->count; i += BATCH) {
        struct text batch = buffer_text(&bench->batches[i / BATCH]);

        arena_reset(&bench->arena);
        bench->places.are_known = false;
        if (stage->take == stage_gateway) {
            stage->take(bench, &batch, 1);
            continue;
        }
        for (size_t j = 0; j < BATCH; j += CATALOG_PREFETCH_MAX) {
            size_t left = BATCH - j;

            stage->take(bench, &bench->texts[i + j],
                        left < CATALOG_PREFETCH_MAX ? left : CATALOG_PREFETCH_MAX);
        }
    }
}

/* Everything comes out once, with the right sum. */
static void check(struct bench *bench, const struct stage *stage)
{
    int128 sum = 0;

    for (size_t i = 0; i < bench->count; i++)
        sum += (int128)facts_of(bench, i).value * 100000000000;
    pack_flush(bench->pack); /* of the stage before */
    bench->reader = usage_reader_new();
    bench->sum = 0;
    bench->packed = bench->packed_bytes = bench->messages = 0;
    take_all(bench, stage);
    pack_flush(bench->pack);
    if (bench->packed != bench->count || bench->sum != sum)
        fail("what comes out isn't what went in");
    bench->reader = usage_reader_free(bench->reader);
    printf("%-8s is right: %.1f bytes an event on usage, %zu events a message\n", stage->name,
           (double)bench->packed_bytes / (double)bench->count, bench->count / bench->messages);
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); /* others may share the core */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void measure(struct bench *bench, const struct stage *stage, size_t rounds)
{
    double ns[ROUNDS_MAX];

    for (size_t i = 0; i < rounds; i++) {
        int64_t begun = now_ns();

        take_all(bench, stage);
        ns[i] = (double)(now_ns() - begun) / (double)bench->count;
    }
    qsort(ns, rounds, sizeof(*ns), compare);
    printf("%-8s %6.0f ns/event [%.0f .. %.0f]  %.2f M events/s/core\n", stage->name,
           ns[rounds / 2], ns[0], ns[rounds - 1], 1000 / ns[rounds / 2]);
}

struct choice {
    size_t events, rounds, subscriptions, shapes;
    const char *stage; /* NULL: all */
};

static struct choice choose(int argc, char **argv)
{
    static const struct option options[] = {
        {"events", required_argument, NULL, 'e'},        {"rounds", required_argument, NULL, 'r'},
        {"subscriptions", required_argument, NULL, 's'}, {"stage", required_argument, NULL, 't'},
        {"shapes", required_argument, NULL, 'p'},        {0}};
    struct choice choice = {.events = 100000, .rounds = 9, .subscriptions = 1000, .shapes = 1};
    int letter;

    while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
        size_t number = optarg ? strtoul(optarg, NULL, 10) : 0;
        if (letter == 'e')
            choice.events = number / BATCH * BATCH;
        else if (letter == 'r')
            choice.rounds = number;
        else if (letter == 's')
            choice.subscriptions = number;
        else if (letter == 'p')
            choice.shapes = number;
        else if (letter == 't')
            choice.stage = optarg;
        else
            exit(64);
    }
    if (choice.events == 0 || choice.rounds == 0 || choice.rounds > ROUNDS_MAX ||
        choice.subscriptions == 0 || choice.shapes == 0 || choice.shapes > SHAPES_MAX)
        fail("wants 100 events or more, 1 to 99 rounds, 1 subscription or more, 1 to 100 shapes");
    return choice;
}

static void make(struct bench *bench)
{
    static const struct pack_limits limits = {.events = 4000, .bytes = 512 * 1024, .linger_ms = 5};

    arena_init(&bench->nodes, 64 << 20);
    arena_init(&bench->arena, 64 << 20);
    for (size_t i = 0; i < CATALOG_PREFETCH_MAX; i++) {
        json_document_init(&bench->documents[i], &bench->nodes, &bench->arena);
        bench->documents[i].shape = &bench->shape;
    }
    bench->gateway = gateway_reader_new();
    make_catalog(bench);
    make_json(bench);
    make_gateway(bench);
    bench->pack = pack_new(PARTITIONS, &limits, on_finished, bench);
}

int main(int argc, char **argv)
{
    struct choice choice = choose(argc, argv);
    struct bench bench = {
        .count = choice.events, .subscriptions = choice.subscriptions, .shapes = choice.shapes};
    size_t bytes = 0, taken = 0;

    make(&bench);
    for (size_t i = 0; i < bench.count; i++)
        bytes += bench.texts[i].length;
    printf("%zu events of %.1f bytes, %zu subscriptions, median of %zu rounds\n", bench.count,
           (double)bytes / (double)bench.count, bench.subscriptions, choice.rounds);
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        if (choice.stage && strcmp(choice.stage, stages[i].name) != 0)
            continue;
        if (stages[i].take == stage_pack || stages[i].take == stage_gateway)
            check(&bench, &stages[i]);
        measure(&bench, &stages[i], choice.rounds);
        taken++;
    }
    if (taken == 0)
        fail("no such stage: scan, read, admit, pack, gateway");
    return 0;
}
