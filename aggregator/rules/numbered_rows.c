/*
 * numbered_rows.c - a chunk of numbers as the store has it.
 */
#include "aggregator/rules/numbered.h"
#include "aggregator/rules/order.h"
#include "proto/wire.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

enum { NUMBERED_LISTED_MAX = NUMBERED_BITS / 16 - 1 /* more are shorter as a bitmap */ };

static uint64_t count_of(const uint64_t bits[NUMBERED_WORDS])
{
    uint64_t count = 0;

    for (size_t i = 0; i < NUMBERED_WORDS; i++)
        count += (uint64_t)__builtin_popcountll(bits[i]);
    return count;
}

bool numbered_is_full(const uint64_t bits[NUMBERED_WORDS])
{
    return count_of(bits) == NUMBERED_BITS;
}

void numbered_key_encode(const struct numbered_key *key, uint8_t bytes[NUMBERED_KEY_BYTES])
{
    memcpy(bytes, key->source, sizeof(key->source));
    order_store_u64(bytes + sizeof(key->source), key->chunk);
}

bool numbered_key_decode(struct text bytes, struct numbered_key *key)
{
    if (bytes.length != NUMBERED_KEY_BYTES)
        return false;
    memcpy(key->source, bytes.at, sizeof(key->source));
    key->chunk = order_load_u64((const uint8_t *)bytes.at + sizeof(key->source));
    return key->chunk <= UINT64_MAX / NUMBERED_BITS;
}

/* Appends the places whose bit is `wanted`. */
static size_t list_places(const uint64_t bits[NUMBERED_WORDS], bool wanted, uint8_t *at)
{
    size_t length = 0;

    for (unsigned i = 0; i < NUMBERED_WORDS; i++)
        for (uint64_t left = wanted ? bits[i] : ~bits[i]; left; left &= left - 1) {
            wire_store_u16(at + length, (uint16_t)(i * 64 + (unsigned)__builtin_ctzll(left)));
            length += 2;
        }
    return length;
}

size_t numbered_row_encode(const struct numbered_row *row, uint8_t bytes[NUMBERED_ROW_MAX])
{
    uint64_t count = count_of(row->bits);

    assert(row->span >= 1 && count > 0 && (row->span == 1 || count == NUMBERED_BITS));
    if (count == NUMBERED_BITS) {
        bytes[0] = NUMBERED_FULL;
        wire_store_u64(bytes + 1, row->span);
        return 9;
    }
    if (count <= NUMBERED_LISTED_MAX) {
        bytes[0] = NUMBERED_SET;
        return 1 + list_places(row->bits, true, bytes + 1);
    }
    if (NUMBERED_BITS - count <= NUMBERED_LISTED_MAX) {
        bytes[0] = NUMBERED_HOLES;
        return 1 + list_places(row->bits, false, bytes + 1);
    }
    bytes[0] = NUMBERED_BITMAP;
    for (size_t i = 0; i < NUMBERED_WORDS; i++)
        wire_store_u64(bytes + 1 + 8 * i, row->bits[i]);
    return NUMBERED_ROW_MAX;
}

static bool read_places(const uint8_t *at, size_t length, bool wanted, uint64_t *bits)
{
    if (length % 2 || length > 2 * NUMBERED_LISTED_MAX)
        return false;
    memset(bits, wanted ? 0 : 0xff, NUMBERED_WORDS * sizeof(*bits));
    for (size_t i = 0; i < length; i += 2) {
        unsigned place = wire_load_u16(at + i);

        if (place >= NUMBERED_BITS || (bits[place / 64] >> place % 64 & 1) == wanted)
            return false;
        bits[place / 64] ^= UINT64_C(1) << place % 64;
    }
    return true;
}

bool numbered_row_decode(struct text bytes, struct numbered_row *row)
{
    const uint8_t *at = (const uint8_t *)bytes.at;

    row->span = 1;
    if (bytes.length < 3)
        return false;
    switch (at[0]) {
    case NUMBERED_FULL:
        memset(row->bits, 0xff, sizeof(row->bits));
        row->span = bytes.length == 9 ? wire_load_u64(at + 1) : 0;
        return row->span > 0;
    case NUMBERED_BITMAP:
        for (size_t i = 0; i < NUMBERED_WORDS && bytes.length == NUMBERED_ROW_MAX; i++)
            row->bits[i] = wire_load_u64(at + 1 + 8 * i);
        return bytes.length == NUMBERED_ROW_MAX;
    case NUMBERED_SET:
    case NUMBERED_HOLES:
        return read_places(at + 1, bytes.length - 1, at[0] == NUMBERED_SET, row->bits);
    default:
        return false;
    }
}

uint128 numbered_digest(const struct numbered_key *key, const uint64_t bits[NUMBERED_WORDS])
{
    uint8_t bytes[NUMBERED_KEY_BYTES + NUMBERED_BITS / 8];
    XXH128_hash_t hash;

    if (count_of(bits) == 0)
        return 0;
    numbered_key_encode(key, bytes);
    for (size_t i = 0; i < NUMBERED_WORDS; i++)
        wire_store_u64(bytes + NUMBERED_KEY_BYTES + 8 * i, bits[i]);
    hash = XXH3_128bits_withSeed(bytes, sizeof(bytes), NUMBERED_BITS);
    return (uint128)hash.low64 | (uint128)hash.high64 << 64;
}
