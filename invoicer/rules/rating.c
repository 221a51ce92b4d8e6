/*
 * rating.c - rates a slice of a period.
 *
 * In the order of rating.md: the period's quantity up to the slice's start and up to its end is
 * converted and its conversion rounded, the usage discount taken off (2, 3); each line is the
 * difference of what the price makes of both, and so is its percentage discount (6); the maximum
 * then cuts the lines in their order (12), and the last slice is brought up to the minimum (13).
 */
#include "invoicer/rules/rating_slots.h"

#include <assert.h>

struct rater {
    const struct price *price;
    const struct price_discounts *discounts;
    const struct currency *currency;
    const struct rating_slice *slice;
    bool is_first;             /* nothing was billed before */
    struct decimal start, end; /* of the slice: cumulated, converted, less the usage discount */
    struct money billed;
};

size_t rating_lines_max(const struct price *price)
{
    return rating_slot_count(price) + 1;
}

/* --- quantities --- */

int rating_convert(const struct price_conversion *conversion, struct decimal quantity,
                   struct decimal *converted)
{
    bool rounds = conversion->rounding != PRICE_ROUND_NONE;
    int places = rounds ? conversion->precision : DECIMAL_PLACES;
    enum decimal_rounding rounding = conversion->rounding == PRICE_ROUND_UP     ? DECIMAL_UP
                                     : conversion->rounding == PRICE_ROUND_DOWN ? DECIMAL_DOWN
                                                                                : DECIMAL_HALF_AWAY;

    if (!conversion->is_set) {
        *converted = quantity;
        return 0;
    }
    if (conversion->divides)
        return decimal_divide(quantity, conversion->factor, places, rounding, converted);
    return decimal_multiply(quantity, conversion->factor, places, rounding, converted);
}

static int priced_quantity(const struct rater *rater, struct decimal raw, struct decimal *priced)
{
    struct decimal quantity;

    if (rating_convert(&rater->price->conversion, raw, &quantity))
        return RATING_OVERFLOW;
    quantity.units -= rater->discounts->usage.units;
    if (quantity.units < 0)
        quantity.units = 0;
    *priced = quantity;
    return 0;
}

static int measure(struct rater *rater)
{
    const struct rating_slice *slice = rater->slice;
    struct decimal end;

    if (slice->quantity.units < 0 || slice->billed_quantity.units < 0 ||
        slice->billed_amount.units < 0)
        return RATING_NEGATIVE;
    if (slice->billed_amount.units &&
        money_of(slice->billed_amount, rater->currency, &rater->billed))
        return RATING_TOO_FINE;
    rater->is_first = slice->billed_quantity.units == 0 && rater->billed.minor == 0;
    if (decimal_add(slice->billed_quantity, slice->quantity, &end))
        return RATING_OVERFLOW;
    if (slice->billed_quantity.units &&
        priced_quantity(rater, slice->billed_quantity, &rater->start))
        return RATING_OVERFLOW;
    if (priced_quantity(rater, end, &rater->end))
        return RATING_OVERFLOW;
    return 0;
}

/* Prices that are rated whole, and those that have nothing to convert or to give away. */
static int check_applicable(const struct rater *rater)
{
    const struct price *price = rater->price;
    const struct rating_slice *slice = rater->slice;
    bool converts = price->conversion.is_set || rater->discounts->usage.units != 0;

    switch (price->kind) {
    case PRICE_VOLUME:
        return slice->is_last && rater->is_first ? 0 : RATING_NOT_IN_SLICES;
    case PRICE_PERCENTAGE:
    case PRICE_MATRIX:
        if (slice->billed_quantity.units != 0)
            return RATING_NOT_IN_SLICES;
        return converts ? RATING_NOT_APPLICABLE : 0;
    case PRICE_FLAT:
        return converts ? RATING_NOT_APPLICABLE : 0;
    default:
        return 0;
    }
}

/* --- lines --- */

/* A flat price falls due once: in advance with the first slice, in arrears with the last. */
static bool is_due(const struct rater *rater)
{
    if (rater->price->kind != PRICE_FLAT)
        return true;
    return rater->price->term == PRICE_IN_ADVANCE ? rater->is_first : rater->slice->is_last;
}

