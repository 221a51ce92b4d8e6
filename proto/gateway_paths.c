/*
 * gateway_paths.c - the paths of an event's properties, each read and given its place among the
 * others once a batch.
 */
#include "proto/gateway_parts.h"

#include <string.h>

static int compare_paths(const struct catalog_path *a, const struct catalog_path *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        int order = text_compare(a->steps[i], b->steps[i]);

        if (order)
            return order;
    }
    return (a->count > b->count) - (a->count < b->count);
}

/* Gives a new path its place among the others, once a batch: events then sort numbers. */
static void rank(struct gateway_reader *reader, struct gateway_path *path)
{
    struct gateway_path **ranked = reader->ranked;
    size_t at = reader->ranked_count++;

    for (; at > 0 && compare_paths(&ranked[at - 1]->path, &path->path) > 0; at--) {
        ranked[at] = ranked[at - 1];
        ranked[at]->rank = (uint16_t)at;
    }
    ranked[at] = path;
    path->rank = (uint16_t)at;
}

/* Reads a string as a path. NULL when it is one too many. */
static const struct gateway_path *make_path(struct gateway_reader *reader, uint32_t string)
{
    struct text text = reader->strings[string];
    struct gateway_path *path;

    if (reader->path_count == GATEWAY_PATHS_MAX)
        return NULL;
    path = &reader->paths[reader->path_count++];
    path->is_sound = !text_is_absent(text) &&
                     catalog_path_parse(text, reader->scratch + reader->scratch_used, &path->path);
    if (path->is_sound)
        rank(reader, path);
    reader->scratch_used += text.length;
    reader->string_paths[string] = (uint16_t)reader->path_count;
    return path;
}

/* NULL when the string isn't a path, or one too many. */
static const struct gateway_path *path_of(struct gateway_reader *reader, uint32_t string)
{
    uint16_t known = reader->string_paths[string];
    const struct gateway_path *path = known ? &reader->paths[known - 1] : make_path(reader, string);

    return path && path->is_sound ? path : NULL;
}

/* A property's path, and which of the event's it was. */
struct placed {
    const struct gateway_path *path;
    uint8_t index;
};

/* Moves the last of `count` to its place among those before it. */
static void insert(struct placed *placed, size_t count)
{
    struct placed last = placed[count - 1];
    size_t at = count - 1;

    for (; at > 0 && placed[at - 1].path->rank > last.path->rank; at--)
        placed[at] = placed[at - 1];
    placed[at] = last;
}

/* Whether `a` leads to or through what `b` leads to. `a` sorts before `b`. */
static bool collide(const struct catalog_path *a, const struct catalog_path *b)
{
    for (size_t i = 0; i < a->count; i++) {
        if (i == b->count || !text_equal(a->steps[i], b->steps[i]))
            return false;
    }
    return true;
}

/* The properties are in order: the next event may have the same. */
static void keep_shape(struct gateway_reader *reader, const struct gateway_event *event,
                       const struct placed *placed)
{
    struct gateway_shape *shape = &reader->shape;

    shape->count = event->property_count;
    for (size_t i = 0; i < shape->count; i++) {
        shape->sorted[i] = placed[i].index;
        shape->paths[placed[i].index] = &placed[i].path->path;
    }
    reader->shape_naming = event->naming;
}

static void sort_properties(struct gateway_reader *reader, struct gateway_event *event,
                            struct placed *placed)
{
    size_t count = event->property_count;

    for (size_t i = 1; i < count; i++)
        insert(placed, i + 1);
    for (size_t i = 1; i < count; i++) {
        if (collide(&placed[i - 1].path->path, &placed[i].path->path))
            gateway_note(event, GATEWAY_PATHS_COLLIDE);
    }
    if (event->fault == GATEWAY_SOUND)
        keep_shape(reader, event, placed);
}

/* A property's path; NULL, which is noted, when it has none. */
static const struct gateway_path *find_path(struct gateway_reader *reader,
                                            struct gateway_event *event, uint32_t string)
{
    const struct gateway_path *path = path_of(reader, string);

    if (!path)
        gateway_note(event, text_is_absent(reader->strings[string]) ? GATEWAY_BAD_STRING
                                                                    : GATEWAY_BAD_PATH);
    return path;
}

/* Whether it names the paths of the shape, if of another type or source. */
static bool has_paths_of_shape(const struct gateway_reader *reader,
                               const struct gateway_naming *naming)
{
    const struct gateway_naming *last = gateway_naming_at(reader, reader->shape_naming);

    return naming->count == last->count &&
           memcmp(naming->paths, last->paths, naming->count * sizeof(*naming->paths)) == 0;
}

void gateway_find_shape(struct gateway_reader *reader, struct gateway_event *event)
{
    const struct gateway_naming *naming = gateway_naming_at(reader, event->naming);
    bool is_known = reader->shape_naming != NAMING_NONE && has_paths_of_shape(reader, naming);
    struct placed placed[GATEWAY_PROPERTIES_MAX];

    reader->shape_naming = is_known ? event->naming : NAMING_NONE;
    for (size_t i = 0; i < naming->count; i++) {
        if (!is_known)
            placed[i] = (struct placed){find_path(reader, event, naming->paths[i]), (uint8_t)i};
        gateway_note_value(event, &event->properties[i]);
    }
    if (!is_known && event->fault == GATEWAY_SOUND)
        sort_properties(reader, event, placed);
}
