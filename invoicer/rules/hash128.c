#include "invoicer/rules/hash128.h"

#include "common/base/xxh3.h"

#include <string.h>

void hash128(struct text text, uint8_t bytes[HASH128_BYTES])
{
    XXH128_canonical_t canonical;

    static_assert(sizeof(canonical.digest) == HASH128_BYTES, "the library's bytes");
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(text.at, text.length));
    memcpy(bytes, canonical.digest, HASH128_BYTES);
}
