/*
 * `plans list|show|draft|publish|archive|delete` and `features archive` (plan_life.h): what is
 * refused (refuse.h) ends with exit 65; nothing is written then.
 */
#include "common/base/fault.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/catalog_books.h"
#include "invoicer/edges/close.h"
#include "invoicer/edges/config.h"
#include "invoicer/edges/outbox.h"
#include "invoicer/edges/refuse.h"
#include "invoicer/rules/plan_show.h"
#include "invoicer/rules/shape.h"
#include "proto/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One verb's work: what it is asked, what stands, what it says. */
struct work {
    const struct invoicer_config *config;
    const char *argument;
    char key[CATALOG_KEY_MAX + 1]; /* of KEY or KEY@VERSION */
    int64_t version;               /* 0: it names none */
    struct instant at;             /* from --at, else now */
    struct catalog_state state;
    struct store_txn *txn;
    int64_t sequence; /* of the last write; -1: none */
    json_t *answer;
};

/* "pro", "pro@2" */
static bool read_name(struct work *work)
{
    const char *at = strchr(work->argument, '@');
    size_t length = at ? (size_t)(at - work->argument) : strlen(work->argument);
    char *end = NULL;

    if (length == 0 || length >= sizeof(work->key))
        return false;
    memcpy(work->key, work->argument, length);
    if (!key_is_valid(text_of(work->key)))
        return false;
    work->version = at ? strtoll(at + 1, &end, 10) : 0;
    return !at || (*end == '\0' && work->version > 0);
}

static int load(struct work *work)
{
    static const char *const prefixes[] = {"meter/", "feature/", "plan/", "draft/"};
    int r = 0;

    for (size_t i = 0; !r && i < ARRAY_LEN(prefixes); i++)
        r = catalog_books_load(work->txn, text_of(prefixes[i]), &work->state);
    return r ? fault_pass(r) : 0;
}

/* --- writing --- */

static int put(struct work *work, const char *kind, const char *id, const json_t *record)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    char *json = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
    int r;

    buffer_printf(&key, "%s/%s", kind, id);
    r = books_catalog_put(work->txn, buffer_text(&key), text_of(json), -1);
    if (!r)
        r = outbox_put(work->txn, TOPIC_CATALOG, buffer_text(&key), text_of(json), &work->sequence);
    free(json);
    return r ? fault_pass(r) : 0;
}

static int put_version(struct work *work, const json_t *record)
{
    CLEANUP(buffer_deinit) struct buffer id = {0};

    buffer_printf(&id, "%s@%lld", shape_string(record, "key"),
                  (long long)json_integer_value(json_object_get(record, "version")));
    buffer_add_char(&id, '\0');
    return put(work, "plan", id.at, record);
}

static int remove_draft(struct work *work)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    int r;

    buffer_printf(&key, "draft/%s", work->key);
    r = store_delete(work->txn, BOOKS_CATALOG, buffer_text(&key));
    if (!r)
        r = outbox_put(work->txn, TOPIC_CATALOG, buffer_text(&key), text_of(NULL), &work->sequence);
    return r ? fault_pass(r) : 0;
}

typedef int plan_verb(struct work *work);

/* The verb's work in one transaction, while no close bills from the catalog. */
static int write_in(struct work *work, struct engine *engine, plan_verb *verb)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = engine_begin(engine, &txn);

    work->txn = txn;
    if (!r)
        r = close_none_is_under_way(txn);
    if (!r)
        r = load(work);
    if (!r)
        r = verb(work);
    if (!r)
        r = store_commit(&txn);
    if (!r && work->sequence >= 0)
        r = engine_until_sent(engine, work->sequence);
    return r < 0 ? fault_pass(r) : r;
}

static int read_in(struct work *work, struct engine *engine, plan_verb *verb)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(engine_store(engine), STORE_READ, &txn);

    work->txn = txn;
    if (!r)
        r = load(work);
    if (!r)
        r = verb(work);
    return r < 0 ? fault_pass(r) : r;
}

