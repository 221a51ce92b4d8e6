#include "aggregator/rules/ledger.h"

#include "aggregator/rules/block.h"
#include "aggregator/rules/pages.h"
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { LEDGER_FIRST_ROOM = 64, KEY_NOBODY = 0, KEY_SUBSCRIPTION = 1, COLUMN_HEAD = 9 };

_Static_assert(LEDGER_COLUMNS * 8 == sizeof(struct account_counts), "columns are fields");

void ledger_deinit(struct ledger *ledger)
{
    arena_deinit(&ledger->texts);
    pages_free(ledger->accounts, ledger->room * sizeof(*ledger->accounts));
    pages_free(ledger->counted, ledger->room * sizeof(*ledger->counted));
    free(ledger->misplaced);
    free(ledger->names);
    free(ledger->dirty.counts);
    free(ledger->dirty.cuts);
    index_deinit(&ledger->by_subscription);
    *ledger = (struct ledger){0};
}

static uint64_t hash_of(struct text subscription)
{
    return XXH3_64bits_withSeed(subscription.at ? subscription.at : "", subscription.length,
                                text_is_absent(subscription));
}

static bool equal(const void *owner, uint32_t id, const void *wanted)
{
    const struct ledger *ledger = owner;

    return text_equal(ledger->names[id], *(const struct text *)wanted);
}

uint32_t ledger_find(const struct ledger *ledger, struct text subscription)
{
    return index_find(&ledger->by_subscription, hash_of(subscription), equal, ledger,
                      &subscription);
}

static uint64_t *widened(uint64_t *words, uint32_t count, uint32_t room)
{
    words = realloc(words, room * sizeof(*words));
    if (!words)
        abort();
    memset(words + count, 0, (room - count) * sizeof(*words));
    return words;
}

static void *lengthened(void *rows, size_t size, uint32_t old_room, uint32_t room)
{
    return pages_grow(rows, old_room * size, room * size);
}

static void widen(struct ledger *ledger)
{
    uint32_t room = ledger->room ? ledger->room * 2 : LEDGER_FIRST_ROOM;
    uint32_t blocks = room / LEDGER_ROWS, words = (blocks + 63) / 64;

    if (!ledger->room)
        arena_init(&ledger->texts, SIZE_MAX);
    ledger->names = realloc(ledger->names, room * sizeof(*ledger->names));
    if (!ledger->names)
        abort();
    ledger->accounts = lengthened(ledger->accounts, sizeof(*ledger->accounts), ledger->room, room);
    ledger->counted = lengthened(ledger->counted, sizeof(*ledger->counted), ledger->room, room);
    ledger->misplaced = widened(ledger->misplaced, ledger->room / 64, room / 64);
    ledger->room = room;
    ledger->dirty.counts = widened(ledger->dirty.counts, ledger->dirty.words, words);
    ledger->dirty.cuts = widened(ledger->dirty.cuts, ledger->dirty.words, words);
    ledger->dirty.words = words;
}

static void mark(uint64_t *dirty, uint32_t number)
{
    uint32_t block = number / LEDGER_ROWS;

    dirty[block / 64] |= UINT64_C(1) << block % 64;
}

uint32_t ledger_take(struct ledger *ledger, struct text subscription)
{
    uint32_t number = ledger_find(ledger, subscription);

    if (number != INDEX_NONE)
        return number;
    if (ledger->count == ledger->room)
        widen(ledger);
    number = ledger->count++;
    ledger->accounts[number] = (struct account){.cuts = 0};
    ledger->names[number] = arena_copy(&ledger->texts, subscription);
    index_add(&ledger->by_subscription, hash_of(subscription), number);
    mark(ledger->dirty.counts, number);
    return number;
}

void ledger_set_misplaced(struct ledger *ledger, uint32_t number, bool is_misplaced)
{
    uint64_t bit = UINT64_C(1) << number % 64;

    if (is_misplaced)
        ledger->misplaced[number / 64] |= bit;
    else
        ledger->misplaced[number / 64] &= ~bit;
}

struct account_counts ledger_counts(const struct ledger *ledger, uint32_t number)
{
    struct account_counts counts = ledger->accounts[number].counts;

