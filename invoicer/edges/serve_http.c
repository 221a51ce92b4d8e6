#include "invoicer/edges/serve_http.h"

#include "common/base/fault.h"
#include "invoicer/edges/admin.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/books.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    METRIC_REQUESTS,
    METRIC_INVOICES,
    METRIC_ACTING,
    METRIC_EPOCH,
    METRIC_OUTBOX,
    METRIC_CLOSE,
    METRIC_STORE,
    METRICS
};

static const struct metric table[METRICS] = {
    [METRIC_REQUESTS] = {"tollway_invoicer_requests_total", "Requests for invoices.",
                         METRIC_COUNTER, NULL, NULL},
    [METRIC_INVOICES] = {"tollway_invoicer_invoices_read_total", "Invoices that were read out.",
                         METRIC_COUNTER, NULL, NULL},
    [METRIC_ACTING] = {"tollway_invoicer_acting", "1 while this invoicer acts for the bucket.",
                       METRIC_GAUGE, NULL, NULL},
    [METRIC_EPOCH] = {"tollway_invoicer_epoch", "The epoch of the last tenure on this store.",
                      METRIC_GAUGE, NULL, NULL},
    [METRIC_OUTBOX] = {"tollway_invoicer_outbox_messages", "Messages that Kafka is yet to have.",
                       METRIC_GAUGE, NULL, NULL},
    [METRIC_CLOSE] = {"tollway_invoicer_close_under_way", "1 while a close isn't done.",
                      METRIC_GAUGE, NULL, NULL},
    [METRIC_STORE] = {"tollway_invoicer_store_bytes", "Bytes used in the store.", METRIC_GAUGE,
                      NULL, NULL},
};

enum { ROUTES = 2, MEASURE_MS = 1000, PAGE_USUAL = 100, PAGE_MAX = 1000, PAGES_MAX = 1000000000 };

struct serve_http {
    struct store *store;
    const char *bucket;
    struct metrics *metrics;
    struct http_route routes[ROUTES];
    uint64_t measured_ms;
};

void serve_http_measure(struct serve_http *http)
{
    static const struct {
        size_t row;
        const char *name;
    } numbers[] = {{METRIC_ACTING, "tenure/acting"}, {METRIC_EPOCH, "tenure/epoch"}};
    uint64_t now = uv_hrtime() / 1000000;
    int64_t value, next, confirmed;

    if (http->measured_ms && now - http->measured_ms < MEASURE_MS)
        return;
    http->measured_ms = now;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (books_read_number(http->store, numbers[i].name, 0, &value) == 0)
            metrics_set(http->metrics, numbers[i].row, 0, value);
    if (books_read_number(http->store, "outbox/next", 0, &next) == 0 &&
        books_read_number(http->store, "outbox/confirmed", -1, &confirmed) == 0)
        metrics_set(http->metrics, METRIC_OUTBOX, 0, next - confirmed - 1);
    if (books_read_number(http->store, "frozen", 0, &value) == 0)
        metrics_set(http->metrics, METRIC_CLOSE, 0, value != 0);
    metrics_set(http->metrics, METRIC_STORE, 0, store_bytes_used(http->store));
}

/* A read transaction for an admin; false: it is answered already. */
static bool begin(struct http_request *request, struct store_txn **txn)
{
    struct serve_http *http = request->context;

    metrics_add(http->metrics, METRIC_REQUESTS, 0, 1);
    if (store_begin(http->store, STORE_READ, txn)) {
        http_answer_problem(request, 503, "unavailable", fault_text(), NULL);
        return false;
    }
    if (!admin_admits(*txn, http->bucket, request)) {
        http_answer_problem(request, 401, "unauthorized", "an admin key of this bucket is needed",
                            NULL);
        return false;
    }
    return true;
}

/* A page of the list. */
struct listing {
    struct store_txn *txn;
    struct buffer json;
    int64_t first, end; /* numbers of the items shown, from 0 */
    int64_t count;      /* of all */
};

static void add_item(struct listing *listing, struct text value)
{
    static const char *const shown[] = {"id", "subscription", "currency", "boundary", "total"};
    json_t *invoice = json_loadb(value.at, value.length, 0, NULL);

    buffer_add_string(&listing->json, listing->count > listing->first ? ",{" : "{");
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        buffer_printf(&listing->json, "%s\"%s\":", i ? "," : "", shown[i]);
        buffer_add_json_string(&listing->json,
                               text_of(json_string_value(json_object_get(invoice, shown[i]))));
    }
    buffer_add_char(&listing->json, '}');
    json_decref(invoice);
}

