/*
 * stories.c - subscriptions from their start to their end, boundary by boundary.
 *
 * The plans are those of product.md 3.2; each story says what stands on the invoice of every
 * boundary, in the order of time.
 */
#include "tests/unit/invoicer/billing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { COUNTED_MAX = 8 };

struct story {
    const char *name, *plan, *term; /* term: activeFrom and what else the subscription says */
    struct {
        const char *day, *quantity;
    } counted[COUNTED_MAX];
    size_t boundaries;
    const char *invoices;
};

#define PLAN(phases)                                                                               \
    "{'key':'pro','version':1,'currency':'USD','billingCadence':'P1M','phases':[" phases "]}"
#define PHASE(more, cards) "{'key':'default'," more "'rateCards':[" cards "]}"
#define TRIAL(duration)                                                                            \
    "{'key':'trial','duration':'" duration "','rateCards':[{'type':'usage_based','key':'api',"     \
    "'featureKey':'api','billingCadence':'P1M','entitlementTemplate':{'type':'metered',"           \
    "'issueAfterReset':'1000','isSoftLimit':false}}]},"
#define FEE(amount)                                                                                \
    "{'type':'flat_fee','key':'base','billingCadence':'P1M','price':{'type':'flat','amount':"      \
    "'" amount "'}},"
#define TIERS(first, rest)                                                                         \
    "{'type':'usage_based','key':'api','featureKey':'api','billingCadence':'P1M','price':"         \
    "{'type':'tiered','mode':'graduated','tiers':[{" first "},{'unitPrice':{'type':'unit',"        \
    "'amount':'" rest "'}}]}}"

static const char d7[] =
    PLAN(PHASE("", FEE("499") TIERS("'upToAmount':'1000000','unitPrice':{'type':'unit','amount':"
                                    "'0'}",
                                    "0.0005")));
static const char d8[] = PLAN(PHASE(
    "", FEE("9.99") TIERS("'upToAmount':'1000','flatPrice':{'type':'flat','amount':'0'}", "0.01")));
static const char d14[] = PLAN(TRIAL("P1W") PHASE(
    "", FEE("99") TIERS("'upToAmount':'10000','unitPrice':{'type':'unit','amount':'0'}", "0.01")));
static const char d16[] = PLAN(TRIAL("P2W") PHASE(
    "", TIERS("'upToAmount':'50000','flatPrice':{'type':'flat','amount':'99'}", "0.5")));

static const struct story stories[] = {
    {"D7: fees in advance and the last period's overage meet on one invoice",
     d7,
     "'activeFrom':'2026-01-01T00:00:00Z'",
     {{"2026-01-03", "700000"}, {"2026-01-31", "500000"}, {"2026-03-01", "1000002"}},
     5,
     "2026-01-01: base 499.00 = 499.00\n"
     "2026-02-01: base 499.00, api 100.00 = 599.00\n"
     "2026-03-01: base 499.00, api 0.00 = 499.00\n"
     "2026-04-01: base 499.00, api 0.00 = 499.00\n"
     "2026-05-01: base 499.00, api 0.00 = 499.00\n"},
    {"D8: 500, 1,000, 1,500 and 5,000 units on a 9.99 plan, then it is cancelled",
     d8,
     "'activeFrom':'2026-01-01T00:00:00Z','activeTo':'2026-05-10T00:00:00Z'",
     {{"2026-01-10", "500"},
      {"2026-02-10", "1000"},
      {"2026-03-10", "1500"},
      {"2026-04-10", "5000"},
      {"2026-05-09", "1100"},
      {"2026-05-10", "9000"}},
     6,
     "2026-01-01: base 9.99 = 9.99\n"
     "2026-02-01: base 9.99, api 0.00 = 9.99\n"
     "2026-03-01: base 9.99, api 0.00 = 9.99\n"
     "2026-04-01: base 9.99, api 5.00 = 14.99\n"
     "2026-05-01: base 9.99, api 40.00 = 49.99\n"
     "2026-05-10: api 1.00 = 1.00\n"}, /* no refund; usage of the term alone */
    {"D14: the trial costs nothing, the paid phase begins where it ends",
     d14,
     "'activeFrom':'2026-01-01T00:00:00Z'",
     {{"2026-01-07", "1000"}, {"2026-01-08", "12345"}, {"2026-02-08", "10000"}},
     4,
     "2026-01-01: nothing\n"
     "2026-01-08: base 99.00 = 99.00\n"
     "2026-02-08: base 99.00, api 23.45 = 122.45\n"
     "2026-03-08: base 99.00, api 0.00 = 99.00\n"},
    {"D14: a trial that is cancelled never costs anything",
     d14,
     "'activeFrom':'2026-01-01T00:00:00Z','activeTo':'2026-01-05T00:00:00Z'",
     {{"2026-01-04", "1000"}},
     2,
     "2026-01-01: nothing\n"
     "2026-01-05: nothing\n"},
    {"D14: a trial that ends with the subscription doesn't convert",
     d14,
     "'activeFrom':'2026-01-01T00:00:00Z','activeTo':'2026-01-08T00:00:00Z'",
     {{"2026-01-04", "1000"}},
     2,
     "2026-01-01: nothing\n"
     "2026-01-08: nothing\n"},
    {"D14: an anchor of its own shortens the first paid period, not its fee",
     d14,
     "'activeFrom':'2026-01-01T00:00:00Z','billingAnchor':'2025-12-20T00:00:00Z'",
     {{"2026-01-19", "10100"}, {"2026-01-20", "1"}},
     4,
     "2026-01-01: nothing\n"
     "2026-01-08: base 99.00 = 99.00\n"
     "2026-01-20: base 99.00, api 1.00 = 100.00\n"
     "2026-02-20: base 99.00, api 0.00 = 99.00\n"},
    {"D16: the flat part of tier 1 is due in arrears, at no usage too",
     d16,
     "'activeFrom':'2026-01-01T00:00:00Z','activeTo':'2026-04-01T00:00:00Z'",
     {{"2026-01-14", "999"}, {"2026-02-14", "50000"}, {"2026-02-15", "50010"}},
     5,
     "2026-01-01: nothing\n"
     "2026-01-15: nothing\n"
     "2026-02-15: api 99.00 = 99.00\n"
     "2026-03-15: api 104.00 = 104.00\n"
     "2026-04-01: api 99.00 = 99.00\n"},
    {"an upgrade: the old plan ends with its usage and without a refund",
     d8,
     "'activeFrom':'2026-04-01T00:00:00Z','activeTo':'2026-04-16T00:00:00Z'",
     {{"2026-04-15", "1100"}, {"2026-04-16", "1100"}},
     2,
     "2026-04-01: base 9.99 = 9.99\n"
     "2026-04-16: api 1.00 = 1.00\n"},
    {"an upgrade: the new plan begins there, with a credit, and keeps the day",
     d7,
     "'activeFrom':'2026-04-16T00:00:00Z','billingAnchor':'2026-04-01T00:00:00Z',"
     "'credit':{'amount':'600','currency':'USD'}",
     {{"2026-04-15", "9000000"}, {"2026-04-16", "1000002"}, {"2026-05-01", "1200000"}},
     4,
     "2026-04-16: base 0.00 = 0.00\n"
     "2026-05-01: base 398.00, api 0.00 = 398.00\n"
     "2026-06-01: base 499.00, api 100.00 = 599.00\n"
     "2026-07-01: base 499.00, api 0.00 = 499.00\n"},
};

