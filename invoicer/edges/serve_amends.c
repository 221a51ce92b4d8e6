#include "invoicer/edges/serve_amends.h"

#include "common/base/fault.h"
#include "common/base/instant.h"
#include "invoicer/edges/admin.h"
#include "invoicer/edges/amend.h"
#include "invoicer/edges/bills.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/catalog_books.h"
#include "invoicer/edges/close.h"
#include "invoicer/edges/serve_http.h"
#include "invoicer/rules/shape.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 65536, FAULT_ROOM = 512 };

enum job_state { JOB_BEGINS, JOB_COUNTS, JOB_SENDS, JOB_DONE };

/* A request under way. Its texts are the HTTP request's and `body`'s. */
struct job {
    struct job *next;
    struct http_request *http;
    struct amend_request request;
    bool is_estimate;
    json_t *body, *more;
    char next_id[ULID_TEXT_MAX];
    enum job_state state;
    uint64_t until_ms;
    struct amend_wait wait;
    struct engine_sent sent;
    struct amendment amendment;
    int outcome; /* 0, AMEND_REFUSED, or a fault with its text */
    char fault[FAULT_ROOM];
};

enum { ROUTES = 8 };

struct serve_amends {
    struct engine *engine;
    struct serve_amends_config config;
    struct http_route routes[ROUTES];
    uv_async_t on_done;
    pthread_mutex_t gate; /* of the next three */
    struct job *waiting;  /* for the engine's thread, newest first */
    struct job *done;     /* for the loop's */
    bool has_stopped;
    struct job *working; /* the engine's thread: in the order of their coming */
};

static void job_free(struct job *job)
{
    amendment_deinit(&job->amendment);
    json_decref(job->body);
    json_decref(job->more);
    free(job);
}

/* --- the engine's thread --- */

static void finish(struct serve_amends *amends, struct job *job, int outcome)
{
    job->state = JOB_DONE;
    job->outcome = outcome;
    if (outcome < 0)
        (void)snprintf(job->fault, sizeof(job->fault), "%s", fault_text());
    pthread_mutex_lock(&amends->gate);
    job->next = amends->done;
    amends->done = job;
    pthread_mutex_unlock(&amends->gate);
    uv_async_send(&amends->on_done);
}

static int look(struct engine *engine, engine_state *is_there, void *context)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(engine_store(engine), STORE_READ, &txn);

    return r ? fault_pass(r) : is_there(context, txn);
}

/* Writes it, or works an estimate out; *sequence as outbox_put, -1: nothing was written. */
static int write_job(struct serve_amends *amends, struct job *job, int64_t *sequence)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = job->is_estimate ? store_begin(engine_store(amends->engine), STORE_READ, &txn)
                             : engine_begin(amends->engine, &txn);

    *sequence = -1;
    amend_wait_ended(&job->request);
    if (!r && !job->is_estimate)
        r = close_none_is_under_way(txn);
    if (!r)
        r = amend_prepare(txn, job->wait.partitions, &job->request, &job->amendment);
    if (r || job->is_estimate)
        return r < 0 ? fault_pass(r) : r;
    r = catalog_books_put(txn, &job->amendment.changes, sequence);
    if (!r)
        r = store_commit(&txn);
    return r ? fault_pass(r) : 0;
}

/* From counted to sent: 1 when the job is done with. */
static int write_and_wait(struct serve_amends *amends, struct job *job)
{
    int64_t sequence;
    int r = write_job(amends, job, &sequence);

    if (!r && sequence >= 0)
        r = engine_sent_from(amends->engine, sequence, &job->sent);
    if (r || sequence < 0) {
        finish(amends, job, r);
        return 1;
    }
    job->state = JOB_SENDS;
    return 0;
}

/* Goes on as far as the store lets it; true when the job is done with. */
static bool move(struct serve_amends *amends, struct job *job)
{
    int r = 0;

    if (job->state == JOB_BEGINS) {
        r = amend_wait_begin(engine_store(amends->engine), &amends->config.kafka,
                             amends->config.bucket, &job->request, &job->wait);
        if (!r)
            job->state = JOB_COUNTS;
    }
    if (!r && job->state == JOB_COUNTS) {
        r = look(amends->engine, amend_wait_is_over, &job->wait);
        if (r > 0)
            return write_and_wait(amends, job) == 1;
    } else if (!r && job->state == JOB_SENDS) {
        r = look(amends->engine, engine_is_sent, &job->sent);
        if (r > 0) {
            finish(amends, job, 0);
            return true;
        }
    }
    if (r == 0 && uv_hrtime() / 1000000 > job->until_ms)
        r = job->state == JOB_SENDS ? fault(FAULT_RETRY, "writing to Kafka: not in time")
                                    : amend_wait_fault(engine_store(amends->engine), &job->wait);
    if (r < 0)
        finish(amends, job, r);
    return r < 0;
}

