/*
 * store.h - LMDB, wrapped once: named tables, read and write transactions, snapshots, growth.
 *
 * Default durability: a commit is on disk when store_commit returns. No NOSYNC, WRITEMAP or
 * DUPSORT. A map that runs full grows at the next write transaction: end the one that met
 * FAULT_RETRY and make it again. A full disk (ENOSPC, EIO, a short write) is FAULT_RETRY too, with
 * the free space in the text; a damaged or foreign environment is FAULT_STOP. An environment is
 * open once in a process: twice is a mistake, and asserted.
 *
 * Errors     STORE_NOT_FOUND where a function says so. After a fault a write transaction can only
 * be aborted. Ownership  Texts read are LMDB's: good until the next write in, or the end of, their
 * transaction; they may lie on odd addresses. Cursors end with their transaction, their objects
 * don't. Threads    One writer thread a store; read transactions in any thread, each used by one at
 * a time. End them soon: a map cannot grow, nor old pages be used again, while one is open.
 */
#pragma once

#include "common/base/text.h"

#include <stdbool.h>

struct store;
struct store_txn;

enum { STORE_KEY_BYTES_MAX = 511 };

enum store_outcome { STORE_NOT_FOUND = 1 };
enum store_mode { STORE_READ, STORE_WRITE };

struct store_formats { /* that are understood; `current` is written */
    uint32_t least, current;
};

/* The folder and those around it, where they aren't there; FAULT_REFUSE when it can't be. */
MUST_USE int store_make_folder(const char *folder);

/*
 * Opens the environment in the folder, which is made when it isn't there. `tables` are the names
 * that the other functions number from 0; `map_bytes` is the first size. `format` is stored in the
 * environment: one that a newer format wrote is refused with FAULT_STOP, a folder that this user
 * may not write to with FAULT_REFUSE.
 */
MUST_USE int store_open(const char *folder, const char *const *tables, size_t table_count,
                        int64_t map_bytes, uint32_t format, struct store **store);
/* The same, and an environment of a format before `least` is refused as well. */
MUST_USE int store_open_since(const char *folder, const char *const *tables, size_t table_count,
                              int64_t map_bytes, struct store_formats formats,
                              struct store **store);
struct store *store_close(struct store *store); /* accepts NULL; returns NULL */

/* Begins a transaction; *txn is NULL before. A writer waits for one in another process. */
MUST_USE int store_begin(struct store *store, enum store_mode mode, struct store_txn **txn);
/* Ends it, whatever it returns: *txn is NULL afterwards. Faults as above; nothing was written then.
 */
MUST_USE int store_commit(struct store_txn **txn);
void store_abort(struct store_txn **txn); /* for CLEANUP; accepts a pointer to NULL */

MUST_USE int store_get(struct store_txn *txn, size_t table, struct text key, struct text *value);
MUST_USE int store_put(struct store_txn *txn, size_t table, struct text key, struct text value);
/* As store_put, for a key that mostly is the table's greatest: such pairs fill their pages, where
 * they'd leave a part of each empty. */
MUST_USE int store_put_last(struct store_txn *txn, size_t table, struct text key,
                            struct text value);
/* As store_put, faster; FAULT_STOP unless the key is greater than every other in the table. */
MUST_USE int store_append(struct store_txn *txn, size_t table, struct text key, struct text value);
MUST_USE int store_delete(struct store_txn *txn, size_t table,
                          struct text key); /* missing is fine */
/* The first pair at or after `key` (of length 0: the first of all); STORE_NOT_FOUND past the end.
 */
MUST_USE int store_seek(struct store_txn *txn, size_t table, struct text *key, struct text *value);

struct store_cursor;
MUST_USE int store_cursor_new(struct store_txn *txn, size_t table, struct store_cursor **cursor);
struct store_cursor *
store_cursor_free(struct store_cursor *cursor);       /* accepts NULL; returns NULL */
void store_cursor_drop(struct store_cursor **cursor); /* the same, for CLEANUP */
/* As store_seek; then the pairs after it, each STORE_NOT_FOUND past the end. */
MUST_USE int store_cursor_seek(struct store_cursor *cursor, struct text *key, struct text *value);
MUST_USE int store_cursor_next(struct store_cursor *cursor, struct text *key, struct text *value);
MUST_USE int store_cursor_last(struct store_cursor *cursor, struct text *key, struct text *value);
MUST_USE int store_cursor_previous(struct store_cursor *cursor, struct text *key,
                                   struct text *value);

/* The pair of exactly that key. */
MUST_USE int store_cursor_find(struct store_cursor *cursor, struct text key, struct text *value);
/* As store_put; near the key of the call before it costs less. */
MUST_USE int store_cursor_put(struct store_cursor *cursor, struct text key, struct text value);

/* Writes a compact copy of what is committed now beside `file`, syncs it and renames it to `file`.
 */
MUST_USE int store_snapshot(struct store *store, const char *file);
/* Reads every key of every table twice, walking and searching: FAULT_STOP unless both agree. LMDB's
 * pages have no checksum, and it may end the process on one that is damaged. */
MUST_USE int store_check(struct store *store);
int64_t store_bytes_used(const struct store *store);
int64_t store_bytes_mapped(const struct store *store);
