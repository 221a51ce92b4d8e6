#include "aggregator/edges/vault_parts.h"

#include "aggregator/rules/block.h"
#include "aggregator/rules/order.h"
#include "aggregator/rules/rollup.h"
#include "common/base/fault.h"
#include "proto/wire.h"

#include <assert.h>
#include <string.h>

const char VAULT_STATE_KEY[] = "state";
static const char followed_key[] = "followed";

static const char *const tables[VAULT_TABLES] = {
    [VAULT_STATE] = "state",       [VAULT_SERIES] = "series", [VAULT_NAMES] = "names",
    [VAULT_CELLS] = "cells",       [VAULT_IDS] = "ids",       [VAULT_UNIQUES] = "uniques",
    [VAULT_LEDGER] = "ledger",     [VAULT_DAYS] = "days",     [VAULT_NUMBERS] = "numbers",
    [VAULT_ACCOUNTS] = "accounts", [VAULT_CUTS] = "cuts",
};

/* --- values --- */

bool sealed_open(struct text key, struct text value, struct text *content)
{
    size_t body = value.length - CHECKSUM_BYTES;

    if (value.length < CHECKSUM_BYTES ||
        wire_load_u64((const uint8_t *)value.at + body) != block_checksum(key, value.at, body))
        return false;
    *content = text_from(value.at, body);
    return true;
}

void sealed_close(struct text key, struct buffer *content)
{
    uint8_t bytes[CHECKSUM_BYTES];

    wire_store_u64(bytes, block_checksum(key, content->at, content->length));
    buffer_add(content, bytes, sizeof(bytes));
}

void state_encode(const struct vault_state *state, uint8_t bytes[STATE_BYTES])
{
    wire_store_u32(bytes, (uint32_t)state->partition);
    wire_store_u32(bytes + 4, (uint32_t)state->partitions);
    wire_store_i64(bytes + 8, state->horizon_ms);
    wire_store_i64(bytes + 16, state->next_offset);
    wire_store_i64(bytes + 24, state->watermark_ms);
    wire_store_i64(bytes + 32, state->clock_ms);
    wire_store_i128(bytes + 40, (int128)state->gross);
    wire_store_i128(bytes + 56, (int128)state->ledger_sum);
    wire_store_i128(bytes + 72, (int128)state->digest);
    wire_store_i64(bytes + 88, state->published_offset);
    wire_store_u64(bytes + 96, state->last_message);
    wire_store_i128(bytes + 104, (int128)state->numbers_sum);
    wire_store_i128(bytes + 120, (int128)state->names_sum);
    wire_store_u64(bytes + 136, block_checksum(text_of(VAULT_STATE_KEY), bytes, 136));
}

static bool state_decode(struct text value, struct vault_state *state)
{
    const uint8_t *bytes = (const uint8_t *)value.at;

    if (value.length != STATE_BYTES ||
        wire_load_u64(bytes + 136) != block_checksum(text_of(VAULT_STATE_KEY), bytes, 136))
        return false;
    *state = (struct vault_state){
        .partition = (int32_t)wire_load_u32(bytes),
        .partitions = (int32_t)wire_load_u32(bytes + 4),
        .horizon_ms = wire_load_i64(bytes + 8),
        .next_offset = wire_load_i64(bytes + 16),
        .watermark_ms = wire_load_i64(bytes + 24),
        .clock_ms = wire_load_i64(bytes + 32),
        .gross = (uint128)wire_load_i128(bytes + 40),
        .ledger_sum = (uint128)wire_load_i128(bytes + 56),
        .digest = (uint128)wire_load_i128(bytes + 72),
        .published_offset = wire_load_i64(bytes + 88),
        .last_message = wire_load_u64(bytes + 96),
        .numbers_sum = (uint128)wire_load_i128(bytes + 104),
        .names_sum = (uint128)wire_load_i128(bytes + 120),
    };
    return true;
}

void id_key(int32_t day, uint32_t run, uint8_t key[ID_KEY_BYTES])
{
    order_store_u32(key, window_biased(day));
    order_store_u32(key + 4, run);
}

void page_key(int32_t day, uint32_t generation, uint32_t page, uint8_t key[ID_KEY_BYTES])
{
    id_key(day, PAGE_BIT | (generation ? PAGE_GENERATION : 0) | page, key);
}

/* --- the digest of a whole state --- */

uint128 vault_digest(const struct tally *tally, uint128 rest)
{
    int32_t quarters = tally->clock_ms == INT64_MIN
                           ? INT32_MIN
                           : rollup_first_quarter_day(tally->clock_ms, tally->horizon_ms);
    uint128 digest = rest;

    for (struct day *day = days_next(&tally->days, INT32_MIN); day;
         day = days_next(&tally->days, (int64_t)day->number + 1)) {
        struct day_sums sums = day->is_dirty ? day->staged : day->sums;

        if (day->number < tally->first_open_day)
            sums.ids = sums.levels[LEVEL_MINUTE] = 0;
        if (day->number < quarters)
            sums.levels[LEVEL_QUARTER] = 0;
        digest += digest_day(day->number, &sums);
    }
    return digest;
}

