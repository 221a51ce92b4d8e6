#include "aggregator/rules/limits.h"

#include <stdlib.h>

void limits_deinit(struct limits *limits)
{
    free(limits->rows);
    index_deinit(&limits->by_day);
    *limits = (struct limits){0};
}

void limits_clear(struct limits *limits)
{
    index_clear(&limits->by_day);
    limits->count = 0;
}

static bool equal(const void *owner, uint32_t id, const void *wanted)
{
    const struct limits *limits = owner;
    const struct limits_row *row = wanted;

    return limits->rows[id].group == row->group && limits->rows[id].day == row->day;
}

static uint32_t count_seen(const struct registry *registry, const struct day *day, uint32_t group)
{
    uint32_t count = 0;

    for (uint32_t id = registry->groups[group].first; id != INDEX_NONE;
         id = registry->series[id].next_in_group)
        if (day_has_seen(day, id) && !series_is_other(series_text(&registry->series[id])))
            count++;
    return count;
}

static struct limits_row *row_of(struct limits *limits, const struct registry *registry,
                                 const struct day *day, uint32_t group)
{
    struct limits_row wanted = {.group = group, .day = day->number};
    uint64_t hash = ((uint64_t)group << 32 | (uint32_t)day->number) * 0x9e3779b97f4a7c15u;
    uint32_t id = index_find(&limits->by_day, hash ^ hash >> 32, equal, limits, &wanted);

    if (id != INDEX_NONE)
        return &limits->rows[id];
    if (limits->count == limits->room) {
        limits->room = limits->room ? limits->room * 2 : 16;
        limits->rows = realloc(limits->rows, limits->room * sizeof(*limits->rows));
        if (!limits->rows)
            abort();
    }
    wanted.combinations = count_seen(registry, day, group);
    id = limits->count++;
    limits->rows[id] = wanted;
    index_add(&limits->by_day, hash ^ hash >> 32, id);
    return &limits->rows[id];
}

bool limits_take(struct limits *limits, const struct registry *registry, const struct day *day,
                 uint32_t group)
{
    struct limits_row *row;

    if (group == INDEX_NONE || registry->groups[group].count < limits->combinations_max)
        return true;
    row = row_of(limits, registry, day, group);
    if (row->combinations >= limits->combinations_max)
        return false;
    row->combinations++;
    return true;
}
