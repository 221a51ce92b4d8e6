#include "invoicer/edges/mirror.h"

#include "common/base/fault.h"
#include "common/io/log.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/late.h"
#include "invoicer/rules/hash128.h"
#include "proto/topics.h"

#include <assert.h>
#include <stdio.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    MIRROR_MESSAGES_MAX = 1000,
    MIRROR_HELD_BYTES_MAX = 32 * 1024 * 1024, /* of a partition's records without a mark */
    MIRROR_TRIES_MAX = 5,
};

/* What stands in TOTALS; behind it the dimensions as text. */
struct mirror_total {
    int64_t value_high;
    uint64_t value_low;
    uint64_t count;
    int64_t time_ns, next_offset;
    uint32_t aggregation, is_unique;
    uint8_t unique[16];
};

/* Records of one partition that wait for a mark: key length u32, value length u32, key, value. */
struct held {
    struct buffer records;
    size_t ready;      /* bytes up to the last mark */
    int64_t position;  /* behind the last mark, when ready > 0 */
    int64_t marked_ms; /* when that came */
    int64_t newest;    /* under a freeze: the state that the newest total that it bills is of */
    bool is_stopped;   /* stands at its target: what follows is read again later */
    bool is_behind;    /* hasn't read what stood in the topic when it began to follow */
    bool is_partial;   /* what the last mark vouches for may stand behind it alone */
};

struct mirror {
    struct kafka_config kafka;
    char bucket[TOPIC_NAME_MAX];
    struct store *store;
    struct follower *follower;
    struct held *held;
    int32_t partitions;
    int64_t *targets; /* of the freeze; -1: none */
    int64_t catalog_target;
    int64_t until_minute; /* the freeze bills windows that end there or before */
};

struct mirror *mirror_new(const struct kafka_config *kafka, const char *bucket, struct store *store)
{
    struct mirror *mirror = calloc(1, sizeof(*mirror));

    assert(mirror);
    mirror->kafka = *kafka;
    snprintf(mirror->bucket, sizeof(mirror->bucket), "%s", bucket);
    mirror->store = store;
    return mirror;
}

static void stop_following(struct mirror *mirror)
{
    if (mirror->follower)
        mirror->follower = follower_free(mirror->follower);
    for (int32_t i = 0; i < mirror->partitions; i++)
        buffer_deinit(&mirror->held[i].records);
    free(mirror->held);
    free(mirror->targets);
    mirror->held = NULL;
    mirror->targets = NULL;
    mirror->partitions = 0;
}

struct mirror *mirror_free(struct mirror *mirror)
{
    if (mirror)
        stop_following(mirror);
    free(mirror);
    return NULL;
}

static void name_of(const char *kind, int32_t partition, char name[32])
{
    snprintf(name, 32, "%s/%d", kind, (int)partition);
}

int mirror_partitions(struct store_txn *txn, const char *bucket, int32_t *partitions)
{
    struct buffer key = {0};
    struct text json;
    int64_t offset;
    int r;

    buffer_printf(&key, "bucket/%s", bucket);
    r = books_catalog_get(txn, buffer_text(&key), &json, &offset);
    buffer_deinit(&key);
    if (r < 0)
        return fault_pass(r);
    *partitions = 0;
    if (r == 0) {
        json_t *record = json_loadb(json.at, json.length, 0, NULL);
        json_int_t count = json_integer_value(json_object_get(record, "partitions"));

        json_decref(record);
        if (count < 1 || count > BOOKS_PARTITIONS_MAX)
            return fault(FAULT_STOP, "the bucket's record says %lld partitions", (long long)count);
        *partitions = (int32_t)count;
    }
    return 0;
}

/* A total may be newer than the mark behind it: what is billed isn't the usage before that mark. */
static void note_newest(struct mirror *mirror, int32_t partition,
                        const struct counters_total *total)
{
    struct held *held = &mirror->held[partition];

    if (mirror->targets[partition] >= 0 && total->to_minute <= mirror->until_minute &&
        total->next_offset > held->newest)
        held->newest = total->next_offset;
}

