#include "aggregator/rules/days.h"

#include "aggregator/rules/block.h"
#include "aggregator/rules/order.h"
#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DAYS_MARGIN = 64, DAY_NUMBER_MAX = 200000 /* no instant lies as far from the epoch */ };

static void day_free(struct day *day)
{
    if (!day)
        return;
    dedup_deinit(&day->ids);
    sealed_free(day->sealed);
    free(day->seen);
    free(day);
}

void days_deinit(struct days *days)
{
    for (uint32_t i = 0; i < days->span; i++)
        day_free(days->at[i]);
    free(days->at);
    *days = (struct days){0};
}

struct day *days_find(const struct days *days, int64_t number)
{
    int64_t at = number - days->base;

    return at >= 0 && at < days->span ? days->at[at] : NULL;
}

/* Makes room for the day, with some more at the end that it lies beyond. */
static void widen(struct days *days, int64_t number)
{
    int64_t first = days->base, end = days->base + (int64_t)days->span;
    struct day **at;

    assert(number > -DAY_NUMBER_MAX && number < DAY_NUMBER_MAX);
    if (days->span == 0)
        first = end = number;
    if (number < first)
        first = number - DAYS_MARGIN;
    if (number >= end)
        end = number + DAYS_MARGIN;
    at = calloc((size_t)(end - first), sizeof(struct day *));
    if (!at)
        abort();
    if (days->span)
        memcpy(at + (days->base - first), days->at, days->span * sizeof(struct day *));
    free(days->at);
    days->at = at;
    days->base = (int32_t)first;
    days->span = (uint32_t)(end - first);
}

struct day *days_take(struct days *days, int64_t number)
{
    struct day *day = days_find(days, number);

    if (day)
        return day;
    if (number < days->base || number >= days->base + (int64_t)days->span)
        widen(days, number);
    day = calloc(1, sizeof(*day));
    if (!day)
        abort();
    day->number = (int32_t)number;
    day->is_open = true;
    days->at[number - days->base] = day;
    return day;
}

struct day *days_next(const struct days *days, int64_t from)
{
    int64_t at = from - days->base;

    for (at = at < 0 ? 0 : at; at < days->span; at++)
        if (days->at[at])
            return days->at[at];
    return NULL;
}

void days_close(struct days *days, int32_t first)
{
    for (struct day *day = days_next(days, INT32_MIN); day && day->number < first;
         day = days_next(days, (int64_t)day->number + 1)) {
        if (!day->is_open)
            continue;
        dedup_deinit(&day->ids);
        day->sealed = sealed_free(day->sealed);
        free(day->seen);
        day->seen = NULL;
        day->seen_words = 0;
        day->is_open = false;
    }
}

enum dedup_verdict day_look(const struct day *day, const struct fingerprint *id)
{
    enum dedup_verdict verdict = dedup_look(&day->ids, id);

    return verdict == DEDUP_NEW && day->sealed ? dedup_look(&day->sealed->recalled, id) : verdict;
}

uint128 day_ids_sum(const struct day *day)
{
    return day->ids.sum + (day->sealed ? day->sealed->sum : 0);
}

uint64_t day_ids_count(const struct day *day)
{
    return day->ids.count + (day->sealed ? day->sealed->count : 0);
}

uint64_t day_ids_bytes(const struct day *day)
{
    return dedup_bytes(&day->ids) + (day->sealed ? sealed_bytes(day->sealed) : 0);
}

/* Sealing again writes all that is sealed anew: it waits until it frees a quarter as many bytes. By
 * bytes, since on many days with few ids each it is the tables' least size that fills the memory.
 */
static bool is_worth_sealing(const struct day *day)
{
    return day->is_open && day->ids.count > 0 &&
           (!day->sealed ||
            dedup_bytes(&day->ids) >= day->sealed->count * sizeof(struct fingerprint) / 4);
}

size_t days_to_seal(const struct days *days, int64_t bytes, uint64_t ids,
                    struct day *list[DAYS_SEALED_MAX])
{
    uint64_t taken = 0;
    size_t count = 0;