    counts.accepted += ledger->counted[number];
    counts.counted += ledger->counted[number];
    return counts;
}

void ledger_add(struct ledger *ledger, uint32_t number, const struct account_counts *more)
{
    mark(ledger->dirty.counts, number);
    account_counts_add(&ledger->accounts[number].counts, more);
    account_counts_add(&ledger->sum, more);
}

void ledger_set_cuts(struct ledger *ledger, uint32_t number, uint64_t cuts)
{
    mark(ledger->dirty.cuts, number);
    ledger->accounts[number].cuts = cuts;
}

static size_t rows_of(const struct ledger *ledger, uint32_t block)
{
    size_t left = ledger->count - (size_t)block * LEDGER_ROWS;

    return left < LEDGER_ROWS ? left : LEDGER_ROWS;
}

static void settle_block(struct ledger *ledger, uint32_t block)
{
    uint32_t first = block * LEDGER_ROWS;

    for (uint32_t i = first; i < first + rows_of(ledger, block); i++) {
        ledger->accounts[i].counts = ledger_counts(ledger, i);
        ledger->counted[i] = 0;
    }
}

void ledger_committed(struct ledger *ledger)
{
    for (uint32_t block = ledger_next_dirty(ledger, ledger->dirty.counts, 0); block != UINT32_MAX;
         block = ledger_next_dirty(ledger, ledger->dirty.counts, block + 1))
        settle_block(ledger, block);
    if (ledger->dirty.words) {
        memset(ledger->dirty.counts, 0, ledger->dirty.words * sizeof(uint64_t));
        memset(ledger->dirty.cuts, 0, ledger->dirty.words * sizeof(uint64_t));
    }
    ledger->committed_count = ledger->count;
    ledger->committed_sum = ledger->sum;
}

void ledger_loaded(struct ledger *ledger)
{
    ledger->sum = (struct account_counts){0};
    for (uint32_t i = 0; i < ledger->count; i++)
        account_counts_add(&ledger->sum, &ledger->accounts[i].counts);
    ledger_committed(ledger);
}

bool account_balances(const struct account_counts *counts)
{
    return counts->accepted ==
               counts->counted + counts->duplicate + counts->rejected + counts->late &&
           counts->conflict <= counts->duplicate;
}

/* --- rows of the store --- */

void account_name_encode(struct text subscription, struct buffer *name)
{
    buffer_clear(name);
    if (text_is_absent(subscription)) {
        buffer_add_char(name, KEY_NOBODY);
        return;
    }
    buffer_add_char(name, KEY_SUBSCRIPTION);
    buffer_add_text(name, subscription);
}

bool account_name_decode(struct text name, struct text *subscription)
{
    if (name.length == 1 && name.at[0] == KEY_NOBODY) {
        *subscription = (struct text){0};
        return true;
    }
    if (name.length < 1 || name.at[0] != KEY_SUBSCRIPTION)
        return false;
    *subscription = text_from(name.at + 1, name.length - 1);
    return true;
}

static uint64_t field(const struct account_counts *counts, size_t column)
{
    uint64_t number;

    memcpy(&number, (const uint8_t *)counts + column * 8, sizeof(number));
    return number;
}

static uint8_t bytes_of(uint64_t number)
{
    return number == 0 ? 0 : number < 1 << 8 ? 1 : number < 1 << 16 ? 2 : number >> 32 ? 8 : 4;
}

/* Writes the column's head and numbers; each store writes a word, what follows overwrites it. */
static uint8_t *put_column(const struct account_counts *rows, size_t count, size_t column,
                           uint8_t *head, uint8_t *at)
{
    uint64_t least = UINT64_MAX, most = 0;
    uint8_t width;

    for (size_t i = 0; i < count; i++) {
        uint64_t number = field(&rows[i], column);

        least = number < least ? number : least;
        most = number > most ? number : most;
    }
    width = bytes_of(most - least);
    head[0] = width;
    wire_store_u64(head + 1, least);
    for (size_t i = 0; width && i < count; i++, at += width)
        wire_store_u64(at, field(&rows[i], column) - least);
    return at;
}

