#include "invoicer/edges/billed.h"

#include "common/base/fault.h"
#include "common/base/money.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/late.h"
#include "invoicer/edges/mirror.h"
#include "invoicer/edges/stripe_books.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct text member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_string(value) ? text_from(json_string_value(value), json_string_length(value))
                                 : text_of(NULL);
}

static bool minute_of(const json_t *object, const char *name, int64_t *minute)
{
    struct instant instant;

    if (instant_parse(member(object, name), &instant))
        return false;
    *minute = instant_minute(instant);
    return true;
}

void billed_key(struct buffer *key, struct text subscription, char kind)
{
    buffer_add_text(key, subscription);
    buffer_add_char(key, '\0');
    buffer_add_char(key, kind);
}

/* The greatest boundary of all subscriptions. */
static int note_latest(struct store_txn *txn, int64_t minute)
{
    int64_t latest;
    int r = books_number(txn, BILLED_LATEST, INT64_MIN, &latest);

    if (!r && minute > latest)
        r = books_set_number(txn, BILLED_LATEST, minute);
    return r ? fault_pass(r) : 0;
}

static int put_boundary(struct store_txn *txn, struct text subscription, int64_t minute,
                        struct text invoice)
{
    struct buffer key = {0};
    int r;

    billed_key(&key, subscription, 'b');
    books_add_be64(&key, minute);
    r = store_put(txn, BOOKS_BILLED, buffer_text(&key), invoice);
    buffer_deinit(&key);
    if (!r)
        r = note_latest(txn, minute);
    return r ? fault_pass(r) : 0;
}

/* One that another invoicer has billed. */
static int take_boundary(struct store_txn *txn, struct text subscription, int64_t minute,
                         struct text invoice)
{
    int r = put_boundary(txn, subscription, minute, invoice);

    if (!r)
        r = late_unsettle(txn, subscription);
    return r ? fault_pass(r) : 0;
}

static void period_key(struct buffer *key, struct text subscription, struct text phase,
                       struct text card, int64_t from, int64_t to)
{
    billed_key(key, subscription, 'u');
    books_add_be64(key, from);
    books_add_be64(key, to);
    buffer_add_text(key, phase);
    buffer_add_char(key, '/');
    buffer_add_text(key, card);
}

static void copy_text(char *to, size_t room, struct text text)
{
    size_t length = text.length < room ? text.length : room - 1;

    memcpy(to, text.at ? text.at : "", length);
    to[length] = '\0';
}

int billed_of(struct store_txn *txn, struct text subscription, struct text phase, struct text card,
              int64_t from_minute, int64_t to_minute, struct billed_period *billed)
{
    struct billed_period found = {.quantity = "0", .total = "0"};
    struct buffer key = {0};
    struct text value;
    int r;

    period_key(&key, subscription, phase, card, from_minute, to_minute);
    r = store_get(txn, BOOKS_BILLED, buffer_text(&key), &value);
    buffer_deinit(&key);
    if (r < 0)
        return fault_pass(r);
    if (r == 0) {
        json_t *json = json_loadb(value.at, value.length, 0, NULL);

        copy_text(found.quantity, sizeof(found.quantity), member(json, "quantity"));
        copy_text(found.total, sizeof(found.total), member(json, "total"));
        found.adjustments = json_integer_value(json_object_get(json, "adjustments"));
        json_decref(json);
    }
    *billed = found;
    return 0;
}

/* What was billed of the period, and this line's total with it. */
static bool add_total(const struct currency *currency, const char *before, struct money more,
                      char total[MONEY_TEXT_MAX])
{
    struct money a, sum;

    if (money_parse(text_of(before), currency, &a) || money_add(a, more, &sum))
        return false;
    money_format(sum, currency, total);
    return true;
}

/* What a line says of its card's period. */
struct billed_line {
    struct text phase, card, quantity;
    int64_t from, to; /* minutes */
    struct money total;
    bool is_adjustment;
};

