/*
 * invoice_digest.c - an invoice's inputs as bytes, and their hash.
 *
 * A number has 8 or 16 bytes, a text its length before it: different inputs are never the same
 * bytes. What a rate card says to all of its lines goes in as a hash of its own (card_json.h).
 */
#include "invoicer/rules/invoice_digest.h"

#include "invoicer/rules/card_json.h"

#include <xxhash.h>

enum { INPUTS_BYTES = 4096 }; /* of most invoices at most */

/* Windows go in as they lie in memory. */
static_assert(sizeof(struct invoice_window) == 2 * sizeof(int64_t) + sizeof(int128));

static void add_int(struct buffer *buffer, int64_t number)
{
    buffer_add(buffer, &number, sizeof(number));
}

static void add_wide(struct buffer *buffer, int128 number)
{
    buffer_add(buffer, &number, sizeof(number));
}

/* Absent isn't empty. */
static void add_text(struct buffer *buffer, struct text text)
{
    add_int(buffer, text_is_absent(text) ? -1 : (int64_t)text.length);
    buffer_add_text(buffer, text);
}

static void add_window(struct buffer *buffer, struct window window)
{
    add_int(buffer, window.from.ns);
    add_int(buffer, window.to.ns);
}

static void add_period(struct buffer *buffer, const struct billing_period *period)
{
    add_int(buffer, period->phase);
    add_window(buffer, period->window);
}

static void add_cells(struct buffer *buffer, const struct invoice_line *line)
{
    add_int(buffer, (int64_t)line->usage.cell_count);
    for (size_t i = 0; i < line->usage.cell_count; i++) {
        const struct rating_cell *cell = &line->usage.cells[i];

        for (size_t j = 0; j < line->card->price.dimension_count; j++)
            add_text(buffer, cell->dimensions[j]);
        add_wide(buffer, cell->quantity.units);
    }
}

static void add_line(struct buffer *buffer, const struct invoice_line *line)
{
    struct card_digest terms = card_digest_terms(line->card, line->price);

    add_text(buffer, line->id);
    buffer_add(buffer, &terms, sizeof(terms));
    add_window(buffer, line->period.window);
    add_wide(buffer, line->usage.quantity.units);
    add_int(buffer, line->card->price.kind == PRICE_PERCENTAGE ? (int64_t)line->usage.events : 0);
    add_cells(buffer, line);
    add_int(buffer, (int64_t)line->usage.window_count);
    buffer_add(buffer, line->usage.windows,
               line->usage.window_count * sizeof(struct invoice_window));
    add_wide(buffer, line->billed_quantity.units);
    add_wide(buffer, line->billed_total.minor);
}

static void add_inputs(const struct invoice *invoice, struct buffer *buffer)
{
    const struct subscription *subscription = invoice->subscription;

    buffer_add_string(buffer, "tollway-invoice 2");
    add_text(buffer, subscription->id);
    add_text(buffer, subscription->customer_key);
    add_text(buffer, subscription->customer_name);
    add_text(buffer, subscription->plan->key);
    add_int(buffer, subscription->plan->version);
    add_text(buffer, text_of(subscription->plan->currency->code));
    add_text(buffer, text_of(zone_name(subscription->zone)));
    add_int(buffer, invoice->boundary.at.ns);
    add_period(buffer, &invoice->boundary.ended);
    add_period(buffer, &invoice->boundary.begins);
    add_int(buffer, invoice->position.partition);
    add_int(buffer, invoice->position.next_offset);
    add_text(buffer, subscription->previous_id);
    add_wide(buffer, invoice->credit.granted.minor);
    add_wide(buffer, invoice->credit.used_before.minor);
    add_int(buffer, (int64_t)invoice->line_count);
    for (size_t i = 0; i < invoice->line_count; i++)
        add_line(buffer, &invoice->lines[i]);
}

static void write_hex(uint64_t number, char text[16])
{
    for (int i = 0; i < 16; i++)
        text[i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
}

void invoice_digest(const struct invoice *invoice, char digest[INVOICE_DIGEST_TEXT])
{
    CLEANUP(buffer_deinit) struct buffer inputs = {0};
    XXH128_hash_t hash;

    buffer_reserve(&inputs, INPUTS_BYTES);
    add_inputs(invoice, &inputs);
    hash = XXH3_128bits(inputs.at, inputs.length);
    write_hex(hash.high64, digest);
    write_hex(hash.low64, digest + 16);
    digest[32] = '\0';
}
