/*
 * store.h - LMDB, wrapped once: named tables, read and write transactions, snapshots, growth.
 *
 * Default durability: a commit is on disk when store_commit returns. No NOSYNC, WRITEMAP or DUPSORT. A full map is
 * grown and the transaction tried again by the caller (FAULT_RETRY after the growth); a full disk is FAULT_RETRY too, with
 * a text that says so. Keys are 1 to 511 bytes.
 *
 * Ownership  Texts read are LMDB's: good until the next write in, or the end of, their transaction.
 * Threads    One writer thread a store; read transactions in any thread, each used by one.
 */
#pragma once

#include "common/base/text.h"

struct store;
struct store_txn;

enum store_outcome { STORE_NOT_FOUND = 1 };
enum store_mode { STORE_READ, STORE_WRITE };

/* Opens (makes) the environment in the folder. `tables` are the names, `map_bytes` the first size. Refuses a folder written
 * by a newer format: `format` is stored in it. */
MUST_USE int store_open(const char *folder, const char *const *tables, size_t table_count,
                        int64_t map_bytes, uint32_t format, struct store **store);
struct store *store_close(struct store *store); /* accepts NULL; returns NULL */
MUST_USE int store_begin(struct store *store, enum store_mode mode, struct store_txn **txn);
MUST_USE int store_commit(struct store_txn **txn);
void store_abort(struct store_txn **txn); /* for CLEANUP; accepts a pointer to NULL */

MUST_USE int store_get(struct store_txn *txn, size_t table, struct text key, struct text *value);
MUST_USE int store_put(struct store_txn *txn, size_t table, struct text key, struct text value);
MUST_USE int store_append(struct store_txn *txn, size_t table, struct text key, struct text value); /* key is the greatest */
MUST_USE int store_delete(struct store_txn *txn, size_t table, struct text key); /* missing is fine */
/* The first pair at or after `key`; STORE_NOT_FOUND past the end. */
MUST_USE int store_seek(struct store_txn *txn, size_t table, struct text *key, struct text *value);

struct store_cursor;
MUST_USE int store_cursor_new(struct store_txn *txn, size_t table, struct store_cursor **cursor);
struct store_cursor *store_cursor_free(struct store_cursor *cursor);
MUST_USE int store_cursor_seek(struct store_cursor *cursor, struct text *key, struct text *value);
MUST_USE int store_cursor_next(struct store_cursor *cursor, struct text *key, struct text *value);

MUST_USE int store_snapshot(struct store *store, const char *file); /* compact copy; written aside, then renamed */
int64_t store_bytes_used(const struct store *store);
int64_t store_bytes_mapped(const struct store *store);
