/*
 * `subscriptions list|show|change|cancel|restore|delete`: what is refused (refuse.h) ends with
 * exit 65; nothing is written then.
 */
#include "common/base/fault.h"
#include "invoicer/edges/amend.h"
#include "invoicer/edges/bills.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/catalog_books.h"
#include "invoicer/edges/close.h"
#include "invoicer/edges/config.h"
#include "invoicer/edges/refuse.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum subscriptions_outcome { SUBSCRIPTIONS_REFUSED = AMEND_REFUSED };

/* --- settings --- */

static bool read_now(const struct invoicer_config *config, struct instant *now)
{
    *now = instant_now();
    if (!config->at || instant_parse(text_of(config->at), now) == 0)
        return true;
    fprintf(stderr, "invoicer: --at %s isn't an RFC 3339 time, as in 2026-02-01T01:00:00Z\n",
            config->at);
    return false;
}

/* "pro", "pro@2" */
static bool read_plan(const struct invoicer_config *config, struct amend_request *request)
{
    const char *at = strchr(config->plan, '@');
    char *end = NULL;

    request->plan =
        text_from(config->plan, at ? (size_t)(at - config->plan) : strlen(config->plan));
    request->version = at ? strtoll(at + 1, &end, 10) : 0;
    if (request->plan.length && (!at || (*end == '\0' && request->version > 0)))
        return true;
    fprintf(stderr, "invoicer: --plan %s isn't KEY or KEY@VERSION, as in pro@2\n", config->plan);
    return false;
}

static bool read_timing(const struct invoicer_config *config, struct amend_request *request)
{
    if (!config->timing || change_timing_parse(text_of(config->timing), &request->timing))
        return true;
    fprintf(stderr,
            "invoicer: --timing %s isn't immediate, next_billing_cycle or an RFC 3339 time of a "
            "whole minute\n",
            config->timing);
    return false;
}

static bool read_request(const struct invoicer_config *config, struct amend_request *request)
{
    struct instant anchor;

    if (!read_now(config, &request->now))
        return false;
    if (request->action == CHANGE_PLAN && !read_plan(config, request))
        return false;
    if (request->action == CHANGE_PLAN && config->anchor) {
        request->anchor = text_of(config->anchor);
        if (instant_parse(request->anchor, &anchor)) {
            fprintf(stderr, "invoicer: --anchor %s isn't an RFC 3339 time\n", config->anchor);
            return false;
        }
    }
    return request->action > CHANGE_CANCEL || read_timing(config, request);
}

/* Until all that is on the log by now is counted, where a credit looks at it. */
static int wait_for_counters(const struct invoicer_config *config, struct engine *engine,
                             struct amend_request *request, int32_t *partitions)
{
    struct kafka_config kafka = config_kafka(config);
    struct amend_wait wait;
    int r = amend_wait_begin(engine_store(engine), &kafka, config->common.bucket, request, &wait);

    if (!r) {
        r = engine_until(engine, "counting what was used until the change", amend_wait_is_over,
                         &wait);
        if (r == FAULT_RETRY)
            r = amend_wait_fault(engine_store(engine), &wait);
    }
    if (r)
        return fault_pass(r);
    if (!config->at)
        amend_wait_ended(request);
    *partitions = wait.partitions;
    return 0;
}

/* --- doing it --- */

static int write_change(const struct invoicer_config *config, struct engine *engine,
                        struct amend_request *request, struct amendment *amendment)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int64_t sequence = -1;
    int32_t partitions = 0;
    int r = wait_for_counters(config, engine, request, &partitions);

    if (!r)
        r = engine_begin(engine, &txn);
    if (!r)
        r = close_none_is_under_way(txn);
    if (!r)
        r = amend_prepare(txn, partitions, request, amendment);
    if (r)
        return r < 0 ? fault_pass(r) : r;
    r = catalog_books_put(txn, &amendment->changes, &sequence);
    if (!r)
        r = store_commit(&txn);
    if (!r && sequence >= 0)
        r = engine_until_sent(engine, sequence);
    return r ? fault_pass(r) : 0;
}

static int estimate(const struct invoicer_config *config, struct engine *engine,
                    struct amend_request *request, struct amendment *amendment)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int32_t partitions = 0;
    int r = wait_for_counters(config, engine, request, &partitions);

    if (!r)
        r = store_begin(engine_store(engine), STORE_READ, &txn);
    if (!r)
        r = amend_prepare(txn, partitions, request, amendment);
    return r < 0 ? fault_pass(r) : r;
}

/* --- showing --- */

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static void print_json(const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    printf("%s\n", text);
    free(text);
}

