#include "common/base/fault.h"
#include "common/io/store_parts.h"

#include <assert.h>
#include <time.h>

/* LMDB moves its map when it grows: nobody in this process may hold a page of it then. */

void store_reader_enter(struct store *store)
{
    pthread_mutex_lock(&store->gate);
    while (store->growing)
        pthread_cond_wait(&store->gate_moved, &store->gate);
    store->readers++;
    pthread_mutex_unlock(&store->gate);
}

void store_reader_leave(struct store *store)
{
    pthread_mutex_lock(&store->gate);
    assert(store->readers > 0);
    store->readers--;
    pthread_cond_broadcast(&store->gate_moved);
    pthread_mutex_unlock(&store->gate);
}

/* Closes the gate and waits for the readers inside. False, with the gate open, after wait_ms. */
static bool close_gate(struct store *store, int wait_ms)
{
    struct timespec until;
    bool closed;

    clock_gettime(CLOCK_MONOTONIC, &until); /* gate_moved's own */
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&store->gate);
    store->growing = true;
    while (store->readers > 0 && wait_ms > 0)
        if (pthread_cond_timedwait(&store->gate_moved, &store->gate, &until))
            break;
    closed = store->readers == 0;
    if (!closed) {
        store->growing = false;
        pthread_cond_broadcast(&store->gate_moved);
    }
    pthread_mutex_unlock(&store->gate);
    return closed;
}

static void open_gate(struct store *store)
{
    pthread_mutex_lock(&store->gate);
    store->growing = false;
    pthread_cond_broadcast(&store->gate_moved);
    pthread_mutex_unlock(&store->gate);
}

static int resize(struct store *store, size_t bytes)
{
    int rc = mdb_env_set_mapsize(store->env, bytes);

    open_gate(store);
    return rc ? store_fault(store, "cannot grow the map of", rc) : 0;
}

int store_make_room(struct store *store)
{
    int64_t mapped = store_bytes_mapped(store);
    int r;

    if (!store->full && store_bytes_used(store) < mapped / 2)
        return 0;
    if (!close_gate(store, store->full ? STORE_GROWTH_WAIT_MS_MAX : 0)) {
        if (!store->full)
            return 0; /* there is room yet: another time */
        return fault(FAULT_RETRY, "%s: the map is full and readers hold it", store->folder);
    }
    r = resize(store, (size_t)mapped * 2);
    if (r)
        return fault_pass(r);
    store->full = false;
    return 0;
}

int store_follow_size(struct store *store)
{
    if (!close_gate(store, STORE_GROWTH_WAIT_MS_MAX))
        return fault(FAULT_RETRY, "%s: another process grew the map and readers hold ours",
                     store->folder);
    return resize(store, 0);
}
