#include "aggregator/rules/series.h"

#include "aggregator/rules/pages.h"
#include "proto/usage_view.h"
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL /* a call costs as much as the hash of so short a text */
#include <xxhash.h>

enum {
    SERIES_TEXT_NULL = 0xffff,
    SERIES_BLOCK_BYTES = 256 * 1024,
    SERIES_FIRST_ROOM = 64,
    STEP = 16, /* a series is taken a step further when so many others were */
    SEARCHED_AT_ONCE = 4 * STEP
};

/* Texts that aren't near live in blocks that never move. */
struct series_block {
    struct series_block *next;
    size_t used, room;
    uint8_t bytes[];
};

static const char OTHER[] = "__other__";

/* --- encoding --- */

static void add_text(struct buffer *encoded, struct text text)
{
    uint8_t length[2];

    assert(text.length < SERIES_TEXT_NULL);
    wire_store_u16(length,
                   text_is_absent(text) ? (uint16_t)SERIES_TEXT_NULL : (uint16_t)text.length);
    buffer_add(encoded, length, sizeof(length));
    if (text.length > 0)
        buffer_add(encoded, text.at, text.length);
}

static bool take_text(struct text *rest, struct text *text)
{
    size_t length;

    if (rest->length < 2)
        return false;
    length = wire_load_u16((const uint8_t *)rest->at);
    *rest = text_from(rest->at + 2, rest->length - 2);
    *text = (struct text){0};
    if (length == SERIES_TEXT_NULL)
        return true;
    if (rest->length < length)
        return false;
    *text = text_from(rest->at, length);
    *rest = text_from(rest->at + length, rest->length - length);
    return true;
}

void series_encode(const struct usage_series *series, struct buffer *encoded)
{
    buffer_add_char(encoded, (char)series->aggregation);
    buffer_add_char(encoded, (char)series->dimension_count);
    add_text(encoded, series->subscription);
    add_text(encoded, series->meter);
    add_text(encoded, series->subject);
    for (size_t i = 0; i < series->dimension_count; i++) {
        add_text(encoded, series->dimensions[i].name);
        add_text(encoded, series->dimensions[i].value);
    }
}

bool series_decode(struct text encoded, struct usage_series *series)
{
    struct text rest;

    if (encoded.length < 2 || (uint8_t)encoded.at[0] >= AGGREGATION_KINDS ||
        (uint8_t)encoded.at[1] > USAGE_DIMENSIONS_MAX)
        return false;
    series->aggregation = (enum aggregation)(uint8_t)encoded.at[0];
    series->dimension_count = (uint8_t)encoded.at[1];
    rest = text_from(encoded.at + 2, encoded.length - 2);
    if (!take_text(&rest, &series->subscription) || !take_text(&rest, &series->meter) ||
        !take_text(&rest, &series->subject))
        return false;
    for (size_t i = 0; i < series->dimension_count; i++)
        if (!take_text(&rest, &series->dimensions[i].name) ||
            !take_text(&rest, &series->dimensions[i].value))
            return false;
    return rest.length == 0;
}

void series_encode_other(const struct usage_series *series, struct buffer *encoded)
{
    struct usage_series other = *series;

    other.subject = text_of(OTHER);
    for (size_t i = 0; i < other.dimension_count; i++)
        other.dimensions[i].value = text_of(OTHER);
    series_encode(&other, encoded);
}

bool series_is_other(struct text encoded)
{
    struct usage_series series;

    if (!series_decode(encoded, &series) || !text_is(series.subject, OTHER))
        return false;
    for (size_t i = 0; i < series.dimension_count; i++)
        if (!text_is(series.dimensions[i].value, OTHER))
            return false;
    return true;
}

uint64_t series_name_hash(struct text encoded)
{
    return XXH3_64bits(encoded.at, encoded.length);
}

void series_hash(const struct series *series, uint8_t hash[16])
{
    struct text encoded = series_text(series);
    XXH128_hash_t found = XXH3_128bits(encoded.at, encoded.length);

    wire_store_u64(hash, found.low64);
    wire_store_u64(hash + 8, found.high64);
}

/* --- groups and lines: compared by the series that began them --- */

static struct usage_series decoded(const struct registry *registry, uint32_t id)
{
    struct usage_series series;

    if (!series_decode(series_text(&registry->series[id]), &series))
        assert(!"a registered series can be decoded");
    return series;
}

