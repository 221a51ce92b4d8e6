/*
 * render_words.c - rows, names and numbers for people.
 */
#include "invoicer/rules/render_words.h"

#include "invoicer/rules/rate_json.h"

#include <string.h>

size_t render_row_count(const struct invoice_line *line)
{
    if (line->kind == INVOICE_ADJUSTMENT || line->detail_count == 0)
        return 1;
    return line->detail_count;
}

/* A single plain row says nothing that its line doesn't say. */
static bool is_plain(const struct invoice_line *line, const struct rated_line *detail)
{
    const struct rate_card *card = line->card;

    return line->detail_count == 1 && detail->tier == 0 && card->price.kind != PRICE_MATRIX &&
           card->price.kind != PRICE_PACKAGE && card->price.kind != PRICE_PERCENTAGE &&
           !card->price.conversion.is_set && card->discounts.usage.units == 0;
}

static bool is_by_rate(const struct invoice_line *line)
{
    enum price_kind kind = line->card->price.kind;

    return kind == PRICE_PERCENTAGE || kind == PRICE_GRADUATED_PERCENTAGE;
}

struct render_row render_line_row(const struct invoice_line *line)
{
    struct render_row row = {
        .quantity = line->usage.quantity,
        .has_quantity = line->kind != INVOICE_FEE,
        .amount = line->amount,
        .discount = line->discount,
        .credit = line->credit,
        .total = line->total,
    };

    if (line->kind == INVOICE_ADJUSTMENT) {
        row.quantity.units -= line->billed_quantity.units;
    } else if (line->detail_count > 0 && is_plain(line, &line->details[0])) {
        row.has_unit = line->details[0].kind == RATED_USAGE;
        row.unit_amount = line->details[0].unit_amount;
    }
    return row;
}

struct render_row render_row_at(const struct invoice_line *line, size_t index)
{
    const struct rated_line *detail = &line->details[index];

    if (line->kind == INVOICE_ADJUSTMENT || line->detail_count == 0)
        return render_line_row(line);
    /* A credit pays for a flat fee, which has one detail alone. */
    return (struct render_row){
        .detail = detail,
        .quantity = detail->quantity,
        .has_quantity = detail->kind == RATED_USAGE,
        .has_unit = detail->kind == RATED_USAGE,
        .unit_amount = detail->unit_amount,
        .is_rate = is_by_rate(line),
        .amount = detail->amount,
        .discount = detail->discount,
        .credit = line->credit,
        .total = {detail->total.minor - line->credit.minor},
    };
}

void render_line_name(const struct invoice_line *line, struct buffer *buffer)
{
    buffer_add_text(buffer, line->card->name);
    if (line->kind == INVOICE_ADJUSTMENT)
        buffer_add_string(buffer, ", adjusted");
}

static bool is_percentage(const struct invoice_line *line, const struct rated_line *detail)
{
    return line->card->price.kind == PRICE_PERCENTAGE && detail->kind == RATED_USAGE;
}

/* A percentage's fixed amounts stand in the same line as its rate. */
static void describe_percentage(const struct invoice_line *line, struct buffer *buffer)
{
    struct decimal fixed = line->card->price.percentage.fixed;

    buffer_add_string(buffer, "Rate");
    if (fixed.units == 0)
        return;
    buffer_add_string(buffer, ", and ");
    quantity_describe(decimal_from_int((int64_t)line->usage.events), buffer);
    buffer_add_string(buffer, line->usage.events == 1 ? " event at " : " events at ");
    quantity_describe(fixed, buffer);
}

void render_row_words(const struct invoice_line *line, const struct render_row *row,
                      struct buffer *buffer)
{
    if (line->kind == INVOICE_ADJUSTMENT) {
        quantity_describe(line->usage.quantity, buffer);
        buffer_add_string(buffer, " counted, ");
        quantity_describe(line->billed_quantity, buffer);
        buffer_add_string(buffer, " billed before");
    } else if (row->detail && is_percentage(line, row->detail)) {
        describe_percentage(line, buffer);
    } else if (row->detail && !is_plain(line, row->detail)) {
        rated_describe(row->detail, &line->card->price, buffer);
    }
}

void render_unit(const struct render_row *row, struct buffer *buffer)
{
    char unit[DECIMAL_TEXT_MAX];

    if (!row->has_unit)
        return;
    (void)decimal_format(row->unit_amount, unit);
    buffer_add_string(buffer, unit);
    buffer_add_string(buffer, row->is_rate ? " %" : "");
}

