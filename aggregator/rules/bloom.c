#include "aggregator/rules/bloom.h"

#include "proto/wire.h"

#include <stdlib.h>

/* Blocks follow each other as ids do in a sorted run, so that building one walks through memory. */
static uint64_t block_of(const struct bloom *bloom, const struct fingerprint *id)
{
    return (uint64_t)((uint128)wire_load_u64(id->identity) * bloom->count >> 64);
}

static uint64_t first_probe(const struct fingerprint *id)
{
    uint64_t hash = wire_load_u64(id->identity) * UINT64_C(0x9e3779b97f4a7c15);

    return hash ^ hash >> 29 ^ wire_load_u32(id->identity + 8) * UINT64_C(0xd6e8feb86659fd93);
}

/* Each probe is the top nine bits; the next comes of a multiplication. */
static uint64_t next_probe(uint64_t probe)
{
    return probe * UINT64_C(0x5851f42d4c957f2d) + UINT64_C(0x14057b7ef767814f);
}

void bloom_init(struct bloom *bloom, uint64_t ids)
{
    bloom->count = (ids * BLOOM_BITS_AN_ID + BLOOM_BITS - 1) / BLOOM_BITS;
    if (bloom->count == 0)
        bloom->count = 1;
    bloom->blocks = aligned_alloc(sizeof(*bloom->blocks), bloom->count * sizeof(*bloom->blocks));
    if (!bloom->blocks)
        abort();
    for (uint64_t i = 0; i < bloom->count; i++)
        bloom->blocks[i] = (struct bloom_block){.words = {0}};
}

void bloom_deinit(struct bloom *bloom)
{
    free(bloom->blocks);
    *bloom = (struct bloom){0};
}

void bloom_add(struct bloom *bloom, const struct fingerprint *id)
{
    uint64_t *words = bloom->blocks ? bloom->blocks[block_of(bloom, id)].words : NULL;
    uint64_t probe = first_probe(id);

    for (int i = 0; words && i < BLOOM_PROBES; i++, probe = next_probe(probe))
        words[probe >> 61] |= UINT64_C(1) << (probe >> 55 & 63);
}

bool bloom_may_hold(const struct bloom *bloom, const struct fingerprint *id)
{
    const uint64_t *words = bloom->blocks ? bloom->blocks[block_of(bloom, id)].words : NULL;
    uint64_t probe = first_probe(id);

    for (int i = 0; words && i < BLOOM_PROBES; i++, probe = next_probe(probe))
        if (!(words[probe >> 61] >> (probe >> 55 & 63) & 1))
            return false;
    return true;
}

void bloom_prefetch(const struct bloom *bloom, const struct fingerprint *id)
{
    if (bloom->blocks)
        __builtin_prefetch(&bloom->blocks[block_of(bloom, id)]);
}

uint64_t bloom_bytes(const struct bloom *bloom)
{
    return bloom->count * sizeof(*bloom->blocks);
}
