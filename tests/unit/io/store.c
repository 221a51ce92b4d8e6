#include "common/io/store.h"

#include "common/base/fault.h"
#include "common/io/store_parts.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each case has a folder of its own, and its process ends with the case. */

enum { FIRST, SECOND };

static const char *const tables[] = {"first", "second"};
static const int64_t map_bytes = 1 << 20;

static char folder[64];

static void make_folder(void)
{
    strcpy(folder, "/tmp/tollway-store-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void drop_folder(void)
{
    char command[96];

    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(store, .init = make_folder, .fini = drop_folder);

static struct store *open_store(void)
{
    struct store *store = NULL;

    cr_assert_eq(store_open(folder, tables, 2, map_bytes, 3, &store), 0, "%s", fault_text());
    return store;
}

static void put_one(struct store *store, const char *key, const char *value)
{
    struct store_txn *txn = NULL;

    cr_assert_eq(store_begin(store, STORE_WRITE, &txn), 0);
    cr_assert_eq(store_put(txn, FIRST, text_of(key), text_of(value)), 0);
    cr_assert_eq(store_commit(&txn), 0);
}

static bool holds(struct store *store, const char *key, const char *value)
{
    struct store_txn *txn = NULL;
    struct text found;
    bool same;

    cr_assert_eq(store_begin(store, STORE_READ, &txn), 0);
    same = store_get(txn, FIRST, text_of(key), &found) == 0 && text_is(found, value);
    store_abort(&txn);
    return same;
}

/* Writes over the text's only place in the file. */
static void overwrite(const char *text, const char *other)
{
    char path[96], page[4096];
    FILE *file;
    char *found;
    long at = 0;

    snprintf(path, sizeof(path), "%s/data.mdb", folder);
    file = fopen(path, "r+");
    while (fread(page, sizeof(page), 1, file) == 1 &&
           !(found = memmem(page, sizeof(page), text, strlen(text))))
        at += (long)sizeof(page);
    cr_assert_not(feof(file), "a page holds it");
    fseek(file, at + (found - page), SEEK_SET);
    fputs(other, file);
    fclose(file);
}

static int rows_walked(struct store *store)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct store_cursor *cursor = NULL;
    struct text key = {0}, value;
    int rows = 0;

    cr_assert_eq(store_begin(store, STORE_READ, &txn), 0);
    cr_assert_eq(store_cursor_new(txn, FIRST, &cursor), 0);
    for (int r = store_cursor_seek(cursor, &key, &value); r == 0;
         r = store_cursor_next(cursor, &key, &value))
        rows++;
    store_cursor_free(cursor);
    return rows;
}

Test(store, a_row_that_is_met_on_a_walk_and_not_found_by_its_key_is_damage)
{
    struct store *store = open_store();
    struct store_txn *txn = NULL;
    char key[16];

    cr_assert_eq(store_begin(store, STORE_WRITE, &txn), 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "key-%04d", i);
        cr_assert_eq(store_put(txn, FIRST, text_of(key), text_of("a value")), 0);
    }
    cr_assert_eq(store_commit(&txn), 0);
    cr_assert_eq(store_check(store), 0, "%s", fault_text());
    store_close(store);

    overwrite("key-0500", "key-9500");
    store = open_store();
    cr_assert_eq(rows_walked(store), 1000);
    cr_assert_eq(store_check(store), FAULT_STOP);
    store_close(store);
}

Test(store, what_is_committed_is_there_after_reopening)
{
    struct store *store = open_store();

    put_one(store, "a", "1");
    store_close(store);

    store = open_store();
    cr_assert(holds(store, "a", "1"));
    store_close(store);
}

Test(store, a_folder_of_another_user_is_not_a_damaged_one)
{
    struct store *store = open_store();

    put_one(store, "a", "1");
    store_close(store);
    cr_assert_eq(chmod(folder, 0), 0);
    if (geteuid() == 0)
        cr_assert_eq(seteuid(65534), 0); /* root may do all */
    cr_assert_eq(store_open(folder, tables, 1, 1 << 20, 3, &store), FAULT_REFUSE);
    if (getuid() == 0)
        cr_assert_eq(seteuid(0), 0);
    cr_assert_eq(chmod(folder, 0700), 0);
}

Test(store, a_forgotten_commit_is_a_rollback)
{
    struct store *store = open_store();

    {
        CLEANUP(store_abort) struct store_txn *txn = NULL;

        cr_assert_eq(store_begin(store, STORE_WRITE, &txn), 0);
        cr_assert_eq(store_put(txn, FIRST, text_of("a"), text_of("1")), 0);
    }

    cr_assert_not(holds(store, "a", "1"));
    store_close(store);
}

Test(store, tables_are_apart)
{
    struct store *store = open_store();
    struct store_txn *txn = NULL;
    struct text value = text_of("untouched");

    put_one(store, "a", "1");

    cr_assert_eq(store_begin(store, STORE_READ, &txn), 0);
    cr_assert_eq(store_get(txn, SECOND, text_of("a"), &value), STORE_NOT_FOUND);
    cr_assert(text_is(value, "untouched"), "an outcome leaves the out parameter alone");
    store_abort(&txn);
    store_close(store);
}

Test(store, a_cursor_walks_from_where_it_is_set)
{
    struct store *store = open_store();
    struct store_txn *txn = NULL;
    struct store_cursor *cursor;
    struct text key = text_of("b"), value;

    put_one(store, "a", "1");
    put_one(store, "c", "3");
    put_one(store, "d", "4");

    cr_assert_eq(store_begin(store, STORE_READ, &txn), 0);
    cr_assert_eq(store_cursor_new(txn, FIRST, &cursor), 0);
    cr_assert_eq(store_cursor_seek(cursor, &key, &value), 0);
    cr_assert(text_is(key, "c") && text_is(value, "3"));
    cr_assert_eq(store_cursor_next(cursor, &key, &value), 0);
    cr_assert(text_is(key, "d"));
    cr_assert_eq(store_cursor_next(cursor, &key, &value), STORE_NOT_FOUND);
    cr_assert_eq(store_cursor_last(cursor, &key, &value), 0);
    cr_assert_eq(store_cursor_previous(cursor, &key, &value), 0);
    cr_assert(text_is(key, "c"));
    store_abort(&txn);
    store_cursor_free(cursor);
    store_close(store);
}

Test(store, an_appended_key_must_be_the_greatest)
{
    struct store *store = open_store();
    struct store_txn *txn = NULL;

    cr_assert_eq(store_begin(store, STORE_WRITE, &txn), 0);
    cr_assert_eq(store_append(txn, FIRST, text_of("b"), text_of("1")), 0);
    cr_assert_eq(store_append(txn, FIRST, text_of("a"), text_of("1")), FAULT_STOP);
    store_abort(&txn);
    store_close(store);
}

Test(store, a_key_that_is_put_last_may_go_anywhere)
{
    static const char *const keys[] = {"b", "c", "a", "c"};
    struct store *store = open_store();
    struct store_txn *txn = NULL;
    struct text value;

    cr_assert_eq(store_begin(store, STORE_WRITE, &txn), 0);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        char number = (char)('0' + i);

        cr_assert_eq(store_put_last(txn, FIRST, text_of(keys[i]), text_from(&number, 1)), 0);
    }
    cr_assert_eq(store_commit(&txn), 0);

    cr_assert_eq(store_begin(store, STORE_READ, &txn), 0);
    cr_assert_eq(store_get(txn, FIRST, text_of("a"), &value), 0);
    cr_assert(text_is(value, "2"));
    cr_assert_eq(store_get(txn, FIRST, text_of("b"), &value), 0);
    cr_assert(text_is(value, "0"));
    cr_assert_eq(store_get(txn, FIRST, text_of("c"), &value), 0);
    cr_assert(text_is(value, "3"));
    store_abort(&txn);
    store_close(store);
}

