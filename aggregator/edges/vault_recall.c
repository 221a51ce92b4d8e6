/*
 * What a batch asks for and only the store has: chunks of numbers, and ids of sealed days.
 */
#include "aggregator/edges/vault_parts.h"

#include "common/base/fault.h"
#include "proto/usage_view.h"

#include <assert.h>
#include <string.h>

struct recall {
    struct vault *vault;
    struct tally *tally;
    struct store_txn *txn;    /* begun when first needed */
    struct numbered_key last; /* its chunk was asked for; most events are of the same */
};

static int begin(struct recall *recall)
{
    return recall->txn ? 0 : store_begin(recall->vault->store, STORE_READ, &recall->txn);
}

static bool is_of_last(const struct recall *recall, const struct usage_event *event)
{
    return recall->last.chunk == event->sequence / NUMBERED_BITS &&
           memcmp(recall->last.source, event->fingerprint.identity, sizeof(recall->last.source)) ==
               0;
}

static int recall_number(struct recall *recall, const struct usage_event *event)
{
    const uint8_t *source = event->fingerprint.identity;
    int r;

    if (is_of_last(recall, event))
        return 0;
    recall->last.chunk = event->sequence / NUMBERED_BITS;
    memcpy(recall->last.source, source, sizeof(recall->last.source));
    if (!numbered_missing(&recall->tally->numbered, source, event->sequence))
        return 0;
    r = begin(recall);
    if (r == 0)
        r = vault_load_chunk(recall->txn, recall->tally, &recall->last);
    return r ? fault_pass(r) : 0;
}

static int recall_id(struct recall *recall, int64_t number, const struct fingerprint *id)
{
    struct day *day = days_find(&recall->tally->days, number);
    uint8_t key[ID_KEY_BYTES];
    struct text value, content;
    uint32_t page;
    int r;

    if (!day || !day->sealed)
        return 0;
    sealed_begin(day->sealed, recall->tally->next_offset);
    if (!sealed_asks_for(day->sealed, id) || dedup_look(&day->ids, id) != DEDUP_NEW)
        return 0;
    page = sealed_page_of(day->sealed, id);
    page_key(day->number, day->sealed->generation, page, key);
    r = begin(recall);
    if (r == 0)
        r = store_get(recall->txn, VAULT_IDS, text_from(key, sizeof(key)), &value);
    if (r < 0)
        return fault_pass(r);
    if (r == STORE_NOT_FOUND || !sealed_open(text_from(key, sizeof(key)), value, &content))
        return fault(FAULT_STOP, "partition %d: a page of sealed ids is damaged or missing",
                     recall->tally->partition);
    (void)sealed_recall(day->sealed, content.at, content.length / sizeof(*id), id);
    return 0;
}

static int recall_event(struct recall *recall, const struct usage_event *event)
{
    int64_t day;
    int r;

    if (event->flags & USAGE_NUMBERED)
        return recall_number(recall, event);
    day = instant_day(event->time);
    r = recall_id(recall, day, &event->fingerprint);
    if (r == 0 && event->flags & USAGE_TIME_ABSENT)
        r = recall_id(recall, day - 1, &event->fingerprint);
    return r ? fault_pass(r) : 0;
}

int vault_recall(struct vault *vault, struct tally *tally, const struct usage_batch *batch)
{
    struct recall recall = {
        .vault = vault, .tally = tally, .last = {.chunk = UINT64_MAX /* no number's */}};
    bool any_sealed = tally->days.has_sealed;
    int r = 0;

    for (size_t i = any_sealed ? 0 : usage_next_numbered(batch, 0);
         r == 0 && i < batch->event_count;
         i = any_sealed ? i + 1 : usage_next_numbered(batch, i + 1)) {
        struct usage_event event;

        usage_view_event(batch, i, &event);
        r = recall_event(&recall, &event);
    }
    store_abort(&recall.txn);
    return r ? fault_pass(r) : 0;
}
