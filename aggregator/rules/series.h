/*
 * series.h - the series of a partition: each (subscription, meter, subject, dimensions) once, by a
 * small number.
 *
 * Numbers are given in the order in which series are first counted, so they are a function of the
 * log. Each series belongs to a *group* (its subscription and meter), which the limit of
 * combinations is about, and to a *line* (the group and the dimensions without the subject), which
 * is what a bill sees.
 *
 * Encoded, a series is: aggregation u8, dimension_count u8, then subscription, meter, subject and
 * each dimension's name and value; a string is length u16 (0xffff: null) and bytes.
 *
 * Ownership  The registry owns its texts, until registry_deinit.
 * Threads    One at a time.
 */
#pragma once

#include "aggregator/rules/index.h"
#include "common/base/text.h"
#include "proto/usage.h"

enum { SERIES_IDS_MAX = INDEX_NONE, SERIES_NEAR_BYTES = 40 };

/* A cache line: one is looked at with each entry, and nearly always all of its text with it. */
struct series {
    _Alignas(64) uint32_t group;
    uint32_t line;
    uint32_t next_in_group, next_in_line; /* INDEX_NONE at the end */
    uint32_t account;                     /* the ledger's row of its subscription */
    uint16_t length;                      /* of the encoded form */
    uint8_t aggregation;                  /* an enum aggregation */
    union {
        uint8_t near[SERIES_NEAR_BYTES]; /* the encoded form, if it fits */
        const uint8_t *far;
    };
};

static inline bool series_is_near(const struct series *series)
{
    return series->length <= SERIES_NEAR_BYTES;
}

/* The encoded form: of one that is near good until the registry grows. */
static inline struct text series_text(const struct series *series)
{
    return text_from(series_is_near(series) ? series->near : series->far, series->length);
}

struct series_set { /* a group or a line */
    uint32_t first; /* the newest series: a chain by next_in_… */
    uint32_t count;
    uint32_t group; /* of a line; of a group: itself */
};

struct series_block;

struct registry {
    struct series *series;
    uint8_t *aggregations; /* of each series, too: `room` of them, a multiple of 64 */
    uint32_t count, room;
    struct series_set *groups, *lines;
    uint32_t group_count, group_room, line_count, line_room;
    struct index by_text, by_group, by_line;
    struct series_block *texts;
};

/* A series as it stands in a batch, with the hash that it is looked up by. */
struct series_name {
    struct text encoded;
    uint64_t hash;
};

/* Appends the encoded form. */
void series_encode(const struct usage_series *series, struct buffer *encoded);
/* False when the text isn't an encoded series. The result points into it. */
MUST_USE bool series_decode(struct text encoded, struct usage_series *series);
uint64_t series_name_hash(struct text encoded);
/* Inline, so that a name is written where it is wanted: a copy would wait for its own stores. */
static inline struct series_name series_name_of(struct text encoded)
{
    return (struct series_name){.encoded = encoded, .hash = series_name_hash(encoded)};
}

/* XXH3-128 of the encoded form: what the digest of values knows a series by. */
void series_hash(const struct series *series, uint8_t hash[16]);
/* The same subscription, meter and aggregation with `__other__` for the subject and each dimension.
 */
void series_encode_other(const struct usage_series *series, struct buffer *encoded);
bool series_is_other(struct text encoded);

void registry_deinit(struct registry *registry); /* a zeroed one is an empty registry */
uint32_t registry_find(const struct registry *registry,
                       const struct series_name *name); /* or INDEX_NONE */
/* Looks all of a batch's up at once, which hides most of memory's latency: ids[i] is that of its
 * series i and accounts[i] the series' account; both INDEX_NONE where there is none. */
void registry_find_all(const struct registry *registry, const struct usage_batch *batch,
                       uint32_t *ids, uint32_t *accounts);
/* Adds one that isn't there; its number is the former count. */
uint32_t registry_add(struct registry *registry, const struct series_name *name, uint32_t account);
/* The group that a series would belong to, INDEX_NONE when it has none yet. */
uint32_t registry_group(const struct registry *registry, const struct usage_series *series);