/* An amount of a record, which is in its shortest form there, as money. */
static const char *money_of_record(const json_t *object, const char *name,
                                   const struct currency *currency, char text[MONEY_TEXT_MAX])
{
    struct money money = {0};

    if (!currency || money_parse(text_of(member(object, name)), currency, &money))
        return member(object, name);
    (void)money_format(money, currency, text);
    return text;
}

/* What came back for what, when it was changed from another one. */
static void print_origin(const json_t *shown)
{
    const json_t *credit = json_object_get(shown, "credit"), *charge;
    const struct currency *currency = currency_find(text_of(member(credit, "currency")));
    char back[MONEY_TEXT_MAX], price[MONEY_TEXT_MAX];
    const char *carried = member(credit, "carried");
    size_t i;

    json_array_foreach(json_object_get(credit, "charges"), i, charge)
    {
        const json_t *period = json_object_get(charge, "period");

        printf("  %-12s%s of %s for %s to %s, of which %s is used up\n", "credit",
               money_of_record(charge, "credit", currency, back),
               money_of_record(charge, "price", currency, price), member(period, "from"),
               member(period, "to"), member(charge, "ratio"));
    }
    if (*carried && strcmp(carried, "0") != 0)
        printf("  %-12s%s carried over\n", "credit",
               money_of_record(credit, "carried", currency, back));
}

static void print_subscription(const char *name, const json_t *shown)
{
    const json_t *plan = json_object_get(shown, "plan");
    const json_t *period =
        json_object_get(json_object_get(shown, "alignment"), "currentAlignedBillingPeriod");
    const char *to = member(shown, "activeTo");

    printf("%-14s%s\n", name,
           json_is_null(json_object_get(shown, "id")) ? "(not made)" : member(shown, "id"));
    printf("  %-12s%s\n", "status", member(shown, "status"));
    printf("  %-12s%s\n", "customer", member(shown, "customerKey"));
    printf("  %-12s%s@%lld, in %s\n", "plan", member(plan, "key"),
           (long long)json_integer_value(json_object_get(plan, "version")),
           member(shown, "currency"));
    printf("  %-12s%s to %s\n", "term", member(shown, "activeFrom"), *to ? to : "(open)");
    if (period)
        printf("  %-12s%s to %s\n", "period", member(period, "from"), member(period, "to"));
    print_origin(shown);
}

static void print_credit(const json_t *answer)
{
    const json_t *first = json_object_get(answer, "firstInvoice");
    const char *currency = member(answer, "currency");

    if (!json_object_get(answer, "creditAmount"))
        return;
    printf("%-14s%s %s\n", "credit", member(answer, "creditAmount"), currency);
    if (json_is_object(first))
        printf("%-14s%s %s, of which the credit pays %s\n", "first invoice", member(first, "total"),
               currency, member(first, "credit"));
}

static void print_answer(const json_t *answer, bool is_dry)
{
    if (json_object_get(answer, "effectiveAt"))
        printf("%-14s%s%s\n", "takes effect", member(answer, "effectiveAt"),
               is_dry ? " (an estimate: nothing is written)" : "");
    print_subscription("current", json_object_get(answer, "current"));
    if (json_object_get(answer, "next"))
        print_subscription("next", json_object_get(answer, "next"));
    print_credit(answer);
}

/* The first that isn't a warning. */
static const struct issue *first_error(const struct issues *issues)
{
    size_t at = 0;

    while (at < issues->count && issues->at[at].is_warning)
        at++;
    return at < issues->count ? &issues->at[at] : NULL;
}

static int refuse_amendment(const struct invoicer_config *config, const struct amendment *amendment,
                            const char *id)
{
    const struct issue *issue = first_error(&amendment->issues);

    if (amendment->refusal.code)
        return refuse(config, amendment->refusal.code, NULL, "subscription %s: %s", id,
                      amendment->refusal.detail);
    assert(issue); /* or what was it refused for? */
    return refuse(config, issue->code, issue->pointer, "%s", issue->message);
}

/* An estimate's next subscription has no id: it isn't made. */
static void forget_id(json_t *answer)
{
    json_t *next = json_object_get(answer, "next");

    if (next)
        json_object_set_new(next, "id", json_null());
}

static void print_done(const struct invoicer_config *config, struct amendment *amendment)
{
    if (config->dry_run)
        forget_id(amendment->answer);
    if (config->json)
        print_json(amendment->answer);
    else
        print_answer(amendment->answer, config->dry_run);
}

static int open_engine(const struct invoicer_config *config, enum engine_role role,
                       struct engine **engine)
{
    int r = config_engine(config, role, engine);

    if (!r)
        r = engine_until_followed(*engine);
    if (!r && role == ENGINE_ACTS)
        r = engine_until_acting(*engine);
    return r ? fault_pass(r) : 0;
}

