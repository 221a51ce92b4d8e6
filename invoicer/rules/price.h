/*
 * price.h - a rate card's price as numbers: what product.md 1.9 and rating.md can say.
 *
 * One struct for every model, so that a rate card, a line and a test name their price alike; each
 * model reads its own fields alone. A price that was read is right: price_read refuses the rest.
 *
 * Units      Amounts are of the currency's unit, quantities of the meter's after conversion.
 * Errors     price_read: outcome below.
 * Ownership  Tiers, matrix values and texts are the arena's that price_read was given.
 * Threads    Any.
 */
#pragma once

#include "common/base/arena.h"
#include "common/base/money.h"

#include <jansson.h>

enum {
    PRICE_TIERS_MAX = 64,
    PRICE_MATRIX_VALUES_MAX = 1000,
    PRICE_DIMENSIONS_MAX = 8,
    PRICE_PRECISION_MAX = DECIMAL_PLACES,
};

enum price_kind {
    PRICE_FLAT,                 /* amount, whatever the quantity */
    PRICE_UNIT,                 /* quantity × amount */
    PRICE_GRADUATED,            /* each unit at its own tier's price */
    PRICE_VOLUME,               /* all units at the price of the tier that the sum lies in */
    PRICE_PACKAGE,              /* packages begun × amount */
    PRICE_DYNAMIC,              /* quantity, itself an amount, × amount */
    PRICE_PERCENTAGE,           /* amount per cent of each event, and what it costs by itself */
    PRICE_GRADUATED_PERCENTAGE, /* each part of the amount at its own tier's per cent */
    PRICE_MATRIX,               /* quantities by dimensions, each at its value's price */
};

enum price_term { PRICE_IN_ADVANCE, PRICE_IN_ARREARS };

struct price_tier {
    struct decimal up_to; /* inclusive */
    bool is_open;         /* the last one alone: no bound */
    bool has_unit, has_flat;
    struct decimal unit; /* PRICE_GRADUATED_PERCENTAGE: per cent */
    struct decimal flat;
};

/* PRICE_PERCENTAGE beside its rate, which is `amount`. */
struct price_percentage {
    struct decimal fixed; /* 0: none */
    bool has_free_amount, has_free_events, has_least, has_most;
    struct decimal free_amount;
    uint64_t free_events;
    struct decimal least, most; /* of an event */
};

struct price_matrix_value {
    struct text match[PRICE_DIMENSIONS_MAX]; /* in the order of the dimensions */
    struct decimal amount;
};

enum price_rounding { PRICE_ROUND_NONE, PRICE_ROUND_UP, PRICE_ROUND_DOWN, PRICE_ROUND_HALF_AWAY };

/* From the meter's unit to the one that is priced: bytes counted, gigabytes billed. */
struct price_conversion {
    bool is_set, divides;
    struct decimal factor; /* > 0 */
    enum price_rounding rounding;
    int precision; /* decimals of the result; without rounding it says nothing */
};

struct price {
    enum price_kind kind;
    enum price_term term; /* usage is always in arrears */
    struct decimal amount;
    struct decimal package_size; /* > 0 */
    const struct price_tier *tiers;
    size_t tier_count;
    struct price_percentage percentage;
    struct text dimensions[PRICE_DIMENSIONS_MAX];
    size_t dimension_count;
    const struct price_matrix_value *values;
    size_t value_count;
    bool has_minimum, has_maximum;
    struct decimal minimum, maximum; /* of what a period costs */
    struct price_conversion conversion;
};

struct price_discounts {
    struct decimal percent; /* 0 to 100, off every line */
    struct decimal usage;   /* units off the period's quantity, after conversion */
};

enum price_outcome { PRICE_MALFORMED = 1, PRICE_NO_MEMORY };

/* Where and why something isn't a price: "/tiers/0/upToAmount". */
struct price_issue {
    char pointer[160];
    char detail[160];
    const char *code; /* "invalid_price" … */
};

/* Reads the JSON of product.md 1.9 as strict records hold it, and lenient spellings of tiers. */
MUST_USE int price_read(const json_t *json, struct arena *arena, struct price *price,
                        struct price_issue *issue);
/* Members that a price of its type doesn't have, which price_read passes over. */
MUST_USE int price_check_members(const json_t *json, struct price_issue *issue);
/* {"percentage","usage"}; NULL or null: none. */
MUST_USE int price_read_discounts(const json_t *json, struct price_discounts *discounts,
                                  struct price_issue *issue);
/* The same price as canonical JSON: members in a fixed order, no spaces, shortest decimals. */
void price_write(const struct price *price, struct buffer *buffer);
const char *price_kind_name(enum price_kind kind); /* "unit", "graduated", … */
/* Whether it needs a meter's quantity at all. */
bool price_is_of_usage(const struct price *price);
