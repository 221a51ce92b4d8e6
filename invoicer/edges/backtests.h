/*
 * backtests.h - prices every subscription of a range by its own plan and by another one, from the
 * totals that the store holds.
 *
 * Errors     BACKTESTS_NO_PLAN; a fault when the store can't be read. A subscription that can't be
 *            priced by the other plan is a row that says why.
 * Ownership  The rows are the caller's to free(), their texts the arena's.
 * Threads    As store.h.
 */
#pragma once

#include "common/io/store.h"
#include "invoicer/rules/backtest.h"

enum backtests_outcome { BACKTESTS_NO_PLAN = 1 };

/* `plan` is a key, or a version of it: "team" (the newest) or "team@2". */
MUST_USE int backtests_run(struct store_txn *txn, struct text plan, struct window range,
                           int32_t partitions, struct arena *arena, struct backtest *backtest);
