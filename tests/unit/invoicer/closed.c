/*
 * closed.c - which closed periods an invoice looks at, however many there are.
 */
#include "invoicer/edges/closed.h"

#include "invoicer/edges/billed.h"
#include "invoicer/edges/mirror.h"
#include "tests/unit/invoicer/shelf.h"

#define ID "01ARZ3NDEKTSV4RRFFQ69G5FAV"

enum { MONTHS = 60, DAY = 1440, FIRST = 25771680 /* 2019-01-01 in minutes */ };

static const char plan[] =
    "{\"key\":\"pro\",\"version\":1,\"name\":\"Pro\",\"currency\":\"USD\",\"billingCadence\":"
    "\"P1M\",\"phases\":[{\"key\":\"p\",\"name\":\"P\",\"rateCards\":[{\"type\":\"usage_based\","
    "\"key\":\"api\",\"featureKey\":\"api\",\"billingCadence\":\"P1M\",\"price\":{\"type\":"
    "\"unit\",\"amount\":\"0.01\"}}]}]}";

#define RECORD(more)                                                                               \
    "{\"id\":\"" ID "\",\"customerKey\":\"acme\",\"plan\":{\"key\":\"pro\",\"version\":1},"        \
    "\"activeFrom\":\"2019-01-01T00:00:00Z\",\"cuts\":[0]" more "}"

struct bench {
    struct shelf shelf;
    struct bills *bills;
    struct arena arena;
    struct bill_subject subject;
    struct closed_list closed;
    struct invoice invoice; /* the last one */
};

static void put_catalog(struct bench *bench, const char *key, const char *json)
{
    cr_assert_eq(books_catalog_put(bench->shelf.txn, text_of(key), text_of(json), 0), 0);
}

static void read_subject(struct bench *bench, const char *record)
{
    cr_assert_eq(bills_subject(bench->bills, bench->shelf.txn, text_of(record), &bench->arena,
                               &bench->subject),
                 0);
}

/* So much usage in the day number `day` of the first January. */
static void count(struct bench *bench, int64_t minute, const char *quantity, int64_t next_offset)
{
    CLEANUP(buffer_deinit) struct buffer key = {0}, value = {0};
    struct counters_total total = {
        .subscription = text_of(ID),
        .meter = text_of("api"),
        .dimensions = text_of("{}"),
        .from_minute = minute,
        .to_minute = minute + DAY,
        .total = {.aggregation = AGGREGATION_SUM, .count = 1},
        .next_offset = next_offset,
    };

    cr_assert_eq(decimal_parse(text_of(quantity), &total.total.value), 0);
    counters_encode_total(&total, &key, &value);
    cr_assert_eq(mirror_take(bench->shelf.txn, buffer_text(&key), buffer_text(&value)), 0);
}

/* Another plan: its second card is billed by the day. */
static const char daily_plan[] =
    "{\"key\":\"pro\",\"version\":2,\"name\":\"Pro\",\"currency\":\"USD\",\"billingCadence\":"
    "\"P1M\",\"phases\":[{\"key\":\"p\",\"name\":\"P\",\"rateCards\":[{\"type\":\"usage_based\","
    "\"key\":\"api\",\"featureKey\":\"api\",\"billingCadence\":\"P1M\",\"price\":{\"type\":"
    "\"unit\",\"amount\":\"0.01\"}},{\"type\":\"usage_based\",\"key\":\"daily\",\"featureKey\":"
    "\"api\",\"billingCadence\":\"P1D\",\"price\":{\"type\":\"unit\",\"amount\":\"1\"}}]}]}";

/* The same from all closed periods as from those that were noted. */
static void assert_same_from_all(struct bench *bench, const struct billing_boundary *boundary)
{
    struct invoice invoice;

    cr_assert_eq(late_unsettle(bench->shelf.txn, text_of(ID)), 0);
    cr_assert_eq(bills_build(bench->bills, bench->shelf.txn, &bench->subject, boundary,
                             &bench->arena, &invoice),
                 0);
    cr_assert_eq(invoice.line_count, bench->invoice.line_count);
    cr_assert_str_eq(invoice.digest, bench->invoice.digest);
}

