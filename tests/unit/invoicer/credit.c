/*
 * credit.c - what comes back of an old plan's fees, and how the new plan's invoices use it up.
 */
#include "invoicer/rules/audit_credit.h"
#include "invoicer/rules/credit.h"
#include "invoicer/rules/invoice_digest.h"
#include "invoicer/rules/invoice_read.h"
#include "invoicer/rules/render.h"
#include "tests/unit/invoicer/billing.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define FLAT(key, amount, cadence)                                                                 \
    "{'type':'flat_fee','key':'" key "','billingCadence':'" cadence                                \
    "','price':{'type':'flat','amount':'" amount "'}}"
#define METERED(limit, more)                                                                       \
    "{'type':'usage_based','key':'api','featureKey':'api','billingCadence':'P1M'," more            \
    "'entitlementTemplate':{'type':'metered','issueAfterReset':'" limit "'}}"
#define PLAN(more, cards)                                                                          \
    "{'key':'starter','version':1,'currency':'USD','billingCadence':'P1M'," more                   \
    "'phases':[{'key':'default','rateCards':[" cards "]}]}"
#define SUBSCRIPTION(more)                                                                         \
    "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme',"                                     \
    "'activeFrom':'2026-04-01T00:00:00Z'" more "}"

static const char starter[] = PLAN("", FLAT("base", "29", "P1M") "," METERED("10000", ""));

struct given {
    const char *name, *plan, *subscription, *at;
    const char *used; /* on 2026-04-03 */
    bool is_billed;
    const char *credit, *ratio; /* ratio of the first charge; NULL: there is no charge */
};

static const struct given table[] = {
    {"half the time and 70 % of the quota (D10)", starter, SUBSCRIPTION(""), "2026-04-16T00:00:00Z",
     "7000", false, "8.70", "0.7"},
    {"half the time and less of the quota", starter, SUBSCRIPTION(""), "2026-04-16T00:00:00Z",
     "1000", false, "14.50", "0.5"},
    {"more than the quota", starter, SUBSCRIPTION(""), "2026-04-16T00:00:00Z", "70000", false,
     "0.00", "1"},
    {"time alone by time_based",
     PLAN("'proRatingConfig':{'enabled':true,'mode':'time_based'},",
          FLAT("base", "29", "P1M") "," METERED("10000", "")),
     SUBSCRIPTION(""), "2026-04-16T00:00:00Z", "7000", false, "14.50", "0.5"},
    {"nothing by none",
     PLAN("'proRatingConfig':{'enabled':true,'mode':'none'},", FLAT("base", "29", "P1M")),
     SUBSCRIPTION(""), "2026-04-16T00:00:00Z", "0", false, "0.00", NULL},
    {"nothing where it is switched off",
     PLAN("'proRatingConfig':{'enabled':false,'mode':'time_based'},", FLAT("base", "29", "P1M")),
     SUBSCRIPTION(""), "2026-04-16T00:00:00Z", "0", false, "0.00", NULL},
    {"nothing without a flat fee",
     PLAN("", METERED("10000", "'price':{'type':'unit','amount':'1'},")), SUBSCRIPTION(""),
     "2026-04-16T00:00:00Z", "7000", false, "0.00", NULL},
    {"a fee in arrears wasn't paid yet",
     PLAN("", "{'type':'flat_fee','key':'base','billingCadence':'P1M','price':{'type':'flat',"
              "'amount':'29','paymentTerm':'in_arrears'}}"),
     SUBSCRIPTION(""), "2026-04-16T00:00:00Z", "0", false, "0.00", NULL},
    {"a fee once a phase is for no period",
     PLAN("", "{'type':'flat_fee','key':'setup','price':{'type':'flat','amount':'500'}}," FLAT(
                  "base", "29", "P1M")),
     SUBSCRIPTION(""), "2026-04-16T00:00:00Z", "0", false, "14.50", "0.5"},
    {"two fees of one period are rounded once",
     PLAN("", FLAT("a", "0.01", "P1M") "," FLAT("b", "0.02", "P1M")), SUBSCRIPTION(""),
     "2026-04-16T00:00:00Z", "0", false, "0.02", "0.5"},
    {"a longer fee by its own period", PLAN("", FLAT("year", "36.50", "P1Y")), SUBSCRIPTION(""),
     "2026-04-11T00:00:00Z", "0", false, "35.50", "0.027397260274"},
    {"what was paid, less its discount",
     PLAN("", "{'type':'flat_fee','key':'base','billingCadence':'P1M','price':{'type':'flat',"
              "'amount':'30'},'discounts':{'percentage':'50'}}"),
     SUBSCRIPTION(""), "2026-04-16T00:00:00Z", "0", false, "7.50", "0.5"},
    {"a period that begins at the switch and isn't billed", starter, SUBSCRIPTION(""),
     "2026-05-01T00:00:00Z", "0", false, "0.00", NULL},
    {"a period that begins at the switch and is billed", starter, SUBSCRIPTION(""),
     "2026-05-01T00:00:00Z", "0", true, "29.00", "0"},
    {"what is left of the old one's own credit comes along", starter,
     SUBSCRIPTION(",'credit':{'amount':'40','currency':'USD'}"), "2026-04-16T00:00:00Z", "7000",
     false, "19.70", "0.7"},
    {"of which a boundary at the switch uses some when it is billed", starter,
     SUBSCRIPTION(",'credit':{'amount':'40','currency':'USD'}"), "2026-05-01T00:00:00Z", "7000",
     true, "29.00", "0"},
    {"and nothing when it isn't", starter,
     SUBSCRIPTION(",'credit':{'amount':'40','currency':'USD'}"), "2026-05-01T00:00:00Z", "7000",
     false, "11.00", NULL},
};