static int open_and_do(struct work *work, bool writes, plan_verb *verb)
{
    CLEANUP(engine_drop) struct engine *engine = NULL;
    int r = config_engine(work->config, writes ? ENGINE_ACTS : ENGINE_READS, &engine);

    if (!r)
        r = writes ? engine_until_acting(engine) : engine_until_followed(engine);
    if (!r)
        r = writes ? write_in(work, engine, verb) : read_in(work, engine, verb);
    return r < 0 ? fault_pass(r) : r;
}

static bool read_time(const struct invoicer_config *config, struct instant *at)
{
    struct instant now = instant_now();

    *at = now;
    if (!config->at)
        return true;
    if (instant_parse(text_of(config->at), at))
        fprintf(stderr, "invoicer: --at %s isn't an RFC 3339 time, as in 2026-02-01T00:00:00Z\n",
                config->at);
    else if (instant_compare(*at, now) < 0)
        fprintf(stderr, "invoicer: --at %s is over: what was for sale then can't change\n",
                config->at);
    else
        return true;
    return false;
}

static void print_answer(const struct work *work)
{
    CLEANUP(buffer_deinit) struct buffer text = {0};

    if (work->config->json) {
        json_dumpf(work->answer, stdout, JSON_COMPACT);
        putchar('\n');
        return;
    }
    if (json_is_array(work->answer))
        plan_list_write(work->answer, &text);
    else
        plan_show_write(work->answer, &text);
    fwrite(text.at ? text.at : "", 1, text.length, stdout);
}

static int run(const struct invoicer_config *config, const char *argument, bool writes,
               plan_verb *verb)
{
    struct work work = {.config = config, .argument = argument, .sequence = -1};
    int r;

    if (!read_time(config, &work.at))
        return EX_USAGE;
    if (argument && !read_name(&work)) {
        fprintf(stderr, "invoicer: %s isn't KEY or KEY@VERSION, as in pro@2\n", argument);
        return EX_USAGE;
    }
    catalog_state_init(&work.state);
    r = open_and_do(&work, writes, verb);
    if (!r && work.answer)
        print_answer(&work);
    json_decref(work.answer);
    catalog_state_deinit(&work.state);
    if (r < 0)
        return config_exit(r, "plans_failed");
    return r ? EX_DATAERR : EX_OK;
}

/* --- list and show --- */

static int count_subscriber(void *context, struct text key, struct text value)
{
    json_t *subscribers = context;
    json_t *record =
        json_loadb(value.at + sizeof(int64_t), value.length - sizeof(int64_t), 0, NULL);
    const json_t *plan = json_object_get(record, "plan");
    struct instant to, now = instant_now();
    bool is_over =
        json_object_get(record, "deletedAt") ||
        (instant_parse(shape_text(record, "activeTo"), &to) == 0 && instant_compare(to, now) <= 0);
    struct buffer id = {0};

    (void)key;
    if (!is_over && shape_string(plan, "key")) {
        buffer_printf(&id, "%s@%lld", shape_string(plan, "key"),
                      (long long)json_integer_value(json_object_get(plan, "version")));
        buffer_add_char(&id, '\0');
        json_object_set_new(
            subscribers, id.at,
            json_integer(json_integer_value(json_object_get(subscribers, id.at)) + 1));
    }
    buffer_deinit(&id);
    json_decref(record);
    return 0;
}

static int list(struct work *work)
{
    json_t *subscribers = json_object();
    int r = books_each(work->txn, BOOKS_CATALOG, text_of("subscription/"), count_subscriber,
                       subscribers);

    if (!r)
        work->answer = plan_listed(&work->state, subscribers);
    json_decref(subscribers);
    return r ? fault_pass(r) : 0;
}

/* The version that is named; else the one for sale, the draft, the newest. */
static int show(struct work *work)
{
    int64_t version = work->version ? work->version : plan_current_version(&work->state, work->key);
    const json_t *record = NULL;

    if (!version) {
        record = catalog_state_find(&work->state, "draft", work->key);
        version = catalog_state_version(&work->state, work->key);
    }
    if (!record)
        record = catalog_state_plan(&work->state, work->key, version);
    if (!record)
        return refuse(work->config, "plan_not_found", NULL, "there is no plan %s", work->argument);
    work->answer = plan_shown(record, &work->state);
    return 0;
}

