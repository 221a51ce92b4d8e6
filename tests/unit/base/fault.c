/*
 * fault.c - the last fault keeps its text and its way.
 */
#include "common/base/fault.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

static int innermost(void)
{
    return fault(FAULT_RETRY, "broker %s", "gone");
}

static int middle(void)
{
    int r = innermost();

    return fault_pass(r);
}

Test(fault, keeps_the_code_the_text_and_the_way)
{
    cr_assert_eq(middle(), FAULT_RETRY);

    cr_assert_str_eq(fault_text(), "broker gone");
    cr_assert_eq(strncmp(fault_trace(), "innermost:", 10), 0);
    cr_assert_not_null(strstr(fault_trace(), " < middle:"));
}

Test(fault, the_next_one_may_quote_the_last)
{
    (void)!middle();
    (void)!fault(FAULT_STOP, "then: %s", fault_text());

    cr_assert_str_eq(fault_text(), "then: broker gone");
    cr_assert_null(strstr(fault_trace(), "middle"));
}

Test(fault, a_long_way_is_cut_at_its_outer_end)
{
    (void)!innermost();
    for (int i = 0; i < 200; i++)
        (void)!fault_pass(FAULT_RETRY);

    cr_assert_eq(strncmp(fault_trace(), "innermost:", 10), 0);
}

Test(fault, an_outcome_passed_up_is_our_mistake, .signal = SIGABRT)
{
    (void)!fault_pass(1);
}
