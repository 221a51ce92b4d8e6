/*
 * `stripe deliver|check`: hands invoices over, and compares what Stripe holds; on a terminal with a
 * bar.
 *
 * Exit status of deliver: 0 all are at Stripe; 65 there is no such invoice; 75 something is away,
 * and running it again goes on; 77 Stripe refuses the key; 80 some are held, the others are at
 * Stripe. Of check: 0 all agrees; 65 something differs; 75 and 77 as above.
 */
#include "common/base/fault.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/config.h"
#include "invoicer/edges/refuse.h"
#include "invoicer/edges/stripe_books.h"
#include "invoicer/edges/stripe_check.h"
#include "invoicer/edges/stripe_deliver.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BAR_COLUMNS = 30,
    ARENA_BYTES_MAX = 16 * 1024 * 1024,
    LIVE_RATE = 80, /* of an account's 100 */
    TEST_RATE = 20, /* of its 25 */
};

enum open_outcome {
    OPEN_UNCONNECTED = 1,
    OPEN_OTHER_MODE,
    OPEN_OTHER_ACCOUNT,
    OPEN_UNKNOWN,
    OPEN_EARLIER
};

struct opened {
    const struct invoicer_config *config;
    struct stripe_api api;
    struct engine *engine;
    struct arena arena;
    char key_account[STRIPE_ACCOUNT_MAX]; /* that the key is of */
    struct stripe_account account;        /* that the bucket has */
    size_t due;
};

static int count_due(void *context, struct text invoice)
{
    size_t *due = context;

    (void)invoice;
    (*due)++;
    return 0;
}

/* Whether an invoice that is named is there, and one of Stripe's. */
static int look_at(const struct opened *opened, struct store_txn *txn, const char *only)
{
    struct instant boundary;
    struct text json;
    json_t *invoice;
    const char *text;
    bool is_later;
    int r = billed_invoice(txn, text_of(only), &json);

    if (r)
        return r < 0 ? fault_pass(r) : OPEN_UNKNOWN;
    invoice = json_loadb(json.at, json.length, 0, NULL);
    text = json_string_value(json_object_get(invoice, "boundary"));
    is_later = text && instant_parse(text_of(text), &boundary) == 0 &&
               instant_compare(boundary, opened->account.from) >= 0;
    json_decref(invoice);
    return is_later ? 0 : OPEN_EARLIER;
}

static int look(struct opened *opened, const char *only)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(engine_store(opened->engine), STORE_READ, &txn);

    if (!r)
        r = stripe_books_account(txn, &opened->arena, &opened->account);
    if (r)
        return r < 0 ? fault_pass(r) : OPEN_UNCONNECTED;
    if (text_is(opened->account.mode, "live") != stripe_api_is_live(&opened->api))
        return OPEN_OTHER_MODE;
    if (!text_is(opened->account.id, opened->key_account))
        return OPEN_OTHER_ACCOUNT;
    if (only) {
        opened->due = 1;
        r = look_at(opened, txn, only);
        return r < 0 ? fault_pass(r) : r;
    }
    r = stripe_books_each_due(txn, text_from("", 0), opened->account.from, count_due, &opened->due);
    return r ? fault_pass(r) : 0;
}

static int open_all(struct opened *opened, const char *only)
{
    const struct invoicer_config *config = opened->config;
    int r = stripe_api_open(config->stripe_url, config->stripe_version, config->stripe_key,
                            config->wait_ms, &opened->api);

    arena_init(&opened->arena, ARENA_BYTES_MAX);
    if (!r)
        r = stripe_api_account(&opened->api, opened->key_account);
    if (!r)
        r = config_engine(config, ENGINE_ACTS, &opened->engine);
    if (!r)
        r = engine_until_followed(opened->engine);
    if (!r)
        r = engine_until_acting(opened->engine);
    if (r)
        return fault_pass(r);
    r = look(opened, only);
    return r < 0 ? fault_pass(r) : r;
}

static void close_all(struct opened *opened)
{
    engine_close(opened->engine);
    arena_deinit(&opened->arena);
}