static void take_waiting(struct serve_amends *amends)
{
    struct job *job, **end = &amends->working;

    pthread_mutex_lock(&amends->gate);
    job = amends->waiting;
    amends->waiting = NULL;
    pthread_mutex_unlock(&amends->gate);
    while (*end)
        end = &(*end)->next;
    while (job) { /* newest first: each before those behind it */
        struct job *next = job->next;

        job->next = *end;
        *end = job;
        job = next;
    }
}

void serve_amends_step(struct serve_amends *amends)
{
    struct job **at = &amends->working;

    take_waiting(amends);
    while (*at) {
        struct job *job = *at, *next = job->next;

        if (move(amends, job))
            *at = next;
        else
            at = &job->next;
    }
}

void serve_amends_stop(struct serve_amends *amends)
{
    struct job *job;

    pthread_mutex_lock(&amends->gate);
    amends->has_stopped = true;
    pthread_mutex_unlock(&amends->gate);
    take_waiting(amends);
    while ((job = amends->working)) {
        amends->working = job->next;
        finish(amends, job, fault(FAULT_RETRY, "the invoicer is ending"));
    }
}

/* --- answers --- */

static int status_of(const char *code)
{
    if (strcmp(code, "subscription_not_found") == 0)
        return 404;
    return strncmp(code, "subscription_", 13) == 0 || strcmp(code, "plan_unchanged") == 0 ? 409
                                                                                          : 400;
}

static void answer_refused(struct job *job)
{
    const struct change_refusal *refusal = &job->amendment.refusal;
    const struct issues *issues = &job->amendment.issues;

    if (refusal->code) {
        http_answer_problem(job->http, status_of(refusal->code), refusal->code, refusal->detail,
                            NULL);
        return;
    }
    for (size_t i = 0; i < issues->count; i++) {
        if (issues->at[i].is_warning)
            continue;
        http_answer_problem(job->http, status_of(issues->at[i].code), issues->at[i].code,
                            issues->at[i].message, NULL);
        return;
    }
    http_answer_problem(job->http, 400, "refused", NULL, NULL);
}

static void answer_json(struct http_request *http, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    http_answer_json(http, 200, text_of(text));
    free(text);
}

static void answer(struct job *job)
{
    json_t *next = json_object_get(job->amendment.answer, "next");

    if (job->outcome == FAULT_RETRY) {
        http_answer_problem_later(job->http, 503, "unavailable", job->fault, "2");
    } else if (job->outcome < 0) {
        http_answer_problem(job->http, 500, "internal", job->fault, NULL);
    } else if (job->outcome) {
        answer_refused(job);
    } else {
        if (job->is_estimate && next)
            json_object_set_new(next, "id", json_null());
        answer_json(job->http, job->request.action == CHANGE_PLAN
                                   ? job->amendment.answer
                                   : json_object_get(job->amendment.answer, "current"));
    }
}

static void on_done(uv_async_t *handle)
{
    struct serve_amends *amends = handle->data;
    struct job *job;

    pthread_mutex_lock(&amends->gate);
    job = amends->done;
    amends->done = NULL;
    pthread_mutex_unlock(&amends->gate);
    while (job) {
        struct job *next = job->next;

        answer(job);
        job_free(job);
        job = next;
    }
}

/* --- requests --- */

/* Whether the request is for this bucket, by one of its admins; false: it is answered. */
static bool admit(struct serve_amends *amends, struct http_request *http, struct store_txn **txn)
{
    if (!text_is(http->parameters[0], amends->config.bucket)) {
        http_answer_problem(http, 404, "unknown_bucket", "another bucket is served here", NULL);
        return false;
    }
    if (store_begin(engine_store(amends->engine), STORE_READ, txn)) {
        http_answer_problem(http, 503, "unavailable", fault_text(), NULL);
        return false;
    }
    if (!admin_admits(*txn, amends->config.bucket, http)) {
        http_answer_problem(http, 401, "unauthorized", "an admin key of this bucket is needed",
                            NULL);
        return false;
    }
    return true;
}

