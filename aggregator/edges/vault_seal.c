/*
 * Sealing a day: all its ids, from its runs and the pages that held so far, are sorted a slice of
 * their range at a time and written as pages of the other generation. The last slices of all days
 * go into one transaction, which makes those pages the ones that hold and deletes runs and old
 * pages. Ids come from the store, not from the table, so that their checksums and their sum are
 * checked once more.
 */
#include "aggregator/edges/vault_parts.h"

#include "aggregator/rules/order.h"
#include "aggregator/rules/level.h"
#include "common/base/fault.h"
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { SEAL_ATTEMPTS = 8 /* each with a larger map */, SEAL_SLICES_MAX = 16 };

struct seal {
    struct vault *vault;
    struct tally *tally;
    struct day *day;
    struct sealed *made;
    uint64_t low, high; /* the slice: first words of identities, both inclusive */
    struct fingerprint *ids;
    size_t count, room;
    uint32_t first_page; /* of the slice */
    struct buffer value;
};

static void seal_deinit(struct seal *seal)
{
    sealed_free(seal->made);
    free(seal->ids);
    buffer_deinit(&seal->value);
}

static int damaged(const struct seal *seal, const char *what)
{
    return fault(FAULT_STOP, "partition %d: %s", seal->tally->partition, what);
}

/* --- reading a slice --- */

static void take_ids(struct seal *seal, struct text content)
{
    for (size_t at = 0; at < content.length; at += sizeof(struct fingerprint)) {
        uint64_t first = wire_load_u64((const uint8_t *)content.at + at);

        if (first < seal->low || first > seal->high)
            continue;
        if (seal->count == seal->room) {
            seal->room = seal->room ? seal->room * 2 : 4096;
            seal->ids = realloc(seal->ids, seal->room * sizeof(*seal->ids));
            if (!seal->ids)
                abort();
        }
        memcpy(&seal->ids[seal->count++], content.at + at, sizeof(struct fingerprint));
    }
}

/* Is it a row of the day that holds? Runs are before pages. */
static bool holds(const struct day *day, uint32_t number)
{
    if (!(number & PAGE_BIT))
        return number < day->runs;
    return day->sealed && number >> 30 == (2 | day->sealed->generation) &&
           (number & PAGE_MASK) < day->sealed->pages;
}

static int read_rows(struct seal *seal, struct store_cursor *cursor)
{
    uint8_t first[ID_KEY_BYTES];
    struct text key = text_from(first, sizeof(first)), value, content;
    int r;

    id_key(seal->day->number, 0, first);
    for (r = store_cursor_seek(cursor, &key, &value); r == 0;
         r = store_cursor_next(cursor, &key, &value)) {
        if (key.length != ID_KEY_BYTES || memcmp(key.at, first, 4) != 0)
            return 0;
        if (!holds(seal->day, order_load_u32((const uint8_t *)key.at + 4)))
            continue;
        if (!sealed_open(key, value, &content) || content.length % sizeof(struct fingerprint) != 0)
            return damaged(seal, "a run of ids is damaged");
        take_ids(seal, content);
    }
    return r < 0 ? fault_pass(r) : 0;
}

static void sort_slice(struct seal *seal)
{
    struct fingerprint *room = malloc((seal->count + 1) * sizeof(*room));

    if (!room)
        abort();
    sealed_sort(seal->ids, room, seal->count, seal->low, seal->high);
    free(room);
}

static int read_slice(struct seal *seal)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    CLEANUP(store_cursor_drop) struct store_cursor *cursor = NULL;
    int r = store_begin(seal->vault->store, STORE_READ, &txn);

    seal->count = 0;
    if (r == 0)
        r = store_cursor_new(txn, VAULT_IDS, &cursor);
    if (r == 0)
        r = read_rows(seal, cursor);
    if (r)
        return fault_pass(r);
    sort_slice(seal);
    return 0;
}

/* --- writing it --- */

static int put_page(struct seal *seal, struct store_txn *txn, uint32_t page,
                    const struct fingerprint *ids, size_t count)
{
    uint8_t key[ID_KEY_BYTES];

    page_key(seal->day->number, seal->made->generation, page, key);
    buffer_clear(&seal->value);
    buffer_add(&seal->value, ids, count * sizeof(*ids));
    sealed_close(text_from(key, sizeof(key)), &seal->value);
    return store_put(txn, VAULT_IDS, text_from(key, sizeof(key)), buffer_text(&seal->value));
}

static size_t page_at(const struct seal *seal, size_t at)
{
    return seal->count - at < SEALED_PAGE_IDS ? seal->count - at : SEALED_PAGE_IDS;
}

static int put_slice(struct seal *seal, struct store_txn *txn)
{
    uint32_t page = seal->first_page;
    int r = 0;

    for (size_t at = 0; r == 0 && at < seal->count; at += SEALED_PAGE_IDS)
        r = put_page(seal, txn, page++, seal->ids + at, page_at(seal, at));
    return r ? fault_pass(r) : 0;
}

/* Notes the pages that the slice becomes. */
static int note_slice(struct seal *seal)
{
    seal->first_page = seal->made->pages;
    for (size_t at = 0; at < seal->count; at += SEALED_PAGE_IDS)
        if (!sealed_add_page(seal->made, seal->ids + at, page_at(seal, at)))
            return damaged(seal, "an id stands twice among those of a day");
    return 0;
}

