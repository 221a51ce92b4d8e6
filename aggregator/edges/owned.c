#include "aggregator/edges/owned.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

struct owned_slot {
    struct store *store; /* NULL: not owned */
    int readers;
};

struct owned {
    pthread_mutex_t mutex;
    pthread_cond_t released;
    int32_t partitions;
    struct owned_slot slots[];
};

struct owned *owned_new(int32_t partitions)
{
    struct owned *owned =
        calloc(1, sizeof(*owned) + (size_t)partitions * sizeof(struct owned_slot));

    if (!owned)
        abort();
    owned->partitions = partitions;
    pthread_mutex_init(&owned->mutex, NULL);
    pthread_cond_init(&owned->released, NULL);
    return owned;
}

struct owned *owned_free(struct owned *owned)
{
    if (!owned)
        return NULL;
    pthread_cond_destroy(&owned->released);
    pthread_mutex_destroy(&owned->mutex);
    free(owned);
    return NULL;
}

int32_t owned_partitions(const struct owned *owned)
{
    return owned->partitions;
}

void owned_add(struct owned *owned, int32_t partition, struct store *store)
{
    assert(partition >= 0 && partition < owned->partitions);
    pthread_mutex_lock(&owned->mutex);
    assert(!owned->slots[partition].store && owned->slots[partition].readers == 0);
    owned->slots[partition].store = store;
    pthread_mutex_unlock(&owned->mutex);
}

void owned_remove(struct owned *owned, int32_t partition)
{
    pthread_mutex_lock(&owned->mutex);
    owned->slots[partition].store = NULL;
    while (owned->slots[partition].readers > 0)
        pthread_cond_wait(&owned->released, &owned->mutex);
    pthread_mutex_unlock(&owned->mutex);
}

bool owned_has(struct owned *owned, int32_t partition)
{
    bool has;

    pthread_mutex_lock(&owned->mutex);
    has = partition >= 0 && partition < owned->partitions && owned->slots[partition].store;
    pthread_mutex_unlock(&owned->mutex);
    return has;
}

bool owned_hold(struct owned *owned, int32_t partition, struct owned_view *view)
{
    bool held = false;

    pthread_mutex_lock(&owned->mutex);
    if (partition >= 0 && partition < owned->partitions && owned->slots[partition].store) {
        *view = (struct owned_view){.partition = partition, .store = owned->slots[partition].store};
        owned->slots[partition].readers++;
        held = true;
    }
    pthread_mutex_unlock(&owned->mutex);
    return held;
}

void owned_release(struct owned *owned, int32_t partition)
{
    pthread_mutex_lock(&owned->mutex);
    assert(owned->slots[partition].readers > 0);
    owned->slots[partition].readers--;
    pthread_cond_broadcast(&owned->released);
    pthread_mutex_unlock(&owned->mutex);
}
