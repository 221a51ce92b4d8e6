#include "aggregator/rules/dedup.h"

#include "aggregator/rules/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * While the table grows, the old slots before `moved` have been passed: each id that stands in them
 * and isn't wrapped (it stands before its own place, because the table's end was full) is in the
 * new table. `moved` rests on free slots alone, so every id whose place lies before it was moved;
 * those whose place lies at it or behind are in the old table, also the ones that are added now.
 * The wrapped ones are moved last. What was moved isn't erased: a chain that wraps goes on behind
 * it.
 *
 * The old table is passed in STEP slots an id, so it is gone when a quarter of its room was added:
 * its own load stays below 0.85, the new one's below 0.43.
 */
enum { DEDUP_FIRST_ROOM = 64, STEP = 4 };
enum { LOOKED_AT = 4 /* slots of nearly any chain: they may lie in two cache lines */ };

_Static_assert(sizeof(struct fingerprint) == 16, "four fingerprints a cache line");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a fingerprint is read as two words");

/* A fingerprint as two words: 96 bits of identity, then 32 of payload. */
struct key {
    uint64_t low, high;
};

/* A slot of zeros is free. An identity of zeros, which no hash is likely to give, counts as one. */
static struct key key_of(const struct fingerprint *id)
{
    struct key key;

    memcpy(&key, id, sizeof(key));
    if ((key.low | key.high) == 0)
        key.low = 1;
    return key;
}

static bool is_free(const struct fingerprint *slot)
{
    struct key key;

    memcpy(&key, slot, sizeof(key));
    return (key.low | key.high) == 0;
}

static struct fingerprint *slots_new(uint64_t room)
{
    return pages_new(room * sizeof(struct fingerprint));
}

static void slots_free(struct fingerprint *slots, uint64_t room)
{
    pages_free(slots, room * sizeof(struct fingerprint));
}

/* Puts an id that isn't there into its table. */
static void place(struct fingerprint *slots, uint64_t mask, struct key key)
{
    uint64_t at = key.low & mask;

    while (!is_free(&slots[at]))
        at = (at + 1) & mask;
    memcpy(&slots[at], &key, sizeof(key));
}

/* --- growing --- */

static void move_slot(struct dedup *dedup, uint64_t at, bool wrapped)
{
    uint64_t old_mask = dedup->room / 2 - 1;
    struct key key = key_of(&dedup->old[at]);

    if (((key.low & old_mask) > at) == wrapped)
        place(dedup->slots, dedup->room - 1, key);
}

static void end_growth(struct dedup *dedup)
{
    for (uint64_t at = 0; !is_free(&dedup->old[at]); at++)
        move_slot(dedup, at, true);
    slots_free(dedup->old, dedup->room / 2);
    dedup->old = NULL;
}

/* Passes at least so many slots, up to the next free one. */
static void move_some(struct dedup *dedup, uint64_t slots)
{
    uint64_t room = dedup->room / 2, end = dedup->moved + slots, at = dedup->moved;

    for (; at < room && (at < end || !is_free(&dedup->old[at])); at++)
        if (!is_free(&dedup->old[at]))
            move_slot(dedup, at, false);
    dedup->moved = at;
    if (at == room)
        end_growth(dedup);
}

static void begin_growth(struct dedup *dedup, uint64_t room)
{
    assert(!dedup->old);
    dedup->old = dedup->slots;
    dedup->slots = slots_new(room);
    dedup->moved = 0;
    dedup->room = room;
}

static void grow_for_one(struct dedup *dedup)
{
    if (dedup->old)
        move_some(dedup, STEP);
    else if (dedup->room == 0)
        dedup_reserve(dedup, 1);
    else if ((dedup->count + 1) * 5 > dedup->room * 3)
        begin_growth(dedup, dedup->room * 2);
}

static void resize(struct dedup *dedup, uint64_t room)
{
    struct dedup old = *dedup;

    dedup->slots = slots_new(room);
    dedup->room = room;
    for (uint64_t i = 0; i < old.room; i++)
        if (!is_free(&old.slots[i]))
            place(dedup->slots, room - 1, key_of(&old.slots[i]));
    slots_free(old.slots, old.room);
}

void dedup_reserve(struct dedup *dedup, uint64_t count)
{
    uint64_t room = dedup->room ? dedup->room : DEDUP_FIRST_ROOM;

    if (dedup->old)
        move_some(dedup, dedup->room);
    while (count * 5 > room * 3)
        room *= 2;
    if (room != dedup->room)
        resize(dedup, room);
}

