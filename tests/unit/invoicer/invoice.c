/*
 * invoice.c - one invoice at a boundary: which lines, which sums, which digest.
 */
#include "invoicer/rules/card_json.h"
#include "invoicer/rules/invoice_digest.h"
#include "tests/unit/invoicer/billing.h"

#include "common/base/fault.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char pro[] =
    "{'key':'pro','version':7,'name':'Pro','currency':'USD','billingCadence':'P1M','phases':["
    "{'key':'trial','name':'Trial','duration':'P1W','rateCards':["
    "{'type':'usage_based','key':'api','featureKey':'api','billingCadence':'P1M'}]},"
    "{'key':'default','name':'Default','rateCards':["
    "{'type':'flat_fee','key':'setup','name':'Set-up',"
    "'price':{'type':'flat','amount':'50','paymentTerm':'in_advance'}},"
    "{'type':'flat_fee','key':'fee','name':'Fee','billingCadence':'P1M',"
    "'price':{'type':'flat','amount':'499','paymentTerm':'in_advance'}},"
    "{'type':'usage_based','key':'api','name':'API calls','featureKey':'api',"
    "'billingCadence':'P1M','price':{'type':'tiered','mode':'graduated','tiers':["
    "{'upToAmount':'1000000','unitPrice':{'type':'unit','amount':'0'}},"
    "{'unitPrice':{'type':'unit','amount':'0.0005'}}]}},"
    "{'type':'flat_fee','key':'support','name':'Support','billingCadence':'P3M',"
    "'price':{'type':'flat','amount':'30','paymentTerm':'in_arrears'},"
    "'discounts':{'percentage':'10'}}]}]}";

static const char subscription[] = "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme',"
                                   "'activeFrom':'2026-01-01T00:00:00Z'}";

/* The lines' ids without the subscription, and their totals, one a line. */
static void assert_lines(const struct billing *billing, const struct invoice *invoice,
                         const char *expected)
{
    CLEANUP(buffer_deinit) struct buffer found = {0};

    for (size_t i = 0; i < invoice->line_count; i++) {
        struct text id = invoice->lines[i].id;

        cr_assert(text_equal(text_cut(&id, '/'), billing->subscription.id));
        buffer_add_text(&found, id);
        buffer_printf(&found, " %s\n", billing_money(billing, invoice->lines[i].total));
    }
    cr_assert(text_is(buffer_text(&found), expected), "%.*s", (int)found.length, found.at);
}

static struct invoice build(struct billing *billing, size_t boundary,
                            const struct invoice_sources *sources)
{
    struct billing_boundary at = billing_boundary_at(billing, boundary);
    struct invoice invoice;

    cr_assert_eq(invoice_build(&billing->subscription, &at, sources, &billing->arena, &invoice), 0);
    return invoice;
}

Test(invoice, fees_of_the_new_period_meet_the_usage_of_the_old_one)
{
    struct billing billing;
    struct invoice_sources sources;
    struct billing_boundary start;
    struct invoice invoice = {.line_count = 99};

    billing_init(&billing, pro, subscription);
    billing_count(&billing, "api", "2026-01-03", "5");
    billing_count(&billing, "api", "2026-01-20", "1000000");
    billing_count(&billing, "api", "2026-02-07", "200000");
    billing_count(&billing, "api", "2026-02-08", "1");
    sources = billing_sources(&billing);

    start = billing_boundary_at(&billing, 0);
    cr_assert_eq(invoice_build(&billing.subscription, &start, &sources, &billing.arena, &invoice),
                 INVOICE_NOTHING, "a free trial");
    cr_assert_eq(invoice.line_count, 99);

    invoice = build(&billing, 1, &sources);
    assert_lines(&billing, &invoice,
                 "default/setup/v[1]/period[0] 50.00\n"
                 "default/fee/v[1]/period[0] 499.00\n");
    cr_assert(text_is(invoice.id, "01ARZ3NDEKTSV4RRFFQ69G5FAV-20260108T0000Z"));

    invoice = build(&billing, 2, &sources);
    assert_lines(&billing, &invoice,
                 "default/fee/v[1]/period[1] 499.00\n"
                 "default/api/v[1]/period[0] 100.00\n");
    cr_assert_str_eq(billing_money(&billing, invoice.total), "599.00");
    cr_assert_eq(invoice.lines[1].detail_count, 2);
    cr_assert_eq(invoice.lines[1].usage.window_count, 2);
    cr_assert(text_is(invoice.lines[1].card->kept.version, "pro@7/default/api"));

    invoice = build(&billing, 4, &sources);
    assert_lines(&billing, &invoice,
                 "default/fee/v[1]/period[3] 499.00\n"
                 "default/api/v[1]/period[2] 0.00\n"
                 "default/support/v[1]/period[0] 27.00\n");
    cr_assert_str_eq(billing_money(&billing, invoice.discount), "3.00");
    billing_deinit(&billing);
}