/* The held record at `at`; returns where the next one is. */
static size_t next_held(const struct held *held, size_t at, struct text *key, struct text *value)
{
    const char *record = held->records.at + at;
    uint32_t lengths[2];

    memcpy(lengths, record, sizeof(lengths));
    *key = text_from(record + sizeof(lengths), lengths[0]);
    *value = text_from(record + sizeof(lengths) + lengths[0], lengths[1]);
    return at + sizeof(lengths) + lengths[0] + lengths[1];
}

static void find_newest(struct mirror *mirror, int32_t partition)
{
    struct held *held = &mirror->held[partition];
    struct counters_total total;
    struct counters_mark mark;
    struct text key, value;
    const char *reason;

    held->newest = 0;
    for (size_t at = 0; at < held->records.length;) {
        at = next_held(held, at, &key, &value);
        if (counters_decode(key, value, &total, &mark, &reason) == COUNTERS_TOTAL)
            note_newest(mirror, partition, &total);
    }
}

/* A freeze may have begun or ended since. */
static int read_freeze(struct mirror *mirror, struct store_txn *txn)
{
    int64_t until_minute = mirror->until_minute;
    char name[32];
    int r = books_number(txn, "freeze/until", 0, &mirror->until_minute);

    if (!r)
        r = books_number(txn, "freeze/catalog", 0, &mirror->catalog_target);
    for (int32_t i = 0; !r && i < mirror->partitions; i++) {
        bool was_frozen = mirror->targets[i] >= 0 && until_minute == mirror->until_minute;

        name_of("freeze", i, name);
        r = books_number(txn, name, -1, &mirror->targets[i]);
        if (!r && !was_frozen)
            find_newest(mirror, i);
    }
    return r ? fault_pass(r) : 0;
}

/* Compaction leaves the last record of a key: a total that was written again has gone from where it
 * stood before the mark that needs it. So the first mark to trust is one that nothing but what came
 * after the beginning can stand behind. */
static void notice_ends(struct mirror *mirror)
{
    for (int32_t i = 0; i < mirror->partitions; i++) {
        struct held *held = &mirror->held[i];

        if (!held->is_behind || !follower_has_read(mirror->follower, i))
            continue;
        held->is_behind = false;
        held->is_partial = held->is_partial && held->ready < held->records.length;
    }
}

static int start_following(struct mirror *mirror)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int64_t *offsets;
    char name[TOPIC_NAME_MAX];
    int32_t partitions = 0;
    int r = store_begin(mirror->store, STORE_READ, &txn);

    if (!r)
        r = mirror_partitions(txn, mirror->bucket, &partitions);
    if (r || partitions == 0)
        return r ? fault_pass(r) : 0;
    mirror->partitions = partitions;
    mirror->held = calloc((size_t)partitions, sizeof(*mirror->held));
    mirror->targets = calloc((size_t)partitions, sizeof(*mirror->targets));
    offsets = calloc((size_t)partitions, sizeof(*offsets));
    assert(mirror->held && mirror->targets && offsets);
    for (int32_t i = 0; !r && i < partitions; i++) {
        char position[32];

        mirror->held[i].is_behind = true;
        name_of("position/counters", i, position);
        r = books_number(txn, position, -2, &offsets[i]);
    }
    if (!r)
        r = read_freeze(mirror, txn);
    store_abort(&txn);
    topic_name(TOPIC_COUNTERS, mirror->bucket, name);
    if (!r)
        r = follower_new(&mirror->kafka, name, offsets, (size_t)partitions, &mirror->follower);
    if (!r)
        notice_ends(mirror);
    free(offsets);
    return r ? fault_pass(r) : 0;
}

/* MIRROR_NONE before the first. */
static int last_mark(struct store_txn *txn, int32_t partition, struct counters_mark *mark)
{
    struct counters_total total;
    struct buffer key = {0};
    const char *reason;
    struct text value;
    int r;

    buffer_printf(&key, "M/%d", (int)partition);
    r = store_get(txn, BOOKS_MARKS, buffer_text(&key), &value);
    if (r == 0 && counters_decode(buffer_text(&key), value, &total, mark, &reason) != COUNTERS_MARK)
        r = fault(FAULT_STOP, "the store's mark of partition %d isn't one", (int)partition);
    buffer_deinit(&key);
    return r == STORE_NOT_FOUND ? MIRROR_NONE : r ? fault_pass(r) : 0;
}

