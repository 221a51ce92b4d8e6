#include "invoicer/edges/stripe_books.h"

#include "common/base/arena.h"
#include "common/base/fault.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/outbox.h"
#include "invoicer/rules/stripe_delivery.h"

#include <jansson.h>
#include <string.h>

int stripe_books_take(struct store_txn *txn, struct text key, struct text json)
{
    int r;

    if (key.length == 0 || key.length > STORE_KEY_BYTES_MAX)
        return fault(FAULT_STOP, "stripe/%.*s isn't a record of ours", (int)key.length, key.at);
    r = store_put(txn, BOOKS_STRIPE, key, json);
    return r ? fault_pass(r) : 0;
}

int stripe_books_put(struct store_txn *txn, struct text key, struct text json, int64_t *sequence)
{
    CLEANUP(buffer_deinit) struct buffer name = {0};
    int r = stripe_books_take(txn, key, json);

    buffer_add_string(&name, "stripe/");
    buffer_add_text(&name, key);
    if (!r)
        r = outbox_put(txn, TOPIC_INVOICES, buffer_text(&name), json, sequence);
    return r ? fault_pass(r) : 0;
}

int stripe_books_get(struct store_txn *txn, struct text key, struct text *json)
{
    int r = key.length && key.length <= STORE_KEY_BYTES_MAX
                ? store_get(txn, BOOKS_STRIPE, key, json)
                : STORE_NOT_FOUND;

    return r == STORE_NOT_FOUND ? STRIPE_BOOKS_NOT : r ? fault_pass(r) : 0;
}

static struct text copy_member(const json_t *object, const char *name, struct arena *arena)
{
    const char *value = json_string_value(json_object_get(object, name));

    return arena_copy(arena, text_of(value ? value : ""));
}

int stripe_books_account(struct store_txn *txn, struct arena *arena, struct stripe_account *account)
{
    struct text json, from;
    json_t *record;
    int r = stripe_books_get(txn, text_of("account"), &json);

    if (r)
        return r < 0 ? fault_pass(r) : STRIPE_BOOKS_NOT;
    record = json_loadb(json.at, json.length, 0, NULL);
    account->id = copy_member(record, "id", arena);
    account->mode = copy_member(record, "mode", arena);
    from = copy_member(record, "from", arena);
    json_decref(record);
    if (text_is_absent(account->id) || text_is_absent(account->mode) || text_is_absent(from) ||
        instant_parse(from, &account->from))
        return fault(FAULT_STOP, "stripe/account isn't a record of ours");
    return 0;
}

static void key_of(const char *kind, struct text id, struct buffer *key)
{
    buffer_clear(key);
    buffer_add_string(key, kind);
    buffer_add_text(key, id);
}

int stripe_books_note_nothing(struct store_txn *txn, struct text invoice)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    int r;

    key_of("nothing/", invoice, &key);
    r = store_put(txn, BOOKS_STRIPE, buffer_text(&key), text_from("", 0));
    return r ? fault_pass(r) : 0;
}

/* The rows invoice/{id}, or nothing/{id}, beside a walk over the invoices: both are in the order of
 * ids, so that a row is the next one or isn't there. */
struct beside {
    const char *kind;
    size_t prefix; /* its bytes */
    struct store_cursor *cursor;
    struct text id, value;
    bool is_over;
};

/* `r`: what the cursor said of the row under `key`. */
static int beside_take(struct beside *beside, int r, struct text key)
{
    if (r < 0)
        return fault_pass(r);
    beside->is_over = r == STORE_NOT_FOUND || !text_starts(key, beside->kind);
    if (!beside->is_over)
        beside->id = text_from(key.at + beside->prefix, key.length - beside->prefix);
    return 0;
}

static int beside_open(struct beside *beside, struct store_txn *txn, const char *kind,
                       struct text from)
{
    CLEANUP(buffer_deinit) struct buffer start = {0};
    struct text key;
    int r;

