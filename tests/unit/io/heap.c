#include "common/io/heap.h"
#include "common/io/store.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECES = 65536, PIECE_BYTES = 1024, TABLE_BYTES = 16 << 20 };

static long resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long all, resident;

    cr_assert(file);
    cr_assert_eq(fscanf(file, "%ld %ld", &all, &resident), 2);
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

/* The last piece stays, so that what was freed isn't the heap's end, which free gives back. */
static char *leave_a_hole(void)
{
    static char *pieces[PIECES];

    for (int i = 0; i < PIECES; i++) {
        pieces[i] = malloc(PIECE_BYTES);
        cr_assert(pieces[i]);
        memset(pieces[i], i, PIECE_BYTES);
    }
    for (int i = 0; i < PIECES - 1; i++)
        free(pieces[i]);
    return pieces[PIECES - 1];
}

static bool has_malloc_of_its_own(void)
{
    return mallinfo2().hblkhd + mallinfo2().arena < (size_t)PIECES * PIECE_BYTES;
}

Test(heap, what_was_freed_and_lies_unused_goes_back_to_the_system)
{
    char *last = leave_a_hole();
    long before = resident_bytes();

    if (has_malloc_of_its_own())
        cr_skip_test("a sanitizer has a malloc of its own");
    heap_give_back();
    cr_assert_lt(resident_bytes(), before - (long)PIECES * PIECE_BYTES / 2);
    free(last);
}

Test(heap, with_holes_filled_a_table_takes_memory_only_where_it_is_touched)
{
    char *last = leave_a_hole();
    struct heap_hole *holes;
    volatile char *table;
    long before;

    if (has_malloc_of_its_own())
        cr_skip_test("a sanitizer has a malloc of its own");
    heap_give_back();
    before = resident_bytes();
    holes = heap_fill_holes();
    table = calloc(1, TABLE_BYTES);
    heap_open_holes(holes);
    cr_assert_eq(table[0], 0);
    cr_assert_lt(resident_bytes(), before + TABLE_BYTES / 4);
    free((char *)table);
    free(last);
}

/* LMDB's lists are 3 MiB. */
Test(heap, a_store_takes_memory_only_for_what_it_uses)
{
    static const char *const tables[] = {"t"};
    char folder[] = "/tmp/tollway-heap-XXXXXX", command[64], *last = leave_a_hole();
    struct store *store = NULL;
    long before;

    if (has_malloc_of_its_own())
        cr_skip_test("a sanitizer has a malloc of its own");
    cr_assert_not_null(mkdtemp(folder));
    heap_give_back();
    before = resident_bytes();
    cr_assert_eq(store_open(folder, tables, 1, 1 << 20, 1, &store), 0);
    cr_assert_lt(resident_bytes(), before + (1 << 20));
    store_close(store);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
    free(last);
}
