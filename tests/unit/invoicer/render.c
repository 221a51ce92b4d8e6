/*
 * render.c - an invoice as JSON, CSV, HTML and a table. The expected bytes stand in
 * tests/golden/invoice; TOLLWAY_UPDATE_GOLDEN=1 writes them anew, for a reader to check.
 */
#include "invoicer/rules/invoice_read.h"
#include "invoicer/rules/render.h"
#include "tests/unit/invoicer/billing.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char plan[] =
    "{'key':'pro','version':3,'name':'Pro & more','currency':'USD','billingCadence':'P1M',"
    "'phases':[{'key':'default','name':'Default','rateCards':["
    "{'type':'flat_fee','key':'fee','name':'Platform fee','billingCadence':'P1M',"
    "'price':{'type':'flat','amount':'499','paymentTerm':'in_advance'},"
    "'discounts':{'percentage':'10'}},"
    "{'type':'usage_based','key':'api','name':'=API <b>calls</b>, \\\"all\\\"','featureKey':'api',"
    "'billingCadence':'P1M','price':{'type':'tiered','mode':'graduated','tiers':["
    "{'upToAmount':'1000','unitPrice':{'type':'unit','amount':'0'}},"
    "{'upToAmount':'2500000','flatPrice':{'type':'flat','amount':'5'},"
    "'unitPrice':{'type':'unit','amount':'0.0005'}},"
    "{'unitPrice':{'type':'unit','amount':'0.0001'}}]}},"
    "{'type':'usage_based','key':'bytes','name':'Traffic','featureKey':'bytes',"
    "'billingCadence':'P1M','price':{'type':'unit','amount':'0.09','maximumAmount':'2'}}]}]}";

struct example {
    struct billing billing;
    struct invoice_billed billed;
    struct invoice invoice;
};

static void example_init(struct example *example)
{
    struct billing *billing = &example->billing;
    struct invoice_sources sources;
    struct billing_boundary at;
    char day[16];

    billing_init(billing, plan,
                 "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme',"
                 "'activeFrom':'2026-01-01T00:00:00Z'}");
    billing->subscription.customer_name = text_of("Acme \xc3\x96st \"North\" <GmbH>");
    billing_count(billing, "api", "2026-01-31", "1501000");
    for (int i = 1; i <= 28; i++) {
        char quantity[16];

        (void)snprintf(day, sizeof(day), "2026-02-%02d", i);
        (void)snprintf(quantity, sizeof(quantity), "%d", 40000 + i * 9973 % 61 * 1900);
        billing_count(billing, "api", day, quantity);
    }
    billing_count(billing, "bytes", "2026-02-03", "30.25");
    sources = billing_sources(billing);
    example->billed = (struct invoice_billed){
        .plan = &billing->plan, .card = 1, .quantity = decimal_from_int(1001000), .total = {50500}};
    cr_assert(periods_card_first(&billing->subscription, 0, &billing->plan.phases[0].cards[1],
                                 &example->billed.period));
    sources.billed = &example->billed;
    sources.billed_count = 1;
    at = billing_boundary_at(billing, 2);
    cr_assert_eq(
        invoice_build(&billing->subscription, &at, &sources, &billing->arena, &example->invoice),
        0);
}

static void assert_golden(const char *name, const struct buffer *found)
{
    CLEANUP(buffer_deinit) struct buffer expected = {0};
    const char *update = getenv("TOLLWAY_UPDATE_GOLDEN");
    char path[512];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/tests/golden/invoice/%s", TOLLWAY_SOURCE_DIR, name);
    if (update) {
        file = fopen(path, "wb");
        cr_assert_not_null(file, "%s", path);
        cr_assert_eq(fwrite(found->at, 1, found->length, file), found->length);
        (void)fclose(file);
    }
    file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    buffer_reserve(&expected, 1 << 20);
    expected.length = fread(expected.at, 1, 1 << 20, file);
    (void)fclose(file);
    cr_assert(text_equal(buffer_text(&expected), buffer_text(found)), "%s differs:\n%.*s", name,
              (int)found->length, found->at);
}

static struct money money_of_json(const json_t *json, const char *name)
{
    struct money money;

    cr_assert_eq(money_parse(text_of(json_string_value(json_object_get(json, name))),
                             currency_find(text_of("USD")), &money),
                 0);
    return money;
}

