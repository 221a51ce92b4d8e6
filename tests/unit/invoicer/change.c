/*
 * change.c - what may be done with a subscription, and when it takes effect.
 */
#include "invoicer/rules/change.h"
#include "tests/unit/invoicer/billing.h"

#include "common/base/ulid.h"

#include <criterion/criterion.h>
#include <string.h>

/* A free fortnight, then a monthly fee. */
static const char plan[] =
    "{'key':'pro','version':1,'currency':'USD','billingCadence':'P1M',"
    "'alignment':{'billablesMustAlign':true},'phases':["
    "{'key':'trial','duration':'P2W','rateCards':[{'type':'flat_fee','key':'base'}]},"
    "{'key':'default','rateCards':[{'type':'flat_fee','key':'base','billingCadence':'P1M',"
    "'price':{'type':'flat','amount':'99'}}]}]}";

#define SUBSCRIPTION(more)                                                                         \
    "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme',"                                     \
    "'activeFrom':'2026-01-31T00:00:00Z'" more "}"

struct said {
    const char *subscription;
    enum change_action action;
    const char *timing, *now, *billed; /* billed NULL: never */
    const char *effect;                /* a time, or the code of the refusal */
};

static const char running[] = SUBSCRIPTION("");
static const char ending[] = SUBSCRIPTION(",'activeTo':'2026-06-01T00:00:00Z'");
static const char deleted[] =
    SUBSCRIPTION(",'activeTo':'2026-01-31T00:00:00Z','deletedAt':'2026-01-02T00:00:00Z'");

static const struct said table[] = {
    {running, CHANGE_PLAN, "immediate", "2026-03-01T10:00:00Z", NULL, "2026-03-01T10:00:00Z"},
    {running, CHANGE_PLAN, "immediate", "2026-03-01T10:00:00.001Z", NULL, "2026-03-01T10:01:00Z"},
    {running, CHANGE_PLAN, "next_billing_cycle", "2026-03-01T10:00:00Z", NULL,
     "2026-03-14T00:00:00Z"},
    {running, CHANGE_PLAN, "next_billing_cycle", "2026-03-14T00:00:00Z", NULL,
     "2026-04-14T00:00:00Z"},
    {running, CHANGE_PLAN, "next_billing_cycle", "2026-02-01T00:00:00Z", NULL, "no_billable_item"},
    {running, CHANGE_CANCEL, "immediate", "2026-02-01T00:00:00Z", NULL, "2026-02-01T00:00:00Z"},
    {running, CHANGE_PLAN, "2026-03-01T10:00:00Z", "2026-03-01T09:59:30Z", NULL,
     "2026-03-01T10:00:00Z"},
    {running, CHANGE_PLAN, "2026-03-01T09:59:00Z", "2026-03-01T09:59:30Z", NULL,
     "timing_in_the_past"},
    {running, CHANGE_PLAN, "2026-03-20T00:00:00Z", "2026-03-01T00:00:00Z", NULL,
     "2026-03-20T00:00:00Z"},
    {running, CHANGE_CANCEL, "2026-03-20T00:00:00Z", "2026-03-01T00:00:00Z", NULL,
     "timing_not_on_boundary"},
    {running, CHANGE_CANCEL, "2026-04-14T00:00:00Z", "2026-03-01T00:00:00Z", NULL,
     "2026-04-14T00:00:00Z"},
    {running, CHANGE_PLAN, "immediate", "2026-01-31T00:00:00Z", NULL, "invalid_term"},
    {running, CHANGE_PLAN, "immediate", "2026-03-13T23:59:00Z", "2026-03-14T00:00:00Z",
     "subscription_billed"},
    {running, CHANGE_PLAN, "immediate", "2026-03-14T00:00:00Z", "2026-03-14T00:00:00Z",
     "2026-03-14T00:00:00Z"},
    {running, CHANGE_PLAN, "immediate", "2026-01-30T00:00:00Z", NULL, "subscription_scheduled"},
    {running, CHANGE_RESTORE, "immediate", "2026-03-01T00:00:00Z", NULL, "subscription_active"},
    {ending, CHANGE_PLAN, "immediate", "2026-03-01T00:00:00Z", NULL, "subscription_canceled"},
    {ending, CHANGE_CANCEL, "immediate", "2026-03-01T00:00:00Z", NULL, "subscription_canceled"},
    {ending, CHANGE_RESTORE, "immediate", "2026-06-01T00:00:00Z", NULL, "subscription_inactive"},
    {deleted, CHANGE_DELETE, "immediate", "2026-01-03T00:00:00Z", NULL, "subscription_inactive"},
};

static struct instant billed_of(const struct said *said)
{
    return said->billed ? billing_instant(said->billed) : (struct instant){INT64_MIN};
}

Test(change, takes_effect_when_its_timing_says_or_is_refused_with_a_code)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct said *said = &table[i];
        struct instant now = billing_instant(said->now);
        struct change_timing timing, effect;
        struct change_refusal refusal;
        struct billing billing;
        const char *found;
        int r;

        billing_init(&billing, plan, said->subscription);
        cr_assert(change_timing_parse(text_of(said->timing), &timing));
        r = change_is_legal(&billing.subscription, said->action, now, &refusal);
        if (!r)
            r = change_time(&billing.subscription, said->action, &timing, now, billed_of(said),
                            &effect, &refusal);
        found = r ? refusal.code : billing_text(effect.at);
        cr_expect_str_eq(found, said->effect, "%zu: %s instead of %s", i, found, said->effect);
        billing_deinit(&billing);
    }
}

