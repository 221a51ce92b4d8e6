#include "invoicer/edges/billed.h"

#include "common/base/fault.h"
#include "invoicer/edges/mirror.h"
#include "invoicer/edges/outbox.h"
#include "invoicer/rules/render.h"
#include "tests/unit/invoicer/billing.h"
#include "tests/unit/invoicer/shelf.h"

enum { FEBRUARY = 29498400 /* 2026-02-01 in minutes */, JANUARY = FEBRUARY - 31 * 1440 };

#define PERIOD                                                                                     \
    "\"period\":{\"index\":0,\"from\":\"2026-01-01T00:00:00Z\",\"to\":\"2026-02-01T00:00:00Z\"}"
#define USAGE                                                                                      \
    "{\"kind\":\"usage\",\"phaseKey\":\"p\",\"rateCardKey\":\"api\"," PERIOD                       \
    ",\"quantity\":\"153.5\",\"total\":\"1.54\"}"
#define ADJUSTMENT                                                                                 \
    "{\"kind\":\"adjustment\",\"phaseKey\":\"p\",\"rateCardKey\":\"api\"," PERIOD                  \
    ",\"quantity\":\"163.5\",\"total\":\"0.10\"}"
#define FEE                                                                                        \
    "{\"kind\":\"fee\",\"phaseKey\":\"p\",\"rateCardKey\":\"base\"," PERIOD ",\"total\":\"99."     \
    "00\"}"
#define INVOICE(id, boundary, lines)                                                               \
    "{\"close\":\"C\",\"id\":\"" id "\",\"subscription\":\"S\",\"currency\":\"USD\",\"boundary\":" \
    "\"" boundary "\",\"lines\":[" lines "]}"

static void take(struct shelf *shelf, const char *key, const char *json)
{
    cr_assert_eq(billed_take(shelf->txn, text_of(key), text_of(json)), 0);
}

static struct billed_period billed(struct shelf *shelf)
{
    struct billed_period billed;

    cr_assert_eq(billed_of(shelf->txn, text_of("S"), text_of("p"), text_of("api"), JANUARY,
                           FEBRUARY, &billed),
                 0);
    return billed;
}

static int dump_row(void *context, struct text key, struct text value)
{
    buffer_add_json_string(context, key);
    buffer_add_char(context, '=');
    buffer_add_json_string(context, value);
    buffer_add_char(context, '\n');
    return 0;
}

Test(billed, an_invoice_is_taken_once_without_its_close)
{
    struct shelf shelf;
    struct text json, close;

    shelf_open(&shelf);
    take(&shelf, "A", INVOICE("A", "2026-02-01T00:00:00Z", FEE "," USAGE));
    take(&shelf, "A", INVOICE("A", "2026-02-01T00:00:00Z", USAGE "," USAGE));

    cr_assert_eq(billed_invoice(shelf.txn, text_of("A"), &json), 0);
    cr_assert(text_starts(json, "{\"id\":\"A\","));
    cr_assert_str_eq(billed(&shelf).total, "1.54");
    cr_assert_eq(billed_close(shelf.txn, text_of("A"), &close), 0);
    cr_assert(text_is(close, "C"));
    cr_assert_eq(billed_invoice(shelf.txn, text_of("B"), &json), BILLED_NOT);
    cr_assert_eq(billed_invoice(shelf.txn, text_of(""), &json), BILLED_NOT);
    shelf_close(&shelf);
}

/* Else the store of whoever began it would stand still for good. */
Test(billed, a_close_that_another_host_has_brought_to_its_end_holds_nothing_any_more)
{
    const int64_t targets[] = {7, 8};
    struct mirror_progress progress;
    struct shelf shelf;

    shelf_open(&shelf);
    cr_assert_eq(mirror_freeze(shelf.txn, targets, 2, 3, FEBRUARY), 0);
    take(&shelf, "close/C", "{\"at\":\"2026-02-01T01:00:00Z\",\"state\":\"billing\"}");
    cr_assert_eq(mirror_frozen(shelf.txn, &progress), 0);
    cr_assert_eq(progress.partitions, 2);
    take(&shelf, "close/C", "{\"at\":\"2026-02-01T01:00:00Z\",\"state\":\"done\"}");
    cr_assert_eq(mirror_frozen(shelf.txn, &progress), 0);
    cr_assert_eq(progress.partitions, 0);
    shelf_close(&shelf);
}