Test(render, json_is_whole_and_its_sums_hold)
{
    CLEANUP(buffer_deinit) struct buffer found = {0};
    struct example example;
    struct money sum = {0};
    json_t *json, *line;
    size_t i;

    example_init(&example);
    render_json(&example.invoice, &found);
    assert_golden("example.json", &found);

    json = json_loadb(found.at, found.length, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(json);
    json_array_foreach(json_object_get(json, "lines"), i, line)
    {
        sum.minor += money_of_json(line, "total").minor;
        cr_assert(money_of_json(line, "total").minor ==
                  money_of_json(line, "amount").minor - money_of_json(line, "discount").minor);
    }
    cr_assert_eq(i, 4);
    cr_assert(money_of_json(json, "total").minor == sum.minor);
    json_decref(json);
    billing_deinit(&example.billing);
}

Test(render, csv_guards_formulas_and_quotes_and_its_rows_sum_to_the_total)
{
    CLEANUP(buffer_deinit) struct buffer found = {0};
    struct example example;
    struct text rest, row;
    struct money sum = {0}, total;

    example_init(&example);
    render_csv_header(&found);
    render_csv(&example.invoice, &found);
    assert_golden("example.csv", &found);

    rest = buffer_text(&found);
    (void)text_cut(&rest, '\n');
    while (rest.length) {
        row = text_cut(&rest, '\n');
        cr_assert_eq(row.at[row.length - 1], '\r');
        while (memchr(row.at, ',', row.length))
            (void)text_cut(&row, ',');
        cr_assert_eq(
            money_parse(text_from(row.at, row.length - 1), example.billing.plan.currency, &total),
            0);
        sum.minor += total.minor;
    }
    cr_assert(sum.minor == example.invoice.total.minor);
    billing_deinit(&example.billing);
}

Test(render, html_escapes_what_came_from_outside)
{
    CLEANUP(buffer_deinit) struct buffer found = {0};
    struct example example;

    example_init(&example);
    render_html(&example.invoice, &found);
    assert_golden("example.html", &found);

    buffer_add_char(&found, '\0');
    cr_assert_null(strstr(found.at, "<b>calls"));
    cr_assert_null(strstr(found.at, "<GmbH>"));
    cr_assert_not_null(strstr(found.at, "&lt;GmbH&gt;"));
    cr_assert_null(strstr(found.at, "http://"));
    cr_assert_null(strstr(found.at, "https://"));
    cr_assert_null(strstr(found.at, "<script"));
    billing_deinit(&example.billing);
}

Test(render, a_table_fits_its_terminal_and_obeys_no_name)
{
    CLEANUP(buffer_deinit) struct buffer found = {0};
    struct example example;
    struct text rest;

    example_init(&example);
    render_table(&example.invoice, &(struct render_terminal){.columns = 80}, &found);
    assert_golden("example.txt", &found);
    rest = buffer_text(&found);
    while (rest.length) {
        struct text row = text_cut(&rest, '\n');
        size_t columns = 0;

        for (size_t i = 0; i < row.length; i++)
            columns += ((unsigned char)row.at[i] & 0xc0) != 0x80;
        cr_assert_leq(columns, 80, "%.*s", (int)row.length, row.at);
    }

    buffer_clear(&found);
    example.billing.subscription.customer_name = text_of("a\033[2Jb\xc2\x9b"
                                                         "c");
    render_table(&example.invoice, &(struct render_terminal){.columns = 80}, &found);
    buffer_add_char(&found, '\0');
    cr_assert_null(strchr(found.at, '\033'));
    cr_assert_not_null(strstr(found.at, "a?[2Jb?c"));
    billing_deinit(&example.billing);
}

/* Beyond 10^15 too, which no value reaches but a period's sum may. */
Test(render, json_is_read_back_to_the_same_bytes)
{
    CLEANUP(buffer_deinit) struct buffer once = {0}, twice = {0};
    struct example example;
    struct invoice_sources sources;
    struct billing_boundary at;
    struct invoice read;

    example_init(&example);
    example.billing.counted[1].quantity.units = decimal_from_int(INT64_MAX).units + 5;
    sources = billing_sources(&example.billing);
    sources.billed = &example.billed;
    sources.billed_count = 1;
    at = billing_boundary_at(&example.billing, 2);
    cr_assert_eq(invoice_build(&example.billing.subscription, &at, &sources, &example.billing.arena,
                               &example.invoice),
                 0);

    render_json(&example.invoice, &once);
    cr_assert_eq(invoice_read(buffer_text(&once), &example.billing.arena, &read), 0);
    render_json(&read, &twice);

    cr_assert(text_equal(buffer_text(&once), buffer_text(&twice)), "%.*s\n%.*s", (int)once.length,
              once.at, (int)twice.length, twice.at);
    cr_assert(memmem(once.at, once.length, "9223372036854775807.000000000005", 32));
    billing_deinit(&example.billing);
}
