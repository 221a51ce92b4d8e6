/*
 * zone_cache.h - zones by name, each read once.
 *
 * Errors     zone_cache_find: ZONE_UNKNOWN, as zone_new; what wasn't found is looked for again.
 * Ownership  Zones are the cache's, until zone_cache_deinit.
 * Threads    One at a time.
 */
#pragma once

#include "common/base/zone.h"

struct zone_cache {
    struct zone **zones;
    size_t count, room; /* bounded by the system's zone files */
};

void zone_cache_deinit(struct zone_cache *cache);
MUST_USE int zone_cache_find(struct zone_cache *cache, struct text name, const struct zone **zone);
