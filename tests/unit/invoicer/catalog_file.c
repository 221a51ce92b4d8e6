#include "invoicer/rules/catalog_diff.h"
#include "invoicer/rules/catalog_file.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char folder[] = TOLLWAY_SOURCE_DIR "/tests/golden/catalog";

/* The content of NAME + suffix; false when there is no such file. */
static bool read_golden(const char *name, const char *suffix, struct buffer *content)
{
    char path[1024], block[4096];
    size_t count;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s%s", folder, name, suffix);
    file = fopen(path, "re");
    if (!file)
        return false;
    while ((count = fread(block, 1, sizeof(block), file)) > 0)
        buffer_add(content, block, count);
    fclose(file);
    return true;
}

/* Puts what a file holds into the state, as applying it would. */
static void apply(struct catalog_state *state, struct text file)
{
    struct catalog_changes changes = {0};
    struct issues issues = {0};
    json_t *strict = catalog_file_read(file, state, &issues);

    cr_assert(strict && issues.errors == 0, "%s", issues.count ? issues.at[0].message : "");
    catalog_changes_of(strict, state, &changes);
    for (size_t i = 0; i < changes.count; i++)
        catalog_state_put(state, changes.at[i].key, json_loads(changes.at[i].record, 0, NULL));
    catalog_changes_deinit(&changes);
    issues_deinit(&issues);
    json_decref(strict);
}

/* Puts records into the state that no file makes: {"plan/payg@1":{…}}. */
static void put_records(struct catalog_state *state, struct text file)
{
    json_t *records = json_loadb(file.at, file.length, 0, NULL);
    const char *key;
    json_t *record;

    cr_assert(json_is_object(records));
    json_object_foreach(records, key, record) catalog_state_put(state, key, json_incref(record));
    json_decref(records);
}

/* "error /plans/0/key invalid_key\n" for each issue. */
static void list_issues(const struct issues *issues, struct buffer *lines)
{
    for (size_t i = 0; i < issues->count; i++)
        buffer_printf(lines, "%s %s %s\n", issues->at[i].is_warning ? "warning" : "error",
                      issues->at[i].pointer, issues->at[i].code);
}

static void check_golden(const char *name)
{
    struct buffer before = {0}, records = {0}, file = {0}, expected = {0}, found = {0};
    struct catalog_state state;
    struct issues issues = {0};

    catalog_state_init(&state);
    cr_assert_eq(instant_parse(text_of("2026-01-01T00:00:00Z"), &state.now), 0);
    if (read_golden(name, ".before.json", &before))
        apply(&state, buffer_text(&before));
    if (read_golden(name, ".records.json", &records))
        put_records(&state, buffer_text(&records));
    cr_assert(read_golden(name, ".json", &file));
    cr_assert(read_golden(name, ".expect", &expected), "%s.expect is missing", name);

    json_decref(catalog_file_read(buffer_text(&file), &state, &issues));

    list_issues(&issues, &found);
    cr_expect(text_equal(buffer_text(&expected), buffer_text(&found)) ||
                  (expected.length == 0 && found.length == 0),
              "%s\nexpected:\n%.*sfound:\n%.*s", name, (int)expected.length,
              expected.at ? expected.at : "", (int)found.length, found.at ? found.at : "");
    issues_deinit(&issues);
    catalog_state_deinit(&state);
    buffer_deinit(&before);
    buffer_deinit(&records);
    buffer_deinit(&file);
    buffer_deinit(&expected);
    buffer_deinit(&found);
}

Test(catalog_file, every_golden_file_has_the_issues_that_stand_beside_it)
{
    DIR *entries = opendir(folder);
    struct dirent *entry;
    size_t count = 0;

    cr_assert(entries);
    while ((entry = readdir(entries))) {
        const char *end = strstr(entry->d_name, ".expect");
        char name[300];

        if (!end)
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)(end - entry->d_name), entry->d_name);
        check_golden(name);
        count++;
    }
    closedir(entries);
    cr_assert_gt(count, 90);
}

static void fine(struct catalog_state *state)
{
    struct buffer file = {0};

    catalog_state_init(state);
    cr_assert(read_golden("fine", ".json", &file));
    apply(state, buffer_text(&file));
    buffer_deinit(&file);
}

