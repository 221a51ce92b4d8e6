#include "aggregator/rules/block.h"

#include "common/base/xxh3.h"
#include "aggregator/rules/order.h"
#include "proto/wire.h"

#include <string.h>

enum {
    HEAD_BYTES = 8 + 3,
    VALUE_WIDE = 16, /* else tens << 4 | bytes */
    TENS_MAX = 12    /* of a whole number */
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "short numbers are the first bytes");
_Static_assert(BLOCK_SUM_BYTES >= 8, "reading eight bytes of a short last number stays inside");

void block_key_encode(struct block_key key, uint8_t bytes[BLOCK_KEY_BYTES])
{
    bytes[0] = (uint8_t)key.level;
    order_store_u32(bytes + 1, window_biased(key.window));
    order_store_u32(bytes + 5, key.number);
}

bool block_key_decode(struct text bytes, struct block_key *key)
{
    const uint8_t *at = (const uint8_t *)bytes.at;

    if (bytes.length != BLOCK_KEY_BYTES || at[0] >= LEVELS)
        return false;
    *key = (struct block_key){.level = (enum level)at[0],
                              .window = window_unbiased(order_load_u32(at + 1)),
                              .number = order_load_u32(at + 5)};
    return true;
}

/* --- checksums --- */

uint64_t block_checksum(struct text key, const void *bytes, size_t length)
{
    return XXH3_64bits_withSeed(bytes, length, XXH3_64bits(key.at, key.length));
}

static uint128 sum_of(struct text key, const void *bytes, size_t length)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, length, XXH3_64bits(key.at, key.length));

    return (uint128)hash.low64 | (uint128)hash.high64 << 64;
}

size_t block_seal(struct text key, uint8_t *bytes, size_t length, uint128 *sum)
{
    *sum = sum_of(key, bytes, length);
    wire_store_i128(bytes + length, (int128)*sum);
    return length + BLOCK_SUM_BYTES;
}

bool block_sealed(struct text key, struct text value, uint128 *sum)
{
    size_t body = value.length - BLOCK_SUM_BYTES;
    uint128 found;

    if (value.length < BLOCK_SUM_BYTES)
        return false;
    found = sum_of(key, value.at, body);
    if (found != (uint128)wire_load_i128((const uint8_t *)value.at + body))
        return false;
    *sum = found;
    return true;
}

/* --- values without the zeros that all of a block end with --- */

/* Powers of ten; of their odd parts the inverses modulo 2^64; the most multiples. */
static const struct power {
    uint64_t ten, inverse, most;
} powers[TENS_MAX + 1] = {
    {UINT64_C(1), UINT64_C(0x0000000000000001), UINT64_C(18446744073709551615)},
    {UINT64_C(10), UINT64_C(0xcccccccccccccccd), UINT64_C(1844674407370955161)},
    {UINT64_C(100), UINT64_C(0x8f5c28f5c28f5c29), UINT64_C(184467440737095516)},
    {UINT64_C(1000), UINT64_C(0x1cac083126e978d5), UINT64_C(18446744073709551)},
    {UINT64_C(10000), UINT64_C(0xd288ce703afb7e91), UINT64_C(1844674407370955)},
    {UINT64_C(100000), UINT64_C(0x5d4e8fb00bcbe61d), UINT64_C(184467440737095)},
    {UINT64_C(1000000), UINT64_C(0x790fb65668c26139), UINT64_C(18446744073709)},
    {UINT64_C(10000000), UINT64_C(0xe5032477ae8d46a5), UINT64_C(1844674407370)},
    {UINT64_C(100000000), UINT64_C(0xc767074b22e90e21), UINT64_C(184467440737)},
    {UINT64_C(1000000000), UINT64_C(0x8e47ce423a2e9c6d), UINT64_C(18446744073)},
    {UINT64_C(10000000000), UINT64_C(0x4fa7f60d3ed61f49), UINT64_C(1844674407)},
    {UINT64_C(100000000000), UINT64_C(0x0fee64690c913975), UINT64_C(184467440)},
    {UINT64_C(1000000000000), UINT64_C(0x3662e0e1cf503eb1), UINT64_C(18446744)},
};