Test(store, an_older_format_than_can_be_read_is_refused_and_left_alone)
{
    struct store_formats formats = {.least = 3, .current = 4};
    struct store *store = NULL;

    cr_assert_eq(store_open(folder, tables, 1, 1 << 20, 2, &store), 0);
    store = store_close(store);
    cr_assert_eq(store_open_since(folder, tables, 1, 1 << 20, formats, &store), FAULT_STOP);
    cr_assert_not_null(strstr(fault_text(), "format 2"), "%s", fault_text());
    formats.least = 2;

    cr_assert_eq(store_open_since(folder, tables, 1, 1 << 20, formats, &store), 0);

    store_close(store);
}

Test(store, a_newer_format_is_refused_and_left_alone)
{
    struct store *store = open_store();
    struct store *older = NULL;

    put_one(store, "a", "1");
    store_close(store);

    cr_assert_eq(store_open(folder, tables, 2, map_bytes, 2, &older), FAULT_STOP);
    cr_assert_not_null(strstr(fault_text(), "format 3"), "%s", fault_text());
    cr_assert_null(older);
    store = open_store();
    cr_assert(holds(store, "a", "1"));
    store_close(store);
}

Test(store, opening_a_folder_twice_is_our_mistake, .signal = SIGABRT)
{
    struct store *store = open_store();

    (void)store;
    open_store();
}