/* Whether the slot held something before this slice that its line mustn't repeat. */
static bool has_start(const struct rater *rater)
{
    return !rater->is_first && rater->price->kind != PRICE_FLAT &&
           rater->price->kind != PRICE_PERCENTAGE && rater->price->kind != PRICE_MATRIX;
}

static int percent_off(const struct rater *rater, struct money amount, struct money *discount)
{
    if (rater->discounts->percent.units == 0) {
        discount->minor = 0;
        return 0;
    }
    return money_percent(amount, rater->discounts->percent, HALF_AWAY_FROM_ZERO, discount);
}

/* Amounts only grow with the quantity, so the differences can't wrap. */
static int rate_slot(const struct rater *rater, size_t index, struct decimal end,
                     struct rated_line *line)
{
    struct rated_line start;
    struct money discount_before;
    int r = rating_slot(rater->price, rater->currency, rater->slice, index, end, line);

    if (r)
        return r;
    if (percent_off(rater, line->amount, &line->discount))
        return RATING_OVERFLOW;
    if (has_start(rater)) {
        r = rating_slot(rater->price, rater->currency, rater->slice, index, rater->start, &start);
        if (r)
            return r;
        if (percent_off(rater, start.amount, &discount_before))
            return RATING_OVERFLOW;
        line->quantity.units -= start.quantity.units;
        line->amount.minor -= start.amount.minor;
        line->discount.minor -= discount_before.minor;
    }
    line->total.minor = line->amount.minor - line->discount.minor;
    return 0;
}

/* A flat price that was due stays, though it be 0: a list price that costs nothing is shown. */
static bool says_something(const struct rater *rater, const struct rated_line *line)
{
    if (line->amount.minor != 0)
        return true;
    if (line->kind == RATED_FLAT)
        return rater->price->kind == PRICE_FLAT && line->quantity.units != 0;
    return line->quantity.units != 0;
}

/* A matrix's quantities wait in the lines of their slots, which are never behind those written. */
static int rate_lines(const struct rater *rater, struct rated_line *lines, size_t *count)
{
    bool is_matrix = rater->price->kind == PRICE_MATRIX;
    size_t slots = is_due(rater) ? rating_slot_count(rater->price) : 0, found = 0;
    int r = is_matrix ? rating_matrix(rater->price, rater->slice, lines) : 0;

    for (size_t i = 0; i < slots && r == 0; i++) {
        if (rating_slot_is_empty(rater->price, i, rater->end))
            continue;
        r = rate_slot(rater, i, is_matrix ? lines[i].quantity : rater->end, &lines[found]);
        if (r == 0 && says_something(rater, &lines[found]))
            found++;
    }
    if (r)
        return r;
    *count = found;
    return 0;
}

/* --- commitments --- */

static int apply_maximum(const struct rater *rater, struct rated_line *lines, size_t count)
{
    struct money left;

    if (!rater->price->has_maximum || rater->price->kind == PRICE_FLAT)
        return 0;
    if (money_of(rater->price->maximum, rater->currency, &left))
        return RATING_TOO_FINE;
    left.minor = left.minor > rater->billed.minor ? left.minor - rater->billed.minor : 0;
    for (size_t i = 0; i < count; i++) {
        if (lines[i].total.minor > left.minor) {
            lines[i].discount.minor += lines[i].total.minor - left.minor;
            lines[i].total = left;
        }
        left.minor -= lines[i].total.minor;
    }
    return 0;
}

static int sum_lines(const struct rated_line *lines, size_t count, struct rating *rating)
{
    for (size_t i = 0; i < count; i++) {
        if (money_add(rating->amount, lines[i].amount, &rating->amount) ||
            money_add(rating->discount, lines[i].discount, &rating->discount) ||
            money_add(rating->total, lines[i].total, &rating->total))
            return RATING_OVERFLOW;
    }
    return 0;
}

/* `rating` holds the sums of the lines so far. */
static int add_minimum(const struct rater *rater, struct rated_line *lines, struct rating *rating)
{
    struct money least, sum;

    if (!rater->price->has_minimum || rater->price->kind == PRICE_FLAT)
        return 0;
    if (money_of(rater->price->minimum, rater->currency, &least))
        return RATING_TOO_FINE;
    if (money_add(rater->billed, rating->total, &sum))
        return RATING_OVERFLOW;
    if (!rater->slice->is_last || sum.minor >= least.minor)
        return 0;
    least.minor -= sum.minor;
    lines[rating->line_count] = (struct rated_line){
        .kind = RATED_MINIMUM, .quantity = decimal_from_int(1), .amount = least, .total = least};
    return sum_lines(&lines[rating->line_count++], 1, rating);
}