/* `billed`: the last boundary that is; NULL: none. */
static struct credit compute(struct billing *billing, const char *at, const char *billed)
{
    struct instant until = billed ? billing_instant(billed) : (struct instant){INT64_MIN};
    struct invoice_sources sources = billing_sources(billing);
    struct credit credit;

    cr_assert_eq(credit_compute(&billing->subscription, billing_instant(at), until, &sources,
                                &billing->arena, &credit),
                 0);
    return credit;
}

Test(credit, is_for_what_is_neither_gone_by_nor_consumed)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct given *given = &table[i];
        char ratio[DECIMAL_TEXT_MAX] = "";
        struct billing billing;
        struct credit credit;

        billing_init(&billing, given->plan, given->subscription);
        billing_count(&billing, "api", "2026-04-03", given->used);
        credit = compute(&billing, given->at, given->is_billed ? given->at : NULL);

        cr_expect_str_eq(billing_money(&billing, credit.amount), given->credit, "%s: %s",
                         given->name, billing_money(&billing, credit.amount));
        if (credit.charge_count)
            (void)decimal_format(credit.charges[0].ratio, ratio);
        cr_expect_str_eq(ratio, given->ratio ? given->ratio : "", "%s: %s", given->name, ratio);
        billing_deinit(&billing);
    }
}