static int refuse_opening(const struct opened *opened, int r, const char *only, const char *event)
{
    switch (r) {
    case OPEN_UNCONNECTED:
        return refuse(opened->config, "stripe_not_connected", NULL,
                      "the bucket has no Stripe account: `invoicer stripe connect` gives it one");
    case OPEN_OTHER_MODE:
        return refuse(opened->config, "stripe_key_of_wrong_mode", NULL,
                      "the key isn't one of %.*s mode, which the bucket's account is of",
                      (int)opened->account.mode.length, opened->account.mode.at);
    case OPEN_OTHER_ACCOUNT:
        return refuse(opened->config, "stripe_account_differs", NULL,
                      "the key is of account %s, and the bucket's invoices are in %.*s: give a key "
                      "of that one",
                      opened->key_account, (int)opened->account.id.length, opened->account.id.at);
    case OPEN_UNKNOWN:
        return refuse(opened->config, "invoice_not_found", NULL,
                      "there is no invoice %s; `invoicer invoices list` shows them", only);
    case OPEN_EARLIER:
        return refuse(
            opened->config, "invoice_not_for_stripe", NULL,
            "invoice %s is of a boundary before the one from which invoices are Stripe's: "
            "`invoicer stripe connect --from` says it",
            only);
    default:
        return config_exit(r, event);
    }
}

static char *dump(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    return text;
}

/* --- deliver --- */

struct bar {
    bool is_shown;
    size_t done; /* as last shown */
    int64_t eta_s;
};

static void on_progress(void *context, size_t done, size_t due, int64_t eta_s)
{
    struct bar *bar = context;
    int filled = due ? (int)(done * BAR_COLUMNS / due) : 0;

    if (!bar->is_shown || (done == bar->done && eta_s == bar->eta_s))
        return;
    bar->done = done;
    bar->eta_s = eta_s;
    fprintf(stderr, "\r\033[Khanding over [");
    for (int i = 0; i < BAR_COLUMNS; i++)
        fputc(i < filled ? '#' : '.', stderr);
    fprintf(stderr, "] %zu/%zu, %lld:%02lld left", done, due, (long long)eta_s / 60,
            (long long)eta_s % 60);
    fflush(stderr);
}

static void print_report(const struct opened *opened, const struct stripe_report *report)
{
    for (size_t i = 0; i < report->failed && i < STRIPE_FAILURES_MAX; i++)
        fprintf(stderr, "invoicer: %s: %s\n", report->failures[i].what, report->failures[i].why);
    if (opened->config->json)
        printf("{\"delivered\":%zu,\"held\":%zu,\"later\":%zu,\"nothing\":%zu}\n",
               report->delivered, report->held, report->later, report->nothing);
    else
        printf("%zu invoices handed over to %.*s, %zu held, %zu left for later, %zu over nothing\n",
               report->delivered, (int)opened->account.id.length, opened->account.id.at,
               report->held, report->later, report->nothing);
}

static struct stripe_deliver orders_of(const struct opened *opened, const char *only)
{
    const struct invoicer_config *config = opened->config;
    bool is_live = stripe_api_is_live(&opened->api);
    int64_t usual_rate = is_live ? LIVE_RATE : TEST_RATE;

    return (struct stripe_deliver){
        .orders =
            {
                .terms =
                    {
                        .account = opened->account.id,
                        .bucket = text_of(config->common.bucket),
                        .is_live = is_live,
                        .is_sent = strcmp(config->stripe_collection, "send_invoice") == 0,
                        .days_until_due = config->stripe_days_until_due,
                    },
                .from = opened->account.from,
                .only = only,
                .tries_held = config->tries_held,
            },
        .api = &opened->api,
        .endpoint_rate = config->stripe_rate,
        .account_rate = config->stripe_account_rate ? config->stripe_account_rate : usual_rate,
        .due = opened->due,
    };
}

