#include "aggregator/rules/numbered.h"

#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERED_FIRST_ROOM = 64, AGES = 65 };

static bool is_of(const struct numbered_chunk *chunk, const uint8_t source[12], uint64_t number)
{
    return chunk && chunk->key.chunk == number / NUMBERED_BITS &&
           memcmp(chunk->key.source, source, sizeof(chunk->key.source)) == 0;
}

/* The source is a hash already; neighbouring chunks are spread. */
static uint64_t hash_of(const uint8_t source[12], uint64_t number)
{
    uint64_t hash = wire_load_u64(source) ^ number / NUMBERED_BITS * UINT64_C(0x9e3779b97f4a7c15);

    return hash ^ hash >> 32;
}

/* --- the table --- */

static void place(struct numbered *numbered, struct numbered_slot slot)
{
    uint64_t at = slot.hash & (numbered->room - 1);

    while (numbered->slots[at].chunk)
        at = (at + 1) & (numbered->room - 1);
    numbered->slots[at] = slot;
}

static void resize(struct numbered *numbered, uint64_t room)
{
    struct numbered old = *numbered;

    numbered->room = room;
    numbered->slots = calloc(room, sizeof(*numbered->slots));
    if (!numbered->slots)
        abort();
    for (uint64_t i = 0; i < old.room; i++)
        if (old.slots[i].chunk)
            place(numbered, old.slots[i]);
    free(old.slots);
}

static struct numbered_chunk *find_far(struct numbered *numbered, const uint8_t source[12],
                                       uint64_t number)
{
    uint64_t hash = hash_of(source, number);

    if (numbered->room == 0)
        return NULL;
    for (uint64_t at = hash & (numbered->room - 1); numbered->slots[at].chunk;
         at = (at + 1) & (numbered->room - 1)) {
        struct numbered_slot *slot = &numbered->slots[at];

        if (slot->hash != hash || !is_of(slot->chunk, source, number))
            continue;
        slot->chunk->touched = numbered->commits;
        return numbered->last = slot->chunk;
    }
    return NULL;
}

/* Most events follow another of their source. */
static inline struct numbered_chunk *find(struct numbered *numbered, const uint8_t source[12],
                                          uint64_t number)
{
    return is_of(numbered->last, source, number) ? numbered->last
                                                 : find_far(numbered, source, number);
}

static struct numbered_chunk *make(struct numbered *numbered, const uint8_t source[12],
                                   uint64_t number)
{
    struct numbered_chunk *chunk = calloc(1, sizeof(*chunk));

    if (!chunk)
        abort();
    chunk->key.chunk = number / NUMBERED_BITS;
    memcpy(chunk->key.source, source, sizeof(chunk->key.source));
    chunk->touched = numbered->commits;
    if (numbered->count * 5 >= numbered->room * 3)
        resize(numbered, numbered->room ? numbered->room * 2 : NUMBERED_FIRST_ROOM);
    place(numbered, (struct numbered_slot){.hash = hash_of(source, number), .chunk = chunk});
    numbered->count++;
    return numbered->last = chunk;
}

void numbered_deinit(struct numbered *numbered)
{
    for (uint64_t i = 0; i < numbered->room; i++)
        free(numbered->slots[i].chunk);
    free(numbered->slots);
    free(numbered->dirty);
    *numbered = (struct numbered){0};
}

uint64_t numbered_bytes(const struct numbered *numbered)
{
    return numbered->count * sizeof(struct numbered_chunk) +
           numbered->room * sizeof(struct numbered_slot) +
           numbered->dirty_room * sizeof(*numbered->dirty);
}

/* --- an event --- */

void numbered_prefetch(const struct numbered *numbered, const struct usage_event *event)
{
    const uint8_t *source = event->fingerprint.identity;

    if (numbered->room && !is_of(numbered->last, source, event->sequence))
        __builtin_prefetch(
            &numbered->slots[hash_of(source, event->sequence) & (numbered->room - 1)]);
}

enum dedup_verdict numbered_look(struct numbered *numbered, const struct usage_event *event)
{
    const struct numbered_chunk *chunk =
        find(numbered, event->fingerprint.identity, event->sequence);
    uint64_t bit = event->sequence % NUMBERED_BITS;

    return chunk && (chunk->bits[bit / 64] >> bit % 64 & 1) ? DEDUP_DUPLICATE : DEDUP_NEW;
}

