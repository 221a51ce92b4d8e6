/*
 * backtest.c - what a range costs by a plan, and how differences are summed up and shown.
 */
#include "invoicer/rules/backtest.h"
#include "tests/unit/invoicer/billing.h"

#include <criterion/criterion.h>
#include <string.h>

static const char team[] =
    "{'key':'team','version':2,'name':'Team','currency':'USD','billingCadence':'P1M','phases':["
    "{'key':'trial','name':'Trial','duration':'P2W','rateCards':["
    "{'type':'usage_based','key':'api','featureKey':'api','billingCadence':'P1M'}]},"
    "{'key':'default','name':'Default','rateCards':["
    "{'type':'flat_fee','key':'fee','name':'Fee','billingCadence':'P1M',"
    "'price':{'type':'flat','amount':'29','paymentTerm':'in_advance'}},"
    "{'type':'usage_based','key':'api','name':'API calls','featureKey':'api',"
    "'billingCadence':'P1M','price':{'type':'unit','amount':'0.01'}}]}]}";
static const char subscription[] = "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme',"
                                   "'activeFrom':'2026-01-01T00:00:00Z',"
                                   "'activeTo':'2026-07-04T00:00:00Z'}";

static void init_half_a_year(struct billing *billing)
{
    char day[16];

    billing_init(billing, team, subscription);
    for (int month = 1; month <= 6; month++) {
        (void)snprintf(day, sizeof(day), "2026-%02d-20", month);
        billing_count(billing, "api", day, "150");
    }
}

static struct money price(struct billing *billing, const char *from, const char *to)
{
    struct invoice_sources sources = billing_sources(billing);
    struct window range = {billing_instant(from), billing_instant(to)};
    struct money total;

    cr_assert_eq(backtest_price(&billing->subscription, range, &sources, &billing->arena, &total),
                 0);
    return total;
}

Test(backtest, a_whole_life_costs_what_its_invoices_come_to)
{
    struct billing billing;
    struct invoice_sources sources;
    struct billing_boundary boundary;
    struct invoice invoice;
    struct money sum = {0};
    bool found;

    init_half_a_year(&billing);
    sources = billing_sources(&billing);
    for (found = periods_first(&billing.subscription, &boundary); found;
         found = periods_next(&billing.subscription, &boundary, &boundary)) {
        int r = invoice_build(&billing.subscription, &boundary, &sources, &billing.arena, &invoice);

        cr_assert(r == 0 || r == INVOICE_NOTHING);
        if (r == 0)
            cr_assert_eq(money_add(sum, invoice.total, &sum), 0);
    }
    cr_assert(sum.minor > 0);
    cr_assert(price(&billing, "2026-01-01T00:00:00Z", "2026-07-05T00:00:00Z").minor == sum.minor);
    billing_deinit(&billing);
}

Test(backtest, ranges_side_by_side_add_up)
{
    static const char *const cuts[] = {"2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z",
                                       "2026-01-15T00:00:00Z", "2026-02-15T00:00:00Z",
                                       "2026-04-02T10:00:00Z", "2026-07-04T00:00:00Z",
                                       "2026-09-01T00:00:00Z"};
    struct billing billing;
    const size_t last = ARRAY_LEN(cuts) - 1;
    struct money sum = {0};

    init_half_a_year(&billing);
    for (size_t i = 0; i < last; i++)
        sum.minor += price(&billing, cuts[i], cuts[i + 1]).minor;
    cr_assert(sum.minor == price(&billing, cuts[0], cuts[last]).minor);
    billing_deinit(&billing);
}

/* The second paid month: its fee of 29 in advance, and the usage of the first in arrears. */
Test(backtest, fees_count_where_they_begin_and_usage_where_it_ends)
{
    struct billing billing;

    init_half_a_year(&billing);
    cr_assert_str_eq(
        billing_money(&billing, price(&billing, "2026-02-15T00:00:00Z", "2026-02-15T00:01:00Z")),
        "29.00");
    cr_assert_str_eq(
        billing_money(&billing, price(&billing, "2026-02-14T23:59:00Z", "2026-02-15T00:00:00Z")),
        "1.50");
    billing_deinit(&billing);
}

