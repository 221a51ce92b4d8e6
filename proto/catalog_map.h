/*
 * catalog_map.h - finds the number of a thing by its name: the catalog's hash map.
 *
 * Open addressing over slots of eight bytes. Names aren't kept here: the owner says the name of a
 * number. A removal moves what follows back, so nothing is left behind.
 *
 * Units      Numbers are below CATALOG_MAP_NONE.
 * Threads    One at a time.
 */
#pragma once

#include "common/base/text.h"

#define CATALOG_MAP_NONE UINT32_MAX

struct catalog_slot {
    uint32_t hash;
    uint32_t number; /* plus one; 0: empty */
};

struct catalog_map {
    struct catalog_slot *slots;
    size_t room; /* a power of two, or 0 */
    size_t count;
    struct text (*name_of)(const void *owner, uint32_t number);
    const void *owner;
};

void catalog_map_init(struct catalog_map *map,
                      struct text (*name_of)(const void *owner, uint32_t number),
                      const void *owner);
void catalog_map_deinit(struct catalog_map *map);
uint32_t catalog_map_hash(struct text name);
/* Fetches into the caches what a search for a name of that hash begins with. */
void catalog_map_prefetch(const struct catalog_map *map, uint32_t hash);
/* The number of the first name with that hash, which is nearly always the one looked for. */
uint32_t catalog_map_guess(const struct catalog_map *map, uint32_t hash);
/* CATALOG_MAP_NONE when nothing has the name. */
uint32_t catalog_map_find(const struct catalog_map *map, struct text name);
/* Gives the name a number, in place of the one it had. The owner knows its name already. */
void catalog_map_put(struct catalog_map *map, struct text name, uint32_t number);
/* Does nothing when nothing has the name; the owner must still know it. */
void catalog_map_remove(struct catalog_map *map, struct text name);
