/*
 * Random queries against the model's minutes: every window size, zones with odd offsets and DST,
 * cuts at any minute, filters and groups. And what is refused, with its code.
 */
#include "aggregator/edges/scan.h"

#include "aggregator/edges/vault.h"
#include "common/base/fault.h"
#include "tests/unit/aggregator/model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGES = 150, QUERIES = 400, EXPECTED_MAX = 20000 };
#define HORIZON_MS (INT64_C(400) * 86400000)

static char folder[] = "/dev/shm/tollway-query-XXXXXX";
static const char *const meters[] = {"sum", "count", "min", "max", "avg", "latest", "uniq"};

static void make_folder(void)
{
    cr_assert(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(query, .init = make_folder, .fini = remove_folder);

static struct catalog *catalog_of_meters(void)
{
    static const char *const names[] = {"SUM", "COUNT",  "MIN",         "MAX",
                                        "AVG", "LATEST", "UNIQUE_COUNT"};
    struct catalog *catalog = catalog_new(CATALOG_CUTS);

    for (size_t i = 0; i < ARRAY_LEN(meters); i++) {
        char key[64], value[256];
        const char *reason = "";
        snprintf(key, sizeof(key), "meter/%s", meters[i]);
        snprintf(value, sizeof(value),
                 "{\"epoch\":1,\"slug\":\"%s\",\"eventType\":\"t\",\"aggregation\":\"%s\"%s,"
                 "\"groupBy\":{\"method\":\"$.method\"}}",
                 meters[i], names[i], i == 1 ? "" : ",\"valueProperty\":\"$.total\"");
        cr_assert_eq(catalog_apply(catalog, text_of(key), text_of(value), &reason), 0, "%s",
                     reason);
    }
    return catalog;
}

static void fill(struct vault *vault, struct model *model)
{
    CLEANUP(buffer_deinit) struct buffer reason = {0};
    struct tally *tally = tally_new(0, 1, HORIZON_MS);
    struct aside asides[USAGE_EVENTS_MAX];
    struct stream stream;
    size_t count;
    int r;

    cr_assert_eq(vault_open(folder, 1 << 26, vault), 0);
    cr_assert_eq(vault_load(vault, tally, &reason), VAULT_EMPTY);
    stream_init(&stream, 7);
    for (int64_t i = 0; i < MESSAGES; i++) {
        stream_next(&stream);
        tally_count(tally, &stream.batch, i, asides, &count);
        model_count(model, &stream.batch);
    }
    do
        r = vault_commit(vault, tally);
    while (r == FAULT_RETRY);
    cr_assert_eq(r, 0);
    stream_deinit(&stream);
    tally_free(tally);
}

/* --- the slow answer --- */

struct expected {
    int64_t from, to;
    char subscription[16], subject[16], method[16]; /* "~": null */
    struct total total;
    uint8_t hashes[64][16];
};

struct answer {
    struct expected *rows;
    size_t count;
};

static struct text plain(const char *text)
{
    return strcmp(text, "~") == 0 ? text_of(NULL) : text_of(text);
}

static bool split_series(const char *series, struct expected *row, char meter[16])
{
    char text[MODEL_SERIES_TEXT_MAX], *rest = text;

    snprintf(text, sizeof(text), "%s", series);
    snprintf(row->subscription, sizeof(row->subscription), "%s", strsep(&rest, "|"));
    snprintf(meter, 16, "%s", strsep(&rest, "|"));
    (void)strsep(&rest, "|");
    snprintf(row->subject, sizeof(row->subject), "%s", strsep(&rest, "|"));
    snprintf(row->method, sizeof(row->method), "%s", rest + strlen("method="));
    return true;
}

static bool is_asked_for(const struct query *query, const struct expected *row, int64_t minute)
{
    return minute >= query->from_minute && minute < query->to_minute &&
           query_list_has(query->subscriptions, text_of(row->subscription)) &&
           query_list_has(query->subjects, plain(row->subject)) &&
           (query->filter_count == 0 ||
            query_list_has(query->filters[0].values, plain(row->method)));
}

static void place(const struct query *query, struct expected *row, int64_t minute)
{
    struct window window;

    row->from = query->from_minute;
    row->to = query->to_minute;
    if (query->has_window) {
        window = calendar_window(query_zone(query), query->window, instant_from_minute(minute));
        if (instant_minute(window.from) > row->from)
            row->from = instant_minute(window.from);
        if (instant_minute(window.to) < row->to)
            row->to = instant_minute(window.to);
    }
    if (!query->by_subscription)
        strcpy(row->subscription, "~");
    if (!query->by_subject)
        strcpy(row->subject, "~");
    if (query->group_count == 0)
        strcpy(row->method, "~");
}

static struct expected *take_row(struct answer *answer, const struct expected *row)
{
    for (size_t i = 0; i < answer->count; i++) {
        struct expected *known = &answer->rows[i];
        if (known->from == row->from && !strcmp(known->subscription, row->subscription) &&
            !strcmp(known->subject, row->subject) && !strcmp(known->method, row->method))
            return known;
    }
    cr_assert_lt(answer->count, EXPECTED_MAX);
    answer->rows[answer->count] = *row;
    return &answer->rows[answer->count++];
}

static void merge_hashes(struct expected *row, const struct model_cell *cell)
{
    for (size_t i = 0; i < cell->count; i++) {
        bool known = false;
        for (size_t j = 0; j < row->total.count; j++)
            known = known || memcmp(row->hashes[j], cell->hashes[i], 16) == 0;
        if (!known)
            memcpy(row->hashes[row->total.count++], cell->hashes[i], 16);
    }
}

static void answer_slowly(const struct model *model, const struct query *query,
                          struct answer *answer)
{
    answer->count = 0;
    for (size_t i = 0; i < model->cell_count; i++) {
        const struct model_cell *cell = &model->cells[i];
        struct expected row = {.total = {.aggregation = query->aggregation}}, *known;
        struct total total = {query->aggregation, {cell->value}, cell->count, {cell->time_ns}};
        char meter[16];

        if (cell->level != LEVEL_MINUTE || !split_series(cell->series, &row, meter) ||
            !text_is(query->meter, meter) || !is_asked_for(query, &row, cell->window))
            continue;
        place(query, &row, cell->window);
        known = take_row(answer, &row);
        if (query->aggregation == AGGREGATION_UNIQUE_COUNT)
            merge_hashes(known, cell);
        else
            cr_assert_eq(total_merge(&known->total, &total), 0);
    }
}

static int compare_expected(const void *left, const void *right)
{
    const struct expected *a = left, *b = right;
    int order;

    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    order = text_compare(plain(a->subscription), plain(b->subscription));
    if (!order)
        order = text_compare(plain(a->subject), plain(b->subject));
    return order ? order : text_compare(plain(a->method), plain(b->method));
}

static void add_json(struct buffer *out, const char *name, int64_t minute)
{
    char text[INSTANT_TEXT_MAX];

    buffer_printf(out, "\"%s\":", name);
    if (minute == INT64_MIN || minute == INT64_MAX) {
        buffer_add_string(out, "null,");
        return;
    }
    instant_format(instant_from_minute(minute), text);
    buffer_printf(out, "\"%s\",", text);
}

static void write_expected(const struct answer *answer, const struct query *query,
                           struct buffer *out)
{
    buffer_add_string(out, "\"data\":[");
    for (size_t i = 0; i < answer->count; i++) {
        const struct expected *row = &answer->rows[i];
        char value[DECIMAL_TEXT_MAX];

        decimal_format(total_answer(&row->total), value);
        buffer_printf(out, "%s{\"value\":\"%s\",", i ? "," : "", value);
        add_json(out, "windowStart", row->from);
        add_json(out, "windowEnd", row->to);
        buffer_add_string(out, "\"subject\":");
        buffer_add_json_string(out, plain(row->subject));
        buffer_add_string(out, ",\"subscription\":");
        buffer_add_json_string(out, plain(row->subscription));
        buffer_add_string(out, ",\"groupBy\":{");
        if (query->group_count) {
            buffer_add_string(out, "\"method\":");
            buffer_add_json_string(out, plain(row->method));
        }
        buffer_add_string(out, "}}");
    }
    buffer_add_string(out, "]}\n");
}

/* --- random questions --- */

static json_t *random_question(struct stream *random)
{
    static const char *const sizes[] = {"MINUTE", "HOUR", "DAY", "MONTH"};
    static const char *const zones[] = {
        "UTC",          "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe",
        "Pacific/Apia", "Asia/Kolkata"};
    json_t *question = json_object(), *group = json_array();
    char text[INSTANT_TEXT_MAX];
    int64_t minute = 29453760 + (int64_t)stream_random(random, 60 * 1440); /* 2026-01-01 */

    if (stream_random(random, 4))
        json_object_set_new(question, "windowSize", json_string(sizes[stream_random(random, 4)]));
    json_object_set_new(question, "windowTimeZone", json_string(zones[stream_random(random, 6)]));
    if (stream_random(random, 3)) {
        instant_format(instant_from_minute(minute), text);
        json_object_set_new(question, "from", json_string(text));
    }
    if (stream_random(random, 3)) {
        instant_format(instant_from_minute(minute + 1 + (int64_t)stream_random(random, 40000)),
                       text);
        json_object_set_new(question, "to", json_string(text));
    }
    if (stream_random(random, 3) == 0)
        json_object_set_new(question, "filterSubscription",
                            json_pack("[s,s]", "sub-b", "sub-nobody"));
    if (stream_random(random, 3) == 0)
        json_object_set_new(question, "subject", json_pack("[s]", "bob"));
    if (stream_random(random, 3) == 0)
        json_object_set_new(question, "filterGroupBy", json_pack("{s:[s,n]}", "method", "PUT"));
    if (stream_random(random, 2))
        json_array_append_new(group, json_string("subject"));
    if (stream_random(random, 2))
        json_array_append_new(group, json_string("method"));
    if (stream_random(random, 2))
        json_array_append_new(group, json_string("subscription"));
    json_object_set_new(question, "groupBy", group);
    return question;
}

static void expect_same(struct vault *vault, const struct query *query, const char *expected,
                        const char *question)
{
    CLEANUP(buffer_deinit) struct buffer out = {0};
    CLEANUP(buffer_deinit) struct buffer bytes = {0};
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct rows rows, merged;

    rows_init(&rows, query);
    rows_init(&merged, query);
    cr_assert_eq(store_begin(vault->store, STORE_READ, &txn), 0);
    cr_assert_eq(scan_partition(txn, query, &rows), 0, "%s", question);
    /* As a peer's answer would come: through bytes, into rows that hold something already. */
    rows_encode(&rows, &bytes);
    cr_assert_eq(rows_merge(&merged, buffer_text(&bytes)), 0);
    rows_sort(&merged);
    rows_write_json(&merged, query, &out);
    buffer_add_char(&out, '\0');
    cr_assert_str_eq(strstr(out.at, "\"data\""), expected, "%s", question);
    rows_deinit(&rows);
    rows_deinit(&merged);
}

Test(query, random_questions_are_answered_as_the_minutes_say)
{
    struct catalog *catalog = catalog_of_meters();
    struct answer answer = {.rows = calloc(EXPECTED_MAX, sizeof(struct expected))};
    struct stream random;
    struct vault vault;
    struct model model;
    struct arena arena;

    arena_init(&arena, 1 << 20);
    model_init(&model, HORIZON_MS, 10000);
    fill(&vault, &model);
    stream_init(&random, 99);
    for (size_t i = 0; i < QUERIES; i++) {
        CLEANUP(buffer_deinit) struct buffer expected = {0};
        json_t *question = random_question(&random);
        char *text = json_dumps(question, 0);
        struct query_problem problem;
        struct query query;

        arena_reset(&arena);
        cr_assert_eq(query_parse(question, catalog, text_of(meters[stream_random(&random, 7)]),
                                 &arena, &query, &problem),
                     0);
        answer_slowly(&model, &query, &answer);
        qsort(answer.rows, answer.count, sizeof(*answer.rows), compare_expected);
        write_expected(&answer, &query, &expected);
        buffer_add_char(&expected, '\0');
        expect_same(&vault, &query, expected.at, text);
        query_deinit(&query);
        json_decref(question);
        free(text);
    }
    stream_deinit(&random);
    model_deinit(&model);
    vault_close(&vault);
    catalog_free(catalog);
    arena_deinit(&arena);
    free(answer.rows);
}

/* --- refusals --- */

struct refusal {
    const char *meter, *body, *code, *pointer;
    int status;
};

Test(query, what_is_refused_names_the_member_and_the_code)
{
    static const struct refusal refusals[] = {
        {"nope", "{}", "unknown_meter", "", 404},
        {"sum", "{\"windowsize\":\"DAY\"}", "unknown_parameter", "/windowsize", 400},
        {"sum", "{\"filterCustomerId\":[\"a\"]}", "unsupported_parameter", "/filterCustomerId",
         400},
        {"sum", "{\"windowSize\":\"WEEK\"}", "invalid_parameter", "/windowSize", 400},
        {"sum", "{\"windowTimeZone\":\"Mars/Base\"}", "invalid_parameter", "/windowTimeZone", 400},
        {"sum", "{\"from\":\"yesterday\"}", "invalid_parameter", "/from", 400},
        {"sum", "{\"from\":1}", "invalid_parameter", "/from", 400},
        {"sum", "{\"groupBy\":[\"subject\",\"subject\",\"region\"]}", "unknown_dimension",
         "/groupBy/2", 400},
        {"sum", "{\"groupBy\":\"region\"}", "unknown_dimension", "/groupBy", 400},
        {"sum", "{\"a/b~\":1}", "unknown_parameter", "/a~1b~0", 400},
        {"sum", "{\"advancedMeterGroupByFilters[x]\":1}", "unsupported_parameter",
         "/advancedMeterGroupByFilters[x]", 400},
        {"sum", "{\"filterGroupBy\":{\"/\":[]}}", "unknown_dimension", "/filterGroupBy/~1", 400},
        {"sum", "{\"filterGroupBy\":{\"method\":[\"a\",null,1]}}", "invalid_parameter",
         "/filterGroupBy/method/2", 400},
        {"sum", "{\"filterGroupBy\":{\"region\":[]}}", "unknown_dimension", "/filterGroupBy/region",
         400},
        {"sum", "{\"subject\":[\"a\",\"a\",null]}", "invalid_parameter", "/subject/2", 400},
        {"sum", "{\"subject\":1}", "invalid_parameter", "/subject", 400},
        {"sum", "{\"from\":\"2026-01-02T00:00:00Z\",\"to\":\"2026-01-02T00:00:00Z\"}",
         "invalid_range", "/to", 400},
        {"sum", "{\"clientId\":\"1234567890123456789012345678901234567\"}", "invalid_parameter",
         "/clientId", 400},
    };
    struct catalog *catalog = catalog_of_meters();
    struct arena arena;

    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct query_problem problem = {.code = ""};
        struct query query;
        json_t *object;

        cr_assert_eq(query_read_body(text_of(refusals[i].body), &object, &problem), 0);
        cr_assert_eq(
            query_parse(object, catalog, text_of(refusals[i].meter), &arena, &query, &problem),
            QUERY_REFUSED, "%s", refusals[i].body);
        cr_assert_str_eq(problem.code, refusals[i].code);
        cr_assert_str_eq(problem.pointer, refusals[i].pointer);
        cr_assert_eq(problem.status, refusals[i].status);
        json_decref(object);
    }
    catalog_free(catalog);
    arena_deinit(&arena);
}

Test(query, a_name_without_room_is_cut_and_what_to_do_still_said)
{
    struct catalog *catalog = catalog_of_meters();
    struct query_problem problem = {.code = ""};
    json_t *object = json_object();
    struct query query;
    struct arena arena;
    char name[400];

    memset(name, '~', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    arena_init(&arena, 1 << 20);
    json_object_set_new(object, name, json_null());
    cr_assert_eq(query_parse(object, catalog, text_of("sum"), &arena, &query, &problem),
                 QUERY_REFUSED);
    cr_assert_str_eq(problem.pointer, "");
    cr_assert(strstr(problem.detail, "groupBy, clientId"), "%s", problem.detail);

    json_object_clear(object);
    json_object_set_new(object, "filterGroupBy", json_pack("{s:n}", name));
    cr_assert_eq(query_parse(object, catalog, text_of("sum"), &arena, &query, &problem),
                 QUERY_REFUSED);
    cr_assert_str_eq(problem.pointer, "/filterGroupBy");
    cr_assert(strstr(problem.detail, "in its groupBy"), "%s", problem.detail);
    json_decref(object);
    catalog_free(catalog);
    arena_deinit(&arena);
}

Test(query, a_blank_body_asks_for_everything)
{
    struct query_problem problem;
    json_t *object;

    cr_assert_eq(query_read_body(text_of(" \r\n\t"), &object, &problem), 0);
    cr_assert_eq(json_object_size(object), 0);
    json_decref(object);
}

Test(query, a_body_that_is_no_object_is_invalid_json)
{
    static const char *const bodies[] = {"[]", "{", "{\"from\":null,\"from\":null}", "1"};

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct query_problem problem = {.code = ""};
        json_t *object;
        cr_assert_eq(query_read_body(text_of(bodies[i]), &object, &problem), QUERY_REFUSED);
        cr_assert_str_eq(problem.code, "invalid_json");
    }
}

Test(query, parameters_of_a_get_make_the_object_that_a_post_sends)
{
    json_t *object = json_object();
    struct query_problem problem;
    char *text;

    cr_assert_eq(query_add_parameter(object, text_of("groupBy"), text_of("method"), &problem), 0);
    cr_assert_eq(query_add_parameter(object, text_of("groupBy"), text_of("subject"), &problem), 0);
    cr_assert_eq(
        query_add_parameter(object, text_of("filterGroupBy[method]"), text_of("GET"), &problem), 0);
    cr_assert_eq(query_add_parameter(object, text_of("windowSize"), text_of("DAY"), &problem), 0);
    text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    cr_assert_str_eq(text, "{\"filterGroupBy\":{\"method\":[\"GET\"]},\"groupBy\":[\"method\","
                           "\"subject\"],\"windowSize\":\"DAY\"}");
    cr_assert_eq(query_add_parameter(object, text_of("windowSize"), text_of("DAY"), &problem),
                 QUERY_REFUSED);
    cr_assert_str_eq(problem.pointer, "/windowSize");
    free(text);
    json_decref(object);
}

Test(query, a_misspelt_filter_of_a_get_is_no_filter)
{
    struct catalog *catalog = catalog_of_meters();
    struct query_problem problem = {.code = ""};
    json_t *object = json_object();
    struct query query;
    struct arena arena;

    arena_init(&arena, 1 << 20);
    cr_assert_eq(
        query_add_parameter(object, text_of("filterGroupBys[method]"), text_of("GET"), &problem),
        0);
    cr_assert_eq(query_parse(object, catalog, text_of("sum"), &arena, &query, &problem),
                 QUERY_REFUSED);
    cr_assert_str_eq(problem.code, "unknown_parameter");
    json_object_clear(object);
    cr_assert_eq(query_add_parameter(object, text_of("from"), text_of("2026-01-01T00:00:00 01:00"),
                                     &problem),
                 0);
    cr_assert_eq(query_parse(object, catalog, text_of("sum"), &arena, &query, &problem),
                 QUERY_REFUSED);
    cr_assert(strstr(problem.detail, "%2B"), "%s", problem.detail);
    json_decref(object);
    catalog_free(catalog);
    arena_deinit(&arena);
}

Test(query, csv_marks_null_empty_and_formulas_apart)
{
    CLEANUP(buffer_deinit) struct buffer out = {0};
    const struct text values[][2] = {{text_of("s"), text_of(NULL)},
                                     {text_of("s"), text_of("")},
                                     {text_of("s"), text_of("=1+1")},
                                     {text_of("s"), text_of("a,\"b\"")}};
    struct query query = {.by_subject = true, .group_count = 1, .group_by = {text_of("method")}};
    struct total one = {.aggregation = AGGREGATION_COUNT, .count = 1};
    struct rows rows;
    struct row *row;

    rows_init(&rows, &query);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        uint32_t group = rows_group(&rows, values[i]);
        cr_assert_eq(rows_take(&rows, 0, 60, group, AGGREGATION_COUNT, &row), 0);
        cr_assert_eq(row_add(row, &one), 0);
    }
    rows_sort(&rows);
    rows_write_csv(&rows, &query, &out);
    buffer_add_char(&out, '\0');
    cr_assert_str_eq(out.at, "window_start,window_end,subject,method,value\r\n"
                             "1970-01-01T00:00:00Z,1970-01-01T01:00:00Z,s,,1\r\n"
                             "1970-01-01T00:00:00Z,1970-01-01T01:00:00Z,s,\"\",1\r\n"
                             "1970-01-01T00:00:00Z,1970-01-01T01:00:00Z,s,'=1+1,1\r\n"
                             "1970-01-01T00:00:00Z,1970-01-01T01:00:00Z,s,\"a,\"\"b\"\"\",1\r\n");
    rows_deinit(&rows);
}
