/*
 * count.h - a partition's tally: each event of `usage` gets its verdict and is counted or not.
 *
 * Pure: the tally after a message is a function of the tally before it and the message. Verdicts in
 * this order (metering.md 11 to 14), for each event in the log's order:
 *
 *   rejected   its subscription belongs to another partition (MISPLACED); or see below
 *   late       arrival - time > horizon, or its day is closed (rollup.h); one without a time is
 * late when the day before its arrival is closed duplicate  its identity was counted on its day, or
 * without a time on the day before; with another payload a conflict as well rejected   its values
 * would bring the partition's gross past what a total can hold (OVERFLOW) counted    all else
 *
 * The *gross* is the sum of all values ever counted in the partition. It bounds every total, so no
 * sum of any cells of a partition can overflow; 2^127 units are 1.7 * 10^11 events of the greatest
 * value.
 *
 * A numbered event's identity is its source and number, whatever its subscription and day, and is
 * known for ever; it has no conflicts (numbered.h).
 *
 * What comes between two commits is held in memory: cells, unique values, fresh ids, new series.
 *
 * Units      Milliseconds since the epoch; offsets of the partition of `usage`.
 * Ownership  tally_free, which accepts NULL.
 * Threads    One at a time.
 */
#pragma once

#include "aggregator/rules/cells.h"
#include "aggregator/rules/days.h"
#include "aggregator/rules/ledger.h"
#include "aggregator/rules/limits.h"
#include "aggregator/rules/numbered.h"
#include "aggregator/rules/series.h"
#include "aggregator/rules/uniques.h"

enum aside_reason { ASIDE_LATE, ASIDE_CONFLICT, ASIDE_MISPLACED, ASIDE_OVERFLOW };
const char *aside_reason_name(enum aside_reason reason); /* "late" */

/* An event that isn't counted and that `rejected` must keep. */
struct aside {
    uint16_t event; /* index in the batch */
    enum aside_reason reason;
};

struct batch_series; /* what the tally knows of a batch's series while it counts it */

struct tally {
    int32_t partition, partitions;
    int64_t horizon_ms;
    int64_t next_offset;  /* everything before it is in */
    int64_t watermark_ms; /* greatest arrival; INT64_MIN before the first */
    int64_t clock_ms;     /* rollup.h; INT64_MIN before the first */
    uint128 gross;        /* units; below 2^127 */
    uint64_t pending;     /* messages since the last commit */
    uint64_t pending_events;
    struct registry series;
    uint32_t series_committed; /* of them are in the store */
    struct days days;
    struct cells cells;
    struct uniques uniques;
    struct ledger ledger;
    struct limits limits;
    struct numbered numbered;
    int64_t filter_bytes_max; /* of sealed days' filters at a load; 0: any number */
    int32_t first_open_day;
    uint128 ledger_sum; /* the digest's share of the committed ledger */
    uint128 names_sum;  /* and of the texts of series and accounts that are committed */

    struct batch_series *batch; /* scratch */
    struct buffer other;
};

struct tally *tally_new(int32_t partition, int32_t partitions, int64_t horizon_ms);
struct tally *tally_free(struct tally *tally);

/*
 * Counts the message at `offset`, which is next_offset or later. `asides` has room for
 * USAGE_EVENTS_MAX; they are in the batch's order.
 */
void tally_count(struct tally *tally, const struct usage_batch *batch, int64_t offset,
                 struct aside *asides, size_t *aside_count);
/* The message at `offset` can't be decoded: one rejected event of nobody. */
void tally_reject(struct tally *tally, int64_t offset);

/* Is an instant's UTC day among those whose ids and minutes are kept? */
bool tally_is_open(const struct tally *tally, int64_t day);
/* Works out which days are open; closes the others. For who restores the clock from a store. */
void tally_age(struct tally *tally);
/* The commit that was laid out from the tally is in the store. */
void tally_committed(struct tally *tally);
