/*
 * `catalog apply|diff|get`: a file is checked and compared, all or nothing; issues go to stderr,
 * what changes to stdout.
 */
#include "common/base/fault.h"
#include "invoicer/edges/catalog_books.h"
#include "invoicer/edges/close.h"
#include "invoicer/edges/config.h"
#include "invoicer/edges/refuse.h"
#include "invoicer/rules/catalog_diff.h"
#include "invoicer/rules/catalog_file.h"
#include "invoicer/rules/plan_life.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum catalog_outcome_here { CATALOG_REFUSED = 1 };

static int read_file(const char *path, struct buffer *text)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char block[65536];
    size_t count;
    bool failed;

    if (!file)
        return fault(FAULT_REFUSE, "%s: %s", path, strerror(errno));
    while ((count = fread(block, 1, sizeof(block), file)) > 0 &&
           text->length <= CATALOG_FILE_BYTES_MAX)
        buffer_add(text, block, count);
    failed = ferror(file) != 0;
    if (file != stdin)
        fclose(file);
    return failed ? fault(FAULT_REFUSE, "%s: can't be read", path) : 0;
}

static void print_issues(const struct issues *issues, const char *file, bool as_json)
{
    struct buffer text = {0};

    for (size_t i = 0; i < issues->count; i++) {
        if (as_json)
            issue_write_json(&issues->at[i], file, &text);
        else
            issue_write_line(&issues->at[i], file, &text);
        buffer_add_char(&text, '\n');
    }
    if (issues->dropped)
        buffer_printf(&text, "%s: and %zu more\n", file, issues->dropped);
    fwrite(text.at ? text.at : "", 1, text.length, stderr);
    buffer_deinit(&text);
}

static void add_json_changes(const struct catalog_changes *changes, enum change_kind kind,
                             struct buffer *text)
{
    bool is_first = true;

    buffer_printf(text, "\"%s\":[", change_name(kind));
    for (size_t i = 0; i < changes->count; i++) {
        if (changes->at[i].kind != kind)
            continue;
        buffer_add_string(text, is_first ? "" : ",");
        buffer_add_json_string(text, text_of(changes->at[i].key));
        is_first = false;
    }
    buffer_add_char(text, ']');
}

static void print_changes(const struct catalog_changes *changes, bool as_json, const char *verb)
{
    struct buffer text = {0};

    if (as_json) {
        buffer_add_char(&text, '{');
        add_json_changes(changes, CHANGE_ADDED, &text);
        buffer_add_char(&text, ',');
        add_json_changes(changes, CHANGE_CHANGED, &text);
        buffer_add_char(&text, ',');
        add_json_changes(changes, CHANGE_SAME, &text);
        buffer_add_string(&text, "}\n");
    } else {
        for (size_t i = 0; i < changes->count; i++) {
            const struct catalog_change *change = &changes->at[i];

            if (change->kind != CHANGE_SAME)
                buffer_printf(&text, "%-8s %s%s%s%s\n", change_name(change->kind), change->key,
                              change->differs ? " (" : "", change->differs ? change->differs : "",
                              change->differs ? ")" : "");
        }
        buffer_printf(&text, "%s: %zu added, %zu changed, %zu same\n", verb, changes->added,
                      changes->changed, changes->same);
    }
    fwrite(text.at, 1, text.length, stdout);
    buffer_deinit(&text);
}

/* What a file comes to against the catalog as the transaction sees it. */
struct comparison {
    const char *path;
    struct text file;
    struct issues issues;
    struct catalog_changes changes;
};

static int compare(struct store_txn *txn, struct comparison *comparison)
{
    struct catalog_state state;
    json_t *strict;
    int r;

    catalog_state_init(&state);
    r = catalog_books_load(txn, text_from("", 0), &state);
    if (!r) {
        strict = catalog_file_read(comparison->file, &state, &comparison->issues);
        if (strict && !comparison->issues.errors)
            catalog_changes_of(strict, &state, &comparison->changes);
        else
            r = CATALOG_REFUSED;
        json_decref(strict);
    }
    catalog_state_deinit(&state);
    return r < 0 ? fault_pass(r) : r;
}

static int apply(struct engine *engine, struct comparison *comparison)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int64_t sequence = -1;
    int r = engine_begin(engine, &txn);

    if (!r)
        r = close_none_is_under_way(txn);
    if (!r)
        r = compare(txn, comparison);
    if (r)
        return r < 0 ? fault_pass(r) : r;
    r = catalog_books_put(txn, &comparison->changes, &sequence);
    if (!r)
        r = store_commit(&txn);
    if (!r && sequence >= 0)
        r = engine_until_sent(engine, sequence);
    return r ? fault_pass(r) : 0;
}

