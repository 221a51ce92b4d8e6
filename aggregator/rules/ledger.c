#include "aggregator/rules/ledger.h"

#include "aggregator/rules/block.h"
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { LEDGER_FIRST_ROOM = 64, KEY_NOBODY = 0, KEY_SUBSCRIPTION = 1 };

void ledger_deinit(struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->count; i++)
        free((char *)ledger->accounts[i].subscription.at);
    free(ledger->accounts);
    free(ledger->dirty);
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

    return text_equal(ledger->accounts[id].subscription, *(const struct text *)wanted);
}

uint32_t ledger_find(const struct ledger *ledger, struct text subscription)
{
    return index_find(&ledger->by_subscription, hash_of(subscription), equal, ledger,
                      &subscription);
}

uint32_t ledger_take(struct ledger *ledger, struct text subscription)
{
    uint32_t number = ledger_find(ledger, subscription);
    struct text kept = {0};

    if (number != INDEX_NONE)
        return number;
    if (ledger->count == ledger->room) {
        ledger->room = ledger->room ? ledger->room * 2 : LEDGER_FIRST_ROOM;
        ledger->accounts = realloc(ledger->accounts, ledger->room * sizeof(*ledger->accounts));
        if (!ledger->accounts)
            abort();
    }
    if (!text_is_absent(subscription))
        kept = text_from(text_copy(subscription), subscription.length);
    number = ledger->count++;
    ledger->accounts[number] = (struct account){.subscription = kept};
    index_add(&ledger->by_subscription, hash_of(subscription), number);
    return number;
}

struct account *ledger_change(struct ledger *ledger, uint32_t number)
{
    struct account *account = &ledger->accounts[number];

    if (account->is_dirty)
        return account;
    if (ledger->dirty_count == ledger->dirty_room) {
        ledger->dirty_room = ledger->dirty_room ? ledger->dirty_room * 2 : LEDGER_FIRST_ROOM;
        ledger->dirty = realloc(ledger->dirty, ledger->dirty_room * sizeof(*ledger->dirty));
        if (!ledger->dirty)
            abort();
    }
    ledger->dirty[ledger->dirty_count++] = number;
    account->is_dirty = true;
    return account;
}

void ledger_committed(struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->dirty_count; i++) {
        struct account *account = &ledger->accounts[ledger->dirty[i]];

        account->committed = account->counts;
        account->is_dirty = false;
        account->is_stored = true;
    }
    ledger->dirty_count = 0;
}

void account_counts_add(struct account_counts *into, const struct account_counts *more)
{
    into->accepted += more->accepted;
    into->counted += more->counted;
    into->duplicate += more->duplicate;
    into->conflict += more->conflict;
    into->rejected += more->rejected;
    into->late += more->late;
}

struct account_counts ledger_sum(const struct ledger *ledger)
{
    struct account_counts sum = {0};

    for (uint32_t i = 0; i < ledger->count; i++)
        account_counts_add(&sum, &ledger->accounts[i].counts);
    return sum;
}

bool account_balances(const struct account_counts *counts)
{
    return counts->accepted ==
               counts->counted + counts->duplicate + counts->rejected + counts->late &&
           counts->conflict <= counts->duplicate;
}

void account_key(struct text subscription, struct buffer *key)
{
    buffer_clear(key);
    if (text_is_absent(subscription)) {
        buffer_add_char(key, KEY_NOBODY);
        return;
    }
    buffer_add_char(key, KEY_SUBSCRIPTION);
    buffer_add_text(key, subscription);
}

bool account_key_decode(struct text key, struct text *subscription)
{
    if (key.length == 1 && key.at[0] == KEY_NOBODY) {
        *subscription = (struct text){0};
        return true;
    }
    if (key.length < 1 || key.at[0] != KEY_SUBSCRIPTION)
        return false;
    *subscription = text_from(key.at + 1, key.length - 1);
    return true;
}

void account_encode(const struct account *account, struct text key, uint8_t bytes[ACCOUNT_BYTES])
{
    wire_store_u64(bytes, account->counts.accepted);
    wire_store_u64(bytes + 8, account->counts.counted);
    wire_store_u64(bytes + 16, account->counts.duplicate);
    wire_store_u64(bytes + 24, account->counts.conflict);
    wire_store_u64(bytes + 32, account->counts.rejected);
    wire_store_u64(bytes + 40, account->counts.late);
    wire_store_u64(bytes + 48, account->cuts);
    wire_store_u64(bytes + 56, block_checksum(key, bytes, 56));
}

bool account_decode(struct text key, struct text value, struct account *account)
{
    const uint8_t *bytes = (const uint8_t *)value.at;

    if (value.length != ACCOUNT_BYTES ||
        wire_load_u64(bytes + 56) != block_checksum(key, bytes, 56))
        return false;
    account->counts = (struct account_counts){.accepted = wire_load_u64(bytes),
                                              .counted = wire_load_u64(bytes + 8),
                                              .duplicate = wire_load_u64(bytes + 16),
                                              .conflict = wire_load_u64(bytes + 24),
                                              .rejected = wire_load_u64(bytes + 32),
                                              .late = wire_load_u64(bytes + 40)};
    account->committed = account->counts;
    account->cuts = wire_load_u64(bytes + 48);
    return account_balances(&account->counts);
}
