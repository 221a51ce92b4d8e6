/*
 * render_json.c - an invoice as canonical JSON.
 *
 * Written by hand, member by member, so that the bytes are the same on every machine and in every
 * year: no library chooses an order, a number's form or an escape.
 */
#include "invoicer/rules/render.h"

#include "common/base/digits.h"
#include "invoicer/rules/card_json.h"
#include "invoicer/rules/json_write.h"
#include "invoicer/rules/rate_json.h"
#include "invoicer/rules/render_words.h"

enum {
    WINDOWS_KNOWN = 64,
    WINDOW_TEXT_MAX = 80,
    WINDOW_MAX = WINDOW_TEXT_MAX + JSON_DECIMAL_MAX + 16, /* with braces and its quantity */
    SUM_MAX = JSON_MONEY_MAX + 20,                        /* with its name */
    DETAIL_NUMBERS_MAX = JSON_DECIMAL_MAX + 3 * SUM_MAX + 1,
    LINE_NUMBERS_MAX = WINDOW_MAX + 5 * SUM_MAX + 2 * JSON_DECIMAL_MAX + 2 * DIGITS_MAX +
                       120, /* all of a line's but those of its windows */
};

/* null: it has no end yet. */
static char *put_instant(char *at, const char *before, struct instant instant)
{
    if (!render_is_open(instant))
        return json_put_instant(at, before, instant);
    at = string_write(at, before);
    return string_write(at, "null");
}

/* A window's text, kept: the lines of an invoice, and invoices of a close, have the same ones. */
struct known_window {
    struct window window;
    char text[WINDOW_TEXT_MAX];
    size_t length; /* 0: nothing yet */
};

/* Neighbouring days have places of their own, and so has the month that begins with one of them. */
static struct known_window *place_of(const struct window *window)
{
    static _Thread_local struct known_window known[WINDOWS_KNOWN];
    const uint64_t day = UINT64_C(86400000000000);
    uint64_t from = (uint64_t)window->from.ns, length = (uint64_t)window->to.ns - from;

    return &known[(from + 37 * length) / day % WINDOWS_KNOWN];
}

static char *put_known_window(char *at, const struct known_window *known)
{
    memcpy(at, known->text, WINDOW_TEXT_MAX); /* all of it: a few moves in place */
    return at + known->length;
}

COLD static char *put_new_window(char *at, const struct window *window, struct known_window *known)
{
    char *end = put_instant(known->text, "\"from\":", window->from);

    end = put_instant(end, ",\"to\":", window->to);
    known->window = *window;
    known->length = (size_t)(end - known->text);
    return put_known_window(at, known);
}

/* `"from":…,"to":…`; wants room for WINDOW_TEXT_MAX bytes. */
static char *put_window(char *at, const struct window *window)
{
    struct known_window *known = place_of(window);

    if (known->length == 0 || known->window.from.ns != window->from.ns ||
        known->window.to.ns != window->to.ns)
        return put_new_window(at, window, known);
    return put_known_window(at, known);
}

static void add_instant(struct buffer *buffer, const char *before, struct instant instant)
{
    char *at = buffer_open(buffer, strlen(before) + JSON_INSTANT_MAX);

    buffer_close(buffer, put_instant(at, before, instant));
}

static void add_period(struct buffer *buffer, const char *before, const struct plan *plan,
                       const struct billing_period *period)
{
    char *at;

    buffer_add_string(buffer, before);
    if (period->phase == PERIODS_NONE) {
        buffer_add_string(buffer, "null");
        return;
    }
    json_write_text(buffer, "{\"phase\":", plan->phases[period->phase].key);
    at = buffer_open(buffer, WINDOW_MAX);
    *at++ = ',';
    at = put_window(at, &period->window);
    *at++ = '}';
    buffer_close(buffer, at);
}

static void add_position(struct buffer *buffer, const struct invoice_position *position)
{
    json_write_int(buffer, ",\"position\":{\"partition\":", position->partition);
    json_write_int(buffer, ",\"nextOffset\":", position->next_offset);
    buffer_add_char(buffer, '}');
}

