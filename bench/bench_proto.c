/*
 * bench_proto.c - what the formats between the processes cost on one core.
 *
 *   bench-proto [ROUNDS [SUBSCRIPTIONS]]
 *
 * Batches of 1,000 events with two entries each over some 200 series: packed, decoded and read.
 * Then a catalog of a million subscriptions: applied, looked up, its memory. Prints the median
 * round. Run it alone on a quiet core (taskset -c 1).
 */
#include "proto/catalog.h"
#include "proto/usage.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EVENTS = 1000, REPEATS = 200, ROUNDS_MAX = 99, SUBSCRIPTIONS = 100, METERS = 2 };

static int64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench-proto: %s\n", what);
    exit(1);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static void print_median(const char *what, int64_t *rounds, int count, int64_t units)
{
    qsort(rounds, (size_t)count, sizeof(*rounds), compare);
    printf("%-28s %6lld ns\n", what, (long long)(rounds[count / 2] / units));
}

static void write_events(struct usage_writer *writer)
{
    static const char *const methods[] = {"GET", "POST"};
    struct usage_series series[METERS] = {{.meter = {"requests", 8}, .dimension_count = 1},
                                          {.meter = {"bytes", 5}}};
    union usage_value values[METERS] = {{.amount = decimal_from_int(1)},
                                        {.amount = decimal_from_int(512)}};
    char subscription[32];

    usage_writer_reset(writer);
    for (int i = 0; i < EVENTS; i++) {
        struct usage_event event = {.time.ns = i, .arrival_ms = i};
        int length = snprintf(subscription, sizeof(subscription), "01ARZ3NDEKTSV4RRFFQ69G5%03d",
                              i * 37 % SUBSCRIPTIONS);

        memcpy(event.fingerprint.identity, &i, sizeof(i));
        series[0].subscription = series[1].subscription = text_from(subscription, (size_t)length);
        series[0].dimensions[0] =
            (struct usage_dimension){text_of("method"), text_of(methods[i % 2])};
        if (usage_writer_add(writer, &event, series, values, METERS))
            fail("the batch is full");
    }
}

static void bench_writer(struct usage_writer *writer, int rounds)
{
    int64_t took[ROUNDS_MAX];

    for (int round = 0; round < rounds; round++) {
        int64_t start = clock_ns();

        for (int i = 0; i < REPEATS; i++) {
            write_events(writer);
            (void)usage_writer_finish(writer);
        }
        took[round] = clock_ns() - start;
    }
    print_median("usage: write an event", took, rounds, (int64_t)REPEATS * EVENTS);
    printf("%-28s %6.1f bytes\n", "usage: an event", (double)usage_writer_bytes(writer) / EVENTS);
}

static uint64_t read_events(const struct usage_batch *batch)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < batch->event_count; i++) {
        struct usage_event event = usage_event_at(batch, i);

        sum += (uint64_t)event.time.ns;
        for (size_t k = 0; k < event.entry_count; k++)
            sum += usage_entry_at(batch, (size_t)event.first_entry + k).series;
    }
    return sum;
}

static void bench_reader(struct text message, int rounds)
{
    struct usage_reader *reader = usage_reader_new();
    int64_t took[ROUNDS_MAX];
    volatile uint64_t sum = 0;

    for (int round = 0; round < rounds; round++) {
        int64_t start = clock_ns();

        for (int i = 0; i < REPEATS; i++) {
            struct usage_batch batch;
            const char *reason = "";

            if (usage_decode(reader, message, &batch, &reason))
                fail(reason);
            sum = sum + read_events(&batch);
        }
        took[round] = clock_ns() - start;
    }
    print_median("usage: decode, read an event", took, rounds, (int64_t)REPEATS * EVENTS);
    usage_reader_free(reader);
}

static void subscribe(struct catalog *catalog, int i)
{
    char key[64], value[400];
    const char *reason = "";
    int key_length = snprintf(key, sizeof(key), "subscription/01ARZ3NDEKTSV4RRF%09d", i);
    int length =
        snprintf(value, sizeof(value),
                 "{\"epoch\":1,\"id\":\"%s\",\"customerKey\":\"customer_%07d\",\"plan\":"
                 "{\"key\":\"payg\",\"version\":1},\"activeFrom\":\"2026-01-01T00:00:00Z\","
                 "\"billingAnchor\":\"2026-01-01T00:00:00Z\",\"consumer\":{\"name\":"
                 "\"customer_%07d-key\"},\"cuts\":[0,%d]}",
                 key + strlen("subscription/"), i, i, 1 + i % 1439);

    if (catalog_apply(catalog, text_from(key, (size_t)key_length), text_from(value, (size_t)length),
                      &reason))
        fail(reason);
}

static void bench_catalog(int subscriptions)
{
    size_t before = mallinfo2().uordblks;
    struct catalog *catalog = catalog_new(CATALOG_SUBSCRIPTIONS);
    int64_t start = clock_ns();
    char name[32];

    for (int i = 0; i < subscriptions; i++)
        subscribe(catalog, i);
    printf("%-28s %6lld ns\n", "catalog: apply a record",
           (long long)((clock_ns() - start) / subscriptions));
    printf("%-28s %6zu bytes\n", "catalog: a subscription",
           (mallinfo2().uordblks - before) / (size_t)subscriptions);
    start = clock_ns();
    for (int i = 0; i < subscriptions; i++) {
        const struct catalog_subscription *found;
        int number = (int)((int64_t)i * 7919 % subscriptions);
        int length = snprintf(name, sizeof(name), "customer_%07d-key", number);

        if (catalog_find_subject(catalog, text_from(name, (size_t)length), NULL, instant_now(),
                                 &found))
            fail("a subscription is gone");
    }
    printf("%-28s %6lld ns\n", "catalog: find a subject",
           (long long)((clock_ns() - start) / subscriptions));
    catalog_free(catalog);
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 9;
    long subscriptions = argc > 2 ? strtol(argv[2], NULL, 10) : 1000000;
    struct usage_writer *writer = usage_writer_new();

    if (rounds < 1 || rounds > ROUNDS_MAX || subscriptions < 1 || subscriptions > 100000000)
        fail("ROUNDS is 1 to 99");
    bench_writer(writer, (int)rounds);
    bench_reader(usage_writer_finish(writer), (int)rounds);
    bench_catalog((int)subscriptions);
    usage_writer_free(writer);
    return 0;
}