/* A yearly plan bills twelve monthly fees at once. */
Test(credit, is_for_all_fees_that_were_paid_ahead)
{
    static const char yearly[] =
        "{'key':'starter','version':1,'currency':'USD','billingCadence':'P1Y','phases':[{'key':"
        "'default','rateCards':[" FLAT("base", "10", "P1M") "," FLAT(
            "more", "1", "P1M") "," METERED("10000", "") "]}]}";
    static const char own[] = SUBSCRIPTION(",'credit':{'amount':'200','currency':'USD'}");
    static const struct {
        const char *subscription, *at, *billed, *used, *credit;
    } cases[] = {
        {SUBSCRIPTION(""), "2026-04-16T00:00:00Z", "2026-04-01T00:00:00Z", "0", "126.50"},
        {SUBSCRIPTION(""), "2026-04-16T00:00:00Z", "2026-04-01T00:00:00Z", "7000", "124.30"},
        {SUBSCRIPTION(""), "2026-05-01T00:00:00Z", "2026-04-01T00:00:00Z", "7000", "121.00"},
        {SUBSCRIPTION(""), "2027-03-16T12:00:00Z", "2026-04-01T00:00:00Z", "7000", "5.50"},
        {SUBSCRIPTION(""), "2026-04-16T00:00:00Z", NULL, "7000", "3.30"},
        {SUBSCRIPTION(""), "2026-05-01T00:00:00Z", NULL, "7000", "0.00"},
        {own, "2026-05-16T12:00:00Z", "2026-04-01T00:00:00Z", "0", "183.50"}, /* 68 + 5.50 + 110 */
        {own, "2026-05-16T12:00:00Z", NULL, "0", "183.50"},                   /* 178 + 5.50 */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct invoice_position position = {2, 99};
        struct credit_fault fault;
        struct billing billing;
        struct credit credit;
        json_t *record;

        billing_init(&billing, yearly, cases[i].subscription);
        billing_count(&billing, "api", "2026-04-03", cases[i].used);
        credit = compute(&billing, cases[i].at, cases[i].billed);
        cr_expect_str_eq(billing_money(&billing, credit.amount), cases[i].credit, "%zu: %s", i,
                         billing_money(&billing, credit.amount));
        record = credit_write(&credit, &position);
        cr_expect_eq(credit_verify(record, &fault), 0, "%zu: %s", i, fault.detail);
        json_decref(record);
        billing_deinit(&billing);
    }
}

Test(credit, the_record_can_be_computed_again_and_shows_a_changed_cent)
{
    struct invoice_position position = {2, 99};
    struct credit_fault fault;
    struct billing billing;
    struct credit credit;
    json_t *record, *charge;

    billing_init(&billing, starter, SUBSCRIPTION(""));
    billing_count(&billing, "api", "2026-04-03", "7000");
    credit = compute(&billing, "2026-04-16T00:00:00Z", NULL);
    record = credit_write(&credit, &position);
    charge = json_array_get(json_object_get(record, "charges"), 0);

    cr_assert_eq(credit_verify(record, &fault), 0);
    json_object_set_new(record, "amount", json_string("8.71"));
    cr_assert_eq(credit_verify(record, &fault), CREDIT_SUM_DIFFERS);
    json_object_set_new(charge, "credit", json_string("8.71"));
    cr_assert_eq(credit_verify(record, &fault), CREDIT_CHARGE_DIFFERS);
    json_object_set_new(charge, "credit", json_string("8.70"));
    json_object_set_new(record, "amount", json_string("8.70"));
    json_object_set_new(json_array_get(json_object_get(record, "uses"), 0), "usage",
                        json_string("7001"));
    cr_assert_eq(credit_verify(record, &fault), CREDIT_CHARGE_DIFFERS);
    json_decref(record);
    billing_deinit(&billing);
}

/* --- using it up --- */

/* Builds the boundaries one after the other, each by what those before it have used. */
static void check_cascade(const char *cards, const char *amount, const char *const *expected,
                          size_t count)
{
    struct invoice_sources sources;
    struct billing billing;
    char plan[2048], subscription[512];

    (void)snprintf(plan, sizeof(plan), PLAN("", "%s"), cards);
    (void)snprintf(subscription, sizeof(subscription),
                   SUBSCRIPTION(",'credit':{'amount':'%s','currency':'USD'}"), amount);
    billing_init(&billing, plan, subscription);
    sources = billing_sources(&billing);
    for (size_t i = 0; i < count; i++) {
        struct billing_boundary boundary = billing_boundary_at(&billing, i);
        CLEANUP(buffer_deinit) struct buffer found = {0};
        struct invoice invoice;

        cr_assert_eq(
            invoice_build(&billing.subscription, &boundary, &sources, &billing.arena, &invoice), 0);
        for (size_t j = 0; j < invoice.line_count; j++)
            buffer_printf(&found, "%s ", billing_money(&billing, invoice.lines[j].credit));
        buffer_printf(&found, "= %s, ", billing_money(&billing, invoice.credit.used));
        buffer_printf(&found, "left %s, ", billing_money(&billing, invoice.credit.remaining));
        buffer_printf(&found, "total %s", billing_money(&billing, invoice.total));
        cr_expect(text_is(buffer_text(&found), expected[i]), "%zu: %.*s", i, (int)found.length,
                  found.at);
        sources.credit_used.minor += invoice.credit.used.minor;
    }
    billing_deinit(&billing);
}

