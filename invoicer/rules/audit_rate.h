/*
 * audit_rate.h - what a price makes of a quantity, once more: by rational numbers, from the JSON
 * that an invoice line carries, without a line of the code that bills.
 *
 * Slow and simple on purpose: product.md 1.9 and rating.md as they read, with GMP.
 *
 * Units      Amounts in minor units of the currency.
 * Errors     Outcome below.
 * Ownership  struct audit_rating owns its details: audit_rating_deinit, which accepts a zeroed one.
 * Threads    Any.
 */
#pragma once

#include "common/base/decimal.h"

#include <jansson.h>

/* What was counted for a line, by the audit's own count. */
struct audit_counted {
    struct decimal quantity;
    uint64_t events;
    const struct decimal *values; /* of a matrix price: each value's quantity, then the others' */
};

struct audit_detail {
    int128 amount, discount, total;
};

struct audit_rating {
    struct audit_detail *details; /* those that move money */
    size_t count, room;
    struct audit_detail sum;
};

enum audit_outcome { AUDIT_UNKNOWN = 1 /* a price that this code doesn't know, or no number */ };

void audit_rating_deinit(struct audit_rating *rating);
/* `line` has "price" and "discounts"; `digits` of the currency's minor unit. */
MUST_USE int audit_rate(const json_t *line, const struct audit_counted *counted, int digits,
                        struct audit_rating *rating);
