/*
 * days.h - the UTC days that a partition knows: each with its ids, its share of the digest and
 * which series were seen on it.
 *
 * A day is *open* while events of it can still be counted (rollup.h). A closed day keeps its sums,
 * nothing else. An open day whose ids have left the memory is *sealed*; its own table then holds
 * what came since.
 *
 * Ownership  days_deinit, which accepts a zeroed one.
 * Threads    One at a time.
 */
#pragma once

#include "aggregator/rules/dedup.h"
#include "aggregator/rules/digest.h"
#include "aggregator/rules/sealed.h"

enum { DAY_KEY_BYTES = 4, DAY_BYTES = 16 * (LEVELS + 1) + 24, DAYS_SEALED_MAX = 256 /* at once */ };

struct day {
    int32_t number;
    bool is_open;
    struct dedup ids;
    struct sealed *sealed; /* NULL: none of its ids */
    uint64_t *seen;        /* a bit a series: has it a cell on this day? */
    uint32_t seen_words;
    struct day_sums sums;   /* as the store has them */
    struct day_sums staged; /* as the running commit leaves them */
    int64_t changed_offset; /* behind the last message that changed its counters */
    uint32_t runs;          /* dedup runs in the store */
    uint32_t staged_runs;
    uint32_t pages; /* of sealed ids, in the store */
    uint32_t generation;
    bool is_dirty;
};

struct days {
    struct day **at; /* of day `base` + i; NULL where none is known */
    int32_t base;
    uint32_t span;
    bool has_sealed; /* has any ever been? */
};

void days_deinit(struct days *days);
struct day *days_find(const struct days *days, int64_t number); /* or NULL */
struct day *days_take(struct days *days, int64_t number); /* made, open, when it isn't there */
/* The known days, ascending: the first one numbered `from` or later; NULL past the last. */
struct day *days_next(const struct days *days, int64_t from);
/* Closes the open days before `first`: their ids leave the memory. */
void days_close(struct days *days, int32_t first);

enum dedup_verdict day_look(const struct day *day, const struct fingerprint *id);
uint128 day_ids_sum(const struct day *day); /* the digest's part */
uint64_t day_ids_count(const struct day *day);
uint64_t day_ids_bytes(const struct day *day); /* of memory */
/*
 * The oldest open days whose own tables are worth to be sealed: until `bytes` of memory would be
 * free, and of no more than `ids` together when there are several. Returns how many.
 */
size_t days_to_seal(const struct days *days, int64_t bytes, uint64_t ids,
                    struct day *list[DAYS_SEALED_MAX]);
/* Forgets what was recalled on sealed days; the memory that was freed. */
uint64_t days_forget_recalled(struct days *days);
/* The oldest open day that has a filter; NULL: none. */
struct day *days_with_filter(const struct days *days);

static inline bool day_has_seen(const struct day *day, uint32_t series)
{
    return series / 64 < day->seen_words && (day->seen[series / 64] >> (series % 64) & 1);
}
void day_see(struct day *day, uint32_t series);

void day_key(int32_t number, uint8_t key[DAY_KEY_BYTES]);
MUST_USE bool day_key_decode(struct text key, int32_t *number);
void day_encode(const struct day *day, uint8_t bytes[DAY_BYTES]); /* what is staged */
/* False for a damaged one. Fills sums, changed_offset, runs and what is staged. */
MUST_USE bool day_decode(struct text key, struct text value, struct day *day);