/* Bills what is due by then, as a close does; how many invoices. */
static int bill_until(struct bench *bench, const char *at)
{
    struct bill_terms terms = {.interval_ms = 0};
    struct billing_boundary boundary, done;
    int invoices = 0, r;

    cr_assert_eq(instant_parse(text_of(at), &terms.at), 0);
    r = bills_due(bench->shelf.txn, &bench->subject, &terms, &boundary);
    while (r == 0) {
        done = boundary;
        r = bills_build(bench->bills, bench->shelf.txn, &bench->subject, &done, &bench->arena,
                        &bench->invoice);
        if (r == INVOICE_NOTHING) {
            cr_assert_eq(billed_nothing(bench->shelf.txn, text_of(ID), instant_minute(done.at)), 0);
        } else {
            cr_assert_eq(r, 0);
            assert_same_from_all(bench, &done);
            cr_assert_eq(billed_take_built(bench->shelf.txn, &bench->invoice, text_of("C"),
                                           text_of("{\"id\":1}")),
                         0);
            invoices++;
        }
        r = bills_settle(bench->shelf.txn, &bench->subject, &terms, &done, &boundary);
    }
    cr_assert_eq(r, BILLS_NONE);
    return invoices;
}

static size_t periods_looked_at(struct bench *bench)
{
    closed_deinit(&bench->closed);
    cr_assert_eq(closed_find(bench->shelf.txn, &bench->subject, &bench->closed), 0);
    return bench->closed.count;
}

/* A subscription that was billed for sixty months, with usage on the tenth day of the first. */
static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.bills = bills_new(1)};
    arena_init(&bench->arena, 64 << 20);
    shelf_open(&bench->shelf);
    put_catalog(bench, "plan/pro@1", plan);
    read_subject(bench, RECORD(""));
    count(bench, FIRST + 9 * DAY, "5", 1);
    cr_assert_eq(bill_until(bench, "2024-01-01T00:00:00Z"), MONTHS);
}

static void bench_deinit(struct bench *bench)
{
    closed_deinit(&bench->closed);
    shelf_close(&bench->shelf);
    bills_free(bench->bills);
    arena_deinit(&bench->arena);
}

Test(closed, none_is_looked_at_when_nothing_came_late)
{
    struct bench bench;

    bench_init(&bench);
    count(&bench, FIRST + 365 * 5 * DAY + 20 * DAY, "7", 2); /* of the open period */

    cr_assert_eq(periods_looked_at(&bench), 0);
    bench_deinit(&bench);
}

Test(closed, a_period_is_looked_at_when_its_total_changes_and_not_when_it_is_sent_again)
{
    struct bench bench;

    bench_init(&bench);
    count(&bench, FIRST + 9 * DAY, "5", 9);
    cr_assert_eq(periods_looked_at(&bench), 0);
    count(&bench, FIRST + 9 * DAY, "6", 10);
    count(&bench, FIRST + 9 * DAY + 3 * DAY, "1", 10);
    count(&bench, FIRST + 31 * DAY, "1", 10); /* the first of February */

    cr_assert_eq(periods_looked_at(&bench), 2);
    cr_assert_eq(instant_minute(bench.closed.at[0].period.window.from), FIRST);
    cr_assert_eq(bench.closed.at[0].quantity.units, decimal_from_int(5).units);
    cr_assert_eq(instant_minute(bench.closed.at[1].period.window.from), FIRST + 31 * DAY);
    bench_deinit(&bench);
}

/* Billed up to 2024-01-01. */
Test(closed, the_last_closed_day_is_late_and_the_first_open_one_is_not)
{
    struct bench bench;

    bench_init(&bench);
    count(&bench, FIRST + 1826 * DAY, "1", 10);
    cr_assert_eq(periods_looked_at(&bench), 0);
    count(&bench, FIRST + 1825 * DAY, "1", 10);
    cr_assert_eq(periods_looked_at(&bench), 1);
    bench_deinit(&bench);
}

Test(closed, late_usage_is_adjusted_once)
{
    struct bench bench;

    bench_init(&bench);
    count(&bench, FIRST + 9 * DAY, "105", 10);

    cr_assert_eq(bill_until(&bench, "2024-02-01T00:00:00Z"), 1);
    cr_assert_eq(bench.invoice.line_count, 2);
    cr_assert_eq(bench.invoice.lines[1].kind, INVOICE_ADJUSTMENT);
    cr_assert_eq(bench.invoice.lines[1].total.minor, 100);
    cr_assert_eq(periods_looked_at(&bench), 0);
    cr_assert_eq(bill_until(&bench, "2024-03-01T00:00:00Z"), 1);
    cr_assert_eq(bench.invoice.line_count, 1);
    bench_deinit(&bench);
}