static void push(struct serve_amends *amends, struct job *job)
{
    bool has_stopped;

    job->until_ms = uv_hrtime() / 1000000 + (uint64_t)amends->config.wait_ms;
    pthread_mutex_lock(&amends->gate);
    has_stopped = amends->has_stopped;
    if (!has_stopped) {
        job->next = amends->waiting;
        amends->waiting = job;
    }
    pthread_mutex_unlock(&amends->gate);
    if (!has_stopped)
        return;
    http_answer_problem(job->http, 503, "unavailable", "the invoicer is ending", NULL);
    job_free(job);
}

static struct job *job_new(struct http_request *http, enum change_action action)
{
    struct job *job = calloc(1, sizeof(*job));

    assert(job);
    job->http = http;
    job->request = (struct amend_request){.action = action,
                                          .id = http->parameters[1],
                                          .now = instant_now(),
                                          .anchor = text_of(NULL),
                                          .next_id = job->next_id};
    return job;
}

/* Answers with the first of the issues; the job is gone. */
static bool refuse_shape(struct job *job, struct issues *issues)
{
    const struct issue *issue = &issues->at[0];

    assert(issues->count > 0);
    http_answer_problem(job->http, 400, issue->code, issue->message, issue->pointer);
    issues_deinit(issues);
    job_free(job);
    return false;
}

/* The body's members; false: the request is answered and the job gone. */
static bool read_body(struct job *job, const struct member *members, size_t count)
{
    struct text body = job->http->body;
    struct pointer root = pointer_root();
    struct issues issues = {.count = 0};
    json_error_t error;

    job->body = body.length ? json_loadb(body.at, body.length, JSON_REJECT_DUPLICATES, &error)
                            : json_object();
    if (!job->body)
        issue_add(&issues, &root, "invalid_json", "the body isn't JSON: %s (line %d, column %d)",
                  error.text, error.line, error.column);
    if (!job->body || !shape_check(&issues, &root, job->body, members, count) || issues.errors)
        return refuse_shape(job, &issues);
    issues_deinit(&issues);
    return true;
}

static bool read_timing(struct job *job)
{
    struct text timing = shape_text(job->body, "timing");

    if (text_is_absent(timing) || change_timing_parse(timing, &job->request.timing))
        return true;
    http_answer_problem(job->http, 400, "invalid_timing",
                        "timing is immediate, next_billing_cycle or an RFC 3339 time of a whole "
                        "minute",
                        "/timing");
    job_free(job);
    return false;
}

/* A version that isn't one mustn't pass for none: the newest may cost something else. */
static bool read_plan(struct job *job)
{
    static const struct member members[] = {{"key", SHAPE_KEY, true},
                                            {"version", SHAPE_COUNT, false}};
    struct pointer root = pointer_root(), place = pointer_member(&root, "plan");
    struct pointer version_place = pointer_member(&place, "version");
    json_t *plan = json_object_get(job->body, "plan");
    const json_t *version = json_object_get(plan, "version");
    struct issues issues = {.count = 0};

    if (json_is_integer(version) && json_integer_value(version) == 0)
        issue_add(&issues, &version_place, "plan_version_not_found", "versions begin with 1");
    if (!shape_check(&issues, &place, plan, members, ARRAY_LEN(members)) || issues.errors)
        return refuse_shape(job, &issues);
    job->request.plan = shape_text(plan, "key");
    job->request.version = json_integer_value(json_object_get(plan, "version"));
    issues_deinit(&issues);
    return true;
}

/* Name, description and metadata go into the next one as they are. */
static void read_more(struct job *job)
{
    static const char *const names[] = {"name", "description", "metadata"};

    job->more = json_object();
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (json_object_get(job->body, names[i]))
            json_object_set(job->more, names[i], json_object_get(job->body, names[i]));
    job->request.more = job->more;
}

static void change(struct http_request *http, bool is_estimate)
{
    static const struct member members[] = {
        {"plan", SHAPE_OBJECT, true},         {"timing", SHAPE_TEXT, false},
        {"billingAnchor", SHAPE_TIME, false}, {"name", SHAPE_NAME, false},
        {"description", SHAPE_TEXT, false},   {"metadata", SHAPE_MAP, false}};
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct serve_amends *amends = http->context;
    struct job *job;

    if (!admit(amends, http, &txn))
        return;
    job = job_new(http, CHANGE_PLAN);
    job->is_estimate = is_estimate;
    if (!read_body(job, members, ARRAY_LEN(members)) || !read_timing(job) || !read_plan(job))
        return;
    read_more(job);
    job->request.anchor = shape_text(job->body, "billingAnchor");
    if (amend_make_id(job->request.now, job->next_id)) {
        http_answer_problem(http, 503, "unavailable", fault_text(), NULL);
        job_free(job);
        return;
    }
    push(amends, job);
}

