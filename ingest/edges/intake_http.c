/*
 * A request goes through: is ingest able to take it (503), is its key good (401), within its rate
 * (429), in a form that is taken (415); then its events are read and weighed (taking.c), what was
 * admitted is packed, and the answer waits for Kafka.
 */
#include "ingest/edges/intake_http.h"

#include "ingest/edges/taking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request whose events are on their way. It outlives its answer, until its batches are settled.
 */
struct waiting {
    struct waiter waiter; /* first: waiters are cast back */
    struct intake_http *http;
    struct http_request *request; /* NULL once answered */
    struct answer answer;
    int64_t since_ms;
    struct waiting *previous, *next; /* while it waits */
};

/* When the loop's turn began, by the clock that nobody sets: waits and rates go by it. */
static int64_t steady_ms(const struct intake_http *http)
{
    return (int64_t)uv_now(http->config.loop);
}

/* --- answers --- */

static void count_answer(struct intake_http *http, const struct http_request *request, int status)
{
    struct metrics *metrics = http->intake->metrics;
    int64_t ms = http_now_ms(request) - request->arrived_ms;

    metrics_add(metrics, MEASURE_ANSWERS, measure_status_of(status), 1);
    metrics_observe(metrics, MEASURE_REQUEST_SECONDS, 0, (ms > 0 ? (int32_t)ms : 0) / 1e3);
}

static void answer_problem(struct intake_http *http, struct http_request *request, int status,
                           const char *code, const char *detail)
{
    count_answer(http, request, status);
    http_answer_problem(request, status, code, detail, NULL);
}

static void answer_later(struct intake_http *http, struct http_request *request, int status,
                         const char *code, const char *detail, const char *seconds)
{
    count_answer(http, request, status);
    http_answer_problem_later(request, status, code, detail, seconds);
}

static void answer_unavailable(struct intake_http *http, struct http_request *request,
                               const char *code, const char *detail)
{
    answer_later(http, request, 503, code, detail, "2");
}

static void answer_events(struct intake_http *http, struct http_request *request,
                          const struct answer *answer)
{
    int status = answer_status(answer);
    struct http_answer how = {
        .status = status,
        .content_type = status == 202 ? "application/json" : "application/problem+json",
    };

    buffer_clear(&http->body);
    answer_write(answer, &http->body);
    count_answer(http, request, status);
    http_answer(request, &how, buffer_text(&http->body));
}

/* --- waiting --- */

static void link_waiting(struct intake_http *http, struct waiting *waiting)
{
    waiting->previous = http->newest;
    if (http->newest)
        http->newest->next = waiting;
    else
        http->oldest = waiting;
    http->newest = waiting;
    http->waiting++;
}

static void unlink_waiting(struct intake_http *http, struct waiting *waiting)
{
    if (waiting->previous)
        waiting->previous->next = waiting->next;
    else
        http->oldest = waiting->next;
    if (waiting->next)
        waiting->next->previous = waiting->previous;
    else
        http->newest = waiting->previous;
    http->waiting--;
}

static void count_accepted(struct waiting *waiting)
{
    metrics_add(waiting->http->intake->metrics, MEASURE_ACCEPTED, INTAKE_HTTP,
                (int64_t)waiting->answer.accepted);
}

static void on_settled(struct waiter *waiter)
{
    struct waiting *waiting = (struct waiting *)waiter;

    if (!waiter->failed)
        count_accepted(waiting);
    if (waiting->request) {
        unlink_waiting(waiting->http, waiting);
        if (waiter->failed)
            answer_unavailable(waiting->http, waiting->request, "not_acknowledged",
                               "Kafka didn't acknowledge the events: send all of them again.");
        else
            answer_events(waiting->http, waiting->request, &waiting->answer);
    }
    answer_deinit(&waiting->answer);
    free(waiting);
}

static void expire(struct intake_http *http, int64_t since_ms)
{
    struct waiting *waiting = http->oldest;

    while (waiting && waiting->since_ms <= since_ms) {
        struct http_request *request = waiting->request;
        unlink_waiting(http, waiting);
        waiting->request = NULL;
        waiting = http->oldest;
        answer_unavailable(http, request, "not_acknowledged",
                           "Kafka hasn't acknowledged the events in time: send all of them again.");
    }
}

void intake_http_expire(struct intake_http *http)
{
    expire(http, steady_ms(http) - http->config.answer_ms);
}

void intake_http_expire_all(struct intake_http *http)
{
    expire(http, INT64_MAX);
}

static void send_admitted(struct intake_http *http, struct http_request *request,
                          const struct taking *taking)
{
    struct waiting *waiting = calloc(1, sizeof(*waiting));

    if (!waiting)
        abort();
    waiting->http = http;
    waiting->request = request;
    waiting->answer = taking->answer;
    waiting->since_ms = steady_ms(http);
    link_waiting(http, waiting);
    delivery_hold(&waiting->waiter, on_settled);
    delivery_add(http->intake->delivery, taking->admitted, taking->count, &waiting->waiter);
    http_forget_input(request);
    delivery_release(&waiting->waiter);
}

