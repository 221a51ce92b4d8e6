#include "common/io/heap.h"

#include "common/io/log.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum {
    OWN_BYTES_MAX = 32 << 20, /* larger blocks are the system's, one by one */
    KEPT_BYTES = 1 << 30,     /* at the arena's end, until it is given back */
    ARENAS = 1,               /* malloc_trim leaves the end of any other alone */
};

void heap_give_back(void)
{
    malloc_trim(0);
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
