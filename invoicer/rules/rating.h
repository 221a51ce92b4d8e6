/*
 * rating.h - from a quantity and a price to lines and cents: rating.md 1 to 18.
 *
 * Pure: the same input gives the same lines on every machine. A period may be rated in slices; each
 * slice's lines are differences of rounded sums, so that the slices add up to the period, to the
 * cent.
 *
 * Units      Quantities of the meter where a slice comes in, of the price where a line goes out.
 * Errors     Outcomes below; nothing is written then.
 * Ownership  Lines stand in the caller's array of rating_lines_max() elements.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/price.h"

/* A quantity of a matrix price: the dimensions' values in the price's order, absent where missing.
 */
struct rating_cell {
    struct text dimensions[PRICE_DIMENSIONS_MAX];
    struct decimal quantity;
};

/* What is to be rated now, and what of the same period was before. */
struct rating_slice {
    struct decimal quantity;      /* of this slice alone, as metered */
    const struct decimal *events; /* PRICE_PERCENTAGE: their amounts, in order */
    size_t event_count;
    uint64_t counted; /* PRICE_PERCENTAGE without them: how many `quantity` is the sum of */
    const struct rating_cell *cells; /* PRICE_MATRIX */
    size_t cell_count;
    struct decimal billed_quantity; /* of the slices before, as metered */
    struct decimal billed_amount;   /* the sum of their totals */
    bool is_last;
};

enum rated_kind { RATED_FLAT, RATED_USAGE, RATED_MINIMUM };

struct rated_line {
    enum rated_kind kind;
    size_t tier;             /* from 1; 0: the price has none */
    size_t value;            /* PRICE_MATRIX: from 1 in the order of its values; 0: no match */
    struct decimal quantity; /* units, packages, or the amount that a percentage is of */
    struct decimal unit_amount;
    struct money amount; /* rounded, before discounts and caps */
    struct money discount;
    struct money total; /* amount - discount */
};

struct rating {
    size_t line_count;
    struct decimal billed_quantity;       /* this slice's, converted, less the usage discount */
    struct money amount, discount, total; /* sums of the lines' */
};

enum rating_outcome {
    RATING_OVERFLOW = 1,   /* an amount or quantity has no room */
    RATING_NEGATIVE,       /* a quantity or amount below 0 */
    RATING_NOT_IN_SLICES,  /* volume, percentage and matrix prices are rated whole */
    RATING_TOO_FINE,       /* a billed amount, minimum or maximum below the minor unit */
    RATING_NOT_APPLICABLE, /* a usage discount or conversion on a price that has none */
    RATING_NEEDS_EVENTS,   /* what a percentage asks of each event, and only their sum is known */
};

/* A raw quantity in the units that are priced: itself without a conversion. Nonzero: no room. */
MUST_USE int rating_convert(const struct price_conversion *conversion, struct decimal quantity,
                            struct decimal *converted);
size_t rating_lines_max(const struct price *price);
MUST_USE int rating_rate(const struct price *price, const struct price_discounts *discounts,
                         const struct currency *currency, const struct rating_slice *slice,
                         struct rated_line *lines, struct rating *rating);
const char *rating_outcome_code(int outcome);      /* "overflow", "negative", … */
const char *rating_outcome_detail(int outcome);    /* the same in a sentence */
const char *rated_kind_name(enum rated_kind kind); /* "flat", "usage", "minimum" */

/*
 * Splits `amount` over parts in proportion to their weights (>= 0, not all 0) so that the shares
 * sum to it exactly: largest remainder, the earlier part first among equals.
 */
MUST_USE int rating_split(struct money amount, const struct money *weights, size_t count,
                          struct money *shares);
