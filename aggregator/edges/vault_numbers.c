/*
 * The numbers of numbered sources: chunks that a batch asks for are read, dirty ones written, all
 * of them walked and summed at a load.
 */
#include "aggregator/edges/vault_parts.h"

#include "common/base/fault.h"

#include <assert.h>
#include <string.h>

struct place { /* a row, taken out of its transaction */
    struct numbered_key key;
    struct numbered_row row;
};

static int damaged(const struct tally *tally)
{
    return fault(FAULT_STOP, "partition %d: a row of numbers is damaged", tally->partition);
}

static bool open_row(struct text key, struct text value, struct place *place)
{
    struct text content;

    return numbered_key_decode(key, &place->key) && sealed_open(key, value, &content) &&
           numbered_row_decode(content, &place->row);
}

/* The last row before or at the key; STORE_NOT_FOUND when it is another source's or none. */
static int row_at(struct store_txn *txn, const struct tally *tally, const struct numbered_key *key,
                  struct place *place)
{
    uint8_t bytes[NUMBERED_KEY_BYTES];
    CLEANUP(store_cursor_drop) struct store_cursor *cursor = NULL;
    struct text found = {(char *)bytes, sizeof(bytes)}, value;
    int r = store_cursor_new(txn, VAULT_NUMBERS, &cursor);

    numbered_key_encode(key, bytes);
    if (r == 0)
        r = store_cursor_seek(cursor, &found, &value);
    if (r == STORE_NOT_FOUND)
        r = store_cursor_last(cursor, &found, &value);
    else if (r == 0 && text_compare(found, text_from(bytes, sizeof(bytes))) > 0)
        r = store_cursor_previous(cursor, &found, &value);
    if (r)
        return r < 0 ? fault_pass(r) : r;
    if (!open_row(found, value, place))
        return damaged(tally);
    return memcmp(place->key.source, key->source, sizeof(key->source)) ? STORE_NOT_FOUND : 0;
}

int vault_load_chunk(struct store_txn *txn, struct tally *tally, const struct numbered_key *key)
{
    static const uint64_t none[NUMBERED_WORDS];
    struct place place;
    int r = row_at(txn, tally, key, &place);

    if (r < 0)
        return fault_pass(r);
    if (r == 0 && key->chunk - place.key.chunk < place.row.span)
        numbered_load(&tally->numbered, key, place.row.bits);
    else
        numbered_load(&tally->numbered, key, none);
    return 0;
}

/* --- writing --- */

static int put_row(struct store_txn *txn, const struct place *place, struct buffer *value)
{
    uint8_t key[NUMBERED_KEY_BYTES], bytes[NUMBERED_ROW_MAX];

    numbered_key_encode(&place->key, key);
    buffer_clear(value);
    buffer_add(value, bytes, numbered_row_encode(&place->row, bytes));
    sealed_close(text_from(key, sizeof(key)), value);
    return store_put(txn, VAULT_NUMBERS, text_from(key, sizeof(key)), buffer_text(value));
}

static int delete_row(struct store_txn *txn, const struct numbered_key *key)
{
    uint8_t bytes[NUMBERED_KEY_BYTES];

    numbered_key_encode(key, bytes);
    return store_delete(txn, VAULT_NUMBERS, text_from(bytes, sizeof(bytes)));
}

/* Joins the full row with the full ones before and behind it, whose rows go. */
static int join_full(struct store_txn *txn, const struct tally *tally, struct place *place)
{
    struct numbered_key key = place->key;
    struct place other;
    int r;

    key.chunk++;
    r = row_at(txn, tally, &key, &other);
    if (r == 0 && other.key.chunk == key.chunk && numbered_is_full(other.row.bits)) {
        place->row.span += other.row.span;
        r = delete_row(txn, &key);
    }
    if (r < 0)
        return fault_pass(r);
    if (place->key.chunk == 0)
        return 0;
    key.chunk = place->key.chunk - 1;
    r = row_at(txn, tally, &key, &other);
    if (r == 0 && numbered_is_full(other.row.bits) &&
        other.key.chunk + other.row.span == place->key.chunk) {
        r = delete_row(txn, &place->key);
        place->key.chunk = other.key.chunk;
        place->row.span += other.row.span;
    }
    return r < 0 ? fault_pass(r) : 0;
}

int vault_write_numbers(struct store_txn *txn, struct tally *tally, struct buffer *value,
                        uint128 *sum)
{
    struct numbered *numbered = &tally->numbered;

    *sum = numbered->sum;
    numbered_sort(numbered);
    for (uint64_t i = 0; i < numbered->dirty_count; i++) {
        const struct numbered_chunk *chunk = numbered->dirty[i];
        struct place place = {.key = chunk->key, .row.span = 1};
        int r = 0;

        *sum += numbered_digest(&chunk->key, chunk->bits) - chunk->stored;
        memcpy(place.row.bits, chunk->bits, sizeof(chunk->bits));
        if (numbered_is_full(chunk->bits))
            r = join_full(txn, tally, &place);
        if (r == 0)
            r = put_row(txn, &place, value);
        if (r)
            return fault_pass(r);
    }
    return 0;
}

/* --- at a load --- */

bool vault_sum_numbers(struct text key, struct text value, uint128 *sum)
{
    struct place place;

    if (!open_row(key, value, &place) ||
        place.row.span > UINT64_MAX / NUMBERED_BITS - place.key.chunk + 1)
        return false;
    for (; place.row.span > 0; place.row.span--, place.key.chunk++)
        *sum += numbered_digest(&place.key, place.row.bits);
    return true;
}