int mirror_mark(struct store_txn *txn, int32_t partition, struct counters_mark *mark)
{
    int64_t ahead;
    char name[32];
    int r;

    name_of("ahead", partition, name);
    r = books_number(txn, name, 0, &ahead);
    if (r)
        return fault_pass(r);
    if (ahead)
        return MIRROR_NONE;
    r = last_mark(txn, partition, mark);
    return r < 0 ? fault_pass(r) : r;
}

static enum mirror_lack lack_of(const struct mirror_standing *standing, int64_t catalog_target,
                                bool is_ahead)
{
    if (is_ahead)
        return MIRROR_LACKS_NEXT_MARK;
    if (standing->mark.next_offset < standing->target)
        return MIRROR_LACKS_USAGE;
    return standing->mark.catalog_offset < catalog_target ? MIRROR_LACKS_CATALOG
                                                          : MIRROR_LACKS_NOTHING;
}

int mirror_stands(struct store_txn *txn, int32_t partition, int64_t target, int64_t catalog_target,
                  struct mirror_standing *standing)
{
    struct mirror_standing found = {.partition = partition, .target = target};
    char marked[32], ahead[32];
    int64_t is_ahead = 0;
    int r = last_mark(txn, partition, &found.mark);
    bool has_mark = r == 0;

    name_of("marked", partition, marked);
    name_of("ahead", partition, ahead);
    if (r >= 0)
        r = books_number(txn, marked, 0, &found.marked_ms);
    if (!r)
        r = books_number(txn, ahead, 0, &is_ahead);
    if (r)
        return fault_pass(r);
    found.lack = has_mark ? lack_of(&found, catalog_target, is_ahead != 0) : MIRROR_LACKS_MARK;
    *standing = found;
    return 0;
}

static void prefix_of(struct text subscription, struct text meter, struct buffer *key)
{
    buffer_add_text(key, subscription);
    buffer_add_char(key, '\0');
    buffer_add_text(key, meter);
    buffer_add_char(key, '\0');
}

static void key_of(const struct counters_total *total, struct buffer *key)
{
    uint8_t hash[HASH128_BYTES];

    prefix_of(total->subscription, total->meter, key);
    books_add_be64(key, total->from_minute);
    books_add_be64(key, total->to_minute);
    hash128(total->dimensions, hash);
    buffer_add(key, hash, sizeof(hash));
    if (total->is_unique)
        buffer_add(key, total->unique, sizeof(total->unique));
}

static struct mirror_total packed(const struct counters_total *total)
{
    struct mirror_total stored = {
        .value_high = (int64_t)(total->total.value.units >> 64),
        .value_low = (uint64_t)total->total.value.units,
        .count = total->total.count,
        .time_ns = total->total.time.ns,
        .next_offset = total->next_offset,
        .aggregation = total->total.aggregation,
        .is_unique = total->is_unique,
    };

    memcpy(stored.unique, total->unique, sizeof(stored.unique));
    return stored;
}

/* Says the same as before, though with more of the log behind it. */
static bool is_same(struct mirror_total old, const struct mirror_total *new)
{
    old.next_offset = new->next_offset;
    return memcmp(&old, new, sizeof(old)) == 0;
}

static int apply_total(struct store_txn *txn, const struct counters_total *total)
{
    CLEANUP(buffer_deinit) struct buffer key = {0}, value = {0};
    struct mirror_total stored = packed(total), old;
    bool is_news = true;
    struct text found;
    int r;

    key_of(total, &key);
    r = store_get(txn, BOOKS_TOTALS, buffer_text(&key), &found);
    if (r < 0)
        return fault_pass(r);
    if (r == 0 && found.length >= sizeof(old)) {
        memcpy(&old, found.at, sizeof(old));
        if (old.next_offset > stored.next_offset)
            return 0; /* older than what is held */
        is_news = !is_same(old, &stored);
    }
    buffer_add(&value, &stored, sizeof(stored));
    buffer_add_text(&value, total->dimensions);
    r = store_put(txn, BOOKS_TOTALS, buffer_text(&key), buffer_text(&value));
    if (!r && is_news)
        r = late_note(txn, total->subscription, total->from_minute);
    return r ? fault_pass(r) : 0;
}