Test(closed, all_are_looked_at_once_when_the_record_has_changed)
{
    struct bench bench;

    bench_init(&bench);
    read_subject(&bench, RECORD(",\"activeTo\":\"2025-01-01T00:00:00Z\""));

    cr_assert_eq(periods_looked_at(&bench), MONTHS);
    cr_assert_eq(bill_until(&bench, "2024-02-01T00:00:00Z"), 1);
    cr_assert_eq(periods_looked_at(&bench), 0);
    bench_deinit(&bench);
}

Test(closed, all_are_looked_at_once_when_another_invoicer_has_billed)
{
    struct bench bench;

    bench_init(&bench);
    cr_assert_eq(billed_take(bench.shelf.txn, text_of("nothing/C/0"),
                             text_of("{\"boundaries\":[[\"" ID "\",28452960]]}")),
                 0);

    cr_assert_geq(periods_looked_at(&bench), MONTHS);
    bench_deinit(&bench);
}

/* What is over is only asked for again when something came late for it. */
Test(closed, a_glance_tells_what_is_due_without_the_record)
{
    static const char over[] = RECORD(",\"activeTo\":\"2024-02-01T00:00:00Z\"");
    struct bill_terms terms = {.interval_ms = 0};
    struct text id = text_of(ID);
    struct bench bench;

    bench_init(&bench);
    cr_assert_eq(instant_parse(text_of("2024-01-31T23:59:00Z"), &terms.at), 0);
    cr_assert_eq(bills_glance(bench.shelf.txn, id, text_of(RECORD("")), &terms, BILLS_ENDED_ANY),
                 BILLS_NONE);
    terms.at = instant_from_minute(instant_minute(terms.at) + 1);
    cr_assert_eq(bills_glance(bench.shelf.txn, id, text_of(RECORD("")), &terms, BILLS_ENDED_ANY),
                 0);
    cr_assert_eq(bills_glance(bench.shelf.txn, id, text_of(over), &terms, BILLS_ENDED_ANY),
                 BILLS_UNREAD);

    read_subject(&bench, over);
    cr_assert_eq(bill_until(&bench, "2024-02-01T00:00:00Z"), 1);
    terms.at = instant_from_minute(instant_minute(terms.at) + 1);
    cr_assert_eq(bills_glance(bench.shelf.txn, id, text_of(over), &terms, BILLS_ENDED_LATE),
                 BILLS_NONE);
    cr_assert_eq(bills_glance(bench.shelf.txn, id, text_of(over), &terms, BILLS_ENDED_ANY), 0);
    count(&bench, FIRST, "1", 10);
    cr_assert_eq(bills_glance(bench.shelf.txn, id, text_of(over), &terms, BILLS_ENDED_LATE), 0);
    bench_deinit(&bench);
}

/* Each invoice is built in both ways (bill_until): 18 months, usage of any day before or in them.
 */
Test(closed, invoices_are_the_same_whatever_came_late_and_when)
{
    uint64_t state = 11;
    int adjustments = 0;
    struct bench bench = {.bills = bills_new(1)};

    arena_init(&bench.arena, 256 << 20);
    shelf_open(&bench.shelf);
    put_catalog(&bench, "plan/pro@2", daily_plan);
    read_subject(&bench, "{\"id\":\"" ID "\",\"customerKey\":\"acme\",\"plan\":{\"key\":\"pro\","
                         "\"version\":2},\"activeFrom\":\"2019-01-01T00:00:00Z\",\"cuts\":[0]}");
    for (int month = 1; month <= 18; month++) {
        char at[32], quantity[8];

        for (int i = 0; i < 5; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            (void)snprintf(quantity, sizeof(quantity), "%d", (int)(state >> 40) % 5);
            count(&bench, FIRST + (int64_t)((state >> 33) % (uint64_t)(month * 30)) * DAY, quantity,
                  month * 10 + i);
        }
        (void)snprintf(at, sizeof(at), "%d-%02d-01T00:00:00Z", 2019 + month / 12, month % 12 + 1);
        cr_assert_eq(bill_until(&bench, at), 1);
        for (size_t i = 0; i < bench.invoice.line_count; i++)
            adjustments += bench.invoice.lines[i].kind == INVOICE_ADJUSTMENT;
    }
    cr_assert_gt(adjustments, 20);
    bench_deinit(&bench);
}
