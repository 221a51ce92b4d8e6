/*
 * catalog_subscriptions.c - a million subscriptions, found by id, consumer and customer.
 *
 * Subscriptions stand in chunks and never move, each on cache lines of its own. Those of one
 * consumer, and of one customer, hang on a list whose head is the map's.
 */
#include "proto/catalog_parts.h"

#include "common/base/partition.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1024, LINE = 64 };

/* By what a list is kept. */
enum kin { KIN_CONSUMER, KIN_CUSTOMER, KIN_COUNT };

struct catalog_held {
    alignas(LINE) struct catalog_subscription subscription; /* id of length 0: a hole */
    uint32_t next[KIN_COUNT];                               /* CATALOG_MAP_NONE at the end */
};

static_assert(offsetof(struct catalog_subscription, customer_key) <= LINE,
              "what an event asks for is in one cache line");

static struct catalog_held *held_at(const struct catalog_subscriptions *subscriptions,
                                    uint32_t number)
{
    return &subscriptions->chunks[number / CHUNK][number % CHUNK];
}

static struct text id_of(const void *owner, uint32_t number)
{
    return held_at(owner, number)->subscription.id;
}

static struct text consumer_of(const void *owner, uint32_t number)
{
    return held_at(owner, number)->subscription.consumer_name;
}

static struct text customer_of(const void *owner, uint32_t number)
{
    return held_at(owner, number)->subscription.customer_key;
}

void catalog_subscriptions_init(struct catalog_subscriptions *subscriptions)
{
    *subscriptions = (struct catalog_subscriptions){.holes = CATALOG_MAP_NONE};
    catalog_map_init(&subscriptions->by_id, id_of, subscriptions);
    catalog_map_init(&subscriptions->by_consumer, consumer_of, subscriptions);
    catalog_map_init(&subscriptions->by_customer, customer_of, subscriptions);
}

void catalog_subscriptions_deinit(struct catalog_subscriptions *subscriptions)
{
    for (uint32_t i = 0; i < subscriptions->room / CHUNK; i++)
        free(subscriptions->chunks[i]);
    free(subscriptions->chunks);
    catalog_slab_deinit(&subscriptions->texts);
    catalog_map_deinit(&subscriptions->by_id);
    catalog_map_deinit(&subscriptions->by_consumer);
    catalog_map_deinit(&subscriptions->by_customer);
}

static void *grown(void *array, size_t count, size_t size)
{
    void *larger = reallocarray(array, count, size);

    if (!larger)
        abort();
    return larger;
}

static struct catalog_held *make_chunk(void)
{
    struct catalog_held *chunk =
        aligned_alloc(alignof(struct catalog_held), CHUNK * sizeof(*chunk));

    if (!chunk)
        abort();
    return chunk;
}

/* A number that nothing has. */
static uint32_t take_number(struct catalog_subscriptions *subscriptions)
{
    uint32_t number = subscriptions->holes;
    uint32_t chunks = subscriptions->room / CHUNK;

    if (number != CATALOG_MAP_NONE) {
        subscriptions->holes = held_at(subscriptions, number)->next[KIN_CONSUMER];
        return number;
    }
    if (subscriptions->used == subscriptions->room) {
        subscriptions->chunks =
            grown(subscriptions->chunks, chunks + 1, sizeof(*subscriptions->chunks));
        subscriptions->chunks[chunks] = make_chunk();
        subscriptions->room += CHUNK;
    }
    return subscriptions->used++;
}

/* --- the lists --- */

static struct catalog_map *map_of(struct catalog_subscriptions *subscriptions, enum kin kin)
{
    return kin == KIN_CONSUMER ? &subscriptions->by_consumer : &subscriptions->by_customer;
}

static struct text name_of(const struct catalog_held *held, enum kin kin)
{
    return kin == KIN_CONSUMER ? held->subscription.consumer_name : held->subscription.customer_key;
}

static void link_in(struct catalog_subscriptions *subscriptions, uint32_t number, enum kin kin)
{
    struct catalog_held *held = held_at(subscriptions, number);
    struct catalog_map *map = map_of(subscriptions, kin);
    struct text name = name_of(held, kin);

    held->next[kin] = CATALOG_MAP_NONE;
    if (text_is_absent(name))
        return;
    held->next[kin] = catalog_map_find(map, name);
    catalog_map_put(map, name, number);
}

