/*
 * rating_slots.c - each price model's lines at a cumulated quantity (product.md 3.1).
 */
#include "invoicer/rules/rating_slots.h"

#include <assert.h>

size_t rating_slot_count(const struct price *price)
{
    switch (price->kind) {
    case PRICE_GRADUATED:
    case PRICE_GRADUATED_PERCENTAGE:
        return 2 * price->tier_count;
    case PRICE_VOLUME:
        return 2;
    case PRICE_MATRIX:
        return price->value_count + 1;
    default:
        return 1;
    }
}

/* quantity × unit, rounded: the only place where a line's amount comes from a quantity. */
static int price_quantity(const struct currency *currency, struct rated_line *line)
{
    if (line->quantity.units == 0)
        return 0;
    if (money_of_product(line->quantity, line->unit_amount, currency, HALF_AWAY_FROM_ZERO,
                         &line->amount))
        return RATING_OVERFLOW;
    return 0;
}

static int price_percent(const struct currency *currency, struct rated_line *line)
{
    struct exact amount = exact_percent(line->quantity, line->unit_amount);

    if (money_round(amount, currency, HALF_AWAY_FROM_ZERO, &line->amount))
        return RATING_OVERFLOW;
    return 0;
}

static int slot_of_flat(struct decimal amount, const struct currency *currency,
                        struct rated_line *line)
{
    line->kind = RATED_FLAT;
    line->unit_amount = amount;
    line->quantity = decimal_from_int(1);
    return price_quantity(currency, line);
}

static struct decimal bound_before(const struct price *price, size_t tier)
{
    return tier ? price->tiers[tier - 1].up_to : decimal_from_int(0);
}

/* The part of the quantity that lies in (bound before, up_to]. */
static struct decimal part_in_tier(const struct price *price, size_t tier, struct decimal quantity)
{
    struct decimal before = bound_before(price, tier), end = quantity;

    if (!price->tiers[tier].is_open && decimal_compare(end, price->tiers[tier].up_to) > 0)
        end = price->tiers[tier].up_to;
    if (decimal_compare(end, before) <= 0)
        return decimal_from_int(0);
    return (struct decimal){end.units - before.units};
}

bool rating_slot_is_empty(const struct price *price, size_t index, struct decimal quantity)
{
    size_t tier = index / 2;

    if (price->kind != PRICE_GRADUATED && price->kind != PRICE_GRADUATED_PERCENTAGE)
        return false;
    if (index % 2 ? !price->tiers[tier].has_flat : !price->tiers[tier].has_unit)
        return true;
    return tier > 0 && decimal_compare(quantity, bound_before(price, tier)) <= 0;
}

/* Tier 1's flat part is due at no usage too; a later one's when the bound before it is passed. */
static int slot_of_graduated(const struct price *price, const struct currency *currency,
                             size_t index, struct decimal quantity, struct rated_line *line)
{
    size_t tier = index / 2;
    const struct price_tier *of = &price->tiers[tier];

    line->tier = tier + 1;
    if (index % 2 == 1) {
        line->kind = RATED_FLAT;
        line->unit_amount = of->flat;
        if (!of->has_flat || (tier && decimal_compare(quantity, bound_before(price, tier)) <= 0))
            return 0;
        return slot_of_flat(of->flat, currency, line);
    }
    if (!of->has_unit)
        return 0;
    line->unit_amount = of->unit;
    line->quantity = part_in_tier(price, tier, quantity);
    if (price->kind == PRICE_GRADUATED_PERCENTAGE)
        return price_percent(currency, line);
    return price_quantity(currency, line);
}

static int slot_of_volume(const struct price *price, const struct currency *currency, size_t index,
                          struct decimal quantity, struct rated_line *line)
{
    const struct price_tier *of;
    size_t tier = 0;