static bool same_group(const struct usage_series *a, const struct usage_series *b)
{
    return a->aggregation == b->aggregation && text_equal(a->subscription, b->subscription) &&
           text_equal(a->meter, b->meter);
}

static bool same_line(const struct usage_series *a, const struct usage_series *b)
{
    if (!same_group(a, b) || a->dimension_count != b->dimension_count)
        return false;
    for (size_t i = 0; i < a->dimension_count; i++)
        if (!text_equal(a->dimensions[i].name, b->dimensions[i].name) ||
            !text_equal(a->dimensions[i].value, b->dimensions[i].value))
            return false;
    return true;
}

static bool equal_group(const void *owner, uint32_t id, const void *wanted)
{
    const struct registry *registry = owner;
    struct usage_series first = decoded(registry, registry->groups[id].first);

    return same_group(&first, wanted);
}

static bool equal_line(const void *owner, uint32_t id, const void *wanted)
{
    const struct registry *registry = owner;
    struct usage_series first = decoded(registry, registry->lines[id].first);

    return same_line(&first, wanted);
}

static bool equal_text(const void *owner, uint32_t id, const void *wanted)
{
    const struct registry *registry = owner;
    const struct series_name *name = wanted;
    struct text encoded = series_text(&registry->series[id]);

    return encoded.length == name->encoded.length &&
           memcmp(encoded.at, name->encoded.at, encoded.length) == 0;
}

static uint64_t mix(uint64_t hash, struct text text)
{
    return XXH3_64bits_withSeed(text.at ? text.at : "", text.length,
                                hash + (text_is_absent(text) ? 1 : 2));
}

static uint64_t hash_of_group(const struct usage_series *series)
{
    return mix(mix((uint64_t)series->aggregation, series->subscription), series->meter);
}

static uint64_t hash_of_line(const struct usage_series *series)
{
    uint64_t hash = hash_of_group(series) + series->dimension_count;

    for (size_t i = 0; i < series->dimension_count; i++)
        hash = mix(mix(hash, series->dimensions[i].name), series->dimensions[i].value);
    return hash;
}

/* --- the registry --- */

void registry_deinit(struct registry *registry)
{
    while (registry->texts) {
        struct series_block *next = registry->texts->next;

        free(registry->texts);
        registry->texts = next;
    }
    pages_free(registry->series, registry->room * sizeof(*registry->series));
    free(registry->aggregations);
    free(registry->groups);
    free(registry->lines);
    index_deinit(&registry->by_text);
    index_deinit(&registry->by_group);
    index_deinit(&registry->by_line);
    *registry = (struct registry){0};
}

static const uint8_t *keep_text(struct registry *registry, struct text text)
{
    struct series_block *block = registry->texts;

    if (!block || block->room - block->used < text.length) {
        size_t room = text.length > SERIES_BLOCK_BYTES ? text.length : SERIES_BLOCK_BYTES;

        block = malloc(sizeof(*block) + room);
        if (!block)
            abort();
        *block = (struct series_block){.next = registry->texts, .room = room};
        registry->texts = block;
    }
    memcpy(block->bytes + block->used, text.at, text.length);
    block->used += text.length;
    return block->bytes + block->used - text.length;
}

static void *grown(void *array, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room ? *room * 2 : SERIES_FIRST_ROOM;
    array = realloc(array, *room * size);
    if (!array)
        abort();
    return array;
}

uint32_t registry_find(const struct registry *registry, const struct series_name *name)
{
    return index_find(&registry->by_text, name->hash, equal_text, registry, name);
}

/* A batch's series on their way, each step of which fetches what the next one looks at. */
struct search {
    const struct registry *registry;
    const struct usage_batch *batch;
    uint32_t *ids, *accounts;
    struct series_name names[SEARCHED_AT_ONCE]; /* of series i at i % SEARCHED_AT_ONCE */
};

static void ask(struct search *search, size_t i)
{
    struct series_name *name = &search->names[i % SEARCHED_AT_ONCE];

    *name = series_name_of(usage_view_encoded(search->batch, i));
    index_prefetch(&search->registry->by_text, name->hash);
}

/* The series that has the hash nearly always is the wanted one. */
static void guess(struct search *search, size_t i)
{
    uint64_t hash = search->names[i % SEARCHED_AT_ONCE].hash;

    search->ids[i] = index_guess(&search->registry->by_text, hash);
    if (search->ids[i] != INDEX_NONE)
        __builtin_prefetch(&search->registry->series[search->ids[i]]);
}

