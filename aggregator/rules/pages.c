#include "aggregator/rules/pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGES_HUGE_BYTES = 2 << 20, PAGES_LINE_BYTES = 64 };

static void *map_huge(size_t bytes)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED)
        abort();
    (void)madvise(pages, bytes, MADV_HUGEPAGE);
    return pages;
}

void *pages_new(size_t bytes)
{
    size_t whole = (bytes + PAGES_LINE_BYTES - 1) / PAGES_LINE_BYTES * PAGES_LINE_BYTES;
    void *pages;

    assert(bytes > 0);
    if (bytes >= PAGES_HUGE_BYTES)
        return map_huge(bytes);
    pages = aligned_alloc(PAGES_LINE_BYTES, whole);
    if (!pages)
        abort();
    return memset(pages, 0, whole);
}

void pages_free(void *pages, size_t bytes)
{
    if (pages && bytes >= PAGES_HUGE_BYTES)
        munmap(pages, bytes);
    else
        free(pages);
}
