/*
 * render_json.c - an invoice as canonical JSON.
 *
 * Written by hand, member by member, so that the bytes are the same on every machine and in every
 * year: no library chooses an order, a number's form or an escape.
 */
#include "invoicer/rules/render.h"

#include "invoicer/rules/card_json.h"
#include "invoicer/rules/json_write.h"
#include "invoicer/rules/rate_json.h"
#include "invoicer/rules/render_words.h"

enum { WINDOWS_KNOWN = 64, WINDOW_TEXT_MAX = 96, MINUTES_DAY = 1440 };

/* null: it has no end yet. */
static void add_instant(struct buffer *buffer, const char *before, struct instant instant)
{
    if (render_is_open(instant))
        json_write_text(buffer, before, text_of(NULL));
    else
        json_write_instant(buffer, before, instant);
}

/* A window's text, kept: the lines of an invoice, and invoices of a close, have the same ones. */
struct known_window {
    struct window window;
    char text[WINDOW_TEXT_MAX];
    size_t length; /* 0: nothing yet */
};

/* Neighbouring days have places of their own, and so has the month that begins with one of them. */
static struct known_window *place_of(struct window window)
{
    static _Thread_local struct known_window known[WINDOWS_KNOWN];
    uint64_t first = (uint64_t)instant_minute(window.from) / MINUTES_DAY;
    uint64_t days = (uint64_t)instant_minute(window.to) / MINUTES_DAY - first;

    return &known[(first + 37 * days) % WINDOWS_KNOWN];
}

/* `"from":…,"to":…` */
static void add_window(struct buffer *buffer, struct window window)
{
    struct known_window *known = place_of(window);
    size_t before = buffer->length;

    if (known->length && instant_compare(known->window.from, window.from) == 0 &&
        instant_compare(known->window.to, window.to) == 0) {
        buffer_add(buffer, known->text, known->length);
        return;
    }
    add_instant(buffer, "\"from\":", window.from);
    add_instant(buffer, ",\"to\":", window.to);
    known->window = window;
    known->length = buffer->length - before;
    memcpy(known->text, buffer->at + before, known->length);
}

static void add_period(struct buffer *buffer, const char *before, const struct plan *plan,
                       const struct billing_period *period)
{
    buffer_add_string(buffer, before);
    if (period->phase == PERIODS_NONE) {
        buffer_add_string(buffer, "null");
        return;
    }
    json_write_text(buffer, "{\"phase\":", plan->phases[period->phase].key);
    buffer_add_char(buffer, ',');
    add_window(buffer, period->window);
    buffer_add_char(buffer, '}');
}

static void add_position(struct buffer *buffer, const struct invoice_position *position)
{
    json_write_int(buffer, ",\"position\":{\"partition\":", position->partition);
    json_write_int(buffer, ",\"nextOffset\":", position->next_offset);
    buffer_add_char(buffer, '}');
}

static void add_usage(struct buffer *buffer, const struct invoice *invoice,
                      const struct invoice_line *line)
{
    json_write_decimal(buffer, ",\"quantity\":", line->usage.quantity);
    if (line->card->price.kind == PRICE_PERCENTAGE)
        buffer_printf(buffer, ",\"events\":%llu", (unsigned long long)line->usage.events);
    if (line->kind == INVOICE_ADJUSTMENT) {
        json_write_decimal(buffer, ",\"billedQuantity\":", line->billed_quantity);
        json_write_money(buffer, ",\"billedTotal\":", line->billed_total,
                         invoice->subscription->plan->currency);
    }
    buffer_add_string(buffer, ",\"windows\":[");
    for (size_t i = 0; i < line->usage.window_count; i++) {
        const struct invoice_window *window = &line->usage.windows[i];

        buffer_add_string(buffer, i ? ",{" : "{");
        add_window(buffer, window->window);
        json_write_decimal(buffer, ",\"quantity\":", window->quantity);
        buffer_add_char(buffer, '}');
    }
    buffer_add_char(buffer, ']');
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

/* Of a matrix price's lines also the number of the price's value, from 1; 0 is what none matched.
 */
static void add_detail(struct buffer *buffer, const struct invoice_line *line,
                       const struct rated_line *detail, const struct currency *currency)
{
    rated_write_open(detail, &line->card->price, currency, buffer);
    if (line->card->price.kind == PRICE_MATRIX && detail->kind == RATED_USAGE)
        buffer_printf(buffer, ",\"value\":%zu", detail->value);
    buffer_add_char(buffer, '}');
}

static void add_line(struct buffer *buffer, const struct invoice *invoice,
                     const struct invoice_line *line)
{
    const struct currency *currency = invoice->subscription->plan->currency;
    const struct json_sums sums = {line->amount, line->discount, line->credit, line->total};

    json_write_text(buffer, "{\"id\":", line->id);
    buffer_add_string(buffer, ",\"kind\":\"");
    buffer_add_string(buffer, invoice_line_kind_name(line->kind));
    buffer_add_char(buffer, '"');
    card_write_names(line->card, line->phase_key, buffer);
    json_write_int(buffer, ",\"period\":{\"index\":", line->period.index);
    buffer_add_char(buffer, ',');
    add_window(buffer, line->period.window);
    buffer_add_char(buffer, '}');
    card_write_terms(line->card, line->price, buffer);
    if (line->kind != INVOICE_FEE)
        add_usage(buffer, invoice, line);
    json_write_sums(buffer, ",\"discount\":", &sums, currency);
    buffer_add_string(buffer, ",\"details\":[");
    for (size_t i = 0; i < line->detail_count; i++) {
        buffer_add_string(buffer, i ? "," : "");
        add_detail(buffer, line, &line->details[i], currency);
    }
    buffer_add_string(buffer, "]}");
}

void render_json(const struct invoice *invoice, struct buffer *buffer)
{
    const struct subscription *subscription = invoice->subscription;
    const struct plan *plan = subscription->plan;
    const struct json_sums sums = {
        .amount = invoice->amount, .discount = invoice->discount, .total = invoice->total};

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
    json_write_sums(buffer, ",\"discountTotal\":", &sums, plan->currency);
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
