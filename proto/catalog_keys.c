/*
 * catalog_keys.c - the API keys, by their public id.
 */
#include "proto/catalog_parts.h"

#include <stdlib.h>

static struct text id_of(const void *owner, uint32_t number)
{
    return ((const struct catalog_keys *)owner)->all[number].id;
}

void catalog_keys_init(struct catalog_keys *keys)
{
    *keys = (struct catalog_keys){0};
    catalog_map_init(&keys->by_id, id_of, keys);
}

void catalog_keys_deinit(struct catalog_keys *keys)
{
    free(keys->all);
    catalog_slab_deinit(&keys->texts);
    catalog_map_deinit(&keys->by_id);
}

static const char *read_record(const json_t *record, struct catalog_key *key)
{
    struct text role;
    const char *why = catalog_read_text(record, "id", CATALOG_KEY_MAX, &key->id);

    if (!why)
        why = catalog_read_text(record, "role", CATALOG_KEY_MAX, &role);
    if (!why)
        why = catalog_read_time(record, "expiresAt", (struct instant){INT64_MAX}, &key->expires);
    if (why)
        return why;
    if (!text_is(role, "ingest") && !text_is(role, "admin"))
        return "a key of an unknown role";
    key->role = text_is(role, "admin") ? CATALOG_ADMIN : CATALOG_INGEST;
    if (!catalog_read_hex(record, "sha256", sizeof(key->sha256), key->sha256))
        return "a key without its SHA-256";
    return NULL;
}

static void make_room(struct catalog_keys *keys)
{
    if (keys->count < keys->room)
        return;
    keys->room = keys->room ? keys->room * 2 : 16;
    keys->all = reallocarray(keys->all, keys->room, sizeof(*keys->all));
    if (!keys->all)
        abort();
}

const char *catalog_keys_take(struct catalog_keys *keys, struct text id, const json_t *record)
{
    struct catalog_key key;
    const char *why = read_record(record, &key);
    uint32_t number;

    if (why)
        return why;
    if (!text_equal(key.id, id))
        return "a key under another's key";
    number = catalog_map_find(&keys->by_id, id);
    if (number != CATALOG_MAP_NONE) {
        key.id = keys->all[number].id;
        keys->all[number] = key;
        return NULL;
    }
    make_room(keys);
    key.id = catalog_slab_copy(&keys->texts, id);
    keys->all[keys->count] = key;
    catalog_map_put(&keys->by_id, id, (uint32_t)keys->count);
    keys->count++;
    return NULL;
}

/* The last key takes the removed one's place. */
void catalog_keys_remove(struct catalog_keys *keys, struct text id)
{
    uint32_t number = catalog_map_find(&keys->by_id, id);
    struct text gone;

    if (number == CATALOG_MAP_NONE)
        return;
    gone = keys->all[number].id;
    catalog_map_remove(&keys->by_id, id);
    keys->count--;
    if (number != keys->count) {
        keys->all[number] = keys->all[keys->count];
        catalog_map_put(&keys->by_id, keys->all[number].id, number);
    }
    catalog_slab_give_back(&keys->texts, gone);
}

const struct catalog_key *catalog_key(const struct catalog *catalog, struct text id)
{
    uint32_t number = catalog_map_find(&catalog->keys.by_id, id);

    return number == CATALOG_MAP_NONE ? NULL : &catalog->keys.all[number];
}