    while (!price->tiers[tier].is_open && decimal_compare(quantity, price->tiers[tier].up_to) > 0)
        tier++;
    of = &price->tiers[tier];
    line->tier = tier + 1;
    if (index == 1)
        return of->has_flat ? slot_of_flat(of->flat, currency, line) : 0;
    if (!of->has_unit)
        return 0;
    line->unit_amount = of->unit;
    line->quantity = quantity;
    return price_quantity(currency, line);
}

static int slot_of_package(const struct price *price, const struct currency *currency,
                           struct decimal quantity, struct rated_line *line)
{
    line->unit_amount = price->amount;
    if (decimal_divide(quantity, price->package_size, 0, DECIMAL_UP, &line->quantity))
        return RATING_OVERFLOW;
    return price_quantity(currency, line);
}

/* The value that names all of the cell's dimensions, from 1; 0: none does. */
static size_t match_of(const struct price *price, const struct rating_cell *cell)
{
    for (size_t value = 0; value < price->value_count; value++) {
        size_t same = 0;

        while (same < price->dimension_count &&
               text_equal(price->values[value].match[same], cell->dimensions[same]))
            same++;
        if (same == price->dimension_count)
            return value + 1;
    }
    return 0;
}

int rating_matrix(const struct price *price, const struct rating_slice *slice,
                  struct rated_line *lines)
{
    for (size_t i = 0; i <= price->value_count; i++)
        lines[i].quantity.units = 0;
    for (size_t i = 0; i < slice->cell_count; i++) {
        size_t value = match_of(price, &slice->cells[i]);
        struct decimal *sum = &lines[value ? value - 1 : price->value_count].quantity;

        if (slice->cells[i].quantity.units < 0)
            return RATING_NEGATIVE;
        if (decimal_add(*sum, slice->cells[i].quantity, sum))
            return RATING_OVERFLOW;
    }
    return 0;
}

/* The values in their order, then what nothing matches. */
static int slot_of_matrix(const struct price *price, const struct currency *currency, size_t index,
                          struct decimal quantity, struct rated_line *line)
{
    line->value = index < price->value_count ? index + 1 : 0;
    line->unit_amount = line->value ? price->values[index].amount : price->amount;
    line->quantity = quantity;
    return price_quantity(currency, line);
}

/* Each event pays for what it has beyond the free amount, so all of them for what their sum has. */
static struct decimal beyond_free(const struct price_percentage *percentage, struct decimal sum)
{
    if (percentage->has_free_amount)
        sum.units -= percentage->free_amount.units;
    if (sum.units < 0)
        sum.units = 0;
    return sum;
}

/* A sum and a number of events determine rate and fixed amounts, and the free amount where no fixed
 * one asks which events lie beyond it; nothing else. */
static int fees_of_sum(const struct price *price, const struct rating_slice *slice,
                       struct decimal *charged, struct exact *fees)
{
    const struct price_percentage *percentage = &price->percentage;
    struct decimal beyond = beyond_free(percentage, slice->quantity);
    struct exact fixed;

    if (percentage->has_free_events || percentage->has_least || percentage->has_most ||
        (percentage->has_free_amount && percentage->fixed.units))
        return RATING_NEEDS_EVENTS;
    if (slice->counted > INT64_MAX ||
        exact_product(decimal_from_int((int64_t)slice->counted), percentage->fixed, &fixed) ||
        exact_add(exact_percent(beyond, price->amount), fixed, fees))
        return RATING_OVERFLOW;
    *charged = beyond;
    return 0;
}

static int slot_of_percentage(const struct price *price, const struct currency *currency,
                              const struct rating_slice *slice, struct rated_line *line)
{
    struct exact fees;
    int r = slice->counted
                ? fees_of_sum(price, slice, &line->quantity, &fees)
                : rating_events(&price->percentage, price->amount, slice, &line->quantity, &fees);

    line->unit_amount = price->amount;
    if (r)
        return r;
    if (money_round(fees, currency, HALF_AWAY_FROM_ZERO, &line->amount))
        return RATING_OVERFLOW;
    return 0;
}

