/*
 * audit_credit.h - what a credit pays of an invoice, once more: from the JSON of the invoice,
 * without a line of the code that bills.
 *
 * docs/decisions/credit-at-the-switch.md as it reads: what is left pays the flat fees in advance,
 * in proportion to what they come to, by largest remainder.
 *
 * Units      Minor units of the invoice's currency.
 * Errors     Outcome below.
 * Ownership  A difference points into the invoice.
 * Threads    Any.
 */
#pragma once

#include "common/base/money.h"

#include <jansson.h>

struct audit_credit_difference {
    const json_t *line; /* NULL: of the invoice */
    const char *what, *stated;
    struct money found;
};

enum audit_credit_outcome { AUDIT_CREDIT_DIFFERS = 1 };

/* The first amount that differs. `used_before` of the subscription's credit by its invoices before
 * this one; NULL: what this one says of it is taken for true. */
MUST_USE int audit_credit(const json_t *invoice, const struct currency *currency,
                          const struct money *used_before,
                          struct audit_credit_difference *difference);
/* What an invoice says that it uses; 0 without a credit. */
struct money audit_credit_used(const json_t *invoice, const struct currency *currency);
