/*
 * render_words.h - what every rendering of an invoice says in the same words.
 *
 * Ownership  Appends to the caller's buffer.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/invoice.h"

/*
 * What a rendering shows under a line: its details; for an adjustment, or a line without details,
 * the line itself, so that what is shown always sums to the line.
 */
struct render_row {
    const struct rated_line *detail; /* NULL: the line itself */
    struct decimal quantity;
    bool has_quantity, has_unit;
    struct decimal unit_amount;
    bool is_rate; /* the unit amount is per cent */
    struct money amount, discount, credit, total;
};
/* The line itself, as a row above the others. */
struct render_row render_line_row(const struct invoice_line *line);
size_t render_row_count(const struct invoice_line *line);
struct render_row render_row_at(const struct invoice_line *line, size_t index);

/* "API calls", "API calls, adjusted". */
void render_line_name(const struct invoice_line *line, struct buffer *buffer);
/* "First 1,000"; of an adjustment "1,200,000 counted, 1,000,000 billed before"; else nothing. */
void render_row_words(const struct invoice_line *line, const struct render_row *row,
                      struct buffer *buffer);
/* "0.25", of a percentage "2.5 %"; nothing when the row has none. */
void render_unit(const struct render_row *row, struct buffer *buffer);
/* How a line's quantity becomes what is priced; nothing where it is that. */
void render_line_note(const struct invoice_line *line, struct buffer *buffer);
/* "divided by 1,000,000,000, rounded up"; nothing without a conversion. */
void render_conversion(const struct price_conversion *conversion, struct buffer *buffer);
/* Whether a row under a line holds words alone, its numbers standing on the line already. */
bool render_is_note(const struct invoice_line *line);
/* "Discount, 10 %", "Maximum spend": what a line's discount comes from. */
void render_discount_words(const struct invoice_line *line, struct buffer *buffer);
/* "Credit from the plan before": what a fee's credit is. */
extern const char render_credit_words[];
/* "Of a credit of 8.70, this invoice uses 8.70; 0.00 are left"; nothing without a credit. */
void render_credit_note(const struct invoice *invoice, struct buffer *buffer);
/* "1,234.50": for people. */
void render_money(struct money money, const struct currency *currency, struct buffer *buffer);
/* "2026-01-31", with " 10:30" where it isn't midnight UTC; "open" for the far future. */
void render_day(struct instant instant, struct buffer *buffer);
/* "2026-01-01 to 2026-02-01": the end is exclusive, as everywhere. */
void render_period(struct window window, struct buffer *buffer);
bool render_is_open(struct instant instant);