int rating_slot(const struct price *price, const struct currency *currency,
                const struct rating_slice *slice, size_t index, struct decimal quantity,
                struct rated_line *line)
{
    *line = (struct rated_line){.kind = RATED_USAGE};
    switch (price->kind) {
    case PRICE_FLAT:
        return slot_of_flat(price->amount, currency, line);
    case PRICE_UNIT:
    case PRICE_DYNAMIC:
        line->unit_amount = price->amount;
        line->quantity = quantity;
        return price_quantity(currency, line);
    case PRICE_GRADUATED:
    case PRICE_GRADUATED_PERCENTAGE:
        return slot_of_graduated(price, currency, index, quantity, line);
    case PRICE_VOLUME:
        return slot_of_volume(price, currency, index, quantity, line);
    case PRICE_PACKAGE:
        return slot_of_package(price, currency, quantity, line);
    case PRICE_PERCENTAGE:
        return slot_of_percentage(price, currency, slice, line);
    case PRICE_MATRIX:
        return slot_of_matrix(price, currency, index, quantity, line);
    }
    assert(!"a price has a kind");
    return RATING_OVERFLOW;
}

/* --- percentage of events --- */

struct allowance {
    uint64_t events;
    struct decimal amount;
};

struct charge {
    bool is_due;
    struct decimal part; /* of the event's amount */
};

static bool is_left(const struct price_percentage *percentage, const struct allowance *used)
{
    if (!percentage->has_free_events && !percentage->has_free_amount)
        return false;
    if (percentage->has_free_events && used->events >= percentage->free_events)
        return false;
    return !percentage->has_free_amount ||
           decimal_compare(used->amount, percentage->free_amount) < 0;
}

/* The allowances end with whichever runs out first; what crosses the amount is charged beyond it.
 */
static int charge_of(const struct price_percentage *percentage, struct allowance *used,
                     struct decimal event, struct charge *charge)
{
    *charge = (struct charge){.is_due = true, .part = event};
    if (!is_left(percentage, used))
        return 0;
    used->events++;
    if (decimal_add(used->amount, event, &used->amount))
        return RATING_OVERFLOW;
    charge->is_due =
        percentage->has_free_amount && decimal_compare(used->amount, percentage->free_amount) > 0;
    if (charge->is_due)
        charge->part.units = used->amount.units - percentage->free_amount.units;
    return 0;
}

/* rate per cent of the part and the fixed amount, within the bounds of an event. */
static int fee_of(const struct price_percentage *percentage, struct decimal rate,
                  struct decimal part, struct exact *fee)
{
    struct exact bounded;

    if (exact_add(exact_percent(part, rate), exact_of(percentage->fixed), &bounded))
        return RATING_OVERFLOW;
    if (percentage->has_least && exact_compare(bounded, exact_of(percentage->least)) < 0)
        bounded = exact_of(percentage->least);
    if (percentage->has_most && exact_compare(bounded, exact_of(percentage->most)) > 0)
        bounded = exact_of(percentage->most);
    *fee = bounded;
    return 0;
}

int rating_events(const struct price_percentage *percentage, struct decimal rate,
                  const struct rating_slice *slice, struct decimal *charged, struct exact *fees)
{
    struct decimal charged_sum = {0};
    struct exact fee, sum = {0};
    struct allowance used = {0};
    struct charge charge;

    for (size_t i = 0; i < slice->event_count; i++) {
        if (slice->events[i].units < 0)
            return RATING_NEGATIVE;
        if (charge_of(percentage, &used, slice->events[i], &charge))
            return RATING_OVERFLOW;
        if (!charge.is_due)
            continue;
        if (fee_of(percentage, rate, charge.part, &fee) || exact_add(sum, fee, &sum) ||
            decimal_add(charged_sum, charge.part, &charged_sum))
            return RATING_OVERFLOW;
    }
    *charged = charged_sum;
    *fees = sum;
    return 0;
}