/* One transaction of 64 values of 16 KiB. */
static int put_megabyte(struct store *store, int number)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    static char value[16384];
    char key[32];
    int r = store_begin(store, STORE_WRITE, &txn);

    for (int i = 0; i < 64 && !r; i++) {
        snprintf(key, sizeof(key), "%04d/%04d", number, i);
        r = store_put(txn, FIRST, text_of(key), text_from(value, sizeof(value)));
    }
    return r ? r : store_commit(&txn);
}

Test(store, a_full_map_grows_when_the_transaction_is_made_again)
{
    struct store *store = open_store();
    int retries = 0;

    for (int i = 0; i < 8; i++)
        while (put_megabyte(store, i)) {
            cr_assert_leq(++retries, 8, "%s", fault_text());
            cr_assert_not_null(strstr(fault_text(), "full"), "%s", fault_text());
        }

    cr_assert_geq(retries, 1);
    cr_assert_gt(store_bytes_mapped(store), 8 << 20);
    store_close(store);
}

Test(store, a_map_held_by_a_reader_says_so_and_grows_after_it)
{
    struct store *store = open_store();
    struct store_txn *reader = NULL;
    int r;

    cr_assert_eq(store_begin(store, STORE_READ, &reader), 0);
    while (!(r = put_megabyte(store, 1)))
        continue;
    cr_assert_eq(r, FAULT_RETRY);

    cr_assert_eq(put_megabyte(store, 2), FAULT_RETRY);
    cr_assert_not_null(strstr(fault_text(), "readers"), "%s", fault_text());
    store_abort(&reader);
    while (put_megabyte(store, 2))
        cr_assert_not_null(strstr(fault_text(), "will be grown"), "%s", fault_text());
    store_close(store);
}

/* Another process takes as many readers as it is given and is killed with them. */
static void leave_dead_readers(int count)
{
    int ready[2];
    pid_t child;
    char byte;

    cr_assert_eq(pipe(ready), 0);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        struct store *store = open_store();

        for (int i = 0; i < count; i++) {
            struct store_txn *reader = NULL; /* nobody ends it */
            cr_assert_eq(store_begin(store, STORE_READ, &reader), 0, "%s", fault_text());
        }
        (void)!write(ready[1], "", 1);
        pause();
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* Opens the store behind the readers, as a process that runs while another dies. */
static struct store *open_beside(int readers)
{
    int go[2], gone[2];
    pid_t child;
    struct store *store;
    char byte;

    cr_assert_eq(pipe(go), 0);
    cr_assert_eq(pipe(gone), 0);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        cr_assert_eq(read(go[0], &byte, 1), 1);
        leave_dead_readers(readers);
        (void)!write(gone[1], "", 1);
        _exit(0);
    }
    store = open_store();
    put_one(store, "a", "1");
    cr_assert_eq(write(go[1], "", 1), 1);
    cr_assert_eq(read(gone[0], &byte, 1), 1);
    waitpid(child, NULL, 0);
    return store;
}

Test(store, what_a_killed_reader_saw_is_used_again)
{
    struct store *store = open_beside(1);

    for (int i = 0; i < 40; i++)
        while (put_megabyte(store, 1))
            cr_assert_not_null(strstr(fault_text(), "will be grown"), "%s", fault_text());

    cr_assert_lt(store_bytes_mapped(store), 12 << 20, "%lld", (long long)store_bytes_mapped(store));
    store_close(store);
}

