/*
 * periods.c - a subscription's billing periods and when its charges fall due.
 */
#include "tests/unit/invoicer/billing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define CARD                                                                                       \
    "{'type':'flat_fee','key':'fee','name':'Fee','billingCadence':'P1M',"                          \
    "'price':{'type':'flat','amount':'10','paymentTerm':'in_advance'}}"
#define PLAN(cadence, phases)                                                                      \
    "{'key':'pro','version':1,'name':'Pro','currency':'USD','billingCadence':'" cadence            \
    "','phases':[" phases "]}"
#define LAST_PHASE "{'key':'default','name':'Default','rateCards':[" CARD "]}"
#define TRIAL(key, duration)                                                                       \
    "{'key':'" key "','name':'Trial','duration':'" duration "','rateCards':[" CARD "]},"
#define SUBSCRIPTION(members) "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme'," members "}"

static void assert_boundaries(const struct billing *billing, const char *const *expected,
                              size_t count)
{
    struct billing_boundary boundary;
    bool found = periods_first(&billing->subscription, &boundary);

    for (size_t i = 0; i < count; i++) {
        cr_assert(found, "boundary %zu", i);
        cr_assert_str_eq(billing_text(boundary.at), expected[i]);
        cr_assert_eq(boundary.ended.phase == PERIODS_NONE, i == 0);
        if (i > 0)
            cr_assert_str_eq(billing_text(boundary.ended.window.from), expected[i - 1]);
        if (boundary.begins.phase != PERIODS_NONE)
            cr_assert_eq(instant_compare(boundary.begins.window.from, boundary.at), 0);
        found = periods_next(&billing->subscription, &boundary, &boundary);
    }
}

Test(periods, count_months_from_the_start)
{
    static const char *const expected[] = {"2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z",
                                           "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z"};
    struct billing billing;

    billing_init(&billing, PLAN("P1M", LAST_PHASE),
                 SUBSCRIPTION("'activeFrom':'2026-01-31T00:00:00Z'"));

    assert_boundaries(&billing, expected, ARRAY_LEN(expected));
    billing_deinit(&billing);
}

Test(periods, begin_anew_with_each_phase)
{
    static const char *const expected[] = {"2026-01-05T10:00:00Z", "2026-01-12T10:00:00Z",
                                           "2026-02-12T10:00:00Z", "2026-03-12T10:00:00Z"};
    struct billing billing;

    billing_init(&billing, PLAN("P1M", TRIAL("trial", "P1W") LAST_PHASE),
                 SUBSCRIPTION("'activeFrom':'2026-01-05T10:00:00Z'"));

    assert_boundaries(&billing, expected, ARRAY_LEN(expected));
    cr_assert_eq(billing_boundary_at(&billing, 1).ended.phase, 0);
    cr_assert_eq(billing_boundary_at(&billing, 1).begins.phase, 1);
    billing_deinit(&billing);
}

/* A two-week trial that ends on the 3rd bills on the 3rd of every month. */
Test(periods, follow_a_phase_of_days_from_its_end)
{
    static const char *const expected[] = {"2026-01-20T00:00:00Z", "2026-02-03T00:00:00Z",
                                           "2026-03-03T00:00:00Z", "2026-04-03T00:00:00Z"};
    struct billing billing;

    billing_init(&billing, PLAN("P1M", TRIAL("trial", "P2W") TRIAL("intro", "P1M") LAST_PHASE),
                 SUBSCRIPTION("'activeFrom':'2026-01-20T00:00:00Z'"));

    assert_boundaries(&billing, expected, ARRAY_LEN(expected));
    billing_deinit(&billing);
}

/* 31 January + 1 month + 1 month is 31 March, by way of 28 February. */
Test(periods, phases_of_months_are_counted_from_the_start_too)
{
    static const char *const expected[] = {"2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z",
                                           "2026-03-31T00:00:00Z", "2026-04-30T00:00:00Z"};
    struct billing billing;

    billing_init(&billing, PLAN("P1M", TRIAL("one", "P1M") TRIAL("two", "P1M") LAST_PHASE),
                 SUBSCRIPTION("'activeFrom':'2026-01-31T00:00:00Z'"));

    assert_boundaries(&billing, expected, ARRAY_LEN(expected));
    billing_deinit(&billing);
}

Test(periods, longer_ones_begin_with_their_phase_and_keep_the_day_of_the_start)
{
    static const char *const expected[] = {"2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z",
                                           "2026-05-31T00:00:00Z", "2026-08-31T00:00:00Z"};
    struct billing billing;

    billing_init(&billing, PLAN("P3M", TRIAL("trial", "P1M") LAST_PHASE),
                 SUBSCRIPTION("'activeFrom':'2026-01-31T00:00:00Z'"));

    assert_boundaries(&billing, expected, ARRAY_LEN(expected));
    billing_deinit(&billing);
}

Test(periods, an_anchor_of_their_own_cuts_the_first_one_short_in_every_phase)
{
    static const char *const expected[] = {"2026-01-15T00:00:00Z", "2026-01-22T00:00:00Z",
                                           "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"};
    struct billing billing;

    billing_init(&billing, PLAN("P1M", TRIAL("trial", "P1W") LAST_PHASE),
                 SUBSCRIPTION("'activeFrom':'2026-01-15T00:00:00Z',"
                              "'billingAnchor':'2025-12-01T00:00:00Z'"));

    assert_boundaries(&billing, expected, ARRAY_LEN(expected));
    billing_deinit(&billing);
}

