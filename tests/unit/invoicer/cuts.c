#include "invoicer/rules/cuts.h"

#include "proto/catalog.h"

#include <criterion/criterion.h>

static size_t cuts_for(const char *subscription, const char *plan, uint16_t *cuts)
{
    json_t *a = json_loads(subscription, 0, NULL), *b = json_loads(plan, 0, NULL);
    size_t count = 99;

    cr_assert(a && b);
    cr_assert_eq(cuts_of(a, b, cuts, &count), 0);
    json_decref(a);
    json_decref(b);
    return count;
}

Test(cuts, a_subscription_that_starts_at_midnight_has_one_cut)
{
    uint16_t cuts[CATALOG_CUTS_MAX];

    cr_assert_eq(cuts_for("{\"activeFrom\":\"2026-01-01T00:00:00Z\"}",
                          "{\"billingCadence\":\"P1M\",\"phases\":[{\"rateCards\":[]}]}", cuts),
                 1);
    cr_assert_eq(cuts[0], 0);
}

Test(cuts, start_end_anchor_and_phases_each_cut_the_day)
{
    uint16_t cuts[CATALOG_CUTS_MAX];

    cr_assert_eq(cuts_for("{\"activeFrom\":\"2026-01-01T10:30:00Z\",\"activeTo\":"
                          "\"2026-05-01T23:59:00Z\",\"billingAnchor\":\"2026-01-05T00:00:00Z\"}",
                          "{\"billingCadence\":\"P1M\",\"phases\":[{\"duration\":\"P1WT90M\","
                          "\"rateCards\":[]},{\"rateCards\":[]}]}",
                          cuts),
                 4);
    cr_assert_eq(cuts[0], 0);
    cr_assert_eq(cuts[1], 10 * 60 + 30);
    cr_assert_eq(cuts[2], 12 * 60);
    cr_assert_eq(cuts[3], 23 * 60 + 59);
}

Test(cuts, an_hourly_cadence_cuts_every_hour_at_its_minute)
{
    uint16_t cuts[CATALOG_CUTS_MAX];

    cr_assert_eq(cuts_for("{\"activeFrom\":\"2026-01-01T10:07:00Z\"}",
                          "{\"billingCadence\":\"PT1H\",\"phases\":[{\"rateCards\":[]}]}", cuts),
                 24);
    for (int i = 0; i < 24; i++)
        cr_assert_eq(cuts[i], i * 60 + 7);
}

/* Its own minute, its anchor's, and a third one of the hour. */
Test(cuts, whatever_began_can_end_at_any_minute)
{
    uint16_t cuts[CATALOG_CUTS_MAX];

    cr_assert_eq(cuts_for("{\"activeFrom\":\"2026-01-01T00:01:00Z\",\"billingAnchor\":"
                          "\"2026-01-01T00:02:00Z\",\"activeTo\":\"2027-01-01T07:03:00Z\"}",
                          "{\"billingCadence\":\"PT1H\",\"phases\":[{\"rateCards\":[]}]}", cuts),
                 CATALOG_CUTS_MAX);
    cr_assert_eq(cuts[16], 7 * 60 + 3);
}

Test(cuts, more_than_fit_are_an_outcome_that_writes_nothing)
{
    json_t *subscription = json_loads("{\"activeFrom\":\"2026-01-01T00:01:00Z\",\"billingAnchor\":"
                                      "\"2026-01-01T00:02:00Z\"}",
                                      0, NULL);
    json_t *plan = json_loads("{\"billingCadence\":\"PT1H\",\"phases\":[{\"duration\":\"PT1H2M\"},"
                              "{}]}",
                              0, NULL);
    uint16_t cuts[CATALOG_CUTS_MAX];
    size_t count = 7;

    cr_assert_eq(cuts_of(subscription, plan, cuts, &count), CUTS_TOO_MANY);

    cr_assert_eq(count, 7);
    json_decref(subscription);
    json_decref(plan);
}