Test(store, killed_readers_keep_no_place_from_those_that_live)
{
    struct store *store = open_beside(STORE_READERS_MAX);

    cr_assert(holds(store, "a", "1"));
    store_close(store);
}

Test(store, a_full_disk_can_be_tried_again_and_loses_nothing)
{
    struct store *store = open_store();
    struct rlimit all, little;
    int r = 0;

    put_one(store, "a", "1");
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &all), 0);
    little = (struct rlimit){512 << 10, all.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &little), 0);

    for (int i = 0; i < 3 && !r; i++)
        r = put_megabyte(store, i);
    cr_assert_eq(r, FAULT_RETRY);
    while (strstr(fault_text(), "will be grown"))
        cr_assert_eq(put_megabyte(store, 1), FAULT_RETRY);
    cr_assert_not_null(strstr(fault_text(), "bytes free"), "%s", fault_text());

    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
    while (put_megabyte(store, 1))
        cr_assert_not_null(strstr(fault_text(), "will be grown"), "%s", fault_text());
    cr_assert(holds(store, "a", "1"));
    store_close(store);
}

Test(store, a_snapshot_is_a_whole_store_and_leaves_nothing_aside)
{
    struct store *store = open_store();
    struct store *copy = NULL;
    char place[96], file[128];

    put_one(store, "a", "1");
    snprintf(place, sizeof(place), "%s/copy", folder);
    snprintf(file, sizeof(file), "mkdir %s", place);
    cr_assert_eq(system(file), 0);
    snprintf(file, sizeof(file), "%s/data.mdb", place);

    cr_assert_eq(store_snapshot(store, file), 0, "%s", fault_text());
    put_one(store, "a", "2");
    cr_assert_eq(store_open(place, tables, 2, map_bytes, 3, &copy), 0, "%s", fault_text());
    cr_assert(holds(copy, "a", "1"));
    strcat(file, ".part");
    cr_assert_neq(access(file, F_OK), 0);
    store_close(copy);
    store_close(store);
}

/* Counts up in `first` and writes how often into `second`, for ever. */
static void count_for_ever(void)
{
    struct store *store = open_store();

    for (uint64_t turn = 0;; turn++) {
        CLEANUP(store_abort) struct store_txn *txn = NULL;
        uint64_t key = turn % 97, count = 0, n = 0;
        struct text found;

        if (store_begin(store, STORE_WRITE, &txn))
            _exit(3);
        if (store_get(txn, FIRST, text_from(&key, 8), &found) == 0)
            memcpy(&count, found.at, 8);
        if (store_get(txn, SECOND, text_of("n"), &found) == 0)
            memcpy(&n, found.at, 8);
        count++;
        n++;
        if (store_put(txn, FIRST, text_from(&key, 8), text_from(&count, 8)) ||
            store_put(txn, SECOND, text_of("n"), text_from(&n, 8)) || store_commit(&txn))
            _exit(3);
    }
}

static uint64_t sum_of_counts(struct store_txn *txn)
{
    uint64_t sum = 0, count;

    for (uint64_t key = 0; key < 97; key++) {
        struct text found;

        if (store_get(txn, FIRST, text_from(&key, 8), &found))
            continue;
        memcpy(&count, found.at, 8);
        sum += count;
    }
    return sum;
}

Test(store, counters_and_position_agree_after_every_kill)
{
    uint64_t last = 0, n = 0;

    for (int round = 0; round < 20; round++) {
        struct store *store;
        struct store_txn *txn = NULL;
        struct text found;
        pid_t child = fork();

        if (child == 0)
            count_for_ever();
        usleep(20000 + 1700 * (useconds_t)round);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);

        store = open_store();
        cr_assert_eq(store_begin(store, STORE_READ, &txn), 0);
        if (store_get(txn, SECOND, text_of("n"), &found) == 0)
            memcpy(&n, found.at, 8);
        cr_assert_eq(sum_of_counts(txn), n, "round %d: position %" PRIu64, round, n);
        cr_assert_geq(n, last);
        last = n;
        store_abort(&txn);
        store_close(store);
    }
    cr_assert_gt(last, 20);
}