/* The issues of a file whose one subscription is written like this. */
static void check_subscription(const struct catalog_state *state, const char *members,
                               const char *expected)
{
    struct buffer file = {0}, found = {0};
    struct issues issues = {0};

    buffer_printf(&file,
                  "{\"subscriptions\":[{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"customerKey\":"
                  "\"acme\",\"plan\":{\"key\":\"payg\"},\"consumer\":{\"name\":\"acme-key\"},%s}]}",
                  members);
    json_decref(catalog_file_read(buffer_text(&file), state, &issues));
    list_issues(&issues, &found);
    buffer_add_char(&found, '\0');
    cr_expect_str_eq(found.at, expected);
    issues_deinit(&issues);
    buffer_deinit(&file);
    buffer_deinit(&found);
}

Test(catalog_file, what_was_invoiced_of_a_subscription_stays)
{
    struct catalog_state state;

    fine(&state);
    check_subscription(&state, "\"activeFrom\":\"2026-02-01T00:00:00Z\"", "");
    catalog_state_billed(&state, "01ARZ3NDEKTSV4RRFFQ69G5FAV", 29499840); /* 2026-02-02 */

    check_subscription(&state, "\"activeFrom\":\"2026-02-01T00:00:00Z\"",
                       "error /subscriptions/0/activeFrom subscription_billed\n"
                       "error /subscriptions/0/billingAnchor subscription_billed\n");
    check_subscription(
        &state, "\"activeFrom\":\"2026-01-01T00:00:00Z\",\"activeTo\":\"2026-02-01T00:00:00Z\"",
        "error /subscriptions/0/activeTo subscription_billed\n");
    check_subscription(
        &state, "\"activeFrom\":\"2026-01-01T00:00:00Z\",\"activeTo\":\"2026-03-01T00:00:00Z\"",
        "");
    catalog_state_deinit(&state);
}

/* Its last period was cut at its end: lengthened, it would be billed again from its begin. */
Test(catalog_file, a_subscription_with_its_last_invoice_does_not_go_on)
{
    static const char *const id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    struct catalog_state state;
    json_t *ended;

    fine(&state);
    ended = json_deep_copy(catalog_state_find(&state, "subscription", id));
    json_object_set_new(ended, "activeTo", json_string("2026-02-02T00:00:00Z"));
    catalog_state_put(&state, "subscription/01ARZ3NDEKTSV4RRFFQ69G5FAV", ended);
    catalog_state_billed(&state, id, 29498400); /* 2026-02-01 */
    check_subscription(&state, "\"activeFrom\":\"2026-01-01T00:00:00Z\"", "");

    catalog_state_billed(&state, id, 29499840); /* 2026-02-02 */
    check_subscription(&state, "\"activeFrom\":\"2026-01-01T00:00:00Z\"",
                       "error /subscriptions/0/activeTo subscription_billed\n");
    check_subscription(
        &state, "\"activeFrom\":\"2026-01-01T00:00:00Z\",\"activeTo\":\"2026-03-01T00:00:00Z\"",
        "error /subscriptions/0/activeTo subscription_billed\n");
    check_subscription(
        &state, "\"activeFrom\":\"2026-01-01T00:00:00Z\",\"activeTo\":\"2026-02-02T00:00:00Z\"",
        "");
    catalog_state_deinit(&state);
}