static int amend(const struct invoicer_config *config, enum change_action action, const char *id)
{
    CLEANUP(engine_drop) struct engine *engine = NULL;
    struct amendment amendment = {.answer = NULL};
    char next_id[ULID_TEXT_MAX];
    struct amend_request request = {
        .action = action, .id = text_of(id), .anchor = text_of(NULL), .next_id = next_id};
    int r;

    if (!read_request(config, &request))
        return EX_USAGE;
    r = amend_make_id(request.now, next_id);
    if (!r)
        r = open_engine(config, config->dry_run ? ENGINE_LOOKS : ENGINE_ACTS, &engine);
    if (!r)
        r = config->dry_run ? estimate(config, engine, &request, &amendment)
                            : write_change(config, engine, &request, &amendment);
    if (!r)
        print_done(config, &amendment);
    else if (r == AMEND_REFUSED)
        r = refuse_amendment(config, &amendment, id);
    amendment_deinit(&amendment);
    if (r < 0)
        return config_exit(r, "subscription_failed");
    return r ? EX_DATAERR : EX_OK;
}

int verb_subscriptions_change(void *context, int argc, char **argv)
{
    (void)argc;
    return amend(context, CHANGE_PLAN, argv[0]);
}

int verb_subscriptions_cancel(void *context, int argc, char **argv)
{
    (void)argc;
    return amend(context, CHANGE_CANCEL, argv[0]);
}

int verb_subscriptions_restore(void *context, int argc, char **argv)
{
    (void)argc;
    return amend(context, CHANGE_RESTORE, argv[0]);
}

int verb_subscriptions_delete(void *context, int argc, char **argv)
{
    (void)argc;
    return amend(context, CHANGE_DELETE, argv[0]);
}

/* --- list and show --- */

struct listing {
    const struct invoicer_config *config;
    struct store_txn *txn;
    struct bills *bills;
    struct instant now;
    const char *only; /* an id; NULL: all */
    size_t count;
};

static void print_row(const json_t *shown)
{
    const json_t *plan = json_object_get(shown, "plan");
    const char *to = member(shown, "activeTo");

    printf("%s  %-9s  %-20s  %s@%lld  %s to %s\n", member(shown, "id"), member(shown, "status"),
           member(shown, "customerKey"), member(plan, "key"),
           (long long)json_integer_value(json_object_get(plan, "version")),
           member(shown, "activeFrom"), *to ? to : "(open)");
}

static int list_one(void *context, struct text key, struct text value)
{
    struct listing *listing = context;
    const struct invoicer_config *config = listing->config;
    struct text record = text_from(value.at + sizeof(int64_t), value.length - sizeof(int64_t));
    json_t *shown;
    int r;

    if (listing->only && !text_is(text_from(key.at + 13, key.length - 13), listing->only))
        return 0;
    r = amend_show(listing->txn, listing->bills, record, listing->now, &shown);
    if (r)
        return fault_pass(r);
    if (config->customer && strcmp(member(shown, "customerKey"), config->customer) != 0) {
        json_decref(shown);
        return 0;
    }
    if (config->json && !listing->only)
        fputs(listing->count ? "," : "[", stdout);
    if (config->json) {
        json_dumpf(shown, stdout, JSON_COMPACT);
    } else if (listing->only) {
        print_subscription("subscription", shown);
    } else {
        print_row(shown);
    }
    listing->count++;
    json_decref(shown);
    return 0;
}

static int list(const struct invoicer_config *config, const char *only)
{
    CLEANUP(engine_drop) struct engine *engine = NULL;
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct listing listing = {.config = config, .only = only};
    struct buffer prefix = {0};
    int r;

    if (!read_now(config, &listing.now))
        return EX_USAGE;
    r = open_engine(config, ENGINE_READS, &engine);
    if (!r)
        r = store_begin(engine_store(engine), STORE_READ, &txn);
    listing.txn = txn;
    listing.bills = bills_new(1);
    buffer_printf(&prefix, "subscription/%s", only ? only : "");
    if (!r && prefix.length <= STORE_KEY_BYTES_MAX)
        r = books_each(txn, BOOKS_CATALOG, buffer_text(&prefix), list_one, &listing);
    buffer_deinit(&prefix);
    bills_free(listing.bills);
    if (r < 0)
        return config_exit(r, "subscriptions_failed");
    if (only && listing.count == 0)
        return refuse(config, "subscription_not_found", NULL, "there is no subscription %s", only);
    if (config->json)
        fputs(only ? "\n" : (listing.count ? "]\n" : "[]\n"), stdout);
    return EX_OK;
}

int verb_subscriptions_list(void *context, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return list(context, NULL);
}

int verb_subscriptions_show(void *context, int argc, char **argv)
{
    (void)argc;
    return list(context, argv[0]);
}
