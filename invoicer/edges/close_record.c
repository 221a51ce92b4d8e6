#include "invoicer/edges/close_record.h"

#include "common/base/fault.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/mirror.h"
#include "invoicer/edges/outbox.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const char *const state_names[] = {
    [CLOSE_WAITING] = "waiting", [CLOSE_BILLING] = "billing", [CLOSE_DONE] = "done"};

void close_id(const struct close_request *request, char id[CLOSE_ID_MAX])
{
    char at[INSTANT_TEXT_MAX];

    instant_format(request->at, at);
    snprintf(id, CLOSE_ID_MAX, "%s%s%s", at, request->only ? "/" : "",
             request->only ? request->only : "");
}

static int read_record(struct text id, struct text json, struct close_record *record)
{
    struct close_record read = {.state = CLOSE_DONE};
    json_t *object = json_loadb(json.at, json.length, 0, NULL);
    const char *at = json_string_value(json_object_get(object, "at"));
    const char *only = json_string_value(json_object_get(object, "only"));
    const char *state = json_string_value(json_object_get(object, "state"));
    bool is_read =
        at && state && id.length < CLOSE_ID_MAX && instant_parse(text_of(at), &read.at) == 0;

    if (is_read) {
        memcpy(read.id, id.at, id.length);
        snprintf(read.only, sizeof(read.only), "%s", only ? only : "");
        read.interval_ms = json_integer_value(json_object_get(object, "interval_ms"));
        for (enum close_state i = CLOSE_WAITING; i <= CLOSE_DONE; i++)
            if (strcmp(state, state_names[i]) == 0)
                read.state = i;
        *record = read;
    }
    json_decref(object);
    return is_read ? 0 : fault(FAULT_STOP, "the store holds a close that isn't one");
}

/* Visits the closes, in order, until `visit` returns other than 0. Behind each stand its invoices,
 * perhaps millions: they are passed over. */
static int each_close(struct store_txn *txn,
                      int (*visit)(void *context, struct text key, struct text value),
                      void *context)
{
    CLEANUP(store_cursor_drop) struct store_cursor *cursor = NULL;
    CLEANUP(buffer_deinit) struct buffer behind = {0};
    struct text key = text_from("", 0), value;
    int r = store_cursor_new(txn, BOOKS_CLOSES, &cursor);

    if (!r)
        r = store_cursor_seek(cursor, &key, &value);
    while (r == 0) {
        const char *zero = memchr(key.at, '\0', key.length);

        r = zero ? 0 : visit(context, key, value);
        if (r)
            return r < 0 ? fault_pass(r) : 0;
        buffer_clear(&behind);
        buffer_add(&behind, key.at, zero ? (size_t)(zero - key.at) : key.length);
        buffer_add_char(&behind, '\1');
        key = buffer_text(&behind);
        r = store_cursor_seek(cursor, &key, &value);
    }
    return r < 0 ? fault_pass(r) : 0;
}

struct search {
    struct close_record record;
    bool found;
};

static int look_at(void *context, struct text key, struct text value)
{
    struct search *search = context;
    int r = read_record(key, value, &search->record);

    if (r)
        return fault_pass(r);
    search->found = search->record.state != CLOSE_DONE;
    return search->found;
}

int close_record_unfinished(struct store_txn *txn, struct close_record *record)
{
    struct search search = {.found = false};
    int r = each_close(txn, look_at, &search);

    if (r)
        return fault_pass(r);
    if (!search.found)
        return CLOSE_RECORD_NONE;
    *record = search.record;
    return 0;
}

int close_record_get(struct store_txn *txn, const char *id, struct close_record *record)
{
    struct text value;
    int r = store_get(txn, BOOKS_CLOSES, text_of(id), &value);

    if (r == STORE_NOT_FOUND)
        return CLOSE_RECORD_NONE;
    if (!r)
        r = read_record(text_of(id), value, record);
    return r ? fault_pass(r) : 0;
}

int close_none_is_under_way(struct store_txn *txn)
{
    struct close_record record;
    int r = close_record_unfinished(txn, &record);

    if (r == CLOSE_RECORD_NONE)
        return 0;
    if (r)
        return fault_pass(r);
    return fault(FAULT_RETRY, "the close %s is under way: `invoicer close` continues it",
                 record.id);
}

