/*
 * render_csv.c - an invoice as rows of a spreadsheet (RFC 4180).
 *
 * A cell that a spreadsheet would take for a formula gets an apostrophe before it; numbers are ours
 * and stay numbers, negative ones too.
 */
#include "invoicer/rules/render.h"

#include "invoicer/rules/render_words.h"

#include <string.h>

static const char *const columns[] = {
    "invoice",     "customer", "subscription", "plan",        "currency",  "line",
    "kind",        "name",     "description",  "period_from", "period_to", "quantity",
    "unit_amount", "amount",   "discount",     "credit",      "total"};

static bool is_formula(struct text text)
{
    return text.length && memchr("=+-@\t\r", text.at[0], 6);
}

static bool needs_quotes(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (memchr(",\"\r\n", text.at[i], 4))
            return true;
    }
    return false;
}

static void add_cell(struct buffer *buffer, struct text text)
{
    bool quoted = needs_quotes(text);

    buffer_add_string(buffer, quoted ? "\"" : "");
    buffer_add_string(buffer, is_formula(text) ? "'" : "");
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '"')
            buffer_add_char(buffer, '"');
        buffer_add_char(buffer, text.at[i]);
    }
    buffer_add_string(buffer, quoted ? "\"" : "");
    buffer_add_char(buffer, ',');
}

static void add_instant(struct buffer *buffer, struct instant instant)
{
    char text[INSTANT_TEXT_MAX];

    (void)instant_format(instant, text);
    buffer_printf(buffer, "%s,", render_is_open(instant) ? "" : text);
}

static void add_decimal(struct buffer *buffer, bool given, struct decimal decimal)
{
    char text[DECIMAL_TEXT_MAX];

    (void)decimal_format(decimal, text);
    buffer_printf(buffer, "%s,", given ? text : "");
}

static void add_money(struct buffer *buffer, struct money money, const struct currency *currency,
                      const char *end)
{
    char text[MONEY_TEXT_MAX];

    (void)money_format(money, currency, text);
    buffer_printf(buffer, "%s%s", text, end);
}

static void add_row(struct buffer *buffer, const struct invoice *invoice,
                    const struct invoice_line *line, const struct render_row *row)
{
    CLEANUP(buffer_deinit) struct buffer words = {0};
    const struct subscription *subscription = invoice->subscription;
    const struct currency *currency = subscription->plan->currency;

    add_cell(buffer, invoice->id);
    add_cell(buffer, subscription->customer_key);
    add_cell(buffer, subscription->id);
    add_cell(buffer, subscription->plan->key);
    add_cell(buffer, text_of(currency->code));
    add_cell(buffer, line->id);
    add_cell(buffer, text_of(invoice_line_kind_name(line->kind)));
    add_cell(buffer, line->card->name);
    render_row_words(line, row, &words);
    add_cell(buffer, buffer_text(&words));
    add_instant(buffer, line->period.window.from);
    add_instant(buffer, line->period.window.to);
    add_decimal(buffer, row->has_quantity, row->quantity);
    add_decimal(buffer, row->has_unit, row->unit_amount);
    add_money(buffer, row->amount, currency, ",");
    add_money(buffer, row->discount, currency, ",");
    add_money(buffer, row->credit, currency, ",");
    add_money(buffer, row->total, currency, "\r\n");
}

void render_csv_header(struct buffer *buffer)
{
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        buffer_printf(buffer, "%s%s", i ? "," : "", columns[i]);
    buffer_add_string(buffer, "\r\n");
}

void render_csv(const struct invoice *invoice, struct buffer *buffer)
{
    for (size_t i = 0; i < invoice->line_count; i++) {
        const struct invoice_line *line = &invoice->lines[i];

        for (size_t j = 0; j < render_row_count(line); j++) {
            struct render_row row = render_row_at(line, j);

            add_row(buffer, invoice, line, &row);
        }
    }
}
