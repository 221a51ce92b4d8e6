/*
 * http_pool.h - the memory that requests come in to: blocks that go round, and one cap on all.
 *
 * A block is HTTP_BLOCK_BYTES, or that times a power of two up to 1 MiB, or larger and then not
 * kept. Bytes of blocks beyond the first size count against the cap: first blocks are bounded by
 * the number of connections.
 *
 * Ownership  A taken block is the taker's until http_pool_give.
 * Threads    One.
 */
#pragma once

#include "common/base/text.h"

enum {
    HTTP_BLOCK_BYTES = 32 * 1024,
    HTTP_POOL_SIZES = 6,                        /* 32 KiB to 1 MiB */
    HTTP_POOL_KEPT_BYTES_MAX = 64 * 1024 * 1024 /* of blocks that wait for their next use */
};

struct http_pool {
    struct http_free_block *free[HTTP_POOL_SIZES];
    size_t kept;             /* bytes in `free` */
    size_t in_flight, limit; /* bytes out there that count */
};

void http_pool_init(struct http_pool *pool, size_t limit);
void http_pool_deinit(struct http_pool *pool); /* every block was given back */
/* A block of at least `size` bytes; `room` gets its size. NULL when the cap or memory is reached.
 */
MUST_USE char *http_pool_take(struct http_pool *pool, size_t size, size_t *room);
void http_pool_give(struct http_pool *pool, char *block, size_t room); /* accepts NULL */
