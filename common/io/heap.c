#include "common/io/heap.h"

#include "common/io/log.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OWN_BYTES_MAX = 32 << 20, /* larger blocks are the system's, one by one */
    KEPT_BYTES = 1 << 30,     /* at the arena's end, until it is given back */
    ARENAS = 1,               /* malloc_trim leaves the end of any other alone */
    HOLE_BYTES = 1 << 20,     /* smaller ones aren't filled */
    HOLES_MAX = KEPT_BYTES / HOLE_BYTES,
};

void heap_give_back(void)
{
    malloc_trim(0);
}

struct heap_hole {
    struct heap_hole *next;
};

/* Below the heap's end; the system's own blocks lie above it. */
static bool is_in_heap(const void *block)
{
    return (uintptr_t)block < (uintptr_t)sbrk(0);
}

/* Until there is none for another block, which the system has to give then. */
struct heap_hole *heap_fill_holes(void)
{
    struct heap_hole *holes = NULL, *hole;
    int count = 0;

    mallopt(M_MMAP_THRESHOLD, HOLE_BYTES);
    do {
        hole = malloc(HOLE_BYTES);
        if (!hole)
            break;
        hole->next = holes;
        holes = hole;
    } while (is_in_heap(hole) && ++count < HOLES_MAX);
    return holes;
}

void heap_open_holes(struct heap_hole *holes)
{
    while (holes) {
        struct heap_hole *next = holes->next;

        free(holes);
        holes = next;
    }
    mallopt(M_MMAP_THRESHOLD, OWN_BYTES_MAX);
}

static void *give_back_regularly(void *unused)
{
    (void)unused;
    for (;;) {
        sleep(HEAP_GIVE_BACK_SECONDS);
        heap_give_back();
    }
    return NULL;
}

/* Signals are for the loop's thread. The process ends without waiting for this one. */
static void start_thread(void)
{
    sigset_t all, before;
    pthread_t thread;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, NULL, give_back_regularly, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        log_event(LOG_WARN, "memory_not_given_back", "reason", strerror(rc), NULL);
    else
        pthread_detach(thread);
}

void heap_tend(void)
{
    mallopt(M_MMAP_THRESHOLD, OWN_BYTES_MAX);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    mallopt(M_ARENA_MAX, ARENAS);
    start_thread();
}
