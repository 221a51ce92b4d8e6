#include "aggregator/edges/shard.h"

#include "aggregator/edges/measures.h"
#include "aggregator/edges/restore.h"
#include "common/base/fault.h"
#include "common/base/monotonic.h"
#include "common/base/pause.h"
#include "common/io/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <xxhash.h>

enum {
    FLUSH_MS = 10000,
    COMMIT_ATTEMPTS = 3,
    SEAL_HELD_IDS = 1000000,
    FOLLOW_MS = 1000, /* so long an end waits for its own totals to come back */
    FOLLOW_PAUSE_MS = 2
};

bool shard_folder(const char *data, const char *bucket, int32_t partition,
                  char path[SHARD_PATH_MAX])
{
    int length = snprintf(path, SHARD_PATH_MAX, "%s/%s/p%d", data, bucket, partition);

    return length > 0 && length < SHARD_PATH_MAX;
}

/* --- opening --- */

struct wanted {
    const struct shard_setup *setup;
    int32_t partition;
};

static struct tally *make_tally(void *context)
{
    const struct wanted *wanted = context;

    struct tally *tally =
        tally_new(wanted->partition, wanted->setup->partitions, wanted->setup->horizon_ms);

    tally->filter_bytes_max = wanted->setup->ids_bytes_max / 2;
    return tally;
}

static int restore(struct shard *shard)
{
    const struct shard_setup *setup = shard->setup;
    struct wanted wanted = {.setup = setup, .partition = shard->partition};
    struct restore_place place = {.snapshots = setup->snapshots,
                                  .bucket = setup->bucket,
                                  .partition = shard->partition,
                                  .map_bytes = setup->map_bytes};
    char folder[SHARD_PATH_MAX];
    bool found;
    int r;

    if (!shard_folder(setup->data, setup->bucket, shard->partition, folder))
        return fault(FAULT_REFUSE, "the path of --data is too long");
    place.folder = folder;
    r = restore_open(&place, make_tally, &wanted, &shard->vault, &shard->tally, &found);
    if (r)
        return fault_pass(r);
    log_message(LOG_INFO, "partition_opened", "partition %d at offset %lld%s", shard->partition,
                (long long)shard->tally->next_offset, found ? "" : ", from the log alone");
    return 0;
}

/* What others have written behind the last confirmed mark is looked for. Who never had one
 * publishes everything before the first, over what stands there. */
static void watch(struct shard *shard)
{
    const struct published *published = shard->publisher.published;
    bool is_first = published->offset <= 0 && published->followed == VAULT_UNFOLLOWED;

    if (!shard->setup->peers)
        return;
    peers_watch(shard->setup->peers, shard->partition,
                is_first ? PEERS_FROM_END : published->followed, shard->writer);
    shard->publisher.writer = shard->writer;
    shard->publisher.followed = PEERS_CATCHING_UP;
}

static void begin_publishing(struct shard *shard, struct published *published)
{
    const struct shard_setup *setup = shard->setup;

    publisher_init(&shard->publisher);
    shard->publisher.producer = shard->producer;
    shard->publisher.feed = setup->feed;
    shard->publisher.topic = setup->counters_topic;
    shard->publisher.owner = setup->owner;
    shard->publisher.writer = setup->instance;
    shard->publisher.published = published;
    published->generation++;
    published->has_lost = false;
    published->offset = shard->vault.state.published_offset;
    published->followed = shard->vault.state.followed;
    published->last_total = -1;
    watch(shard);
    publisher_note_cuts(&shard->publisher, shard->tally);
    publisher_note_days(&shard->publisher, shard->tally, shard->vault.state.published_offset);
}

int shard_open(const struct shard_setup *setup, int32_t partition, struct producer *producer,
               struct published *published, int64_t now_ms, struct shard **shard)
{
    struct shard *opened = calloc(1, sizeof(*opened));
    int r;

    if (!opened)
        abort();
    opened->setup = setup;
    opened->partition = partition;
    opened->producer = producer;
    opened->snapshot_ms = now_ms;
    r = restore(opened);
    if (r) {
        free(opened);
        return fault_pass(r);
    }
    opened->snapshot_offset = opened->tally->next_offset;
    reject_init(&opened->reject, producer, setup->rejected_topic, setup->usage_topic);
    begin_publishing(opened, published);
    owned_add(setup->owned, partition, opened->vault.store);
    *shard = opened;
    return 0;
}

void shard_suspect(const struct shard *shard)
{
    char folder[SHARD_PATH_MAX];

    if (shard_folder(shard->setup->data, shard->setup->bucket, shard->partition, folder))
        restore_suspect(folder);
}

