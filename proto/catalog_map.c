/*
 * catalog_map.c - linear probing with removal by moving back.
 */
#include "proto/catalog_map.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

enum { ROOM_LEAST = 16 };

void catalog_map_init(struct catalog_map *map,
                      struct text (*name_of)(const void *owner, uint32_t number), const void *owner)
{
    *map = (struct catalog_map){.name_of = name_of, .owner = owner};
}

void catalog_map_deinit(struct catalog_map *map)
{
    free(map->slots);
    map->slots = NULL;
    map->room = 0;
    map->count = 0;
}

uint32_t catalog_map_hash(struct text name)
{
    return (uint32_t)XXH3_64bits(name.at, name.length);
}

/* The slot that holds the name, or the empty one where it would go. The map has room. */
static size_t slot_of(const struct catalog_map *map, struct text name, uint32_t hash)
{
    size_t at = hash & (map->room - 1);

    for (; map->slots[at].number; at = (at + 1) & (map->room - 1)) {
        if (map->slots[at].hash == hash &&
            text_equal(map->name_of(map->owner, map->slots[at].number - 1), name))
            break;
    }
    return at;
}

static void grow(struct catalog_map *map)
{
    struct catalog_map larger = *map;

    larger.room = map->room ? map->room * 2 : ROOM_LEAST;
    larger.slots = calloc(larger.room, sizeof(*larger.slots));
    if (!larger.slots)
        abort();
    for (size_t i = 0; i < map->room; i++) {
        size_t at = map->slots[i].hash & (larger.room - 1);

        if (!map->slots[i].number)
            continue;
        while (larger.slots[at].number)
            at = (at + 1) & (larger.room - 1);
        larger.slots[at] = map->slots[i];
    }
    free(map->slots);
    *map = larger;
}

void catalog_map_prefetch(const struct catalog_map *map, uint32_t hash)
{
    if (map->count > 0)
        __builtin_prefetch(&map->slots[hash & (map->room - 1)]);
}

uint32_t catalog_map_guess(const struct catalog_map *map, uint32_t hash)
{
    size_t at;

    if (map->count == 0)
        return CATALOG_MAP_NONE;
    at = hash & (map->room - 1);
    while (map->slots[at].number && map->slots[at].hash != hash)
        at = (at + 1) & (map->room - 1);
    return map->slots[at].number - 1;
}

uint32_t catalog_map_find(const struct catalog_map *map, struct text name)
{
    size_t at;

    if (map->count == 0)
        return CATALOG_MAP_NONE;
    at = slot_of(map, name, catalog_map_hash(name));
    return map->slots[at].number - 1; /* an empty slot's 0 becomes CATALOG_MAP_NONE */
}

void catalog_map_put(struct catalog_map *map, struct text name, uint32_t number)
{
    uint32_t hash = catalog_map_hash(name);
    size_t at;

    assert(number < CATALOG_MAP_NONE);

    if ((map->count + 1) * 4 > map->room * 3)
        grow(map);
    at = slot_of(map, name, hash);
    if (!map->slots[at].number)
        map->count++;
    map->slots[at] = (struct catalog_slot){hash, number + 1};
}

/* Whether the thing in slot `at`, which wants to stand at `home`, may move back to `hole`. */
static bool may_move(size_t home, size_t hole, size_t at)
{
    return hole <= at ? home <= hole || home > at : home <= hole && home > at;
}

void catalog_map_remove(struct catalog_map *map, struct text name)
{
    size_t hole, at;

    if (map->count == 0)
        return;
    hole = slot_of(map, name, catalog_map_hash(name));
    if (!map->slots[hole].number)
        return;
    for (at = (hole + 1) & (map->room - 1); map->slots[at].number;
         at = (at + 1) & (map->room - 1)) {
        if (may_move(map->slots[at].hash & (map->room - 1), hole, at)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct catalog_slot){0, 0};
    map->count--;
}