/* --- the whole --- */

static void count_events(const struct intake_http *http, const struct taking *taking)
{
    struct metrics *metrics = http->intake->metrics;

    metrics_add(metrics, MEASURE_RECEIVED, INTAKE_HTTP, (int64_t)taking->events);
    if (taking->answer.rejected == 0)
        return;
    for (size_t code = REFUSAL_NONE + 1; code < REFUSAL_COUNT; code++)
        if (taking->codes[code] > 0)
            metrics_add(metrics, MEASURE_REJECTED, code - 1, taking->codes[code]);
}

/* The events are read: packs what was admitted, or answers. `taking->answer` changes hands. */
static void finish(struct intake_http *http, struct http_request *request, struct taking *taking)
{
    if (taking->status != 0) {
        answer_problem(http, request, taking->status, taking->code, taking->detail);
        answer_deinit(&taking->answer);
        return;
    }
    count_events(http, taking);
    taking->answer.accepted = taking->count;
    if (taking->count > 0) {
        send_admitted(http, request, taking);
        return;
    }
    answer_events(http, request, &taking->answer);
    answer_deinit(&taking->answer);
}

static struct content_signs signs_of(const struct http_request *request)
{
    struct content_signs signs = {.content_type = http_header(request, "content-type")};

    for (size_t i = 0; i < request->header_count && !signs.has_attributes; i++)
        signs.has_attributes = taking_is_attribute(&request->headers[i]);
    if (signs.has_attributes)
        signs.has_specversion = !text_is_absent(http_header(request, "ce-specversion"));
    return signs;
}

/* Whether ingest can take anything at all; answers when it can't. */
static bool is_able(struct intake_http *http, struct http_request *request)
{
    struct delivery *delivery = http->intake->delivery;

    if (!intake_is_open(http->intake))
        answer_unavailable(http, request, "catalog_not_loaded",
                           "The bucket's catalog isn't loaded yet: try again; /readyz says why.");
    else if (!delivery_is_connected(delivery, http->config.broker_grace_ms))
        answer_unavailable(http, request, "broker_unavailable",
                           "No Kafka broker answers: send the events again later.");
    else if (!delivery_has_room(delivery, request->body.length))
        answer_unavailable(http, request, "queue_full",
                           "Too much waits for Kafka's acknowledgement: send the events again.");
    else
        return true;
    return false;
}

static bool is_allowed(struct intake_http *http, struct http_request *request, struct text *key)
{
    const struct catalog_key *found =
        access_check(http->intake->admission.catalog, CATALOG_INGEST, http_bearer(request),
                     instant_from_ms(request->arrived_ms), &http->memo);

    if (!found) {
        answer_problem(http, request, 401, "unauthorized",
                       "Send an ingest key of this bucket: Authorization: Bearer KEY.");
        return false;
    }
    *key = found->id;
    return true;
}

static bool is_within_rate(struct intake_http *http, struct http_request *request, struct text key)
{
    int64_t wait = http->rate ? rate_wait(http->rate, key, steady_ms(http)) : 0;
    char seconds[24];

    if (wait == 0)
        return true;
    snprintf(seconds, sizeof(seconds), "%lld", (long long)(wait + 999) / 1000);
    answer_later(http, request, 429, "rate_exceeded",
                 "The key has sent more events than it may: wait as Retry-After says.", seconds);
    return false;
}

static void on_events(struct http_request *request)
{
    struct intake_http *http = request->context;
    struct taking taking = {.intake = http->intake, .request = request, .admitted = http->admitted};
    struct content_signs signs = signs_of(request);
    enum content_mode mode;
    const char *remedy;
    struct text key;

    if (!is_able(http, request) || !is_allowed(http, request, &key) ||
        !is_within_rate(http, request, key))
        return;
    if (content_mode_http(&signs, &mode, &remedy)) {
        answer_problem(http, request, 415, "unsupported_media_type", remedy);
        return;
    }
    intake_begin(http->intake);
    taking_read(&taking, mode);
    if (http->rate)
        rate_spend(http->rate, key, (int64_t)taking.events);
    finish(http, request, &taking);
}

struct http_route intake_http_route(struct intake_http *http)
{
    return (struct http_route){
        .method = HTTP_POST_METHOD,
        .path = "/v1/events",
        .handle = on_events,
        .body_max = http->intake->limits.body_bytes,
        .context = http,
    };
}

void intake_http_init(struct intake_http *http, struct intake *intake,
                      const struct intake_http_config *config)
{
    *http = (struct intake_http){.intake = intake, .config = *config};
    http->admitted = calloc(intake->limits.request_events, sizeof(*http->admitted));
    if (!http->admitted)
        abort();
    if (config->key_rate > 0)
        http->rate = rate_new(config->key_rate);
}

void intake_http_deinit(struct intake_http *http)
{
    http->rate = rate_free(http->rate);
    free(http->admitted);
    buffer_deinit(&http->body);
}
