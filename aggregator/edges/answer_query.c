#include "aggregator/edges/answer_parts.h"

#include "aggregator/edges/scan.h"
#include "common/base/fault.h"
#include "common/io/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Outcomes of one question, above those of answer_gather. */
enum question_outcome {
    QUESTION_TOO_MANY = ANSWER_REFUSED + 1,
    QUESTION_OVERFLOW,
    QUESTION_FINER,
};

/* A query under way: made on the loop, worked on in the pool, answered on the loop. */
struct question {
    struct answer_job job;
    struct answers *answers;
    struct http_request *request;
    struct answer_partitions partitions;
    struct query query;
    struct rows rows;
    char path[128]; /* what peers are asked */
    char *body;     /* the query as JSON, for them; malloc'd */
    bool is_csv;
    int result;
    struct buffer out; /* the answer's body; a peer's refusal */
    char why[256];     /* of a fault */
};

/* --- on the pool --- */

static int scan_one(void *context, const struct owned_view *view)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct question *question = context;
    int r = store_begin(view->store, STORE_READ, &txn);

    if (r)
        return fault_pass(r);
    r = scan_partition(txn, &question->query, &question->rows);
    if (r < 0)
        return fault_pass(r);
    return r == SCAN_TOO_MANY_ROWS       ? QUESTION_TOO_MANY
           : r == SCAN_OVERFLOW          ? QUESTION_OVERFLOW
           : r == SCAN_FINER_THAN_STORED ? QUESTION_FINER
                                         : 0;
}

static int merge_one(void *context, struct text body)
{
    struct question *question = context;
    int r = rows_merge(&question->rows, body);

    if (r == ROWS_FOREIGN)
        return ANSWER_UNOWNED;
    return r == ROWS_TOO_MANY ? QUESTION_TOO_MANY : r == ROWS_OVERFLOW ? QUESTION_OVERFLOW : 0;
}

static void write_rows(struct question *question)
{
    if (question->partitions.is_internal) {
        rows_encode(&question->rows, &question->out);
        return;
    }
    rows_sort(&question->rows);
    if (question->is_csv)
        rows_write_csv(&question->rows, &question->query, &question->out);
    else
        rows_write_json(&question->rows, &question->query, &question->out);
}

static void work_on(void *context)
{
    static const struct answer_ops ops = {.scan = scan_one, .merge = merge_one};
    struct question *question = context;
    struct answer_peer_call call = {.method = "POST",
                                    .path = question->path,
                                    .body = text_of(question->body),
                                    .bearer = http_bearer(question->request)};

    question->result = answer_gather(question->answers, &question->partitions, &ops, question,
                                     &call, &question->out);
    if (question->result < 0)
        snprintf(question->why, sizeof(question->why), "%s", fault_text());
    else if (question->result == 0)
        write_rows(question);
}

/* --- the answer --- */

static void answer_rows(struct question *question)
{
    struct http_answer answer = {.status = 200, .content_type = "application/json"};

    if (question->partitions.is_internal)
        answer.content_type = "application/octet-stream";
    else if (question->is_csv)
        answer.content_type = "text/csv; charset=utf-8";
    http_answer(question->request, &answer, buffer_text(&question->out));
}

static void answer_unowned(struct http_request *request)
{
    http_answer_problem(request, 503, "partition_unavailable",
                        "a partition has no owner that answers just now: it is moving, or an "
                        "aggregator is missing",
                        NULL);
}

static void answer_outcome(struct question *question)
{
    struct http_request *request = question->request;
    const struct http_answer refused = {.status = 400, .content_type = "application/problem+json"};

    switch (question->result) {
    case ANSWER_UNOWNED:
        answer_unowned(request);
        break;
    case ANSWER_REFUSED:
        http_answer(request, &refused, buffer_text(&question->out));
        break;
    case QUESTION_TOO_MANY:
        http_answer_problem(request, 400, "too_many_rows",
                            "the answer has more than 100000 rows: ask for a shorter range, larger "
                            "windows or fewer groups",
                            NULL);
        break;
    case QUESTION_FINER:
        http_answer_problem(request, 400, "finer_than_stored",
                            "the range needs finer counters than are kept for its age: ask for "
                            "whole quarter-hours within 400 days, whole UTC days before that",
                            NULL);
        break;
    case QUESTION_OVERFLOW:
        http_answer_problem(request, 400, "value_too_large",
                            "the sum over all subscriptions doesn't fit: filter or group by "
                            "subscription",
                            NULL);
        break;
    default:
        log_message(LOG_WARN, "query_failed", "%s", question->why);
        http_answer_problem(request, 500, "internal", "the query failed; the log says why", NULL);
    }
}

