/*
 * counters.c - the bytes of totals and marks.
 */
#include "proto/counters.h"
#include "proto/wire.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>
#include <xxhash.h>

enum {
    TOTAL_VERSION = 1,
    TOTAL_VALUE = 8,
    TOTAL_COUNT = 24,
    TOTAL_TIME = 32,
    TOTAL_NEXT_OFFSET = 40,
    TOTAL_CHECKSUM = 48,
    TOTAL_SIZE = 56,
    UNIQUE_DIGITS = 32,
};

static const char digits[] = "0123456789abcdef";

static uint64_t checksum_of(struct text key, const uint8_t *value)
{
    return XXH3_64bits_withSeed(value, TOTAL_CHECKSUM, XXH3_64bits(key.at, key.length));
}

static bool has_slash(struct text text)
{
    return text.length && memchr(text.at, '/', text.length);
}

static void encode_total_key(const struct counters_total *total, struct buffer *key)
{
    buffer_add_string(key, total->is_unique ? "U/" : "T/");
    buffer_add_text(key, total->subscription);
    buffer_add_char(key, '/');
    buffer_add_text(key, total->meter);
    buffer_printf(key, "/%lld/%lld/", (long long)total->from_minute, (long long)total->to_minute);
    buffer_add_text(key, total->dimensions);
    if (!total->is_unique)
        return;
    buffer_add_char(key, '/');
    for (size_t i = 0; i < sizeof(total->unique); i++) {
        buffer_add_char(key, digits[total->unique[i] >> 4]);
        buffer_add_char(key, digits[total->unique[i] & 15]);
    }
}

void counters_encode_total(const struct counters_total *total, struct buffer *key,
                           struct buffer *value)
{
    uint8_t bytes[TOTAL_SIZE] = {'C', 'T', TOTAL_VERSION, (uint8_t)total->total.aggregation};

    assert(total->subscription.length > 0 && !has_slash(total->subscription));
    assert(total->meter.length > 0 && !has_slash(total->meter));
    assert(total->from_minute < total->to_minute);
    assert(total->total.aggregation <= AGGREGATION_UNIQUE_COUNT);
    assert(total->total.count <= INT64_MAX);
    assert(total->dimensions.length >= 2);

    buffer_clear(key);
    encode_total_key(total, key);
    wire_store_i128(bytes + TOTAL_VALUE, total->total.value.units);
    wire_store_u64(bytes + TOTAL_COUNT, total->total.count);
    wire_store_i64(bytes + TOTAL_TIME, total->total.time.ns);
    wire_store_i64(bytes + TOTAL_NEXT_OFFSET, total->next_offset);
    wire_store_u64(bytes + TOTAL_CHECKSUM, checksum_of(buffer_text(key), bytes));
    buffer_clear(value);
    buffer_add(value, bytes, sizeof(bytes));
}

/* 32 lower-case hexadecimal digits. */
static bool is_digest(const char *digest)
{
    return strlen(digest) == UNIQUE_DIGITS && strspn(digest, digits) == UNIQUE_DIGITS;
}

void counters_encode_mark(const struct counters_mark *mark, struct buffer *key,
                          struct buffer *value)
{
    char watermark[INSTANT_TEXT_MAX];

    assert(mark->partition >= 0);
    assert(is_digest(mark->digest));

    instant_format(mark->watermark, watermark);
    buffer_clear(key);
    buffer_printf(key, "M/%d", (int)mark->partition);
    buffer_clear(value);
    buffer_printf(value, "{\"partition\":%d,\"nextOffset\":%lld,\"catalogOffset\":%lld,",
                  (int)mark->partition, (long long)mark->next_offset,
                  (long long)mark->catalog_offset);
    buffer_printf(value, "\"watermark\":\"%s\",\"digest\":\"%s\",\"owner\":", watermark,
                  mark->digest);
    buffer_add_json_string(value, text_of(mark->owner));
    buffer_printf(value, ",\"accepted\":%llu,\"counted\":%llu,\"duplicate\":%llu,",
                  (unsigned long long)mark->accepted, (unsigned long long)mark->counted,
                  (unsigned long long)mark->duplicate);
    buffer_printf(value, "\"conflict\":%llu,\"rejected\":%llu,\"late\":%llu",
                  (unsigned long long)mark->conflict, (unsigned long long)mark->rejected,
                  (unsigned long long)mark->late);
    if (mark->has_horizon)
        buffer_printf(value, ",\"dedupHorizonMs\":%lld", (long long)mark->horizon_ms);
    buffer_add_char(value, '}');
}