struct shard *shard_close(struct shard *shard)
{
    if (!shard)
        return NULL;
    owned_remove(shard->setup->owned, shard->partition);
    if (shard->setup->peers)
        peers_unwatch(shard->setup->peers, shard->partition);
    publisher_deinit(&shard->publisher);
    reject_deinit(&shard->reject);
    tally_free(shard->tally);
    vault_close(&shard->vault);
    free(shard);
    return NULL;
}

/* --- counting --- */

/* What a message is known by: a batch by the checksum that it carries, which was looked at once. */
static uint64_t hash_of(const struct kafka_message *message)
{
    uint64_t hash;

    if (!usage_carried_checksum(message->value, &hash))
        hash = XXH3_64bits(message->value.at ? message->value.at : "", message->value.length);
    return hash | 1;
}

static int take_foreign(struct shard *shard, const struct kafka_message *message,
                        const char *reason)
{
    const char *name = text_is_absent(message->value) ? "tombstone" : "foreign_bytes";
    int r = reject_message(&shard->reject, message, name, reason);

    if (r)
        return fault_pass(r);
    shard->has_asides = true;
    tally_reject(shard->tally, message->offset);
    shard->vault.state.last_message = hash_of(message);
    metrics_add(shard->setup->metrics, MEASURE_EVENTS, VERDICT_REJECTED, 1);
    return 0;
}

/* The copies go out after the events are counted, and before they are committed. */
static int keep_asides(struct shard *shard, const struct kafka_message *message,
                       const struct usage_batch *batch, const struct aside *asides, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r;

        do
            r = reject_event(&shard->reject, message, batch, &asides[i]);
        while (r == FAULT_RETRY && !*shard->setup->is_ending);
        if (r) {
            shard->is_torn = true;
            return fault_pass(r);
        }
        shard->has_asides = true;
    }
    return 0;
}

int64_t shard_start(const struct shard *shard)
{
    bool has_last = shard->vault.state.last_message != 0;

    return shard->vault.state.next_offset - (has_last ? 1 : 0);
}

/* The last message that was counted comes once more after an assignment: is it still the same? */
static int check_passed(const struct shard *shard, const struct kafka_message *message)
{
    const struct vault_state *state = &shard->vault.state;

    if (shard->tally->pending > 0 || message->offset != state->next_offset - 1 ||
        state->last_message == 0 || state->last_message == hash_of(message))
        return 0;
    return fault(FAULT_STOP,
                 "%s/%d: offset %lld holds another message than the one that was counted: the "
                 "topic was made anew; remedy: a new bucket, or an empty --data and --snapshots "
                 "to count this log from its beginning",
                 shard->setup->usage_topic, shard->partition, (long long)message->offset);
}

int shard_take(struct shard *shard, struct usage_reader *reader,
               const struct kafka_message *message, int64_t now_ms)
{
    struct aside asides[USAGE_EVENTS_MAX];
    struct usage_batch batch;
    const char *reason = "the record has no value";
    size_t count;
    int r;

    if (message->offset < shard->tally->next_offset)
        return check_passed(shard, message);
    if (shard->tally->pending == 0)
        shard->pending_ms = now_ms;
    metrics_add(shard->setup->metrics, MEASURE_MESSAGES, 0, 1);
    if (text_is_absent(message->value) || usage_decode(reader, message->value, &batch, &reason))
        return take_foreign(shard, message, reason);
    r = vault_recall(&shard->vault, shard->tally, &batch);
    if (r)
        return fault_pass(r);
    tally_count(shard->tally, &batch, message->offset, asides, &count);
    shard->vault.state.last_message = hash_of(message);
    r = keep_asides(shard, message, &batch, asides, count);
    return r ? fault_pass(r) : 0;
}

/* --- committing --- */

static void observe(struct shard *shard, const struct account_counts *before, int32_t took_us)
{
    struct metrics *metrics = shard->setup->metrics;
    struct account_counts after = shard->tally->ledger.sum;

    metrics_add(metrics, MEASURE_EVENTS, VERDICT_COUNTED,
                (int64_t)(after.counted - before->counted));
    metrics_add(metrics, MEASURE_EVENTS, VERDICT_DUPLICATE,
                (int64_t)(after.duplicate - before->duplicate));
    metrics_add(metrics, MEASURE_EVENTS, VERDICT_LATE, (int64_t)(after.late - before->late));
    metrics_add(metrics, MEASURE_CONFLICTS, 0, (int64_t)(after.conflict - before->conflict));
    metrics_add(metrics, MEASURE_COMMITS, 0, 1);
    metrics_observe(metrics, MEASURE_COMMIT_SECONDS, 0, took_us / 1e6);
}

static int64_t thread_cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Kafka has the copies of what isn't counted; after a failure nothing is ever committed. */
static int confirm_asides(struct shard *shard, int flush_ms)
{
    int r;

    if (!shard->has_asides)
        return 0;
    r = producer_flush(shard->producer, flush_ms);
    if (r)
        return fault_pass(r);
    r = reject_check(&shard->reject);
    shard->is_torn = r != 0;
    shard->has_asides = false;
    return r ? fault_pass(r) : 0;
}