static int64_t narrow_value(const struct block *block, uint64_t bits)
{
    return (int64_t)block->cells[__builtin_ctzll(bits)].value.units;
}

/* Gathers the bits of all values without their last `tens` zeros; false when one hasn't as many.
 * A multiple's product with the inverse is its quotient; anything else's is more than the most. */
static bool gather(const struct block *block, unsigned tens, uint64_t *gathered)
{
    struct power power = powers[tens];

    *gathered = 0;
    for (uint64_t bits = block->bitmap; bits; bits &= bits - 1) {
        int64_t value = narrow_value(block, bits);
        uint64_t product = (value < 0 ? -(uint64_t)value : (uint64_t)value) * power.inverse;
        uint64_t quotient = product >> tens | product << (-tens & 63);

        if (quotient > power.most)
            return false;
        *gathered |= quotient;
    }
    return true;
}

/* The form of values that fit eight bytes and aren't all zero. */
static uint8_t form_of(const struct block *block)
{
    unsigned tens = TENS_MAX, bits;
    uint64_t gathered;

    while (!gather(block, tens, &gathered))
        tens--;
    bits = 64 - (unsigned)__builtin_clzll(gathered); /* and the sign; the least of all needs none */
    return (uint8_t)(tens << 4 | (bits < 64 ? bits / 8 + 1 : 8));
}

/* --- columns --- */

struct widths {
    uint8_t value, count, time; /* as the head says them */
};

static struct widths widths_of(const struct block *block)
{
    uint64_t values = 0, wide = 0, counts = 0, times = 0;

    for (uint64_t bits = block->bitmap; bits; bits &= bits - 1) {
        const struct cell *cell = &block->cells[__builtin_ctzll(bits)];
        uint64_t low = (uint64_t)cell->value.units;
        uint64_t high = (uint64_t)((uint128)cell->value.units >> 64);

        values |= low | high;
        wide |= high ^ (uint64_t)((int64_t)low >> 63);
        counts |= cell->count;
        times |= (uint64_t)cell->time.ns;
    }
    return (struct widths){
        .value = wide     ? VALUE_WIDE
                 : values ? form_of(block)
                          : 0,
        .count = counts >> 32   ? 8
                 : counts >> 16 ? 4
                 : counts >> 8  ? 2
                                : 1,
        .time = times ? 8 : 0,
    };
}

static size_t value_bytes(uint8_t form)
{
    return form == VALUE_WIDE ? 16 : form & 15;
}

static uint8_t *put_wide(const struct block *block, uint8_t *at)
{
    for (uint64_t bits = block->bitmap; bits; bits &= bits - 1) {
        memcpy(at, &block->cells[__builtin_ctzll(bits)].value.units, 16);
        at += 16;
    }
    return at;
}

static uint8_t *put_narrow(const struct block *block, uint8_t form, uint8_t *at)
{
    unsigned tens = form >> 4;
    uint64_t inverse = powers[tens].inverse;
    size_t width = value_bytes(form);

    for (uint64_t bits = block->bitmap; bits; bits &= bits - 1) {
        int64_t value = (int64_t)((uint64_t)narrow_value(block, bits) * inverse) >> tens;

        memcpy(at, &value, 8);
        at += width;
    }
    return at;
}

/* Each store writes whole words; what follows overwrites what is too much. */
static uint8_t *put_columns(const struct block *block, struct widths widths, uint8_t *at)
{
    if (widths.value)
        at = widths.value == VALUE_WIDE ? put_wide(block, at) : put_narrow(block, widths.value, at);
    for (uint64_t bits = block->bitmap; bits; bits &= bits - 1) {
        memcpy(at, &block->cells[__builtin_ctzll(bits)].count, 8);
        at += widths.count;
    }
    for (uint64_t bits = widths.time ? block->bitmap : 0; bits; bits &= bits - 1) {
        memcpy(at, &block->cells[__builtin_ctzll(bits)].time.ns, 8);
        at += 8;
    }
    return at;
}

