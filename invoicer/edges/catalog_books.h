/*
 * catalog_books.h - the catalog's records between the store and the rules that check and compare
 * them.
 *
 * Threads    As store.h.
 */
#pragma once

#include "common/io/store.h"
#include "invoicer/rules/catalog_diff.h"
#include "invoicer/rules/catalog_state.h"

/* Takes a record in, `kind/id`, and of a subscription until when it was invoiced. */
MUST_USE int catalog_books_take(struct store_txn *txn, struct text key, struct text json,
                                struct catalog_state *state);
/* Every record whose key starts with `prefix`; all with an empty one. The state is as of now. */
MUST_USE int catalog_books_load(struct store_txn *txn, struct text prefix,
                                struct catalog_state *state);
/* Writes what changes, through the outbox; *sequence as outbox_put. */
MUST_USE int catalog_books_put(struct store_txn *txn, const struct catalog_changes *changes,
                               int64_t *sequence);
