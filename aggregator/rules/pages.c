#include "aggregator/rules/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGES_HUGE_BYTES = 2 << 20, PAGES_LINE_BYTES = 64 };

static void *map(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED)
        abort();
    return pages;
}

static void *small(size_t bytes)
{
    size_t whole = (bytes + PAGES_LINE_BYTES - 1) / PAGES_LINE_BYTES * PAGES_LINE_BYTES;
    void *pages = aligned_alloc(PAGES_LINE_BYTES, whole);

    assert(bytes > 0);
    if (!pages)
        abort();
    return memset(pages, 0, whole);
}

void *pages_new_sparse(size_t bytes)
{
    return bytes < PAGES_HUGE_BYTES ? small(bytes) : map(bytes);
}

void *pages_new(size_t bytes)
{
    void *pages = pages_new_sparse(bytes);

    if (bytes >= PAGES_HUGE_BYTES)
        (void)madvise(pages, bytes, MADV_HUGEPAGE);
    return pages;
}

void pages_free(void *pages, size_t bytes)
{
    if (pages && bytes >= PAGES_HUGE_BYTES)
        munmap(pages, bytes);
    else
        free(pages);
}