/* Format 1 had an invoice's JSON where its close stands now. */
Test(billed, a_folder_of_an_older_format_is_refused)
{
    static const char *const tables[] = {"state"};
    CLEANUP(buffer_deinit) struct buffer path = {0};
    struct store *store = NULL;
    struct shelf shelf;
    char *folder = NULL;

    shelf_open(&shelf);
    buffer_printf(&path, "%s/old/invoicer", shelf.data);
    buffer_add_char(&path, '\0');
    cr_assert_eq(
        store_open(path.at, tables, ARRAY_LEN(tables), 1 << 20, BOOKS_FORMAT_LEAST - 1, &store), 0);
    store_close(store);

    cr_assert_eq(books_open(shelf.data, "old", &store, &folder), FAULT_STOP);
    shelf_close(&shelf);
}

Test(billed, adjustments_add_up_and_the_last_quantity_counts)
{
    struct shelf shelf;

    shelf_open(&shelf);
    cr_assert_str_eq(billed(&shelf).quantity, "0");
    take(&shelf, "A", INVOICE("A", "2026-02-01T00:00:00Z", USAGE));
    take(&shelf, "B", INVOICE("B", "2026-03-01T00:00:00Z", ADJUSTMENT));

    cr_assert_str_eq(billed(&shelf).quantity, "163.5");
    cr_assert_str_eq(billed(&shelf).total, "1.64");
    cr_assert_eq(billed(&shelf).adjustments, 1);
    shelf_close(&shelf);
}

Test(billed, a_line_without_usage_leaves_no_row_and_later_ones_add_to_it)
{
    CLEANUP(buffer_deinit) struct buffer rows = {0}, key = {0};
    struct shelf shelf;

    shelf_open(&shelf);
    take(&shelf, "A",
         INVOICE("A", "2026-02-01T00:00:00Z",
                 "{\"kind\":\"usage\",\"phaseKey\":\"p\",\"rateCardKey\":\"api\"," PERIOD
                 ",\"quantity\":\"0\",\"total\":\"0.00\"}"));
    billed_key(&key, text_of("S"), 'u');
    cr_assert_eq(books_each(shelf.txn, BOOKS_BILLED, buffer_text(&key), dump_row, &rows), 0);
    cr_assert_eq(rows.length, 0);
    cr_assert_str_eq(billed(&shelf).quantity, "0");
    take(&shelf, "B", INVOICE("B", "2026-03-01T00:00:00Z", ADJUSTMENT));

    cr_assert_str_eq(billed(&shelf).quantity, "163.5");
    cr_assert_str_eq(billed(&shelf).total, "0.10");
    cr_assert_eq(billed(&shelf).adjustments, 1);
    shelf_close(&shelf);
}

Test(billed, the_last_boundary_is_the_subscriptions_own_with_an_invoice_or_without)
{
    int64_t minute = 0;
    struct shelf shelf;

    shelf_open(&shelf);
    cr_assert_eq(billed_last(shelf.txn, text_of("S"), &minute), BILLED_NOT);
    take(&shelf, "A", INVOICE("A", "2026-02-01T00:00:00Z", USAGE));
    cr_assert_eq(billed_nothing(shelf.txn, text_of("T"), FEBRUARY + 9), 0);
    cr_assert_eq(billed_last(shelf.txn, text_of("S"), &minute), 0);
    cr_assert_eq(minute, FEBRUARY);

    take(&shelf, "nothing/C/0", "{\"boundaries\":[[\"S\",29498500]]}");

    cr_assert_eq(billed_last(shelf.txn, text_of("S"), &minute), 0);
    cr_assert_eq(minute, 29498500);
    cr_assert_eq(billed_last(shelf.txn, text_of("R"), &minute), BILLED_NOT);
    shelf_close(&shelf);
}

/* Every row that invoices leave in the store. */
static void dump(struct shelf *shelf, struct buffer *rows)
{
    static const enum books_table tables[] = {BOOKS_INVOICES, BOOKS_CLOSES, BOOKS_BILLED};

    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        cr_assert_eq(books_each(shelf->txn, tables[i], text_from("", 0), dump_row, rows), 0);
}