/* Its boundary has been billed without them, and there is no other one. */
Test(catalog_file, a_subscription_does_not_end_where_arrears_would_be_left_out)
{
    static const struct {
        const char *cadence, *term, *expected;
    } cases[] = {
        {"\"P1M\"", "in_arrears", ""},
        {"\"P3M\"", "in_advance", ""},
        {"\"P3M\"", "in_arrears", "error /subscriptions/0/activeTo subscription_billed\n"},
        {"null", "in_arrears", "error /subscriptions/0/activeTo subscription_billed\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct catalog_state state;
        char plan[512];

        (void)snprintf(plan, sizeof(plan),
                       "{\"key\":\"payg\",\"version\":1,\"currency\":\"USD\",\"billingCadence\":"
                       "\"P1M\",\"phases\":[{\"key\":\"default\",\"rateCards\":[{\"type\":"
                       "\"flat_fee\",\"key\":\"base\",\"billingCadence\":%s,\"price\":{\"type\":"
                       "\"flat\",\"amount\":\"9\",\"paymentTerm\":\"%s\"}}]}]}",
                       cases[i].cadence, cases[i].term);
        fine(&state);
        catalog_state_put(&state, "plan/payg@1", json_loads(plan, 0, NULL));
        catalog_state_billed(&state, "01ARZ3NDEKTSV4RRFFQ69G5FAV", 29498400); /* 2026-02-01 */
        check_subscription(
            &state, "\"activeFrom\":\"2026-01-01T00:00:00Z\",\"activeTo\":\"2026-02-01T00:00:00Z\"",
            cases[i].expected);
        check_subscription(
            &state, "\"activeFrom\":\"2026-01-01T00:00:00Z\",\"activeTo\":\"2026-02-01T00:01:00Z\"",
            "");
        catalog_state_deinit(&state);
    }
}

/* The change of one record by applying a file. */
static struct catalog_change change_of(struct catalog_changes *changes, const char *key)
{
    for (size_t i = 0; i < changes->count; i++)
        if (strcmp(changes->at[i].key, key) == 0)
            return changes->at[i];
    cr_assert(false, "nothing about %s", key);
    return (struct catalog_change){0};
}

static void changes_of(const struct catalog_state *state, const char *file,
                       struct catalog_changes *changes)
{
    struct issues issues = {0};
    json_t *strict = catalog_file_read(text_of(file), state, &issues);

    cr_assert(strict && issues.errors == 0, "%s", issues.count ? issues.at[0].message : "");
    catalog_changes_of(strict, state, changes);
    issues_deinit(&issues);
    json_decref(strict);
}

Test(catalog_diff, the_same_file_twice_changes_nothing)
{
    struct catalog_changes changes = {0};
    struct catalog_state state;
    struct buffer file = {0};

    fine(&state);
    cr_assert(read_golden("fine", ".json", &file));
    buffer_add_char(&file, '\0');

    changes_of(&state, file.at, &changes);

    cr_assert_eq(changes.added + changes.changed, 0);
    cr_assert_eq(changes.same, 6);
    catalog_changes_deinit(&changes);
    catalog_state_deinit(&state);
    buffer_deinit(&file);
}

#define CHANGED_PLAN                                                                               \
    "\"plans\":[{\"key\":\"payg\",\"name\":\"Pay as you go\",\"billingCadence\":\"P1M\","          \
    "\"phases\":[{\"key\":\"default\",\"name\":\"Default\",\"rateCards\":[{\"type\":"              \
    "\"usage_based\",\"featureKey\":\"api\",\"billingCadence\":\"P1M\",\"price\":"                 \
    "{\"type\":\"unit\",\"amount\":\"0.02\"}}]}]}]"

Test(catalog_diff, a_changed_plan_becomes_its_next_version_and_old_subscriptions_keep_theirs)
{
    static const char file[] =
        "{" CHANGED_PLAN ",\"subscriptions\":["
        "{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"customerKey\":\"acme\",\"plan\":{\"key\":"
        "\"payg\"},"
        "\"activeFrom\":\"2026-01-01T00:00:00Z\",\"consumer\":{\"name\":\"acme-key\"}},"
        "{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAW\",\"customerKey\":\"acme\",\"plan\":{\"key\":"
        "\"payg\"},"
        "\"activeFrom\":\"2026-01-01T00:00:00Z\"}]}";
    struct catalog_changes changes = {0};
    struct catalog_state state;

    fine(&state);
    changes_of(&state, file, &changes);

    cr_assert_eq(change_of(&changes, "plan/payg@2").kind, CHANGE_CHANGED);
    cr_assert_eq(change_of(&changes, "subscription/01ARZ3NDEKTSV4RRFFQ69G5FAV").kind, CHANGE_SAME);
    cr_assert(strstr(change_of(&changes, "subscription/01ARZ3NDEKTSV4RRFFQ69G5FAW").record,
                     "\"version\":2"));
    cr_assert(
        strstr(change_of(&changes, "plan/payg@2").differs, "/phases/0/rateCards/0/price/amount"));
    catalog_changes_deinit(&changes);
    catalog_state_deinit(&state);
}

Test(catalog_diff, two_spellings_of_one_thing_are_the_same)
{
    static const char file[] =
        "{\"meters\":[{\"slug\":\"api\",\"name\":\"api\",\"eventType\":\"request\",\"description\":"
        "null,"
        "\"aggregation\":\"SUM\",\"valueProperty\":\"$.total\",\"groupBy\":{\"method\":\"$."
        "method\"}}],"
        "\"subscriptions\":[{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"customerKey\":\"acme\","
        "\"plan\":{\"key\":\"payg\",\"version\":1},\"activeFrom\":\"2026-01-01T01:00:00+01:00\","
        "\"billingAnchor\":\"2026-01-01T00:00:00Z\",\"consumer\":{\"name\":\"acme-key\"}}]}";
    struct catalog_changes changes = {0};
    struct catalog_state state;

    fine(&state);
    changes_of(&state, file, &changes);

    cr_assert_eq(changes.same, 2);
    catalog_changes_deinit(&changes);
    catalog_state_deinit(&state);
}
