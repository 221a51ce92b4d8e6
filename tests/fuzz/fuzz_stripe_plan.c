/*
 * fuzz_stripe_plan.c - any bytes as an invoice for Stripe, or as a customer: refused, or planned,
 * with lines that sum to the total.
 */
#include "invoicer/rules/stripe_plan.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static void plan(struct text invoice, const struct stripe_terms *terms, struct arena *arena)
{
    const struct stripe_step *steps;
    struct stripe_expected expected;
    char why[STRIPE_WHY_MAX];
    int64_t sum = 0;
    size_t count;

    if (stripe_expect(invoice, arena, &expected, why))
        return;
    assert(expected.line_count > 0 && expected.line_count <= STRIPE_LINES_MAX);
    for (size_t i = 0; i < expected.line_count; i++) {
        assert(expected.lines[i].description.length <= 500);
        assert(text_is_utf8(expected.lines[i].description));
        assert(expected.lines[i].to_s >= expected.lines[i].from_s);
        sum += expected.lines[i].amount;
    }
    assert(sum == expected.total);
    if (stripe_plan(invoice, &expected, terms, text_of("cus_1"), 1, arena, &steps, &count))
        return;
    for (size_t i = 0; i < count; i++)
        assert(steps[i].path.length && steps[i].key.length && steps[i].body.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const struct stripe_terms terms = {.account = {"acct_1", 6}, .bucket = {"demo", 4}};
    CLEANUP(arena_deinit) struct arena arena;
    struct text text = text_from(bytes, length);
    struct stripe_step step;

    arena_init(&arena, 4 << 20);
    plan(text, &terms, &arena);
    arena_reset(&arena);
    if (stripe_plan_customer(text, &terms, 1, &arena, &step) == 0)
        assert(step.body.length > 0);
    return 0;
}