static void fetch_text(const struct search *search, size_t i)
{
    const struct series *series;

    if (search->ids[i] == INDEX_NONE)
        return;
    series = &search->registry->series[search->ids[i]];
    if (series_is_near(series))
        return;
    __builtin_prefetch(series->far);
    __builtin_prefetch(series->far + series->length - 1);
}

static void settle(struct search *search, size_t i)
{
    const struct registry *registry = search->registry;
    const struct series_name *name = &search->names[i % SEARCHED_AT_ONCE];
    uint32_t id = search->ids[i];

    if (id != INDEX_NONE && !equal_text(registry, id, name))
        id = registry_find(registry, name);
    search->ids[i] = id;
    search->accounts[i] = id == INDEX_NONE ? INDEX_NONE : registry->series[id].account;
}

/* The steps take turns, each at another series, so that while one waits for memory there is work.
 */
void registry_find_all(const struct registry *registry, const struct usage_batch *batch,
                       uint32_t *ids, uint32_t *accounts)
{
    struct search search; /* not cleared: small batches would pay for the names */
    size_t count = batch->series_count;

    search.registry = registry;
    search.batch = batch;
    search.ids = ids;
    search.accounts = accounts;
    for (size_t i = 0; i < count + 3 * STEP; i++) {
        if (i < count)
            ask(&search, i);
        if (i - STEP < count)
            guess(&search, i - STEP);
        if (i - 2 * STEP < count)
            fetch_text(&search, i - 2 * STEP);
        if (i - 3 * STEP < count)
            settle(&search, i - 3 * STEP);
    }
}

uint32_t registry_group(const struct registry *registry, const struct usage_series *series)
{
    return index_find(&registry->by_group, hash_of_group(series), equal_group, registry, series);
}

static void join_group(struct registry *registry, uint32_t id, const struct usage_series *series)
{
    uint32_t group = registry_group(registry, series);

    if (group == INDEX_NONE) {
        registry->groups = grown(registry->groups, registry->group_count, &registry->group_room,
                                 sizeof(*registry->groups));
        group = registry->group_count++;
        registry->groups[group] = (struct series_set){.first = INDEX_NONE, .group = group};
        index_add(&registry->by_group, hash_of_group(series), group);
    }
    registry->series[id].group = group;
    registry->series[id].next_in_group = registry->groups[group].first;
    registry->groups[group].first = id;
    registry->groups[group].count++;
}

static void join_line(struct registry *registry, uint32_t id, const struct usage_series *series)
{
    uint64_t hash = hash_of_line(series);
    uint32_t line = index_find(&registry->by_line, hash, equal_line, registry, series);

    if (line == INDEX_NONE) {
        registry->lines = grown(registry->lines, registry->line_count, &registry->line_room,
                                sizeof(*registry->lines));
        line = registry->line_count++;
        registry->lines[line] =
            (struct series_set){.first = INDEX_NONE, .group = registry->series[id].group};
        index_add(&registry->by_line, hash, line);
    }
    registry->series[id].line = line;
    registry->series[id].next_in_line = registry->lines[line].first;
    registry->lines[line].first = id;
    registry->lines[line].count++;
}

static void make_room(struct registry *registry)
{
    uint32_t room = registry->room ? registry->room * 2 : SERIES_FIRST_ROOM;

    if (registry->count < registry->room)
        return;
    registry->series = pages_grow(registry->series, registry->room * sizeof(*registry->series),
                                  room * sizeof(*registry->series));
    registry->aggregations = realloc(registry->aggregations, room);
    if (!registry->aggregations)
        abort();
    memset(registry->aggregations + registry->room, 0, room - registry->room);
    registry->room = room;
}

static void set_text(struct registry *registry, struct series *series, struct text encoded)
{
    assert(encoded.length <= UINT16_MAX);
    series->length = (uint16_t)encoded.length;
    if (series_is_near(series))
        memcpy(series->near, encoded.at, encoded.length);
    else
        series->far = keep_text(registry, encoded);
}

uint32_t registry_add(struct registry *registry, const struct series_name *name, uint32_t account)
{
    uint32_t id = registry->count;
    struct usage_series series;

    make_room(registry);
    registry->series[id] = (struct series){.account = account};
    set_text(registry, &registry->series[id], name->encoded);
    registry->count++;
    series = decoded(registry, id);
    registry->series[id].aggregation = registry->aggregations[id] = (uint8_t)series.aggregation;
    join_group(registry, id, &series);
    join_line(registry, id, &series);
    index_add(&registry->by_text, name->hash, id);
    return id;
}
