#include "aggregator/rules/dedup.h"

#include "aggregator/rules/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * An id's home is the slot as far up the table as its first 64 bits are up their range; it stands
 * in the first slot that was free from there on. Behind the last home are some slots more, so a
 * chain never wraps. What look-ups rely on is one sentence:
 *
 *     Between an id's home and its slot, no slot is free.
 *
 * More room moves every home up, or leaves it, and keeps their order. So the table grows where it
 * stands, from its end down to its beginning. `boundary` is an old home: the ids whose old home
 * lies below it are looked for by the old room, the others by the new one. A step
 *
 *  - takes a stretch of slots below the boundary, downwards to where the slot before it is free (or
 *    none is) and upwards to the next free one, over ids that were added below the boundary and had
 *    to stand at it or behind it, and over moved ones where the table's beginning leaves no gap;
 *  - takes all ids out of it. What remains stays right: no chain passes a free slot, so none leads
 *    into the stretch or through it;
 *  - lowers the boundary to the stretch's beginning. That concerns the ids whose old home lies from
 *    there to the boundary before, and for the same reason all of those were taken out;
 *  - adds them again, by the new room: that frees no slot.
 *
 * A step is due every STEP_ADDS ids, so the load below the boundary is never above 0.7.
 */
enum { FIRST_ROOM = 32, TAIL = 32 /* slots behind the last home, at least */ };
enum { STEP_ADDS = 128, STEP_SLOTS = 32 * STEP_ADDS };
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

static uint64_t scaled(uint64_t low, uint64_t room)
{
    return (uint64_t)((uint128)low * room >> 64);
}

/* Where the search for an id begins. */
static uint64_t home_of(const struct dedup *dedup, uint64_t low)
{
    uint64_t old = scaled(low, dedup->old_room);

    return old < dedup->boundary ? old : scaled(low, dedup->room);
}

static void lengthen(struct dedup *dedup, uint64_t slot_count)
{
    size_t bytes = pages_whole(slot_count * sizeof(struct fingerprint));

    if (slot_count <= dedup->slot_count)
        return;
    dedup->slots = pages_grow(dedup->slots, dedup->slot_count * sizeof(struct fingerprint), bytes);
    dedup->slot_count = bytes / sizeof(struct fingerprint);
}

/* Into a free slot, which the last one is again afterwards: searches end there at the latest. */
static inline void put(struct dedup *dedup, uint64_t at, struct key key)
{
    memcpy(&dedup->slots[at], &key, sizeof(key));
    if (at + 1 == dedup->slot_count)
        lengthen(dedup, dedup->slot_count + TAIL);
}

/* Puts an id that isn't there into the table. */
static inline void place(struct dedup *dedup, uint64_t home, struct key key)
{
    while (!is_free(&dedup->slots[home]))
        home++;
    put(dedup, home, key);
}

/* --- growing --- */

/* Copies the ids of the slots from `first` up to `end`, and frees these. */
static size_t take_out(struct dedup *dedup, uint64_t first, uint64_t end, struct fingerprint *ids)
{
    size_t count = 0;

    for (uint64_t at = first; at < end; at++) { /* without a branch, which nobody could predict */
        ids[count] = dedup->slots[at];
        count += !is_free(&dedup->slots[at]);
    }
    memset(&dedup->slots[first], 0, (end - first) * sizeof(*ids));
    return count;
}

static void step(struct dedup *dedup)
{
    uint64_t end = dedup->boundary, first = end > STEP_SLOTS ? end - STEP_SLOTS : 0;
    struct fingerprint *ids;
    size_t count;

    while (first > 0 && !is_free(&dedup->slots[first - 1]))
        first--;
    while (!is_free(&dedup->slots[end]))
        end++;
    ids = malloc((end - first) * sizeof(*ids));
    if (!ids && end > first)
        abort();
    count = take_out(dedup, first, end, ids);
    dedup->boundary = first;
    for (size_t i = 0; i < count; i++) {
        struct key key = key_of(&ids[i]);

        place(dedup, scaled(key.low, dedup->room), key);
    }
    free(ids);
}

static void begin_growth(struct dedup *dedup, uint64_t room)
{
    assert(dedup->boundary == 0);
    dedup->old_room = dedup->boundary = dedup->room;
    lengthen(dedup, room + TAIL);
    dedup->room = dedup->slot_count - TAIL;
    step(dedup);
}

