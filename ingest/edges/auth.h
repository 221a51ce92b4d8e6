/*
 * auth.h - whether a client may send events: its API key against the catalog's.
 *
 * Every wrong key is wrong alike, and takes the same way through a digest and a comparison in
 * constant time: one that is mistyped, unknown, of another bucket, of another role, or expired.
 *
 * Threads    Any, with the catalog at rest.
 */
#pragma once

#include "common/base/instant.h"
#include "proto/catalog.h"

/* The key's record; NULL when it doesn't open this bucket's ingest at `now`. */
const struct catalog_key *auth_check(const struct catalog *catalog, struct text bearer,
                                     struct instant now);
