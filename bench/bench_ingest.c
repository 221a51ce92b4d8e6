/*
 * bench_ingest.c - what one event costs ingest, stage by stage, on one core.
 *
 *   bench-ingest [EVENTS [ROUNDS]]
 *
 * Events of some 340 bytes as performance.md 2 has them: scanned, read as CloudEvents, weighed
 * against a catalog of 1,000 subscriptions, packed. Each stage includes those before it; prints the
 * median round. Run it alone on a quiet core (taskset -c 1).
 */
#include "ingest/rules/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVENT_ROOM = 512, SUBSCRIPTIONS = 1000, ROUNDS_MAX = 99, PARTITIONS = 8 };

struct bench {
    char *events; /* EVENT_ROOM apart */
    uint16_t *lengths;
    size_t count;
    struct catalog *catalog;
    struct admission admission;
    struct pack *pack;
    struct arena nodes, arena;
    struct json_document document;
    size_t batches, bytes;
};

enum stage { STAGE_SCAN, STAGE_READ, STAGE_ADMIT, STAGE_PACK, STAGE_COUNT };
static const char *const stage_names[] = {"scan", "+ read attributes", "+ admit", "+ pack"};

static const int64_t arrival_ms = 1795608000000;

static void fail(const char *what)
{
    fprintf(stderr, "bench-ingest: %s\n", what);
    exit(1);
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

    bench->catalog = catalog_new();
    apply(bench, "bucket/b",
          "{\"epoch\":1,\"partitions\":8,\"seed\":"
          "\"000102030405060708090a0b0c0d0e0f\",\"mode\":\"test\","
          "\"createdAt\":\"2026-01-01T00:00:00Z\"}");
    apply(bench, "meter/api",
          "{\"epoch\":1,\"slug\":\"api\",\"eventType\":\"request\","
          "\"aggregation\":\"SUM\",\"valueProperty\":\"$.value\","
          "\"groupBy\":{\"method\":\"$.method\",\"status\":\"$.status\"}}");
    for (int i = 0; i < SUBSCRIPTIONS; i++) {
        snprintf(key, sizeof(key), "subscription/01ARZ3NDEKTSV4RRFFQ69G%04d", i);
        snprintf(value, sizeof(value),
                 "{\"epoch\":1,\"id\":\"01ARZ3NDEKTSV4RRFFQ69G%04d\",\"customerKey\":\"c%d\","
                 "\"plan\":{\"key\":\"p\",\"version\":1},\"activeFrom\":\"2026-01-01T00:00:00Z\","
                 "\"billingAnchor\":\"2026-01-01T00:00:00Z\",\"cuts\":[0]}",
                 i, i);
        apply(bench, key, value);
    }
    bench->admission.catalog = bench->catalog;
    bench->admission.future.ns = INT64_C(300000000000);
    fingerprint_key_init(&bench->admission.key, catalog_seed(bench->catalog));
}

static void make_events(struct bench *bench)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    static const int statuses[] = {200, 201, 404, 500};

    bench->events = malloc(bench->count * EVENT_ROOM);
    bench->lengths = malloc(bench->count * sizeof(*bench->lengths));
    if (!bench->events || !bench->lengths)
        fail("no memory");
    for (size_t i = 0; i < bench->count; i++) {
        unsigned r = (unsigned)(i * 2654435761u);
        int length = snprintf(
            bench->events + i * EVENT_ROOM, EVENT_ROOM,
            "{\"specversion\":\"1.0\",\"id\":\"%08x-0000-4000-8000-%012zx\",\"source\":"
            "\"monetization-policy\",\"type\":\"request\",\"subject\":\"consumer-%u\","
            "\"subscription\":\"01ARZ3NDEKTSV4RRFFQ69G%04u\",\"time\":\"2026-11-24T%02u:%02u:%02u."
            "%03uZ\",\"datacontenttype\":\"application/json\",\"data\":{\"value\":%u.%u,\"path\":"
            "\"/v1/things/%u\",\"method\":\"%s\",\"status\":%d,\"bytes\":%u}}",
            r, i, r % 100, r % SUBSCRIPTIONS, r % 24, r / 24 % 60, r / 1440 % 60, r % 1000,
            r % 1000, r % 10, r % 5000, methods[r % 4], statuses[r / 4 % 4], r % 100000);
        bench->lengths[i] = (uint16_t)length;
    }
}

