/*
 * render_table.c - an invoice for a terminal.
 *
 * Names come from outside: control characters, which a terminal would obey, are shown as '?'.
 */
#include "invoicer/rules/render.h"

#include "invoicer/rules/rate_json.h"
#include "invoicer/rules/render_words.h"

#include <assert.h>
#include <string.h>

enum { QUANTITY_COLUMNS = 13, UNIT_COLUMNS = 10, AMOUNT_COLUMNS = 14, NAME_LEAST = 37, GAP = 2 };
enum { NUMBER_COLUMNS = QUANTITY_COLUMNS + UNIT_COLUMNS + AMOUNT_COLUMNS + 3 * GAP };

struct table {
    struct buffer *buffer;
    bool has_colour;
    size_t name_columns;
};

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

/* Code points: wide characters are taken for one column each. */
static size_t columns_of(struct text text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.length; i++)
        count += starts_character(text.at[i]);
    return count;
}

static bool is_control(const char *at, const char *end)
{
    unsigned char c = (unsigned char)*at;

    return c < 0x20 || c == 0x7f || (c == 0xc2 && at + 1 < end && (unsigned char)at[1] < 0xa0);
}

/* At most `columns` of the text, its last one an ellipsis when it is cut; returns how many. */
static size_t add_cut(struct buffer *buffer, struct text text, size_t columns)
{
    size_t all = columns_of(text), written = 0;
    const char *end = text.at + text.length;

    for (const char *at = text.at; at < end; at++) {
        if (starts_character(*at) && all > columns && written + 1 >= columns) {
            buffer_add_string(buffer, "\xe2\x80\xa6");
            return columns;
        }
        written += starts_character(*at);
        if (!is_control(at, end)) {
            buffer_add_char(buffer, *at);
            continue;
        }
        buffer_add_char(buffer, '?');
        at += (unsigned char)*at == 0xc2;
    }
    return written;
}

static void pad(struct buffer *buffer, size_t columns)
{
    for (; columns > 0; columns--)
        buffer_add_char(buffer, ' ');
}

/* The text, cut or filled up to `columns` with the indent before it. */
static void add_left(const struct table *table, size_t indent, struct text text, size_t columns)
{
    size_t written;

    pad(table->buffer, indent);
    written = add_cut(table->buffer, text, columns - indent);
    pad(table->buffer, columns - indent - written);
}

static void add_right(const struct table *table, struct text text, size_t columns)
{
    pad(table->buffer, GAP);
    pad(table->buffer, columns > text.length ? columns - text.length : 0);
    buffer_add_text(table->buffer, text);
}

static void style(const struct table *table, const char *code)
{
    if (table->has_colour)
        buffer_printf(table->buffer, "\033[%sm", code);
}

static void add_rule(const struct table *table)
{
    style(table, "2");
    for (size_t columns = table->name_columns + NUMBER_COLUMNS; columns > 0; columns--)
        buffer_add_string(table->buffer, "\xe2\x94\x80");
    style(table, "0");
    buffer_add_char(table->buffer, '\n');
}

static size_t beyond(size_t length, size_t columns)
{
    return length > columns ? length - columns : 0;
}

/* Words take the columns of the quantity and the unit too where those are empty, and give of their
 * own where a number is long. */
static void add_row(const struct table *table, size_t indent, struct text words,
                    const struct render_row *row, const struct currency *currency)
{
    CLEANUP(buffer_deinit) struct buffer number = {0};
    CLEANUP(buffer_deinit) struct buffer unit = {0};
    bool is_narrow = row->has_quantity || row->has_unit;
    size_t wider;

    if (row->has_quantity)
        quantity_describe(row->quantity, &number);
    render_unit(row, &unit);
    wider = beyond(number.length, QUANTITY_COLUMNS) + beyond(unit.length, UNIT_COLUMNS);
    if (wider > table->name_columns / 2)
        wider = table->name_columns / 2;
    add_left(table, indent, words,
             is_narrow ? table->name_columns - wider
                       : table->name_columns + QUANTITY_COLUMNS + UNIT_COLUMNS + 2 * GAP);
    if (is_narrow) {
        add_right(table, buffer_text(&number), QUANTITY_COLUMNS);
        add_right(table, buffer_text(&unit), UNIT_COLUMNS);
    }
    buffer_clear(&number);
    render_money(row->amount, currency, &number);
    add_right(table, buffer_text(&number), AMOUNT_COLUMNS);
    buffer_add_char(table->buffer, '\n');
}

