#include "aggregator/rules/sealed.h"

#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

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
