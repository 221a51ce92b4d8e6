/*
 * render_html.c - an invoice as a page that needs nothing but itself.
 *
 * The strip beside a usage line shows its counting windows over the period.
 */
#include "invoicer/rules/render.h"

#include "invoicer/rules/html.h"
#include "invoicer/rules/rate_json.h"
#include "invoicer/rules/render_words.h"

#include <string.h>

enum { STRIP_WIDTH = 240, STRIP_HEIGHT = 28, STRIP_WINDOWS_MAX = 400 };

static void add_field(struct buffer *buffer, const char *name, struct text value)
{
    buffer_printf(buffer, "<div><dt>%s</dt><dd>", name);
    html_add_text(buffer, value);
    buffer_add_string(buffer, "</dd></div>\n");
}

static void add_head(struct buffer *buffer, const struct invoice *invoice)
{
    CLEANUP(buffer_deinit) struct buffer words = {0};
    const struct currency *currency = invoice->subscription->plan->currency;

    buffer_add_string(&words, "Invoice ");
    buffer_add_text(&words, invoice->id);
    html_open(buffer, buffer_text(&words));
    buffer_clear(&words);
    buffer_add_string(buffer, "<header><div><h1>Invoice</h1><div class=\"id soft\">");
    html_add_text(buffer, invoice->id);
    buffer_printf(buffer, "</div></div><div class=\"due soft\">Total in %s<b>", currency->code);
    render_money(invoice->total, currency, &words);
    html_add_text(buffer, buffer_text(&words));
    buffer_add_string(buffer, "</b></div></header>\n");
}

static void add_fields(struct buffer *buffer, const struct invoice *invoice)
{
    CLEANUP(buffer_deinit) struct buffer words = {0};
    const struct subscription *subscription = invoice->subscription;

    buffer_add_string(buffer, "<dl>\n");
    add_field(buffer, "Customer", subscription->customer_name);
    buffer_add_text(&words, subscription->plan->name);
    buffer_printf(&words, ", version %lld", (long long)subscription->plan->version);
    add_field(buffer, "Plan", buffer_text(&words));
    buffer_clear(&words);
    render_day(invoice->boundary.at, &words);
    add_field(buffer, "Date (UTC)", buffer_text(&words));
    add_field(buffer, "Subscription", subscription->id);
    buffer_add_string(buffer, "</dl>\n");
}

static struct decimal largest_of(const struct invoice_usage *usage)
{
    struct decimal largest = {0};

    for (size_t i = 0; i < usage->window_count; i++) {
        if (decimal_compare(usage->windows[i].quantity, largest) > 0)
            largest = usage->windows[i].quantity;
    }
    return largest;
}

/* part × whole / of, where a picture needs no more than the nearest whole below. */
static long long scaled(int128 part, int128 of, int whole)
{
    while (part > (int128)1 << 96) {
        part /= 2;
        of /= 2;
    }
    return (long long)(part * whole / of);
}

static void add_bar(struct buffer *buffer, const struct invoice_window *window,
                    struct window period, struct decimal largest)
{
    int64_t start = instant_minute(period.from);
    int64_t length = instant_minute(period.to) - start;
    int64_t from = instant_minute(window->window.from) - start;
    int64_t to = instant_minute(window->window.to) - start;
    long long left = scaled(from, length, STRIP_WIDTH);
    long long width = scaled(to, length, STRIP_WIDTH) - left;
    long long height = scaled(window->quantity.units, largest.units, STRIP_HEIGHT);

    if (height == 0)
        height = 1;
    buffer_printf(buffer, "<rect x=\"%lld\" y=\"%lld\" width=\"%lld\" height=\"%lld\"/>", left,
                  STRIP_HEIGHT - height, width > 1 ? width - 1 : 1, height);
}

static void add_strip(struct buffer *buffer, const struct invoice_line *line)
{
    struct decimal largest = largest_of(&line->usage);

    if (line->usage.window_count < 2 || line->usage.window_count > STRIP_WINDOWS_MAX ||
        largest.units == 0 || render_is_open(line->period.window.to))
        return;
    buffer_printf(buffer,
                  "<svg width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
                  "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Usage over the "
                  "period\">",
                  STRIP_WIDTH, STRIP_HEIGHT, STRIP_WIDTH, STRIP_HEIGHT);
    for (size_t i = 0; i < line->usage.window_count; i++) {
        if (line->usage.windows[i].quantity.units > 0)
            add_bar(buffer, &line->usage.windows[i], line->period.window, largest);
    }
    buffer_add_string(buffer, "</svg>");
}

static void add_numbers(struct buffer *buffer, const struct render_row *row,
                        const struct currency *currency)
{
    CLEANUP(buffer_deinit) struct buffer words = {0};

    buffer_add_string(buffer, "</td><td>");
    if (row->has_quantity)
        quantity_describe(row->quantity, buffer);
    buffer_add_string(buffer, "</td><td class=\"unit\">");
    render_unit(row, buffer);
    buffer_add_string(buffer, "</td><td>");
    render_money(row->amount, currency, &words);
    html_add_text(buffer, buffer_text(&words));
    buffer_add_string(buffer, "</td></tr>\n");
}

