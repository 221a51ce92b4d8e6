#define XXH_INLINE_ALL /* most of it depends on lengths and secrets that are known here */
#include "ingest/rules/fingerprint.h"

#include <endian.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <xxhash.h>

/* Up to here XXH3 has no loop. Longer ones are hashed apart, as loops want registers that would be
 * saved for the others, too. */
enum { SHORT_BYTES = 128 };

/* The first half of an HMAC-SHA-256. Apart, as what it needs on the stack would be cleared and
 * guarded for the other hash, too. */
COLD static XXH128_hash_t keyed_hash(const struct fingerprint_key *key, const void *bytes,
                                     size_t length)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_length = 0;
    XXH128_canonical_t canonical;

    if (!HMAC(EVP_sha256(), key->secret, (int)sizeof(key->secret), bytes, length, digest,
              &digest_length))
        abort(); /* memory is gone */
    memcpy(&canonical, digest, sizeof(canonical));
    return XXH128_hashFromCanonical(&canonical);
}

COLD static XXH128_hash_t hash_long(const struct fingerprint_key *key, struct text written)
{
    return XXH3_128bits_withSecret(written.at, written.length, key->secret, sizeof(key->secret));
}

COLD static uint64_t hash_long_text(const struct fingerprint_key *key, struct text text)
{
    return XXH3_64bits_withSecret(text.at, text.length, key->secret, sizeof(key->secret));
}

FLATTEN static XXH128_hash_t hash(const struct fingerprint_key *key, struct text written)
{
    if (key->hash == CATALOG_HASH_HMAC)
        return keyed_hash(key, written.at, written.length);
    if (written.length > SHORT_BYTES)
        return hash_long(key, written);
    return XXH3_128bits_withSecret(written.at, written.length, key->secret, sizeof(key->secret));
}

/* What the hash begins with where it is written: big-endian, its high half first. */
static void store_begin(XXH128_hash_t hash, uint8_t begin[12])
{
    uint64_t high = htobe64(hash.high64);
    uint32_t low = htobe32((uint32_t)(hash.low64 >> 32));

    memcpy(begin, &high, sizeof(high));
    memcpy(begin + sizeof(high), &low, sizeof(low));
}

void fingerprint_key_init(struct fingerprint_key *key, const uint8_t seed[FINGERPRINT_SEED_BYTES],
                          enum catalog_hash hash)
{
    uint8_t block[FINGERPRINT_SEED_BYTES + 1];

    key->hash = hash;
    memcpy(block, seed, FINGERPRINT_SEED_BYTES);
    for (size_t i = 0; i < FINGERPRINT_SECRET_BYTES / sizeof(XXH128_canonical_t); i++) {
        XXH128_canonical_t canonical;
        block[FINGERPRINT_SEED_BYTES] = (uint8_t)i;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits(block, sizeof(block)));
        memcpy(key->secret + i * sizeof(canonical), &canonical, sizeof(canonical));
    }
}

void fingerprint_identity(const struct fingerprint_key *key, struct text written,
                          uint8_t identity[12])
{
    store_begin(hash(key, written), identity);
}

FLATTEN uint64_t fingerprint_text(const struct fingerprint_key *key, struct text text)
{
    if (text.length > SHORT_BYTES)
        return hash_long_text(key, text);
    return XXH3_64bits_withSecret(text.at, text.length, key->secret, sizeof(key->secret));
}

uint32_t fingerprint_payload(const struct fingerprint_key *key, struct text written)
{
    if (key->hash == CATALOG_HASH_HMAC)
        return (uint32_t)keyed_hash(key, written.at, written.length).high64;
    return (uint32_t)fingerprint_text(key, written);
}

void fingerprint_unique(const struct fingerprint_key *key, struct text text, uint8_t unique[16])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, hash(key, text));
    memcpy(unique, canonical.digest, sizeof(canonical.digest));
}