/* A row of zeros says what no row says (billed_of): most lines of most closes are without usage. */
static bool says_nothing(const struct billed_line *line, const struct billed_period *before)
{
    return text_is(line->quantity, "0") && line->total.minor == 0 && !line->is_adjustment &&
           text_is(text_of(before->quantity), "0") && text_is(text_of(before->total), "0");
}

static int put_period(struct store_txn *txn, struct text subscription,
                      const struct currency *currency, const struct billed_line *line)
{
    struct buffer key = {0}, value = {0};
    struct billed_period before;
    char total[MONEY_TEXT_MAX];
    int r = billed_of(txn, subscription, line->phase, line->card, line->from, line->to, &before);

    if (r)
        return fault_pass(r);
    if (says_nothing(line, &before))
        return 0;
    if (!add_total(currency, before.total, line->total, total))
        return fault(FAULT_STOP, "what was billed of a period has no room");
    period_key(&key, subscription, line->phase, line->card, line->from, line->to);
    buffer_add_string(&value, "{\"quantity\":");
    buffer_add_json_string(&value, line->quantity);
    buffer_add_string(&value, ",\"total\":\"");
    buffer_add_string(&value, total);
    buffer_add_string(&value, "\",\"adjustments\":");
    buffer_add_int(&value, before.adjustments + line->is_adjustment);
    buffer_add_char(&value, '}');
    r = store_put(txn, BOOKS_BILLED, buffer_text(&key), buffer_text(&value));
    buffer_deinit(&key);
    buffer_deinit(&value);
    return r ? fault_pass(r) : 0;
}

int billed_credit(struct store_txn *txn, struct text subscription, char used[BILLED_CREDIT_MAX])
{
    struct text value = text_of("0");
    struct buffer key = {0};
    int r;

    billed_key(&key, subscription, 'c');
    r = store_get(txn, BOOKS_BILLED, buffer_text(&key), &value);
    buffer_deinit(&key);
    if (r < 0)
        return fault_pass(r);
    copy_text(used, BILLED_CREDIT_MAX, value);
    return 0;
}

/* Adds what an invoice uses of the subscription's credit. */
static int put_credit(struct store_txn *txn, struct text subscription,
                      const struct currency *currency, struct money used)
{
    char before[BILLED_CREDIT_MAX], total[MONEY_TEXT_MAX];
    struct buffer key = {0};
    int r = billed_credit(txn, subscription, before);

    if (r)
        return fault_pass(r);
    if (!add_total(currency, before, used, total))
        return fault(FAULT_STOP, "the credit that was used has no room");
    billed_key(&key, subscription, 'c');
    r = store_put(txn, BOOKS_BILLED, buffer_text(&key), text_of(total));
    buffer_deinit(&key);
    return r ? fault_pass(r) : 0;
}

static int take_credit(struct store_txn *txn, const json_t *invoice)
{
    const struct currency *currency = currency_find(member(invoice, "currency"));
    const json_t *credit = json_object_get(invoice, "credit");
    struct money used;
    int r;

    if (!credit)
        return 0;
    if (money_parse(member(credit, "used"), currency, &used))
        return fault(FAULT_STOP, "an invoice's credit can't be read");
    r = put_credit(txn, member(invoice, "subscription"), currency, used);
    return r ? fault_pass(r) : 0;
}

static int take_line(struct store_txn *txn, struct text subscription,
                     const struct currency *currency, const json_t *json)
{
    const json_t *period = json_object_get(json, "period");
    struct billed_line line = {
        .phase = member(json, "phaseKey"),
        .card = member(json, "rateCardKey"),
        .quantity = member(json, "quantity"),
        .is_adjustment = text_equal(member(json, "kind"), text_of("adjustment")),
    };
    int r;

    if (!minute_of(period, "from", &line.from) || !minute_of(period, "to", &line.to))
        return fault(FAULT_STOP, "an invoice line has no period");
    if (money_parse(member(json, "total"), currency, &line.total))
        return fault(FAULT_STOP, "an invoice line's total can't be read");
    r = put_period(txn, subscription, currency, &line);
    return r ? fault_pass(r) : 0;
}

