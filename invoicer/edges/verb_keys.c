/*
 * `keys create|list|revoke`: a key is shown once, when it is made; its id, role and SHA-256 stand
 * in the catalog. A revoked key's record stays, expired.
 */
#include "common/base/fault.h"
#include "common/base/instant.h"
#include "common/io/api_key.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/config.h"
#include "invoicer/edges/outbox.h"
#include "invoicer/edges/refuse.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum keys_outcome { KEYS_NO_BUCKET = 1, KEYS_NOT_FOUND };

static int put_record(struct engine *engine, struct store_txn **txn, struct text key,
                      const json_t *record)
{
    char *json = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
    int64_t sequence = -1;
    int r = books_catalog_put(*txn, key, text_of(json), -1);

    if (!r)
        r = outbox_put(*txn, TOPIC_CATALOG, key, text_of(json), &sequence);
    if (!r)
        r = store_commit(txn);
    if (!r)
        r = engine_until_sent(engine, sequence);
    free(json);
    return r ? fault_pass(r) : 0;
}

static int bucket_mode(struct store_txn *txn, const char *bucket, enum api_key_mode *mode)
{
    struct buffer key = {0};
    struct text json;
    int64_t offset;
    json_t *record;
    const char *name;
    int r;

    buffer_printf(&key, "bucket/%s", bucket);
    r = books_catalog_get(txn, buffer_text(&key), &json, &offset);
    buffer_deinit(&key);
    if (r < 0)
        return fault_pass(r);
    if (r == BOOKS_NOT_FOUND)
        return KEYS_NO_BUCKET;
    record = json_loadb(json.at, json.length, 0, NULL);
    name = json_string_value(json_object_get(record, "mode"));
    *mode = name && strcmp(name, "live") == 0 ? API_KEY_LIVE : API_KEY_TEST;
    json_decref(record);
    return 0;
}

static json_t *record_of(const struct invoicer_config *config, const char *key, struct text id)
{
    uint8_t digest[API_KEY_DIGEST_BYTES];
    char hex[2 * API_KEY_DIGEST_BYTES + 1], at[INSTANT_TEXT_MAX];
    json_t *record;

    api_key_digest(text_of(key), digest);
    for (size_t i = 0; i < API_KEY_DIGEST_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    instant_format(instant_from_ms(instant_ms(instant_now())), at);
    record = json_pack("{s:s%,s:s,s:s,s:s}", "id", id.at, id.length, "role", config->role, "sha256",
                       hex, "createdAt", at);
    if (config->expires)
        json_object_set_new(record, "expiresAt", json_string(config->expires));
    return record;
}

static int create(const struct invoicer_config *config, struct engine *engine,
                  char key[API_KEY_LENGTH + 1])
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct buffer name = {0};
    enum api_key_mode mode;
    struct text id;
    json_t *record;
    int r = engine_begin(engine, &txn);

    if (!r)
        r = bucket_mode(txn, config->common.bucket, &mode);
    if (!r)
        r = api_key_new(mode, key);
    if (r)
        return r < 0 ? fault_pass(r) : r;
    if (!api_key_parse(text_of(key), &mode, &id))
        return fault(FAULT_STOP, "a key of our own making isn't one");
    buffer_printf(&name, "key/%.*s", (int)id.length, id.at);
    record = record_of(config, key, id);
    r = put_record(engine, &txn, buffer_text(&name), record);
    json_decref(record);
    buffer_deinit(&name);
    return r ? fault_pass(r) : 0;
}

static bool read_expiry(const struct invoicer_config *config)
{
    struct instant expires;

    if (!config->expires)
        return true;
    if (instant_parse(text_of(config->expires), &expires))
        fprintf(stderr,
                "invoicer: --expires %s isn't an RFC 3339 time, as in 2027-01-01T00:00:00Z\n",
                config->expires);
    else if (instant_compare(expires, instant_now()) <= 0)
        fprintf(stderr, "invoicer: --expires %s is over: nobody could use the key\n",
                config->expires);
    else
        return true;
    return false;
}