static struct backtest_row row_of(const char *id, const char *currency, int64_t now, int64_t then)
{
    return (struct backtest_row){.subscription = text_of(id),
                                 .customer = text_of("A <b> & co"),
                                 .plan = text_of("pro@1"),
                                 .currency = currency_find(text_of(currency)),
                                 .now = {now},
                                 .then = {then}};
}

static void finish_five(struct backtest *backtest, struct backtest_row rows[5])
{
    rows[0] = row_of("A", "USD", 10000, 9000);
    rows[1] = row_of("B", "USD", 0, 0);
    rows[1].why_not = text_of("it has no price in USD");
    rows[2] = row_of("C", "EUR", 500, 500);
    rows[3] = row_of("D", "USD", 1000, 3055);
    rows[4] = row_of("E", "USD", 0, 700);
    *backtest = (struct backtest){.plan = text_of("team@2"), .rows = rows, .count = 5};
    backtest->range = (struct window){billing_instant("2026-01-01T00:00:00Z"),
                                      billing_instant("2026-02-01T00:00:00Z")};
    cr_assert_eq(backtest_finish(backtest), 0);
}

Test(backtest, sums_up_each_currency_for_itself)
{
    static struct backtest backtest;
    struct backtest_row rows[5];
    const struct backtest_sums *dollars = &backtest.sums[1];

    finish_five(&backtest, rows);
    cr_assert_eq(backtest.compared, 4);
    cr_assert_eq(backtest.sum_count, 2);
    cr_assert_str_eq(backtest.sums[0].currency->code, "EUR");
    cr_assert_eq(backtest.sums[0].same, 1);
    cr_assert(dollars->now.minor == 11000 && dollars->then.minor == 12755);
    cr_assert(dollars->more == 2 && dollars->less == 1 && dollars->same == 0);
}

Test(backtest, a_table_goes_from_most_more_to_most_less)
{
    CLEANUP(buffer_deinit) struct buffer text = {0};
    static struct backtest backtest;
    struct backtest_row rows[5];

    finish_five(&backtest, rows);
    backtest_table(&backtest, 1, &text);
    buffer_add_char(&text, '\0');
    cr_assert_str_eq(text.at,
                     "Subscription  Customer    Plan   Now EUR  team@2  Difference\n"
                     "C             A <b> & co  pro@1     5.00    5.00        0.00  0.0 %\n"
                     "5.00 EUR become 5.00 EUR, 0.00: 0 pay more, 0 less, 1 the same\n\n"
                     "Subscription  Customer    Plan   Now USD  team@2  Difference\n"
                     "D             A <b> & co  pro@1    10.00   30.55      +20.55  +205.5 %\n"
                     "A             A <b> & co  pro@1   100.00   90.00      -10.00   -10.0 %\n"
                     "(1 with smaller differences are left out)\n"
                     "110.00 USD become 127.55 USD, +17.55: 2 pay more, 1 less, 0 the same\n\n"
                     "not compared: B: it has no price in USD\n"
                     "4 subscriptions compared, 1 not\n");
}

Test(backtest, a_page_escapes_what_comes_from_outside)
{
    CLEANUP(buffer_deinit) struct buffer html = {0};
    static struct backtest backtest;
    struct backtest_row rows[5];

    finish_five(&backtest, rows);
    backtest_html(&backtest, &html);
    buffer_add_char(&html, '\0');
    cr_assert_not_null(strstr(html.at, "A &lt;b&gt; &amp; co"));
    cr_assert_null(strstr(html.at, "A <b>"));
    cr_assert_not_null(strstr(html.at, "<rect class=\"more\""));
    cr_assert_not_null(strstr(html.at, "<rect class=\"less\""));
}

Test(backtest, json_says_why_one_is_not_compared)
{
    CLEANUP(buffer_deinit) struct buffer json = {0};
    static struct backtest backtest;
    struct backtest_row rows[5];

    finish_five(&backtest, rows);
    backtest_json(&backtest, &json);
    buffer_add_char(&json, '\0');
    cr_assert_not_null(strstr(json.at,
                              "{\"currency\":\"USD\",\"now\":\"110.00\",\"then\":\"127.55\","
                              "\"difference\":\"17.55\",\"more\":2,\"less\":1,\"same\":0}"));
    cr_assert_not_null(strstr(json.at,
                              "{\"subscription\":\"B\",\"customer\":\"A <b> & co\",\"plan\":"
                              "\"pro@1\",\"notCompared\":\"it has no price in USD\"}"));
}