static int take_lines(struct store_txn *txn, const json_t *invoice)
{
    const struct currency *currency = currency_find(member(invoice, "currency"));
    struct text subscription = member(invoice, "subscription");
    json_t *line;
    size_t i;

    if (!currency || text_is_absent(subscription))
        return fault(FAULT_STOP, "an invoice without subscription or currency");
    json_array_foreach(json_object_get(invoice, "lines"), i, line)
    {
        int r = text_equal(member(line, "kind"), text_of("fee"))
                    ? 0
                    : take_line(txn, subscription, currency, line);

        if (r)
            return fault_pass(r);
    }
    return 0;
}

static void invoice_key(struct buffer *key, struct text close, struct text id)
{
    buffer_add_text(key, close);
    buffer_add_char(key, '\0');
    buffer_add_text(key, id);
}

static int put_invoice(struct store_txn *txn, struct text id, struct text close, struct text json)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    int r;

    invoice_key(&key, close, id);
    r = store_put(txn, BOOKS_INVOICES, id, close);
    if (!r)
        r = store_put_last(txn, BOOKS_CLOSES, buffer_text(&key), json);
    return r ? fault_pass(r) : 0;
}

int billed_close(struct store_txn *txn, struct text id, struct text *close)
{
    int r = id.length && id.length <= STORE_KEY_BYTES_MAX
                ? store_get(txn, BOOKS_INVOICES, id, close)
                : STORE_NOT_FOUND;

    return r == STORE_NOT_FOUND ? BILLED_NOT : r ? fault_pass(r) : 0;
}

int billed_invoice_of(struct store_txn *txn, struct text close, struct text id, struct text *json)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    int r;

    invoice_key(&key, close, id);
    r = store_get(txn, BOOKS_CLOSES, buffer_text(&key), json);
    if (r == STORE_NOT_FOUND)
        return fault(FAULT_STOP, "invoice %.*s is gone", (int)id.length, id.at);
    return r ? fault_pass(r) : 0;
}

int billed_invoice(struct store_txn *txn, struct text id, struct text *json)
{
    struct text close;
    int r = billed_close(txn, id, &close);

    if (r)
        return r < 0 ? fault_pass(r) : BILLED_NOT;
    r = billed_invoice_of(txn, close, id, json);
    return r ? fault_pass(r) : 0;
}

struct each_invoice {
    struct store_txn *txn;
    int (*visit)(void *context, struct text id, struct text json);
    void *context;
};

static int visit_invoice(void *context, struct text id, struct text close)
{
    struct each_invoice *each = context;
    struct text json;
    int r = billed_invoice_of(each->txn, close, id, &json);

    return r ? fault_pass(r) : each->visit(each->context, id, json);
}

int billed_each_invoice(struct store_txn *txn,
                        int (*visit)(void *context, struct text id, struct text json),
                        void *context)
{
    struct each_invoice each = {txn, visit, context};
    int r = books_each(txn, BOOKS_INVOICES, text_from("", 0), visit_invoice, &each);

    return r ? fault_pass(r) : 0;
}

/* Takes the close off a record and puts the rest. */
static int put_record(struct store_txn *txn, struct text key, struct text json)
{
    static const char before[] = "{\"close\":\"";
    CLEANUP(buffer_deinit) struct buffer rest = {0};
    struct text close;
    const char *end;
    int r;

    if (!text_starts(json, before))
        return fault(FAULT_STOP, "invoice %.*s names no close", (int)key.length, key.at);
    close = text_from(json.at + strlen(before), json.length - strlen(before));
    end = memchr(close.at, '"', close.length);
    if (!end || close.at + close.length - end < 3)
        return fault(FAULT_STOP, "invoice %.*s names no close", (int)key.length, key.at);
    buffer_add_char(&rest, '{');
    buffer_add(&rest, end + 2, (size_t)(close.at + close.length - end) - 2);
    close.length = (size_t)(end - close.at);
    r = put_invoice(txn, key, close, buffer_text(&rest));
    return r ? fault_pass(r) : 0;
}

