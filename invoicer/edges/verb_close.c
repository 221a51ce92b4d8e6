/*
 * `close --at TIME`: runs a close and shows its invoices; on a terminal with a bar, else in a line.
 *
 * Exit status: 0 all is billed; 75 something is away or not there yet, and running it again goes
 * on; 73 the folder of --out can't be written, nothing is billed; 80 some subscriptions could not
 * be billed, the others are.
 */
#include "common/base/fault.h"
#include "common/io/log.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/close.h"
#include "invoicer/edges/config.h"
#include "invoicer/edges/invoice_files.h"
#include "invoicer/edges/refuse.h"
#include "invoicer/rules/invoice_read.h"
#include "invoicer/rules/render.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    BAR_COLUMNS = 30,
    ARENA_BYTES_MAX = 256 * 1024 * 1024,
    ROWS_MAX = 200, /* of the table; nobody reads more */
};

struct bar {
    bool is_shown;
    int percent; /* last shown */
    enum close_stage stage;
};

static void on_progress(void *context, enum close_stage stage, size_t done, size_t total)
{
    static const char *const words[] = {
        [CLOSE_WAITS] = "waiting for the counters",
        [CLOSE_BILLS] = "billing",
        [CLOSE_WRITES] = "writing",
    };
    struct bar *bar = context;
    int percent = total ? (int)(done * 100 / total) : 0;
    int filled = percent * BAR_COLUMNS / 100;

    if (!bar->is_shown || (percent == bar->percent && stage == bar->stage))
        return;
    bar->percent = percent;
    bar->stage = stage;
    fprintf(stderr, "\r\033[K%-26s [", words[stage]);
    for (int i = 0; i < BAR_COLUMNS; i++)
        fputc(i < filled ? '#' : '.', stderr);
    fprintf(stderr, "] %zu/%zu", done, total);
    fflush(stderr);
}

/* What a close's invoices are shown as. */
struct shown {
    const struct invoicer_config *config;
    struct store_txn *txn;
    struct arena arena;
    struct buffer json; /* an array of them */
    struct buffer rows; /* CSV of all */
    size_t count;
};

static void print_row(const struct invoice *invoice)
{
    const struct subscription *subscription = invoice->subscription;
    const struct currency *currency = subscription->plan->currency;
    char total[MONEY_TEXT_MAX];

    money_format(invoice->total, currency, total);
    printf("%-44.*s  %-24.*s  %-20.*s %12s %s\n", (int)invoice->id.length, invoice->id.at,
           (int)subscription->customer_name.length, subscription->customer_name.at,
           (int)subscription->plan->key.length, subscription->plan->key.at, total, currency->code);
}

static int show_invoice(void *context, const struct invoice *invoice)
{
    struct shown *shown = context;
    int r = 0;

    if (shown->config->json) {
        buffer_add_string(&shown->json, shown->count ? "," : "");
        render_json(invoice, &shown->json);
    } else if (shown->count < ROWS_MAX) {
        print_row(invoice);
    }
    shown->count++;
    if (shown->config->out && !shown->config->dry_run) {
        render_csv(invoice, &shown->rows);
        r = invoice_files_write(shown->config->out, invoice);
    }
    return r ? fault_pass(r) : 0;
}

/* A long table's invoices are counted without being read. */
static bool is_only_counted(const struct shown *shown)
{
    return shown->count >= ROWS_MAX && !shown->config->json && !shown->config->out;
}

/* A key of CLOSES: the close, a 0, an invoice's id. */
static int show_stored(void *context, struct text key, struct text json)
{
    struct shown *shown = context;
    const char *zero = memchr(key.at, '\0', key.length);
    struct invoice invoice;
    struct text id;
    int r;

    if (!zero)
        return 0;
    if (is_only_counted(shown)) {
        shown->count++;
        return 0;
    }
    id = text_from(zero + 1, (size_t)(key.at + key.length - zero) - 1);
    arena_reset(&shown->arena);
    if (invoice_read(json, &shown->arena, &invoice))
        return fault(FAULT_STOP, "invoice %.*s can't be read back", (int)id.length, id.at);
    r = show_invoice(shown, &invoice);
    return r ? fault_pass(r) : 0;
}

static int show_all(struct shown *shown, struct engine *engine, const char *id)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct buffer prefix = {0};
    int r = store_begin(engine_store(engine), STORE_READ, &txn);

    shown->txn = txn;
    buffer_add_string(&prefix, id);
    buffer_add_char(&prefix, '\0');
    if (!r)
        r = books_each(txn, BOOKS_CLOSES, buffer_text(&prefix), show_stored, shown);
    buffer_deinit(&prefix);
    return r ? fault_pass(r) : 0;
}

