#include "aggregator/rules/pages.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    PAGES_OWN_BYTES = 128 << 10, /* less is malloc's */
    PAGES_HUGE_BYTES = 2 << 20,
    PAGES_SMALL_BYTES = 4096,
    PAGES_LINE_BYTES = 64
};

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

/* Addresses that begin where a huge page may: no kernel moves one to elsewhere in one piece. */
static void *map(size_t bytes, int protection)
{
    size_t whole = round_up(bytes, PAGES_SMALL_BYTES), skipped;
    char *range =
        mmap(NULL, whole + PAGES_HUGE_BYTES, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (range == MAP_FAILED)
        abort();
    skipped = -(uintptr_t)range % PAGES_HUGE_BYTES;
    if (skipped > 0)
        munmap(range, skipped);
    munmap(range + skipped + whole, PAGES_HUGE_BYTES - skipped);
    return range + skipped;
}

static void *small(size_t bytes)
{
    size_t whole = round_up(bytes, PAGES_LINE_BYTES);
    void *pages = aligned_alloc(PAGES_LINE_BYTES, whole);

    assert(bytes > 0);
    if (!pages)
        abort();
    return memset(pages, 0, whole);
}

void *pages_new_sparse(size_t bytes)
{
    return bytes < PAGES_OWN_BYTES ? small(bytes) : map(bytes, PROT_READ | PROT_WRITE);
}

static void *advise(void *pages, size_t bytes)
{
    if (bytes >= PAGES_HUGE_BYTES)
        (void)madvise(pages, bytes, MADV_HUGEPAGE);
    return pages;
}

void *pages_new(size_t bytes)
{
    return advise(pages_new_sparse(bytes), bytes);
}

size_t pages_whole(size_t bytes)
{
    return round_up(bytes, bytes < PAGES_HUGE_BYTES ? PAGES_LINE_BYTES : PAGES_HUGE_BYTES);
}

void *pages_grow(void *old, size_t old_bytes, size_t bytes)
{
    void *pages;

    assert(bytes >= old_bytes);
    if (old_bytes >= PAGES_OWN_BYTES) {
        pages = mremap(old, old_bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, map(bytes, PROT_NONE));
        if (pages == MAP_FAILED)
            abort();
        return advise(pages, bytes);
    }
    pages = pages_new(bytes);
    if (old)
        memcpy(pages, old, old_bytes);
    pages_free(old, old_bytes);
    return pages;
}

void pages_free(void *pages, size_t bytes)
{
    if (pages && bytes >= PAGES_OWN_BYTES)
        munmap(pages, bytes);
    else
        free(pages);
}
