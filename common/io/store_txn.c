#include "common/base/fault.h"
#include "common/io/store_parts.h"

#include <assert.h>
#include <stdlib.h>

/* --- transactions --- */

/* Readers of another process that was killed keep what they saw, and their places, until somebody
 * looks: a writer each time, since it would fill the disk; a reader when it finds no place. */
static int begin(struct store *store, enum store_mode mode, MDB_txn **txn)
{
    unsigned flags = mode == STORE_READ ? MDB_RDONLY : 0;
    int rc = 0, dead;

    if (mode == STORE_WRITE)
        rc = mdb_reader_check(store->env, &dead);
    if (!rc)
        rc = mdb_txn_begin(store->env, NULL, flags, txn);
    if (rc == MDB_READERS_FULL && mdb_reader_check(store->env, &dead) == 0 && dead > 0)
        rc = mdb_txn_begin(store->env, NULL, flags, txn);
    if (mode == STORE_READ && rc)
        store_reader_leave(store);
    return rc;
}

static int begin_following(struct store *store, enum store_mode mode, MDB_txn **txn)
{
    int rc, r;

    if (mode == STORE_READ)
        store_reader_enter(store);
    rc = begin(store, mode, txn);
    if (rc == MDB_MAP_RESIZED) {
        r = store_follow_size(store);
        if (r)
            return fault_pass(r);
        if (mode == STORE_READ)
            store_reader_enter(store);
        rc = begin(store, mode, txn);
    }
    return rc ? store_fault(store, "cannot begin a transaction on", rc) : 0;
}

int store_begin(struct store *store, enum store_mode mode, struct store_txn **txn)
{
    struct store_txn *begun;
    int r = 0;

    assert(store && !*txn);
    if (mode == STORE_WRITE)
        r = store_make_room(store);
    if (r)
        return fault_pass(r);
    begun = calloc(1, sizeof(*begun));
    assert(begun);
    begun->store = store;
    begun->mode = mode;
    r = begin_following(store, mode, &begun->txn);
    if (r) {
        free(begun);
        return fault_pass(r);
    }
    *txn = begun;
    return 0;
}

/* Cursors end with their transaction; their objects stay until freed. */
static void end_cursors(struct store_txn *txn)
{
    for (struct store_cursor *cursor = txn->cursors; cursor; cursor = cursor->next) {
        mdb_cursor_close(cursor->cursor);
        cursor->cursor = NULL;
        cursor->txn = NULL;
    }
    txn->cursors = NULL;
}

static void end(struct store_txn **txn)
{
    if ((*txn)->mode == STORE_READ)
        store_reader_leave((*txn)->store);
    free(*txn);
    *txn = NULL;
}

int store_commit(struct store_txn **txn)
{
    struct store *store = (*txn)->store;
    int rc;

    end_cursors(*txn);
    rc = mdb_txn_commit((*txn)->txn); /* frees it, whatever it returns */
    end(txn);
    return rc ? store_fault(store, "cannot commit to", rc) : 0;
}

void store_abort(struct store_txn **txn)
{
    if (!*txn)
        return;
    end_cursors(*txn);
    mdb_txn_abort((*txn)->txn);
    end(txn);
}

/* --- pairs --- */

static MDB_val val_of(struct text text)
{
    return (MDB_val){text.length, (void *)(uintptr_t)text.at};
}

static MDB_val key_of(struct text key)
{
    assert(key.length >= 1 && key.length <= STORE_KEY_BYTES_MAX);
    return val_of(key);
}

static struct text text_of_val(MDB_val val)
{
    return text_from(val.mv_data ? val.mv_data : "", val.mv_size);
}

static MDB_dbi table_of(const struct store_txn *txn, size_t table)
{
    assert(table < txn->store->table_count);
    return txn->store->tables[table];
}

int store_get(struct store_txn *txn, size_t table, struct text key, struct text *value)
{
    MDB_val k = key_of(key);
    MDB_val v;
    int rc = mdb_get(txn->txn, table_of(txn, table), &k, &v);

    if (rc == MDB_NOTFOUND)
        return STORE_NOT_FOUND;
    if (rc)
        return store_fault(txn->store, "cannot read from", rc);
    *value = text_of_val(v);
    return 0;
}

/* What LMDB says of it. */
static int put(struct store_txn *txn, size_t table, struct text key, struct text value,
               unsigned how)
{
    MDB_val k = key_of(key);
    MDB_val v = val_of(value);

    assert(txn->mode == STORE_WRITE);
    return mdb_put(txn->txn, table_of(txn, table), &k, &v, how);
}

static int written(const struct store_txn *txn, int rc)
{
    return rc ? store_fault(txn->store, "cannot write to", rc) : 0;
}

