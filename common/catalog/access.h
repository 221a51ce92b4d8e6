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
#include "proto/catalog.h"

/* The key's record, the catalog's; NULL when the key doesn't open the bucket to `role` at `now`. */
const struct catalog_key *access_check(const struct catalog *catalog, enum catalog_role role,
                                       struct text bearer, struct instant now);
