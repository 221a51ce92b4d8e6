/*
 * A request is let through while its key's bucket isn't in debt, and pays afterwards, when it is
 * known how many events it held: so a large batch is followed by a longer pause instead of never
 * being let through.
 */
#include "ingest/rules/rate.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES_MAX = 16 };

struct bucket {
    char key[KEY_BYTES_MAX];
    size_t length;
    int64_t milli; /* thousandths of an event that may still be sent; < 0: in debt */
    int64_t used_ms;
};

struct rate {
    int64_t per_second;
    size_t count;
    struct bucket buckets[RATE_KEYS_MAX];
};

struct rate *rate_new(int64_t per_second)
{
    struct rate *rate = calloc(1, sizeof(*rate));

    if (!rate)
        abort();
    rate->per_second = per_second;
    return rate;
}

struct rate *rate_free(struct rate *rate)
{
    free(rate);
    return NULL;
}

static struct bucket *find(struct rate *rate, struct text key)
{
    for (size_t i = 0; i < rate->count; i++)
        if (rate->buckets[i].length == key.length &&
            memcmp(rate->buckets[i].key, key.at, key.length) == 0)
            return &rate->buckets[i];
    return NULL;
}

static struct bucket *least_used(struct rate *rate)
{
    struct bucket *least = &rate->buckets[0];

    if (rate->count < RATE_KEYS_MAX)
        return &rate->buckets[rate->count++];
    for (size_t i = 1; i < rate->count; i++)
        if (rate->buckets[i].used_ms < least->used_ms)
            least = &rate->buckets[i];
    return least;
}

static struct bucket *open_bucket(struct rate *rate, struct text key, int64_t now_ms)
{
    struct bucket *bucket = find(rate, key);

    if (bucket)
        return bucket;
    bucket = least_used(rate);
    bucket->length = key.length < KEY_BYTES_MAX ? key.length : KEY_BYTES_MAX;
    memcpy(bucket->key, key.at, bucket->length);
    bucket->milli = rate->per_second * 1000;
    bucket->used_ms = now_ms;
    return bucket;
}

int64_t rate_wait(struct rate *rate, struct text key, int64_t now_ms)
{
    struct bucket *bucket = open_bucket(rate, key, now_ms);
    int64_t passed = now_ms > bucket->used_ms ? now_ms - bucket->used_ms : 0;
    int64_t full = rate->per_second * 1000;

    if (passed > 86400000)
        passed = 86400000;
    bucket->used_ms = now_ms;
    bucket->milli += passed * rate->per_second;
    if (bucket->milli > full)
        bucket->milli = full;
    if (bucket->milli > 0)
        return 0;
    return -bucket->milli / rate->per_second + 1;
}

void rate_spend(struct rate *rate, struct text key, int64_t events)
{
    struct bucket *bucket = find(rate, key);

    if (bucket)
        bucket->milli -= events * 1000;
}
