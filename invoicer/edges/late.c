#include "invoicer/edges/late.h"

#include "common/base/fault.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/books.h"
#include "invoicer/rules/hash128.h"

#include <stdlib.h>
#include <string.h>

struct late_record late_record_of(struct text json)
{
    struct late_record record;

    static_assert(sizeof(record.digest) == HASH128_BYTES, "a record is its hash");
    hash128(json, record.digest);
    return record;
}

/* Nearly every total is of a window that nobody's boundary has passed yet: one look tells. */
int late_note(struct store_txn *txn, struct text subscription, int64_t from_minute)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    int64_t latest, until;
    int r = books_number(txn, BILLED_LATEST, INT64_MIN, &latest);

    if (r || from_minute >= latest)
        return r ? fault_pass(r) : 0;
    r = billed_last(txn, subscription, &until);
    if (r || from_minute >= until)
        return r < 0 ? fault_pass(r) : 0;
    billed_key(&key, subscription, 'l');
    books_add_be64(&key, from_minute);
    r = store_put(txn, BOOKS_BILLED, buffer_text(&key), text_from("", 0));
    return r ? fault_pass(r) : 0;
}

int late_settled(struct store_txn *txn, struct text subscription, const struct late_record *record,
                 int64_t *next_minute)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    struct text value;
    int r;

    billed_key(&key, subscription, 's');
    r = store_get(txn, BOOKS_BILLED, buffer_text(&key), &value);
    if (r)
        return r == STORE_NOT_FOUND ? LATE_UNSETTLED : fault_pass(r);
    if (value.length != LATE_RECORD_BYTES + sizeof(*next_minute))
        return fault(FAULT_STOP, "the store holds a settled subscription that isn't one");
    if (memcmp(value.at, record->digest, LATE_RECORD_BYTES) != 0)
        return LATE_UNSETTLED;
    memcpy(next_minute, value.at + LATE_RECORD_BYTES, sizeof(*next_minute));
    return 0;
}

static int add_minute(void *context, struct text key, struct text value)
{
    struct buffer *minutes = context;
    int64_t minute = books_be64(key.at + key.length - sizeof(minute));

    (void)value;
    buffer_add(minutes, &minute, sizeof(minute));
    return 0;
}

int late_minutes(struct store_txn *txn, struct text subscription, int64_t **minutes, size_t *count)
{
    CLEANUP(buffer_deinit) struct buffer prefix = {0};
    struct buffer found = {0};
    int r;

    billed_key(&prefix, subscription, 'l');
    r = books_each(txn, BOOKS_BILLED, buffer_text(&prefix), add_minute, &found);
    if (r) {
        buffer_deinit(&found);
        return fault_pass(r);
    }
    *minutes = (int64_t *)(void *)found.at;
    *count = found.length / sizeof(**minutes);
    return 0;
}

static int forget_notes(struct store_txn *txn, struct text subscription)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    int64_t *minutes = NULL;
    size_t count = 0, prefix;
    int r = late_minutes(txn, subscription, &minutes, &count);

    billed_key(&key, subscription, 'l');
    prefix = key.length;
    for (size_t i = 0; !r && i < count; i++) {
        key.length = prefix;
        books_add_be64(&key, minutes[i]);
        r = store_delete(txn, BOOKS_BILLED, buffer_text(&key));
    }
    free(minutes);
    return r ? fault_pass(r) : 0;
}

int late_settle(struct store_txn *txn, struct text subscription, const struct late_record *record,
                int64_t next_minute)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    char value[LATE_RECORD_BYTES + sizeof(next_minute)];
    int r = forget_notes(txn, subscription);

    if (r)
        return fault_pass(r);
    billed_key(&key, subscription, 's');
    memcpy(value, record->digest, LATE_RECORD_BYTES);
    memcpy(value + LATE_RECORD_BYTES, &next_minute, sizeof(next_minute));
    r = store_put(txn, BOOKS_BILLED, buffer_text(&key), text_from(value, sizeof(value)));
    return r ? fault_pass(r) : 0;
}

int late_unsettle(struct store_txn *txn, struct text subscription)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    int r;

    billed_key(&key, subscription, 's');
    r = store_delete(txn, BOOKS_BILLED, buffer_text(&key));
    return r ? fault_pass(r) : 0;
}