static void question_free(struct question *question)
{
    query_deinit(&question->query);
    rows_deinit(&question->rows);
    buffer_deinit(&question->out);
    free(question->body);
    free(question);
}

static void work_done(void *context)
{
    struct question *question = context;

    if (question->result == 0)
        answer_rows(question);
    else
        answer_outcome(question);
    question_free(question);
}

/* --- the question --- */

static void answer_problem(struct http_request *request, const struct query_problem *problem)
{
    http_answer_problem(request, problem->status, problem->code, problem->detail,
                        problem->pointer[0] ? problem->pointer : NULL);
}

static int parse(struct question *question, const json_t *object, struct text slug,
                 struct query_problem *problem)
{
    const struct catalog *catalog = catalog_feed_lock(question->answers->catalog, NULL);
    int r = query_parse(object, catalog, slug, question->request->arena, &question->query, problem);

    catalog_feed_unlock(question->answers->catalog);
    return r;
}

static bool wants_csv(const struct http_request *request)
{
    static const struct http_offer offers[] = {{"application/json", NULL}, {"text/csv", NULL}};

    return http_choose(request, offers, ARRAY_LEN(offers)) == 1;
}

/* Takes `object`. Slugs have no letter that a path must escape. */
static void ask(struct http_request *request, json_t *object, struct text slug, bool is_internal)
{
    struct question *question = calloc(1, sizeof(*question));
    struct query_problem problem;

    if (!question)
        abort();
    question->answers = request->context;
    question->request = request;
    question->job = (struct answer_job){.answers = question->answers,
                                        .is_internal = is_internal,
                                        .run = work_on,
                                        .done = work_done,
                                        .question = question};
    if (parse(question, object, slug, &problem)) {
        json_decref(object);
        answer_problem(request, &problem);
        question_free(question);
        return;
    }
    rows_init(&question->rows, &question->query);
    question->is_csv = wants_csv(request);
    question->body = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    snprintf(question->path, sizeof(question->path), "/internal/v1/meters/%.*s/query",
             (int)slug.length, slug.at);
    if (!question->body ||
        !answer_choose(question->answers, request, is_internal, question->query.subscriptions.at,
                       question->query.subscriptions.count, &question->partitions)) {
        http_answer_problem(request, 400, "invalid_parameter", "the partitions aren't ours",
                            "/partitions");
        question_free(question);
        return;
    }
    answer_submit(&question->job);
}

static bool is_our_bucket(struct http_request *request)
{
    const struct answers *answers = request->context;
    char detail[160];

    if (text_is(request->parameters[0], answers->bucket))
        return true;
    snprintf(detail, sizeof(detail), "this process serves the bucket %s alone", answers->bucket);
    http_answer_problem(request, 404, "unknown_meter", detail, NULL);
    return false;
}

void answer_query_post(struct http_request *request)
{
    struct query_problem problem;
    json_t *object;

    if (!answer_admits(request->context, request) || !is_our_bucket(request))
        return;
    /* One in the URL would filter nothing, and nobody would see it. */
    if (http_query_count(request) > 0)
        http_answer_problem(request, 400, "invalid_parameter",
                            "a POST has its parameters in the body: put those of the URL there, or "
                            "send a GET",
                            NULL);
    else if (query_read_body(request->body, &object, &problem))
        answer_problem(request, &problem);
    else
        ask(request, object, request->parameters[1], false);
}

void answer_query_internal(struct http_request *request)
{
    struct query_problem problem;
    json_t *object;

    if (!answer_admits(request->context, request))
        return;
    if (query_read_body(request->body, &object, &problem))
        answer_problem(request, &problem);
    else
        ask(request, object, request->parameters[0], true);
}

static int gather_parameters(struct http_request *request, json_t *object,
                             struct query_problem *problem)
{
    for (size_t i = 0; i < http_query_count(request); i++) {
        struct text name, value;
        int r;
        if (http_query_at(request, i, &name, &value)) {
            *problem = (struct query_problem){
                .status = 400, .code = "invalid_parameter", .detail = "the query is too large"};
            return QUERY_REFUSED;
        }
        r = query_add_parameter(object, name, value, problem);
        if (r)
            return r;
    }
    return 0;
}

void answer_query_get(struct http_request *request)
{
    struct query_problem problem;
    json_t *object;

    if (!answer_admits(request->context, request) || !is_our_bucket(request))
        return;
    object = json_object();
    if (gather_parameters(request, object, &problem)) {
        json_decref(object);
        answer_problem(request, &problem);
        return;
    }
    ask(request, object, request->parameters[1], false);
}