Test(periods, end_with_the_subscription)
{
    static const char *const expected[] = {"2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z",
                                           "2026-02-10T12:00:00Z"};
    struct billing billing;
    struct billing_boundary last, next;

    billing_init(&billing, PLAN("P1M", LAST_PHASE),
                 SUBSCRIPTION("'activeFrom':'2026-01-01T00:00:00Z',"
                              "'activeTo':'2026-02-10T12:00:00Z'"));

    assert_boundaries(&billing, expected, ARRAY_LEN(expected));
    last = billing_boundary_at(&billing, 2);
    cr_assert_eq(last.begins.phase, PERIODS_NONE);
    cr_assert_not(periods_next(&billing.subscription, &last, &next));
    cr_assert(
        periods_last_due(&billing.subscription, billing_instant("2030-01-01T00:00:00Z"), &next));
    cr_assert_eq(instant_compare(next.at, last.at), 0);
    cr_assert_eq(next.begins.phase, PERIODS_NONE);
    billing_deinit(&billing);
}

Test(periods, a_subscription_that_ends_as_it_starts_has_none)
{
    struct billing billing;
    struct billing_boundary boundary;

    billing_init(&billing, PLAN("P1M", LAST_PHASE),
                 SUBSCRIPTION("'activeFrom':'2026-01-01T00:00:00Z',"
                              "'activeTo':'2026-01-01T00:00:00Z'"));

    cr_assert_not(periods_first(&billing.subscription, &boundary));
    billing_deinit(&billing);
}

/* Whatever the plan, what is due at a random time is what walking there finds. */
Test(periods, the_last_due_is_where_the_walk_stands)
{
    static const char *const cadences[] = {"PT1H", "P1D", "P1W", "P4W", "P1M", "P3M", "P1Y"};

    srand(3);
    for (int i = 0; i < 300; i++) {
        char plan[1024], subscription[256];
        struct billing billing;
        struct billing_boundary walked, next, due;
        struct instant at;

        (void)snprintf(plan, sizeof(plan),
                       "{'key':'pro','version':1,'name':'Pro','currency':'USD',"
                       "'billingCadence':'%s','phases':[" TRIAL("trial", "P5D") LAST_PHASE "]}",
                       cadences[rand() % 7]);
        (void)snprintf(subscription, sizeof(subscription),
                       SUBSCRIPTION("'activeFrom':'2024-%02d-%02dT%02d:30:00Z'%s"), rand() % 12 + 1,
                       rand() % 28 + 1, rand() % 24,
                       rand() % 2 ? ",'billingAnchor':'2023-12-31T07:15:00Z'" : "");
        billing_init(&billing, plan, subscription);
        at = instant_from_minute(instant_minute(billing.subscription.active_from) +
                                 rand() % (100 * 1440));

        cr_assert(periods_first(&billing.subscription, &walked));
        while (periods_next(&billing.subscription, &walked, &next) &&
               instant_compare(next.at, at) <= 0) {
            cr_assert_eq(instant_compare(next.ended.window.from, walked.at), 0);
            cr_assert_gt(instant_compare(next.at, walked.at), 0);
            walked = next;
        }
        cr_assert(periods_last_due(&billing.subscription, at, &due));
        cr_assert_eq(instant_compare(due.at, walked.at), 0, "%s %s", plan, subscription);
        cr_assert_eq(due.ended.phase, walked.ended.phase);
        cr_assert_eq(due.ended.window.from.ns, walked.ended.window.from.ns);
        cr_assert_eq(due.begins.phase, walked.begins.phase);
        cr_assert_eq(due.begins.window.to.ns, walked.begins.window.to.ns);
        billing_deinit(&billing);
    }
}

Test(periods, a_card_counts_its_own_from_the_phase)
{
    struct billing billing;
    struct rate_card card = {.cadence = {.months = 3}};
    struct rate_card once = {.is_once = true};
    struct card_period period;

    billing_init(&billing, PLAN("P1M", TRIAL("trial", "P1W") LAST_PHASE),
                 SUBSCRIPTION("'activeFrom':'2026-01-15T00:00:00Z',"
                              "'billingAnchor':'2025-11-01T00:00:00Z'"));

    cr_assert(periods_card_first(&billing.subscription, 1, &card, &period));
    cr_assert_eq(period.index, 0);
    cr_assert_str_eq(billing_text(period.window.from), "2026-01-22T00:00:00Z");
    cr_assert_str_eq(billing_text(period.window.to), "2026-02-01T00:00:00Z");
    cr_assert(periods_card_next(&billing.subscription, 1, &card, &period, &period));
    cr_assert_eq(period.index, 1);
    cr_assert_str_eq(billing_text(period.window.to), "2026-05-01T00:00:00Z");
    cr_assert(periods_card_at(&billing.subscription, 0, &once,
                              billing_instant("2026-01-20T00:00:00Z"), &period));
    cr_assert_str_eq(billing_text(period.window.to), "2026-01-22T00:00:00Z");
    cr_assert_not(periods_card_at(&billing.subscription, 0, &once,
                                  billing_instant("2026-01-22T00:00:00Z"), &period));
    cr_assert_not(periods_card_next(&billing.subscription, 0, &once, &period, &period));
    billing_deinit(&billing);
}
