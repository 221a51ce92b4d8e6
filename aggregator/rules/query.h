/*
 * query.h - what a meter query asks for (product.md 4.4, metering.md 21 to 25), read and checked.
 *
 * Both ways of asking come as one JSON object: a POST's body as it is, a GET's parameters after
 * query_add_parameter has gathered them. Filters of one list are an *or*, different filters an
 * *and*; an empty list filters nothing.
 *
 * Units      Minutes since the epoch: `from` cut down to its minute, `to` rounded up.
 * Errors     QUERY_REFUSED with the HTTP problem to answer.
 * Ownership  Texts are the arena's; the zone is the query's until query_deinit.
 * Threads    Any.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/calendar.h"
#include "proto/catalog.h"

#include <jansson.h>

enum {
    QUERY_VALUES_MAX = 100,
    QUERY_SUBSCRIPTIONS_MAX = 1000,
    QUERY_CLIENT_ID_MAX = 36,
    QUERY_POINTER_MAX = 160,
    QUERY_SHOWN_MAX = 64, /* of a name that an answer repeats */
    QUERY_BODY_BYTES_MAX = 256 * 1024
};

struct query_list {
    const struct text *at; /* absent: null, the missing dimension */
    size_t count;
};

struct query_filter {
    struct text dimension;
    struct query_list values;
};

struct query {
    struct text meter;
    enum aggregation aggregation;
    bool has_from, has_to, has_window;
    int64_t from_minute, to_minute; /* INT64_MIN, INT64_MAX where unbounded */
    enum window_size window;
    struct zone *zone; /* NULL: UTC */
    struct query_list subscriptions, subjects;
    struct query_filter filters[USAGE_DIMENSIONS_MAX];
    size_t filter_count;
    bool by_subscription, by_subject;
    struct text group_by[USAGE_DIMENSIONS_MAX]; /* as asked, without the two above */
    size_t group_count;
};

struct query_problem {
    int status;
    const char *code;
    char detail[320];
    char pointer[QUERY_POINTER_MAX];
};

enum query_outcome { QUERY_REFUSED = 1 };

/* Reads a POST's body; an empty one asks for everything. */
MUST_USE int query_read_body(struct text body, json_t **object, struct query_problem *problem);
/* Adds a parameter of a GET to the object: repeated names make lists, filterGroupBy[name]=v maps.
 */
MUST_USE int query_add_parameter(json_t *object, struct text name, struct text value,
                                 struct query_problem *problem);
MUST_USE int query_parse(const json_t *object, const struct catalog *catalog, struct text meter,
                         struct arena *arena, struct query *query, struct query_problem *problem);
void query_deinit(struct query *query); /* a zeroed one is fine */
const struct zone *query_zone(const struct query *query);
bool query_list_has(struct query_list list, struct text value); /* an empty one has everything */