static int write_slice(struct seal *seal)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(seal->vault->store, STORE_WRITE, &txn);

    if (r == 0)
        r = put_slice(seal, txn);
    if (r)
        return fault_pass(r);
    return store_commit(&txn);
}

static int write_slice_in_time(struct seal *seal)
{
    int r = write_slice(seal);

    for (int i = 1; r == FAULT_RETRY && i < SEAL_ATTEMPTS; i++)
        r = write_slice(seal);
    return r ? fault_pass(r) : 0;
}

/* --- the last transaction --- */

static int check_alone(const struct seal *seal, struct store_txn *txn)
{
    struct vault_state stored;
    int r = vault_read_state(txn, &stored);

    if (r < 0)
        return fault_pass(r);
    if (r || stored.next_offset != seal->vault->state.next_offset)
        return damaged(seal, "another process has written into this folder: give each aggregator "
                             "a --data of its own");
    return 0;
}

/* Deletes the rows that don't hold any more. */
static int delete_old(const struct seal *seal, struct store_txn *txn)
{
    const struct day *day = seal->day;
    uint8_t key[ID_KEY_BYTES];
    int r = 0;

    for (uint32_t run = 0; r == 0 && run < day->runs; run++) {
        id_key(day->number, run, key);
        r = store_delete(txn, VAULT_IDS, text_from(key, sizeof(key)));
    }
    for (uint32_t page = 0; r == 0 && day->sealed && page < day->sealed->pages; page++) {
        page_key(day->number, day->sealed->generation, page, key);
        r = store_delete(txn, VAULT_IDS, text_from(key, sizeof(key)));
    }
    return r ? fault_pass(r) : 0;
}

static int put_day(const struct seal *seal, struct store_txn *txn)
{
    struct day after = *seal->day;
    uint8_t key[DAY_KEY_BYTES], bytes[DAY_BYTES];

    after.staged = after.sums;
    after.staged_runs = 0;
    after.pages = seal->made->pages;
    after.generation = seal->made->generation;
    day_key(after.number, key);
    day_encode(&after, bytes);
    return store_put(txn, VAULT_DAYS, text_from(key, sizeof(key)), text_from(bytes, sizeof(bytes)));
}

static int switch_over(struct seal *seals, size_t count)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(seals->vault->store, STORE_WRITE, &txn);

    if (r == 0)
        r = check_alone(seals, txn);
    for (size_t i = 0; r == 0 && i < count; i++)
        if ((r = put_slice(&seals[i], txn)) == 0 && (r = delete_old(&seals[i], txn)) == 0)
            r = put_day(&seals[i], txn);
    if (r)
        return fault_pass(r);
    return store_commit(&txn);
}

static int switch_over_in_time(struct seal *seals, size_t count)
{
    int r = switch_over(seals, count);

    for (int i = 1; r == FAULT_RETRY && i < SEAL_ATTEMPTS; i++)
        r = switch_over(seals, count);
    return r ? fault_pass(r) : 0;
}

/* --- the whole --- */

/* Writes all slices but the last, which stays in memory. */
static int make_slices(struct seal *seal, size_t held_ids)
{
    uint64_t slices = day_ids_count(seal->day) / held_ids + 1, width;

    if (slices > SEAL_SLICES_MAX) /* each reads all of the day's rows */
        slices = SEAL_SLICES_MAX;
    width = UINT64_MAX / slices;
    for (uint64_t i = 0; i < slices; i++) {
        bool is_last = i + 1 == slices;
        int r;

        seal->low = i * width + (i > 0);
        seal->high = is_last ? UINT64_MAX : (i + 1) * width;
        if ((r = read_slice(seal)) || (r = note_slice(seal)) ||
            (!is_last && (r = write_slice_in_time(seal))))
            return fault_pass(r);
    }
    if (seal->made->sum != seal->day->sums.ids)
        return damaged(seal, "a day's ids don't match its digest");
    return 0;
}

/* What the store says now. */
static void follow(struct seal *seal)
{
    struct day *day = seal->day;

    dedup_deinit(&day->ids);
    sealed_free(day->sealed);
    day->sealed = seal->made;
    seal->made = NULL;
    day->runs = day->staged_runs = 0;
    day->pages = day->sealed->pages;
    day->generation = day->sealed->generation;
}

static int seal_days(struct seal *seals, size_t count, size_t held_ids)
{
    for (size_t i = 0; i < count; i++) {
        int r = make_slices(&seals[i], held_ids);

        if (r)
            return fault_pass(r);
    }
    return switch_over_in_time(seals, count);
}

int vault_seal(struct vault *vault, struct tally *tally, struct day *const *days, size_t count,
               size_t held_ids)
{
    struct seal *seals = calloc(count, sizeof(*seals));
    int r;

    assert(tally->pending == 0 && count > 0 && held_ids > 0);
    if (!seals)
        abort();
    for (size_t i = 0; i < count; i++) {
        struct day *day = days[i];

        assert(day->is_open);
        seals[i] = (struct seal){.vault = vault, .tally = tally, .day = day};
        seals[i].made =
            sealed_new(day->sealed ? 1 - day->sealed->generation : 0, day_ids_count(day));
    }
    r = seal_days(seals, count, held_ids);
    for (size_t i = 0; i < count; i++) {
        if (r == 0)
            follow(&seals[i]);
        seal_deinit(&seals[i]);
    }
    free(seals);
    tally->days.has_sealed = tally->days.has_sealed || r == 0;
    return r ? fault_pass(r) : 0;
}