int verb_keys_create(void *context, int argc, char **argv)
{
    const struct invoicer_config *config = context;
    CLEANUP(engine_drop) struct engine *engine = NULL;
    char key[API_KEY_LENGTH + 1];
    int r;

    (void)argc;
    (void)argv;
    if (!read_expiry(config))
        return EX_USAGE;
    r = config_engine(config, ENGINE_ACTS, &engine);
    if (!r)
        r = engine_until_acting(engine);
    if (!r)
        r = create(config, engine, key);
    if (r < 0)
        return config_exit(r, "keys_create_failed");
    if (r == KEYS_NO_BUCKET) {
        fprintf(stderr, "invoicer: there is no bucket %s yet: `invoicer topics create` makes it\n",
                config->common.bucket);
        return EX_CONFIG;
    }
    if (config->json)
        printf("{\"key\":\"%s\",\"role\":\"%s\"}\n", key, config->role);
    else
        printf("%s\n", key);
    return EX_OK;
}

struct listing {
    bool as_json;
    size_t count;
};

static int list_one(void *context, struct text key, struct text value)
{
    struct listing *listing = context;
    json_t *record = json_loadb(value.at + 8, value.length - 8, 0, NULL);
    const char *expires = json_string_value(json_object_get(record, "expiresAt"));

    (void)key;
    json_object_del(record, "sha256");
    if (listing->as_json) {
        char *json = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);

        printf("%s%s", listing->count ? "," : "", json);
        free(json);
    } else {
        printf("%-10s %-7s created %s%s%s\n", json_string_value(json_object_get(record, "id")),
               json_string_value(json_object_get(record, "role")),
               json_string_value(json_object_get(record, "createdAt")), expires ? ", expires " : "",
               expires ? expires : "");
    }
    listing->count++;
    json_decref(record);
    return 0;
}

int verb_keys_list(void *context, int argc, char **argv)
{
    const struct invoicer_config *config = context;
    CLEANUP(engine_drop) struct engine *engine = NULL;
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct listing listing = {config->json, 0};
    int r = config_engine(config, ENGINE_READS, &engine);

    (void)argc;
    (void)argv;
    if (!r)
        r = engine_until_followed(engine);
    if (!r)
        r = store_begin(engine_store(engine), STORE_READ, &txn);
    if (config->json)
        printf("[");
    if (!r)
        r = books_each(txn, BOOKS_CATALOG, text_of("key/"), list_one, &listing);
    if (config->json)
        printf("]\n");
    return r ? config_exit(r, "keys_list_failed") : EX_OK;
}

static int revoke(struct engine *engine, const char *id)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct buffer name = {0};
    char at[INSTANT_TEXT_MAX];
    struct text json;
    int64_t offset;
    int r = engine_begin(engine, &txn);

    buffer_printf(&name, "key/%s", id);
    if (!r)
        r = books_catalog_get(txn, buffer_text(&name), &json, &offset);
    if (!r) {
        json_t *record = json_loadb(json.at, json.length, 0, NULL);

        instant_format(instant_from_ms(instant_ms(instant_now())), at);
        json_object_set_new(record, "expiresAt", json_string(at));
        r = put_record(engine, &txn, buffer_text(&name), record);
        json_decref(record);
    } else if (r == BOOKS_NOT_FOUND) {
        r = KEYS_NOT_FOUND;
    }
    buffer_deinit(&name);
    return r;
}

int verb_keys_revoke(void *context, int argc, char **argv)
{
    const struct invoicer_config *config = context;
    CLEANUP(engine_drop) struct engine *engine = NULL;
    int r;

    if (argc != 1) {
        fprintf(stderr, "invoicer: keys revoke takes one key id\n");
        return EX_USAGE;
    }
    r = config_engine(config, ENGINE_ACTS, &engine);
    if (!r)
        r = engine_until_acting(engine);
    if (!r)
        r = revoke(engine, argv[0]);
    if (r < 0)
        return config_exit(r, "keys_revoke_failed");
    if (r == KEYS_NOT_FOUND)
        return refuse(config, "key_not_found", NULL, "there is no key %s", argv[0]);
    printf("key %s is revoked\n", argv[0]);
    return EX_OK;
}
