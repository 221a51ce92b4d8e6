/*
 * catalog.c - takes the topic's messages in, each to its part.
 *
 * A record counts when it can be read and its epoch isn't older than the last one seen. Kinds that
 * aren't needed here are read as far as the epoch: they tell of a new tenure like the others.
 */
#include "proto/catalog_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct catalog *catalog_new(enum catalog_extent extent)
{
    struct catalog *catalog = calloc(1, sizeof(*catalog));

    if (!catalog)
        abort();
    catalog->extent = extent;
    catalog_subscriptions_init(&catalog->subscriptions);
    catalog_cuts_init(&catalog->cuts);
    catalog_meters_init(&catalog->meters);
    catalog_keys_init(&catalog->keys);
    catalog_sources_init(&catalog->sources);
    return catalog;
}

struct catalog *catalog_free(struct catalog *catalog)
{
    if (!catalog)
        return NULL;
    catalog_subscriptions_deinit(&catalog->subscriptions);
    catalog_cuts_deinit(&catalog->cuts);
    catalog_meters_deinit(&catalog->meters);
    catalog_keys_deinit(&catalog->keys);
    catalog_sources_deinit(&catalog->sources);
    free(catalog);
    return NULL;
}

static const char *take_bucket(struct catalog *catalog, const json_t *record)
{
    const json_t *partitions = json_object_get(record, "partitions");
    json_int_t count = json_integer_value(partitions);
    uint8_t seed[sizeof(catalog->seed)];
    struct text mode, hash = text_of(json_string_value(json_object_get(record, "hash")));
    const char *why = catalog_read_text(record, "mode", CATALOG_KEY_MAX, &mode);

    if (why)
        return why;
    if (!json_is_integer(partitions) || count < 1 || count > CATALOG_PARTITIONS_MAX)
        return "a bucket whose partitions aren't 1 to 10000";
    if (!catalog_read_hex(record, "seed", sizeof(seed), seed))
        return "a bucket without its seed of 32 hexadecimal digits";
    if (!text_is(mode, "live") && !text_is(mode, "test"))
        return "a bucket that is neither test nor live";
    if (json_object_get(record, "hash") && !text_is(hash, "xxh3") && !text_is(hash, "hmac-sha256"))
        return "a bucket whose hash is neither xxh3 nor hmac-sha256";
    memcpy(catalog->seed, seed, sizeof(seed));
    catalog->hash = text_is(hash, "hmac-sha256") ? CATALOG_HASH_HMAC : CATALOG_HASH_XXH3;
    catalog->is_live = text_is(mode, "live");
    catalog->partitions = (int32_t)count;
    catalog_subscriptions_spread(&catalog->subscriptions, (int32_t)count);
    return NULL;
}

static const char *take_subscription(struct catalog *catalog, struct text id, const json_t *record)
{
    struct catalog_reading reading;
    const char *why = catalog_read_subscription(id, record, &reading);

    if (why)
        return why;
    if (catalog->extent == CATALOG_CUTS)
        catalog_cuts_take(&catalog->cuts, &reading);
    else
        catalog_subscriptions_take(&catalog->subscriptions, &reading);
    return NULL;
}

static void remove_subscription(struct catalog *catalog, struct text id)
{
    catalog_cuts_remove(&catalog->cuts, id);
    catalog_subscriptions_remove(&catalog->subscriptions, id);
}

static const char *take_record(struct catalog *catalog, struct text kind, struct text id,
                               const json_t *record, size_t size)
{
    if (text_is(kind, "subscription"))
        return take_subscription(catalog, id, record);
    if (text_is(kind, "meter"))
        return catalog_meters_take(&catalog->meters, id, record, size);
    if (text_is(kind, "key"))
        return catalog_keys_take(&catalog->keys, id, record);
    if (text_is(kind, "bucket"))
        return take_bucket(catalog, record);
    if (text_is(kind, "configuration"))
        return catalog_sources_take(&catalog->sources, record);
    return NULL;
}

static void remove_record(struct catalog *catalog, struct text kind, struct text id)
{
    if (text_is(kind, "subscription"))
        remove_subscription(catalog, id);
    else if (text_is(kind, "meter"))
        catalog_meters_remove(&catalog->meters, id);
    else if (text_is(kind, "key"))
        catalog_keys_remove(&catalog->keys, id);
    else if (text_is(kind, "configuration") && catalog_sources_take(&catalog->sources, NULL))
        assert(!"no sources at all are well-formed");
}

static int apply_record(struct catalog *catalog, struct text kind, struct text id,
                        const json_t *record, size_t size, const char **reason)
{
    const json_t *epoch = json_object_get(record, "epoch");
    const char *why;

    if (!json_is_integer(epoch) || json_integer_value(epoch) < 0) {
        *reason = "a record without its epoch";
        return CATALOG_MALFORMED;
    }
    if (json_integer_value(epoch) < catalog->epoch)
        return CATALOG_OLDER_EPOCH;
    why = take_record(catalog, kind, id, record, size);
    if (why) {
        *reason = why;
        return CATALOG_MALFORMED;
    }
    catalog->epoch = json_integer_value(epoch);
    return 0;
}

int catalog_apply(struct catalog *catalog, struct text key, struct text value, const char **reason)
{
    struct text id = key, kind = text_cut(&id, '/');
    json_t *record;
    int r;

    if (kind.length == 0 || id.length == 0) {
        *reason = "a key that isn't kind/id";
        return CATALOG_MALFORMED;
    }
    if (text_is_absent(value)) {
        remove_record(catalog, kind, id);
        return 0;
    }
    record = json_loadb(value.at, value.length, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(record)) {
        json_decref(record);
        *reason = "a record that isn't a JSON object";
        return CATALOG_MALFORMED;
    }
    r = apply_record(catalog, kind, id, record, value.length, reason);
    json_decref(record);
    return r;
}

bool catalog_has_bucket(const struct catalog *catalog)
{
    return catalog->partitions > 0;
}

int32_t catalog_partitions(const struct catalog *catalog)
{
    return catalog->partitions;
}

enum catalog_hash catalog_hash(const struct catalog *catalog)
{
    return catalog->hash;
}

const uint8_t *catalog_seed(const struct catalog *catalog)
{
    return catalog->seed;
}

bool catalog_is_live(const struct catalog *catalog)
{
    return catalog->is_live;
}

int64_t catalog_epoch(const struct catalog *catalog)
{
    return catalog->epoch;
}