static int show_draft(struct work *work)
{
    const json_t *record = catalog_state_find(&work->state, "draft", work->key);

    if (!record)
        return refuse(work->config, "plan_draft_not_found", NULL, "plan %s has no draft",
                      work->key);
    work->answer = plan_shown(record, &work->state);
    return 0;
}

int verb_plans_list(void *context, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return run(context, NULL, false, list);
}

int verb_plans_show(void *context, int argc, char **argv)
{
    const struct invoicer_config *config = context;

    (void)argc;
    return run(config, argv[0], false, config->draft ? show_draft : show);
}

/* --- draft --- */

static int read_plan(const struct invoicer_config *config, const char *path, json_t **plan)
{
    json_error_t error;

    *plan = strcmp(path, "-") == 0 ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &error)
                                   : json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (*plan)
        return 0;
    return refuse(config, "invalid_json", NULL, "%s: line %d: %s", path, error.line, error.text);
}

/* A plan of the file, given to the verb behind its key. */
struct drafting {
    struct work work; /* first */
    const json_t *plan;
};

static int draft(struct work *work)
{
    const struct drafting *drafting = (const struct drafting *)work;
    json_t *record = plan_draft_of(drafting->plan, work->key, instant_now());
    int r = put(work, "draft", work->key, record);

    if (!r)
        work->answer = plan_shown(record, &work->state);
    json_decref(record);
    return r ? fault_pass(r) : 0;
}

static int draft_plan(struct drafting *drafting, const char *path)
{
    const char *key = shape_string(drafting->plan, "key");
    struct work *work = &drafting->work;

    work->argument = key ? key : "";
    if (!key || !read_name(work) || work->version)
        return refuse(work->config, "invalid_key", NULL,
                      "%s isn't a plan: an object with a key, as in a catalog "
                      "file's plans",
                      path);
    return open_and_do(work, true, draft);
}

int verb_plans_draft(void *context, int argc, char **argv)
{
    struct drafting drafting = {.work = {.config = context, .sequence = -1}};
    json_t *plan = NULL;
    int r;

    (void)argc;
    if (read_plan(context, argv[0], &plan))
        return EX_DATAERR;
    drafting.plan = plan;
    catalog_state_init(&drafting.work.state);
    r = draft_plan(&drafting, argv[0]);
    if (!r)
        print_answer(&drafting.work);
    json_decref(drafting.work.answer);
    catalog_state_deinit(&drafting.work.state);
    json_decref(plan);
    if (r < 0)
        return config_exit(r, "plans_failed");
    return r ? EX_DATAERR : EX_OK;
}

/* --- publish, archive, delete --- */

static int refuse_invalid(struct work *work, const json_t *errors)
{
    const json_t *first = json_array_get(errors, 0);
    size_t more = json_array_size(errors) - 1;
    int status = refuse(work->config, "plan_invalid", shape_string(first, "path"), "%s: %s",
                        shape_string(first, "code"), shape_string(first, "message"));

    if (more && !work->config->json)
        fprintf(stderr, "invoicer: and %zu more: `invoicer plans show --draft %s` has all\n", more,
                work->key);
    return status;
}

/* The draft becomes the next version, and is gone. */
static int publish_draft(struct work *work, const json_t *record)
{
    struct issues issues = {0};
    json_t *strict = plan_strict(json_object_get(record, "plan"), &work->state, &issues);
    json_t *version =
        plan_version_of(strict, catalog_state_version(&work->state, work->key) + 1, work->at);
    int r = put_version(work, version);

    if (!r)
        r = remove_draft(work);
    if (!r)
        work->answer = plan_shown(version, &work->state);
    json_decref(version);
    json_decref(strict);
    issues_deinit(&issues);
    return r ? fault_pass(r) : 0;
}