Test(credit, is_used_by_fees_in_advance_until_nothing_is_left)
{
    static const char *const expected[] = {"5.00 = 5.00, left 3.70, total 0.00",
                                           "3.70 = 3.70, left 0.00, total 1.30",
                                           "0.00 = 0.00, left 0.00, total 5.00"};

    check_cascade(FLAT("base", "5", "P1M"), "8.70", expected, ARRAY_LEN(expected));
}

Test(credit, is_spread_over_fees_so_that_its_sum_stays)
{
    static const char *const expected[] = {"0.34 0.33 0.33 = 1.00, left 0.00, total 2.00",
                                           "0.00 0.00 0.00 = 0.00, left 0.00, total 3.00"};

    check_cascade(FLAT("a", "1", "P1M") "," FLAT("b", "1", "P1M") "," FLAT("c", "1", "P1M"), "1",
                  expected, ARRAY_LEN(expected));
}

Test(credit, pays_for_no_usage_and_no_fee_in_arrears)
{
    static const char *const expected[] = {
        "2.00 = 2.00, left 7.00, total 0.00",
        "2.00 0.00 0.00 = 2.00, left 5.00, total 3.00",
    };

    check_cascade(
        FLAT("base", "2", "P1M") "," METERED(
            "1", "'price':{'type':'unit','amount':'1'},") ",{'type':'flat_fee','key':"
                                                          "'late','billingCadence':'P1M',"
                                                          "'price':{'type':'flat','amount'"
                                                          ":'3','paymentTerm':"
                                                          "'in_arrears'}}",
        "9", expected, ARRAY_LEN(expected));
}

static json_t *invoice_of(struct billing *billing, size_t boundary, struct money *used_before)
{
    struct invoice_sources sources = billing_sources(billing);
    struct billing_boundary at = billing_boundary_at(billing, boundary);
    CLEANUP(buffer_deinit) struct buffer text = {0};
    struct invoice invoice;

    sources.credit_used = *used_before;
    cr_assert_eq(invoice_build(&billing->subscription, &at, &sources, &billing->arena, &invoice),
                 0);
    used_before->minor += invoice.credit.used.minor;
    render_json(&invoice, &text);
    return json_loadb(text.at, text.length, 0, NULL);
}

static void assert_seen(const json_t *invoice, json_t *object, const char *what, const char *wrong)
{
    const struct currency *currency = currency_find(text_of("USD"));
    struct audit_credit_difference difference;
    json_t *right = json_incref(json_object_get(object, what));

    json_object_set_new(object, what, json_string(wrong));
    cr_expect_eq(audit_credit(invoice, currency, NULL, &difference), AUDIT_CREDIT_DIFFERS, "%s",
                 what);
    json_object_set_new(object, what, right);
    cr_assert_eq(audit_credit(invoice, currency, NULL, &difference), 0);
}