static int billed_quantity(const struct rater *rater, const struct rated_line *lines, size_t count,
                           struct decimal *quantity)
{
    struct decimal sum = {rater->end.units - rater->start.units};

    if (rater->price->kind == PRICE_PERCENTAGE || rater->price->kind == PRICE_MATRIX) {
        sum.units = 0;
        for (size_t i = 0; i < count; i++) {
            if (decimal_add(sum, lines[i].quantity, &sum))
                return RATING_OVERFLOW;
        }
    }
    *quantity = sum;
    return 0;
}

static int rate_slots(struct rater *rater, struct rated_line *lines, struct rating *rating)
{
    struct rating done = {0};
    int r = measure(rater);

    if (r == 0)
        r = check_applicable(rater);
    if (r == 0)
        r = rate_lines(rater, lines, &done.line_count);
    if (r == 0)
        r = billed_quantity(rater, lines, done.line_count, &done.billed_quantity);
    if (r == 0)
        r = apply_maximum(rater, lines, done.line_count);
    if (r == 0)
        r = sum_lines(lines, done.line_count, &done);
    if (r == 0)
        r = add_minimum(rater, lines, &done);
    if (r)
        return r;
    assert(done.total.minor == done.amount.minor - done.discount.minor);
    *rating = done;
    return 0;
}

/* --- the usual line --- */

/* A whole period's units at a price each, of which nothing is converted, taken off or committed. */
static bool is_plain(const struct price *price, const struct price_discounts *discounts,
                     const struct rating_slice *slice)
{
    return price->kind == PRICE_UNIT && !price->conversion.is_set && !price->has_minimum &&
           !price->has_maximum && discounts->percent.units == 0 && discounts->usage.units == 0 &&
           slice->quantity.units >= 0 && slice->billed_quantity.units == 0 &&
           slice->billed_amount.units == 0;
}

/* What the way by slots says of such a slice, in half of the time. */
static int rate_plain(const struct price *price, const struct currency *currency,
                      struct decimal quantity, struct rated_line *lines, struct rating *rating)
{
    struct money amount = {0};

    if (quantity.units &&
        money_of_product(quantity, price->amount, currency, HALF_AWAY_FROM_ZERO, &amount))
        return RATING_OVERFLOW;
    *lines = (struct rated_line){.kind = RATED_USAGE,
                                 .quantity = quantity,
                                 .unit_amount = price->amount,
                                 .amount = amount,
                                 .total = amount};
    *rating = (struct rating){.line_count = quantity.units != 0,
                              .billed_quantity = quantity,
                              .amount = amount,
                              .total = amount};
    return 0;
}

int rating_rate(const struct price *price, const struct price_discounts *discounts,
                const struct currency *currency, const struct rating_slice *slice,
                struct rated_line *lines, struct rating *rating)
{
    struct rater rater = {
        .price = price, .discounts = discounts, .currency = currency, .slice = slice};

    if (is_plain(price, discounts, slice))
        return rate_plain(price, currency, slice->quantity, lines, rating);
    return rate_slots(&rater, lines, rating);
}

static const char *const outcomes[][2] = {
    [RATING_OVERFLOW] = {"overflow", "an amount or quantity is too large"},
    [RATING_NEGATIVE] = {"negative_value", "a quantity or amount is negative"},
    [RATING_NOT_IN_SLICES] = {"not_in_slices",
                              "this price rates a whole period, not a slice of it"},
    [RATING_TOO_FINE] = {"amount_finer_than_minor_unit",
                         "an amount has decimals below the currency's minor unit"},
    [RATING_NOT_APPLICABLE] = {"not_applicable",
                               "this price has no usage discount and no unit conversion"},
    [RATING_NEEDS_EVENTS] = {"needs_events",
                             "free allowances and an event's minimum and maximum need each event's "
                             "own amount"},
};

const char *rating_outcome_code(int outcome)
{
    return outcomes[outcome][0];
}

const char *rating_outcome_detail(int outcome)
{
    return outcomes[outcome][1];
}

const char *rated_kind_name(enum rated_kind kind)
{
    static const char *const names[] = {"flat", "usage", "minimum"};

    return names[kind];
}