static int take_invoice(struct store_txn *txn, struct text key, struct text json,
                        const json_t *invoice)
{
    struct text there;
    int64_t minute;
    int r = store_get(txn, BOOKS_INVOICES, key, &there);

    if (r != STORE_NOT_FOUND)
        return r ? fault_pass(r) : 0;
    if (!minute_of(invoice, "boundary", &minute))
        return fault(FAULT_STOP, "invoice %.*s has no boundary", (int)key.length, key.at);
    r = put_record(txn, key, json);
    if (!r)
        r = take_boundary(txn, member(invoice, "subscription"), minute, key);
    if (!r)
        r = take_lines(txn, invoice);
    if (!r)
        r = take_credit(txn, invoice);
    return r ? fault_pass(r) : 0;
}

static int put_line(struct store_txn *txn, const struct invoice *invoice,
                    const struct invoice_line *line)
{
    char quantity[DECIMAL_TEXT_MAX];
    size_t length = decimal_format(line->usage.quantity, quantity);
    struct billed_line billed = {
        .phase = line->phase_key,
        .card = line->card->key,
        .quantity = text_from(quantity, length),
        .from = instant_minute(line->period.window.from),
        .to = instant_minute(line->period.window.to),
        .total = line->total,
        .is_adjustment = line->kind == INVOICE_ADJUSTMENT,
    };
    int r =
        put_period(txn, invoice->subscription->id, invoice->subscription->plan->currency, &billed);

    return r ? fault_pass(r) : 0;
}

int billed_take_built(struct store_txn *txn, const struct invoice *invoice, struct text close,
                      struct text json)
{
    const struct subscription *subscription = invoice->subscription;
    struct text there;
    int r = store_get(txn, BOOKS_INVOICES, invoice->id, &there);

    if (r != STORE_NOT_FOUND)
        return r ? fault_pass(r) : 0;
    r = put_invoice(txn, invoice->id, close, json);
    if (!r)
        r = put_boundary(txn, subscription->id, instant_minute(invoice->boundary.at), invoice->id);
    for (size_t i = 0; !r && i < invoice->line_count; i++)
        if (invoice->lines[i].kind != INVOICE_FEE)
            r = put_line(txn, invoice, &invoice->lines[i]);
    if (!r && invoice_has_credit(invoice))
        r = put_credit(txn, subscription->id, subscription->plan->currency, invoice->credit.used);
    return r ? fault_pass(r) : 0;
}

int billed_nothing(struct store_txn *txn, struct text subscription, int64_t minute)
{
    int r = put_boundary(txn, subscription, minute, text_from("", 0));

    return r ? fault_pass(r) : 0;
}

static int take_nothing(struct store_txn *txn, const json_t *record)
{
    json_t *pair;
    size_t i;

    json_array_foreach(json_object_get(record, "boundaries"), i, pair)
    {
        const char *subscription = json_string_value(json_array_get(pair, 0));
        int r;

        if (!subscription)
            return fault(FAULT_STOP, "a boundary without subscription");
        r = take_boundary(txn, text_of(subscription), json_integer_value(json_array_get(pair, 1)),
                          text_from("", 0));
        if (r)
            return fault_pass(r);
    }
    return 0;
}

/* What it billed from need stand still no longer, whoever has brought it to its end. */
static int take_close(struct store_txn *txn, struct text id, struct text json, const json_t *record)
{
    int r = store_put(txn, BOOKS_CLOSES, id, json);

    if (!r && text_is(member(record, "state"), "done"))
        r = mirror_thaw(txn);
    return r ? fault_pass(r) : 0;
}

