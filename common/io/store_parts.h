/*
 * store_parts.h - what the files of store share among themselves; nobody else includes it.
 *
 * A map can only grow while no transaction of this process is open. So transactions are counted:
 * growing waits until the readers that are open have ended and holds new ones back meanwhile.
 */
#pragma once

#include "common/io/store.h"

#include <lmdb.h>
#include <pthread.h>
#include <sys/types.h>

enum {
    STORE_TABLES_MAX = 32,
    STORE_READERS_MAX = 512,
    STORE_GROWTH_WAIT_MS_MAX = 5000, /* for readers to end before a full map can grow */
};

struct store {
    MDB_env *env;
    char *folder;
    MDB_dbi tables[STORE_TABLES_MAX];
    size_t table_count;
    dev_t device; /* with `inode`: the folder's identity */
    ino_t inode;
    struct store *next; /* of those open in this process */

    pthread_mutex_t gate;
    pthread_cond_t gate_moved;
    int readers;
    bool growing;
    bool full; /* the last write met the end of the map */
};

struct store_cursor {
    struct store_txn *txn; /* NULL once the transaction has ended */
    MDB_cursor *cursor;
    struct store_cursor *next;
};

struct store_txn {
    struct store *store;
    MDB_txn *txn;
    enum store_mode mode;
    struct store_cursor *cursors;
};

/* The fault for LMDB's or the system's `rc`, which isn't 0: what failed, where, and the remedy. */
MUST_USE int store_fault(struct store *store, const char *what, int rc);

/* Counts a reader in; waits while the map grows. */
void store_reader_enter(struct store *store);
void store_reader_leave(struct store *store);

/* Doubles the map when it was full, or when it is half full and nobody reads just now. */
MUST_USE int store_make_room(struct store *store);

/* Follows another process that has grown the map. */
MUST_USE int store_follow_size(struct store *store);
