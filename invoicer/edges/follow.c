#include "invoicer/edges/follow.h"

#include "common/base/fault.h"
#include "common/io/log.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/outbox.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { FOLLOW_MESSAGES_MAX = 500, FOLLOW_TRIES_MAX = 5 };

struct follow {
    enum topic topic;
    struct store *store;
    struct follower *follower;
    const char *position_name, *epoch_name;
    int64_t next, epoch;
};

static int read_positions(struct follow *follow)
{
    int r = books_read_number(follow->store, follow->position_name, -2, &follow->next);

    if (!r)
        r = books_read_number(follow->store, follow->epoch_name, -1, &follow->epoch);
    return r ? fault_pass(r) : 0;
}

int follow_new(const struct kafka_config *kafka, const char *bucket, enum topic topic,
               struct store *store, struct follow **follow)
{
    struct follow *made = calloc(1, sizeof(*made));
    char name[TOPIC_NAME_MAX];
    int r;

    assert(made && (topic == TOPIC_CATALOG || topic == TOPIC_INVOICES));
    made->topic = topic;
    made->store = store;
    made->position_name = topic == TOPIC_CATALOG ? "position/catalog" : "position/invoices";
    made->epoch_name = topic == TOPIC_CATALOG ? "epoch/catalog" : "epoch/invoices";
    topic_name(topic, bucket, name);
    r = read_positions(made);
    if (!r)
        r = follower_new(kafka, name, &made->next, 1, &made->follower);
    if (r) {
        follow_free(made);
        return fault_pass(r);
    }
    *follow = made;
    return 0;
}

struct follow *follow_free(struct follow *follow)
{
    if (follow && follow->follower)
        follower_free(follow->follower);
    free(follow);
    return NULL;
}

int64_t follow_next(const struct follow *follow)
{
    return follow->next;
}

int64_t follow_epoch(const struct follow *follow)
{
    return follow->epoch;
}

bool follow_is_caught_up(const struct follow *follow)
{
    return follower_is_caught_up(follow->follower);
}

/*
 * The record without its epoch, byte for byte, in *json, and parsed: ours begin with it. NULL when
 * it isn't one, or isn't JSON.
 */
static json_t *without_epoch(struct text value, int64_t *epoch, struct buffer *json)
{
    static const char before[] = "{\"epoch\":";
    json_t *record;
    char *end, *copy;

    if (!text_starts(value, before))
        return NULL;
    copy = text_copy(value);
    *epoch = strtoll(copy + strlen(before), &end, 10);
    if (*end == ',') {
        buffer_add_char(json, '{');
        buffer_add_string(json, end + 1);
    }
    free(copy);
    record = json_loadb(json->at ? json->at : "", json->length, 0, NULL);
    if (json_is_object(record))
        return record;
    json_decref(record);
    return NULL;
}

static int store_record(struct follow *follow, struct store_txn *txn, struct text key,
                        struct text json, const json_t *record, int64_t offset)
{
    int r;

    if (text_starts(key, "tenure/"))
        return 0;
    r = follow->topic == TOPIC_CATALOG ? books_catalog_put(txn, key, json, offset)
                                       : billed_take_parsed(txn, key, json, record);
    return r ? fault_pass(r) : 0;
}

/* Tombstones carry no epoch: only the invoicer that acts writes them, behind its own records. */
static int take_tombstone(struct follow *follow, struct store_txn *txn, struct text key)
{
    int r = follow->topic == TOPIC_CATALOG ? store_delete(txn, BOOKS_CATALOG, key) : 0;

    return r ? fault_pass(r) : 0;
}

/*
 * A record of an older epoch is ignored, but compaction will keep it and drop the valid one before
 * it. So whoever acts writes the valid one again, behind it.
 */
