/*
 * rate_describe.c - what a rated line is, in words (rate_json.h).
 */
#include "invoicer/rules/rate_json.h"

#include <string.h>

void quantity_describe(struct decimal quantity, struct buffer *buffer)
{
    char text[DECIMAL_TEXT_MAX];
    size_t length = decimal_format(quantity, text);
    const char *point = memchr(text, '.', length);
    size_t whole = point ? (size_t)(point - text) : length;

    for (size_t i = 0; i < length; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0 && text[i - 1] != '-')
            buffer_add_char(buffer, ',');
        buffer_add_char(buffer, text[i]);
    }
}

static void describe_bound(const char *words, struct decimal quantity, struct buffer *buffer)
{
    buffer_add_string(buffer, words);
    quantity_describe(quantity, buffer);
}

static void describe_tier(const struct rated_line *line, const struct price *price,
                          struct buffer *buffer)
{
    size_t tier = line->tier - 1;
    const struct price_tier *of = &price->tiers[tier];
    struct decimal before = tier ? price->tiers[tier - 1].up_to : decimal_from_int(0);

    if (line->kind == RATED_FLAT)
        buffer_add_string(buffer, "Flat price: ");
    if (of->is_open && tier == 0)
        buffer_add_string(buffer, "All usage");
    else if (of->is_open)
        describe_bound("Over ", before, buffer);
    else if (price->kind == PRICE_VOLUME)
        describe_bound("Up to ", of->up_to, buffer);
    else if (tier == 0)
        describe_bound("First ", of->up_to, buffer);
    else
        describe_bound("Next ", (struct decimal){of->up_to.units - before.units}, buffer);
    if (price->kind == PRICE_VOLUME && line->kind == RATED_USAGE)
        buffer_add_string(buffer, " (all units)");
}

static void describe_value(const struct rated_line *line, const struct price *price,
                           struct buffer *buffer)
{
    if (line->value == 0) {
        buffer_add_string(buffer, "Other");
        return;
    }
    for (size_t i = 0; i < price->dimension_count; i++) {
        buffer_add_string(buffer, i ? ", " : "");
        if (price->values[line->value - 1].match[i].length)
            buffer_add_text(buffer, price->values[line->value - 1].match[i]);
        else
            buffer_add_string(buffer, "(empty)");
    }
}

void rated_describe(const struct rated_line *line, const struct price *price, struct buffer *buffer)
{
    if (line->kind == RATED_MINIMUM)
        buffer_add_string(buffer, "Minimum spend");
    else if (line->tier)
        describe_tier(line, price, buffer);
    else if (line->kind == RATED_FLAT)
        buffer_add_string(buffer, "Flat price");
    else if (price->kind == PRICE_PACKAGE)
        describe_bound("Packages of ", price->package_size, buffer);
    else if (price->kind == PRICE_MATRIX)
        describe_value(line, price, buffer);
    else
        buffer_add_string(buffer, "Usage");
}
