#include "invoicer/edges/outbox.h"

#include "common/base/fault.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/books.h"
#include "invoicer/rules/hash128.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { PENDING_KEY_MAX = 200 };

/* One message that was sent. */
struct slot {
    int64_t sequence;
    enum topic topic;
    int64_t offset; /* -1: not known yet */
    bool failed;
    struct delivery *delivery; /* while unresolved */
    struct buffer key;
};

struct outbox {
    struct store *store;
    char topics[TOPIC_COUNT][TOPIC_NAME_MAX];
    struct slot slots[OUTBOX_IN_FLIGHT_MAX];
    size_t head, count;
    int64_t next; /* sequence to send next */
    size_t unresolved;
    bool has_failed; /* one was given up: once all are resolved, start again */
};

/* How a stored message's value is to be had. */
enum form { FORM_JSON, FORM_TOMBSTONE, FORM_INVOICE };

struct message {
    enum topic topic;
    enum form form;
    struct text key, rest; /* the JSON; the close of an invoice, which the store holds */
};

/* Stored: topic u8, form u8, key length u16, key, rest. */
static void pack(struct buffer *value, const struct message *message)
{
    uint16_t length = (uint16_t)message->key.length;

    assert(message->key.length <= UINT16_MAX);
    buffer_add_char(value, (char)message->topic);
    buffer_add_char(value, (char)message->form);
    buffer_add(value, &length, sizeof(length));
    buffer_add_text(value, message->key);
    buffer_add_text(value, message->rest);
}

static int unpack(struct text value, struct message *message)
{
    uint16_t length;

    if (value.length < 4)
        return fault(FAULT_STOP, "the outbox holds half a message");
    memcpy(&length, value.at + 2, sizeof(length));
    if (value.length < 4u + length || value.at[0] < 0 || value.at[0] >= TOPIC_COUNT ||
        value.at[1] < 0 || value.at[1] > FORM_INVOICE)
        return fault(FAULT_STOP, "the outbox holds a message that isn't one");
    *message = (struct message){
        .topic = (enum topic)value.at[0],
        .form = (enum form)value.at[1],
        .key = text_from(value.at + 4, length),
        .rest = text_from(value.at + 4 + length, value.length - 4 - length),
    };
    return 0;
}

/* A key as it is, so that neighbours stay neighbours in the store; a long one's hash. */
static void pending_key(enum topic topic, struct text key, struct buffer *out)
{
    uint8_t hash[HASH128_BYTES];

    buffer_add_char(out, (char)topic);
    buffer_add_char(out, key.length > PENDING_KEY_MAX);
    if (key.length <= PENDING_KEY_MAX) {
        buffer_add_text(out, key);
        return;
    }
    hash128(key, hash);
    buffer_add(out, hash, sizeof(hash));
}

static void sequence_key(int64_t sequence, struct buffer *key)
{
    buffer_clear(key);
    books_add_be64(key, sequence);
}

static int put(struct store_txn *txn, const struct message *message, int64_t *sequence)
{
    CLEANUP(buffer_deinit) struct buffer at = {0}, value = {0}, pending = {0};
    int64_t next;
    int r = books_number(txn, "outbox/next", 0, &next);

    if (r)
        return fault_pass(r);
    sequence_key(next, &at);
    pack(&value, message);
    pending_key(message->topic, message->key, &pending);
    r = store_append(txn, BOOKS_OUTBOX, buffer_text(&at), buffer_text(&value));
    if (!r)
        r = store_put(txn, BOOKS_PENDING, buffer_text(&pending), text_from(&next, sizeof(next)));
    if (!r)
        r = books_set_number(txn, "outbox/next", next + 1);
    if (r)
        return fault_pass(r);
    *sequence = next;
    return 0;
}

int outbox_put(struct store_txn *txn, enum topic topic, struct text key, struct text json,
               int64_t *sequence)
{
    struct message message = {topic, text_is_absent(json) ? FORM_TOMBSTONE : FORM_JSON, key, json};
    int r;

    assert(text_is_absent(json) || (json.length > 2 && json.at[0] == '{'));
    r = put(txn, &message, sequence);
    return r ? fault_pass(r) : 0;
}

int outbox_put_invoice(struct store_txn *txn, struct text id, struct text close, int64_t *sequence)
{
    struct message message = {TOPIC_INVOICES, FORM_INVOICE, id, close};
    int r = put(txn, &message, sequence);

    return r ? fault_pass(r) : 0;
}

