/*
 * price_write.c - a price as canonical JSON: what an invoice's digest and its lines say of it.
 */
#include "invoicer/rules/price.h"

static void add_amount(struct buffer *buffer, const char *name, struct decimal amount)
{
    char text[DECIMAL_TEXT_MAX];

    (void)decimal_format(amount, text);
    buffer_printf(buffer, ",\"%s\":\"%s\"", name, text);
}

static void add_optional(struct buffer *buffer, const char *name, bool given, struct decimal amount)
{
    if (given)
        add_amount(buffer, name, amount);
}

static void add_part(struct buffer *buffer, const char *type, bool given, struct decimal amount)
{
    char text[DECIMAL_TEXT_MAX];

    (void)decimal_format(amount, text);
    if (given)
        buffer_printf(buffer, ",\"%sPrice\":{\"type\":\"%s\",\"amount\":\"%s\"}", type, type, text);
    else
        buffer_printf(buffer, ",\"%sPrice\":null", type);
}

static void add_tiers(struct buffer *buffer, const struct price *price)
{
    buffer_add_string(buffer, ",\"tiers\":[");
    for (size_t i = 0; i < price->tier_count; i++) {
        const struct price_tier *tier = &price->tiers[i];
        char text[DECIMAL_TEXT_MAX];

        (void)decimal_format(tier->up_to, text);
        buffer_printf(buffer, "%s{\"upToAmount\":%s%s%s", i ? "," : "", tier->is_open ? "" : "\"",
                      tier->is_open ? "null" : text, tier->is_open ? "" : "\"");
        add_part(buffer, "flat", tier->has_flat, tier->flat);
        if (price->kind == PRICE_GRADUATED_PERCENTAGE)
            add_optional(buffer, "rate", tier->has_unit, tier->unit);
        else
            add_part(buffer, "unit", tier->has_unit, tier->unit);
        buffer_add_char(buffer, '}');
    }
    buffer_add_char(buffer, ']');
}

static void add_percentage(struct buffer *buffer, const struct price *price)
{
    const struct price_percentage *percentage = &price->percentage;

    add_amount(buffer, "rate", price->amount);
    add_optional(buffer, "fixedAmount", percentage->fixed.units != 0, percentage->fixed);
    add_optional(buffer, "freeAmount", percentage->has_free_amount, percentage->free_amount);
    if (percentage->has_free_events)
        buffer_printf(buffer, ",\"freeEvents\":\"%llu\"",
                      (unsigned long long)percentage->free_events);
    add_optional(buffer, "eventMinimum", percentage->has_least, percentage->least);
    add_optional(buffer, "eventMaximum", percentage->has_most, percentage->most);
}

static void add_match(struct buffer *buffer, const struct price *price,
                      const struct price_matrix_value *value)
{
    for (size_t i = 0; i < price->dimension_count; i++) {
        buffer_add_char(buffer, i ? ',' : '{');
        buffer_add_json_string(buffer, price->dimensions[i]);
        buffer_add_char(buffer, ':');
        buffer_add_json_string(buffer, value->match[i]);
    }
}

static void add_matrix(struct buffer *buffer, const struct price *price)
{
    buffer_add_string(buffer, ",\"dimensions\":[");
    for (size_t i = 0; i < price->dimension_count; i++) {
        buffer_add_string(buffer, i ? "," : "");
        buffer_add_json_string(buffer, price->dimensions[i]);
    }
    buffer_add_string(buffer, "],\"values\":[");
    for (size_t i = 0; i < price->value_count; i++) {
        buffer_add_string(buffer, i ? ",{\"match\":" : "{\"match\":");
        add_match(buffer, price, &price->values[i]);
        buffer_add_char(buffer, '}');
        add_amount(buffer, "amount", price->values[i].amount);
        buffer_add_char(buffer, '}');
    }
    buffer_add_char(buffer, ']');
    add_amount(buffer, "amount", price->amount);
}

static void add_model(struct buffer *buffer, const struct price *price)
{
    switch (price->kind) {
    case PRICE_GRADUATED:
    case PRICE_VOLUME:
    case PRICE_GRADUATED_PERCENTAGE:
        add_tiers(buffer, price);
        return;
    case PRICE_PERCENTAGE:
        add_percentage(buffer, price);
        return;
    case PRICE_MATRIX:
        add_matrix(buffer, price);
        return;
    case PRICE_DYNAMIC:
        add_amount(buffer, "multiplier", price->amount);
        return;
    case PRICE_PACKAGE:
        add_amount(buffer, "quantityPerPackage", price->package_size);
        break;
    case PRICE_FLAT:
    case PRICE_UNIT:
        break;
    }
    add_amount(buffer, "amount", price->amount);
}

static void add_conversion(struct buffer *buffer, const struct price_conversion *conversion)
{
    static const char *const roundings[] = {"none", "up", "down", "half_away"};
    char factor[DECIMAL_TEXT_MAX];

    if (!conversion->is_set)
        return;
    (void)decimal_format(conversion->factor, factor);
    buffer_printf(buffer,
                  ",\"unitConversion\":{\"operation\":\"%s\",\"factor\":\"%s\","
                  "\"rounding\":\"%s\",\"precision\":%d}",
                  conversion->divides ? "divide" : "multiply", factor,
                  roundings[conversion->rounding], conversion->precision);
}

void price_write(const struct price *price, struct buffer *buffer)
{
    bool is_tiered = price->kind == PRICE_GRADUATED || price->kind == PRICE_VOLUME;

    buffer_printf(buffer, "{\"type\":\"%s\"", is_tiered ? "tiered" : price_kind_name(price->kind));
    if (is_tiered)
        buffer_printf(buffer, ",\"mode\":\"%s\"", price_kind_name(price->kind));
    if (price->kind == PRICE_FLAT)
        buffer_printf(buffer, ",\"paymentTerm\":\"%s\"",
                      price->term == PRICE_IN_ADVANCE ? "in_advance" : "in_arrears");
    add_model(buffer, price);
    add_optional(buffer, "minimumAmount", price->has_minimum, price->minimum);
    add_optional(buffer, "maximumAmount", price->has_maximum, price->maximum);
    add_conversion(buffer, &price->conversion);
    buffer_add_char(buffer, '}');
}