static void print_report(const struct shown *shown, const struct close_report *report)
{
    const char *mode = shown->config->dry_run ? "would close" : "close";

    if (shown->count > ROWS_MAX && !shown->config->json)
        printf("... and %zu more: `invoicer invoices list`\n", shown->count - ROWS_MAX);
    for (size_t i = 0; i < report->failed && i < CLOSE_FAILURES_MAX; i++)
        fprintf(stderr, "invoicer: %s isn't billed: %s\n", report->failures[i].subscription,
                report->failures[i].why);
    if (shown->config->json)
        printf("{\"close\":\"%s\",\"dryRun\":%s,\"billed\":%zu,\"nothing\":%zu,\"failed\":%zu,"
               "\"invoices\":[%.*s]}\n",
               report->id, shown->config->dry_run ? "true" : "false", report->invoices,
               report->nothing, report->failed, (int)shown->json.length,
               shown->json.at ? shown->json.at : "");
    else
        printf("%s %s: %zu new invoices, %zu boundaries with nothing to bill, %zu failed; %zu "
               "invoices in all\n",
               mode, report->id, report->invoices, report->nothing, report->failed, shown->count);
}

static int run(struct shown *shown, struct engine *engine, const struct close_request *request,
               struct close_report *report)
{
    const struct invoicer_config *config = shown->config;
    struct bar bar = {.is_shown = isatty(STDERR_FILENO) && !config->json, .percent = -1};
    struct close_watch watch = {on_progress, &bar};
    int r;

    if (config->dry_run) {
        r = close_preview(engine, request, show_invoice, shown, report);
        return r ? fault_pass(r) : 0;
    }
    r = engine_until_acting(engine);
    if (!r)
        r = close_run(engine, request, &watch, report);
    if (bar.is_shown)
        fprintf(stderr, "\r\033[K");
    if (!r && config->out)
        render_csv_header(&shown->rows);
    if (!r)
        r = show_all(shown, engine, report->id);
    if (!r && config->out)
        r = invoice_files_write_all(config->out, buffer_text(&shown->rows));
    return r ? fault_pass(r) : 0;
}

enum only_outcome { ONLY_UNKNOWN = 1 };

/* A mistyped id would bill nothing and look well. */
static int check_only(const struct invoicer_config *config, struct engine *engine)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct buffer key = {0};
    struct text json;
    int64_t offset;
    int r;

    if (!config->only)
        return 0;
    buffer_printf(&key, "subscription/%s", config->only);
    r = store_begin(engine_store(engine), STORE_READ, &txn);
    if (!r && key.length > STORE_KEY_BYTES_MAX)
        r = BOOKS_NOT_FOUND;
    if (!r)
        r = books_catalog_get(txn, buffer_text(&key), &json, &offset);
    buffer_deinit(&key);
    return r < 0 ? fault_pass(r) : r == BOOKS_NOT_FOUND ? ONLY_UNKNOWN : 0;
}

static bool read_request(const struct invoicer_config *config, struct close_request *request)
{
    *request = (struct close_request){
        .only = config->only,
        .interval_ms = config->collection_interval_ms,
        .bucket = config->common.bucket,
        .kafka = config_kafka(config),
    };
    if (instant_parse(text_of(config->at), &request->at) || request->at.ns % 1000000000 != 0) {
        fprintf(stderr,
                "invoicer: --at %s isn't an RFC 3339 time of whole seconds, as in "
                "2026-02-01T01:00:00Z\n",
                config->at);
        return false;
    }
    if (instant_compare(request->at, instant_now()) > 0)
        log_event(LOG_WARN, "close_in_the_future", "at", config->at, NULL);
    return true;
}

/* Before anything is billed: its invoices would be nowhere to be seen. */
static bool can_write_files(const struct invoicer_config *config)
{
    if (!config->out || config->dry_run || invoice_files_open(config->out) == 0)
        return true;
    fprintf(stderr, "invoicer: --out %s\n", fault_text());
    return false;
}

int verb_close(void *context, int argc, char **argv)
{
    static struct close_report report; /* large */
    CLEANUP(engine_drop) struct engine *engine = NULL;
    struct shown shown = {.config = context};
    struct close_request request;
    int r;

    (void)argc;
    (void)argv;
    if (!read_request(shown.config, &request))
        return EX_USAGE;
    if (!can_write_files(shown.config))
        return EX_CANTCREAT;
    arena_init(&shown.arena, ARENA_BYTES_MAX);
    r = config_engine(shown.config, shown.config->dry_run ? ENGINE_LOOKS : ENGINE_ACTS, &engine);
    if (!r)
        r = engine_until_followed(engine);
    if (!r)
        r = check_only(shown.config, engine);
    if (!r)
        r = run(&shown, engine, &request, &report);
    if (!r)
        print_report(&shown, &report);
    arena_deinit(&shown.arena);
    buffer_deinit(&shown.json);
    buffer_deinit(&shown.rows);
    if (r == ONLY_UNKNOWN)
        return refuse(shown.config, "subscription_not_found", NULL, "there is no subscription %s",
                      shown.config->only);
    if (r)
        return config_exit(r, "close_failed");
    return report.failed ? EXIT_PARTIAL : EX_OK;
}