static int write_again(struct follow *follow, struct store_txn *txn, struct text key)
{
    CLEANUP(buffer_deinit) struct buffer held = {.length = 0};
    int64_t acting, offset, sequence;
    struct text json;
    int r = books_number(txn, "tenure/acting", 0, &acting);

    if (r || !acting || follow->topic != TOPIC_CATALOG || text_starts(key, "tenure/"))
        return r ? fault_pass(r) : 0;
    r = books_catalog_get(txn, key, &json, &offset);
    if (r)
        return r == STORE_NOT_FOUND ? 0 : fault_pass(r);
    buffer_add_text(&held, json);
    r = outbox_put(txn, TOPIC_CATALOG, key, buffer_text(&held), &sequence);
    return r ? fault_pass(r) : 0;
}

static int take_record(struct follow *follow, struct store_txn *txn,
                       const struct kafka_message *message, int64_t *epoch_seen)
{
    CLEANUP(buffer_deinit) struct buffer json = {.length = 0};
    int64_t epoch = 0;
    json_t *record = without_epoch(message->value, &epoch, &json);
    int r = 0;

    if (!record) {
        log_message(LOG_WARN, "foreign_record", "%s at offset %lld isn't a record of ours",
                    follow->topic == TOPIC_CATALOG ? "catalog" : "invoices",
                    (long long)message->offset);
        return 0;
    }
    if (epoch >= *epoch_seen) {
        *epoch_seen = epoch;
        r = store_record(follow, txn, message->key, buffer_text(&json), record, message->offset);
    } else {
        r = write_again(follow, txn, message->key);
    }
    json_decref(record);
    return r ? fault_pass(r) : 0;
}

static int take(struct follow *follow, struct store_txn *txn, const struct kafka_message *message,
                int64_t *epoch_seen)
{
    bool waits = false;
    int r;

    if (text_is_absent(message->key) || message->key.length == 0 ||
        message->key.length > STORE_KEY_BYTES_MAX)
        return 0;
    r = outbox_has(txn, follow->topic, message->key, &waits);
    if (r)
        return fault_pass(r);
    if (text_is_absent(message->value))
        r = waits ? 0 : take_tombstone(follow, txn, message->key);
    else if (!waits)
        r = take_record(follow, txn, message, epoch_seen);
    else if (text_starts(message->value, "{\"epoch\":")) {
        int64_t epoch = strtoll(message->value.at + 9, NULL, 10);

        if (epoch > *epoch_seen)
            *epoch_seen = epoch;
    }
    return r ? fault_pass(r) : 0;
}

/* Whether somebody else acted since this store's own tenure: its unsent writes are worth nothing.
 */
static int note_foreign(struct store_txn *txn, int64_t epoch)
{
    int64_t own, claimed;
    int r = books_number(txn, "tenure/epoch", -1, &own);

    if (!r)
        r = books_number(txn, "tenure/claimed", -1, &claimed);
    if (!r && epoch > own && epoch != claimed)
        r = books_set_number(txn, "tenure/foreign", 1);
    return r ? fault_pass(r) : 0;
}

static int take_all(struct follow *follow, const struct kafka_message *messages, int count,
                    int64_t *epoch)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(follow->store, STORE_WRITE, &txn);

    *epoch = follow->epoch;
    for (int i = 0; !r && i < count; i++)
        r = take(follow, txn, &messages[i], epoch);
    if (!r)
        r = note_foreign(txn, *epoch);
    if (!r)
        r = books_set_number(txn, follow->position_name, messages[count - 1].offset + 1);
    if (!r)
        r = books_set_number(txn, follow->epoch_name, *epoch);
    if (!r)
        r = store_commit(&txn);
    return r ? fault_pass(r) : 0;
}

int follow_step(struct follow *follow, int timeout_ms)
{
    struct kafka_message messages[FOLLOW_MESSAGES_MAX];
    int64_t epoch;
    int count = follower_poll(follow->follower, messages, FOLLOW_MESSAGES_MAX, timeout_ms);
    int r = FAULT_RETRY;

    if (count <= 0)
        return count < 0 ? fault_pass(count) : 0;
    /* A full map grows at the next try. */
    for (int i = 0; r == FAULT_RETRY && i < FOLLOW_TRIES_MAX; i++)
        r = take_all(follow, messages, count, &epoch);
    if (r)
        return fault_pass(r);
    follow->next = messages[count - 1].offset + 1;
    follow->epoch = epoch;
    return count;
}
