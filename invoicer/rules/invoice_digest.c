/*
 * invoice_digest.c - an invoice's inputs as bytes, and their hash.
 *
 * A number has 8 or 16 bytes, a text its length before it: different inputs are never the same
 * bytes. What a rate card says to all of its lines goes in as a hash of its own (card_json.h).
 */
#include "invoicer/rules/invoice_digest.h"

/* More than what isn't in an array takes: of an invoice but for its texts, of a line, of a text. */
enum { INVOICE_NUMBERS = 512, LINE_NUMBERS = 192, LENGTH = sizeof(int64_t) };

/* Windows go in as they lie in memory. */
static_assert(sizeof(struct invoice_window) == 2 * sizeof(int64_t) + sizeof(int128),
              "without padding");

static char *put_int(char *at, int64_t number)
{
    memcpy(at, &number, sizeof(number));
    return at + sizeof(number);
}

static char *put_wide(char *at, int128 number)
{
    memcpy(at, &number, sizeof(number));
    return at + sizeof(number);
}

static char *put_window(char *at, struct window window)
{
    at = put_int(at, window.from.ns);
    return put_int(at, window.to.ns);
}

static char *put_period(char *at, const struct billing_period *period)
{
    at = put_int(at, period->phase);
    return put_window(at, period->window);
}

/* Absent isn't empty. */
static char *put_text(char *at, struct text text)
{
    at = put_int(at, text_is_absent(text) ? -1 : (int64_t)text.length);
    return text_write(at, text);
}

static char *put_cells(char *at, const struct invoice_line *line)
{
    at = put_int(at, (int64_t)line->usage.cell_count);
    for (size_t i = 0; i < line->usage.cell_count; i++) {
        const struct rating_cell *cell = &line->usage.cells[i];

        for (size_t j = 0; j < line->card->price.dimension_count; j++)
            at = put_text(at, cell->dimensions[j]);
        at = put_wide(at, cell->quantity.units);
    }
    return at;
}

static size_t windows_bytes(const struct invoice_line *line)
{
    return line->usage.window_count * sizeof(*line->usage.windows);
}

static char *put_line(char *at, const struct invoice_line *line)
{
    const struct card_kept *kept = &line->card->kept;
    bool is_percentage = line->card->price.kind == PRICE_PERCENTAGE;

    at = put_text(at, line->id);
    at = text_write(at, text_from(kept->terms_digest, sizeof(kept->terms_digest)));
    at = put_window(at, line->period.window);
    at = put_wide(at, line->usage.quantity.units);
    at = put_int(at, is_percentage ? (int64_t)line->usage.events : 0);
    at = put_cells(at, line);
    at = put_int(at, (int64_t)line->usage.window_count);
    at = text_write(at, text_from(line->usage.windows, windows_bytes(line)));
    at = put_wide(at, line->billed_quantity.units);
    return put_wide(at, line->billed_total.minor);
}

static char *put_subscription(char *at, const struct subscription *subscription)
{
    at = put_text(at, subscription->id);
    at = put_text(at, subscription->customer_key);
    at = put_text(at, subscription->customer_name);
    at = put_text(at, subscription->plan->key);
    at = put_int(at, subscription->plan->version);
    at = put_text(at, text_of(subscription->plan->currency->code));
    return put_text(at, text_of(zone_name(subscription->zone)));
}

static char *put_inputs(char *at, const struct invoice *invoice)
{
    at = string_write(at, "tollway-invoice 2");
    at = put_subscription(at, invoice->subscription);
    at = put_int(at, invoice->boundary.at.ns);
    at = put_period(at, &invoice->boundary.ended);
    at = put_period(at, &invoice->boundary.begins);
    at = put_int(at, invoice->position.partition);
    at = put_int(at, invoice->position.next_offset);
    at = put_text(at, invoice->subscription->previous_id);
    at = put_wide(at, invoice->credit.granted.minor);
    at = put_wide(at, invoice->credit.used_before.minor);
    at = put_int(at, (int64_t)invoice->line_count);
    for (size_t i = 0; i < invoice->line_count; i++)
        at = put_line(at, &invoice->lines[i]);
    return at;
}

/* --- room for them --- */

static size_t line_most(const struct invoice_line *line)
{
    size_t most = LINE_NUMBERS + line->id.length + windows_bytes(line);

    for (size_t i = 0; i < line->usage.cell_count; i++) {
        most += sizeof(int128);
        for (size_t j = 0; j < line->card->price.dimension_count; j++)
            most += LENGTH + line->usage.cells[i].dimensions[j].length;
    }
    return most;
}

static size_t inputs_most(const struct invoice *invoice)
{
    const struct subscription *subscription = invoice->subscription;
    size_t most = INVOICE_NUMBERS + subscription->id.length + subscription->customer_key.length +
                  subscription->customer_name.length + subscription->plan->key.length +
                  strlen(zone_name(subscription->zone)) + subscription->previous_id.length;

    for (size_t i = 0; i < invoice->line_count; i++)
        most += line_most(&invoice->lines[i]);
    return most;
}

static void write_hex(const uint8_t bytes[HASH128_BYTES], char *text)
{
    for (size_t i = 0; i < HASH128_BYTES; i++) {
        text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    text[2 * HASH128_BYTES] = '\0';
}

bool invoice_digest(const struct invoice *invoice, struct arena *arena,
                    char digest[INVOICE_DIGEST_TEXT])
{
    size_t most = inputs_most(invoice);
    char *inputs = arena_take_unset(arena, most), *end;
    uint8_t hash[HASH128_BYTES];

    if (!inputs)
        return false;
    end = put_inputs(inputs, invoice);
    assert((size_t)(end - inputs) <= most);
    hash128(text_from(inputs, (size_t)(end - inputs)), hash);
    write_hex(hash, digest);
    return true;
}