static void add_invoice(struct billing *billing, const struct invoice *invoice,
                        struct buffer *found)
{
    for (size_t i = 0; i < invoice->line_count; i++) {
        const struct invoice_line *line = &invoice->lines[i];

        buffer_printf(found, "%s ", i ? "," : "");
        buffer_add_text(found, line->card->key);
        buffer_printf(found, " %s", billing_money(billing, line->total));
    }
    buffer_printf(found, " = %s\n", billing_money(billing, invoice->total));
}

static void tell(const struct story *story, struct buffer *found)
{
    struct invoice_sources sources;
    char subscription[512];
    struct billing billing;

    (void)snprintf(subscription, sizeof(subscription),
                   "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme',%s}", story->term);
    billing_init(&billing, story->plan, subscription);
    for (size_t i = 0; i < COUNTED_MAX && story->counted[i].day; i++)
        billing_count(&billing, "api", story->counted[i].day, story->counted[i].quantity);
    sources = billing_sources(&billing);
    for (size_t i = 0; i < story->boundaries; i++) {
        struct billing_boundary boundary = billing_boundary_at(&billing, i);
        struct invoice invoice;
        int r = invoice_build(&billing.subscription, &boundary, &sources, &billing.arena, &invoice);

        buffer_printf(found, "%.10s:", billing_text(boundary.at));
        cr_assert(r == 0 || r == INVOICE_NOTHING);
        if (r == INVOICE_NOTHING) {
            buffer_add_string(found, " nothing\n");
            continue;
        }
        add_invoice(&billing, &invoice, found);
        sources.credit_used.minor += invoice.credit.used.minor;
    }
    billing_deinit(&billing);
}

Test(stories, each_boundary_bills_what_is_due_there_and_nothing_else)
{
    for (size_t i = 0; i < ARRAY_LEN(stories); i++) {
        CLEANUP(buffer_deinit) struct buffer found = {0};

        tell(&stories[i], &found);
        cr_expect(text_is(buffer_text(&found), stories[i].invoices), "%s:\n%.*s", stories[i].name,
                  (int)found.length, found.at);
    }
}

Test(stories, an_end_is_the_last_boundary)
{
    for (size_t i = 0; i < ARRAY_LEN(stories); i++) {
        struct billing_boundary last;
        char subscription[512];
        struct billing billing;

        if (!strstr(stories[i].term, "activeTo"))
            continue;
        (void)snprintf(subscription, sizeof(subscription),
                       "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme',%s}",
                       stories[i].term);
        billing_init(&billing, stories[i].plan, subscription);
        last = billing_boundary_at(&billing, stories[i].boundaries - 1);
        cr_expect(!periods_next(&billing.subscription, &last, &last), "%s", stories[i].name);
        billing_deinit(&billing);
    }
}