size_t block_encode(const struct block *block, struct text key, uint8_t bytes[BLOCK_BYTES_MAX],
                    uint128 *sum)
{
    struct widths widths = widths_of(block);
    uint8_t *end;

    wire_store_u64(bytes, block->bitmap);
    bytes[8] = widths.value;
    bytes[9] = widths.count;
    bytes[10] = widths.time;
    end = put_columns(block, widths, bytes + HEAD_BYTES);
    return block_seal(key, bytes, (size_t)(end - bytes), sum);
}

static const uint8_t *take_wide(const uint8_t *at, struct block *block)
{
    for (uint64_t bits = block->bitmap; bits; bits &= bits - 1, at += 16)
        memcpy(&block->cells[__builtin_ctzll(bits)].value.units, at, 16);
    return at;
}

static const uint8_t *take_narrow(const uint8_t *at, uint8_t form, struct block *block)
{
    uint64_t ten = powers[form >> 4].ten;
    size_t width = value_bytes(form);
    unsigned beyond = 64 - 8 * (unsigned)width;

    for (uint64_t bits = block->bitmap; bits; bits &= bits - 1, at += width) {
        uint64_t value;

        memcpy(&value, at, 8);
        value = (uint64_t)((int64_t)(value << beyond) >> beyond) * ten;
        block->cells[__builtin_ctzll(bits)].value.units = (int64_t)value;
    }
    return at;
}

static const uint8_t *take_counts(const uint8_t *at, uint8_t width, struct block *block)
{
    uint64_t mask = width == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * width) - 1;

    for (uint64_t bits = block->bitmap; bits; bits &= bits - 1, at += width) {
        uint64_t count;

        memcpy(&count, at, 8);
        block->cells[__builtin_ctzll(bits)].count = count & mask;
    }
    return at;
}

static void take_times(const uint8_t *at, uint8_t width, struct block *block)
{
    for (uint64_t bits = width ? block->bitmap : 0; bits; bits &= bits - 1, at += width)
        memcpy(&block->cells[__builtin_ctzll(bits)].time.ns, at, 8);
}

static bool form_is_valid(uint8_t form)
{
    return (form & 15) >= 1 && (form & 15) <= 8 && form >> 4 <= TENS_MAX;
}

static bool widths_are_valid(struct widths widths)
{
    return (widths.value == 0 || widths.value == VALUE_WIDE || form_is_valid(widths.value)) &&
           (widths.count == 1 || widths.count == 2 || widths.count == 4 || widths.count == 8) &&
           (widths.time == 0 || widths.time == 8);
}

bool block_decode(struct text key, struct text value, struct block *block, uint128 *sum)
{
    const uint8_t *bytes = (const uint8_t *)value.at, *at = bytes + HEAD_BYTES;
    struct widths widths;

    if (value.length < HEAD_BYTES + BLOCK_SUM_BYTES || !block_sealed(key, value, sum))
        return false;
    memset(block, 0, sizeof(*block));
    block->bitmap = wire_load_u64(bytes);
    widths = (struct widths){.value = bytes[8], .count = bytes[9], .time = bytes[10]};
    if (!widths_are_valid(widths) ||
        value.length != HEAD_BYTES + BLOCK_SUM_BYTES +
                            (size_t)__builtin_popcountll(block->bitmap) *
                                (value_bytes(widths.value) + widths.count + widths.time))
        return false;
    if (widths.value)
        at = widths.value == VALUE_WIDE ? take_wide(at, block)
                                        : take_narrow(at, widths.value, block);
    at = take_counts(at, widths.count, block);
    take_times(at, widths.time, block);
    return true;
}

void block_merge(struct block *block, const struct cell_run *run,
                 const uint8_t aggregations[BLOCK_CELLS])
{
    for (uint64_t bits = run->present; bits; bits &= bits - 1) {
        int place = __builtin_ctzll(bits);
        enum aggregation aggregation = (enum aggregation)aggregations[place];

        if (aggregation == AGGREGATION_UNIQUE_COUNT)
            continue;
        cell_merge(aggregation, &block->cells[place], &run->cells[place]);
        block->bitmap |= bits & -bits;
    }
}
