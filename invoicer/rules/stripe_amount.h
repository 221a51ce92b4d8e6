/*
 * stripe_amount.h - our amounts in the minor units that Stripe counts in.
 *
 * They are ISO 4217's for most currencies. Not for: those that Stripe takes in whole units though
 * they have minor ones (MGA); ISK and UGX, which have none and are written with two digits; those
 * of three digits, whose last one must be 0.
 *
 * Source     Stripe's documentation: currencies, "Special cases", "Zero-decimal currencies".
 * Threads    Any.
 */
#pragma once

#include "common/base/money.h"

enum { STRIPE_AMOUNT_WHY_MAX = 256 };

/* False, with what to do in `why`, one line: Stripe can't be told this amount. */
MUST_USE bool stripe_amount(struct money money, const struct currency *currency, int64_t *amount,
                            char why[STRIPE_AMOUNT_WHY_MAX]);