static void unlink_from(struct catalog_subscriptions *subscriptions, uint32_t number, enum kin kin)
{
    struct catalog_held *held = held_at(subscriptions, number), *before;
    struct catalog_map *map = map_of(subscriptions, kin);
    struct text name = name_of(held, kin);
    uint32_t at;

    if (text_is_absent(name))
        return;
    at = catalog_map_find(map, name);
    if (at == number) {
        if (held->next[kin] == CATALOG_MAP_NONE)
            catalog_map_remove(map, name);
        else
            catalog_map_put(map, name, held->next[kin]);
        return;
    }
    for (;;) {
        assert(at != CATALOG_MAP_NONE);
        before = held_at(subscriptions, at);
        if (before->next[kin] == number)
            break;
        at = before->next[kin];
    }
    before->next[kin] = held->next[kin];
}

/* --- taking it in --- */

static int32_t partition_for(const struct catalog_subscriptions *subscriptions, struct text id)
{
    return subscriptions->partitions ? partition_of(id, subscriptions->partitions) : -1;
}

/* A subscription keeps its id as long as it is held. */
static void keep_id(struct catalog_subscriptions *subscriptions,
                    struct catalog_subscription *subscription, struct text id)
{
    if (subscription->id.length)
        return;
    if (id.length > sizeof(subscription->short_id)) {
        subscription->id = catalog_slab_copy(&subscriptions->texts, id);
        return;
    }
    memcpy(subscription->short_id, id.at, id.length);
    subscription->id = text_from(subscription->short_id, id.length);
}

static void give_back_id(struct catalog_subscriptions *subscriptions,
                         const struct catalog_subscription *subscription)
{
    if (subscription->id.at != subscription->short_id)
        catalog_slab_give_back(&subscriptions->texts, subscription->id);
}

static void fill(struct catalog_subscriptions *subscriptions, struct catalog_held *held,
                 const struct catalog_reading *reading)
{
    struct catalog_subscription *subscription = &held->subscription;

    keep_id(subscriptions, subscription, reading->id);
    catalog_slab_replace(&subscriptions->texts, &subscription->customer_key, reading->customer_key);
    catalog_slab_replace(&subscriptions->texts, &subscription->consumer_name,
                         reading->consumer_name);
    subscription->active_from = reading->active_from;
    subscription->active_to = reading->active_to;
    subscription->partition = partition_for(subscriptions, reading->id);
}

void catalog_subscriptions_take(struct catalog_subscriptions *subscriptions,
                                const struct catalog_reading *reading)
{
    uint32_t number = catalog_map_find(&subscriptions->by_id, reading->id);

    if (number == CATALOG_MAP_NONE) {
        number = take_number(subscriptions);
        *held_at(subscriptions, number) = (struct catalog_held){0};
        fill(subscriptions, held_at(subscriptions, number), reading);
        catalog_map_put(&subscriptions->by_id, reading->id, number);
    } else {
        unlink_from(subscriptions, number, KIN_CONSUMER);
        unlink_from(subscriptions, number, KIN_CUSTOMER);
        fill(subscriptions, held_at(subscriptions, number), reading);
    }
    link_in(subscriptions, number, KIN_CONSUMER);
    link_in(subscriptions, number, KIN_CUSTOMER);
}

void catalog_subscriptions_remove(struct catalog_subscriptions *subscriptions, struct text id)
{
    uint32_t number = catalog_map_find(&subscriptions->by_id, id);
    struct catalog_held *held;

    if (number == CATALOG_MAP_NONE)
        return;
    held = held_at(subscriptions, number);
    unlink_from(subscriptions, number, KIN_CONSUMER);
    unlink_from(subscriptions, number, KIN_CUSTOMER);
    catalog_map_remove(&subscriptions->by_id, id);
    give_back_id(subscriptions, &held->subscription);
    catalog_slab_give_back(&subscriptions->texts, held->subscription.customer_key);
    catalog_slab_give_back(&subscriptions->texts, held->subscription.consumer_name);
    *held = (struct catalog_held){.next[KIN_CONSUMER] = subscriptions->holes};
    subscriptions->holes = number;
}

