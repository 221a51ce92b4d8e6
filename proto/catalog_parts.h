/*
 * catalog_parts.h - what a catalog is made of: for catalog*.c alone.
 *
 * Each part takes a record's JSON whole or refuses it with a reason and stays as it was.
 *
 * Errors     A reason (a static text), or NULL when all is well.
 * Threads    One at a time.
 */
#pragma once

#include "proto/catalog.h"
#include "proto/catalog_map.h"
#include "proto/catalog_slab.h"

#include <jansson.h>

/* --- members of a record --- */

/* A string of 1 to `longest` bytes. Null is absent. */
const char *catalog_read_text(const json_t *object, const char *name, size_t longest,
                              struct text *text);
/* The same, or the absent text. */
const char *catalog_read_optional(const json_t *object, const char *name, size_t longest,
                                  struct text *text);
/* An RFC 3339 time; `usual` where it is absent. */
const char *catalog_read_time(const json_t *object, const char *name, struct instant usual,
                              struct instant *time);
/* `count` bytes as twice as many hexadecimal digits. */
bool catalog_read_hex(const json_t *object, const char *name, size_t count, uint8_t *bytes);

/* --- what a subscription's record says --- */

struct catalog_reading {
    struct text id, customer_key, consumer_name; /* the JSON's */
    struct instant active_from, active_to;
    uint16_t cuts[CATALOG_CUTS_MAX];
    size_t cut_count;
};

/* Of the record under `id`, which it must name. */
const char *catalog_read_subscription(struct text id, const json_t *record,
                                      struct catalog_reading *reading);

/* --- subscriptions --- */

struct catalog_held; /* a subscription and its places in lists */

struct catalog_subscriptions {
    struct catalog_held **chunks;
    uint32_t room, used; /* of all chunks; numbers given out so far */
    uint32_t holes;      /* the first number to use again, or CATALOG_MAP_NONE */
    struct catalog_slab texts;
    struct catalog_map by_id, by_consumer, by_customer;
    int32_t partitions;
};

void catalog_subscriptions_init(struct catalog_subscriptions *subscriptions);
void catalog_subscriptions_deinit(struct catalog_subscriptions *subscriptions);
void catalog_subscriptions_take(struct catalog_subscriptions *subscriptions,
                                const struct catalog_reading *reading);
void catalog_subscriptions_remove(struct catalog_subscriptions *subscriptions, struct text id);
void catalog_subscriptions_spread(struct catalog_subscriptions *subscriptions, int32_t partitions);

/* --- cuts --- */

struct catalog_cut_row {
    const char *id;
    uint32_t set;
    uint16_t id_length;
};

struct catalog_cuts {
    struct catalog_cut_row *rows;
    uint32_t row_count, row_room;
    struct text *sets; /* each a run of uint16_t; kept for good, they are few */
    uint32_t set_count, set_room;
    struct catalog_slab texts;
    struct catalog_map by_id, by_set;
    uint64_t changes;
    char *changed[CATALOG_CUTS_RECENT]; /* whose they were, one after the other, again and again */
};

void catalog_cuts_init(struct catalog_cuts *cuts);
void catalog_cuts_deinit(struct catalog_cuts *cuts);
void catalog_cuts_take(struct catalog_cuts *cuts, const struct catalog_reading *reading);
void catalog_cuts_remove(struct catalog_cuts *cuts, struct text id);

/* --- meters --- */

/* The meters of one event type. It stays when the last of them goes. */
struct catalog_type {
    char *name;
    struct catalog_meter *meters[USAGE_METERS_MAX]; /* sorted by slug */
    size_t count;
};

struct catalog_meters {
    struct catalog_meter *all[CATALOG_METERS_MAX];
    size_t count;
    struct catalog_type **types;
    size_t type_count;
    struct catalog_map by_type;
};

void catalog_meters_init(struct catalog_meters *meters);
void catalog_meters_deinit(struct catalog_meters *meters);
const char *catalog_meters_take(struct catalog_meters *meters, struct text slug,
                                const json_t *record, size_t record_size);
void catalog_meters_remove(struct catalog_meters *meters, struct text slug);
const struct catalog_meter *catalog_meters_find(const struct catalog_meters *meters,
                                                struct text slug);

/* --- keys --- */

struct catalog_keys {
    struct catalog_key *all;
    size_t count, room;
    struct catalog_slab texts;
    struct catalog_map by_id;
};

void catalog_keys_init(struct catalog_keys *keys);
void catalog_keys_deinit(struct catalog_keys *keys);
const char *catalog_keys_take(struct catalog_keys *keys, struct text id, const json_t *record);
void catalog_keys_remove(struct catalog_keys *keys, struct text id);

/* --- numbered sources --- */

struct catalog_sources {
    struct text *all;
    struct catalog_slab texts;
    struct catalog_map by_text;
};

void catalog_sources_init(struct catalog_sources *sources);
void catalog_sources_deinit(struct catalog_sources *sources);
/* Of the configuration's record; an empty object has none. */
const char *catalog_sources_take(struct catalog_sources *sources, const json_t *record);

/* --- the whole --- */

struct catalog {
    enum catalog_extent extent;
    int64_t epoch;
    int32_t partitions; /* 0: no bucket record */
    uint8_t seed[16];
    enum catalog_hash hash;
    bool is_live;
    struct catalog_subscriptions subscriptions; /* it or `cuts` stays empty */
    struct catalog_cuts cuts;
    struct catalog_meters meters;
    struct catalog_keys keys;
    struct catalog_sources sources;
};