    *beside = (struct beside){.kind = kind, .prefix = strlen(kind)};
    r = store_cursor_new(txn, BOOKS_STRIPE, &beside->cursor);
    if (r)
        return fault_pass(r);
    key_of(kind, from, &start);
    key = buffer_text(&start);
    r = store_cursor_seek(beside->cursor, &key, &beside->value);
    r = beside_take(beside, r, key);
    return r ? fault_pass(r) : 0;
}

/* Ids come in order. */
static int beside_find(struct beside *beside, struct text id, bool *is_there)
{
    int order = -1;

    while (!beside->is_over && (order = text_compare(beside->id, id)) < 0) {
        struct text key;
        int r = store_cursor_next(beside->cursor, &key, &beside->value);

        r = beside_take(beside, r, key);
        if (r)
            return fault_pass(r);
    }
    *is_there = !beside->is_over && order == 0;
    return 0;
}

struct due {
    struct text after;
    char from[sizeof("20260301T0000Z")]; /* as ids end */
    struct beside deliveries, nothings;
    int (*visit)(void *context, struct text invoice);
    void *context;
};

/* 1 when it is, 0, or a fault. An id ends with its boundary (invoice.h). */
static int is_due(struct due *due, struct text id)
{
    const size_t length = sizeof(due->from) - 1;
    bool is_there;
    int r;

    if (text_equal(id, due->after) || id.length <= length ||
        memcmp(id.at + id.length - length, due->from, length) < 0)
        return 0;
    r = beside_find(&due->deliveries, id, &is_there);
    if (!r && is_there)
        return !stripe_delivery_is_settled(due->deliveries.value);
    if (!r)
        r = beside_find(&due->nothings, id, &is_there);
    return r ? fault_pass(r) : !is_there;
}

static int visit_due(struct due *due, struct store_cursor *cursor)
{
    struct text id = due->after, close;
    int r = store_cursor_seek(cursor, &id, &close);

    while (r == 0) {
        int wanted = is_due(due, id);

        if (wanted > 0)
            wanted = due->visit(due->context, id);
        if (wanted)
            return wanted < 0 ? fault_pass(wanted) : 0;
        r = store_cursor_next(cursor, &id, &close);
    }
    return r < 0 ? fault_pass(r) : 0;
}

int stripe_books_each_due(struct store_txn *txn, struct text after, struct instant from,
                          int (*visit)(void *context, struct text invoice), void *context)
{
    CLEANUP(store_cursor_drop) struct store_cursor *cursor = NULL;
    struct due due = {.after = after, .visit = visit, .context = context};
    char time[INSTANT_TEXT_MAX];
    int r = store_cursor_new(txn, BOOKS_INVOICES, &cursor);

    instant_format(from, time); /* 2026-03-01T00:00:00Z */
    snprintf(due.from, sizeof(due.from), "%.4s%.2s%.2sT%.2s%.2sZ", time, time + 5, time + 8,
             time + 11, time + 14);
    if (!r)
        r = beside_open(&due.deliveries, txn, "invoice/", after);
    if (!r)
        r = beside_open(&due.nothings, txn, "nothing/", after);
    if (!r)
        r = visit_due(&due, cursor);
    store_cursor_drop(&due.deliveries.cursor);
    store_cursor_drop(&due.nothings.cursor);
    return r ? fault_pass(r) : 0;
}

struct each {
    size_t prefix;
    int (*visit)(void *context, struct text key, struct text json);
    void *context;
};

static int visit_record(void *context, struct text key, struct text json)
{
    const struct each *each = context;

    return each->visit(each->context, text_from(key.at + each->prefix, key.length - each->prefix),
                       json);
}

int stripe_books_each(struct store_txn *txn, const char *kind,
                      int (*visit)(void *context, struct text key, struct text json), void *context)
{
    struct each each = {strlen(kind), visit, context};
    int r = books_each(txn, BOOKS_STRIPE, text_of(kind), visit_record, &each);

    return r ? fault_pass(r) : 0;
}