static int diff(struct engine *engine, struct comparison *comparison)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(engine_store(engine), STORE_READ, &txn);

    if (!r)
        r = compare(txn, comparison);
    return r < 0 ? fault_pass(r) : r;
}

static int run(const struct invoicer_config *config, const char *path, bool is_apply)
{
    CLEANUP(engine_drop) struct engine *engine = NULL;
    struct buffer text = {0};
    struct comparison comparison = {.path = path};
    int r = read_file(path, &text);

    if (r) {
        fprintf(stderr, "invoicer: %s\n", fault_text());
        return EX_NOINPUT;
    }
    comparison.file = buffer_text(&text);
    r = config_engine(config, is_apply ? ENGINE_ACTS : ENGINE_READS, &engine);
    if (!r)
        r = is_apply ? engine_until_acting(engine) : engine_until_followed(engine);
    if (!r)
        r = is_apply ? apply(engine, &comparison) : diff(engine, &comparison);
    print_issues(&comparison.issues, path, config->json);
    if (!r)
        print_changes(&comparison.changes, config->json, is_apply ? "applied" : "would apply");
    issues_deinit(&comparison.issues);
    catalog_changes_deinit(&comparison.changes);
    buffer_deinit(&text);
    if (r < 0)
        return config_exit(r, is_apply ? "catalog_apply_failed" : "catalog_diff_failed");
    return r == CATALOG_REFUSED ? EX_DATAERR : EX_OK;
}

int verb_catalog_apply(void *context, int argc, char **argv)
{
    (void)argc;
    return run(context, argv[0], true);
}

int verb_catalog_diff(void *context, int argc, char **argv)
{
    (void)argc;
    return run(context, argv[0], false);
}

/* The newest version of each plan, without what a file doesn't say. */
static void add_plans(const struct catalog_state *state, json_t *plans)
{
    const char *key;
    json_t *version;

    json_object_foreach(state->versions, key, version)
    {
        json_array_append_new(
            plans, plan_of_version(catalog_state_plan(state, key, json_integer_value(version))));
    }
}

static json_t *file_of(const struct catalog_state *state)
{
    static const struct {
        const char *prefix, *array;
    } kinds[] = {{"meter/", "meters"},
                 {"feature/", "features"},
                 {"customer/", "customers"},
                 {"subscription/", "subscriptions"}};
    json_t *file = json_object();
    const char *key;
    json_t *record;

    if (json_object_get(state->records, "configuration/default"))
        json_object_set(file, "configuration",
                        json_object_get(state->records, "configuration/default"));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        json_t *array = json_array();

        json_object_foreach(state->records, key, record)
        {
            json_t *copy;

            if (strncmp(key, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
                continue;
            copy = json_copy(record);
            json_object_del(copy, "cuts");
            json_object_del(copy, "archivedAt");
            json_array_append_new(array, copy);
        }
        json_object_set_new(file, kinds[i].array, array);
        if (i == 1) {
            json_t *plans = json_array();

            add_plans(state, plans);
            json_object_set_new(file, "plans", plans);
        }
    }
    return file;
}

int verb_catalog_get(void *context, int argc, char **argv)
{
    const struct invoicer_config *config = context;
    CLEANUP(engine_drop) struct engine *engine = NULL;
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct catalog_state state;
    int r = config_engine(config, ENGINE_READS, &engine);

    catalog_state_init(&state);
    if (!r)
        r = engine_until_followed(engine);
    if (!r)
        r = store_begin(engine_store(engine), STORE_READ, &txn);
    if (!r)
        r = catalog_books_load(txn, text_from("", 0), &state);
    if (!r) {
        json_t *file = file_of(&state);
        const json_t *shown = argc > 0 ? json_object_get(state.records, argv[0]) : file;
        char *text = json_dumps(shown, config->json ? JSON_COMPACT : JSON_INDENT(2));

        if (text)
            printf("%s\n", text);
        else
            refuse(config, "record_not_found", NULL, "the catalog has no %s", argv[0]);
        r = text ? 0 : CATALOG_REFUSED;
        free(text);
        json_decref(file);
    }
    catalog_state_deinit(&state);
    if (r < 0)
        return config_exit(r, "catalog_get_failed");
    return r ? EX_DATAERR : EX_OK;
}