size_t ledger_encode(const struct ledger *ledger, uint32_t block, struct text key,
                     uint8_t bytes[LEDGER_BYTES_MAX], uint128 *sum)
{
    struct account_counts rows[LEDGER_ROWS];
    size_t count = rows_of(ledger, block);
    uint8_t *at = bytes + 1 + LEDGER_COLUMNS * COLUMN_HEAD;

    assert(count > 0 && count <= LEDGER_ROWS);
    bytes[0] = (uint8_t)count;
    for (size_t i = 0; i < count; i++) {
        rows[i] = ledger_counts(ledger, block * LEDGER_ROWS + (uint32_t)i);
        assert(account_balances(&rows[i]));
    }
    for (size_t column = 0; column < LEDGER_COLUMNS; column++)
        at = put_column(rows, count, column, bytes + 1 + column * COLUMN_HEAD, at);
    return block_seal(key, bytes, (size_t)(at - bytes), sum);
}

/* The checksum behind the columns is as long as what the last numbers are read too far. */
static const uint8_t *take_column(const uint8_t *head, const uint8_t *at, size_t column,
                                  struct account *rows, size_t count)
{
    uint64_t least = wire_load_u64(head + 1);
    uint8_t width = head[0];
    uint64_t mask = width == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * width) - 1;

    for (size_t i = 0; i < count; i++, at += width) {
        uint64_t number = least + (width ? wire_load_u64(at) & mask : 0);

        memcpy((uint8_t *)&rows[i] + column * 8, &number, sizeof(number));
    }
    return at;
}

/* Do the columns fill the value? */
static bool fits(const uint8_t *bytes, size_t length)
{
    size_t expected = 1 + LEDGER_COLUMNS * COLUMN_HEAD + BLOCK_SUM_BYTES;

    for (size_t column = 0; column < LEDGER_COLUMNS; column++) {
        uint8_t width = bytes[1 + column * COLUMN_HEAD];

        if (width > 8)
            return false;
        expected += (size_t)bytes[0] * width;
    }
    return bytes[0] > 0 && bytes[0] <= LEDGER_ROWS && length == expected;
}

bool ledger_decode(struct text key, struct text value, struct ledger_rows *rows)
{
    const uint8_t *bytes = (const uint8_t *)value.at, *heads = bytes + 1;
    const uint8_t *at = heads + LEDGER_COLUMNS * COLUMN_HEAD;

    if (value.length < 1 + LEDGER_COLUMNS * COLUMN_HEAD + BLOCK_SUM_BYTES ||
        !block_sealed(key, value, &rows->sum) || !fits(bytes, value.length))
        return false;
    rows->count = bytes[0];
    memset(rows->at, 0, sizeof(rows->at));
    for (size_t column = 0; column < LEDGER_COLUMNS; column++)
        at = take_column(heads + column * COLUMN_HEAD, at, column, rows->at, rows->count);
    for (size_t i = 0; i < rows->count; i++)
        if (!account_balances(&rows->at[i].counts))
            return false;
    return true;
}

void ledger_encode_cuts(const struct ledger *ledger, uint32_t block, struct buffer *value)
{
    for (size_t i = (size_t)block * LEDGER_ROWS;
         i < ledger->count && i < ((size_t)block + 1) * LEDGER_ROWS; i++)
        buffer_add(value, &ledger->accounts[i].cuts, sizeof(uint64_t));
}

bool ledger_decode_cuts(struct text value, struct ledger *ledger, uint32_t block)
{
    size_t first = (size_t)block * LEDGER_ROWS, count = value.length / sizeof(uint64_t);

    if (value.length % sizeof(uint64_t) != 0 || count > LEDGER_ROWS ||
        first + count > ledger->count)
        return false;
    for (size_t i = 0; i < count; i++)
        ledger->accounts[first + i].cuts =
            wire_load_u64((const uint8_t *)value.at + i * sizeof(uint64_t));
    return true;
}

uint32_t ledger_next_dirty(const struct ledger *ledger, const uint64_t *dirty, uint32_t block)
{
    for (uint32_t word = block / 64; word < ledger->dirty.words; word++) {
        uint64_t bits = dirty[word];

        if (word == block / 64)
            bits &= UINT64_MAX << block % 64;
        if (bits)
            return word * 64 + (uint32_t)__builtin_ctzll(bits);
    }
    return UINT32_MAX;
}
