/*
 * `stripe connect|status`: whose account the bucket's invoices go to, and how far they are.
 *
 * Exit status: 0; 65 the key is of the wrong kind, or of another account; 75 Stripe or the broker
 * is away; 77 Stripe refuses the key; 78 there is no key in the file.
 */
#include "common/base/fault.h"
#include "common/io/log.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/config.h"
#include "invoicer/edges/refuse.h"
#include "invoicer/edges/stripe_api.h"
#include "invoicer/edges/stripe_books.h"
#include "invoicer/rules/stripe_delivery.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES_MAX = 64 * 1024 * 1024 };

/* --- connect --- */

enum connect_outcome {
    CONNECT_NO_BUCKET = 1,
    CONNECT_WRONG_KIND,
    CONNECT_OTHER_ACCOUNT,
};

struct connect {
    const struct invoicer_config *config;
    struct stripe_api api;
    struct instant from;
    char account[STRIPE_ACCOUNT_MAX], known[STRIPE_ACCOUNT_MAX];
};

/* Whether the key is of the bucket's mode. */
static int check_mode(struct connect *connect, struct store_txn *txn)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    struct text json;
    int64_t offset;
    json_t *record;
    const char *mode;
    bool is_live;
    int r;

    buffer_printf(&key, "bucket/%s", connect->config->common.bucket);
    r = books_catalog_get(txn, buffer_text(&key), &json, &offset);
    if (r)
        return r < 0 ? fault_pass(r) : CONNECT_NO_BUCKET;
    record = json_loadb(json.at, json.length, 0, NULL);
    mode = json_string_value(json_object_get(record, "mode"));
    is_live = mode && strcmp(mode, "live") == 0;
    json_decref(record);
    return is_live == stripe_api_is_live(&connect->api) ? 0 : CONNECT_WRONG_KIND;
}

/* The account that the bucket has already, and from when on. */
static int read_known(struct connect *connect, struct store_txn *txn)
{
    struct stripe_account known;
    struct arena arena;
    int r;

    arena_init(&arena, ARENA_BYTES_MAX);
    r = stripe_books_account(txn, &arena, &known);
    if (r == 0) {
        snprintf(connect->known, sizeof(connect->known), "%.*s", (int)known.id.length, known.id.at);
        if (!connect->config->from)
            connect->from = known.from;
    }
    arena_deinit(&arena);
    return r < 0 ? fault_pass(r) : 0;
}

static int put_account(struct connect *connect, struct engine *engine, struct store_txn **txn)
{
    char from[INSTANT_TEXT_MAX], at[INSTANT_TEXT_MAX];
    int64_t sequence = -1;
    json_t *record;
    char *json;
    int r;

    instant_format(connect->from, from);
    instant_format(instant_from_ms(instant_ms(instant_now())), at);
    record = json_pack("{s:s,s:s,s:s,s:s}", "id", connect->account, "mode",
                       stripe_api_is_live(&connect->api) ? "live" : "test", "from", from,
                       "connectedAt", at);
    json = json_dumps(record, JSON_COMPACT);
    r = stripe_books_put(*txn, text_of("account"), text_of(json), &sequence);
    if (!r)
        r = store_commit(txn);
    if (!r)
        r = engine_until_sent(engine, sequence);
    free(json);
    json_decref(record);
    return r ? fault_pass(r) : 0;
}

static int connect_to(struct connect *connect, struct engine *engine)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = engine_begin(engine, &txn);

    if (!r)
        r = check_mode(connect, txn);
    if (r)
        return r < 0 ? fault_pass(r) : r;
    r = read_known(connect, txn);
    if (!r && connect->known[0] && strcmp(connect->known, connect->account) != 0)
        return CONNECT_OTHER_ACCOUNT;
    if (!r)
        r = put_account(connect, engine, &txn);
    return r ? fault_pass(r) : 0;
}

static bool read_from(struct connect *connect)
{
    const char *from = connect->config->from;

    connect->from = instant_from_minute(instant_minute(instant_now()));
    if (!from || instant_parse(text_of(from), &connect->from) == 0)
        return true;
    fprintf(stderr, "invoicer: --from %s isn't an RFC 3339 time, as in 2026-02-01T00:00:00Z\n",
            from);
    return false;
}

