#include "invoicer/edges/explain.h"

#include "invoicer/rules/price.h"
#include "invoicer/rules/rate_json.h"
#include "invoicer/rules/rating.h"
#include "invoicer/rules/render_words.h"
#include "proto/topics.h"

#include <jansson.h>

enum { WINDOWS_SHOWN_MAX = 40 };

static void add_instant(struct buffer *text, struct instant instant)
{
    char written[INSTANT_TEXT_MAX];

    if (instant.ns == INT64_MAX) {
        buffer_add_string(text, "(open)");
        return;
    }
    instant_format(instant, written);
    buffer_add_string(text, written);
}

static void add_decimal(struct buffer *text, struct decimal decimal)
{
    char written[DECIMAL_TEXT_MAX];

    decimal_format(decimal, written);
    buffer_add_string(text, written);
}

static void add_money(struct buffer *text, struct money money, const struct currency *currency)
{
    char written[MONEY_TEXT_MAX];

    money_format(money, currency, written);
    buffer_printf(text, "%s %s", written, currency->code);
}

/* Texts of the catalog: what a terminal would obey is shown as '?'. */
static void add_safe(struct buffer *text, struct text from)
{
    for (size_t i = 0; i < from.length; i++) {
        unsigned char c = (unsigned char)from.at[i];

        buffer_add_char(text, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
}

/* A percentage is of the quantity, with a fixed amount for each event beside it. */
static void add_rate(struct buffer *text, const struct invoice_line *line)
{
    const struct price *price = &line->card->price;

    if (price->kind == PRICE_PERCENTAGE || price->kind == PRICE_GRADUATED_PERCENTAGE)
        buffer_add_string(text, " %");
    if (price->kind != PRICE_PERCENTAGE || price->percentage.fixed.units == 0)
        return;
    buffer_printf(text, " + %llu events x ", (unsigned long long)line->usage.events);
    add_decimal(text, price->percentage.fixed);
}

static void add_conversion(struct buffer *text, const struct invoice_line *line,
                           struct decimal converted)
{
    if (!line->card->price.conversion.is_set)
        return;
    buffer_add_string(text, "   |  |- quantity ");
    add_decimal(text, line->usage.quantity);
    buffer_add_char(text, ' ');
    render_conversion(&line->card->price.conversion, text);
    buffer_add_string(text, " = ");
    add_decimal(text, converted);
    buffer_add_char(text, '\n');
}

static void add_usage_discount(struct buffer *text, const struct invoice_line *line,
                               struct decimal converted)
{
    struct decimal discount = line->card->discounts.usage;

    if (discount.units == 0)
        return;
    buffer_add_string(text, "   |  |- less ");
    add_decimal(text, discount);
    buffer_add_string(text, " units of usage discount = ");
    converted.units = converted.units > discount.units ? converted.units - discount.units : 0;
    add_decimal(text, converted);
    buffer_add_char(text, '\n');
}

static void add_free_amount(struct buffer *text, const struct invoice_line *line)
{
    const struct price *price = &line->card->price;

    if (price->kind != PRICE_PERCENTAGE || !price->percentage.has_free_amount)
        return;
    buffer_add_string(text, "   |  |- the first ");
    add_decimal(text, price->percentage.free_amount);
    buffer_add_string(text, " are free\n");
}

static void add_quantity(struct buffer *text, const struct invoice_line *line)
{
    struct decimal converted;

    if (line->kind == INVOICE_FEE ||
        rating_convert(&line->card->price.conversion, line->usage.quantity, &converted))
        return;
    add_conversion(text, line, converted);
    add_usage_discount(text, line, converted);
    add_free_amount(text, line);
}

/* quantity × unit amount to twelve decimals, rounded up or down; false: no room. */
static bool product_of(const struct rated_line *detail, bool is_percent,
                       enum decimal_rounding rounding, struct decimal *product)
{
    if (decimal_multiply(detail->quantity, detail->unit_amount, DECIMAL_PLACES, rounding, product))
        return false;
    return !is_percent ||
           decimal_divide(*product, decimal_from_int(100), DECIMAL_PLACES, rounding, product) == 0;
}

/* "27.8875, rounded ", where there was something to round; "..." for more than twelve decimals. */
static void add_rounding(struct buffer *text, const struct invoice_line *line,
                         const struct rated_line *detail, const struct currency *currency)
{
    const struct price *price = &line->card->price;
    bool is_percent = price->kind == PRICE_PERCENTAGE || price->kind == PRICE_GRADUATED_PERCENTAGE;
    struct decimal exact, above, rounded;
    char amount[MONEY_TEXT_MAX];

    if (price->kind == PRICE_PERCENTAGE && price->percentage.fixed.units)
        return; /* events times the fixed amount are in it as well */
    (void)money_format(detail->amount, currency, amount);
    if (!product_of(detail, is_percent, DECIMAL_DOWN, &exact) ||
        !product_of(detail, is_percent, DECIMAL_UP, &above) ||
        decimal_parse_sum(text_of(amount), &rounded))
        return;
    if (decimal_compare(exact, rounded) == 0 && decimal_compare(exact, above) == 0)
        return;
    add_decimal(text, exact);
    buffer_add_string(text, decimal_compare(exact, above) ? "..., rounded " : ", rounded ");
}

/* What the percentage takes off a detail line, and then the maximum. */
static void add_discounts(struct buffer *text, const struct invoice_line *line,
                          const struct rated_line *detail, const struct currency *currency)
{
    struct decimal percent = line->card->discounts.percent;
    struct money by_percent, by_maximum;

    if (detail->discount.minor == 0 ||
        money_percent(detail->amount, percent, HALF_AWAY_FROM_ZERO, &by_percent) ||
        money_subtract(detail->discount, by_percent, &by_maximum))
        return;
    if (by_percent.minor) {
        buffer_add_string(text, " less ");
        add_decimal(text, percent);
        buffer_add_string(text, " % = ");
        add_money(text, by_percent, currency);
    }
    if (by_maximum.minor) {
        buffer_add_string(text, by_percent.minor ? ", less " : " less ");
        add_money(text, by_maximum, currency);
        buffer_add_string(text, " above the maximum of ");
        add_decimal(text, line->card->price.maximum);
        buffer_printf(text, " %s", currency->code);
    }
}

static void add_steps(struct buffer *text, const struct invoice_line *line,
                      const struct currency *currency)
{
    add_quantity(text, line);
    for (size_t i = 0; i < line->detail_count; i++) {
        const struct rated_line *detail = &line->details[i];

        buffer_add_string(text, "   |  |- ");
        rated_describe(detail, &line->card->price, text);
        if (detail->kind == RATED_USAGE) {
            buffer_add_string(text, ": ");
            add_decimal(text, detail->quantity);
            buffer_add_string(text, " x ");
            add_decimal(text, detail->unit_amount);
            add_rate(text, line);
        }
        buffer_add_string(text, " = ");
        if (detail->kind == RATED_USAGE)
            add_rounding(text, line, detail, currency);
        add_money(text, detail->amount, currency);
        add_discounts(text, line, detail, currency);
        buffer_add_char(text, '\n');
    }
}

static void add_windows(struct buffer *text, const struct invoice_line *line)
{
    const struct invoice_usage *usage = &line->usage;

    buffer_printf(text, "   |- usage of meter %.*s: ", (int)line->card->feature_key.length,
                  line->card->feature_key.at);
    add_decimal(text, usage->quantity);
    buffer_printf(text, " in %zu billing windows\n", usage->window_count);
    for (size_t i = 0; i < usage->window_count && i < WINDOWS_SHOWN_MAX; i++) {
        buffer_add_string(text, "   |  |- ");
        add_instant(text, usage->windows[i].window.from);
        buffer_add_string(text, " to ");
        add_instant(text, usage->windows[i].window.to);
        buffer_add_string(text, ": ");
        add_decimal(text, usage->windows[i].quantity);
        buffer_add_char(text, '\n');
    }
    if (usage->window_count > WINDOWS_SHOWN_MAX)
        buffer_printf(text, "   |  |- and %zu more (--json has all)\n",
                      usage->window_count - WINDOWS_SHOWN_MAX);
}

static void add_adjustment(struct buffer *text, const struct invoice_line *line,
                           const struct currency *currency)
{
    buffer_add_string(text, "   |- late usage of a closed period: billed before were ");
    add_decimal(text, line->billed_quantity);
    buffer_add_string(text, " for ");
    add_money(text, line->billed_total, currency);
    buffer_add_string(text, "; this line is the difference\n");
}

static void add_line(struct buffer *text, const char *bucket, const struct invoice *invoice,
                     const struct invoice_line *line)
{
    const struct currency *currency = invoice->subscription->plan->currency;
    char usage[TOPIC_NAME_MAX];

    buffer_add_string(text, "|\n+- ");
    add_safe(text, line->card->name);
    buffer_printf(text, " (%s): ", invoice_line_kind_name(line->kind));
    add_money(text, line->total, currency);
    buffer_printf(text, "\n   |- line %.*s\n   |- period ", (int)line->id.length, line->id.at);
    add_instant(text, line->period.window.from);
    buffer_add_string(text, " to ");
    add_instant(text, line->period.window.to);
    buffer_printf(text, "\n   |- price version %.*s (%s)\n", (int)line->card->kept.version.length,
                  line->card->kept.version.at, price_kind_name(line->card->price.kind));
    add_steps(text, line, currency);
    if (line->credit.minor) {
        buffer_add_string(text, "   |- less credit ");
        add_money(text, line->credit, currency);
        buffer_add_char(text, '\n');
    }
    if (line->kind == INVOICE_ADJUSTMENT)
        add_adjustment(text, line, currency);
    if (line->kind == INVOICE_FEE)
        return;
    add_windows(text, line);
    topic_name(TOPIC_USAGE, bucket, usage);
    buffer_printf(text, "   |- log: %s partition %d, offsets before %lld\n", usage,
                  (int)invoice->position.partition, (long long)invoice->position.next_offset);
}

static void add_close(struct buffer *text, struct text close, int32_t partition)
{
    json_t *record = json_loadb(close.at ? close.at : "", close.length, 0, NULL);
    const json_t *position =
        json_array_get(json_object_get(record, "positions"), (size_t)partition);
    const char *at = json_string_value(json_object_get(record, "at"));
    const char *digest = json_string_value(json_object_get(position, "digest"));
    const char *catalog = json_string_value(json_object_get(record, "digest"));

    if (at)
        buffer_printf(text, "|  made by the close of %s; partition digest %s, catalog digest %s\n",
                      at, digest ? digest : "none", catalog ? catalog : "none");
    json_decref(record);
}

/* What it was computed from stands in the subscription's record. */
static void add_credit(struct buffer *text, const struct invoice *invoice)
{
    const struct currency *currency = invoice->subscription->plan->currency;
    struct text previous = invoice->subscription->previous_id;

    buffer_add_string(text, "|  credit ");
    add_money(text, invoice->credit.granted, currency);
    if (!text_is_absent(previous))
        buffer_printf(text, " from subscription %.*s", (int)previous.length, previous.at);
    buffer_add_string(text, ": used before ");
    add_money(text, invoice->credit.used_before, currency);
    buffer_add_string(text, ", here ");
    add_money(text, invoice->credit.used, currency);
    buffer_add_string(text, ", left ");
    add_money(text, invoice->credit.remaining, currency);
    buffer_add_char(text, '\n');
}

void explain_tree(const char *bucket, const struct invoice *invoice, struct text close,
                  struct buffer *text)
{
    const struct subscription *subscription = invoice->subscription;
    const struct currency *currency = subscription->plan->currency;

    buffer_printf(text, "invoice %.*s: ", (int)invoice->id.length, invoice->id.at);
    add_money(text, invoice->total, currency);
    buffer_add_string(text, "\n|  customer ");
    add_safe(text, subscription->customer_name);
    buffer_printf(text, ", subscription %.*s, plan %.*s@%lld\n", (int)subscription->id.length,
                  subscription->id.at, (int)subscription->plan->key.length,
                  subscription->plan->key.at, (long long)subscription->plan->version);
    buffer_printf(text, "|  input digest %s\n", invoice->digest);
    add_close(text, close, invoice->position.partition);
    if (invoice_has_credit(invoice))
        add_credit(text, invoice);
    for (size_t i = 0; i < invoice->line_count; i++)
        add_line(text, bucket, invoice, &invoice->lines[i]);
}

void explain_json(const char *bucket, struct text invoice, struct text close, struct buffer *text)
{
    json_t *parsed = json_loadb(invoice.at, invoice.length, 0, NULL);
    const json_t *position = json_object_get(parsed, "position");
    char usage[TOPIC_NAME_MAX];

    topic_name(TOPIC_USAGE, bucket, usage);
    buffer_add_string(text, "{\"invoice\":");
    buffer_add_text(text, invoice);
    buffer_add_string(text, ",\"close\":");
    if (text_is_absent(close))
        buffer_add_string(text, "null");
    else
        buffer_add_text(text, close);
    buffer_printf(text, ",\"log\":{\"topic\":\"%s\",\"partition\":%lld,\"nextOffset\":%lld}}\n",
                  usage, (long long)json_integer_value(json_object_get(position, "partition")),
                  (long long)json_integer_value(json_object_get(position, "nextOffset")));
    json_decref(parsed);
}
