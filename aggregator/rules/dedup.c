#include "aggregator/rules/dedup.h"

#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { DEDUP_FIRST_ROOM = 64, DEDUP_HUGE_BYTES = 2 << 20 };

_Static_assert(sizeof(struct fingerprint) == 16, "four fingerprints a cache line");

/* A slot of zeros is free. An identity of zeros, which no hash is likely to give, counts as one. */
static struct fingerprint stored(const struct fingerprint *id)
{
    static const uint8_t zeros[12];
    struct fingerprint key = *id;

    if (id->payload == 0 && memcmp(id->identity, zeros, sizeof(zeros)) == 0)
        key.identity[0] = 1;
    return key;
}

static bool is_free(const struct fingerprint *slot)
{
    uint64_t halves[2];

    memcpy(halves, slot, sizeof(halves));
    return (halves[0] | halves[1]) == 0;
}

static uint64_t place_of(const struct dedup *dedup, const struct fingerprint *id)
{
    return wire_load_u64(id->identity) & (dedup->room - 1);
}

static uint128 number_of(const struct fingerprint *id)
{
    return (uint128)wire_load_u64(id->identity) | (uint128)wire_load_u32(id->identity + 8) << 64 |
           (uint128)id->payload << 96;
}

static struct fingerprint *slots_new(uint64_t room)
{
    size_t bytes = room * sizeof(struct fingerprint);
    void *slots;

    if (bytes < DEDUP_HUGE_BYTES) {
        slots = calloc(1, bytes);
    } else {
        slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (slots == MAP_FAILED)
            slots = NULL;
        else
            (void)madvise(slots, bytes, MADV_HUGEPAGE);
    }
    if (!slots)
        abort();
    return slots;
}

static void slots_free(struct fingerprint *slots, uint64_t room)
{
    size_t bytes = room * sizeof(struct fingerprint);

    if (bytes < DEDUP_HUGE_BYTES)
        free(slots);
    else
        munmap(slots, bytes);
}

static void place(struct dedup *dedup, const struct fingerprint *id)
{
    uint64_t at = place_of(dedup, id);

    while (!is_free(&dedup->slots[at]))
        at = (at + 1) & (dedup->room - 1);
    dedup->slots[at] = *id;
}

static void resize(struct dedup *dedup, uint64_t room)
{
    struct dedup old = *dedup;

    dedup->slots = slots_new(room);
    dedup->room = room;
    for (uint64_t i = 0; i < old.room; i++)
        if (!is_free(&old.slots[i]))
            place(dedup, &old.slots[i]);
    slots_free(old.slots, old.room);
}

void dedup_deinit(struct dedup *dedup)
{
    slots_free(dedup->slots, dedup->room);
    free(dedup->fresh);
    *dedup = (struct dedup){0};
}

void dedup_reserve(struct dedup *dedup, uint64_t count)
{
    uint64_t room = dedup->room ? dedup->room : DEDUP_FIRST_ROOM;

    while (count * 5 > room * 3)
        room *= 2;
    if (room != dedup->room)
        resize(dedup, room);
}

void dedup_prefetch(const struct dedup *dedup, const struct fingerprint *id)
{
    if (dedup->room)
        __builtin_prefetch(&dedup->slots[place_of(dedup, id)]);
}

enum dedup_verdict dedup_look(const struct dedup *dedup, const struct fingerprint *id)
{
    struct fingerprint key = stored(id);

    if (dedup->room == 0)
        return DEDUP_NEW;
    for (uint64_t at = place_of(dedup, &key); !is_free(&dedup->slots[at]);
         at = (at + 1) & (dedup->room - 1)) {
        const struct fingerprint *slot = &dedup->slots[at];

        if (memcmp(slot->identity, key.identity, sizeof(key.identity)) == 0)
            return slot->payload == key.payload ? DEDUP_DUPLICATE : DEDUP_CONFLICT;
    }
    return DEDUP_NEW;
}

void dedup_load(struct dedup *dedup, const struct fingerprint *id)
{
    struct fingerprint key = stored(id);

    dedup_reserve(dedup, dedup->count + 1);
    place(dedup, &key);
    dedup->count++;
    dedup->sum += number_of(&key);
}

void dedup_add(struct dedup *dedup, const struct fingerprint *id)
{
    dedup_load(dedup, id);
    if (dedup->fresh_count == dedup->fresh_room) {
        dedup->fresh_room = dedup->fresh_room ? dedup->fresh_room * 2 : DEDUP_FIRST_ROOM;
        dedup->fresh = realloc(dedup->fresh, dedup->fresh_room * sizeof(*dedup->fresh));
        if (!dedup->fresh)
            abort();
    }
    dedup->fresh[dedup->fresh_count++] = stored(id);
}

void dedup_committed(struct dedup *dedup)
{
    dedup->fresh_count = 0;
}

uint64_t dedup_bytes(const struct dedup *dedup)
{
    return (dedup->room + dedup->fresh_room) * sizeof(struct fingerprint);
}