static void add_detail(struct buffer *buffer, const struct invoice_line *line,
                       const struct render_row *row, const struct currency *currency)
{
    CLEANUP(buffer_deinit) struct buffer words = {0};

    render_row_words(line, row, &words);
    if (words.length == 0)
        return;
    buffer_printf(buffer, "<tr class=\"detail\"><td%s>",
                  render_is_note(line) ? " colspan=\"4\"" : "");
    html_add_text(buffer, buffer_text(&words));
    if (render_is_note(line))
        buffer_add_string(buffer, "</td></tr>\n");
    else
        add_numbers(buffer, row, currency);
}

/* What a percentage or a maximum takes off is a row of its own, in minus. */
static void add_discount(struct buffer *buffer, const struct invoice_line *line,
                         const struct currency *currency)
{
    CLEANUP(buffer_deinit) struct buffer words = {0};
    struct render_row row = {.amount = {-line->discount.minor}};

    if (line->discount.minor == 0)
        return;
    render_discount_words(line, &words);
    buffer_add_string(buffer, "<tr class=\"detail\"><td>");
    html_add_text(buffer, buffer_text(&words));
    add_numbers(buffer, &row, currency);
}

static void add_credit(struct buffer *buffer, const struct invoice_line *line,
                       const struct currency *currency)
{
    struct render_row row = {.amount = {-line->credit.minor}};

    if (line->credit.minor == 0)
        return;
    buffer_printf(buffer, "<tr class=\"detail\"><td>%s", render_credit_words);
    add_numbers(buffer, &row, currency);
}

static void add_line(struct buffer *buffer, const struct invoice_line *line,
                     const struct currency *currency)
{
    CLEANUP(buffer_deinit) struct buffer words = {0};
    struct render_row row = render_line_row(line);

    render_line_name(line, &words);
    buffer_add_string(buffer, "<tbody><tr><td><b>");
    html_add_text(buffer, buffer_text(&words));
    buffer_clear(&words);
    render_period(line->period.window, &words);
    buffer_add_string(buffer, "</b><small>");
    html_add_text(buffer, buffer_text(&words));
    buffer_clear(&words);
    render_line_note(line, &words);
    buffer_add_string(buffer, words.length ? "</small><small>" : "");
    html_add_text(buffer, buffer_text(&words));
    buffer_add_string(buffer, "</small>");
    add_strip(buffer, line);
    add_numbers(buffer, &row, currency);
    for (size_t i = 0; i < render_row_count(line); i++) {
        row = render_row_at(line, i);
        add_detail(buffer, line, &row, currency);
    }
    add_discount(buffer, line, currency);
    add_credit(buffer, line, currency);
    buffer_add_string(buffer, "</tbody>\n");
}

static void add_sum(struct buffer *buffer, const char *class_name, const char *name,
                    struct money money, const struct currency *currency)
{
    struct render_row row = {.amount = money};

    buffer_printf(buffer, "<tr class=\"%s\"><td>%s", class_name, name);
    add_numbers(buffer, &row, currency);
}

static void add_table(struct buffer *buffer, const struct invoice *invoice)
{
    CLEANUP(buffer_deinit) struct buffer note = {0};
    const struct currency *currency = invoice->subscription->plan->currency;

    buffer_printf(buffer,
                  "<table>\n<thead><tr><th>Charge</th><th>Quantity</th><th class=\"unit\">Unit "
                  "price</th><th>Amount in %s</th></tr></thead>\n",
                  currency->code);
    for (size_t i = 0; i < invoice->line_count; i++)
        add_line(buffer, &invoice->lines[i], currency);
    buffer_add_string(buffer, "<tfoot>\n");
    if (invoice->discount.minor != 0 || invoice->credit.used.minor != 0)
        add_sum(buffer, "sum", "Before discounts", invoice->amount, currency);
    if (invoice->discount.minor != 0)
        add_sum(buffer, "sum", "Discounts", (struct money){-invoice->discount.minor}, currency);
    if (invoice->credit.used.minor != 0)
        add_sum(buffer, "sum", render_credit_words, (struct money){-invoice->credit.used.minor},
                currency);
    add_sum(buffer, "total", "Total", invoice->total, currency);
    buffer_add_string(buffer, "</tfoot>\n</table>\n");
    render_credit_note(invoice, &note);
    if (note.length)
        buffer_printf(buffer, "<p class=\"soft\">%.*s.</p>\n", (int)note.length, note.at);
}

void render_html(const struct invoice *invoice, struct buffer *buffer)
{
    add_head(buffer, invoice);
    add_fields(buffer, invoice);
    add_table(buffer, invoice);
    buffer_printf(buffer,
                  "<footer>Periods begin and end at the times given, in UTC; the end is exclusive. "
                  "Usage was counted up to offset %lld of log partition %d. Digest over everything "
                  "that this invoice was made from: <span class=\"id\">%s</span></footer>\n",
                  (long long)invoice->position.next_offset, (int)invoice->position.partition,
                  invoice->digest);
    html_close(buffer);
}
