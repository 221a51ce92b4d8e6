/*
 * sealed.h - the ids of a day that has left the memory: sorted pages in the store, a filter in
 * front of them.
 *
 * In memory stay the first id of each page and a Bloom filter. An id that the filter may hold is
 * looked for in its one page (vault_recall), and what is found there is *recalled*: put into a
 * small table, where the count finds it. Ids that are new on a sealed day go to its own table
 * beside this (days.h) until it is sealed again.
 *
 * Pages have a generation: those of the next one are written beside those that hold, and take their
 * place as a whole.
 *
 * Ownership  sealed_free, which accepts NULL.
 * Threads    One at a time.
 */
#pragma once

#include "aggregator/rules/bloom.h"
#include "aggregator/rules/dedup.h"

enum {
    SEALED_PAGE_IDS = 250, /* with its checksum, a page of LMDB */
    SEALED_PAGES_MAX = 1 << 30,
    SEALED_RECALLED_MAX = 4096,
};

struct sealed {
    struct fingerprint *firsts; /* of each page */
    uint32_t pages, page_room;
    uint32_t generation; /* 0 or 1 */
    uint64_t count;
    uint128 sum; /* as dedup.h's */
    struct fingerprint last;
    struct bloom bloom;
    struct dedup recalled;
    int64_t begun; /* the last message that recalled any */
};

/* Empty, with a filter for so many ids; none for 0. */
struct sealed *sealed_new(uint32_t generation, uint64_t filtered_ids);
struct sealed *sealed_free(struct sealed *sealed);
/* The next page's ids. False unless they ascend, from the last page's on. */
MUST_USE bool sealed_add_page(struct sealed *sealed, const struct fingerprint *ids, size_t count);
/* The message at `offset` is going to recall some: what those before it did is forgotten, once it
 * is much. */
void sealed_begin(struct sealed *sealed, int64_t offset);
/* Is it to be looked for in the store? */
bool sealed_asks_for(const struct sealed *sealed, const struct fingerprint *id);
/* The page that holds the identity if any does. */
uint32_t sealed_page_of(const struct sealed *sealed, const struct fingerprint *id);
/* Looks the identity up in its page, which may lie at an odd address, and recalls what is found;
 * false when it isn't there. */
bool sealed_recall(struct sealed *sealed, const void *page, size_t count,
                   const struct fingerprint *id);
void sealed_drop_filter(struct sealed *sealed);
uint64_t sealed_bytes(const struct sealed *sealed); /* of memory */

/* By identity; the order of pages. */
int sealed_compare(const struct fingerprint *a, const struct fingerprint *b);
/* Sorts ids whose first words lie between `low` and `high`; `room` holds as many. Identities are
 * hashes, so most lie where their value says. */
void sealed_sort(struct fingerprint *ids, struct fingerprint *room, size_t count, uint64_t low,
                 uint64_t high);
/* As a table stores it (dedup.h: zeros are a free slot). */
struct fingerprint sealed_key(const struct fingerprint *id);