int store_put(struct store_txn *txn, size_t table, struct text key, struct text value)
{
    return written(txn, put(txn, table, key, value, 0));
}

int store_put_last(struct store_txn *txn, size_t table, struct text key, struct text value)
{
    int rc = put(txn, table, key, value, MDB_APPEND);

    return rc == MDB_KEYEXIST ? store_put(txn, table, key, value) : written(txn, rc);
}

int store_append(struct store_txn *txn, size_t table, struct text key, struct text value)
{
    int rc = put(txn, table, key, value, MDB_APPEND);

    if (rc == MDB_KEYEXIST)
        return fault(FAULT_STOP, "%s: an appended key isn't the table's greatest",
                     txn->store->folder);
    return written(txn, rc);
}

int store_delete(struct store_txn *txn, size_t table, struct text key)
{
    MDB_val k = key_of(key);
    int rc;

    assert(txn->mode == STORE_WRITE);
    rc = mdb_del(txn->txn, table_of(txn, table), &k, NULL);
    return rc && rc != MDB_NOTFOUND ? store_fault(txn->store, "cannot delete from", rc) : 0;
}

int store_seek(struct store_txn *txn, size_t table, struct text *key, struct text *value)
{
    struct store_cursor *cursor;
    int r = store_cursor_new(txn, table, &cursor);

    if (r)
        return fault_pass(r);
    r = store_cursor_seek(cursor, key, value);
    store_cursor_free(cursor);
    return r;
}

/* --- cursors --- */

int store_cursor_new(struct store_txn *txn, size_t table, struct store_cursor **cursor)
{
    struct store_cursor *made = calloc(1, sizeof(*made));
    int rc;

    assert(made);
    rc = mdb_cursor_open(txn->txn, table_of(txn, table), &made->cursor);
    if (rc) {
        free(made);
        return store_fault(txn->store, "cannot read from", rc);
    }
    made->txn = txn;
    made->next = txn->cursors;
    txn->cursors = made;
    *cursor = made;
    return 0;
}

static void leave_txn(struct store_cursor *cursor)
{
    struct store_cursor **at = &cursor->txn->cursors;

    while (*at != cursor)
        at = &(*at)->next;
    *at = cursor->next;
    mdb_cursor_close(cursor->cursor);
}

struct store_cursor *store_cursor_free(struct store_cursor *cursor)
{
    if (!cursor)
        return NULL;
    if (cursor->txn)
        leave_txn(cursor);
    free(cursor);
    return NULL;
}

void store_cursor_drop(struct store_cursor **cursor)
{
    *cursor = store_cursor_free(*cursor);
}

static int move(struct store_cursor *cursor, MDB_cursor_op op, MDB_val *k, struct text *key,
                struct text *value)
{
    MDB_val v;
    int rc;

    assert(cursor->txn);
    rc = mdb_cursor_get(cursor->cursor, k, &v, op);
    if (rc == MDB_NOTFOUND)
        return STORE_NOT_FOUND;
    if (rc)
        return store_fault(cursor->txn->store, "cannot read from", rc);
    *key = text_of_val(*k);
    *value = text_of_val(v);
    return 0;
}

int store_cursor_seek(struct store_cursor *cursor, struct text *key, struct text *value)
{
    MDB_val k;

    if (key->length == 0) /* before every key */
        return move(cursor, MDB_FIRST, &(MDB_val){0}, key, value);
    k = key_of(*key);
    return move(cursor, MDB_SET_RANGE, &k, key, value);
}

int store_cursor_next(struct store_cursor *cursor, struct text *key, struct text *value)
{
    MDB_val k;

    return move(cursor, MDB_NEXT, &k, key, value);
}

int store_cursor_last(struct store_cursor *cursor, struct text *key, struct text *value)
{
    MDB_val k;

    return move(cursor, MDB_LAST, &k, key, value);
}

int store_cursor_previous(struct store_cursor *cursor, struct text *key, struct text *value)
{
    MDB_val k;

    return move(cursor, MDB_PREV, &k, key, value);
}

int store_cursor_find(struct store_cursor *cursor, struct text key, struct text *value)
{
    MDB_val k = key_of(key);

    return move(cursor, MDB_SET_KEY, &k, &key, value);
}

int store_cursor_put(struct store_cursor *cursor, struct text key, struct text value)
{
    MDB_val k = key_of(key);
    MDB_val v = val_of(value);
    int rc;

    assert(cursor->txn && cursor->txn->mode == STORE_WRITE);
    rc = mdb_cursor_put(cursor->cursor, &k, &v, 0);
    return rc ? store_fault(cursor->txn->store, "cannot write to", rc) : 0;
}
