/*
 * invoice_digest.c - an invoice's inputs as text, and their hash.
 */
#include "invoicer/rules/invoice_digest.h"

#include <stdio.h>
#include <xxhash.h>

static void add_text(struct buffer *buffer, const char *name, struct text text)
{
    buffer_add_string(buffer, name);
    buffer_add_char(buffer, ' ');
    buffer_add_json_string(buffer, text);
    buffer_add_char(buffer, '\n');
}

static void add_word(struct buffer *buffer, const char *name, const char *word)
{
    buffer_add_string(buffer, name);
    buffer_add_char(buffer, ' ');
    buffer_add_string(buffer, word);
    buffer_add_char(buffer, '\n');
}

static void add_int(struct buffer *buffer, const char *name, int64_t number)
{
    buffer_add_string(buffer, name);
    buffer_add_char(buffer, ' ');
    buffer_add_int(buffer, number);
    buffer_add_char(buffer, '\n');
}

static void add_decimal(struct buffer *buffer, const char *name, struct decimal decimal)
{
    char text[DECIMAL_TEXT_MAX];
    size_t length = decimal_format(decimal, text);

    buffer_add_string(buffer, name);
    buffer_add_char(buffer, ' ');
    buffer_add(buffer, text, length);
    buffer_add_char(buffer, '\n');
}

static void add_window(struct buffer *buffer, const char *name, struct window window)
{
    buffer_add_string(buffer, name);
    buffer_add_char(buffer, ' ');
    buffer_add_int(buffer, instant_minute(window.from));
    buffer_add_char(buffer, ' ');
    buffer_add_int(buffer, instant_minute(window.to));
    buffer_add_char(buffer, '\n');
}

static void add_period(struct buffer *buffer, const char *name, const struct billing_period *period)
{
    buffer_add_string(buffer, name);
    add_int(buffer, "-phase", period->phase);
    add_window(buffer, name, period->window);
}

static void add_cell(struct buffer *buffer, const struct price *price,
                     const struct rating_cell *cell)
{
    for (size_t i = 0; i < price->dimension_count; i++)
        add_text(buffer, "cell", cell->dimensions[i]);
    add_decimal(buffer, "cell-quantity", cell->quantity);
}

static void add_line(struct buffer *buffer, const struct invoice *invoice,
                     const struct invoice_line *line)
{
    char billed[MONEY_TEXT_MAX];

    add_text(buffer, "line", line->id);
    add_text(buffer, "price-version", line->price);
    buffer_add_string(buffer, "price ");
    price_write(&line->card->price, buffer);
    buffer_add_char(buffer, '\n');
    add_decimal(buffer, "discount-percent", line->card->discounts.percent);
    add_decimal(buffer, "discount-usage", line->card->discounts.usage);
    add_window(buffer, "period", line->period.window);
    add_decimal(buffer, "quantity", line->usage.quantity);
    if (line->card->price.kind == PRICE_PERCENTAGE)
        add_int(buffer, "events", (int64_t)line->usage.events);
    for (size_t i = 0; i < line->usage.cell_count; i++)
        add_cell(buffer, &line->card->price, &line->usage.cells[i]);
    for (size_t i = 0; i < line->usage.window_count; i++) {
        add_window(buffer, "window", line->usage.windows[i].window);
        add_decimal(buffer, "counted", line->usage.windows[i].quantity);
    }
    if (line->kind != INVOICE_ADJUSTMENT)
        return;
    (void)money_format(line->billed_total, invoice->subscription->plan->currency, billed);
    add_decimal(buffer, "billed-quantity", line->billed_quantity);
    add_word(buffer, "billed-total", billed);
}

/* What it was made from: how much of it each line takes follows. */
static void add_credit(struct buffer *buffer, const struct invoice *invoice)
{
    const struct currency *currency = invoice->subscription->plan->currency;
    char granted[MONEY_TEXT_MAX], used[MONEY_TEXT_MAX];

    (void)money_format(invoice->credit.granted, currency, granted);
    (void)money_format(invoice->credit.used_before, currency, used);
    add_text(buffer, "credit-from", invoice->subscription->previous_id);
    add_word(buffer, "credit", granted);
    add_word(buffer, "credit-used-before", used);
}

void invoice_digest_inputs(const struct invoice *invoice, struct buffer *buffer)
{
    const struct subscription *subscription = invoice->subscription;

    buffer_add_string(buffer, "tollway-invoice 1\n");
    add_text(buffer, "subscription", subscription->id);
    add_text(buffer, "customer", subscription->customer_key);
    add_text(buffer, "customer-name", subscription->customer_name);
    add_text(buffer, "plan", subscription->plan->key);
    add_int(buffer, "version", subscription->plan->version);
    add_word(buffer, "currency", subscription->plan->currency->code);
    add_word(buffer, "zone", zone_name(subscription->zone));
    add_int(buffer, "boundary", instant_minute(invoice->boundary.at));
    add_period(buffer, "ended", &invoice->boundary.ended);
    add_period(buffer, "begins", &invoice->boundary.begins);
    buffer_add_string(buffer, "position ");
    buffer_add_int(buffer, invoice->position.partition);
    add_int(buffer, "", invoice->position.next_offset);
    if (invoice_has_credit(invoice))
        add_credit(buffer, invoice);
    for (size_t i = 0; i < invoice->line_count; i++)
        add_line(buffer, invoice, &invoice->lines[i]);
}

void invoice_digest(const struct invoice *invoice, char digest[INVOICE_DIGEST_TEXT])
{
    CLEANUP(buffer_deinit) struct buffer inputs = {0};
    XXH128_hash_t hash;

    invoice_digest_inputs(invoice, &inputs);
    hash = XXH3_128bits(inputs.at, inputs.length);
    (void)snprintf(digest, INVOICE_DIGEST_TEXT, "%016llx%016llx", (unsigned long long)hash.high64,
                   (unsigned long long)hash.low64);
}
