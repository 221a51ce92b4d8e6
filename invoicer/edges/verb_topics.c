/*
 * `topics create`: the bucket's topics with their settings, then the bucket's record. Done again it
 * changes nothing; another number of partitions is refused, since usage already counted would move.
 */
#include "common/base/fault.h"
#include "common/base/instant.h"
#include "common/io/log.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/config.h"
#include "invoicer/edges/outbox.h"
#include "invoicer/edges/refuse.h"

#include <jansson.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED_BYTES = 16, BUCKET_OTHER = 1 };

static int create_topics(const struct invoicer_config *config)
{
    struct kafka_config kafka = config_kafka(config);
    struct config_topics topics;
    int r;

    config_topics(config, (int32_t)config->partitions, &topics);
    r = topics_create(&kafka, topics.specs, TOPIC_COUNT, (int)config->replication);
    return r ? fault_pass(r) : 0;
}

static int bucket_record(const struct invoicer_config *config, struct buffer *json)
{
    unsigned char seed[SEED_BYTES];
    char at[INSTANT_TEXT_MAX];

    if (RAND_bytes(seed, SEED_BYTES) != 1)
        return fault(FAULT_RETRY, "the system gives no random bytes");
    instant_format(instant_from_ms(instant_ms(instant_now())), at);
    buffer_printf(json, "{\"createdAt\":\"%s\",\"mode\":\"%s\",\"partitions\":%lld,\"seed\":\"", at,
                  config->mode, (long long)config->partitions);
    for (int i = 0; i < SEED_BYTES; i++)
        buffer_printf(json, "%02x", seed[i]);
    buffer_printf(json, "\",\"hash\":\"%s\"}", config->hash);
    return 0;
}

/* BUCKET_OTHER when a record stands that says other partitions, another mode or hash. */
static int compare(const struct invoicer_config *config, struct text json)
{
    json_t *record = json_loadb(json.at, json.length, 0, NULL);
    int64_t partitions = json_integer_value(json_object_get(record, "partitions"));
    const char *mode = json_string_value(json_object_get(record, "mode"));
    const char *said = json_string_value(json_object_get(record, "hash"));
    const char *hash = said ? said : "xxh3"; /* as the first buckets' was */
    bool differs = partitions != config->partitions || !mode || strcmp(mode, config->mode) != 0 ||
                   strcmp(hash, config->hash) != 0;

    if (differs)
        refuse(config, "bucket_other", NULL,
               "bucket %s has %lld partitions, mode %s and hash %s, which are fixed for "
               "good: use them, or another bucket",
               config->common.bucket, (long long)partitions, mode ? mode : "none", hash);
    json_decref(record);
    return differs ? BUCKET_OTHER : 0;
}

static int publish(const struct invoicer_config *config, struct engine *engine)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct buffer key = {0}, json = {0};
    struct text standing;
    int64_t offset, sequence = -1;
    int r = engine_begin(engine, &txn);

    buffer_printf(&key, "bucket/%s", config->common.bucket);
    if (!r)
        r = books_catalog_get(txn, buffer_text(&key), &standing, &offset);
    if (r == 0) {
        r = compare(config, standing);
    } else if (r == BOOKS_NOT_FOUND) {
        r = bucket_record(config, &json);
        if (!r)
            r = books_catalog_put(txn, buffer_text(&key), buffer_text(&json), -1);
        if (!r)
            r = outbox_put(txn, TOPIC_CATALOG, buffer_text(&key), buffer_text(&json), &sequence);
        if (!r)
            r = store_commit(&txn);
        if (!r)
            r = engine_until_sent(engine, sequence);
    }
    buffer_deinit(&key);
    buffer_deinit(&json);
    return r;
}

int verb_topics_create(void *context, int argc, char **argv)
{
    const struct invoicer_config *config = context;
    CLEANUP(engine_drop) struct engine *engine = NULL;
    int r = config->common.topics_check ? create_topics(config) : 0;

    (void)argc;
    (void)argv;
    if (!r)
        r = config_engine(config, ENGINE_ACTS, &engine);
    if (!r)
        r = engine_until_acting(engine);
    if (!r)
        r = publish(config, engine);
    if (r < 0)
        return config_exit(r, "topics_create_failed");
    if (r == BUCKET_OTHER)
        return EX_CONFIG;
    if (config->json)
        printf("{\"bucket\":\"%s\",\"partitions\":%lld}\n", config->common.bucket,
               (long long)config->partitions);
    else
        printf("bucket %s: %d topics, %lld partitions\n", config->common.bucket, TOPIC_COUNT,
               (long long)config->partitions);
    return EX_OK;
}
