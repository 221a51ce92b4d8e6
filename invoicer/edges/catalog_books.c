#include "invoicer/edges/catalog_books.h"

#include "common/base/fault.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/outbox.h"

#include <stdlib.h>

int catalog_books_take(struct store_txn *txn, struct text key, struct text json,
                       struct catalog_state *state)
{
    json_t *record = json_loadb(json.at, json.length, 0, NULL);
    char *name = text_copy(key);
    int64_t minute;
    int r = 0;

    if (record) {
        if (text_starts(key, "subscription/")) {
            r = billed_last(txn, text_of(name + 13), &minute);
            if (r == 0)
                catalog_state_billed(state, name + 13, minute);
        }
        catalog_state_put(state, name, record);
    }
    free(name);
    return r < 0 ? fault_pass(r) : 0;
}

struct loading {
    struct catalog_state *state;
    struct store_txn *txn;
};

static int load_record(void *context, struct text key, struct text value)
{
    struct loading *loading = context;
    struct text json = text_from(value.at + sizeof(int64_t), value.length - sizeof(int64_t));
    int r = catalog_books_take(loading->txn, key, json, loading->state);

    return r ? fault_pass(r) : 0;
}

int catalog_books_load(struct store_txn *txn, struct text prefix, struct catalog_state *state)
{
    struct loading loading = {state, txn};
    int r;

    state->now = instant_now();
    r = books_each(txn, BOOKS_CATALOG, prefix, load_record, &loading);

    return r ? fault_pass(r) : 0;
}

int catalog_books_put(struct store_txn *txn, const struct catalog_changes *changes,
                      int64_t *sequence)
{
    int r = 0;

    for (size_t i = 0; !r && i < changes->count; i++) {
        const struct catalog_change *change = &changes->at[i];

        if (change->kind == CHANGE_SAME)
            continue;
        r = books_catalog_put(txn, text_of(change->key), text_of(change->record), -1);
        if (!r)
            r = outbox_put(txn, TOPIC_CATALOG, text_of(change->key), text_of(change->record),
                           sequence);
    }
    return r ? fault_pass(r) : 0;
}