static void print_connected(const struct connect *connect)
{
    const char *mode = stripe_api_is_live(&connect->api) ? "live" : "test";
    char from[INSTANT_TEXT_MAX];

    instant_format(connect->from, from);
    if (connect->config->json)
        printf("{\"account\":\"%s\",\"mode\":\"%s\",\"from\":\"%s\"}\n", connect->account, mode,
               from);
    else
        printf("bucket %s has the Stripe account %s (%s): invoices of boundaries from %s on go "
               "there\n",
               connect->config->common.bucket, connect->account, mode, from);
    if (stripe_api_is_live(&connect->api) && stripe_api_is_secret(&connect->api))
        log_event(LOG_WARN, "stripe_key_unrestricted", "remedy",
                  "a restricted key (rk_live_) can do no more than it must", NULL);
}

static int finish_connect(const struct connect *connect, int r)
{
    const struct invoicer_config *config = connect->config;

    if (r < 0)
        return config_exit(r, "stripe_connect_failed");
    if (r == CONNECT_NO_BUCKET)
        return refuse(config, "bucket_not_found", NULL,
                      "there is no bucket %s yet: `invoicer topics create` makes it",
                      config->common.bucket);
    if (r == CONNECT_WRONG_KIND)
        return refuse(
            config, "stripe_key_of_wrong_mode", NULL,
            "the key is one of %s mode, and the bucket is of the other: live keys are for "
            "live buckets alone",
            stripe_api_is_live(&connect->api) ? "live" : "test");
    if (r == CONNECT_OTHER_ACCOUNT)
        return refuse(
            config, "stripe_account_differs", NULL,
            "the key is of account %s, and the bucket's invoices are in %s: give a key of "
            "that one",
            connect->account, connect->known);
    print_connected(connect);
    return EX_OK;
}

int verb_stripe_connect(void *context, int argc, char **argv)
{
    struct connect connect = {.config = context};
    const struct invoicer_config *config = context;
    CLEANUP(engine_drop) struct engine *engine = NULL;
    int r;

    (void)argc;
    (void)argv;
    if (!read_from(&connect))
        return EX_USAGE;
    r = stripe_api_open(config->stripe_url, config->stripe_version, config->stripe_key,
                        config->wait_ms, &connect.api);
    if (!r)
        r = stripe_api_account(&connect.api,
                               connect.account); /* before anybody waits for us to be done */
    if (!r)
        r = config_engine(config, ENGINE_ACTS, &engine);
    if (!r)
        r = engine_until_acting(engine);
    if (!r)
        r = connect_to(&connect, engine);
    return finish_connect(&connect, r);
}

/* --- status --- */

struct counts {
    const struct invoicer_config *config;
    struct store_txn *txn;
    size_t begun, held, finalized, due; /* due: nothing was begun yet */
    json_t *statuses, *reasons;
    struct arena arena;
};

static void count_status(struct counts *counts, struct text status)
{
    char name[32];
    json_t *count;

    snprintf(name, sizeof(name), "%.*s", (int)status.length, status.at ? status.at : "");
    count = json_object_get(counts->statuses, name);
    json_object_set_new(counts->statuses, name, json_integer(json_integer_value(count) + 1));
}

static json_t *string_of(struct text text)
{
    return text_is_absent(text) ? json_null() : json_stringn(text.at, text.length);
}

static void add_reason(struct counts *counts, const char *kind, struct text key,
                       const struct stripe_delivery *delivery)
{
    json_array_append_new(counts->reasons, json_pack("{s:o,s:o,s:o}", kind, string_of(key),
                                                     "reason", string_of(delivery->reason),
                                                     "stripe", string_of(delivery->stripe)));
}

static int count_delivery(struct counts *counts, const char *kind, struct text key,
                          struct text json)
{
    struct stripe_delivery delivery;

    arena_reset(&counts->arena);
    if (stripe_delivery_read(json, &counts->arena, &delivery))
        return fault(FAULT_STOP, "stripe/%s/%.*s isn't a record of ours", kind, (int)key.length,
                     key.at);
    if (delivery.state == STRIPE_HELD)
        add_reason(counts, kind, key, &delivery);
    if (strcmp(kind, "invoice") != 0)
        return 0;
    counts->begun += delivery.state == STRIPE_BEGUN;
    counts->held += delivery.state == STRIPE_HELD;
    counts->finalized += delivery.state == STRIPE_FINALIZED;
    if (delivery.state == STRIPE_FINALIZED)
        count_status(counts, delivery.status);
    return 0;
}

