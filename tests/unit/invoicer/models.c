/*
 * models.c - prices that look at more than one quantity, from counters to an invoice and back.
 */
#include "invoicer/edges/mirror.h"
#include "invoicer/edges/usage.h"
#include "invoicer/rules/invoice_digest.h"
#include "invoicer/rules/invoice_read.h"
#include "invoicer/rules/render.h"
#include "tests/unit/invoicer/billing.h"
#include "tests/unit/invoicer/shelf.h"

#include <string.h>

enum { DAY = 1440, JANUARY = 29453760 /* 2026-01-01 */ };

static const char plan[] =
    "{'key':'mix','version':1,'name':'Mix','currency':'USD','billingCadence':'P1M','phases':["
    "{'key':'default','name':'Default','rateCards':["
    "{'type':'usage_based','key':'calls','featureKey':'calls','billingCadence':'P1M','price':"
    "{'type':'matrix','dimensions':['region','model'],'values':["
    "{'match':{'region':'eu','model':'large'},'amount':'0.2'},"
    "{'match':{'region':'us','model':'large'},'amount':'0.15'}],'amount':'0.1'}},"
    "{'type':'usage_based','key':'paid','featureKey':'paid','billingCadence':'P1M','price':"
    "{'type':'percentage','rate':'1.3','fixedAmount':'0.3'}},"
    "{'type':'usage_based','key':'volume','featureKey':'volume','billingCadence':'P1M','price':"
    "{'type':'graduated_percentage','tiers':[{'upToAmount':'100','rate':'1'},{'rate':'0.5',"
    "'flatPrice':'2'}]}},"
    "{'type':'usage_based','key':'bytes','featureKey':'bytes','billingCadence':'P1M','price':"
    "{'type':'unit','amount':'0.05','unitConversion':{'operation':'divide','factor':'1000000000',"
    "'rounding':'up','precision':1}}},"
    "{'type':'usage_based','key':'seats','featureKey':'seats','billingCadence':'P1M','price':"
    "{'type':'matrix','dimensions':['region'],'values':[{'match':{'region':'eu'},'amount':'1'}],"
    "'amount':'2'}}]}]}";

struct entry {
    const char *meter;
    int day;
    enum aggregation aggregation;
    const char *value;
    uint64_t count;
    const char *dimensions;
    int unique; /* > 0: a unique value of this number */
};

static const struct entry january[] = {
    {"calls", 0, AGGREGATION_SUM, "5", 2, "{\"model\":\"large\",\"region\":\"eu\"}", 0},
    {"calls", 3, AGGREGATION_SUM, "7", 1, "{\"model\":\"large\",\"region\":\"eu\"}", 0},
    {"calls", 0, AGGREGATION_SUM, "11", 1, "{\"model\":null,\"region\":\"eu\"}", 0},
    {"calls", 0, AGGREGATION_SUM, "13", 1, "{\"model\":\"small\",\"region\":\"\"}", 0},
    {"paid", 0, AGGREGATION_SUM, "150.01", 2, "{}", 0},
    {"paid", 9, AGGREGATION_SUM, "0", 1, "{}", 0},
    {"volume", 9, AGGREGATION_SUM, "250", 4, "{}", 0},
    {"bytes", 1, AGGREGATION_SUM, "1500000001", 4, "{}", 0},
    {"seats", 0, AGGREGATION_UNIQUE_COUNT, NULL, 1, "{\"region\":\"eu\",\"team\":\"a\"}", 0},
    {"seats", 0, AGGREGATION_UNIQUE_COUNT, NULL, 1, "{\"region\":\"eu\",\"team\":\"a\"}", 1},
    {"seats", 4, AGGREGATION_UNIQUE_COUNT, NULL, 1, "{\"region\":\"eu\",\"team\":\"b\"}", 1},
    {"seats", 4, AGGREGATION_UNIQUE_COUNT, NULL, 1, "{\"region\":\"eu\",\"team\":\"b\"}", 2},
    {"seats", 4, AGGREGATION_UNIQUE_COUNT, NULL, 1, "{\"region\":\"us\",\"team\":\"b\"}", 2},
};