/* --- the table --- */

void dedup_deinit(struct dedup *dedup)
{
    if (dedup->old)
        slots_free(dedup->old, dedup->room / 2);
    slots_free(dedup->slots, dedup->room);
    free(dedup->fresh);
    *dedup = (struct dedup){0};
}

/* The table that an id belongs to. */
static struct fingerprint *slots_of(const struct dedup *dedup, uint64_t low, uint64_t *mask)
{
    *mask = dedup->room - 1;
    if (!dedup->old || (low & *mask >> 1) < dedup->moved)
        return dedup->slots;
    *mask >>= 1;
    return dedup->old;
}

void dedup_prefetch(const struct dedup *dedup, const struct fingerprint *id)
{
    struct key key;
    uint64_t mask;
    struct fingerprint *slots;

    if (dedup->room == 0)
        return;
    memcpy(&key, id, sizeof(key));
    slots = slots_of(dedup, key.low, &mask);
    __builtin_prefetch(&slots[key.low & mask], 1);
    __builtin_prefetch(&slots[(key.low + LOOKED_AT - 1) & mask], 1);
}

/* The id's slot, or with DEDUP_NEW the free one that it would get. */
static inline enum dedup_verdict probe(struct fingerprint *slots, uint64_t mask, struct key key,
                                       struct fingerprint **slot)
{
    struct key held;

    for (uint64_t at = key.low & mask;; at = (at + 1) & mask) {
        *slot = &slots[at];
        memcpy(&held, *slot, sizeof(held));
        if ((held.low | held.high) == 0)
            return DEDUP_NEW;
        if (held.low == key.low && (uint32_t)held.high == (uint32_t)key.high)
            return held.high == key.high ? DEDUP_DUPLICATE : DEDUP_CONFLICT;
    }
}

enum dedup_verdict dedup_look(const struct dedup *dedup, const struct fingerprint *id)
{
    struct key key = key_of(id);
    struct fingerprint *slots, *slot;
    uint64_t mask;

    if (dedup->room == 0)
        return DEDUP_NEW;
    slots = slots_of(dedup, key.low, &mask);
    return probe(slots, mask, key, &slot);
}

static void note(struct dedup *dedup, struct key key)
{
    dedup->count++;
    dedup->sum += (uint128)key.low | (uint128)key.high << 64;
}

static void note_fresh(struct dedup *dedup, struct key key)
{
    if (dedup->fresh_count == dedup->fresh_room) {
        dedup->fresh_room = dedup->fresh_room ? dedup->fresh_room * 2 : DEDUP_FIRST_ROOM;
        dedup->fresh = realloc(dedup->fresh, dedup->fresh_room * sizeof(*dedup->fresh));
        if (!dedup->fresh)
            abort();
    }
    memcpy(&dedup->fresh[dedup->fresh_count++], &key, sizeof(key));
}

static struct key add(struct dedup *dedup, const struct fingerprint *id)
{
    struct key key = key_of(id);
    struct fingerprint *slots;
    uint64_t mask;

    grow_for_one(dedup);
    slots = slots_of(dedup, key.low, &mask);
    place(slots, mask, key);
    note(dedup, key);
    return key;
}

void dedup_load(struct dedup *dedup, const struct fingerprint *id)
{
    (void)add(dedup, id);
}

void dedup_add(struct dedup *dedup, const struct fingerprint *id)
{
    note_fresh(dedup, add(dedup, id));
}

enum dedup_verdict dedup_take(struct dedup *dedup, const struct fingerprint *id)
{
    struct key key = key_of(id);
    struct fingerprint *slots, *slot;
    enum dedup_verdict verdict;
    uint64_t mask;

    grow_for_one(dedup);
    slots = slots_of(dedup, key.low, &mask);
    verdict = probe(slots, mask, key, &slot);
    if (verdict != DEDUP_NEW)
        return verdict;
    memcpy(slot, &key, sizeof(key));
    note(dedup, key);
    note_fresh(dedup, key);
    return DEDUP_NEW;
}

void dedup_committed(struct dedup *dedup)
{
    dedup->fresh_count = 0;
}

uint64_t dedup_bytes(const struct dedup *dedup)
{
    uint64_t slots = dedup->room + (dedup->old ? dedup->room / 2 : 0);

    return (slots + dedup->fresh_room) * sizeof(struct fingerprint);
}