    for (struct day *day = days_next(days, INT32_MIN); day && bytes > 0 && count < DAYS_SEALED_MAX;
         day = days_next(days, (int64_t)day->number + 1)) {
        if (!is_worth_sealing(day))
            continue;
        taken += day_ids_count(day);
        if (count > 0 && taken > ids)
            break;
        list[count++] = day;
        bytes -= (int64_t)dedup_bytes(&day->ids);
    }
    return count;
}

uint64_t days_forget_recalled(struct days *days)
{
    uint64_t bytes = 0;

    for (struct day *day = days->has_sealed ? days_next(days, INT32_MIN) : NULL; day;
         day = days_next(days, (int64_t)day->number + 1)) {
        if (!day->sealed)
            continue;
        bytes += dedup_bytes(&day->sealed->recalled);
        dedup_deinit(&day->sealed->recalled);
    }
    return bytes;
}

struct day *days_with_filter(const struct days *days)
{
    struct day *day = days_next(days, INT32_MIN);

    while (day && !(day->sealed && day->sealed->bloom.blocks))
        day = days_next(days, (int64_t)day->number + 1);
    return day;
}

void day_see(struct day *day, uint32_t series)
{
    if (series / 64 >= day->seen_words) {
        uint32_t words = day->seen_words ? day->seen_words : 4;

        while (series / 64 >= words)
            words *= 2;
        day->seen = realloc(day->seen, words * sizeof(*day->seen));
        if (!day->seen)
            abort();
        memset(day->seen + day->seen_words, 0, (words - day->seen_words) * sizeof(*day->seen));
        day->seen_words = words;
    }
    day->seen[series / 64] |= UINT64_C(1) << (series % 64);
}

void day_key(int32_t number, uint8_t key[DAY_KEY_BYTES])
{
    order_store_u32(key, window_biased(number));
}

bool day_key_decode(struct text key, int32_t *number)
{
    int64_t window;

    if (key.length != DAY_KEY_BYTES)
        return false;
    window = window_unbiased(order_load_u32((const uint8_t *)key.at));
    if (window <= -DAY_NUMBER_MAX || window >= DAY_NUMBER_MAX)
        return false;
    *number = (int32_t)window;
    return true;
}

void day_encode(const struct day *day, uint8_t bytes[DAY_BYTES])
{
    uint8_t key[DAY_KEY_BYTES];
    uint8_t *at = bytes;

    day_key(day->number, key);
    wire_store_i128(at, (int128)day->staged.ids);
    at += 16;
    for (size_t level = 0; level < LEVELS; level++, at += 16)
        wire_store_i128(at, (int128)day->staged.levels[level]);
    wire_store_i64(at, day->changed_offset);
    wire_store_u32(at + 8, day->staged_runs);
    wire_store_u32(at + 12, day->pages | day->generation << 31);
    wire_store_u64(at + 16, block_checksum(text_from(key, sizeof(key)), bytes, DAY_BYTES - 8));
}

bool day_decode(struct text key, struct text value, struct day *day)
{
    const uint8_t *bytes = (const uint8_t *)value.at, *at = bytes;

    if (value.length != DAY_BYTES ||
        wire_load_u64(bytes + DAY_BYTES - 8) != block_checksum(key, bytes, DAY_BYTES - 8))
        return false;
    day->sums.ids = (uint128)wire_load_i128(at);
    at += 16;
    for (size_t level = 0; level < LEVELS; level++, at += 16)
        day->sums.levels[level] = (uint128)wire_load_i128(at);
    day->staged = day->sums;
    day->changed_offset = wire_load_i64(at);
    day->runs = day->staged_runs = wire_load_u32(at + 8);
    day->pages = wire_load_u32(at + 12) & ~(UINT32_C(1) << 31);
    day->generation = wire_load_u32(at + 12) >> 31;
    return day->pages <= SEALED_PAGES_MAX;
}