static void grow_for_one(struct dedup *dedup)
{
    if (dedup->boundary > 0) {
        if (dedup->count % STEP_ADDS == 0)
            step(dedup);
    } else if ((dedup->count + 1) * 20 > dedup->room * 13) {
        begin_growth(dedup, dedup->room ? dedup->room / 2 * 3 : FIRST_ROOM);
    }
}

void dedup_reserve(struct dedup *dedup, uint64_t count)
{
    uint64_t room = (count * 20 + 12) / 13;

    while (dedup->boundary > 0)
        step(dedup);
    if (room > dedup->room)
        begin_growth(dedup, room);
    while (dedup->boundary > 0)
        step(dedup);
}

/* --- the table --- */

void dedup_deinit(struct dedup *dedup)
{
    pages_free(dedup->slots, dedup->slot_count * sizeof(struct fingerprint));
    free(dedup->fresh);
    *dedup = (struct dedup){0};
}

/* A prefetch of two lines each is forgotten one time in six, when many are asked for at once. */
static void read_at(const struct fingerprint *slot)
{
    (void)*(const volatile uint8_t *)slot;
}

void dedup_fetch(const struct dedup *dedup, const struct fingerprint *id)
{
    const struct fingerprint *home;
    struct key key;

    if (dedup->room == 0)
        return;
    memcpy(&key, id, sizeof(key));
    home = &dedup->slots[home_of(dedup, key.low)];
    read_at(home);
    read_at(home + LOOKED_AT - 1);
}

/* The id's slot, or with DEDUP_NEW the free one that it would get. */
static inline enum dedup_verdict probe(const struct dedup *dedup, struct key key, uint64_t *slot)
{
    struct key held;

    for (uint64_t at = home_of(dedup, key.low);; at++) {
        *slot = at;
        memcpy(&held, &dedup->slots[at], sizeof(held));
        if ((held.low | held.high) == 0)
            return DEDUP_NEW;
        if (held.low == key.low && (uint32_t)held.high == (uint32_t)key.high)
            return held.high == key.high ? DEDUP_DUPLICATE : DEDUP_CONFLICT;
    }
}

enum dedup_verdict dedup_look(const struct dedup *dedup, const struct fingerprint *id)
{
    uint64_t slot;

    return dedup->room == 0 ? DEDUP_NEW : probe(dedup, key_of(id), &slot);
}

static void note(struct dedup *dedup, struct key key)
{
    dedup->count++;
    dedup->sum += (uint128)key.low | (uint128)key.high << 64;
}

/* malloc's: what a commit gives back, the next one takes again, of whatever day or partition. */
static void widen_fresh(struct dedup *dedup)
{
    uint64_t first = dedup->fresh_usual > FIRST_ROOM ? dedup->fresh_usual : FIRST_ROOM;

    dedup->fresh_room = dedup->fresh_room ? 2 * dedup->fresh_room : first;
    dedup->fresh = realloc(dedup->fresh, dedup->fresh_room * sizeof(struct fingerprint));
    if (!dedup->fresh)
        abort();
}

static void note_fresh(struct dedup *dedup, struct key key)
{
    if (dedup->fresh_count == dedup->fresh_room)
        widen_fresh(dedup);
    memcpy(&dedup->fresh[dedup->fresh_count++], &key, sizeof(key));
}

static struct key add(struct dedup *dedup, const struct fingerprint *id)
{
    struct key key = key_of(id);

    grow_for_one(dedup);
    place(dedup, home_of(dedup, key.low), key);
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
    enum dedup_verdict verdict;
    uint64_t slot;

    grow_for_one(dedup);
    verdict = probe(dedup, key, &slot);
    if (verdict != DEDUP_NEW)
        return verdict;
    put(dedup, slot, key);
    note(dedup, key);
    note_fresh(dedup, key);
    return DEDUP_NEW;
}

void dedup_committed(struct dedup *dedup)
{
    free(dedup->fresh);
    dedup->fresh = NULL;
    dedup->fresh_usual = dedup->fresh_count + dedup->fresh_count / 4;
    dedup->fresh_count = dedup->fresh_room = 0;
}

uint64_t dedup_bytes(const struct dedup *dedup)
{
    return (dedup->slot_count + dedup->fresh_room) * sizeof(struct fingerprint);
}
