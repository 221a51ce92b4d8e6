/*
 * http_pool.c - blocks for requests, reused, and one cap on all.
 */
#include "common/io/http_pool.h"

#include <assert.h>
#include <stdlib.h>

struct http_free_block {
    struct http_free_block *next;
};

void http_pool_init(struct http_pool *pool, size_t limit)
{
    *pool = (struct http_pool){.limit = limit};
}

void http_pool_deinit(struct http_pool *pool)
{
    assert(pool->in_flight == 0);

    for (size_t i = 0; i < HTTP_POOL_SIZES; i++) {
        while (pool->free[i]) {
            struct http_free_block *block = pool->free[i];

            pool->free[i] = block->next;
            free(block);
        }
    }
    pool->kept = 0;
}

/* HTTP_POOL_SIZES for a block that isn't kept. */
static size_t index_of(size_t room)
{
    size_t index = 0;

    while (index < HTTP_POOL_SIZES && ((size_t)HTTP_BLOCK_BYTES << index) != room)
        index++;
    return index;
}

static size_t room_for(size_t size)
{
    for (size_t i = 0; i < HTTP_POOL_SIZES; i++) {
        if (size <= (size_t)HTTP_BLOCK_BYTES << i)
            return (size_t)HTTP_BLOCK_BYTES << i;
    }
    return (size + HTTP_BLOCK_BYTES - 1) / HTTP_BLOCK_BYTES * HTTP_BLOCK_BYTES;
}

static size_t counted(size_t room)
{
    return room > HTTP_BLOCK_BYTES ? room : 0;
}

char *http_pool_take(struct http_pool *pool, size_t size, size_t *room)
{
    size_t taken = room_for(size);
    size_t index = index_of(taken);
    struct http_free_block *block;

    if (counted(taken) > pool->limit - pool->in_flight)
        return NULL;
    block = index < HTTP_POOL_SIZES ? pool->free[index] : NULL;
    if (block) {
        pool->free[index] = block->next;
        pool->kept -= taken;
    } else {
        block = malloc(taken);
    }
    if (!block)
        return NULL;
    pool->in_flight += counted(taken);
    *room = taken;
    return (char *)block;
}

void http_pool_give(struct http_pool *pool, char *block, size_t room)
{
    struct http_free_block *given = (struct http_free_block *)(void *)block;
    size_t index = index_of(room);

    if (!block)
        return;
    assert(counted(room) <= pool->in_flight);
    pool->in_flight -= counted(room);
    if (index == HTTP_POOL_SIZES || pool->kept + room > HTTP_POOL_KEPT_BYTES_MAX) {
        free(given);
        return;
    }
    given->next = pool->free[index];
    pool->free[index] = given;
    pool->kept += room;
}