static char *put_billed(char *at, const struct invoice_line *line, const struct currency *currency)
{
    if (line->kind != INVOICE_ADJUSTMENT)
        return at;
    at = json_put_decimal(at, ",\"billedQuantity\":", line->billed_quantity);
    return json_put_money(at, ",\"billedTotal\":", line->billed_total, currency);
}

static char *put_windows(char *at, const struct invoice_usage *usage,
                         const struct json_known *quantity)
{
    at = string_write(at, ",\"windows\":[");
    for (size_t i = 0; i < usage->window_count; i++) {
        at = string_write(at, i ? ",{" : "{");
        at = put_window(at, &usage->windows[i].window);
        at = json_put_decimal_again(at, ",\"quantity\":", usage->windows[i].quantity, quantity);
        *at++ = '}';
    }
    *at++ = ']';
    return at;
}

static char *put_usage(char *at, const struct invoice_line *line, const struct currency *currency,
                       const struct json_known *quantity)
{
    at = json_put_known(at, ",\"quantity\":", quantity);
    if (line->card->price.kind == PRICE_PERCENTAGE) {
        at = string_write(at, ",\"events\":");
        at = digits_write_all(at, line->usage.events);
    }
    at = put_billed(at, line, currency);
    return put_windows(at, &line->usage, quantity);
}

static void add_credit(struct buffer *buffer, const struct invoice *invoice)
{
    const struct currency *currency = invoice->subscription->plan->currency;
    const struct invoice_credit *credit = &invoice->credit;

    json_write_text(buffer,
                    ",\"credit\":{\"previousSubscription\":", invoice->subscription->previous_id);
    json_write_money(buffer, ",\"granted\":", credit->granted, currency);
    json_write_money(buffer, ",\"usedBefore\":", credit->used_before, currency);
    json_write_money(buffer, ",\"used\":", credit->used, currency);
    json_write_money(buffer, ",\"remaining\":", credit->remaining, currency);
    buffer_add_char(buffer, '}');
}

/* What a line says first, and its details mostly again. */
struct line_known {
    struct json_known quantity, amount;
};

/* Of a matrix price's lines also the number of the price's value, from 1; 0 is what none matched.
 */
static void add_rated(struct buffer *buffer, const struct rate_card *card,
                      const struct rated_line *detail, const struct currency *currency)
{
    rated_write_open(detail, &card->price, currency, buffer);
    if (card->price.kind == PRICE_MATRIX && detail->kind == RATED_USAGE)
        buffer_printf(buffer, ",\"value\":%zu", detail->value);
    buffer_add_char(buffer, '}');
}

static void add_detail(struct buffer *buffer, const struct rate_card *card,
                       const struct rated_line *detail, const struct currency *currency,
                       const struct line_known *known)
{
    const struct card_detail *kept = card_kept_detail(card, detail);
    char *at;

    if (!kept) {
        add_rated(buffer, card, detail, currency);
        return;
    }
    at = buffer_open(buffer, kept->before.length + kept->behind.length + DETAIL_NUMBERS_MAX);
    at = text_write(at, kept->before);
    at = json_put_decimal_again(at, "", detail->quantity, &known->quantity);
    at = text_write(at, kept->behind);
    at = json_put_money_again(at, ",\"amount\":", detail->amount, currency, &known->amount);
    at = json_put_money(at, ",\"discount\":", detail->discount, currency);
    at = json_put_money_again(at, ",\"total\":", detail->total, currency, &known->amount);
    *at++ = '}';
    buffer_close(buffer, at);
}

static char *put_kind(char *at, enum invoice_line_kind kind)
{
    switch (kind) {
    case INVOICE_FEE:
        return string_write(at, ",\"kind\":\"fee\"");
    case INVOICE_USAGE:
        return string_write(at, ",\"kind\":\"usage\"");
    case INVOICE_ADJUSTMENT:
        break;
    }
    return string_write(at, ",\"kind\":\"adjustment\"");
}

