/*
 * usage.h - a meter's usage of a subscription within a period, from the totals of its billing
 * windows.
 *
 * Windows that don't lie on the subscription's cuts are of earlier cuts and left out
 * (proto/counters.h), but where today's in their place say less: their minutes had aged when the
 * cuts changed, so they could not be published anew, or only those of their parts could that begin
 * and end on a quarter-hour. They still say what was used, and count instead of today's.
 *
 * Errors     FAULT_REFUSE when a sum has no room.
 * Ownership  The windows are the arena's.
 * Threads    As store.h.
 */
#pragma once

#include "common/io/store.h"
#include "invoicer/rules/invoice.h"

struct usage_source {
    struct store_txn *txn;
    struct text subscription;
    const uint16_t *cuts;
    size_t cut_count;
    struct arena *arena;
};

/* Of the card's meter, and by dimensions where its price asks for them. */
MUST_USE int usage_in(const struct usage_source *source, const struct rate_card *card,
                      struct window period, struct invoice_usage *usage);