static int list_one(void *context, struct text id, struct text close)
{
    struct listing *listing = context;
    struct text json;
    int r = 0;

    if (listing->count >= listing->first && listing->count < listing->end) {
        r = billed_invoice_of(listing->txn, close, id, &json);
        if (!r)
            add_item(listing, json);
    }
    listing->count++;
    return r ? fault_pass(r) : 0;
}

/* A number from 1 to `most`; false when it is written but isn't one. */
static bool read_number(struct http_request *request, const char *name, int64_t most,
                        int64_t *number)
{
    struct text text = http_query(request, name, 0);
    int64_t value = 0;

    if (text_is_absent(text))
        return true;
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || value > most)
            return false;
        value = value * 10 + (text.at[i] - '0');
    }
    if (value < 1 || value > most)
        return false;
    *number = value;
    return true;
}

static void answer_list(struct http_request *request, struct store_txn *txn, int64_t page,
                        int64_t page_size)
{
    struct text subscription = http_query(request, "subscription", 0);
    struct listing listing = {.txn = txn, .first = (page - 1) * page_size, .end = page * page_size};
    struct serve_http *http = request->context;
    struct buffer prefix = {0}; /* an invoice's id begins with its subscription's */
    int r;

    if (!text_is_absent(subscription)) {
        buffer_add_text(&prefix, subscription);
        buffer_add_char(&prefix, '-');
    }
    buffer_add_string(&listing.json, "{\"items\":[");
    r = prefix.length > STORE_KEY_BYTES_MAX
            ? 0
            : books_each(txn, BOOKS_INVOICES, text_from(prefix.at ? prefix.at : "", prefix.length),
                         list_one, &listing);
    buffer_printf(&listing.json, "],\"page\":%lld,\"pageSize\":%lld,\"totalCount\":%lld}",
                  (long long)page, (long long)page_size, (long long)listing.count);
    metrics_add(http->metrics, METRIC_INVOICES, 0, listing.count);
    if (r)
        http_answer_problem(request, 503, "unavailable", fault_text(), NULL);
    else
        http_answer_json(request, 200, buffer_text(&listing.json));
    buffer_deinit(&listing.json);
    buffer_deinit(&prefix);
}

/* A misspelt filter would list everything. */
static bool has_known_parameters(struct http_request *request)
{
    for (size_t i = 0; i < http_query_count(request); i++) {
        struct text name, value;
        if (http_query_at(request, i, &name, &value) == 0 &&
            (text_is(name, "page") || text_is(name, "pageSize") || text_is(name, "subscription")))
            continue;
        http_answer_problem(request, 400, "unknown_parameter",
                            "the list takes page, pageSize and subscription", NULL);
        return false;
    }
    return true;
}

static void on_list(struct http_request *request)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int64_t page = 1, page_size = PAGE_USUAL;

    if (!begin(request, &txn) || !has_known_parameters(request))
        return;
    if (read_number(request, "page", PAGES_MAX, &page) &&
        read_number(request, "pageSize", PAGE_MAX, &page_size))
        answer_list(request, txn, page, page_size);
    else
        http_answer_problem(request, 400, "invalid_parameter",
                            "page counts from 1, pageSize from 1 to 1000", NULL);
}

static void on_show(struct http_request *request)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct serve_http *http = request->context;
    struct text id = request->parameters[0], json;
    int r;

    if (!begin(request, &txn))
        return;
    r = billed_invoice(txn, id, &json);
    if (r == BILLED_NOT) {
        http_answer_problem(request, 404, "unknown_invoice", "there is no such invoice", NULL);
        return;
    }
    if (r) {
        http_answer_problem(request, 503, "unavailable", fault_text(), NULL);
        return;
    }
    metrics_add(http->metrics, METRIC_INVOICES, 0, 1);
    http_answer_json(request, 200, json);
}

struct serve_http *serve_http_new(struct store *store, const char *bucket)
{
    struct serve_http *http = calloc(1, sizeof(*http));

    assert(http);
    http->store = store;
    http->bucket = bucket;
    http->metrics = metrics_new(table, METRICS);
    http->routes[0] = (struct http_route){HTTP_GET_METHOD, "/v1/invoices", on_list, 0, http};
    http->routes[1] = (struct http_route){HTTP_GET_METHOD, "/v1/invoices/{id}", on_show, 0, http};
    return http;
}

struct serve_http *serve_http_free(struct serve_http *http)
{
    if (http)
        metrics_free(http->metrics);
    free(http);
    return NULL;
}

const struct http_route *serve_http_routes(struct serve_http *http, size_t *count)
{
    *count = ROUTES;
    return http->routes;
}

const struct metrics *serve_http_metrics(const struct serve_http *http)
{
    return http->metrics;
}
