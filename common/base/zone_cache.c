#include "common/base/zone_cache.h"

#include <stdlib.h>

void zone_cache_deinit(struct zone_cache *cache)
{
    for (size_t i = 0; i < cache->count; i++)
        (void)zone_free(cache->zones[i]);
    free(cache->zones);
    *cache = (struct zone_cache){0};
}

/* To the front, where the next question most likely looks for it. */
static const struct zone *bring_forward(struct zone_cache *cache, size_t index)
{
    struct zone *found = cache->zones[index];

    cache->zones[index] = cache->zones[0];
    cache->zones[0] = found;
    return found;
}

int zone_cache_find(struct zone_cache *cache, struct text name, const struct zone **zone)
{
    for (size_t i = 0; i < cache->count; i++) {
        if (text_is(name, zone_name(cache->zones[i]))) {
            *zone = bring_forward(cache, i);
            return 0;
        }
    }
    if (cache->count == cache->room) {
        cache->room = cache->room ? 2 * cache->room : 16;
        cache->zones = realloc(cache->zones, cache->room * sizeof(struct zone *));
        if (!cache->zones)
            abort();
    }
    if (zone_new(name, &cache->zones[cache->count]))
        return ZONE_UNKNOWN;
    *zone = bring_forward(cache, cache->count++);
    return 0;
}