Test(invoice, the_last_one_bills_what_is_left_and_no_new_fee)
{
    struct billing billing;
    struct invoice_sources sources;
    struct invoice invoice;

    billing_init(&billing, pro,
                 "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme',"
                 "'activeFrom':'2026-01-01T00:00:00Z','activeTo':'2026-02-20T00:00:00Z'}");
    billing_count(&billing, "api", "2026-02-19", "1000002");
    billing_count(&billing, "api", "2026-02-20", "1000002");
    sources = billing_sources(&billing);

    invoice = build(&billing, 3, &sources);

    assert_lines(&billing, &invoice,
                 "default/api/v[1]/period[1] 0.00\n"
                 "default/support/v[1]/period[0] 27.00\n");
    billing_deinit(&billing);
}

Test(invoice, a_yearly_plan_lists_each_month_of_a_monthly_card)
{
    static const char plan[] =
        "{'key':'year','version':1,'name':'Year','currency':'JPY','billingCadence':'P1Y','phases':["
        "{'key':'default','name':'Default','rateCards':["
        "{'type':'flat_fee','key':'fee','name':'Fee','billingCadence':'P1M',"
        "'price':{'type':'flat','amount':'100','paymentTerm':'in_advance'}},"
        "{'type':'usage_based','key':'api','name':'API','featureKey':'api','billingCadence':'P1M',"
        "'price':{'type':'unit','amount':'0.5'}}]}]}";
    struct billing billing;
    struct invoice_sources sources;
    struct invoice invoice;

    billing_init(&billing, plan,
                 "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme',"
                 "'activeFrom':'2026-01-01T00:00:00Z'}");
    billing_count(&billing, "api", "2026-01-31", "3");
    billing_count(&billing, "api", "2026-12-31", "3");
    sources = billing_sources(&billing);

    invoice = build(&billing, 0, &sources);
    cr_assert_eq(invoice.line_count, 12);
    cr_assert_str_eq(billing_money(&billing, invoice.total), "1200");

    invoice = build(&billing, 1, &sources);
    cr_assert_eq(invoice.line_count, 24);
    cr_assert_str_eq(billing_money(&billing, invoice.lines[12].total), "2");
    cr_assert_str_eq(billing_money(&billing, invoice.lines[23].total), "2");
    cr_assert_str_eq(billing_money(&billing, invoice.total), "1204");
    billing_deinit(&billing);
}

/* Of more lines than a room for details holds, some of two tiers and some of none. */
Test(invoice, each_of_many_lines_has_its_own_details)
{
    static const char plan[] =
        "{'key':'day','version':1,'name':'Day','currency':'JPY','billingCadence':'P3M','phases':["
        "{'key':'default','name':'Default','rateCards':["
        "{'type':'usage_based','key':'api','name':'API','featureKey':'api','billingCadence':'P1D',"
        "'price':{'type':'tiered','mode':'graduated','tiers':["
        "{'upToAmount':'10','unitPrice':{'type':'unit','amount':'1'}},"
        "{'unitPrice':{'type':'unit','amount':'100'}}]}}]}]}";
    struct billing billing;
    struct invoice_sources sources;
    struct invoice invoice;
    char day[16], quantity[8];

    billing_init(&billing, plan,
                 "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme',"
                 "'activeFrom':'2026-01-01T00:00:00Z'}");
    for (int i = 0; i < 60; i++) {
        (void)snprintf(day, sizeof(day), "2026-%02d-%02d", i / 28 + 1, i % 28 + 1);
        (void)snprintf(quantity, sizeof(quantity), "%d", i % 20);
        billing_count(&billing, "api", day, quantity);
    }
    sources = billing_sources(&billing);

    invoice = build(&billing, 1, &sources);

    cr_assert_eq(invoice.line_count, 90);
    for (size_t i = 0; i < invoice.line_count; i++) {
        const struct invoice_line *line = &invoice.lines[i];
        struct money sum = {0};

        for (size_t j = 0; j < line->detail_count; j++) {
            cr_assert_eq(line->details[j].tier, j + 1);
            cr_assert_eq(money_add(sum, line->details[j].total, &sum), 0);
        }
        cr_assert_eq(money_compare(sum, line->total), 0, "line %zu", i);
    }
    billing_deinit(&billing);
}

