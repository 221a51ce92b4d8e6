/*
 * uniques.h - the values of UNIQUE_COUNT that were counted since the last commit, each once a
 * minute and series.
 *
 * Which of them are new in their window is decided at the commit, against the store's table of
 * values: key level u8, window u32 BE, series u32 BE, hash 16; no content.
 *
 * Ownership  uniques_deinit, which accepts a zeroed one; a zeroed one is empty.
 * Threads    One at a time.
 */
#pragma once

#include "aggregator/rules/level.h"
#include "common/base/text.h"

enum { UNIQUE_KEY_BYTES = 25, UNIQUE_PREFIX_BYTES = 9 };

struct unique {
    uint64_t key; /* cell_key */
    uint8_t hash[16];
};

struct uniques {
    struct unique *slots; /* a slot whose key is 0 is free */
    uint64_t room;
    uint64_t count;
};

struct unique_list {
    struct unique *uniques; /* ascending by key, then hash; no two alike */
    size_t count;
};

void uniques_deinit(struct uniques *uniques);
void uniques_clear(struct uniques *uniques);
void uniques_add(struct uniques *uniques, uint64_t key, const uint8_t hash[16]);

void uniques_list(const struct uniques *uniques, struct unique_list *list);
void unique_list_coarsen(struct unique_list *list, enum level from, enum level to);
void unique_list_deinit(struct unique_list *list);

/* The store's key of a value; its first UNIQUE_PREFIX_BYTES are the window's and series'. */
void unique_store_key(enum level level, const struct unique *unique,
                      uint8_t bytes[UNIQUE_KEY_BYTES]);
/* False when the key isn't one of a value. */
MUST_USE bool unique_from_store_key(struct text bytes, enum level *level, struct unique *unique);
