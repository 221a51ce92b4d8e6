/*
 * fuzz_stripe_delivery.c - any bytes as the record of a delivery: refused, or what is written of it
 * reads and writes the same.
 */
#include "invoicer/rules/stripe_delivery.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    CLEANUP(buffer_deinit) struct buffer json = {0}, again = {0};
    CLEANUP(arena_deinit) struct arena arena;
    struct text text = text_from(bytes, length);
    struct stripe_delivery delivery;

    arena_init(&arena, 4 << 20);
    (void)stripe_delivery_is_settled(text);
    if (stripe_delivery_read(text, &arena, &delivery))
        return 0;
    stripe_delivery_write(&delivery, &json);
    if (stripe_delivery_read(buffer_text(&json), &arena, &delivery))
        assert(!"what is written is read");
    stripe_delivery_write(&delivery, &again);
    assert(text_equal(buffer_text(&json), buffer_text(&again)));
    return 0;
}