static int count_invoice(void *context, struct text key, struct text json)
{
    return count_delivery(context, "invoice", key, json);
}

static int count_customer(void *context, struct text key, struct text json)
{
    return count_delivery(context, "customer", key, json);
}

static int count_due(void *context, struct text invoice)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    struct counts *counts = context;
    struct text json;
    int r;

    buffer_add_string(&key, "invoice/");
    buffer_add_text(&key, invoice);
    r = stripe_books_get(counts->txn, buffer_text(&key), &json);
    if (r < 0)
        return fault_pass(r);
    counts->due += r == STRIPE_BOOKS_NOT;
    return 0;
}

static int count_all(struct counts *counts, struct store_txn *txn)
{
    struct stripe_account account;
    int r = stripe_books_account(txn, &counts->arena, &account);

    counts->txn = txn;

    if (r)
        return r < 0 ? fault_pass(r) : STRIPE_BOOKS_NOT;
    r = stripe_books_each_due(txn, text_from("", 0), account.from, count_due, counts);
    if (!r)
        r = stripe_books_each(txn, "customer/", count_customer, counts);
    if (!r)
        r = stripe_books_each(txn, "invoice/", count_invoice, counts);
    return r ? fault_pass(r) : 0;
}

static void print_reasons(const struct counts *counts)
{
    const json_t *held;
    size_t i;

    json_array_foreach(counts->reasons, i, held)
    {
        const char *invoice = json_string_value(json_object_get(held, "invoice"));
        const char *customer = json_string_value(json_object_get(held, "customer"));

        printf("\n%s %s\n  %s\n", invoice ? "invoice" : "customer", invoice ? invoice : customer,
               json_string_value(json_object_get(held, "reason")));
    }
    if (json_array_size(counts->reasons))
        printf("\nOnce that is mended: invoicer stripe deliver --held\n");
}

static void print_counts(const struct counts *counts)
{
    const char *status;
    const json_t *count;

    printf("%-14s %8zu\n%-14s %8zu\n%-14s %8zu\n%-14s %8zu\n", "to hand over", counts->due, "begun",
           counts->begun, "held", counts->held, "at Stripe", counts->finalized);
    json_object_foreach(counts->statuses, status, count)
        printf("  %-13s %7lld\n", status, (long long)json_integer_value(count));
    print_reasons(counts);
}

static void show_counts(const struct counts *counts)
{
    json_t *shown;
    char *text;

    if (!counts->config->json) {
        print_counts(counts);
        return;
    }
    shown = json_pack("{s:I,s:I,s:I,s:I,s:O,s:O}", "due", (json_int_t)counts->due, "begun",
                      (json_int_t)counts->begun, "held", (json_int_t)counts->held, "atStripe",
                      (json_int_t)counts->finalized, "statuses", counts->statuses, "reasons",
                      counts->reasons);
    text = json_dumps(shown, JSON_COMPACT);
    printf("%s\n", text);
    free(text);
    json_decref(shown);
}

int verb_stripe_status(void *context, int argc, char **argv)
{
    struct counts counts = {.config = context, .statuses = json_object(), .reasons = json_array()};
    CLEANUP(engine_drop) struct engine *engine = NULL;
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = config_engine(counts.config, ENGINE_READS, &engine);

    (void)argc;
    (void)argv;
    arena_init(&counts.arena, ARENA_BYTES_MAX);
    if (!r)
        r = engine_until_followed(engine);
    if (!r)
        r = store_begin(engine_store(engine), STORE_READ, &txn);
    if (!r)
        r = count_all(&counts, txn);
    if (!r)
        show_counts(&counts);
    arena_deinit(&counts.arena);
    json_decref(counts.statuses);
    json_decref(counts.reasons);
    if (r == STRIPE_BOOKS_NOT)
        return refuse(context, "stripe_not_connected", NULL,
                      "the bucket has no Stripe account: `invoicer stripe connect` gives it one");
    return r ? config_exit(r, "stripe_status_failed") : EX_OK;
}
