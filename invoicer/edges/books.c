#include "invoicer/edges/books.h"

#include "common/base/fault.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const int64_t map_bytes = INT64_C(256) * 1024 * 1024;

static const char *const tables[BOOKS_TABLES] = {
    [BOOKS_STATE] = "state",   [BOOKS_CATALOG] = "catalog", [BOOKS_TOTALS] = "totals",
    [BOOKS_MARKS] = "marks",   [BOOKS_CLOSES] = "closes",   [BOOKS_INVOICES] = "invoices",
    [BOOKS_BILLED] = "billed", [BOOKS_OUTBOX] = "outbox",   [BOOKS_PENDING] = "pending",
    [BOOKS_STRIPE] = "stripe",
};

int books_open(const char *data, const char *bucket, struct store **store, char **folder)
{
    const struct store_formats formats = {.least = BOOKS_FORMAT_LEAST, .current = BOOKS_FORMAT};
    struct buffer path = {0};
    char *name;
    int r;

    buffer_printf(&path, "%s/%s/invoicer", data, bucket);
    name = text_copy(buffer_text(&path));
    buffer_deinit(&path);
    r = store_open_since(name, tables, BOOKS_TABLES, map_bytes, formats, store);
    if (r) {
        free(name);
        return fault_pass(r);
    }
    *folder = name;
    return 0;
}

int books_number(struct store_txn *txn, const char *name, int64_t usual, int64_t *number)
{
    struct text value;
    int r = store_get(txn, BOOKS_STATE, text_of(name), &value);

    if (r < 0)
        return fault_pass(r);
    if (r == STORE_NOT_FOUND) {
        *number = usual;
        return 0;
    }
    if (value.length != sizeof(*number))
        return fault(FAULT_STOP, "the invoicer's store holds no number under %s", name);
    memcpy(number, value.at, sizeof(*number));
    return 0;
}

int books_set_number(struct store_txn *txn, const char *name, int64_t number)
{
    int r = store_put(txn, BOOKS_STATE, text_of(name), text_from(&number, sizeof(number)));

    return r ? fault_pass(r) : 0;
}

int books_read_number(struct store *store, const char *name, int64_t usual, int64_t *number)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(store, STORE_READ, &txn);

    if (!r)
        r = books_number(txn, name, usual, number);
    return r ? fault_pass(r) : 0;
}

int books_catalog_get(struct store_txn *txn, struct text key, struct text *json, int64_t *offset)
{
    struct text value;
    int r = store_get(txn, BOOKS_CATALOG, key, &value);

    if (r == STORE_NOT_FOUND)
        return BOOKS_NOT_FOUND;
    if (r)
        return fault_pass(r);
    if (value.length < sizeof(*offset))
        return fault(FAULT_STOP, "the invoicer's store holds half a catalog record");
    memcpy(offset, value.at, sizeof(*offset));
    *json = text_from(value.at + sizeof(*offset), value.length - sizeof(*offset));
    return 0;
}

int books_catalog_put(struct store_txn *txn, struct text key, struct text json, int64_t offset)
{
    struct buffer value = {0};
    int r;

    buffer_add(&value, &offset, sizeof(offset));
    buffer_add_text(&value, json);
    r = store_put(txn, BOOKS_CATALOG, key, buffer_text(&value));
    buffer_deinit(&value);
    return r ? fault_pass(r) : 0;
}

static bool starts_with(struct text key, struct text prefix)
{
    return key.length >= prefix.length &&
           (prefix.length == 0 || memcmp(key.at, prefix.at, prefix.length) == 0);
}

int books_each(struct store_txn *txn, enum books_table table, struct text prefix,
               int (*visit)(void *context, struct text key, struct text value), void *context)
{
    CLEANUP(store_cursor_drop) struct store_cursor *cursor = NULL;
    struct text key = prefix, value;
    int r = store_cursor_new(txn, table, &cursor);

    if (r)
        return fault_pass(r);
    for (r = store_cursor_seek(cursor, &key, &value); r == 0 && starts_with(key, prefix);
         r = store_cursor_next(cursor, &key, &value)) {
        r = visit(context, key, value);
        if (r)
            return r < 0 ? fault_pass(r) : 0;
    }
    return r < 0 ? fault_pass(r) : 0;
}

static int empty_table(struct store_txn *txn, enum books_table table)
{
    for (;;) {
        struct buffer copy = {0};
        struct text key = text_from("", 0), value;
        int r = store_seek(txn, table, &key, &value);

        if (r == STORE_NOT_FOUND)
            return 0;
        if (r)
            return fault_pass(r);
        buffer_add_text(&copy, key);
        r = store_delete(txn, table, buffer_text(&copy));
        buffer_deinit(&copy);
        if (r)
            return fault_pass(r);
    }
}

int books_wipe(struct store_txn *txn)
{
    int64_t generation;
    int r = books_number(txn, "generation", 0, &generation);

    for (enum books_table i = 0; !r && i < BOOKS_TABLES; i++)
        r = empty_table(txn, i);
    if (!r)
        r = books_set_number(txn, "generation", generation + 1);
    return r ? fault_pass(r) : 0;
}

void books_add_be64(struct buffer *key, int64_t number)
{
    uint64_t bits = (uint64_t)number ^ (UINT64_C(1) << 63);

    for (int shift = 56; shift >= 0; shift -= 8)
        buffer_add_char(key, (char)(bits >> shift & 0xff));
}

int64_t books_be64(const char *at)
{
    uint64_t bits = 0;

    for (int i = 0; i < 8; i++)
        bits = bits << 8 | (unsigned char)at[i];
    return (int64_t)(bits ^ (UINT64_C(1) << 63));
}
