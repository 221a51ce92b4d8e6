/*
 * access.h - whether a client may come in: its API key against the catalog's, for every process.
 *
 * Every wrong key is wrong alike, and takes the same way through a digest and a comparison in
 * constant time: one that is mistyped, unknown, of another bucket, of another role, or expired.
 *
 * Threads    Any, with the catalog at rest.
 */
#pragma once

#include "common/base/instant.h"
#include "common/io/api_key.h"
#include "proto/catalog.h"

enum { ACCESS_KNOWN_MAX = 16 };

/* The digests of keys that were let in before: a client sends its key with each request, and to
 * compare is cheaper than to hash. What the key may do is asked of the catalog each time. One
 * thread's; it begins zeroed. */
struct access_memo {
    struct access_known {
        char key[API_KEY_LENGTH];
        uint8_t sha256[API_KEY_DIGEST_BYTES];
    } known[ACCESS_KNOWN_MAX];
};

/* The key's record, the catalog's; NULL when the key doesn't open the bucket to `role` at `now`.
 * `memo` may be NULL. */
const struct catalog_key *access_check(const struct catalog *catalog, enum catalog_role role,
                                       struct text bearer, struct instant now,
                                       struct access_memo *memo);
