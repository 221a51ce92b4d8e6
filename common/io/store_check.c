#include "common/base/fault.h"
#include "common/io/store_parts.h"

#include <string.h>

/* Keys have no checksum: one that is damaged is out of its order, and missed by a search. */
static int check_row(struct store_txn *txn, size_t table, struct text key, struct text value)
{
    struct text found;
    int r = store_get(txn, table, key, &found);

    if (r == 0 && found.at == value.at && found.length == value.length)
        return 0;
    if (r < 0)
        return fault_pass(r);
    return fault(FAULT_STOP, "%s: a row isn't found by its key", txn->store->folder);
}

static int check_table(struct store_txn *txn, size_t table)
{
    struct store_cursor *cursor = NULL;
    struct text key = {0}, value;
    int r = store_cursor_new(txn, table, &cursor);

    if (r)
        return fault_pass(r);
    r = store_cursor_seek(cursor, &key, &value);
    while (r == 0) {
        r = check_row(txn, table, key, value);
        if (r == 0)
            r = store_cursor_next(cursor, &key, &value);
    }
    store_cursor_free(cursor);
    return r == STORE_NOT_FOUND ? 0 : fault_pass(r);
}

int store_check(struct store *store)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(store, STORE_READ, &txn);

    for (size_t i = 0; r == 0 && i < store->table_count; i++)
        r = check_table(txn, i);
    return r ? fault_pass(r) : 0;
}
