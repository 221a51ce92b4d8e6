#include "invoicer/edges/stripe_books.h"

#include "common/base/fault.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/outbox.h"
#include "tests/unit/invoicer/shelf.h"

#include <string.h>

#define BEGUN                                                                                      \
    "{\"state\":\"begun\",\"attempt\":1,\"begunAt\":\"2026-03-01T02:00:00Z\",\"customer\":"        \
    "\"cus_1\",\"steps\":[]}"
#define FINALIZED                                                                                  \
    "{\"state\":\"finalized\",\"attempt\":1,\"begunAt\":\"2026-03-01T02:00:00Z\",\"customer\":"    \
    "\"cus_1\",\"stripe\":\"in_1\"}"
#define ACCOUNT                                                                                    \
    "{\"id\":\"acct_1\",\"mode\":\"test\",\"from\":\"2026-03-01T00:00:00Z\",\"connectedAt\":"      \
    "\"2026-03-05T12:00:00Z\"}"

enum { IDS = 400, KEY_BYTES_MAX = 256 /* of a customer */ };

static int64_t put(struct shelf *shelf, const char *key, const char *json)
{
    int64_t sequence = -1;

    cr_assert_eq(stripe_books_put(shelf->txn, text_of(key), text_of(json), &sequence), 0);
    return sequence;
}

static void put_invoice(struct shelf *shelf, const char *id)
{
    cr_assert_eq(store_put(shelf->txn, BOOKS_INVOICES, text_of(id), text_of("C")), 0);
}

static int dump_row(void *context, struct text key, struct text value)
{
    buffer_add_json_string(context, key);
    buffer_add_char(context, '=');
    buffer_add_text(context, value);
    buffer_add_char(context, '\n');
    return 0;
}

static void dump(struct shelf *shelf, struct buffer *rows)
{
    cr_assert_eq(books_each(shelf->txn, BOOKS_STRIPE, text_from("", 0), dump_row, rows), 0);
    cr_assert_gt(rows->length, 0);
}

Test(stripe_books, records_leave_the_same_rows_written_here_or_read_back)
{
    static const char *const records[][2] = {
        {"account", ACCOUNT},
        {"customer/acme/of us", FINALIZED},
        {"invoice/A-20260301T0000Z", BEGUN},
        {"invoice/A-20260301T0000Z", FINALIZED},
    };
    CLEANUP(buffer_deinit) struct buffer written = {0}, read = {0};
    struct shelf here, there;

    shelf_open(&here);
    for (size_t i = 0; i < ARRAY_LEN(records); i++)
        cr_assert_eq(put(&here, records[i][0], records[i][1]), (int64_t)i);
    dump(&here, &written);
    shelf_close(&here);

    shelf_open(&there);
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        CLEANUP(buffer_deinit) struct buffer key = {0};

        buffer_printf(&key, "stripe/%s", records[i][0]);
        cr_assert_eq(billed_take(there.txn, buffer_text(&key), text_of(records[i][1])), 0);
    }
    dump(&there, &read);
    shelf_close(&there);
    cr_assert(text_equal(buffer_text(&written), buffer_text(&read)));
}

Test(stripe_books, a_record_is_there_as_it_was_put_last_and_waits_for_kafka)
{
    CLEANUP(buffer_deinit) struct buffer key = {0}, name = {0};
    struct shelf shelf;
    struct text json;
    bool waits;

    shelf_open(&shelf);
    buffer_add_string(&key, "customer/");
    for (size_t i = 0; i < KEY_BYTES_MAX; i++)
        buffer_add_char(&key, 'k');
    buffer_add_string(&name, "stripe/");
    buffer_add_text(&name, buffer_text(&key));
    buffer_add_char(&key, '\0');
    cr_assert_eq(stripe_books_get(shelf.txn, text_of(key.at), &json), STRIPE_BOOKS_NOT);
    put(&shelf, key.at, BEGUN);
    put(&shelf, key.at, FINALIZED);

    cr_assert_eq(stripe_books_get(shelf.txn, text_of(key.at), &json), 0);
    cr_assert(text_is(json, FINALIZED));
    cr_assert_eq(outbox_has(shelf.txn, TOPIC_INVOICES, buffer_text(&name), &waits), 0);
    cr_assert(waits);
    cr_assert_eq(stripe_books_get(shelf.txn, text_of(""), &json), STRIPE_BOOKS_NOT);
    cr_assert_eq(stripe_books_take(shelf.txn, text_of(""), text_of("{}")), FAULT_STOP);
    shelf_close(&shelf);
}