static void add_note(const struct table *table, struct text words)
{
    pad(table->buffer, 2);
    (void)add_cut(table->buffer, words, table->name_columns + NUMBER_COLUMNS - 2);
    buffer_add_char(table->buffer, '\n');
}

static void add_detail(const struct table *table, const struct invoice_line *line,
                       const struct render_row *row, const struct currency *currency)
{
    CLEANUP(buffer_deinit) struct buffer words = {0};

    render_row_words(line, row, &words);
    if (words.length && render_is_note(line))
        add_note(table, buffer_text(&words));
    else if (words.length)
        add_row(table, 4, buffer_text(&words), row, currency);
}

static void add_discount(const struct table *table, const struct invoice_line *line,
                         const struct currency *currency)
{
    CLEANUP(buffer_deinit) struct buffer words = {0};
    struct render_row row = {.amount = {-line->discount.minor}};

    if (line->discount.minor == 0)
        return;
    render_discount_words(line, &words);
    add_row(table, 4, buffer_text(&words), &row, currency);
}

static void add_credit(const struct table *table, const struct invoice_line *line,
                       const struct currency *currency)
{
    struct render_row row = {.amount = {-line->credit.minor}};

    if (line->credit.minor)
        add_row(table, 4, text_of(render_credit_words), &row, currency);
}

static void add_line(const struct table *table, const struct invoice_line *line,
                     const struct currency *currency)
{
    CLEANUP(buffer_deinit) struct buffer words = {0};
    struct render_row row = render_line_row(line);

    render_line_name(line, &words);
    add_row(table, 0, buffer_text(&words), &row, currency);
    buffer_clear(&words);
    render_period(line->period.window, &words);
    style(table, "2");
    add_note(table, buffer_text(&words));
    buffer_clear(&words);
    render_line_note(line, &words);
    if (words.length)
        add_note(table, buffer_text(&words));
    for (size_t i = 0; i < render_row_count(line); i++) {
        row = render_row_at(line, i);
        add_detail(table, line, &row, currency);
    }
    add_discount(table, line, currency);
    add_credit(table, line, currency);
    style(table, "0");
}

static void add_field(const struct table *table, const char *name, struct text value)
{
    style(table, "2");
    buffer_printf(table->buffer, "%-14s", name);
    style(table, "0");
    (void)add_cut(table->buffer, value, SIZE_MAX);
    buffer_add_char(table->buffer, '\n');
}

static void add_head(const struct table *table, const struct invoice *invoice)
{
    CLEANUP(buffer_deinit) struct buffer words = {0};
    const struct subscription *subscription = invoice->subscription;

    style(table, "1");
    add_field(table, "Invoice", invoice->id);
    style(table, "0");
    add_field(table, "Customer", subscription->customer_name);
    buffer_add_text(&words, subscription->plan->name);
    buffer_printf(&words, ", version %lld, in %s", (long long)subscription->plan->version,
                  subscription->plan->currency->code);
    add_field(table, "Plan", buffer_text(&words));
    buffer_clear(&words);
    render_day(invoice->boundary.at, &words);
    add_field(table, "Date", buffer_text(&words));
}

static void add_total(const struct table *table, const struct invoice *invoice)
{
    const struct currency *currency = invoice->subscription->plan->currency;
    struct render_row row = {.amount = invoice->total};
    CLEANUP(buffer_deinit) struct buffer words = {0};

    style(table, "1");
    buffer_printf(&words, "Total %s", currency->code);
    add_row(table, 0, buffer_text(&words), &row, currency);
    style(table, "0");
    buffer_clear(&words);
    render_credit_note(invoice, &words);
    if (words.length)
        add_note(table, buffer_text(&words));
}

void render_table(const struct invoice *invoice, const struct render_terminal *terminal,
                  struct buffer *buffer)
{
    size_t columns = terminal->columns ? terminal->columns : 80;
    struct table table = {.buffer = buffer, .has_colour = terminal->has_colour};

    table.name_columns =
        columns > NUMBER_COLUMNS + NAME_LEAST ? columns - NUMBER_COLUMNS : NAME_LEAST;
    add_head(&table, invoice);
    add_rule(&table);
    for (size_t i = 0; i < invoice->line_count; i++)
        add_line(&table, &invoice->lines[i], invoice->subscription->plan->currency);
    add_rule(&table);
    add_total(&table, invoice);
}