static void note_dirty(struct numbered *numbered, struct numbered_chunk *chunk)
{
    if (numbered->dirty_count == numbered->dirty_room) {
        numbered->dirty_room = numbered->dirty_room ? numbered->dirty_room * 2 : 64;
        numbered->dirty = realloc(numbered->dirty, numbered->dirty_room * sizeof(*numbered->dirty));
        if (!numbered->dirty)
            abort();
    }
    numbered->dirty[numbered->dirty_count++] = chunk;
    chunk->is_dirty = true;
}

enum dedup_verdict numbered_take(struct numbered *numbered, const struct usage_event *event)
{
    struct numbered_chunk *chunk = find(numbered, event->fingerprint.identity, event->sequence);
    uint64_t *word, bit = UINT64_C(1) << event->sequence % 64;

    if (!chunk)
        chunk = make(numbered, event->fingerprint.identity, event->sequence);
    word = &chunk->bits[event->sequence % NUMBERED_BITS / 64];
    if (*word & bit)
        return DEDUP_DUPLICATE;
    *word |= bit;
    if (!chunk->is_dirty)
        note_dirty(numbered, chunk);
    return DEDUP_NEW;
}

bool numbered_missing(struct numbered *numbered, const uint8_t source[12], uint64_t number)
{
    return !find(numbered, source, number);
}

void numbered_load(struct numbered *numbered, const struct numbered_key *key,
                   const uint64_t bits[NUMBERED_WORDS])
{
    struct numbered_chunk *chunk;

    assert(!find(numbered, key->source, key->chunk * NUMBERED_BITS));
    chunk = make(numbered, key->source, key->chunk * NUMBERED_BITS);
    memcpy(chunk->bits, bits, sizeof(chunk->bits));
    chunk->stored = numbered_digest(key, bits);
}

/* --- a commit --- */

static int ascending(const void *a, const void *b)
{
    const struct numbered_key *x = &(*(struct numbered_chunk *const *)a)->key;
    const struct numbered_key *y = &(*(struct numbered_chunk *const *)b)->key;
    int order = memcmp(x->source, y->source, sizeof(x->source));

    return order ? order : x->chunk < y->chunk ? -1 : x->chunk > y->chunk;
}

void numbered_sort(struct numbered *numbered)
{
    if (numbered->dirty_count > 1)
        qsort(numbered->dirty, numbered->dirty_count, sizeof(*numbered->dirty), ascending);
}

static uint64_t age_of(const struct numbered *numbered, const struct numbered_chunk *chunk)
{
    uint64_t age = numbered->commits - chunk->touched;

    return age < AGES - 1 ? age : AGES - 1;
}

/* The greatest age at which no more than half of what may be kept is kept. */
static uint64_t age_to_keep(const struct numbered *numbered, uint64_t kept_max)
{
    uint64_t ages[AGES] = {0}, kept = 0;

    for (uint64_t i = 0; i < numbered->room; i++)
        if (numbered->slots[i].chunk)
            ages[age_of(numbered, numbered->slots[i].chunk)]++;
    for (uint64_t age = 0; age < AGES; age++) {
        kept += ages[age];
        if (kept > kept_max / 2)
            return age; /* chunks of this age leave, too */
    }
    return AGES;
}

static void forget_old(struct numbered *numbered)
{
    uint64_t kept_max = numbered->kept_max ? numbered->kept_max : NUMBERED_KEPT_MAX, limit;
    uint64_t room = NUMBERED_FIRST_ROOM;

    if (numbered->count <= kept_max)
        return;
    limit = age_to_keep(numbered, kept_max);
    numbered->last = NULL;
    for (uint64_t i = 0; i < numbered->room; i++) {
        struct numbered_slot *slot = &numbered->slots[i];

        if (!slot->chunk || age_of(numbered, slot->chunk) < limit)
            continue;
        free(slot->chunk);
        slot->chunk = NULL;
        numbered->count--;
    }
    while (numbered->count * 5 >= room * 3)
        room *= 2;
    resize(numbered, room);
}

void numbered_committed(struct numbered *numbered, uint128 sum)
{
    for (uint64_t i = 0; i < numbered->dirty_count; i++) {
        struct numbered_chunk *chunk = numbered->dirty[i];

        chunk->stored = numbered_digest(&chunk->key, chunk->bits);
        chunk->touched = numbered->commits; /* `last` isn't looked up again */
        chunk->is_dirty = false;
    }
    numbered->dirty_count = 0;
    numbered->sum = sum;
    forget_old(numbered);
    numbered->commits++;
}
