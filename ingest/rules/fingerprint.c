#define XXH_INLINE_ALL /* most of it depends on lengths and secrets that are known here */
#include "ingest/rules/fingerprint.h"

#include "proto/wire.h"

#include <assert.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <xxhash.h>

/* The first half of an HMAC-SHA-256. */
static XXH128_canonical_t keyed_hash(const struct fingerprint_key *key, const void *bytes,
                                     size_t length)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_length = 0;
    XXH128_canonical_t canonical;

    if (!HMAC(EVP_sha256(), key->secret, (int)sizeof(key->secret), bytes, length, digest,
              &digest_length))
        abort(); /* memory is gone */
    memcpy(&canonical, digest, sizeof(canonical));
    return canonical;
}

static XXH128_canonical_t hash(const struct fingerprint_key *key, const void *bytes, size_t length)
{
    XXH128_canonical_t canonical;

    if (key->hash == CATALOG_HASH_HMAC)
        return keyed_hash(key, bytes, length);
    XXH128_canonicalFromHash(
        &canonical, XXH3_128bits_withSecret(bytes, length, key->secret, sizeof(key->secret)));
    return canonical;
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
    XXH128_canonical_t canonical = hash(key, written.at, written.length);

    memcpy(identity, canonical.digest, 12);
}

uint32_t fingerprint_payload(const struct fingerprint_key *key, struct text written)
{
    XXH128_canonical_t canonical = hash(key, written.at, written.length);

    return wire_load_u32(canonical.digest);
}

void fingerprint_unique(const struct fingerprint_key *key, struct text text, uint8_t unique[16])
{
    XXH128_canonical_t canonical = hash(key, text.at, text.length);

    memcpy(unique, canonical.digest, sizeof(canonical.digest));
}