static int put(struct store_txn *txn, const char *id, const json_t *object, int64_t *sequence)
{
    char *json = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    struct buffer key = {0};
    int r;

    buffer_printf(&key, "close/%s", id);
    r = billed_take(txn, buffer_text(&key), text_of(json));
    if (!r)
        r = outbox_put(txn, TOPIC_INVOICES, buffer_text(&key), text_of(json), sequence);
    buffer_deinit(&key);
    free(json);
    return r ? fault_pass(r) : 0;
}

static int digest_record(void *context, struct text key, struct text value)
{
    if (text_starts(key, "key/"))
        return 0;
    XXH3_128bits_update(context, key.at, key.length);
    XXH3_128bits_update(context, value.at + sizeof(int64_t), value.length - sizeof(int64_t));
    return 0;
}

/* XXH3-128 over the catalog's records but the keys. */
static int catalog_digest(struct store_txn *txn, char hex[33])
{
    XXH3_state_t *state = XXH3_createState();
    XXH128_canonical_t digest;
    int r;

    XXH3_128bits_reset(state);
    r = books_each(txn, BOOKS_CATALOG, text_from("", 0), digest_record, state);
    XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    for (size_t i = 0; i < sizeof(digest.digest); i++)
        snprintf(hex + 2 * i, 3, "%02x", digest.digest[i]);
    return r ? fault_pass(r) : 0;
}

int close_record_begin(struct store_txn *txn, const struct close_request *request,
                       const int64_t *targets, int32_t partitions, int64_t catalog_next,
                       int64_t *sequence)
{
    char id[CLOSE_ID_MAX], at[INSTANT_TEXT_MAX], digest[33];
    json_t *object, *list = json_array();
    int r = catalog_digest(txn, digest);

    close_id(request, id);
    instant_format(request->at, at);
    for (int32_t i = 0; i < partitions; i++)
        json_array_append_new(list, json_integer(targets[i]));
    object = json_pack("{s:s,s:s,s:I,s:s,s:I,s:o}", "state", state_names[CLOSE_WAITING], "at", at,
                       "interval_ms", (json_int_t)request->interval_ms, "digest", digest,
                       "catalogNext", (json_int_t)catalog_next, "targets", list);
    if (request->only)
        json_object_set_new(object, "only", json_string(request->only));
    if (!r)
        r = put(txn, id, object, sequence);
    if (!r)
        r = mirror_freeze(txn, targets, (size_t)partitions, catalog_next,
                          instant_minute(request->at) - request->interval_ms / 60000);
    json_decref(object);
    return r ? fault_pass(r) : 0;
}

static int load(struct store_txn *txn, const char *id, json_t **object)
{
    struct text value;
    int r = store_get(txn, BOOKS_CLOSES, text_of(id), &value);

    *object = r == 0 ? json_loadb(value.at, value.length, 0, NULL) : NULL;
    if (!*object)
        return fault(FAULT_STOP, "the close %s can't be read", id);
    return 0;
}

static int add_positions(struct store_txn *txn, int32_t partitions, json_t *object)
{
    json_t *list = json_array();
    int r = 0;

    for (int32_t i = 0; !r && i < partitions; i++) {
        struct counters_mark mark;

        r = mirror_mark(txn, i, &mark);
        if (r == 0)
            json_array_append_new(list, json_pack("{s:i,s:I,s:I,s:s}", "partition", (int)i,
                                                  "nextOffset", (json_int_t)mark.next_offset,
                                                  "catalogOffset", (json_int_t)mark.catalog_offset,
                                                  "digest", mark.digest));
        else if (r > 0)
            r = fault(FAULT_STOP, "partition %d has no mark to bill from", (int)i);
    }
    json_object_set_new(object, "positions", list);
    return r ? fault_pass(r) : 0;
}

int close_record_bill(struct store_txn *txn, const struct close_record *record, int32_t partitions,
                      int64_t *sequence)
{
    json_t *object = NULL;
    int r = load(txn, record->id, &object);

    if (!r)
        r = add_positions(txn, partitions, object);
    if (!r) {
        json_object_set_new(object, "state", json_string(state_names[CLOSE_BILLING]));
        r = put(txn, record->id, object, sequence);
    }
    json_decref(object);
    return r ? fault_pass(r) : 0;
}

int close_record_finish(struct store_txn *txn, const struct close_record *record, int64_t *sequence)
{
    json_t *object = NULL;
    int r = load(txn, record->id, &object);

    if (!r) {
        json_object_set_new(object, "state", json_string(state_names[CLOSE_DONE]));
        r = put(txn, record->id, object, sequence);
    }
    json_decref(object);
    return r ? fault_pass(r) : 0;
}