int outbox_has(struct store_txn *txn, enum topic topic, struct text key, bool *waits)
{
    CLEANUP(buffer_deinit) struct buffer pending = {0};
    struct text value;
    int r;

    pending_key(topic, key, &pending);
    r = store_get(txn, BOOKS_PENDING, buffer_text(&pending), &value);
    if (r < 0)
        return fault_pass(r);
    *waits = r == 0;
    return 0;
}

int outbox_confirmed(struct store_txn *txn, int64_t *sequence)
{
    int r = books_number(txn, "outbox/confirmed", -1, sequence);

    return r ? fault_pass(r) : 0;
}

int outbox_is_empty(struct store_txn *txn, bool *is_empty)
{
    struct text key = text_from("", 0), value;
    int r = store_seek(txn, BOOKS_OUTBOX, &key, &value);

    if (r < 0)
        return fault_pass(r);
    *is_empty = r == STORE_NOT_FOUND;
    return 0;
}

struct outbox *outbox_new(struct store *store, const char *bucket)
{
    struct outbox *outbox = calloc(1, sizeof(*outbox));

    assert(outbox);
    outbox->store = store;
    for (enum topic i = 0; i < TOPIC_COUNT; i++)
        topic_name(i, bucket, outbox->topics[i]);
    return outbox;
}

struct outbox *outbox_free(struct outbox *outbox)
{
    if (!outbox)
        return NULL;
    for (size_t i = 0; i < OUTBOX_IN_FLIGHT_MAX; i++)
        buffer_deinit(&outbox->slots[i].key);
    free(outbox);
    return NULL;
}

struct delivery {
    struct outbox *outbox;
    struct slot *slot; /* NULL: nobody asks any more */
};

static void forget_delivery(struct slot *slot)
{
    if (slot->delivery)
        slot->delivery->slot = NULL;
    slot->delivery = NULL;
}

void outbox_restart(struct outbox *outbox)
{
    for (size_t i = 0; i < OUTBOX_IN_FLIGHT_MAX; i++)
        forget_delivery(&outbox->slots[i]);
    outbox->unresolved = 0;
    outbox->head = outbox->count = 0;
    outbox->next = 0;
    outbox->has_failed = false;
}

static void on_delivered(void *context, int64_t offset, const char *why)
{
    struct delivery *delivery = context;

    (void)why;
    if (delivery->slot) {
        delivery->outbox->unresolved--;
        delivery->slot->delivery = NULL;
        delivery->slot->offset = offset;
        if (offset < 0)
            delivery->outbox->has_failed = delivery->slot->failed = true;
    }
    free(delivery);
}

/* The object with the epoch as its first member, and an invoice's close as its second. */
static int write_value(struct store_txn *txn, const struct message *message, int64_t epoch,
                       struct buffer *value)
{
    struct text json = message->rest;
    int r;

    if (message->form == FORM_TOMBSTONE)
        return 0;
    buffer_printf(value, "{\"epoch\":%lld,", (long long)epoch);
    if (message->form == FORM_INVOICE) {
        r = billed_invoice_of(txn, message->rest, message->key, &json);
        if (r)
            return fault_pass(r);
        buffer_add_string(value, "\"close\":\"");
        buffer_add_text(value, message->rest);
        buffer_add_string(value, "\",");
    }
    buffer_add(value, json.at + 1, json.length - 1);
    return 0;
}

static int send_message(struct outbox *outbox, struct producer *producer, int64_t sequence,
                        const struct message *stored, struct text value)
{
    struct slot *slot = &outbox->slots[(outbox->head + outbox->count) % OUTBOX_IN_FLIGHT_MAX];
    struct kafka_message message = {.partition = 0, .key = stored->key, .value = value};
    struct delivery *delivery = malloc(sizeof(*delivery));
    int r;

    assert(delivery);
    *delivery = (struct delivery){outbox, slot};
    slot->topic = stored->topic;
    slot->sequence = sequence;
    slot->offset = -1;
    slot->failed = false;
    buffer_clear(&slot->key);
    buffer_add_text(&slot->key, stored->key);
    r = producer_send(producer, outbox->topics[slot->topic], &message, on_delivered, delivery);
    if (r) {
        free(delivery);
        return r == PRODUCER_FULL ? PRODUCER_FULL : fault_pass(r);
    }
    slot->delivery = delivery;
    outbox->count++;
    outbox->unresolved++;
    outbox->next = sequence + 1;
    return 0;
}

