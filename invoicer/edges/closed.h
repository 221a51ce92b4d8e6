/*
 * closed.h - a subscription's closed periods that an invoice compares with what was billed of them.
 *
 * Errors     As store.h.
 * Ownership  The list is the caller's: closed_deinit, which accepts a zeroed one.
 * Threads    As store.h.
 */
#pragma once

#include "invoicer/edges/bills.h"

struct closed_list {
    struct invoice_billed *at;
    size_t count, room;
};

void closed_deinit(struct closed_list *list);
/* By phase, rate card and time: those that usage came late for; all of them where nobody can tell
 * (late.h). */
MUST_USE int closed_find(struct store_txn *txn, const struct bill_subject *subject,
                         struct closed_list *list);
