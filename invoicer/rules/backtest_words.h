/*
 * backtest_words.h - what the renderings of a backtest say in the same words.
 *
 * Ownership  Appends to the caller's buffer.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/backtest.h"

/* "+1,234.50": a difference. */
void backtest_signed(struct money money, const struct currency *currency, struct buffer *text);
/* "+12.3 %"; nothing where the first amount is 0 or the change is more than a hundredfold. */
void backtest_percent(struct money now, struct money then, struct buffer *text);
/* "120.00 USD become 99.00 USD, -21.00: 3 pay more, 8 less, 1 the same" */
void backtest_verdict(const struct backtest_sums *sums, struct buffer *text);
