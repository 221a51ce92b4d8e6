#include "aggregator/rules/uniques.h"

#include "aggregator/rules/order.h"
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { UNIQUES_FIRST_ROOM = 64 };

void uniques_deinit(struct uniques *uniques)
{
    free(uniques->slots);
    *uniques = (struct uniques){0};
}

void uniques_clear(struct uniques *uniques)
{
    uniques_deinit(uniques);
}

static struct unique *slot_of(const struct uniques *uniques, const struct unique *unique)
{
    uint64_t hash = (unique->key ^ wire_load_u64(unique->hash)) * 0x9e3779b97f4a7c15u;
    uint64_t at = (hash ^ hash >> 32) & (uniques->room - 1);

    while (uniques->slots[at].key != 0 &&
           (uniques->slots[at].key != unique->key ||
            memcmp(uniques->slots[at].hash, unique->hash, sizeof(unique->hash)) != 0))
        at = (at + 1) & (uniques->room - 1);
    return &uniques->slots[at];
}

static void grow(struct uniques *uniques)
{
    struct uniques old = *uniques;

    uniques->room = old.room ? old.room * 2 : UNIQUES_FIRST_ROOM;
    uniques->slots = calloc(uniques->room, sizeof(*uniques->slots));
    if (!uniques->slots)
        abort();
    for (uint64_t i = 0; i < old.room; i++)
        if (old.slots[i].key != 0)
            *slot_of(uniques, &old.slots[i]) = old.slots[i];
    free(old.slots);
}

void uniques_add(struct uniques *uniques, uint64_t key, const uint8_t hash[16])
{
    struct unique unique = {.key = key};
    struct unique *slot;

    assert(key != 0); /* no instant lies in the first window */
    memcpy(unique.hash, hash, sizeof(unique.hash));
    if (uniques->count * 5 >= uniques->room * 3)
        grow(uniques);
    slot = slot_of(uniques, &unique);
    if (slot->key == 0) {
        *slot = unique;
        uniques->count++;
    }
}

static int compare(const void *a, const void *b)
{
    const struct unique *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return memcmp(x->hash, y->hash, sizeof(x->hash));
}

void uniques_list(const struct uniques *uniques, struct unique_list *list)
{
    *list = (struct unique_list){0};
    if (uniques->count == 0)
        return;
    list->uniques = malloc(uniques->count * sizeof(*list->uniques));
    if (!list->uniques)
        abort();
    for (uint64_t i = 0; i < uniques->room; i++)
        if (uniques->slots[i].key != 0)
            list->uniques[list->count++] = uniques->slots[i];
    qsort(list->uniques, list->count, sizeof(*list->uniques), compare);
}

void unique_list_coarsen(struct unique_list *list, enum level from, enum level to)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        uint64_t key = list->uniques[i].key;
        int64_t minute = cell_window(key) * level_minutes(from);

        list->uniques[i].key = cell_key(level_window(to, minute), cell_series(key));
    }
    if (list->count > 1)
        qsort(list->uniques, list->count, sizeof(*list->uniques), compare);
    for (size_t i = 0; i < list->count; i++)
        if (kept == 0 || compare(&list->uniques[kept - 1], &list->uniques[i]) != 0)
            list->uniques[kept++] = list->uniques[i];
    list->count = kept;
}

void unique_list_deinit(struct unique_list *list)
{
    free(list->uniques);
    *list = (struct unique_list){0};
}

void unique_store_key(enum level level, const struct unique *unique,
                      uint8_t bytes[UNIQUE_KEY_BYTES])
{
    bytes[0] = (uint8_t)level;
    order_store_u64(bytes + 1, unique->key);
    memcpy(bytes + UNIQUE_PREFIX_BYTES, unique->hash, sizeof(unique->hash));
}

bool unique_from_store_key(struct text bytes, enum level *level, struct unique *unique)
{
    const uint8_t *at = (const uint8_t *)bytes.at;

    if (bytes.length != UNIQUE_KEY_BYTES || at[0] >= LEVELS)
        return false;
    *level = (enum level)at[0];
    unique->key = order_load_u64(at + 1);
    memcpy(unique->hash, at + UNIQUE_PREFIX_BYTES, sizeof(unique->hash));
    return true;
}