static int send_one(struct outbox *outbox, struct store_txn *txn, struct producer *producer,
                    int64_t epoch, int64_t sequence, struct text stored)
{
    CLEANUP(buffer_deinit) struct buffer value = {0};
    struct message message = {.form = FORM_JSON};
    int r = unpack(stored, &message);

    if (!r)
        r = write_value(txn, &message, epoch, &value);
    if (!r)
        r = send_message(outbox, producer, sequence, &message,
                         value.length ? buffer_text(&value) : text_of(NULL));
    return r < 0 ? fault_pass(r) : r;
}

int outbox_send(struct outbox *outbox, struct producer *producer, int64_t epoch)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    CLEANUP(store_cursor_drop) struct store_cursor *cursor = NULL;
    struct buffer start = {0};
    struct text key, value;
    int r;

    if (outbox->has_failed) {
        if (outbox->unresolved)
            return 0;
        outbox_restart(outbox);
    }
    r = store_begin(outbox->store, STORE_READ, &txn);
    if (!r)
        r = store_cursor_new(txn, BOOKS_OUTBOX, &cursor);
    if (r)
        return fault_pass(r);
    sequence_key(outbox->next, &start);
    key = buffer_text(&start);
    r = store_cursor_seek(cursor, &key, &value);
    while (r == 0 && outbox->count < OUTBOX_IN_FLIGHT_MAX) {
        r = send_one(outbox, txn, producer, epoch, books_be64(key.at), value);
        if (!r)
            r = store_cursor_next(cursor, &key, &value);
    }
    buffer_deinit(&start);
    return r < 0 ? fault_pass(r) : 0; /* the end, or a full queue: the rest goes next time */
}

/* The record stands at its offset from now on. */
static int note_offset(struct store_txn *txn, const struct slot *slot)
{
    CLEANUP(buffer_deinit) struct buffer copy = {0};
    struct text json;
    int64_t offset;
    int r = books_catalog_get(txn, buffer_text(&slot->key), &json, &offset);

    if (r)
        return r < 0 ? fault_pass(r) : 0;
    buffer_add_text(&copy, json);
    r = books_catalog_put(txn, buffer_text(&slot->key), buffer_text(&copy), slot->offset);
    return r ? fault_pass(r) : 0;
}

static int confirm_one(struct store_txn *txn, const struct slot *slot)
{
    CLEANUP(buffer_deinit) struct buffer at = {0}, pending = {0};
    int64_t last = -1;
    struct text value;
    int r;

    sequence_key(slot->sequence, &at);
    r = store_delete(txn, BOOKS_OUTBOX, buffer_text(&at));
    if (r)
        return fault_pass(r);
    pending_key(slot->topic, buffer_text(&slot->key), &pending);
    r = store_get(txn, BOOKS_PENDING, buffer_text(&pending), &value);
    if (r < 0)
        return fault_pass(r);
    if (r == 0 && value.length == sizeof(last))
        memcpy(&last, value.at, sizeof(last));
    if (last != slot->sequence)
        return 0; /* a newer one with this key waits */
    r = store_delete(txn, BOOKS_PENDING, buffer_text(&pending));
    if (!r && slot->topic == TOPIC_CATALOG)
        r = note_offset(txn, slot);
    return r ? fault_pass(r) : 0;
}

static bool is_read_back(const struct slot *slot, int64_t catalog_next, int64_t invoices_next)
{
    return slot->offset >= 0 && !slot->failed &&
           slot->offset < (slot->topic == TOPIC_CATALOG ? catalog_next : invoices_next);
}

int outbox_confirm(struct outbox *outbox, int64_t catalog_next, int64_t invoices_next)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int64_t confirmed = -1;
    size_t count = 0;
    int r;

    while (count < outbox->count &&
           is_read_back(&outbox->slots[(outbox->head + count) % OUTBOX_IN_FLIGHT_MAX], catalog_next,
                        invoices_next))
        count++;
    if (count == 0)
        return 0;
    r = store_begin(outbox->store, STORE_WRITE, &txn);
    if (r)
        return fault_pass(r);
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = &outbox->slots[(outbox->head + i) % OUTBOX_IN_FLIGHT_MAX];

        r = confirm_one(txn, slot);
        if (r)
            return fault_pass(r);
        confirmed = slot->sequence;
    }
    r = books_set_number(txn, "outbox/confirmed", confirmed);
    if (!r)
        r = store_commit(&txn);
    if (r)
        return fault_pass(r);
    outbox->head = (outbox->head + count) % OUTBOX_IN_FLIGHT_MAX;
    outbox->count -= count;
    return 0;
}