static void on_finished(void *context, const struct pack_batch *batch)
{
    struct bench *bench = context;

    bench->batches++;
    bench->bytes += batch->message.length;
}

static void take(struct bench *bench, struct text text, enum stage stage)
{
    struct json_place root = {.parent = JSON_NONE};
    struct refusal refusal = {.code = REFUSAL_NONE};
    struct json_error error;
    struct admitted admitted;
    struct event event;
    size_t position = 0;

    if (stage == STAGE_SCAN) {
        json_document_reset(&bench->document);
        if (json_scan(&bench->document, text, &position, &root, 1, &error))
            fail(error.what);
        return;
    }
    if (event_from_json(&bench->document, text, &position, &event, &refusal))
        fail(refusal_name(refusal.code));
    if (stage == STAGE_READ)
        return;
    if (admit(&bench->admission, &event, arrival_ms, &bench->arena, &admitted, &refusal))
        fail(refusal_name(refusal.code));
    if (stage == STAGE_ADMIT)
        return;
    pack_add(bench->pack, &admitted, 0);
    pack_settle(bench->pack, admitted.subscription->partition);
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); /* others may share the core */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A hundred events are a request: the arena is reset behind each. */
static double round_ns(struct bench *bench, enum stage stage)
{
    int64_t begun = now_ns();

    for (size_t i = 0; i < bench->count; i++) {
        if (i % 100 == 0)
            arena_reset(&bench->arena);
        take(bench, text_from(bench->events + i * EVENT_ROOM, bench->lengths[i]), stage);
    }
    return (double)(now_ns() - begun) / (double)bench->count;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    static const struct pack_limits limits = {.events = 1000, .bytes = 256 * 1024, .linger_ms = 5};
    struct bench bench = {.count = argc > 1 ? (size_t)atol(argv[1]) : 100000};
    size_t rounds = argc > 2 ? (size_t)atol(argv[2]) : 9;
    double ns[ROUNDS_MAX], bytes = 0;

    if (bench.count == 0 || rounds == 0 || rounds > ROUNDS_MAX)
        fail("wants EVENTS and 1 to 99 ROUNDS");
    arena_init(&bench.nodes, 64 << 20);
    arena_init(&bench.arena, 64 << 20);
    json_document_init(&bench.document, &bench.nodes, &bench.arena);
    make_catalog(&bench);
    make_events(&bench);
    bench.pack = pack_new(PARTITIONS, &limits, on_finished, &bench);
    for (size_t i = 0; i < bench.count; i++)
        bytes += bench.lengths[i];
    printf("%zu events of %.1f bytes, median of %zu rounds\n", bench.count,
           bytes / (double)bench.count, rounds);
    for (enum stage stage = 0; stage < STAGE_COUNT; stage++) {
        for (size_t i = 0; i < rounds; i++)
            ns[i] = round_ns(&bench, stage);
        qsort(ns, rounds, sizeof(*ns), compare);
        printf("%-18s %6.0f ns/event [%.0f .. %.0f]  %.2f M events/s/core\n", stage_names[stage],
               ns[rounds / 2], ns[0], ns[rounds - 1], 1000 / ns[rounds / 2]);
    }
    printf("%.1f bytes an event on usage, %.0f events a batch\n",
           (double)bench.bytes / ((double)bench.count * (double)rounds),
           (double)bench.count * (double)rounds / (double)(bench.batches ? bench.batches : 1));
    return 0;
}