Test(stripe_books, the_account_is_read_whole_or_stops)
{
    struct stripe_account account;
    struct shelf shelf;
    struct arena arena;

    shelf_open(&shelf);
    arena_init(&arena, 65536);
    cr_assert_eq(stripe_books_account(shelf.txn, &arena, &account), STRIPE_BOOKS_NOT);
    put(&shelf, "account", ACCOUNT);
    cr_assert_eq(stripe_books_account(shelf.txn, &arena, &account), 0);
    cr_assert(text_is(account.id, "acct_1"));
    cr_assert(text_is(account.mode, "test"));
    cr_assert_eq(instant_minute(account.from), 29538720);
    put(&shelf, "account", "{\"id\":\"acct_1\",\"mode\":\"test\"}");
    cr_assert_eq(stripe_books_account(shelf.txn, &arena, &account), FAULT_STOP);
    arena_deinit(&arena);
    shelf_close(&shelf);
}

/* --- what is due --- */

struct seen {
    struct buffer ids;
    size_t left; /* ends after so many */
};

static int see(void *context, struct text invoice)
{
    struct seen *seen = context;

    buffer_add_text(&seen->ids, invoice);
    buffer_add_char(&seen->ids, '\n');
    return --seen->left == 0;
}

/* All that are due, looked for `step` at a time, a line each. */
static struct buffer due(struct shelf *shelf, const char *from, size_t step)
{
    CLEANUP(buffer_deinit) struct buffer after = {0};
    struct buffer all = {0};
    struct instant since;

    cr_assert_eq(instant_parse(text_of(from), &since), 0);
    buffer_reserve(&after, 1);
    for (;;) {
        struct seen seen = {.left = step};
        struct text found, last = text_of(NULL);

        cr_assert_eq(stripe_books_each_due(shelf->txn, buffer_text(&after), since, see, &seen), 0);
        buffer_add_text(&all, buffer_text(&seen.ids));
        found = buffer_text(&seen.ids);
        while (found.length > 0)
            last = text_cut(&found, '\n');
        buffer_clear(&after);
        buffer_add_text(&after, last);
        buffer_deinit(&seen.ids);
        if (text_is_absent(last))
            return all;
    }
}

static void expect_due(struct shelf *shelf, const char *from, const char *expected)
{
    CLEANUP(buffer_deinit) struct buffer found = due(shelf, from, 1000);

    buffer_add_char(&found, '\0');
    cr_assert_str_eq(found.at, expected);
}

Test(stripe_books, due_is_what_neither_is_finalized_nor_comes_to_zero_nor_is_too_old)
{
    struct shelf shelf;

    shelf_open(&shelf);
    put_invoice(&shelf, "A-20260201T0000Z");
    put_invoice(&shelf, "A-20260301T0000Z");
    put_invoice(&shelf, "B-20260301T0000Z");
    put_invoice(&shelf, "C-20260301T0000Z");
    put_invoice(&shelf, "D-20260301T0000Z");
    put(&shelf, "account", ACCOUNT);
    put(&shelf, "customer/B-20260301T0000Z", FINALIZED);
    put(&shelf, "invoice/A-20260301T0000Z", BEGUN);
    put(&shelf, "invoice/C-20260301T0000Z", FINALIZED);
    cr_assert_eq(stripe_books_note_nothing(shelf.txn, text_of("D-20260301T0000Z")), 0);

    expect_due(&shelf, "2026-02-01T00:01:00Z", "A-20260301T0000Z\nB-20260301T0000Z\n");
    expect_due(&shelf, "2026-02-01T00:00:00Z",
               "A-20260201T0000Z\nA-20260301T0000Z\nB-20260301T0000Z\n");
    put(&shelf, "invoice/A-20260301T0000Z", FINALIZED);
    expect_due(&shelf, "2026-03-01T00:00:00Z", "B-20260301T0000Z\n");
    put(&shelf, "invoice/B-20260301T0000Z", FINALIZED);
    expect_due(&shelf, "2026-03-01T00:00:00Z", "");
    shelf_close(&shelf);
}

