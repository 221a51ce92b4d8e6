#include "invoicer/edges/standing.h"

#include "common/base/fault.h"

#include <assert.h>

static void add_lack(const struct mirror_standing *standing, struct buffer *text)
{
    buffer_printf(text, "partition %d of usage ", (int)standing->partition);
    switch (standing->lack) {
    case MIRROR_LACKS_NOTHING:
        assert(!"a partition that lacks nothing is waited for");
        break;
    case MIRROR_LACKS_MARK:
        buffer_add_string(text, "has no mark on counters: no aggregator has published it yet");
        break;
    case MIRROR_LACKS_NEXT_MARK:
        buffer_add_string(text, "has totals on counters that no mark vouches for");
        break;
    case MIRROR_LACKS_USAGE:
        buffer_printf(text, "is counted up to %lld of %lld", (long long)standing->mark.next_offset,
                      (long long)standing->target);
        break;
    case MIRROR_LACKS_CATALOG:
        buffer_add_string(text,
                          "is counted, but by a catalog that doesn't know the subscriptions yet");
        break;
    }
}

void standing_explain(const struct mirror_standing *standing, int32_t others, struct buffer *text)
{
    char at[INSTANT_TEXT_MAX] = "an unknown time";

    add_lack(standing, text);
    if (standing->marked_ms > 0)
        instant_format(instant_from_ms(standing->marked_ms), at);
    if (standing->lack != MIRROR_LACKS_MARK)
        buffer_printf(text, "; its last mark is of %s, by %s", at, standing->mark.owner);
    if (others > 0)
        buffer_printf(text, "; others that wait: %d", (int)others);
    buffer_add_string(text, "; is its aggregator running? See docs/runbook.md, marks that wait");
}

int standing_fault(struct store *store, int32_t partition, int64_t target)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    CLEANUP(buffer_deinit) struct buffer text = {0};
    struct mirror_standing standing;
    int r = store_begin(store, STORE_READ, &txn);

    if (!r)
        r = mirror_stands(txn, partition, target, 0, &standing);
    if (r)
        return fault_pass(r);
    if (standing.lack == MIRROR_LACKS_NOTHING)
        return fault(FAULT_RETRY, "partition %d of usage was counted only now; do it again",
                     (int)partition);
    standing_explain(&standing, 0, &text);
    return fault(FAULT_RETRY, "%.*s", (int)text.length, text.at);
}