static void on_change(struct http_request *http)
{
    change(http, false);
}

static void on_estimate(struct http_request *http)
{
    change(http, true);
}

static void on_cancel(struct http_request *http)
{
    static const struct member members[] = {{"timing", SHAPE_TEXT, false}};
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct serve_amends *amends = http->context;
    struct job *job;

    if (!admit(amends, http, &txn))
        return;
    job = job_new(http, CHANGE_CANCEL);
    if (read_body(job, members, ARRAY_LEN(members)) && read_timing(job))
        push(amends, job);
}

static void on_restore(struct http_request *http)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct serve_amends *amends = http->context;

    if (admit(amends, http, &txn))
        push(amends, job_new(http, CHANGE_RESTORE));
}

static void on_delete(struct http_request *http)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct serve_amends *amends = http->context;

    if (admit(amends, http, &txn))
        push(amends, job_new(http, CHANGE_DELETE));
}

static void on_show(struct http_request *http)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct serve_amends *amends = http->context;
    struct bills *bills;
    struct buffer key = {0};
    json_t *shown = NULL;
    struct text record;
    int64_t offset;
    int r;

    if (!admit(amends, http, &txn))
        return;
    bills = bills_new(1);
    buffer_printf(&key, "subscription/%.*s", (int)http->parameters[1].length,
                  http->parameters[1].at);
    r = key.length > STORE_KEY_BYTES_MAX
            ? BOOKS_NOT_FOUND
            : books_catalog_get(txn, buffer_text(&key), &record, &offset);
    if (!r)
        r = amend_show(txn, bills, record, instant_now(), &shown);
    if (!r)
        answer_json(http, shown);
    else if (r == BOOKS_NOT_FOUND)
        http_answer_problem(http, 404, "subscription_not_found", "there is no such subscription",
                            NULL);
    else
        http_answer_problem(http, 503, "unavailable", fault_text(), NULL);
    json_decref(shown);
    buffer_deinit(&key);
    bills_free(bills);
}

#define SUBSCRIPTION "/v3/metering/{bucket}/subscriptions/{id}"

struct serve_amends *serve_amends_new(uv_loop_t *loop, struct engine *engine,
                                      const struct serve_amends_config *config)
{
    struct serve_amends *amends = calloc(1, sizeof(*amends));

    assert(amends);
    amends->engine = engine;
    amends->config = *config;
    pthread_mutex_init(&amends->gate, NULL);
    uv_async_init(loop, &amends->on_done, on_done);
    amends->on_done.data = amends;
    memcpy(amends->routes,
           (struct http_route[ROUTES]){
               {HTTP_GET_METHOD, SUBSCRIPTION, on_show, 0, amends},
               {HTTP_DELETE_METHOD, SUBSCRIPTION, on_delete, 0, amends},
               {HTTP_POST_METHOD, SUBSCRIPTION "/change", on_change, BODY_MAX, amends},
               {HTTP_POST_METHOD, SUBSCRIPTION "/change/estimate-credit", on_estimate, BODY_MAX,
                amends},
               {HTTP_POST_METHOD, SUBSCRIPTION "/cancel", on_cancel, BODY_MAX, amends},
               {HTTP_POST_METHOD, SUBSCRIPTION "/unschedule-cancelation", on_restore, BODY_MAX,
                amends},
               {HTTP_POST_METHOD, SUBSCRIPTION "/unschedule-cancellation", on_restore, BODY_MAX,
                amends},
               {HTTP_POST_METHOD, SUBSCRIPTION "/restore", on_restore, BODY_MAX, amends}},
           sizeof(amends->routes));
    return amends;
}

void serve_amends_close(struct serve_amends *amends)
{
    uv_close((uv_handle_t *)&amends->on_done, NULL);
}

struct serve_amends *serve_amends_free(struct serve_amends *amends)
{
    if (amends)
        pthread_mutex_destroy(&amends->gate);
    free(amends);
    return NULL;
}

const struct http_route *serve_amends_routes(struct serve_amends *amends, size_t *count)
{
    *count = ROUTES;
    return amends->routes;
}