void render_conversion(const struct price_conversion *conversion, struct buffer *buffer)
{
    static const char *const roundings[] = {"", ", rounded up", ", rounded down", ", rounded"};

    if (!conversion->is_set)
        return;
    buffer_add_string(buffer, conversion->divides ? "divided by " : "multiplied by ");
    quantity_describe(conversion->factor, buffer);
    buffer_add_string(buffer, roundings[conversion->rounding]);
    if (conversion->rounding != PRICE_ROUND_NONE && conversion->precision)
        buffer_printf(buffer, " to %d decimal%s", conversion->precision,
                      conversion->precision == 1 ? "" : "s");
}

static void add_free(struct decimal quantity, struct buffer *buffer)
{
    buffer_add_string(buffer, buffer->length ? ", the first " : "the first ");
    quantity_describe(quantity, buffer);
    buffer_add_string(buffer, " free");
}

void render_line_note(const struct invoice_line *line, struct buffer *buffer)
{
    const struct rate_card *card = line->card;

    if (line->kind == INVOICE_FEE)
        return;
    if (card->price.conversion.is_set)
        buffer_add_string(buffer, "quantity ");
    render_conversion(&card->price.conversion, buffer);
    if (card->discounts.usage.units)
        add_free(card->discounts.usage, buffer);
    if (card->price.kind == PRICE_PERCENTAGE && card->price.percentage.has_free_amount)
        add_free(card->price.percentage.free_amount, buffer);
}

bool render_is_note(const struct invoice_line *line)
{
    return line->kind == INVOICE_ADJUSTMENT;
}

void render_discount_words(const struct invoice_line *line, struct buffer *buffer)
{
    bool by_percent = line->card->discounts.percent.units != 0;
    char percent[DECIMAL_TEXT_MAX];

    (void)decimal_format(line->card->discounts.percent, percent);
    if (by_percent)
        buffer_printf(buffer, "Discount, %s %%", percent);
    if (line->card->price.has_maximum)
        buffer_add_string(buffer, by_percent ? ", and maximum spend" : "Maximum spend");
}

const char render_credit_words[] = "Credit from the plan before";

void render_credit_note(const struct invoice *invoice, struct buffer *buffer)
{
    const struct currency *currency = invoice->subscription->plan->currency;
    const struct invoice_credit *credit = &invoice->credit;

    if (!invoice_has_credit(invoice))
        return;
    buffer_add_string(buffer, "Of a credit of ");
    render_money(credit->granted, currency, buffer);
    if (credit->used_before.minor) {
        buffer_add_string(buffer, ", of which ");
        render_money(credit->used_before, currency, buffer);
        buffer_add_string(buffer, " were used before");
    }
    buffer_add_string(buffer, ", this invoice uses ");
    render_money(credit->used, currency, buffer);
    buffer_add_string(buffer, "; ");
    render_money(credit->remaining, currency, buffer);
    buffer_add_string(buffer, " are left");
}

void render_money(struct money money, const struct currency *currency, struct buffer *buffer)
{
    char text[MONEY_TEXT_MAX];
    size_t length = money_format(money, currency, text);
    size_t whole = length - (currency->digits ? (size_t)currency->digits + 1 : 0);

    for (size_t i = 0; i < length; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0 && text[i - 1] != '-')
            buffer_add_char(buffer, ',');
        buffer_add_char(buffer, text[i]);
    }
}

bool render_is_open(struct instant instant)
{
    return instant.ns == INT64_MAX;
}

void render_day(struct instant instant, struct buffer *buffer)
{
    char text[INSTANT_TEXT_MAX];

    (void)instant_format(instant, text); /* 2026-01-31T10:30:00Z */
    if (render_is_open(instant)) {
        buffer_add_string(buffer, "open");
        return;
    }
    buffer_add(buffer, text, strlen("2026-01-31"));
    if (memcmp(text + 10, "T00:00:00Z", 10) == 0)
        return;
    buffer_add_char(buffer, ' ');
    buffer_add(buffer, text + 11, strlen("10:30"));
}

void render_period(struct window window, struct buffer *buffer)
{
    render_day(window.from, buffer);
    buffer_add_string(buffer, " to ");
    render_day(window.to, buffer);
}