static void put(struct shelf *shelf, const struct entry *entry)
{
    struct counters_total total = {
        .subscription = text_of("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        .meter = text_of(entry->meter),
        .dimensions = text_of(entry->dimensions),
        .from_minute = JANUARY + entry->day * DAY,
        .to_minute = JANUARY + (entry->day + 1) * DAY,
        .is_unique = entry->unique > 0,
        .total = {.aggregation = entry->aggregation, .count = entry->count},
        .next_offset = 1,
    };
    struct buffer key = {0}, value = {0};

    if (entry->value)
        cr_assert_eq(decimal_parse(text_of(entry->value), &total.total.value), 0);
    total.unique[0] = (uint8_t)entry->unique;
    counters_encode_total(&total, &key, &value);
    cr_assert_eq(mirror_take(shelf->txn, buffer_text(&key), buffer_text(&value)), 0);
    buffer_deinit(&key);
    buffer_deinit(&value);
}

/* A bucket with January's counters, and what its one subscription is billed for them. */
struct bench {
    struct billing billing;
    struct shelf shelf;
    struct usage_source source;
    struct invoice_sources sources;
    struct invoice invoice;
};

static int usage_of(void *context, const struct rate_card *card, struct window period,
                    struct invoice_usage *usage)
{
    return usage_in(context, card, period, usage);
}

static void bill(struct bench *bench, size_t boundary)
{
    struct billing *billing = &bench->billing;
    struct billing_boundary at = billing_boundary_at(billing, boundary);

    cr_assert_eq(invoice_build(&billing->subscription, &at, &bench->sources, &billing->arena,
                               &bench->invoice),
                 0);
}

static void bench_init(struct bench *bench)
{
    static const uint16_t midnight[] = {0};
    struct billing *billing = &bench->billing;

    billing_init(billing, plan,
                 "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme',"
                 "'activeFrom':'2026-01-01T00:00:00Z'}");
    shelf_open(&bench->shelf);
    for (size_t i = 0; i < ARRAY_LEN(january); i++)
        put(&bench->shelf, &january[i]);
    bench->source = (struct usage_source){bench->shelf.txn, billing->subscription.id, midnight, 1,
                                          &billing->arena};
    bench->sources = (struct invoice_sources){.usage_of = usage_of, .context = &bench->source};
    bill(bench, 1);
}

static void bench_deinit(struct bench *bench)
{
    shelf_close(&bench->shelf);
    billing_deinit(&bench->billing);
}

/* "calls: 12 x 0.2 = 2.40, 24 x 0.1 = 2.40\n" for each line. */
static void list_lines(const struct bench *bench, struct buffer *found)
{
    for (size_t i = 0; i < bench->invoice.line_count; i++) {
        const struct invoice_line *line = &bench->invoice.lines[i];

        buffer_add_text(found, line->card->key);
        for (size_t j = 0; j < line->detail_count; j++) {
            char quantity[DECIMAL_TEXT_MAX], unit[DECIMAL_TEXT_MAX];

            (void)decimal_format(line->details[j].quantity, quantity);
            (void)decimal_format(line->details[j].unit_amount, unit);
            buffer_printf(found, "%s%s x %s = %s", j ? ", " : ": ", quantity, unit,
                          billing_money(&bench->billing, line->details[j].total));
        }
        buffer_add_char(found, '\n');
    }
    buffer_add_char(found, '\0');
}

/*
 * 1.3 % of 150.01 is 1.95013, with three events at 0.3 together 2.85: the event of 0 counts too.
 * 1500000001 bytes are 1.500000001 gigabytes, 1.6 rounded up. A seat seen in two teams of a region
 * is one.
 */
Test(models, each_is_billed_by_what_its_meter_counted)
{
    CLEANUP(buffer_deinit) struct buffer found = {0};
    struct bench bench;

    bench_init(&bench);

    list_lines(&bench, &found);

    cr_assert_str_eq(found.at, "calls: 12 x 0.2 = 2.40, 24 x 0.1 = 2.40\n"
                               "paid: 150.01 x 1.3 = 2.85\n"
                               "volume: 100 x 1 = 1.00, 150 x 0.5 = 0.75, 1 x 2 = 2.00\n"
                               "bytes: 1.6 x 0.05 = 0.08\n"
                               "seats: 2 x 1 = 2.00, 1 x 2 = 2.00\n");
    bench_deinit(&bench);
}

Test(models, an_invoice_of_them_is_read_back_to_the_same_bytes)
{
    CLEANUP(buffer_deinit) struct buffer once = {0}, twice = {0};
    struct bench bench;
    struct invoice read;

    bench_init(&bench);
    render_json(&bench.invoice, &once);

    cr_assert_eq(invoice_read(buffer_text(&once), &bench.billing.arena, &read), 0);
    render_json(&read, &twice);

    cr_assert(text_equal(buffer_text(&once), buffer_text(&twice)));
    cr_assert_not_null(strstr(once.at, "\"quantity\":\"150.01\",\"events\":3,"));
    cr_assert_not_null(strstr(once.at, "\"value\":0}"));
    bench_deinit(&bench);
}

static struct invoice_billed billed_as(const struct bench *bench, size_t line)
{
    const struct invoice_line *of = &bench->invoice.lines[line];

    return (struct invoice_billed){.plan = &bench->billing.plan,
                                   .card = line,
                                   .period = of->period,
                                   .quantity = of->usage.quantity,
                                   .total = of->total};
}

/* A late event of 0 changes no sum, and a late cell can leave the sum of cells as it was. */
Test(models, late_usage_that_leaves_the_quantity_alone_is_billed_all_the_same)
{
    const struct entry late = {"paid", 9, AGGREGATION_SUM, "0", 3, "{}", 0};
    struct invoice_billed billed[2];
    struct bench bench;

    bench_init(&bench);
    billed[0] = billed_as(&bench, 0);
    billed[1] = billed_as(&bench, 1);
    bench.sources.billed = billed;
    bench.sources.billed_count = 2;
    put(&bench.shelf, &late); /* of the ninth day there were 1, now 3 */

    bill(&bench, 2);

    cr_assert_eq(bench.invoice.line_count, 6);
    cr_assert_eq(bench.invoice.lines[5].kind, INVOICE_ADJUSTMENT);
    cr_assert_str_eq(billing_money(&bench.billing, bench.invoice.lines[5].total), "0.60");
    bench_deinit(&bench);
}

/* Two cells that change places leave quantity, windows and line alone. */
Test(models, the_digest_is_of_every_cell_and_of_the_events)
{
    char digest[INVOICE_DIGEST_TEXT];
    struct invoice_line *lines;
    struct rating_cell *cells, swapped;
    struct bench bench;

    bench_init(&bench);
    memcpy(digest, bench.invoice.digest, sizeof(digest));
    lines = (struct invoice_line *)bench.invoice.lines;
    cells = (struct rating_cell *)lines[0].usage.cells;
    cr_assert_eq(lines[0].usage.cell_count, 3);
    swapped = cells[0];
    cells[0].quantity = cells[2].quantity;
    cells[2].quantity = swapped.quantity;
    cr_assert(invoice_digest(&bench.invoice, &bench.billing.arena, digest));
    cr_assert_str_neq(digest, bench.invoice.digest);
    cells[2].quantity = cells[0].quantity;
    cells[0].quantity = swapped.quantity;
    cr_assert(invoice_digest(&bench.invoice, &bench.billing.arena, digest));
    cr_assert_str_eq(digest, bench.invoice.digest);

    lines[1].usage.events++;
    cr_assert(invoice_digest(&bench.invoice, &bench.billing.arena, digest));

    cr_assert_str_neq(digest, bench.invoice.digest);
    bench_deinit(&bench);
}

/* A plan is read once for each of its currencies; what isn't one of them isn't billed by another.
 */
Test(models, a_plan_is_read_in_each_of_its_currencies)
{
    json_t *record = json_loads(
        "{\"key\":\"pro\",\"currency\":\"USD\",\"billingCadence\":\"P1M\",\"phases\":[{\"key\":"
        "\"a\","
        "\"rateCards\":[{\"type\":\"flat_fee\",\"key\":\"fee\",\"billingCadence\":\"P1M\","
        "\"price\":"
        "{\"type\":\"flat\",\"amount\":\"10\"},\"prices\":{\"JPY\":{\"type\":\"flat\",\"amount\":"
        "\"1500\"}}},{\"type\":\"flat_fee\",\"key\":\"free\"}]}]}",
        0, NULL);
    struct price_issue issue;
    struct arena arena;
    struct plan usd, jpy;

    arena_init(&arena, 1 << 20);
    cr_assert_not_null(record);

    cr_assert_eq(plan_read(record, &arena, &usd, &issue), 0);
    cr_assert_eq(plan_read_in(record, text_of("JPY"), &arena, &jpy, &issue), 0);

    cr_assert_str_eq(usd.currency->code, "USD");
    cr_assert_str_eq(jpy.currency->code, "JPY");
    cr_assert_eq(decimal_compare(usd.phases[0].cards[0].price.amount, decimal_from_int(10)), 0);
    cr_assert_eq(decimal_compare(jpy.phases[0].cards[0].price.amount, decimal_from_int(1500)), 0);
    cr_assert_not(jpy.phases[0].cards[1].has_price);
    cr_assert_eq(plan_read_in(record, text_of("EUR"), &arena, &jpy, &issue), PLAN_MALFORMED);
    arena_deinit(&arena);
    json_decref(record);
}

Test(models, a_record_that_needs_each_event_is_not_billed_from_a_sum)
{
    struct price price = {.kind = PRICE_PERCENTAGE, .amount = decimal_from_int(1)};
    const struct price_discounts none = {0};
    const struct rating_slice slice = {
        .quantity = decimal_from_int(100), .counted = 2, .is_last = true};
    struct rated_line lines[2];
    struct rating rating;

    price.percentage.has_free_events = true;
    price.percentage.free_events = 1;

    cr_assert_eq(rating_rate(&price, &none, currency_find(text_of("USD")), &slice, lines, &rating),
                 RATING_NEEDS_EVENTS);

    price.percentage = (struct price_percentage){
        .has_free_amount = true, .free_amount = decimal_from_int(1), .fixed = decimal_from_int(1)};
    cr_assert_eq(rating_rate(&price, &none, currency_find(text_of("USD")), &slice, lines, &rating),
                 RATING_NEEDS_EVENTS);
}

Test(models, a_free_amount_alone_comes_to_the_same_from_a_sum_as_from_each_event)
{
    struct price price = {.kind = PRICE_PERCENTAGE, .amount = {1370000000000}};
    const struct price_discounts none = {0};
    const struct currency *usd = currency_find(text_of("USD"));
    uint32_t state = 4711;

    price.percentage.has_free_amount = true;
    for (int i = 0; i < 2000; i++) {
        struct decimal events[7], sum = {0};
        struct rating_slice each = {
            .events = events, .event_count = 1 + (size_t)i % 7, .is_last = true};
        struct rating_slice whole = {.counted = each.event_count, .is_last = true};
        struct rated_line lines[2];
        struct rating by_event, by_sum;

        for (size_t k = 0; k < each.event_count; k++) {
            state = state * 1664525 + 1013904223;
            events[k].units = (int128)(state >> 12) * 10000000000;
            sum.units += events[k].units;
        }
        whole.quantity = sum;
        price.percentage.free_amount.units = (int128)(i % 40) * 1000000000000000;
        cr_assert_eq(rating_rate(&price, &none, usd, &each, lines, &by_event), 0);
        cr_assert_eq(rating_rate(&price, &none, usd, &whole, lines, &by_sum), 0);
        cr_assert(by_sum.total.minor == by_event.total.minor);
        cr_assert_eq(decimal_compare(by_sum.billed_quantity, by_event.billed_quantity), 0);
    }
}
