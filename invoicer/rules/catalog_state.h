/*
 * catalog_state.h - the catalog as it stands, in memory: what a file is checked and compared
 * against.
 *
 * Records are those of <bucket>.catalog without their epoch (proto/catalog.h), under `kind/id`.
 *
 * Ownership  Owns the records given to it; what it finds is borrowed until catalog_state_deinit.
 * Threads    Any, each object by one at a time.
 */
#pragma once

#include "common/base/instant.h"

#include <jansson.h>

struct catalog_state {
    struct instant now; /* by which a plan is for sale or isn't; 1970 unless it is set */
    json_t *records;    /* "meter/api" to the record */
    json_t *versions;   /* plan key to its latest version */
    json_t *consumers;  /* consumer name to an object with the ids of those that have it */
    json_t *nexts;      /* subscription id to that of the one that it was changed into */
    json_t *billed;     /* subscription id to the minute until which it was invoiced */
};

void catalog_state_init(struct catalog_state *state);
void catalog_state_deinit(struct catalog_state *state);
/* Steals `record`. One that stands already is replaced. */
void catalog_state_put(struct catalog_state *state, const char *key, json_t *record);
void catalog_state_billed(struct catalog_state *state, const char *subscription, int64_t minute);

json_t *catalog_state_find(const struct catalog_state *state, const char *kind, const char *id);
json_t *catalog_state_plan(const struct catalog_state *state, const char *key, int64_t version);
int64_t catalog_state_version(const struct catalog_state *state, const char *plan); /* 0: no plan */
/* An object whose names are subscription ids; NULL: nobody has that name. */
json_t *catalog_state_consumers(const struct catalog_state *state, const char *name);
/* The subscription that this one was changed into; NULL: none. */
json_t *catalog_state_next(const struct catalog_state *state, const char *subscription);
/* INT64_MIN: never. */
int64_t catalog_state_billed_until(const struct catalog_state *state, const char *subscription);
