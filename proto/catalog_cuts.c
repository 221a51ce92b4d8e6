/*
 * catalog_cuts.c - the cuts of a million subscriptions, found by id.
 *
 * Cuts are shared: most subscriptions have the same few.
 */
#include "proto/catalog_parts.h"

#include <stdlib.h>
#include <xxhash.h>

static struct text id_of(const void *owner, uint32_t number)
{
    const struct catalog_cut_row *row = &((const struct catalog_cuts *)owner)->rows[number];

    return text_from(row->id, row->id_length);
}

static struct text set_of(const void *owner, uint32_t number)
{
    return ((const struct catalog_cuts *)owner)->sets[number];
}

void catalog_cuts_init(struct catalog_cuts *cuts)
{
    *cuts = (struct catalog_cuts){0};
    catalog_map_init(&cuts->by_id, id_of, cuts);
    catalog_map_init(&cuts->by_set, set_of, cuts);
}

void catalog_cuts_deinit(struct catalog_cuts *cuts)
{
    for (size_t i = 0; i < CATALOG_CUTS_RECENT; i++)
        free(cuts->changed[i]);
    free(cuts->rows);
    free(cuts->sets);
    catalog_slab_deinit(&cuts->texts);
    catalog_map_deinit(&cuts->by_id);
    catalog_map_deinit(&cuts->by_set);
}

static void *grown(void *array, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room ? *room * 2 : 16;
    array = reallocarray(array, *room, size);
    if (!array)
        abort();
    return array;
}

/* The number of the one copy of these cuts. */
static uint32_t keep_set(struct catalog_cuts *cuts, const struct catalog_reading *reading)
{
    struct text set = text_from(reading->cuts, reading->cut_count * sizeof(*reading->cuts));
    uint32_t number = catalog_map_find(&cuts->by_set, set);

    if (number != CATALOG_MAP_NONE)
        return number;
    number = cuts->set_count;
    cuts->sets = grown(cuts->sets, number, &cuts->set_room, sizeof(*cuts->sets));
    cuts->sets[number] = catalog_slab_copy(&cuts->texts, set);
    cuts->set_count++;
    catalog_map_put(&cuts->by_set, set, number);
    return number;
}

static void note_change(struct catalog_cuts *cuts, struct text id)
{
    char **place = &cuts->changed[cuts->changes++ % CATALOG_CUTS_RECENT];

    free(*place);
    *place = text_copy(id);
}

void catalog_cuts_take(struct catalog_cuts *cuts, const struct catalog_reading *reading)
{
    uint32_t number = catalog_map_find(&cuts->by_id, reading->id);
    uint32_t set = keep_set(cuts, reading);

    if (number != CATALOG_MAP_NONE) {
        if (cuts->rows[number].set != set)
            note_change(cuts, reading->id);
        cuts->rows[number].set = set;
        return;
    }
    note_change(cuts, reading->id);
    number = cuts->row_count;
    cuts->rows = grown(cuts->rows, number, &cuts->row_room, sizeof(*cuts->rows));
    cuts->rows[number] = (struct catalog_cut_row){
        .id = catalog_slab_copy(&cuts->texts, reading->id).at,
        .id_length = (uint16_t)reading->id.length,
        .set = set,
    };
    cuts->row_count++;
    catalog_map_put(&cuts->by_id, reading->id, number);
}

/* The last row takes the removed one's place. */
void catalog_cuts_remove(struct catalog_cuts *cuts, struct text id)
{
    uint32_t number = catalog_map_find(&cuts->by_id, id);
    struct text gone;

    if (number == CATALOG_MAP_NONE)
        return;
    note_change(cuts, id);
    gone = id_of(cuts, number);
    catalog_map_remove(&cuts->by_id, id);
    cuts->row_count--;
    if (number != cuts->row_count) {
        cuts->rows[number] = cuts->rows[cuts->row_count];
        catalog_map_put(&cuts->by_id, id_of(cuts, number), number);
    }
    catalog_slab_give_back(&cuts->texts, gone);
}

static const uint16_t *cuts_of(const struct catalog_cuts *cuts, uint32_t set, size_t *count)
{
    *count = cuts->sets[set].length / sizeof(uint16_t);
    return (const void *)cuts->sets[set].at;
}

const uint16_t *catalog_cuts(const struct catalog *catalog, struct text id, size_t *count)
{
    const struct catalog_cuts *cuts = &catalog->cuts;
    uint32_t number = catalog_map_find(&cuts->by_id, id);

    return number == CATALOG_MAP_NONE ? NULL : cuts_of(cuts, cuts->rows[number].set, count);
}

uint64_t catalog_cuts_changes(const struct catalog *catalog)
{
    return catalog->cuts.changes;
}

struct text catalog_cuts_changed(const struct catalog *catalog, uint64_t change)
{
    return text_of(catalog->cuts.changed[change % CATALOG_CUTS_RECENT]);
}

uint64_t catalog_cuts_hash(const uint16_t *cuts, size_t count)
{
    return XXH3_64bits(cuts, count * sizeof(*cuts)) | 1;
}

/* The map's hash of a set is the first half of this one, whose lowest bit says nothing. */
const uint16_t *catalog_cuts_known(const struct catalog *catalog, uint64_t hash, size_t *count)
{
    const struct catalog_cuts *cuts = &catalog->cuts;

    for (uint32_t bit = 0; bit <= 1; bit++) {
        uint32_t set = catalog_map_guess(&cuts->by_set, (uint32_t)hash ^ bit);
        const uint16_t *known;
        size_t known_count;

        if (set == CATALOG_MAP_NONE)
            continue;
        known = cuts_of(cuts, set, &known_count);
        if (catalog_cuts_hash(known, known_count) != hash)
            continue;
        *count = known_count;
        return known;
    }
    return NULL;
}