int billed_take_parsed(struct store_txn *txn, struct text key, struct text json,
                       const json_t *record)
{
    int r;

    if (text_starts(key, "close/"))
        r = take_close(txn, text_from(key.at + 6, key.length - 6), json, record);
    else if (text_starts(key, "nothing/"))
        r = take_nothing(txn, record);
    else if (text_starts(key, "stripe/"))
        r = stripe_books_take(txn, text_from(key.at + 7, key.length - 7), json);
    else
        r = take_invoice(txn, key, json, record);
    return r ? fault_pass(r) : 0;
}

int billed_take(struct store_txn *txn, struct text key, struct text json)
{
    json_t *record = json_loadb(json.at, json.length, 0, NULL);
    int r;

    if (!json_is_object(record)) {
        json_decref(record);
        return fault(FAULT_STOP, "%.*s isn't a record of ours", (int)key.length, key.at);
    }
    r = billed_take_parsed(txn, key, json, record);
    json_decref(record);
    return r ? fault_pass(r) : 0;
}

int billed_last(struct store_txn *txn, struct text subscription, int64_t *minute)
{
    CLEANUP(store_cursor_drop) struct store_cursor *cursor = NULL;
    struct buffer end = {0};
    struct text key, value;
    size_t prefix;
    int r = store_cursor_new(txn, BOOKS_BILLED, &cursor);

    if (r)
        return fault_pass(r);
    billed_key(&end, subscription, 'b');
    prefix = end.length;
    books_add_be64(&end, INT64_MAX);
    key = buffer_text(&end);
    r = store_cursor_seek(cursor, &key, &value);
    if (r == 0)
        r = store_cursor_previous(cursor, &key, &value);
    else if (r == STORE_NOT_FOUND)
        r = store_cursor_last(cursor, &key, &value);
    if (r == 0 && (key.length != prefix + 8 || memcmp(key.at, end.at, prefix) != 0))
        r = STORE_NOT_FOUND;
    if (r == 0)
        *minute = books_be64(key.at + prefix);
    buffer_deinit(&end);
    return r == STORE_NOT_FOUND ? BILLED_NOT : r ? fault_pass(r) : 0;
}

static int64_t last_fee(const json_t *invoice, struct text phase, struct text card)
{
    int64_t to, last = INT64_MIN;
    json_t *line;
    size_t i;

    json_array_foreach(json_object_get(invoice, "lines"), i, line)
    {
        if (text_is(member(line, "kind"), "fee") && text_equal(member(line, "phaseKey"), phase) &&
            text_equal(member(line, "rateCardKey"), card) &&
            minute_of(json_object_get(line, "period"), "to", &to) && to > last)
            last = to;
    }
    return last;
}

int billed_fees_until(struct store_txn *txn, struct text subscription, int64_t minute,
                      struct text phase, struct text card, int64_t *until_minute)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    json_t *invoice;
    struct text id, json;
    int64_t until;
    int r;

    billed_key(&key, subscription, 'b');
    books_add_be64(&key, minute);
    r = store_get(txn, BOOKS_BILLED, buffer_text(&key), &id);
    if (r == STORE_NOT_FOUND || (r == 0 && id.length == 0))
        return BILLED_NOT;
    if (!r)
        r = billed_invoice(txn, id, &json);
    if (r)
        return r < 0 ? fault_pass(r) : BILLED_NOT;
    invoice = json_loadb(json.at, json.length, 0, NULL);
    until = last_fee(invoice, phase, card);
    json_decref(invoice);
    if (until == INT64_MIN)
        return BILLED_NOT;
    *until_minute = until;
    return 0;
}

int billed_has(struct store_txn *txn, struct text subscription, int64_t minute, bool *has)
{
    struct buffer key = {0};
    struct text value;
    int r;

    billed_key(&key, subscription, 'b');
    books_add_be64(&key, minute);
    r = store_get(txn, BOOKS_BILLED, buffer_text(&key), &value);
    buffer_deinit(&key);
    if (r < 0)
        return fault_pass(r);
    *has = r == 0;
    return 0;
}
