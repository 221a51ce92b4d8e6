/*
 * catalog_slab.h - many short strings in few large blocks.
 *
 * A string takes its length rounded up to eight; one that is given back is used again for the next
 * of its size. So a million subscriptions that come and go take what a million take.
 *
 * Ownership  Strings are the slab's, until given back or catalog_slab_deinit.
 * Threads    One at a time.
 */
#pragma once

#include "common/base/text.h"

enum {
    CATALOG_SLAB_TEXT_MAX = 256,
    CATALOG_SLAB_STEP = 8,
};

struct catalog_slab_block;
struct catalog_slab_hole;

struct catalog_slab {
    struct catalog_slab_block *blocks;
    size_t used; /* bytes of the newest block */
    struct catalog_slab_hole *holes[CATALOG_SLAB_TEXT_MAX / CATALOG_SLAB_STEP];
};

void catalog_slab_deinit(struct catalog_slab *slab); /* accepts a zeroed one */
/* A copy, aligned to eight; absent stays absent. At most CATALOG_SLAB_TEXT_MAX bytes. */
struct text catalog_slab_copy(struct catalog_slab *slab, struct text text);
void catalog_slab_give_back(struct catalog_slab *slab, struct text text);
/* Makes *held say `text`, and leaves it alone where it does already. */
void catalog_slab_replace(struct catalog_slab *slab, struct text *held, struct text text);