static bool read_number(struct text text, int64_t *number)
{
    struct text figures = text;
    int64_t value = 0;
    bool is_negative = text_starts(text, "-");

    if (is_negative)
        figures = text_from(text.at + 1, text.length - 1);
    if (figures.length == 0 || figures.length > 18)
        return false;
    for (size_t i = 0; i < figures.length; i++) {
        if (figures.at[i] < '0' || figures.at[i] > '9')
            return false;
        value = value * 10 + (figures.at[i] - '0');
    }
    *number = is_negative ? -value : value;
    return true;
}

/* Cuts "/<32 hex>" off the end of *rest. */
static bool read_unique(struct text *rest, uint8_t unique[16])
{
    const char *at;

    if (rest->length < 1 + UNIQUE_DIGITS || rest->at[rest->length - 1 - UNIQUE_DIGITS] != '/')
        return false;
    at = rest->at + rest->length - UNIQUE_DIGITS;
    for (size_t i = 0; i < UNIQUE_DIGITS; i++) {
        const char *digit = at[i] ? strchr(digits, at[i]) : NULL;

        if (!digit)
            return false;
        unique[i / 2] = (uint8_t)(unique[i / 2] << 4 | (digit - digits));
    }
    rest->length -= 1 + UNIQUE_DIGITS;
    return true;
}

static bool read_total_key(struct text key, struct counters_total *total)
{
    struct text rest = key;

    total->is_unique = text_is(text_cut(&rest, '/'), "U");
    total->subscription = text_cut(&rest, '/');
    total->meter = text_cut(&rest, '/');
    if (total->subscription.length == 0 || total->meter.length == 0)
        return false;
    if (!read_number(text_cut(&rest, '/'), &total->from_minute) ||
        !read_number(text_cut(&rest, '/'), &total->to_minute))
        return false;
    if (total->is_unique && !read_unique(&rest, total->unique))
        return false;
    total->dimensions = rest;
    return total->from_minute < total->to_minute && rest.length >= 2 && rest.at[0] == '{' &&
           rest.at[rest.length - 1] == '}';
}

static const char *read_total(struct text key, struct text value, struct counters_total *total)
{
    const uint8_t *at = (const uint8_t *)value.at;

    if (value.length != TOTAL_SIZE || memcmp(at, "CT", 2) != 0)
        return "not a total";
    if (at[2] != TOTAL_VERSION)
        return "a total of another version";
    if (wire_load_u64(at + TOTAL_CHECKSUM) != checksum_of(key, at))
        return "a total with a wrong checksum";
    if (at[3] >= AGGREGATION_KINDS || wire_load_u32(at + 4) != 0)
        return "a total of an unknown aggregation";
    if (!read_total_key(key, total))
        return "a total under a malformed key";
    total->total.aggregation = (enum aggregation)at[3];
    total->total.value.units = wire_load_i128(at + TOTAL_VALUE);
    total->total.count = wire_load_u64(at + TOTAL_COUNT);
    total->total.time.ns = wire_load_i64(at + TOTAL_TIME);
    total->next_offset = wire_load_i64(at + TOTAL_NEXT_OFFSET);
    return total->total.count <= INT64_MAX ? NULL : "a total with an impossible count";
}

static bool read_integer(const json_t *object, const char *name, int64_t *value)
{
    const json_t *member = json_object_get(object, name);

    if (!json_is_integer(member))
        return false;
    *value = json_integer_value(member);
    return true;
}

static bool read_count(const json_t *object, const char *name, uint64_t *count)
{
    int64_t value;

    if (!read_integer(object, name, &value) || value < 0)
        return false;
    *count = (uint64_t)value;
    return true;
}

