#include "invoicer/edges/close.h"

#include "common/base/fault.h"
#include "invoicer/edges/books.h"

int close_none_is_under_way(struct store_txn *txn)
{
    int64_t frozen;
    int r = books_number(txn, "frozen", 0, &frozen);

    if (r)
        return fault_pass(r);
    if (frozen)
        return fault(FAULT_RETRY, "a close is under way: `invoicer close` continues it");
    return 0;
}
