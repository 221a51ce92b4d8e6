#include "common/io/heap.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECES = 65536, PIECE_BYTES = 1024 };

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

Test(heap, what_was_freed_and_lies_unused_goes_back_to_the_system)
{
    char *last = leave_a_hole();
    long before = resident_bytes();

    if (mallinfo2().hblkhd + mallinfo2().arena < (size_t)PIECES * PIECE_BYTES)
        cr_skip_test("a sanitizer has a malloc of its own");
    heap_give_back();
    cr_assert_lt(resident_bytes(), before - (long)PIECES * PIECE_BYTES / 2);
    free(last);
}