/* Copies a string of at most `room` - 1 bytes and no NUL. */
static bool read_string(const json_t *object, const char *name, char *string, size_t room)
{
    const char *value = json_string_value(json_object_get(object, name));

    if (!value || strlen(value) >= room)
        return false;
    memcpy(string, value, strlen(value) + 1);
    return true;
}

static bool read_horizon(const json_t *object, struct counters_mark *mark)
{
    mark->has_horizon = json_object_get(object, "dedupHorizonMs");
    return !mark->has_horizon ||
           (read_integer(object, "dedupHorizonMs", &mark->horizon_ms) && mark->horizon_ms >= 0);
}

static bool read_mark_members(const json_t *object, struct counters_mark *mark)
{
    int64_t partition;
    char watermark[INSTANT_TEXT_MAX];

    if (!read_integer(object, "partition", &partition) || partition < 0 || partition > INT32_MAX)
        return false;
    mark->partition = (int32_t)partition;
    return read_integer(object, "nextOffset", &mark->next_offset) &&
           read_integer(object, "catalogOffset", &mark->catalog_offset) &&
           read_string(object, "watermark", watermark, sizeof(watermark)) &&
           instant_parse(text_of(watermark), &mark->watermark) == 0 &&
           read_string(object, "digest", mark->digest, sizeof(mark->digest)) &&
           is_digest(mark->digest) &&
           read_string(object, "owner", mark->owner, sizeof(mark->owner)) &&
           read_count(object, "accepted", &mark->accepted) &&
           read_count(object, "counted", &mark->counted) &&
           read_count(object, "duplicate", &mark->duplicate) &&
           read_count(object, "conflict", &mark->conflict) &&
           read_count(object, "rejected", &mark->rejected) &&
           read_count(object, "late", &mark->late) && read_horizon(object, mark);
}

static const char *read_mark(struct text key, struct text value, struct counters_mark *mark)
{
    int64_t partition;
    json_t *object;
    bool is_read;

    if (!read_number(text_from(key.at + 2, key.length - 2), &partition))
        return "a mark under a malformed key";
    object = json_loadb(value.at, value.length, JSON_REJECT_DUPLICATES, NULL);
    is_read = json_is_object(object) && read_mark_members(object, mark);
    json_decref(object);
    if (!is_read)
        return "a mark with a missing or wrong member";
    return mark->partition == partition ? NULL : "a mark under another partition's key";
}

int counters_decode(struct text key, struct text value, struct counters_total *total,
                    struct counters_mark *mark, const char **reason)
{
    struct counters_total read = {0};
    struct counters_mark mark_read = {0};
    const char *why = "neither a total nor a mark";

    if (text_is_absent(value)) {
        *reason = "a tombstone";
        return COUNTERS_FOREIGN;
    }
    if (text_starts(key, "T/") || text_starts(key, "U/")) {
        why = read_total(key, value, &read);
        if (!why) {
            *total = read;
            return COUNTERS_TOTAL;
        }
    } else if (text_starts(key, "M/")) {
        why = read_mark(key, value, &mark_read);
        if (!why) {
            *mark = mark_read;
            return COUNTERS_MARK;
        }
    }
    *reason = why;
    return COUNTERS_FOREIGN;
}

void counters_dimensions(const struct usage_dimension *dimensions, size_t count,
                         struct buffer *json)
{
    buffer_add_char(json, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_add_char(json, ',');
        buffer_add_json_string(json, dimensions[i].name);
        buffer_add_char(json, ':');
        buffer_add_json_string(json, dimensions[i].value);
    }
    buffer_add_char(json, '}');
}

void counters_window(const uint16_t *cuts, size_t cut_count, int64_t minute, int64_t *from_minute,
                     int64_t *to_minute)
{
    enum { DAY = 24 * 60 };
    int64_t within = ((minute % DAY) + DAY) % DAY;
    int64_t day = minute - within;
    size_t after = 0; /* the first cut of this day that lies behind the minute */

    assert(cut_count > 0);

    while (after < cut_count && cuts[after] <= within)
        after++;
    *from_minute = after > 0 ? day + cuts[after - 1] : day - DAY + cuts[cut_count - 1];
    *to_minute = after < cut_count ? day + cuts[after] : day + DAY + cuts[0];
}