void catalog_subscriptions_spread(struct catalog_subscriptions *subscriptions, int32_t partitions)
{
    subscriptions->partitions = partitions;
    for (uint32_t i = 0; i < subscriptions->used; i++) {
        struct catalog_subscription *subscription = &held_at(subscriptions, i)->subscription;

        if (subscription->id.length)
            subscription->partition = partition_for(subscriptions, subscription->id);
    }
}

/* --- finding --- */

size_t catalog_subscription_count(const struct catalog *catalog)
{
    return catalog->subscriptions.by_id.count;
}

const struct catalog_subscription *catalog_subscription(const struct catalog *catalog,
                                                        struct text id)
{
    uint32_t number = catalog_map_find(&catalog->subscriptions.by_id, id);

    return number == CATALOG_MAP_NONE ? NULL
                                      : &held_at(&catalog->subscriptions, number)->subscription;
}

const struct catalog_subscription *
catalog_subscription_like(const struct catalog *catalog, struct text id,
                          const struct catalog_subscription *guess)
{
    return guess && text_equal(guess->id, id) ? guess : catalog_subscription(catalog, id);
}

/* What is looked for, then where it stands: a round each. */
void catalog_prefetch(const struct catalog *catalog, const struct text *ids, size_t count,
                      const struct catalog_subscription **guesses)
{
    const struct catalog_subscriptions *subscriptions = &catalog->subscriptions;
    uint32_t hashes[CATALOG_PREFETCH_MAX];

    assert(count <= CATALOG_PREFETCH_MAX);
    for (size_t i = 0; i < count; i++) {
        hashes[i] = text_is_absent(ids[i]) ? 0 : catalog_map_hash(ids[i]);
        catalog_map_prefetch(&subscriptions->by_id, hashes[i]);
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t number = catalog_map_guess(&subscriptions->by_id, hashes[i]);

        guesses[i] = NULL;
        if (number == CATALOG_MAP_NONE)
            continue;
        guesses[i] = &held_at(subscriptions, number)->subscription;
        __builtin_prefetch(guesses[i]);
    }
}

bool catalog_is_active(const struct catalog_subscription *subscription, struct instant time)
{
    int64_t to = subscription->active_to.ns;

    return subscription->active_from.ns <= time.ns && (to == INT64_MAX || time.ns < to);
}

/* The only active one on the list that begins with `number`. */
static int find_active(const struct catalog_subscriptions *subscriptions, uint32_t number,
                       enum kin kin, struct instant time,
                       const struct catalog_subscription **subscription)
{
    const struct catalog_subscription *found = NULL;

    while (number != CATALOG_MAP_NONE) {
        const struct catalog_held *held = held_at(subscriptions, number);

        if (catalog_is_active(&held->subscription, time)) {
            if (found)
                return CATALOG_SUBJECT_AMBIGUOUS;
            found = &held->subscription;
        }
        number = held->next[kin];
    }
    if (!found)
        return CATALOG_SUBJECT_INACTIVE;
    *subscription = found;
    return 0;
}

int catalog_find_subject(const struct catalog *catalog, struct text subject,
                         const struct catalog_subscription *guess, struct instant time,
                         const struct catalog_subscription **subscription)
{
    const struct catalog_subscriptions *subscriptions = &catalog->subscriptions;
    const struct catalog_subscription *by_id = catalog_subscription_like(catalog, subject, guess);
    uint32_t number;

    if (by_id) {
        if (!catalog_is_active(by_id, time))
            return CATALOG_SUBJECT_INACTIVE;
        *subscription = by_id;
        return 0;
    }
    number = catalog_map_find(&subscriptions->by_consumer, subject);
    if (number != CATALOG_MAP_NONE)
        return find_active(subscriptions, number, KIN_CONSUMER, time, subscription);
    number = catalog_map_find(&subscriptions->by_customer, subject);
    if (number != CATALOG_MAP_NONE)
        return find_active(subscriptions, number, KIN_CUSTOMER, time, subscription);
    return CATALOG_SUBJECT_UNKNOWN;
}

void catalog_each_subscription(const struct catalog *catalog,
                               void (*visit)(void *context,
                                             const struct catalog_subscription *subscription),
                               void *context)
{
    for (uint32_t i = 0; i < catalog->subscriptions.used; i++) {
        const struct catalog_held *held = held_at(&catalog->subscriptions, i);

        if (held->subscription.id.length)
            visit(context, &held->subscription);
    }
}