/* What it comes to, with the credit where there is any: most lines never know one. */
static char *put_sums(char *at, const struct invoice_line *line, const struct currency *currency,
                      const struct json_known *amount)
{
    at = json_put_known(at, ",\"amount\":", amount);
    at = json_put_money(at, ",\"discount\":", line->discount, currency);
    if (line->credit.minor)
        at = json_put_money(at, ",\"credit\":", line->credit, currency);
    return json_put_money_again(at, ",\"total\":", line->total, currency, amount);
}

/* What the line is about. */
static char *put_subject(char *at, const struct invoice_line *line)
{
    at = string_write(at, "{\"id\":");
    at = json_string_write(at, line->id);
    at = put_kind(at, line->kind);
    at = text_write(at, line->card->kept.names);
    at = string_write(at, ",\"period\":{\"index\":");
    at = digits_write_int(at, line->period.index);
    *at++ = ',';
    at = put_window(at, &line->period.window);
    *at++ = '}';
    return text_write(at, line->card->kept.terms);
}

static void add_line(struct buffer *buffer, const struct invoice *invoice,
                     const struct invoice_line *line)
{
    const struct currency *currency = invoice->subscription->plan->currency;
    const struct card_kept *kept = &line->card->kept;
    char *at =
        buffer_open(buffer, json_string_most(line->id) + kept->names.length + kept->terms.length +
                                LINE_NUMBERS_MAX + line->usage.window_count * WINDOW_MAX);
    struct line_known known;

    json_know_decimal(&known.quantity, line->usage.quantity);
    json_know_money(&known.amount, line->amount, currency);
    at = put_subject(at, line);
    if (line->kind != INVOICE_FEE)
        at = put_usage(at, line, currency, &known.quantity);
    at = put_sums(at, line, currency, &known.amount);
    at = string_write(at, ",\"details\":[");
    buffer_close(buffer, at);
    for (size_t i = 0; i < line->detail_count; i++) {
        if (i)
            buffer_add_char(buffer, ',');
        add_detail(buffer, line->card, &line->details[i], currency, &known);
    }
    buffer_add_string(buffer, "]}");
}

void render_json(const struct invoice *invoice, struct buffer *buffer)
{
    const struct subscription *subscription = invoice->subscription;
    const struct plan *plan = subscription->plan;

    json_write_text(buffer, "{\"id\":", invoice->id);
    json_write_text(buffer, ",\"subscription\":", subscription->id);
    json_write_text(buffer, ",\"customer\":{\"key\":", subscription->customer_key);
    json_write_text(buffer, ",\"name\":", subscription->customer_name);
    json_write_text(buffer, "},\"plan\":{\"key\":", plan->key);
    json_write_int(buffer, ",\"version\":", plan->version);
    json_write_text(buffer, ",\"name\":", plan->name);
    json_write_text(buffer, "},\"currency\":", text_of(plan->currency->code));
    add_instant(buffer, ",\"boundary\":", invoice->boundary.at);
    add_period(buffer, ",\"ended\":", plan, &invoice->boundary.ended);
    add_period(buffer, ",\"begins\":", plan, &invoice->boundary.begins);
    json_write_money(buffer, ",\"amount\":", invoice->amount, plan->currency);
    json_write_money(buffer, ",\"discountTotal\":", invoice->discount, plan->currency);
    json_write_money(buffer, ",\"total\":", invoice->total, plan->currency);
    if (invoice_has_credit(invoice))
        add_credit(buffer, invoice);
    json_write_text(buffer, ",\"digest\":", text_of(invoice->digest));
    add_position(buffer, &invoice->position);
    buffer_add_string(buffer, ",\"lines\":[");
    for (size_t i = 0; i < invoice->line_count; i++) {
        buffer_add_string(buffer, i ? "," : "");
        add_line(buffer, invoice, &invoice->lines[i]);
    }
    buffer_add_string(buffer, "]}");
}
