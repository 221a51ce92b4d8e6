/*
 * bench_floor.c - what this machine's memory allows: the physical floor beside which other figures
 * stand.
 *
 *   bench-floor
 *
 * Prints a JSON object of ns: copying a JSON event (340 bytes) and a packed one (80) out of 512
 * MiB; one read at a random place of 512 MiB that waits for the one before it, and one that was
 * fetched with 63 others beforehand, of 512 MiB and of 16 MiB, which the last cache holds; touching
 * a KiB that the system gives to the process only then, in pages of 2 MiB. That one tells whether a
 * virtual machine's free memory goes back to its host.
 */
#include "bench/words.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    BYTES = 512 << 20,
    CACHED_BYTES = 16 << 20,
    JSON_EVENT = 340,
    PACKED_EVENT = 80,
    READS = 2000000,
    AT_ONCE = 64
};

static char *space(double *touch_ns)
{
    char *bytes = aligned_alloc(2 << 20, BYTES);
    int64_t began = clock_process_ns();

    assert(bytes);
    madvise(bytes, BYTES, MADV_HUGEPAGE);
    memset(bytes, 1, BYTES);
    *touch_ns = (double)(clock_process_ns() - began) / (BYTES / 1024);
    return bytes;
}

static double copy_ns(const char *bytes, size_t event)
{
    static char out[65536];
    size_t events = BYTES / event;
    unsigned sum = 0;
    int64_t began = clock_process_ns();

    for (size_t i = 0; i < events; i++) {
        memcpy(out + i % 64 * 1024, bytes + i * event, event);
        sum += (unsigned char)out[i % 64 * 1024];
    }
    began = clock_process_ns() - began;
    if (sum == 0)
        abort();
    return (double)began / (double)events;
}

static double read_ns(const char *bytes)
{
    uint64_t at = 1;
    int64_t began = clock_process_ns();

    for (int i = 0; i < READS; i++)
        at = (at + (uint64_t)(unsigned char)bytes[at % BYTES]) * 6364136223846793005u +
             1442695040888963407u,
        at ^= at >> 29;
    began = clock_process_ns() - began;
    if (at == 0)
        abort();
    return (double)began / READS;
}

/* As counting reads its tables: AT_ONCE places are fetched, then read. */
static double fetched_ns(const char *bytes, uint64_t size)
{
    uint64_t places[AT_ONCE], state = 1;
    unsigned sum = 0;
    int64_t began = clock_process_ns();

    for (int round = 0; round < READS / AT_ONCE; round++) {
        for (int i = 0; i < AT_ONCE; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            places[i] = (state >> 29) % size;
            __builtin_prefetch(bytes + places[i]);
        }
        for (int i = 0; i < AT_ONCE; i++)
            sum += (unsigned char)bytes[places[i]];
    }
    began = clock_process_ns() - began;
    if (sum == 0)
        abort();
    return (double)began / (READS / AT_ONCE * AT_ONCE);
}

int main(void)
{
    double touch_ns;
    char *bytes = space(&touch_ns);

    printf("{\"copy_json_ns\":%.1f,\"copy_packed_ns\":%.1f,\"random_read_ns\":%.1f,"
           "\"fetched_read_ns\":%.1f,\"cached_read_ns\":%.1f,\"first_touch_ns\":%.1f}\n",
           copy_ns(bytes, JSON_EVENT), copy_ns(bytes, PACKED_EVENT), read_ns(bytes),
           fetched_ns(bytes, BYTES), fetched_ns(bytes, CACHED_BYTES), touch_ns);
    free(bytes);
    return 0;
}
