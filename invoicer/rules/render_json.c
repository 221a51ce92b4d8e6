/*
 * render_json.c - an invoice as canonical JSON.
 *
 * Written by hand, member by member, so that the bytes are the same on every machine and in every
 * year: no library chooses an order, a number's form or an escape.
 */
#include "invoicer/rules/render.h"

#include "invoicer/rules/rate_json.h"
#include "invoicer/rules/render_words.h"

static void add_text(struct buffer *buffer, const char *before, struct text text)
{
    buffer_add_string(buffer, before);
    buffer_add_json_string(buffer, text);
}

static void add_quoted(struct buffer *buffer, const char *before, const char *text, size_t length)
{
    buffer_add_string(buffer, before);
    buffer_add_char(buffer, '"');
    buffer_add(buffer, text, length);
    buffer_add_char(buffer, '"');
}

static void add_decimal(struct buffer *buffer, const char *before, struct decimal decimal)
{
    char text[DECIMAL_TEXT_MAX];
    size_t length = decimal_format(decimal, text);

    add_quoted(buffer, before, text, length);
}

static void add_instant(struct buffer *buffer, const char *before, struct instant instant)
{
    char text[INSTANT_TEXT_MAX];
    size_t length = instant_format(instant, text);

    if (!render_is_open(instant)) {
        add_quoted(buffer, before, text, length);
        return;
    }
    buffer_add_string(buffer, before);
    buffer_add_string(buffer, "null");
}

static void add_money(struct buffer *buffer, const char *before, struct money money,
                      const struct currency *currency)
{
    char text[MONEY_TEXT_MAX];
    size_t length = money_format(money, currency, text);

    add_quoted(buffer, before, text, length);
}

static void add_period(struct buffer *buffer, const char *before, const struct plan *plan,
                       const struct billing_period *period)
{
    buffer_add_string(buffer, before);
    if (period->phase == PERIODS_NONE) {
        buffer_add_string(buffer, "null");
        return;
    }
    add_text(buffer, "{\"phase\":", plan->phases[period->phase].key);
    add_instant(buffer, ",\"from\":", period->window.from);
    add_instant(buffer, ",\"to\":", period->window.to);
    buffer_add_char(buffer, '}');
}

static void add_position(struct buffer *buffer, const struct invoice_position *position)
{
    buffer_printf(buffer, ",\"position\":{\"partition\":%d,\"nextOffset\":%lld}",
                  (int)position->partition, (long long)position->next_offset);
}

static void add_usage(struct buffer *buffer, const struct invoice *invoice,
                      const struct invoice_line *line)
{
    add_decimal(buffer, ",\"quantity\":", line->usage.quantity);
    if (line->card->price.kind == PRICE_PERCENTAGE)
        buffer_printf(buffer, ",\"events\":%llu", (unsigned long long)line->usage.events);
    if (line->kind == INVOICE_ADJUSTMENT) {
        add_decimal(buffer, ",\"billedQuantity\":", line->billed_quantity);
        add_money(buffer, ",\"billedTotal\":", line->billed_total,
                  invoice->subscription->plan->currency);
    }
    add_position(buffer, &invoice->position);
    buffer_add_string(buffer, ",\"windows\":[");
    for (size_t i = 0; i < line->usage.window_count; i++) {
        const struct invoice_window *window = &line->usage.windows[i];

        add_instant(buffer, i ? ",{\"from\":" : "{\"from\":", window->window.from);
        add_instant(buffer, ",\"to\":", window->window.to);
        add_decimal(buffer, ",\"quantity\":", window->quantity);
        buffer_add_char(buffer, '}');
    }
    buffer_add_char(buffer, ']');
}

static void add_price(struct buffer *buffer, const struct invoice_line *line)
{
    add_text(buffer, ",\"priceVersion\":", line->price);
    buffer_add_string(buffer, ",\"price\":");
    price_write(&line->card->price, buffer);
    add_decimal(buffer, ",\"discounts\":{\"percentage\":", line->card->discounts.percent);
    add_decimal(buffer, ",\"usage\":", line->card->discounts.usage);
    buffer_add_char(buffer, '}');
}

/* `credit` is written where there is any: most lines never know one. */
static void add_sums(struct buffer *buffer, const char *discount_name, struct money amount,
                     struct money discount, struct money credit, struct money total,
                     const struct currency *currency)
{
    add_money(buffer, ",\"amount\":", amount, currency);
    buffer_printf(buffer, ",\"%s\":", discount_name);
    add_money(buffer, "", discount, currency);
    if (credit.minor)
        add_money(buffer, ",\"credit\":", credit, currency);
    add_money(buffer, ",\"total\":", total, currency);
}

static void add_credit(struct buffer *buffer, const struct invoice *invoice)
{
    const struct currency *currency = invoice->subscription->plan->currency;
    const struct invoice_credit *credit = &invoice->credit;

    add_text(buffer, ",\"credit\":{\"previousSubscription\":", invoice->subscription->previous_id);
    add_money(buffer, ",\"granted\":", credit->granted, currency);
    add_money(buffer, ",\"usedBefore\":", credit->used_before, currency);
    add_money(buffer, ",\"used\":", credit->used, currency);
    add_money(buffer, ",\"remaining\":", credit->remaining, currency);
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

    add_text(buffer, "{\"id\":", line->id);
    buffer_printf(buffer, ",\"kind\":\"%s\"", invoice_line_kind_name(line->kind));
    add_text(buffer, ",\"name\":", line->name);
    add_text(buffer, ",\"phaseKey\":", line->phase_key);
    add_text(buffer, ",\"rateCardKey\":", line->card_key);
    add_text(buffer, ",\"featureKey\":", line->feature_key);
    buffer_printf(buffer, ",\"period\":{\"index\":%lld", (long long)line->period.index);
    add_instant(buffer, ",\"from\":", line->period.window.from);
    add_instant(buffer, ",\"to\":", line->period.window.to);
    buffer_add_char(buffer, '}');
    add_price(buffer, line);
    if (line->kind != INVOICE_FEE)
        add_usage(buffer, invoice, line);
    add_sums(buffer, "discount", line->amount, line->discount, line->credit, line->total, currency);
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

    add_text(buffer, "{\"id\":", invoice->id);
    add_text(buffer, ",\"subscription\":", subscription->id);
    add_text(buffer, ",\"customer\":{\"key\":", subscription->customer_key);
    add_text(buffer, ",\"name\":", subscription->customer_name);
    add_text(buffer, "},\"plan\":{\"key\":", plan->key);
    buffer_printf(buffer, ",\"version\":%lld", (long long)plan->version);
    add_text(buffer, ",\"name\":", plan->name);
    buffer_printf(buffer, "},\"currency\":\"%s\"", plan->currency->code);
    add_instant(buffer, ",\"boundary\":", invoice->boundary.at);
    add_period(buffer, ",\"ended\":", plan, &invoice->boundary.ended);
    add_period(buffer, ",\"begins\":", plan, &invoice->boundary.begins);
    add_sums(buffer, "discountTotal", invoice->amount, invoice->discount, (struct money){0},
             invoice->total, plan->currency);
    if (invoice_has_credit(invoice))
        add_credit(buffer, invoice);
    buffer_printf(buffer, ",\"digest\":\"%s\"", invoice->digest);
    add_position(buffer, &invoice->position);
    buffer_add_string(buffer, ",\"lines\":[");
    for (size_t i = 0; i < invoice->line_count; i++) {
        buffer_add_string(buffer, i ? "," : "");
        add_line(buffer, invoice, &invoice->lines[i]);
    }
    buffer_add_string(buffer, "]}");
}