static int commit(struct shard *shard, int flush_ms)
{
    struct account_counts before = shard->tally->ledger.committed_sum;
    int64_t began_ns = monotonic_ns(), began_cpu_ns = thread_cpu_ns();
    uint32_t uniques = shard->publisher.windows.unique_count;
    int r;

    if (shard->tally->pending == 0)
        return 0;
    if (shard->is_torn)
        return fault(FAULT_RETRY, "partition %d: a copy for %s isn't sent", shard->partition,
                     shard->setup->rejected_topic);
    r = confirm_asides(shard, flush_ms);
    if (r)
        return fault_pass(r);
    publisher_note_cuts(&shard->publisher, shard->tally);
    r = publisher_note(&shard->publisher, &shard->vault, shard->tally);
    if (r)
        return fault_pass(r);
    shard->vault.state.published_offset = shard->publisher.published->offset;
    shard->vault.state.followed = shard->publisher.published->followed;
    for (int attempt = 0; attempt < COMMIT_ATTEMPTS; attempt++) {
        r = vault_commit(&shard->vault, shard->tally);
        if (r != FAULT_RETRY)
            break;
    }
    if (r) /* a window is read from the store when it is sent, a unique value isn't */
        shard->publisher.windows.unique_count = uniques;
    if (r)
        return fault_pass(r);
    shard->commit_cpu_ms = (thread_cpu_ns() - began_cpu_ns) / 1000000;
    observe(shard, &before, (int32_t)((monotonic_ns() - began_ns) / 1000));
    return 0;
}

int shard_commit(struct shard *shard)
{
    return commit(shard, FLUSH_MS);
}

/* --- ids that are too many for the memory --- */

int64_t shard_ids_bytes(const struct shard *shard)
{
    uint64_t bytes = 0;

    for (struct day *day = days_next(&shard->tally->days, INT32_MIN); day;
         day = days_next(&shard->tally->days, (int64_t)day->number + 1))
        bytes += day_ids_bytes(day);
    return (int64_t)bytes;
}

static int seal(struct shard *shard, int64_t bytes, size_t *count)
{
    struct day *days[DAYS_SEALED_MAX];
    int r = shard_commit(shard);

    if (r)
        return fault_pass(r);
    *count = days_to_seal(&shard->tally->days, bytes, SEAL_HELD_IDS, days);
    if (*count == 0)
        return 0;
    r = vault_seal(&shard->vault, shard->tally, days, *count, SEAL_HELD_IDS);
    if (r)
        return fault_pass(r);
    log_message(LOG_INFO, "days_sealed",
                "partition %d: the ids of %zu days, %d to %d, left the memory for the store",
                shard->partition, *count, days[0]->number, days[*count - 1]->number);
    return 0;
}

int shard_free_ids(struct shard *shard, int64_t bytes, bool *freed)
{
    struct days *days = &shard->tally->days;
    size_t count = 0;
    int r;

    bytes -= (int64_t)days_forget_recalled(days);
    *freed = false;
    if (bytes <= 0)
        return 0;
    r = seal(shard, bytes, &count);
    if (r)
        return fault_pass(r);
    *freed = count > 0;
    for (struct day *day = days_with_filter(days); bytes > 0 && count == 0 && day;
         day = days_with_filter(days)) {
        bytes -= (int64_t)bloom_bytes(&day->sealed->bloom);
        sealed_drop_filter(day->sealed);
        *freed = true;
    }
    return 0;
}

/* --- in between --- */

/* Notes what others have overwritten; all of it again that may be among what Kafka has refused.
 * While that is read no pass begins: what is refused meanwhile was sent before, and is read. */
static void take_overwritten(struct shard *shard)
{
    const struct published *published = shard->publisher.published;
    struct peers_overwritten taken;

    if (!shard->setup->peers)
        return;
    if (published->has_lost && shard->watched != published->generation &&
        shard->publisher.followed != PEERS_CATCHING_UP)
        watch(shard);
    if (shard->publisher.followed == PEERS_CATCHING_UP)
        shard->watched = published->generation;
    while (peers_take_overwritten(shard->setup->peers, shard->partition, &taken,
                                  &shard->publisher.followed)) {
        publisher_note_foreign(&shard->publisher, shard->tally, text_of(taken.key),
                               taken.next_offset);
        free(taken.key);
    }
}

static bool has_news(const struct shard *shard)
{
    return shard->publisher.windows.count > 0 || shard->publisher.windows.unique_count > 0;
}