Test(invoice, late_usage_is_billed_as_the_difference_to_what_was_billed)
{
    struct billing billing;
    struct invoice_sources sources;
    struct invoice invoice;
    struct invoice_billed billed[2] = {{0}};

    billing_init(&billing, pro, subscription);
    billing_count(&billing, "api", "2026-01-20", "1200000");
    billing_count(&billing, "api", "2026-01-21", "3");
    sources = billing_sources(&billing);
    for (size_t i = 0; i < 2; i++) {
        billed[i] = (struct invoice_billed){
            .plan = &billing.plan, .phase = 1, .card = 2, .total = {10000}, .adjustments = i};
        billed[i].quantity = decimal_from_int(1200000 + 3 * (int64_t)i);
        cr_assert(periods_card_first(&billing.subscription, 1, &billing.plan.phases[1].cards[2],
                                     &billed[i].period));
    }
    sources.billed = billed;
    sources.billed_count = 2; /* the second has had its adjustment: nothing came in since */

    invoice = build(&billing, 3, &sources);

    assert_lines(&billing, &invoice,
                 "default/fee/v[1]/period[2] 499.00\n"
                 "default/api/v[1]/period[1] 0.00\n"
                 "default/api/v[1]/period[0]/adjustment[1] 0.00\n");
    cr_assert_str_eq(billing_text(invoice.lines[2].period.window.from), "2026-01-08T00:00:00Z");

    billed[0].total.minor = 9000;
    invoice = build(&billing, 3, &sources);
    cr_assert_str_eq(billing_money(&billing, invoice.lines[2].total), "10.00");
    billed[0].total.minor = 11000;
    invoice = build(&billing, 3, &sources);
    cr_assert_str_eq(billing_money(&billing, invoice.lines[2].total), "-10.00");
    cr_assert_str_eq(billing_money(&billing, invoice.total), "489.00");
    ((struct rate_card *)&billing.plan.phases[1].cards[2])->discounts.percent =
        decimal_from_int(10);
    invoice = build(&billing, 3, &sources);
    cr_assert_str_eq(billing_money(&billing, invoice.lines[2].total), "-20.00",
                     "100.00 less 10 %, less the 110.00 billed");
    billing_deinit(&billing);
}

Test(invoice, an_ended_subscription_can_still_be_adjusted)
{
    struct billing billing;
    struct invoice_sources sources;
    struct invoice invoice;
    struct invoice_billed billed = {.phase = 1, .card = 2};
    struct billing_boundary neither = {.at = billing_instant("2026-06-01T00:00:00Z"),
                                       .ended = {.phase = PERIODS_NONE},
                                       .begins = {.phase = PERIODS_NONE}};

    billing_init(&billing, pro, subscription);
    billing_count(&billing, "api", "2026-01-20", "1200000");
    sources = billing_sources(&billing);
    billed.plan = &billing.plan;
    cr_assert(periods_card_first(&billing.subscription, 1, &billing.plan.phases[1].cards[2],
                                 &billed.period));
    sources.billed = &billed;
    sources.billed_count = 1;

    cr_assert_eq(invoice_build(&billing.subscription, &neither, &sources, &billing.arena, &invoice),
                 0);

    assert_lines(&billing, &invoice, "default/api/v[1]/period[0]/adjustment[1] 100.00\n");
    billing_deinit(&billing);
}

