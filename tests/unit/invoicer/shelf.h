/*
 * shelf.h - an invoicer's store in a folder of its own, with one open write transaction.
 */
#pragma once

#include "invoicer/edges/books.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct shelf {
    char data[64];
    char *folder;
    struct store *store;
    struct store_txn *txn;
};

static inline void shelf_open(struct shelf *shelf)
{
    *shelf = (struct shelf){.data = "/tmp/tollway-shelf-XXXXXX"};
    cr_assert(mkdtemp(shelf->data));
    cr_assert_eq(books_open(shelf->data, "test", &shelf->store, &shelf->folder), 0);
    cr_assert_eq(store_begin(shelf->store, STORE_WRITE, &shelf->txn), 0);
}

static inline void shelf_close(struct shelf *shelf)
{
    char command[128];

    store_abort(&shelf->txn);
    store_close(shelf->store);
    free(shelf->folder);
    snprintf(command, sizeof(command), "rm -rf '%s'", shelf->data);
    cr_assert_eq(system(command), 0);
}