/* A0-…, A00-…, …, B0-…: one begins as the next does, as it is with ids of one length nowhere. */
static void id_of(int i, char id[64])
{
    snprintf(id, 64, "%c%0*d-20260301T0000Z", 'A' + i / 20, 1 + i % 20, 0);
}

static void key_of(const char *kind, int i, char key[80])
{
    char id[64];

    id_of(i, id);
    snprintf(key, 80, "%s/%s", kind, id);
}

/* An invoice in one of the four states that it can be in. */
static void put_in_state(struct shelf *shelf, int i, uint32_t state)
{
    char id[64], key[80];

    id_of(i, id);
    key_of("invoice", i, key);
    put_invoice(shelf, id);
    if (state == 1)
        put(shelf, key, FINALIZED);
    else if (state == 2)
        put(shelf, key, BEGUN);
    else if (state == 3)
        cr_assert_eq(stripe_books_note_nothing(shelf->txn, text_of(id)), 0);
}

static bool is_due(struct shelf *shelf, int i)
{
    char delivery[80], nothing[80];
    struct text json;

    key_of("invoice", i, delivery);
    key_of("nothing", i, nothing);
    if (stripe_books_get(shelf->txn, text_of(delivery), &json) == 0)
        return text_is(json, BEGUN);
    return stripe_books_get(shelf->txn, text_of(nothing), &json) == STRIPE_BOOKS_NOT;
}

Test(stripe_books, what_is_due_is_what_asking_for_each_would_find)
{
    CLEANUP(buffer_deinit) struct buffer expected = {0};
    struct shelf shelf;
    uint32_t seed = 7;

    shelf_open(&shelf);
    for (int i = 0; i < IDS; i++) {
        seed = seed * 1664525 + 1013904223;
        put_in_state(&shelf, i, seed >> 30);
    }
    for (int i = 0; i < IDS; i++) {
        char id[64];

        id_of(i, id);
        if (is_due(&shelf, i))
            buffer_printf(&expected, "%s\n", id);
    }
    cr_assert_gt(expected.length, 1000);
    for (size_t step = 1; step < 50; step += 7) {
        CLEANUP(buffer_deinit) struct buffer found = due(&shelf, "2026-03-01T00:00:00Z", step);

        cr_assert(text_equal(buffer_text(&found), buffer_text(&expected)), "%zu at a time", step);
    }
    shelf_close(&shelf);
}

/* It knew nothing of Stripe, and had met no record of it: it would have ended there. */
Test(stripe_books, a_folder_of_the_format_before_is_gone_on_with)
{
    static const char *const tables[] = {"state",    "catalog", "totals", "marks",  "closes",
                                         "invoices", "billed",  "outbox", "pending"};
    CLEANUP(buffer_deinit) struct buffer path = {0};
    struct shelf shelf, old = {.txn = NULL};

    shelf_open(&shelf);
    buffer_printf(&path, "%s/old/invoicer", shelf.data);
    buffer_add_char(&path, '\0');
    cr_assert_eq(store_open(path.at, tables, ARRAY_LEN(tables), 1 << 20, 2, &old.store), 0);
    cr_assert_eq(store_begin(old.store, STORE_WRITE, &old.txn), 0);
    put_invoice(&old, "A-20260301T0000Z");
    cr_assert_eq(store_commit(&old.txn), 0);
    store_close(old.store);

    cr_assert_eq(books_open(shelf.data, "old", &old.store, &old.folder), 0);
    cr_assert_eq(store_begin(old.store, STORE_WRITE, &old.txn), 0);
    expect_due(&old, "2026-03-01T00:00:00Z", "A-20260301T0000Z\n");
    store_abort(&old.txn);
    store_close(old.store);
    free(old.folder);
    shelf_close(&shelf);
}