int mirror_take(struct store_txn *txn, struct text key, struct text value)
{
    struct counters_total total;
    struct counters_mark mark;
    const char *reason;
    int r = counters_decode(key, value, &total, &mark, &reason);

    if (r == COUNTERS_TOTAL)
        r = apply_total(txn, &total);
    else if (r == COUNTERS_MARK)
        r = store_put(txn, BOOKS_MARKS, key, value);
    else
        r = 0;
    return r ? fault_pass(r) : 0;
}

/* The mark at which a freeze holds the partition has to pass the totals that are billed, too. */
static int raise_target(const struct mirror *mirror, struct store_txn *txn, int32_t partition)
{
    char name[32];
    int r;

    if (mirror->targets[partition] < 0 ||
        mirror->held[partition].newest <= mirror->targets[partition])
        return 0;
    name_of("freeze", partition, name);
    r = books_set_number(txn, name, mirror->held[partition].newest);
    return r ? fault_pass(r) : 0;
}

/* The held records up to the last mark; without one, all of them, and the partition is ahead, as it
 * is at a mark that can't be trusted. */
static int apply_held(struct store_txn *txn, struct held *held, int32_t partition, size_t bytes,
                      bool is_ahead)
{
    char position[32], ahead[32], marked[32];
    struct text key, value;
    int r = 0;

    for (size_t at = 0; !r && at < bytes;) {
        at = next_held(held, at, &key, &value);
        r = mirror_take(txn, key, value);
    }
    name_of("position/counters", partition, position);
    name_of("ahead", partition, ahead);
    name_of("marked", partition, marked);
    if (!r)
        r = books_set_number(txn, position, held->position);
    if (!r)
        r = books_set_number(txn, ahead, is_ahead);
    if (!r && held->ready)
        r = books_set_number(txn, marked, held->marked_ms);
    return r ? fault_pass(r) : 0;
}

static bool is_ahead(const struct held *held)
{
    return held->ready == 0 && held->records.length > MIRROR_HELD_BYTES_MAX;
}

/* Whether the freeze holds the partition at this mark. */
static bool is_reached(const struct mirror *mirror, const struct counters_mark *mark)
{
    return mirror->targets[mark->partition] >= 0 &&
           mark->next_offset >= mirror->targets[mark->partition] &&
           mark->catalog_offset >= mirror->catalog_target;
}

static int stands(const struct mirror *mirror, struct store_txn *txn, int32_t partition)
{
    struct counters_mark mark;
    int r = mirror_mark(txn, partition, &mark);

    return r < 0 ? fault_pass(r) : r == 0 && is_reached(mirror, &mark);
}

static int apply_one(struct mirror *mirror, struct store_txn *txn, int32_t partition)
{
    struct held *held = &mirror->held[partition];
    int r = stands(mirror, txn, partition);

    if (r < 0)
        return fault_pass(r);
    if (r > 0) {
        held->is_stopped = true;
        held->ready = 0;
        buffer_clear(&held->records);
        return 0;
    }
    r = apply_held(txn, held, partition, held->ready ? held->ready : held->records.length,
                   is_ahead(held) || held->is_partial);
    if (!r)
        r = raise_target(mirror, txn, partition);
    return r ? fault_pass(r) : 0;
}

static int apply_all(struct mirror *mirror)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(mirror->store, STORE_WRITE, &txn);

    /* A freeze that was begun meanwhile holds what stands at its target already. */
    if (!r)
        r = read_freeze(mirror, txn);
    for (int32_t i = 0; !r && i < mirror->partitions; i++) {
        struct held *held = &mirror->held[i];

        if (held->ready || is_ahead(held))
            r = apply_one(mirror, txn, i);
    }
    if (!r)
        r = store_commit(&txn);
    return r ? fault_pass(r) : 0;
}