static const char plan[] =
    "{'key':'pro','version':1,'name':'Pro','currency':'USD','billingCadence':'P1M','phases':["
    "{'key':'p','name':'P','rateCards':[{'type':'flat_fee','key':'fee','name':'Fee',"
    "'billingCadence':'P1M','price':{'type':'flat','amount':'29','paymentTerm':'in_advance'}},"
    "{'type':'usage_based','key':'api','name':'API','featureKey':'api','billingCadence':'P1M',"
    "'price':{'type':'unit','amount':'0.01'}}]}]}";
static const char subscription[] =
    "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme','activeFrom':'2026-01-01T00:00:00Z'}";

/* The invoices of the first three boundaries, each built and taken one way. */
static void take_three(struct billing *billing, struct shelf *shelf, bool as_built)
{
    for (size_t i = 0; i < 3; i++) {
        CLEANUP(buffer_deinit) struct buffer json = {0}, record = {0};
        struct invoice_sources sources = billing_sources(billing);
        struct billing_boundary boundary = billing_boundary_at(billing, i);
        struct invoice invoice;

        sources.credit_used.minor = i == 0 ? 0 : i == 1 ? 2900 : 5800;
        cr_assert_eq(
            invoice_build(&billing->subscription, &boundary, &sources, &billing->arena, &invoice),
            0);
        render_json(&invoice, &json);
        buffer_add_string(&record, "{\"close\":\"C\",");
        buffer_add(&record, json.at + 1, json.length - 1);
        cr_assert_eq(as_built
                         ? billed_take_built(shelf->txn, &invoice, text_of("C"), buffer_text(&json))
                         : billed_take(shelf->txn, invoice.id, buffer_text(&record)),
                     0);
    }
}

Test(billed, an_invoice_leaves_the_same_rows_built_or_read)
{
    CLEANUP(buffer_deinit) struct buffer built = {0}, read = {0};
    struct billing billing;

    billing_init(&billing, plan, subscription);
    billing.subscription.previous_id = text_of("OLD");
    billing.subscription.credit.minor = 7000;
    billing_count(&billing, "api", "2026-01-05", "153.5");
    for (int way = 0; way < 2; way++) {
        struct shelf shelf;

        shelf_open(&shelf);
        take_three(&billing, &shelf, way == 0);
        dump(&shelf, way == 0 ? &built : &read);
        shelf_close(&shelf);
    }
    cr_assert_gt(built.length, 1000);
    cr_assert(text_equal(buffer_text(&built), buffer_text(&read)));
    billing_deinit(&billing);
}

Test(billed, what_is_no_record_of_ours_stops)
{
    struct shelf shelf;

    shelf_open(&shelf);
    cr_assert_lt(billed_take(shelf.txn, text_of("A"), text_of("{]")), 0);
    cr_assert_lt(billed_take(shelf.txn, text_of("A"), text_of("{\"id\":\"A\"}")), 0);
    shelf_close(&shelf);
}

Test(outbox, a_message_waits_until_it_is_confirmed_and_only_under_its_own_key)
{
    int64_t first, second, confirmed;
    bool waits, is_empty;
    struct shelf shelf;

    shelf_open(&shelf);
    cr_assert_eq(outbox_is_empty(shelf.txn, &is_empty), 0);
    cr_assert(is_empty);

    cr_assert_eq(outbox_put(shelf.txn, TOPIC_CATALOG, text_of("k"), text_of("{\"a\":1}"), &first),
                 0);
    cr_assert_eq(outbox_put(shelf.txn, TOPIC_INVOICES, text_of("k"), text_of("{\"a\":1}"), &second),
                 0);

    cr_assert_eq(second, first + 1);
    cr_assert_eq(outbox_has(shelf.txn, TOPIC_CATALOG, text_of("k"), &waits), 0);
    cr_assert(waits);
    cr_assert_eq(outbox_has(shelf.txn, TOPIC_CATALOG, text_of("l"), &waits), 0);
    cr_assert_not(waits);
    cr_assert_eq(outbox_confirmed(shelf.txn, &confirmed), 0);
    cr_assert_eq(confirmed, -1);
    shelf_close(&shelf);
}

Test(books, numbers_sort_as_bytes)
{
    const int64_t numbers[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
    struct buffer keys[ARRAY_LEN(numbers)] = {{0}};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        books_add_be64(&keys[i], numbers[i]);
        cr_assert_eq(books_be64(keys[i].at), numbers[i]);
        cr_assert(i == 0 || text_compare(buffer_text(&keys[i - 1]), buffer_text(&keys[i])) < 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        buffer_deinit(&keys[i]);
}