static int publish(struct work *work)
{
    const json_t *record = catalog_state_find(&work->state, "draft", work->key);
    json_t *errors;
    int r;

    if (!record || work->version)
        return refuse(work->config, "plan_draft_not_found", NULL, "plan %s has no draft to publish",
                      work->argument);
    errors = plan_validation_errors(record, &work->state);
    r = json_array_size(errors) ? refuse_invalid(work, errors) : publish_draft(work, record);
    json_decref(errors);
    return r < 0 ? fault_pass(r) : r;
}

static int archive_version(struct work *work, const json_t *record)
{
    char text[INSTANT_TEXT_MAX];
    json_t *archived = json_copy((json_t *)record);
    int r;

    (void)instant_format(instant_from_seconds(instant_ms(work->at) / 1000), text);
    json_object_set_new(archived, "effectiveTo", json_string(text));
    r = put_version(work, archived);
    if (!r) {
        json_decref(work->answer);
        work->answer = plan_shown(archived, &work->state);
    }
    json_decref(archived);
    return r ? fault_pass(r) : 0;
}

/* The version that is named, else every one that isn't archived; the newest is shown. */
static int archive(struct work *work)
{
    int64_t newest = catalog_state_version(&work->state, work->key), archived = 0;
    int r = 0;

    for (int64_t version = 1; !r && version <= newest; version++) {
        const json_t *record = catalog_state_plan(&work->state, work->key, version);

        if (!record || (work->version && version != work->version) ||
            plan_status_of(record, work->state.now) == PLAN_ARCHIVED)
            continue;
        r = archive_version(work, record);
        archived++;
    }
    if (!r && !archived &&
        catalog_state_plan(&work->state, work->key, work->version ? work->version : newest))
        return refuse(work->config, "plan_archived", NULL, "plan %s is archived already",
                      work->argument);
    if (!r && !archived)
        return refuse(work->config, "plan_not_found", NULL, "there is no published plan %s",
                      work->argument);
    return r ? fault_pass(r) : 0;
}

static int delete_draft(struct work *work)
{
    const json_t *record = catalog_state_find(&work->state, "draft", work->key);
    int r;

    if (!record || work->version)
        return refuse(work->config, "plan_draft_not_found", NULL,
                      "plan %s has no draft: what is published can only be archived",
                      work->argument);
    r = remove_draft(work);
    if (!r && !work->config->json)
        printf("the draft of plan %s is deleted\n", work->key);
    return r ? fault_pass(r) : 0;
}

int verb_plans_publish(void *context, int argc, char **argv)
{
    (void)argc;
    return run(context, argv[0], true, publish);
}

int verb_plans_archive(void *context, int argc, char **argv)
{
    (void)argc;
    return run(context, argv[0], true, archive);
}

int verb_plans_delete(void *context, int argc, char **argv)
{
    (void)argc;
    return run(context, argv[0], true, delete_draft);
}

/* --- features --- */

static int archive_feature(struct work *work)
{
    json_t *record = catalog_state_find(&work->state, "feature", work->key);
    char text[INSTANT_TEXT_MAX];
    int r;

    if (!record || work->version)
        return refuse(work->config, "feature_not_found", NULL, "there is no feature %s",
                      work->argument);
    if (json_object_get(record, "archivedAt"))
        return refuse(work->config, "feature_archived", NULL, "feature %s is archived since %s",
                      work->key, shape_string(record, "archivedAt"));
    (void)instant_format(instant_from_seconds(instant_ms(work->at) / 1000), text);
    json_object_set_new(record, "archivedAt", json_string(text));
    r = put(work, "feature", work->key, record);
    if (!r && work->config->json) {
        json_dumpf(record, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (!r)
        printf("feature %s is archived: rate cards that have it stay, new ones can't\n", work->key);
    return r ? fault_pass(r) : 0;
}

int verb_features_archive(void *context, int argc, char **argv)
{
    (void)argc;
    return run(context, argv[0], true, archive_feature);
}