Test(invoice, the_digest_is_of_every_input)
{
    struct billing billing;
    struct invoice_sources sources;
    struct invoice invoice, again;
    struct rate_card *card;

    billing_init(&billing, pro, subscription);
    billing_count(&billing, "api", "2026-01-20", "1000000");
    sources = billing_sources(&billing);
    invoice = build(&billing, 2, &sources);
    again = build(&billing, 2, &sources);
    cr_assert_eq(strlen(invoice.digest), 32);
    cr_assert_str_eq(invoice.digest, again.digest);

    billing.counted[0].window.from.ns -= INT64_C(60000000000);
    again = build(&billing, 2, &sources);
    cr_assert_str_neq(invoice.digest, again.digest, "a window");
    billing.counted[0].window.from.ns += INT64_C(60000000000);
    billing.counted[0].quantity.units++;
    again = build(&billing, 2, &sources);
    cr_assert_str_neq(invoice.digest, again.digest, "a quantity");
    billing.counted[0].quantity.units--;
    sources.position.next_offset++;
    again = build(&billing, 2, &sources);
    cr_assert_str_neq(invoice.digest, again.digest, "the position");
    sources.position.next_offset--;
    billing.plan.version++;
    again = build(&billing, 2, &sources);
    cr_assert_str_neq(invoice.digest, again.digest, "the plan's version");
    billing.plan.version--;
    card = (struct rate_card *)&billing.plan.phases[1].cards[1];
    card->discounts.percent.units = 1;
    cr_assert(card_keep(&billing.plan, &billing.plan.phases[1], card, &billing.arena));
    again = build(&billing, 2, &sources);
    cr_assert_str_neq(invoice.digest, again.digest, "a discount");
    card->discounts.percent.units = 0;
    cr_assert(card_keep(&billing.plan, &billing.plan.phases[1], card, &billing.arena));
    again = build(&billing, 2, &sources);
    cr_assert_str_eq(invoice.digest, again.digest);
    billing_deinit(&billing);
}

Test(invoice, what_it_cannot_bill_is_an_outcome)
{
    struct billing billing;
    struct invoice_sources sources;
    struct invoice invoice = {.line_count = 99};
    struct billing_boundary at;
    struct arena small;

    billing_init(&billing, pro, subscription);
    billing_count(&billing, "api", "2026-01-20", "1");
    sources = billing_sources(&billing);
    at = billing_boundary_at(&billing, 2);

    billing.counted[0].quantity.units = -1;
    cr_assert_eq(invoice_build(&billing.subscription, &at, &sources, &billing.arena, &invoice),
                 INVOICE_NOT_RATED);
    billing.counted[0].quantity.units = (int128)(~(uint128)0 >> 1);
    cr_assert_eq(invoice_build(&billing.subscription, &at, &sources, &billing.arena, &invoice), 0,
                 "10^26 units at 0.0005 still have room");
    billing.counted[0].quantity.units = 1;
    billing.fault = FAULT_RETRY;
    cr_assert_eq(invoice_build(&billing.subscription, &at, &sources, &billing.arena, &invoice),
                 FAULT_RETRY);
    billing.fault = 0;
    for (size_t limit = 0; limit < 4096; limit += 64) {
        int r;

        arena_init(&small, limit);
        r = invoice_build(&billing.subscription, &at, &sources, &small, &invoice);
        cr_assert(r == 0 || r == INVOICE_NO_MEMORY, "%d", r);
        arena_deinit(&small);
    }
    billing_deinit(&billing);
}

static const char yearly[] =
    "{'key':'annual','version':1,'currency':'USD','billingCadence':'P1Y','phases':[{'key':'p',"
    "'rateCards':[{'type':'flat_fee','key':'fee','billingCadence':'P3M','price':{'type':'flat',"
    "'amount':'10'}},{'type':'flat_fee','key':'year','billingCadence':'P1Y','price':{'type':'flat',"
    "'amount':'1'}}]}]}";

/* Of the only card that recurs within the year. */
static int fees_until(void *context, const struct phase *phase, const struct rate_card *card,
                      const struct billing_period *period, struct instant *until)
{
    cr_assert(text_is(phase->key, "p") && text_is(card->key, "fee") && context);
    cr_assert_str_eq(billing_text(period->window.from), "2026-01-01T00:00:00Z");
    *until = billing_instant("2026-05-15T00:00:00Z");
    return 0;
}

/* It was to end on 15 May when its first year was billed, and goes on. */
Test(invoice, fees_that_were_not_billed_when_their_year_began_are_when_it_ends)
{
    struct billing billing;
    struct invoice_sources sources;
    struct invoice invoice;

    billing_init(&billing, yearly, subscription);
    sources = billing_sources(&billing);
    sources.fees_until = fees_until;
    invoice = build(&billing, 1, &sources);

    assert_lines(&billing, &invoice,
                 "p/fee/v[1]/period[2] 10.00\np/fee/v[1]/period[3] 10.00\n"
                 "p/fee/v[1]/period[4] 10.00\np/fee/v[1]/period[5] 10.00\n"
                 "p/fee/v[1]/period[6] 10.00\np/fee/v[1]/period[7] 10.00\n"
                 "p/year/v[1]/period[1] 1.00\n");
    billing_deinit(&billing);
}