Test(change, at_a_time_that_is_now_is_immediate)
{
    struct change_timing timing, effect;
    struct change_refusal refusal;
    struct billing billing;

    billing_init(&billing, plan, running);
    cr_assert(change_timing_parse(text_of("2026-03-01T10:00:00Z"), &timing));
    cr_assert_eq(change_time(&billing.subscription, CHANGE_PLAN, &timing,
                             billing_instant("2026-03-01T10:00:00Z"), (struct instant){INT64_MIN},
                             &effect, &refusal),
                 0);
    cr_assert_eq(effect.kind, TIMING_IMMEDIATE);
    cr_assert(!change_timing_parse(text_of("2026-03-01T10:00:30Z"), &timing), "a whole minute");
    cr_assert(!change_timing_parse(text_of("tomorrow"), &timing));
    billing_deinit(&billing);
}

static enum subscription_status status_at(const char *subscription, const char *now)
{
    enum subscription_status status;
    struct billing billing;

    billing_init(&billing, plan, subscription);
    status = subscription_status(&billing.subscription, billing_instant(now));
    billing_deinit(&billing);
    return status;
}

Test(change, a_status_follows_from_term_and_time)
{
    cr_assert_eq(status_at(running, "2026-01-30T23:59:59Z"), SUBSCRIPTION_SCHEDULED);
    cr_assert_eq(status_at(running, "2026-01-31T00:00:00Z"), SUBSCRIPTION_ACTIVE);
    cr_assert_eq(status_at(ending, "2026-05-31T23:59:59Z"), SUBSCRIPTION_CANCELED);
    cr_assert_eq(status_at(ending, "2026-06-01T00:00:00Z"), SUBSCRIPTION_INACTIVE);
    cr_assert_eq(status_at(deleted, "2026-01-01T00:00:00Z"), SUBSCRIPTION_SCHEDULED);
    cr_assert_eq(status_at(deleted, "2026-01-02T00:00:00Z"), SUBSCRIPTION_INACTIVE);
}

/* The next one's boundaries lie where the old one's would have been. */
Test(change, an_anchor_keeps_the_boundaries_of_the_phase)
{
    struct billing billing;

    billing_init(&billing, plan, running);
    cr_assert_str_eq(billing_text(periods_anchor(&billing.subscription, 1)), "2026-02-14T00:00:00Z",
                     "each phase is its own");
    billing_deinit(&billing);

    billing_init(&billing, plan, SUBSCRIPTION(",'billingAnchor':'2026-01-05T00:00:00Z'"));
    cr_assert_str_eq(billing_text(periods_anchor(&billing.subscription, 1)), "2026-01-05T00:00:00Z",
                     "the subscription's own");
    billing_deinit(&billing);

    billing_init(&billing,
                 "{'key':'pro','version':1,'currency':'USD','billingCadence':'P1M','phases':["
                 "{'key':'trial','duration':'P1M','rateCards':[{'type':'flat_fee','key':'base'}]},"
                 "{'key':'default','rateCards':[{'type':'flat_fee','key':'base'}]}]}",
                 running);
    cr_assert_str_eq(billing_text(periods_anchor(&billing.subscription, 1)), "2026-01-31T00:00:00Z",
                     "whole months: the 31st isn't lost in February");
    billing_deinit(&billing);
}

/* Quarters and years that begin in a short February: 31 May and 29 February come all the same. */
Test(change, an_anchor_keeps_the_day_that_a_phase_lost_in_a_short_month)
{
    static const char card[] = "'rateCards':[{'type':'flat_fee','key':'base'}]}";
    static const char *const cadences[] = {"P3M", "P1Y"};

    for (size_t i = 0; i < ARRAY_LEN(cadences); i++) {
        struct billing_boundary old, new;
        struct billing before, after;
        char one[256], two[512];

        (void)snprintf(one, sizeof(one),
                       "{'key':'pro','version':1,'currency':'USD','billingCadence':'%s',"
                       "'phases':[{'key':'default',%s]}",
                       cadences[i], card);
        (void)snprintf(two, sizeof(two),
                       "{'key':'pro','version':1,'currency':'USD','billingCadence':'%s','phases':"
                       "[{'key':'trial','duration':'P1M',%s,{'key':'default',%s]}",
                       cadences[i], card, card);
        billing_init(&before, two, running);
        billing_init(&after, one, running);
        after.subscription.active_from = billing_instant("2026-04-10T00:00:00Z");
        after.subscription.anchor = periods_anchor(&before.subscription, 1);
        cr_assert(periods_last_due(&before.subscription, after.subscription.active_from, &old));
        cr_assert(periods_first(&after.subscription, &new));
        for (int boundary = 0; boundary < 40; boundary++) {
            cr_assert(periods_next(&before.subscription, &old, &old));
            cr_assert(periods_next(&after.subscription, &new, &new));
            cr_assert_str_eq(billing_text(new.at), billing_text(old.at), "%s", cadences[i]);
        }
        billing_deinit(&before);
        billing_deinit(&after);
    }
}

Test(change, identifiers_sort_by_the_time_of_their_making)
{
    const uint8_t none[ULID_RANDOM_BYTES] = {0};
    const uint8_t all[ULID_RANDOM_BYTES] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    char earlier[ULID_TEXT_MAX], later[ULID_TEXT_MAX];

    ulid_format(instant_from_ms(1469918176385), all, earlier);
    ulid_format(instant_from_ms(1469918176386), none, later);

    cr_assert_str_eq(earlier, "01ARYZ6S41ZZZZZZZZZZZZZZZZ");
    cr_assert_str_eq(later, "01ARYZ6S420000000000000000");
    cr_assert_lt(strcmp(earlier, later), 0);
}
