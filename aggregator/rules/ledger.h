/*
 * ledger.h - what became of every event on `usage`, by subscription (metering.md 34).
 *
 * accepted = counted + duplicate + rejected + late, held by every row at any time. Conflicts are
 * part of `duplicate`. What can't be decoded names no subscription: such a message counts as one
 * event of the row without one.
 *
 * Ownership  The ledger owns its texts; ledger_deinit accepts a zeroed one, which is empty.
 * Threads    One at a time.
 */
#pragma once

#include "aggregator/rules/index.h"
#include "common/base/text.h"

struct account_counts {
    uint64_t accepted, counted, duplicate, conflict, rejected, late;
};

struct account {
    struct text subscription; /* absent: of what can't be decoded */
    struct account_counts counts;
    struct account_counts committed; /* as the store has them */
    uint64_t cuts;                   /* hash of the cuts that it was published on; 0: never */
    bool is_misplaced;               /* the subscription belongs to another partition */
    bool is_dirty, is_stored;
};

struct ledger {
    struct account *accounts;
    uint32_t count, room;
    struct index by_subscription;
    uint32_t *dirty; /* numbers of dirty accounts */
    uint32_t dirty_count, dirty_room;
};

void ledger_deinit(struct ledger *ledger);
/* The number of the subscription's row, made when it isn't there. */
uint32_t ledger_take(struct ledger *ledger, struct text subscription);
uint32_t ledger_find(const struct ledger *ledger, struct text subscription); /* or INDEX_NONE */
/* The row, to be changed: it is dirty from now on. */
struct account *ledger_change(struct ledger *ledger, uint32_t number);
void ledger_committed(struct ledger *ledger);
struct account_counts ledger_sum(const struct ledger *ledger);
bool account_balances(const struct account_counts *counts);
void account_counts_add(struct account_counts *into, const struct account_counts *more);

/* As rows of the store: key 0x01 and the subscription, or 0x00 for the row without one. */
void account_key(struct text subscription, struct buffer *key);
MUST_USE bool account_key_decode(struct text key, struct text *subscription);
enum { ACCOUNT_BYTES = 64 }; /* six counts, cuts, checksum */
void account_encode(const struct account *account, struct text key, uint8_t bytes[ACCOUNT_BYTES]);
/* False for a damaged one. Fills counts, committed and cuts. */
MUST_USE bool account_decode(struct text key, struct text value, struct account *account);