int verb_stripe_deliver(void *context, int argc, char **argv)
{
    static struct stripe_report report; /* large */
    struct opened opened = {.config = context};
    struct bar bar = {.is_shown = isatty(STDERR_FILENO) && !opened.config->json, .eta_s = -1};
    struct stripe_deliver deliver;
    const char *only = argc > 0 ? argv[0] : NULL;
    int status, r = open_all(&opened, only);

    if (!r)
        r = engine_claim(opened.engine, "stripe-deliver");
    if (r) {
        status = refuse_opening(&opened, r, only, "stripe_deliver_failed");
        close_all(&opened);
        return status;
    }
    deliver = orders_of(&opened, only);
    r = stripe_deliver_run(opened.engine, &deliver, on_progress, &bar, &report);
    if (bar.is_shown)
        fprintf(stderr, "\r\033[K");
    print_report(&opened, &report);
    status = r              ? config_exit(r, "stripe_deliver_failed")
             : report.later ? EX_TEMPFAIL
             : report.held  ? EXIT_PARTIAL
                            : EX_OK;
    close_all(&opened);
    return status;
}

/* --- check --- */

static const char *const told[] = {
    [STRIPE_IS_MISSING] = "was handed over, and isn't there",
    [STRIPE_IS_DOUBLE] = "is there a second time",
    [STRIPE_IS_VOID] = "was voided there",
    [STRIPE_HAS_CHANGED] = "is there over another total",
    [STRIPE_IS_UNKNOWN] = "is there, and was never issued here",
};

static void print_finding(const struct stripe_finding *finding)
{
    printf("%s (%s) %s", finding->invoice, finding->stripe, told[finding->kind]);
    if (finding->kind == STRIPE_HAS_CHANGED)
        printf(": %lld instead of %lld", (long long)finding->theirs, (long long)finding->ours);
    printf("\n");
}

static json_t *finding_json(const struct stripe_finding *finding)
{
    json_t *json = json_pack("{s:s,s:s,s:s}", "kind", stripe_finding_name(finding->kind), "invoice",
                             finding->invoice, "stripe", finding->stripe);

    if (finding->kind == STRIPE_HAS_CHANGED) {
        json_object_set_new(json, "ours", json_integer(finding->ours));
        json_object_set_new(json, "theirs", json_integer(finding->theirs));
    }
    return json;
}

static void print_check(const struct opened *opened, const struct stripe_check_report *report)
{
    json_t *findings = json_array();
    char *text;

    for (size_t i = 0; i < report->differences && i < STRIPE_FINDINGS_MAX; i++)
        if (opened->config->json)
            json_array_append_new(findings, finding_json(&report->findings[i]));
        else
            print_finding(&report->findings[i]);
    if (!opened->config->json) {
        json_decref(findings);
        printf("%zu handed over, %zu listed by Stripe, %zu under way, %zu differences",
               report->handed_over, report->listed, report->under_way, report->differences);
        if (report->noted)
            printf("; %zu with another status than before", report->noted);
        printf("\n");
        return;
    }
    text =
        dump(json_pack("{s:I,s:I,s:I,s:I,s:I,s:o}", "handedOver", (json_int_t)report->handed_over,
                       "listed", (json_int_t)report->listed, "underWay",
                       (json_int_t)report->under_way, "noted", (json_int_t)report->noted,
                       "differences", (json_int_t)report->differences, "findings", findings));
    printf("%s\n", text);
    free(text);
}

int verb_stripe_check(void *context, int argc, char **argv)
{
    static struct stripe_check_report report; /* large */
    struct opened opened = {.config = context};
    int status, r = open_all(&opened, NULL);

    (void)argc;
    (void)argv;
    if (r) {
        status = refuse_opening(&opened, r, NULL, "stripe_check_failed");
        close_all(&opened);
        return status;
    }
    r = stripe_check_run(opened.engine, &opened.api, text_of(opened.config->common.bucket),
                         opened.account.from, &report);
    if (!r)
        print_check(&opened, &report);
    status = r ? config_exit(r, "stripe_check_failed") : report.differences ? EX_DATAERR : EX_OK;
    close_all(&opened);
    return status;
}
