/*
 * catalog_sources.c - the numbered sources of the bucket's configuration.
 */
#include "proto/catalog_parts.h"

#include <stdlib.h>

static struct text source_of(const void *owner, uint32_t number)
{
    return ((const struct catalog_sources *)owner)->all[number];
}

void catalog_sources_init(struct catalog_sources *sources)
{
    *sources = (struct catalog_sources){0};
    catalog_map_init(&sources->by_text, source_of, sources);
}

void catalog_sources_deinit(struct catalog_sources *sources)
{
    free(sources->all);
    catalog_slab_deinit(&sources->texts);
    catalog_map_deinit(&sources->by_text);
}

static const char *check(const json_t *list)
{
    json_t *source;
    size_t i;

    if (list && !json_is_null(list) && !json_is_array(list))
        return "numbered sources that aren't a list";
    if (json_array_size(list) > CATALOG_SOURCES_MAX)
        return "too many numbered sources";
    json_array_foreach(list, i, source)
    {
        size_t length = json_string_length(source);

        if (length == 0 || length > CATALOG_ID_MAX)
            return "a numbered source that isn't a text of 1 to 256 bytes";
    }
    return NULL;
}

const char *catalog_sources_take(struct catalog_sources *sources, const json_t *record)
{
    const json_t *list = json_object_get(record, "numberedSources");
    const char *why = check(list);
    json_t *source;
    size_t i;

    if (why)
        return why;
    catalog_sources_deinit(sources);
    catalog_sources_init(sources);
    sources->all = calloc(json_array_size(list) + 1, sizeof(*sources->all));
    if (!sources->all)
        abort();
    json_array_foreach(list, i, source)
    {
        sources->all[i] = catalog_slab_copy(
            &sources->texts, text_from(json_string_value(source), json_string_length(source)));
        catalog_map_put(&sources->by_text, sources->all[i], (uint32_t)i);
    }
    return NULL;
}

bool catalog_is_numbered(const struct catalog *catalog, struct text source)
{
    const struct catalog_map *by_text = &catalog->sources.by_text;

    return by_text->count > 0 && catalog_map_find(by_text, source) != CATALOG_MAP_NONE;
}
