#include "aggregator/rules/sealed.h"

#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SORT_PARTS = 1 << 16, SORT_FEW = 48 };

int sealed_compare(const struct fingerprint *a, const struct fingerprint *b)
{
    uint64_t x = wire_load_u64(a->identity), y = wire_load_u64(b->identity);

    if (x == y) {
        x = wire_load_u32(a->identity + 8);
        y = wire_load_u32(b->identity + 8);
    }
    return x < y ? -1 : x > y;
}

struct fingerprint sealed_key(const struct fingerprint *id)
{
    static const struct fingerprint zeros;
    struct fingerprint key = *id;

    if (memcmp(&key, &zeros, sizeof(key)) == 0)
        key.identity[0] = 1;
    return key;
}

static uint128 number_of(const struct fingerprint *id)
{
    return (uint128)wire_load_u64(id->identity) | (uint128)wire_load_u32(id->identity + 8) << 64 |
           (uint128)id->payload << 96;
}

static int by_identity(const void *a, const void *b)
{
    return sealed_compare(a, b);
}

static void sort_few(struct fingerprint *ids, size_t count)
{
    if (count > SORT_FEW) {
        qsort(ids, count, sizeof(*ids), by_identity);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct fingerprint id = ids[i];
        size_t at = i;

        for (; at > 0 && sealed_compare(&ids[at - 1], &id) > 0; at--)
            ids[at] = ids[at - 1];
        ids[at] = id;
    }
}

/* The part of the range that the id lies in. */
static size_t part_of(const struct fingerprint *id, uint64_t low, uint128 width)
{
    return (size_t)((uint128)(wire_load_u64(id->identity) - low) * SORT_PARTS / width);
}

void sealed_sort(struct fingerprint *ids, struct fingerprint *room, size_t count, uint64_t low,
                 uint64_t high)
{
    uint128 width = (uint128)(high - low) + 1;
    size_t *ends = calloc(SORT_PARTS + 1, sizeof(*ends));
    size_t first = 0;

    if (!ends)
        abort();
    for (size_t i = 0; i < count; i++)
        ends[part_of(&ids[i], low, width) + 1]++;
    for (size_t part = 0; part < SORT_PARTS; part++)
        ends[part + 1] += ends[part];
    for (size_t i = 0; i < count; i++)
        room[ends[part_of(&ids[i], low, width)]++] = ids[i];
    for (size_t part = 0; part < SORT_PARTS; first = ends[part++])
        sort_few(room + first, ends[part] - first);
    if (count > 0)
        memcpy(ids, room, count * sizeof(*ids));
    free(ends);
}

struct sealed *sealed_new(uint32_t generation, uint64_t filtered_ids)
{
    struct sealed *sealed = calloc(1, sizeof(*sealed));

    assert(generation <= 1);
    if (!sealed)
        abort();
    sealed->generation = generation;
    if (filtered_ids)
        bloom_init(&sealed->bloom, filtered_ids);
    return sealed;
}

struct sealed *sealed_free(struct sealed *sealed)
{
    if (!sealed)
        return NULL;
    free(sealed->firsts);
    bloom_deinit(&sealed->bloom);
    dedup_deinit(&sealed->recalled);
    free(sealed);
    return NULL;
}

static void note_first(struct sealed *sealed, const struct fingerprint *first)
{
    if (sealed->pages == sealed->page_room) {
        sealed->page_room = sealed->page_room ? sealed->page_room * 2 : 1;
        sealed->firsts = realloc(sealed->firsts, sealed->page_room * sizeof(*sealed->firsts));
        if (!sealed->firsts)
            abort();
    }
    sealed->firsts[sealed->pages++] = *first;
}

bool sealed_add_page(struct sealed *sealed, const struct fingerprint *ids, size_t count)
{
    if (count == 0 || count > SEALED_PAGE_IDS || sealed->pages == SEALED_PAGES_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (sealed->count > 0 && sealed_compare(&sealed->last, &ids[i]) >= 0)
            return false;
        if (i == 0)
            note_first(sealed, &ids[i]);
        sealed->last = ids[i];
        sealed->sum += number_of(&ids[i]);
        sealed->count++;
        bloom_add(&sealed->bloom, &ids[i]);
    }
    return true;
}

void sealed_begin(struct sealed *sealed, int64_t offset)
{
    if (sealed->begun != offset && sealed->recalled.count > SEALED_RECALLED_MAX)
        dedup_deinit(&sealed->recalled);
    sealed->begun = offset;
}

bool sealed_asks_for(const struct sealed *sealed, const struct fingerprint *id)
{
    struct fingerprint key = sealed_key(id);

    return sealed->count > 0 && bloom_may_hold(&sealed->bloom, &key) &&
           dedup_look(&sealed->recalled, &key) == DEDUP_NEW;
}

uint32_t sealed_page_of(const struct sealed *sealed, const struct fingerprint *id)
{
    struct fingerprint key = sealed_key(id);
    uint32_t low = 0, high = sealed->pages;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (sealed_compare(&sealed->firsts[middle], &key) <= 0)
            low = middle;
        else
            high = middle;
    }
    return low;
}

bool sealed_recall(struct sealed *sealed, const void *page, size_t count,
                   const struct fingerprint *id)
{
    struct fingerprint key = sealed_key(id), held;
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order;

        memcpy(&held, (const char *)page + middle * sizeof(held), sizeof(held));
        order = sealed_compare(&held, &key);
        if (order == 0) {
            dedup_load(&sealed->recalled, &held);
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

void sealed_drop_filter(struct sealed *sealed)
{
    bloom_deinit(&sealed->bloom);
}

uint64_t sealed_bytes(const struct sealed *sealed)
{
    return sizeof(*sealed) + sealed->page_room * sizeof(*sealed->firsts) +
           bloom_bytes(&sealed->bloom) + dedup_bytes(&sealed->recalled);
}