static int snapshot(struct shard *shard, int64_t now_ms)
{
    struct restore_place place = {.snapshots = shard->setup->snapshots,
                                  .bucket = shard->setup->bucket,
                                  .partition = shard->partition};
    int r = restore_snapshot(&place, &shard->vault);

    if (r)
        return fault_pass(r);
    shard->snapshot_ms = now_ms;
    shard->snapshot_offset = shard->vault.state.next_offset;
    return 0;
}

/* Is there anything to say, or to say again? New cuts are waited for: they are said at once. A mark
 * vouches for what stood on the topic before the partition was ours as well. */
static bool is_publishing_due(struct shard *shard, int64_t now_ms)
{
    const struct shard_setup *setup = shard->setup;
    const struct publisher *publisher = &shard->publisher;
    int64_t since_ms = now_ms - shard->published_ms;

    if (since_ms < setup->publish_ms)
        return false;
    take_overwritten(shard);
    publisher_note_cuts(&shard->publisher, shard->tally);
    if (publisher->followed == PEERS_CATCHING_UP)
        return false;
    if (publisher->catalog_offset != publisher->mark.catalog_offset)
        return true;
    return windows_are_worth_it(&publisher->windows, since_ms, setup->publish_ms) &&
           (has_news(shard) || since_ms >= setup->mark_ms ||
            publisher->published->offset < shard->vault.state.next_offset);
}

static int publish(struct shard *shard, int64_t now_ms, int64_t until_ns)
{
    int r = 0;

    if (!shard->publisher.is_sending && is_publishing_due(shard, now_ms)) {
        publisher_begin(&shard->publisher, &shard->vault, shard->tally);
        shard->published_ms = now_ms;
    }
    while (r == 0 && publisher_can_step(&shard->publisher) &&
           (publisher_is_urgent(&shard->publisher) || monotonic_ns() < until_ns))
        r = publisher_step(&shard->publisher, &shard->vault, shard->tally);
    return r;
}

int shard_tend(struct shard *shard, int64_t now_ms, int64_t until_ns)
{
    const struct shard_setup *setup = shard->setup;
    int r = publish(shard, now_ms, until_ns);

    if (r)
        return fault_pass(r);
    if (setup->snapshots && !shard->publisher.is_sending &&
        now_ms - shard->snapshot_ms >= setup->snapshot_ms &&
        shard->snapshot_offset < shard->vault.state.next_offset)
        return snapshot(shard, now_ms);
    return 0;
}

/* Takes down in the store what Kafka has confirmed, so that whoever opens it next needn't publish
 * that again, or read it. A partition that never had an event gets no state for that. */
static int keep_published(struct shard *shard)
{
    const struct published *published = shard->publisher.published;
    struct vault_state *state = &shard->vault.state;

    if (published->offset <= state->published_offset &&
        (state->next_offset == 0 || published->followed <= state->followed))
        return 0;
    state->published_offset = published->offset;
    state->followed = published->followed;
    return vault_commit(&shard->vault, shard->tally);
}

static int publish_noted(struct shard *shard, int flush_ms)
{
    int r;

    take_overwritten(shard);
    if (shard->publisher.followed == PEERS_CATCHING_UP)
        return 0;
    r = publisher_send(&shard->publisher, &shard->vault, shard->tally, flush_ms);
    if (r == 0)
        r = producer_flush(shard->producer, flush_ms);
    return r ? fault_pass(r) : 0;
}

/* The next owner reads on from where the last mark's pass began, and that was before all totals of
 * the pass: once they have been read here, another mark spares them that owner. */
static bool has_read_more(struct shard *shard, int64_t until_ns)
{
    struct publisher *publisher = &shard->publisher;

    if (!shard->setup->peers || publisher->published->last_total < publisher->pass_followed)
        return false;
    while (publisher->followed <= publisher->published->last_total && monotonic_ns() < until_ns) {
        pause_ms(FOLLOW_PAUSE_MS);
        take_overwritten(shard);
    }
    return monotonic_ns() < until_ns;
}

/* One that isn't ours for long enough to know what others wrote leaves that to the next owner. */
static int publish_all(struct shard *shard, int flush_ms)
{
    int r = publish_noted(shard, flush_ms);
    int64_t until_ns =
        monotonic_ns() + INT64_C(1000000) * (flush_ms < FOLLOW_MS ? flush_ms : FOLLOW_MS);

    while (r == 0 && has_read_more(shard, until_ns))
        r = publish_noted(shard, flush_ms);
    if (r == 0)
        r = keep_published(shard);
    return r ? fault_pass(r) : 0;
}

int shard_settle(struct shard *shard, int64_t now_ms, int flush_ms)
{
    int r = commit(shard, flush_ms);

    if (r == 0)
        r = publish_all(shard, flush_ms);
    if (r == 0 && shard->setup->snapshots &&
        shard->snapshot_offset < shard->vault.state.next_offset)
        r = snapshot(shard, now_ms);
    return r ? fault_pass(r) : 0;
}