/* --- opening --- */

int vault_open(const char *folder, int64_t map_bytes, struct vault *vault)
{
    struct vault opened = {.state = {.published_offset = 0, .followed = VAULT_UNFOLLOWED}};
    struct store_formats formats = {.least = VAULT_FORMAT_LEAST, .current = VAULT_FORMAT};
    int r = store_open_since(folder, tables, VAULT_TABLES, map_bytes, formats, &opened.store);

    if (r)
        return fault_pass(r);
    *vault = opened;
    return 0;
}

void vault_close(struct vault *vault)
{
    store_close(vault->store);
    *vault = (struct vault){0};
}

int vault_write_followed(struct store_txn *txn, int64_t followed)
{
    struct text key = text_of(followed_key);
    uint8_t bytes[FOLLOWED_BYTES];

    wire_store_i64(bytes, followed);
    wire_store_u64(bytes + 8, block_checksum(key, bytes, 8));
    return store_put(txn, VAULT_STATE, key, text_from(bytes, sizeof(bytes)));
}

static int read_followed(struct store_txn *txn, struct vault_state *state)
{
    struct text key = text_of(followed_key), value, content;
    int r = store_get(txn, VAULT_STATE, key, &value);

    state->followed = VAULT_UNFOLLOWED;
    if (r == STORE_NOT_FOUND)
        return 0;
    if (r)
        return fault_pass(r);
    if (value.length != FOLLOWED_BYTES || !sealed_open(key, value, &content))
        return VAULT_DAMAGED;
    state->followed = wire_load_i64((const uint8_t *)content.at);
    return 0;
}

int vault_read_state(struct store_txn *txn, struct vault_state *state)
{
    struct text value;
    int r = store_get(txn, VAULT_STATE, text_of(VAULT_STATE_KEY), &value);

    if (r == STORE_NOT_FOUND)
        return VAULT_EMPTY;
    if (r)
        return fault_pass(r);
    return state_decode(value, state) ? read_followed(txn, state) : VAULT_DAMAGED;
}

int vault_peek(const char *folder, struct vault_state *state)
{
    CLEANUP(vault_close) struct vault vault = {0};
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = vault_open(folder, 1 << 20, &vault);

    if (r)
        return fault_pass(r);
    r = store_begin(vault.store, STORE_READ, &txn);
    if (r)
        return fault_pass(r);
    return vault_read_state(txn, state);
}

/* --- what has aged --- */

enum { PRUNE_ROWS_MAX = 4000 };

/* Deletes rows from the one at or after `first` to the one before `end`. */
static int prune_range(struct store_txn *txn, enum vault_table table, struct text first,
                       struct text end, size_t *left)
{
    uint8_t copy[STORE_KEY_BYTES_MAX];

    while (*left > 0) {
        struct text key = first, value;
        int r = store_seek(txn, table, &key, &value);

        if (r == STORE_NOT_FOUND || (r == 0 && text_compare(key, end) >= 0))
            return 0;
        if (r)
            return fault_pass(r);
        memcpy(copy, key.at, key.length);
        r = store_delete(txn, table, text_from(copy, key.length));
        if (r)
            return fault_pass(r);
        (*left)--;
    }
    return 0;
}

static int prune_level(struct store_txn *txn, enum level level, int64_t first_day, size_t *left)
{
    uint8_t first[5] = {(uint8_t)level}, end[5] = {(uint8_t)level};
    int64_t window = level_window(level, first_day * MINUTES_A_DAY);
    int r;

    order_store_u32(end + 1, window_biased(window));
    r = prune_range(txn, VAULT_CELLS, text_from(first, 1), text_from(end, sizeof(end)), left);
    if (r)
        return fault_pass(r);
    return prune_range(txn, VAULT_UNIQUES, text_from(first, 1), text_from(end, sizeof(end)), left);
}

int vault_prune(struct store_txn *txn, const struct tally *tally)
{
    static const uint8_t zeros[4];
    uint8_t end[4];
    size_t left = PRUNE_ROWS_MAX;
    int32_t quarters;
    int r;

    if (tally->first_open_day == INT32_MIN)
        return 0;
    quarters = rollup_first_quarter_day(tally->clock_ms, tally->horizon_ms);
    order_store_u32(end, window_biased(tally->first_open_day));
    r = prune_range(txn, VAULT_IDS, text_from(zeros, sizeof(zeros)), text_from(end, sizeof(end)),
                    &left);
    if (r)
        return fault_pass(r);
    r = prune_level(txn, LEVEL_MINUTE, tally->first_open_day, &left);
    if (r)
        return fault_pass(r);
    return prune_level(txn, LEVEL_QUARTER, quarters, &left);
}
