#include "invoicer/edges/close_record.h"

#include "tests/unit/invoicer/shelf.h"

#define AT "\"at\":\"2026-02-01T02:00:00Z\""

static void put(struct shelf *shelf, struct text key, const char *value)
{
    cr_assert_eq(store_put(shelf->txn, BOOKS_CLOSES, key, text_of(value)), 0);
}

static void put_close(struct shelf *shelf, const char *id, const char *state)
{
    char json[96];

    (void)snprintf(json, sizeof(json), "{" AT ",\"interval_ms\":0,\"state\":\"%s\"}", state);
    put(shelf, text_of(id), json);
}

Test(close_record, the_unfinished_one_is_found_behind_the_invoices_of_others)
{
    struct close_record record;
    struct shelf shelf;

    shelf_open(&shelf);
    cr_assert_eq(close_record_unfinished(shelf.txn, &record), CLOSE_RECORD_NONE);
    put_close(&shelf, "A", "done");
    put(&shelf, text_from("A\0I", 3), "");
    put(&shelf, text_from("A\0J", 3), "");
    put_close(&shelf, "A/S", "done");
    put(&shelf, text_from("B\0K", 3), ""); /* its close isn't there yet */
    cr_assert_eq(close_record_unfinished(shelf.txn, &record), CLOSE_RECORD_NONE);
    put_close(&shelf, "C", "billing");
    put(&shelf, text_from("C\0L", 3), "");

    cr_assert_eq(close_record_unfinished(shelf.txn, &record), 0);
    cr_assert_str_eq(record.id, "C");
    cr_assert_eq(record.state, CLOSE_BILLING);
    put_close(&shelf, "A/S", "waiting");
    cr_assert_eq(close_record_unfinished(shelf.txn, &record), 0);
    cr_assert_str_eq(record.id, "A/S");
    shelf_close(&shelf);
}
