/*
 * arena.c - memory that dies together.
 */
#include "common/base/arena.h"

#include <criterion/criterion.h>
#include <stdalign.h>
#include <string.h>

Test(arena, gives_aligned_zeroed_memory_again_after_a_reset)
{
    CLEANUP(arena_deinit) struct arena arena;
    arena_init(&arena, 1 << 20);

    for (int round = 0; round < 3; round++) {
        for (size_t size = 0; size < 1000; size += 7) {
            unsigned char *at = arena_take(&arena, size);

            cr_assert_not_null(at);
            cr_assert_eq((uintptr_t)at % alignof(max_align_t), 0);
            for (size_t i = 0; i < size; i++)
                cr_assert_eq(at[i], 0);
            memset(at, 0xff, size);
        }
        arena_reset(&arena);
        cr_assert_eq(arena.used, 0);
    }
}

Test(arena, gives_up_to_its_limit_and_no_byte_more)
{
    CLEANUP(arena_deinit) struct arena arena;
    arena_init(&arena, 256 * 1024);

    cr_assert_null(arena_take(&arena, 256 * 1024 + 1));
    cr_assert_not_null(arena_take(&arena, 200 * 1024));
    cr_assert_not_null(arena_take(&arena, 56 * 1024));
    cr_assert_null(arena_take(&arena, 1));
    cr_assert_null(arena_take_unset(&arena, 1));
    cr_assert_null(arena_take(&arena, SIZE_MAX));

    arena_reset(&arena);
    cr_assert_not_null(arena_take(&arena, 256 * 1024));
}

Test(arena, leaves_unset_what_is_written_at_once)
{
    CLEANUP(arena_deinit) struct arena arena;
    arena_init(&arena, 1 << 20);

    for (size_t size = 0; size < 1000; size += 7) {
        unsigned char *at = arena_take_unset(&arena, size), *zeroed;

        cr_assert_eq((uintptr_t)at % alignof(max_align_t), 0);
        memset(at, 0xff, size);
        zeroed = arena_take(&arena, 16);
        for (size_t i = 0; i < size; i++)
            cr_assert_eq(at[i], 0xff);
        for (size_t i = 0; i < 16; i++)
            cr_assert_eq(zeroed[i], 0);
    }
}

Test(arena, copies_texts_and_keeps_absent_apart_from_empty)
{
    CLEANUP(arena_deinit) struct arena arena;
    char source[] = "abc";
    struct text copy;
    arena_init(&arena, 64);

    copy = arena_copy(&arena, text_of(source));
    source[0] = 'x';

    cr_assert(text_is(copy, "abc"));
    cr_assert(text_is_absent(arena_copy(&arena, text_of(NULL))));
    cr_assert(text_equal(arena_copy(&arena, text_of("")), text_of("")));
    cr_assert(
        text_is_absent(arena_copy(&arena, text_from("0123456789012345678901234567890123", 34))),
        "a full arena");
}
