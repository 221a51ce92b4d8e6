/*
 * close.h - what is billed at the end of a period, from where the partitions stand.
 *
 * Threads    As store.h.
 */
#pragma once

#include "common/io/store.h"

/* FAULT_RETRY while a close is under way: what it bills from stands still, the catalog too. */
MUST_USE int close_none_is_under_way(struct store_txn *txn);
