/*
 * mirror.h - the totals of <bucket>.counters, kept in the store up to a mark of each partition.
 *
 * A partition's records are applied up to a mark in one transaction with the mark and the position:
 * so the store holds all usage before the mark's next offset, of every partition at any time. A
 * window that changed while it was published may hold more.
 *
 * A topic that is read once more may lack what was there: compaction keeps the last record of a key
 * alone. A mark counts once what was there at the beginning is read and no total stands behind it.
 *
 * While a close is under way (close.h) a partition stands still at its first mark that has passed
 * the close's target and no window that is billed holds more: that is exactly the usage before the
 * mark. It can be read again, after any crash, until the close is done.
 *
 * In TOTALS: subscription 0 meter 0, then from and to of the billing window (8 bytes each, sorted
 * as numbers), 16 bytes of the dimensions' hash, and 16 of the unique value; to struct
 * mirror_total.
 *
 * Threads    The engine's; mirror_each any with a transaction.
 */
#pragma once

#include "common/io/kafka.h"
#include "common/io/store.h"
#include "proto/counters.h"

struct mirror;
/* Follows once the bucket's record says how many partitions there are. */
struct mirror *mirror_new(const struct kafka_config *kafka, const char *bucket,
                          struct store *store);
struct mirror *mirror_free(struct mirror *mirror);
/* Takes what has come; the number of messages or a fault. */
MUST_USE int mirror_step(struct mirror *mirror, int timeout_ms);

/* Takes one record of the topic into the store; what isn't one of ours changes nothing. */
MUST_USE int mirror_take(struct store_txn *txn, struct text key, struct text value);
/* Whether it has taken what stood in the topic when it began to follow. */
bool mirror_is_caught_up(const struct mirror *mirror);

/* How many partitions the bucket's record names; 0 while there is none. */
MUST_USE int mirror_partitions(struct store_txn *txn, const char *bucket, int32_t *partitions);

enum mirror_outcome { MIRROR_NONE = 1 };
/* The mark at which a partition stands; MIRROR_NONE before the first, amid a stretch without one,
 * or while what it vouches for may be missing. */
MUST_USE int mirror_mark(struct store_txn *txn, int32_t partition, struct counters_mark *mark);

/* From here on every partition stops at its first mark that has passed its target, the totals of
 * windows that end by `until_minute` and, of the catalog, `catalog_target`; it goes on after the
 * thaw. */
MUST_USE int mirror_freeze(struct store_txn *txn, const int64_t *targets, size_t count,
                           int64_t catalog_target, int64_t until_minute);
MUST_USE int mirror_thaw(struct store_txn *txn);
/* What keeps a partition from where somebody waits for it. */
enum mirror_lack {
    MIRROR_LACKS_NOTHING,
    MIRROR_LACKS_MARK,      /* there is none */
    MIRROR_LACKS_NEXT_MARK, /* what its last one vouches for may stand behind it alone */
    MIRROR_LACKS_USAGE,     /* it hasn't passed the target */
    MIRROR_LACKS_CATALOG,   /* but the catalog's */
};
struct mirror_standing {
    int32_t partition;
    enum mirror_lack lack;
    int64_t target;
    struct counters_mark mark; /* its last, if there is one */
    int64_t marked_ms;         /* when that came; 0: unknown */
};
MUST_USE int mirror_stands(struct store_txn *txn, int32_t partition, int64_t target,
                           int64_t catalog_target, struct mirror_standing *standing);
/* How far the freeze has come. */
struct mirror_progress {
    int32_t partitions, standing;
    struct mirror_standing behind; /* the first that isn't there yet, if any */
};
MUST_USE int mirror_frozen(struct store_txn *txn, struct mirror_progress *progress);

/* Totals of a subscription and meter whose windows begin at `from` or later, in the order of time.
 */
MUST_USE int mirror_each(struct store_txn *txn, struct text subscription, struct text meter,
                         int64_t from_minute,
                         int (*visit)(void *context, const struct counters_total *total),
                         void *context);
