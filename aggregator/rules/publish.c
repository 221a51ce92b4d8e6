#include "aggregator/rules/publish.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    WINDOWS_FIRST_ROOM = 64,
    RECORDS_A_SECOND = 1000,
    INTERVALS_MAX = 20,
    UNIQUES_HELD_MAX = 100000 /* each takes memory, also when it was seen before */
};

void windows_deinit(struct windows *windows)
{
    free(windows->changed);
    free(windows->uniques);
    index_deinit(&windows->by_key);
    *windows = (struct windows){0};
}

static bool equal(const void *owner, uint32_t id, const void *wanted)
{
    const struct windows *windows = owner;
    const struct changed_window *a = &windows->changed[id], *b = wanted;

    return a->line == b->line && a->from == b->from && a->to == b->to;
}

static void *grown(void *array, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room ? *room * 2 : WINDOWS_FIRST_ROOM;
    array = realloc(array, *room * size);
    if (!array)
        abort();
    return array;
}

void windows_make_room(struct windows *windows, uint32_t count)
{
    index_make_room(&windows->by_key, count);
    if (count <= windows->room)
        return;
    windows->changed = realloc(windows->changed, count * sizeof(*windows->changed));
    if (!windows->changed)
        abort();
    windows->room = count;
}

static uint64_t hash_of(const struct changed_window *window)
{
    int64_t key[3] = {window->line, window->from, window->to};

    return XXH3_64bits(key, sizeof(key));
}

static void add(struct windows *windows, const struct changed_window *window, uint64_t hash)
{
    uint32_t id = index_find(&windows->by_key, hash, equal, windows, window);

    if (id != INDEX_NONE) {
        windows->changed[id].with_uniques |= window->with_uniques;
        return;
    }
    windows->changed =
        grown(windows->changed, windows->count, &windows->room, sizeof(*windows->changed));
    windows->changed[windows->count] = *window;
    index_add(&windows->by_key, hash, windows->count++);
}

void windows_add(struct windows *windows, struct changed_window window)
{
    add(windows, &window, hash_of(&window));
}

bool windows_hold(const struct windows *windows, const struct changed_window *window)
{
    return index_find(&windows->by_key, hash_of(window), equal, windows, window) != INDEX_NONE;
}

void windows_add_all(struct windows *windows, const struct changed_window *added, size_t count)
{
    uint64_t hashes[WINDOWS_TOGETHER];

    assert(count <= WINDOWS_TOGETHER);
    for (size_t i = 0; i < count; i++) {
        hashes[i] = hash_of(&added[i]);
        index_prefetch(&windows->by_key, hashes[i]);
    }
    for (size_t i = 0; i < count; i++)
        add(windows, &added[i], hashes[i]);
}

void windows_add_unique(struct windows *windows, const struct changed_unique *unique)
{
    windows->uniques = grown(windows->uniques, windows->unique_count, &windows->unique_room,
                             sizeof(*windows->uniques));
    windows->uniques[windows->unique_count++] = *unique;
}

uint32_t windows_put_ended_first(struct windows *windows, int64_t minute)
{
    uint32_t ended = 0;

    index_deinit(&windows->by_key);
    for (uint32_t i = 0; i < windows->count; i++) {
        struct changed_window window = windows->changed[i];

        if (window.to > minute)
            continue;
        windows->changed[i] = windows->changed[ended];
        windows->changed[ended++] = window;
    }
    return ended;
}

bool windows_are_worth_it(const struct windows *windows, int64_t since_ms, int64_t interval_ms)
{
    int64_t records = (int64_t)windows->count + windows->unique_count;

    return since_ms >= interval_ms &&
           (records * 1000 <= since_ms * RECORDS_A_SECOND ||
            windows->unique_count >= UNIQUES_HELD_MAX || since_ms >= interval_ms * INTERVALS_MAX);
}