Test(credit, is_audited_to_the_cent)
{
    const struct currency *currency = currency_find(text_of("USD"));
    struct money none = {0}, used = {0}, before;
    struct audit_credit_difference difference;
    struct billing billing;
    json_t *invoice, *lines;

    billing_init(
        &billing,
        PLAN("", FLAT("a", "1", "P1M") "," FLAT("b", "1", "P1M") "," FLAT("c", "1.01", "P1M")),
        SUBSCRIPTION(",'credit':{'amount':'4','currency':'USD'}"));
    for (size_t i = 0; i < 3; i++) {
        before = used;
        invoice = invoice_of(&billing, i, &used);
        cr_assert_eq(audit_credit(invoice, currency, &before, &difference), 0, "%zu %s", i,
                     difference.what);
        if (i == 1) {
            lines = json_object_get(invoice, "lines");
            cr_expect_eq(audit_credit(invoice, currency, &none, &difference), AUDIT_CREDIT_DIFFERS);
            assert_seen(invoice, json_object_get(invoice, "credit"), "used", "0.98");
            assert_seen(invoice, json_object_get(invoice, "credit"), "remaining", "0.01");
            assert_seen(invoice, json_array_get(lines, 0), "credit", "0.34");
            assert_seen(invoice, json_array_get(lines, 2), "credit", "0.32");
        }
        json_decref(invoice);
    }
    billing_deinit(&billing);
}

Test(credit, stands_in_every_rendering_and_in_the_digest)
{
    struct render_terminal terminal = {.columns = 80};
    struct invoice_sources sources;
    struct billing_boundary boundary;
    struct invoice invoice, again;
    struct buffer text = {0};
    struct billing billing;

    billing_init(&billing, PLAN("", FLAT("base", "99", "P1M")),
                 SUBSCRIPTION(",'annotations':{'subscription.previous.id':"
                              "'01BRZ3NDEKTSV4RRFFQ69G5FAV'},"
                              "'credit':{'amount':'8.7','currency':'USD'}"));
    sources = billing_sources(&billing);
    boundary = billing_boundary_at(&billing, 0);
    cr_assert_eq(
        invoice_build(&billing.subscription, &boundary, &sources, &billing.arena, &invoice), 0);

    render_json(&invoice, &text);
    cr_assert(strstr(text.at, "\"discountTotal\":\"0.00\",\"total\":\"90.30\",\"credit\":"
                              "{\"previousSubscription\":\"01BRZ3NDEKTSV4RRFFQ69G5FAV\","
                              "\"granted\":\"8.70\",\"usedBefore\":\"0.00\",\"used\":\"8.70\","
                              "\"remaining\":\"0.00\"}"));
    cr_assert(strstr(text.at, "\"discount\":\"0.00\",\"credit\":\"8.70\",\"total\":\"90.30\""));
    cr_assert_eq(invoice_read(buffer_text(&text), &billing.arena, &again), 0);
    buffer_clear(&text);
    render_table(&again, &terminal, &text);
    cr_assert(strstr(text.at, "Credit from the plan before") && strstr(text.at, "-8.70"));
    cr_assert(strstr(text.at, "Of a credit of 8.70, this invoice uses 8.70; 0.00 are left"));
    buffer_clear(&text);
    render_csv(&again, &text);
    cr_assert(strstr(text.at, ",99.00,0.00,8.70,90.30\r\n"), "%s", text.at);
    buffer_clear(&text);
    render_html(&again, &text);
    cr_assert(strstr(text.at, "Credit from the plan before</td>") && strstr(text.at, "-8.70"));
    buffer_deinit(&text);

    sources.credit_used.minor = 1;
    cr_assert_eq(invoice_build(&billing.subscription, &boundary, &sources, &billing.arena, &again),
                 0);
    cr_assert_str_neq(invoice.digest, again.digest, "what was used before");
    billing.subscription.credit.minor++;
    cr_assert_eq(invoice_build(&billing.subscription, &boundary, &sources, &billing.arena, &again),
                 0);
    cr_assert_eq(again.credit.used.minor, 870);
    cr_assert_str_neq(invoice.digest, again.digest, "the credit");
    billing_deinit(&billing);
}
