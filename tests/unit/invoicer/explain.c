/* explain.c - each step between a quantity and its cents. */
#include "invoicer/edges/explain.h"
#include "tests/unit/invoicer/billing.h"

#include <criterion/criterion.h>
#include <string.h>

static const char plan[] =
    "{'key':'pro','version':1,'name':'Pro','currency':'USD','billingCadence':'P1M',"
    "'phases':[{'key':'default','name':'Default','rateCards':["
    "{'type':'usage_based','key':'bytes','name':'Traffic','featureKey':'bytes',"
    "'billingCadence':'P1M','discounts':{'percentage':'33.3','usage':{'quantity':'1'}},"
    "'price':{'type':'tiered','mode':'graduated','maximumAmount':'30','tiers':["
    "{'upToAmount':'2','unitPrice':{'type':'unit','amount':'3'}},"
    "{'unitPrice':{'type':'unit','amount':'1.005'},'flatPrice':{'type':'flat','amount':'7'}}],"
    "'unitConversion':{'operation':'divide','factor':'3','rounding':'none'}}}]}]}";

static void explain(const char *quantity, struct buffer *text)
{
    struct billing billing;
    struct invoice_sources sources;
    struct billing_boundary at;
    struct invoice invoice;

    billing_init(&billing, plan,
                 "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme',"
                 "'activeFrom':'2026-01-01T00:00:00Z'}");
    billing_count(&billing, "bytes", "2026-01-05", quantity);
    sources = billing_sources(&billing);
    at = billing_boundary_at(&billing, 1);
    cr_assert_eq(invoice_build(&billing.subscription, &at, &sources, &billing.arena, &invoice), 0);
    explain_tree("demo", &invoice, text_of(NULL), text);
    buffer_add_char(text, '\0');
    billing_deinit(&billing);
}

Test(explain, each_step_has_its_figure)
{
    static const char *const steps[] = {
        "quantity 1001 divided by 3 = 333.666666666667\n",
        "less 1 units of usage discount = 332.666666666667\n",
        "First 2: 2 x 3 = 6.00 USD less 33.3 % = 2.00 USD\n",
        "Over 2: 330.666666666667 x 1.005 = 332.32..., rounded 332.32 USD less 33.3 % = 110.66 "
        "USD, "
        "less 195.66 USD above the maximum of 30 USD\n",
        "Flat price: Over 2 = 7.00 USD less 33.3 % = 2.33 USD, less 4.67 USD above the maximum of "
        "30 USD\n",
    };
    CLEANUP(buffer_deinit) struct buffer text = {0};

    explain("1001", &text);

    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        cr_expect(strstr(text.at, steps[i]), "%s\nisn't in\n%s", steps[i], text.at);
}

Test(explain, a_usage_discount_leaves_no_less_than_nothing)
{
    CLEANUP(buffer_deinit) struct buffer text = {0};

    explain("2", &text);

    cr_expect(strstr(text.at, "less 1 units of usage discount = 0\n"), "%s", text.at);
}