static void forget_applied(struct mirror *mirror)
{
    for (int32_t i = 0; i < mirror->partitions; i++) {
        struct held *held = &mirror->held[i];
        size_t bytes = is_ahead(held) ? held->records.length : held->ready;

        if (bytes == 0)
            continue;
        memmove(held->records.at, held->records.at + bytes, held->records.length - bytes);
        held->records.length -= bytes;
        held->ready = 0;
    }
}

static void hold(struct mirror *mirror, const struct kafka_message *message)
{
    struct held *held = &mirror->held[message->partition];
    uint32_t lengths[2] = {(uint32_t)message->key.length, (uint32_t)message->value.length};
    struct counters_total total;
    struct counters_mark mark;
    const char *reason;
    int r;

    if (held->is_stopped)
        return;
    r = counters_decode(message->key, message->value, &total, &mark, &reason);
    if (r == COUNTERS_FOREIGN) {
        log_message(LOG_WARN, "foreign_record", "counters/%d at offset %lld: %s",
                    (int)message->partition, (long long)message->offset, reason);
        return;
    }
    buffer_add(&held->records, lengths, sizeof(lengths));
    buffer_add_text(&held->records, message->key);
    buffer_add_text(&held->records, message->value);
    if (r == COUNTERS_MARK || held->ready == 0)
        held->position = message->offset + 1;
    if (r == COUNTERS_TOTAL)
        note_newest(mirror, message->partition, &total);
    if (r == COUNTERS_MARK) {
        held->marked_ms = message->timestamp_ms;
        held->ready = held->records.length;
        held->is_partial = held->is_behind;
        held->is_stopped = !held->is_behind && mark.partition == message->partition &&
                           is_reached(mirror, &mark) && mark.next_offset >= held->newest;
    }
}

static bool has_ready(const struct mirror *mirror)
{
    for (int32_t i = 0; i < mirror->partitions; i++)
        if (mirror->held[i].ready || is_ahead(&mirror->held[i]))
            return true;
    return false;
}

/* A close may have begun or ended since: partitions stop, or go on from where the store stands. */
static int heed_freeze(struct mirror *mirror)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    bool was_stopped = false;
    int r = store_begin(mirror->store, STORE_READ, &txn);

    if (!r)
        r = read_freeze(mirror, txn);
    for (int32_t i = 0; !r && i < mirror->partitions; i++) {
        struct held *held = &mirror->held[i];

        if (mirror->targets[i] < 0) {
            was_stopped = was_stopped || held->is_stopped;
            continue;
        }
        r = stands(mirror, txn, i);
        if (r > 0 && !held->ready) {
            held->is_stopped = true;
            buffer_clear(&held->records);
        }
        r = r < 0 ? r : 0;
    }
    store_abort(&txn);
    if (!r && was_stopped)
        stop_following(mirror);
    return r ? fault_pass(r) : 0;
}

int mirror_step(struct mirror *mirror, int timeout_ms)
{
    struct kafka_message messages[MIRROR_MESSAGES_MAX];
    int count, r = 0;

    if (mirror->follower)
        r = heed_freeze(mirror);
    if (!r && !mirror->follower)
        r = start_following(mirror);
    if (r || !mirror->follower)
        return r ? fault_pass(r) : 0;
    count = follower_poll(mirror->follower, messages, MIRROR_MESSAGES_MAX, timeout_ms);
    if (count <= 0)
        return count < 0 ? fault_pass(count) : 0;
    for (int i = 0; i < count; i++)
        if (messages[i].partition >= 0 && messages[i].partition < mirror->partitions)
            hold(mirror, &messages[i]);
    notice_ends(mirror);
    if (!has_ready(mirror))
        return count;
    r = FAULT_RETRY;
    for (int i = 0; r == FAULT_RETRY && i < MIRROR_TRIES_MAX; i++)
        r = apply_all(mirror);
    if (r)
        return fault_pass(r);
    forget_applied(mirror);
    return count;
}

bool mirror_is_caught_up(const struct mirror *mirror)
{
    return mirror->follower && follower_is_caught_up(mirror->follower);
}

