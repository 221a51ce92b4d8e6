/*
 * render.h - an invoice as text: JSON, CSV, HTML and a table.
 *
 * Each is a function of the invoice alone: the same invoice gives the same bytes.
 *
 * Ownership  Appends to the caller's buffer.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/invoice.h"

/* One object, members in a fixed order, amounts and quantities as strings, no spaces; no newline.
 */
void render_json(const struct invoice *invoice, struct buffer *buffer);

/* RFC 4180 with CRLF, a row a detail; texts that a spreadsheet would compute get a ' before them.
 */
void render_csv_header(struct buffer *buffer);
void render_csv(const struct invoice *invoice, struct buffer *buffer);

/* A page of its own: nothing is fetched, everything is escaped; prints on paper. */
void render_html(const struct invoice *invoice, struct buffer *buffer);

struct render_terminal {
    bool has_colour;
    size_t columns; /* 0: 80 */
};
void render_table(const struct invoice *invoice, const struct render_terminal *terminal,
                  struct buffer *buffer);
