#include "aggregator/rules/digest.h"

#include "common/base/xxh3.h"
#include "proto/wire.h"

#include <stdio.h>
#include <string.h>

enum entry_kind { ENTRY_NAME = 1, ENTRY_UNIQUE, ENTRY_DAY };

static uint128 hash_of(const void *bytes, size_t length, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, length, seed);

    return (uint128)hash.low64 | (uint128)hash.high64 << 64;
}

uint128 digest_unique(enum level level, int64_t window, const uint8_t series[16],
                      const uint8_t value[16])
{
    uint8_t bytes[48];

    wire_store_u64(bytes, (uint64_t)ENTRY_UNIQUE << 8 | (uint64_t)level);
    wire_store_i64(bytes + 8, window);
    memcpy(bytes + 16, series, 16);
    memcpy(bytes + 32, value, 16);
    return hash_of(bytes, sizeof(bytes), ENTRY_UNIQUE);
}

uint128 digest_name(enum digest_name kind, uint32_t number, struct text text)
{
    uint8_t bytes[16] = {ENTRY_NAME, (uint8_t)kind, text_is_absent(text)};

    wire_store_u32(bytes + 8, number);
    return hash_of(text.at ? text.at : "", text.length, XXH3_64bits(bytes, sizeof(bytes)));
}

uint128 digest_day(int32_t day, const struct day_sums *sums)
{
    uint8_t bytes[16 + 16 * (LEVELS + 1)] = {0};

    wire_store_u64(bytes, ENTRY_DAY);
    wire_store_i64(bytes + 8, day);
    wire_store_i128(bytes + 16, (int128)sums->ids);
    for (size_t level = 0; level < LEVELS; level++)
        wire_store_i128(bytes + 32 + 16 * level, (int128)sums->levels[level]);
    return hash_of(bytes, sizeof(bytes), ENTRY_DAY);
}

void digest_format(uint128 digest, char text[DIGEST_TEXT_BYTES])
{
    (void)snprintf(text, DIGEST_TEXT_BYTES, "%016llx%016llx", (unsigned long long)(digest >> 64),
                   (unsigned long long)digest);
}
