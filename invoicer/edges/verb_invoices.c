/*
 * `invoices list|show` and `explain`: what is issued, read back from the store and checked on the
 * way.
 */
#include "common/base/fault.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/config.h"
#include "invoicer/edges/explain.h"
#include "invoicer/edges/refuse.h"
#include "invoicer/rules/invoice_read.h"
#include "invoicer/rules/render.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ARENA_BYTES_MAX = 256 * 1024 * 1024 };
enum show_outcome { SHOW_UNKNOWN = 1 };

static void print(const struct buffer *text)
{
    fwrite(text->at ? text->at : "", 1, text->length, stdout);
}

static int open_store(const struct invoicer_config *config, struct engine **engine,
                      struct store_txn **txn)
{
    int r = config_engine(config, ENGINE_READS, engine);

    if (!r)
        r = engine_until_followed(*engine);
    if (!r)
        r = store_begin(engine_store(*engine), STORE_READ, txn);
    return r ? fault_pass(r) : 0;
}

struct listing {
    const struct invoicer_config *config;
    size_t count;
};

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static void list_json(struct listing *listing, const json_t *invoice)
{
    json_t *shown =
        json_pack("{s:s,s:s,s:O,s:O,s:s,s:s,s:s}", "id", member(invoice, "id"), "subscription",
                  member(invoice, "subscription"), "customer", json_object_get(invoice, "customer"),
                  "plan", json_object_get(invoice, "plan"), "boundary", member(invoice, "boundary"),
                  "currency", member(invoice, "currency"), "total", member(invoice, "total"));
    char *text = json_dumps(shown, JSON_COMPACT);

    printf("%s%s", listing->count ? "," : "", text);
    free(text);
    json_decref(shown);
}

static int list_one(void *context, struct text key, struct text value)
{
    struct listing *listing = context;
    json_t *invoice = json_loadb(value.at, value.length, 0, NULL);
    const char *only = listing->config->only;

    (void)key;
    if (!only || strcmp(only, member(invoice, "subscription")) == 0) {
        if (listing->config->json)
            list_json(listing, invoice);
        else
            printf("%-44s  %-24s  %-16s %12s %s\n", member(invoice, "id"),
                   member(json_object_get(invoice, "customer"), "name"),
                   member(json_object_get(invoice, "plan"), "key"), member(invoice, "total"),
                   member(invoice, "currency"));
        listing->count++;
    }
    json_decref(invoice);
    return 0;
}

int verb_invoices_list(void *context, int argc, char **argv)
{
    const struct invoicer_config *config = context;
    CLEANUP(engine_drop) struct engine *engine = NULL;
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct listing listing = {config, 0};
    int r = open_store(config, &engine, &txn);

    (void)argc;
    (void)argv;
    if (r)
        return config_exit(r, "invoices_list_failed");
    printf("%s", config->json ? "[" : "");
    r = billed_each_invoice(txn, list_one, &listing);
    if (config->json)
        printf("]\n");
    else
        printf("%zu invoices\n", listing.count);
    return r ? config_exit(r, "invoices_list_failed") : EX_OK;
}

/* The invoice as it stands, in `json` too; SHOW_UNKNOWN when there is none. */
static int read_invoice(struct store_txn *txn, const char *id, struct arena *arena,
                        struct text *json, struct invoice *invoice)
{
    int r = billed_invoice(txn, text_of(id), json);

    if (r == BILLED_NOT)
        return SHOW_UNKNOWN;
    if (r)
        return fault_pass(r);
    if (invoice_read(*json, arena, invoice))
        return fault(FAULT_STOP, "invoice %s can't be read back", id);
    return 0;
}

static struct render_terminal terminal(void)
{
    struct winsize size = {0};
    bool is_terminal = isatty(STDOUT_FILENO);
    const char *term = getenv("TERM");

    if (is_terminal)
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    return (struct render_terminal){
        .has_colour = is_terminal && !getenv("NO_COLOR") && (!term || strcmp(term, "dumb") != 0),
        .columns = size.ws_col,
    };
}

static void write_shown(const struct invoicer_config *config, const struct invoice *invoice,
                        struct text json, struct buffer *text)
{
    struct render_terminal on = terminal();

    if (config->json) {
        buffer_add_text(text, json);
        buffer_add_char(text, '\n');
    } else if (config->as_csv) {
        render_csv_header(text);
        render_csv(invoice, text);
    } else if (config->as_html) {
        render_html(invoice, text);
    } else {
        render_table(invoice, &on, text);
    }
}

static int finish(const struct invoicer_config *config, int r, const char *id, const char *event)
{
    if (r < 0)
        return config_exit(r, event);
    if (r == SHOW_UNKNOWN)
        return refuse(config, "invoice_not_found", NULL,
                      "there is no invoice %s; `invoicer invoices list` shows them", id);
    return EX_OK;
}

int verb_invoices_show(void *context, int argc, char **argv)
{
    const struct invoicer_config *config = context;
    CLEANUP(engine_drop) struct engine *engine = NULL;
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct buffer text = {0};
    struct invoice invoice;
    struct arena arena;
    struct text json;
    int r = open_store(config, &engine, &txn);

    (void)argc;
    arena_init(&arena, ARENA_BYTES_MAX);
    if (!r)
        r = read_invoice(txn, argv[0], &arena, &json, &invoice);
    if (!r) {
        write_shown(config, &invoice, json, &text);
        print(&text);
    }
    buffer_deinit(&text);
    arena_deinit(&arena);
    return finish(config, r, argv[0], "invoices_show_failed");
}

/* The close that made an invoice, as JSON; absent when it isn't known. */
static int find_close(struct store_txn *txn, const char *id, struct text *close)
{
    struct text name;
    int r = billed_close(txn, text_of(id), &name);

    *close = text_of(NULL);
    if (!r)
        r = store_get(txn, BOOKS_CLOSES, name, close);
    return r < 0 ? fault_pass(r) : 0;
}

int verb_explain(void *context, int argc, char **argv)
{
    const struct invoicer_config *config = context;
    CLEANUP(engine_drop) struct engine *engine = NULL;
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct buffer text = {0};
    struct invoice invoice;
    struct arena arena;
    struct text json, close;
    int r = open_store(config, &engine, &txn);

    (void)argc;
    arena_init(&arena, ARENA_BYTES_MAX);
    if (!r)
        r = read_invoice(txn, argv[0], &arena, &json, &invoice);
    if (!r)
        r = find_close(txn, argv[0], &close);
    if (!r) {
        if (config->json)
            explain_json(config->common.bucket, json, close, &text);
        else
            explain_tree(config->common.bucket, &invoice, close, &text);
        print(&text);
    }
    buffer_deinit(&text);
    arena_deinit(&arena);
    return finish(config, r, argv[0], "explain_failed");
}