int mirror_freeze(struct store_txn *txn, const int64_t *targets, size_t count,
                  int64_t catalog_target, int64_t until_minute)
{
    char name[32];
    int r = books_set_number(txn, "freeze/until", until_minute);

    for (size_t i = 0; !r && i < count; i++) {
        name_of("freeze", (int32_t)i, name);
        r = books_set_number(txn, name, targets[i]);
    }
    if (!r)
        r = books_set_number(txn, "freeze/catalog", catalog_target);
    if (!r)
        r = books_set_number(txn, "frozen", (int64_t)count);
    return r ? fault_pass(r) : 0;
}

int mirror_thaw(struct store_txn *txn)
{
    int64_t count;
    char name[32];
    int r = books_number(txn, "frozen", 0, &count);

    for (int64_t i = 0; !r && i < count; i++) {
        name_of("freeze", (int32_t)i, name);
        r = store_delete(txn, BOOKS_STATE, text_of(name));
    }
    if (!r)
        r = books_set_number(txn, "frozen", 0);
    return r ? fault_pass(r) : 0;
}

int mirror_frozen(struct store_txn *txn, struct mirror_progress *progress)
{
    struct mirror_progress found = {.behind.lack = MIRROR_LACKS_NOTHING};
    int64_t count, catalog_target;
    int r = books_number(txn, "frozen", 0, &count);

    if (!r)
        r = books_number(txn, "freeze/catalog", 0, &catalog_target);
    for (int32_t i = 0; !r && i < count; i++) {
        struct mirror_standing standing;
        char name[32];
        int64_t target;

        name_of("freeze", i, name);
        r = books_number(txn, name, -1, &target);
        if (!r)
            r = mirror_stands(txn, i, target, catalog_target, &standing);
        if (r)
            break;
        found.standing += standing.lack == MIRROR_LACKS_NOTHING;
        if (found.behind.lack == MIRROR_LACKS_NOTHING)
            found.behind = standing;
    }
    if (r)
        return fault_pass(r);
    found.partitions = (int32_t)count;
    *progress = found;
    return 0;
}

/* Splits a key of TOTALS behind its prefix, and its value. */
static int read_total(struct text rest, struct text value, struct counters_total *total)
{
    struct mirror_total stored;

    if (rest.length < 32 || value.length < sizeof(stored))
        return fault(FAULT_STOP, "the store holds a total that isn't one");
    memcpy(&stored, value.at, sizeof(stored));
    total->from_minute = books_be64(rest.at);
    total->to_minute = books_be64(rest.at + 8);
    total->dimensions = text_from(value.at + sizeof(stored), value.length - sizeof(stored));
    total->is_unique = stored.is_unique;
    memcpy(total->unique, stored.unique, sizeof(stored.unique));
    total->next_offset = stored.next_offset;
    total->total.aggregation = stored.aggregation;
    total->total.count = stored.count;
    total->total.time.ns = stored.time_ns;
    total->total.value.units =
        (int128)((uint128)(uint64_t)stored.value_high << 64 | stored.value_low);
    return 0;
}

int mirror_each(struct store_txn *txn, struct text subscription, struct text meter,
                int64_t from_minute,
                int (*visit)(void *context, const struct counters_total *total), void *context)
{
    CLEANUP(store_cursor_drop) struct store_cursor *cursor = NULL;
    struct counters_total total = {.subscription = subscription, .meter = meter};
    struct buffer start = {0};
    struct text key, value;
    size_t prefix;
    int r = store_cursor_new(txn, BOOKS_TOTALS, &cursor);

    if (r)
        return fault_pass(r);
    prefix_of(subscription, meter, &start);
    prefix = start.length;
    books_add_be64(&start, from_minute);
    key = buffer_text(&start);
    r = store_cursor_seek(cursor, &key, &value);
    while (r == 0 && key.length > prefix && memcmp(key.at, start.at, prefix) == 0) {
        r = read_total(text_from(key.at + prefix, key.length - prefix), value, &total);
        if (!r)
            r = visit(context, &total);
        if (!r)
            r = store_cursor_next(cursor, &key, &value);
    }
    buffer_deinit(&start);
    return r < 0 ? fault_pass(r) : 0;
}
