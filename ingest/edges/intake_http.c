/*
 * A request goes through: is ingest able to take it (503), is its key good (401), within its rate
 * (429), in a form that is taken (415), not too large (413); then its events are read and weighed
 * one by one. Nothing is packed before the last is weighed, since a broken array is refused whole.
 */
#include "ingest/edges/intake_http.h"

#include "ingest/edges/answer.h"
#include "ingest/edges/auth.h"
#include "ingest/rules/content_mode.h"

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
    int64_t arrived_ms;
    struct waiting *previous, *next; /* while it waits */
};

/* One request's events as they are read. */
struct taking {
    struct intake_http *http;
    struct http_request *request;
    struct text key; /* id of the API key */
    struct admitted *admitted;
    size_t count; /* admitted */
    size_t index; /* of the event that is next */
    struct answer answer;
    uint32_t codes[REFUSAL_COUNT];
    bool is_answered; /* refused as a whole */
};

static int64_t wall_ms(void)
{
    return instant_ms(instant_now());
}

/* --- answers --- */

static void count_answer(struct intake_http *http, const struct http_request *request, int status)
{
    struct metrics *metrics = http->intake->metrics;
    int32_t ms = (int32_t)(wall_ms() - request->arrived_ms);

    metrics_add(metrics, MEASURE_ANSWERS, measure_status_of(status), 1);
    metrics_observe(metrics, MEASURE_REQUEST_SECONDS, 0, (ms > 0 ? ms : 0) / 1e3);
}

static void answer_problem(struct intake_http *http, struct http_request *request, int status,
                           const char *code, const char *detail)
{
    count_answer(http, request, status);
    http_answer_problem(request, status, code, detail, NULL);
}

/* With Retry-After, or WWW-Authenticate. */
static void answer_problem_with(struct intake_http *http, struct http_request *request,
                                const struct http_answer *how, const char *code, const char *detail)
{
    struct buffer body = {.length = 0};

    buffer_printf(&body,
                  "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\","
                  "\"detail\":",
                  how->status == 401   ? "Unauthorized"
                  : how->status == 429 ? "Too Many Requests"
                                       : "Service Unavailable",
                  how->status, code);
    buffer_add_json_string(&body, text_of(detail));
    buffer_add_char(&body, '}');
    count_answer(http, request, how->status);
    http_answer(request, how, buffer_text(&body));
    buffer_deinit(&body);
}

static void answer_unavailable(struct intake_http *http, struct http_request *request,
                               const char *code, const char *detail)
{
    struct http_answer how = {
        .status = 503, .content_type = "application/problem+json", .retry_after = "2"};

    answer_problem_with(http, request, &how, code, detail);
}

static void answer_events(struct intake_http *http, struct http_request *request,
                          const struct answer *answer)
{
    int status = answer_status(answer);
    struct http_answer how = {
        .status = status,
        .content_type = status == 202 ? "application/json" : "application/problem+json",
    };
    struct buffer body = {.length = 0};

    answer_write(answer, &body);
    count_answer(http, request, status);
    http_answer(request, &how, buffer_text(&body));
    buffer_deinit(&body);
}

/* The request is refused whole. */
static void refuse_request(struct taking *taking, int status, const char *code, const char *detail)
{
    taking->is_answered = true;
    answer_problem(taking->http, taking->request, status, code, detail);
}

/* --- reading events --- */

static void take_refused(struct taking *taking, struct text id, const struct refusal *refusal)
{
    taking->codes[refusal->code]++;
    answer_add_refusal(&taking->answer, taking->index++, id, refusal);
}

/* Weighs the event just read, whatever the reading returned. */
static void take_event(struct taking *taking, int r, const struct event *event,
                       struct refusal *refusal)
{
    struct intake *intake = taking->http->intake;

    r = intake_weigh(intake, r, event, taking->request->arrived_ms,
                     &taking->admitted[taking->count], refusal);
    if (r) {
        take_refused(taking, event_id(&intake->document), refusal);
        return;
    }
    taking->count++;
    taking->index++;
}

static void refuse_broken(struct taking *taking, const struct refusal *refusal)
{
    char detail[512];

    snprintf(detail, sizeof(detail), "The body isn't JSON: %.*s", (int)refusal->detail.length,
             refusal->detail.at);
    refuse_request(taking, 400, "invalid_json", detail);
}

/* Reads the one event that the text holds. False: the text isn't JSON, and *refusal says why. */
static bool read_whole(struct taking *taking, struct text text, struct refusal *refusal)
{
    struct intake *intake = taking->http->intake;
    struct event event;
    size_t position = 0;
    int r = event_from_json(&intake->document, text, &position, &event, refusal);

    if (r == EVENT_BROKEN)
        return false;
    if (json_skip_space(text, position) != text.length) {
        refuse(refusal, &intake->arena, REFUSAL_INVALID_JSON, text_of(""),
               "something stands behind the event, at byte %zu: send one value", position);
        return false;
    }
    take_event(taking, r, &event, refusal);
    return true;
}

static void take_structured(struct taking *taking)
{
    struct refusal refusal = {.code = REFUSAL_NONE};

    if (taking->request->body.length > INTAKE_SINGLE_BYTES_MAX)
        refuse_request(taking, 413, "body_too_large", "A single event may have 1 MiB: shorten it.");
    else if (!read_whole(taking, taking->request->body, &refusal))
        refuse_broken(taking, &refusal);
}

static void refuse_too_many(struct taking *taking)
{
    refuse_request(taking, 413, "too_many_events",
                   "A batch may hold 1,000 events: send the rest in further requests.");
}

static void refuse_no_array(struct taking *taking)
{
    struct intake *intake = taking->http->intake;
    struct json_place root = {.parent = JSON_NONE};
    struct json_error error;

    json_document_reset(&intake->document);
    if (json_scan_whole(&intake->document, taking->request->body, &root, 1, &error) == JSON_BROKEN)
        refuse_request(taking, 400, "invalid_json",
                       "The body isn't JSON: send an array of events.");
    else
        refuse_request(taking, 400, "not_an_array",
                       "A batch is a JSON array of events: put the event into [ ].");
}

/* Reads the element at elements->position. False when the rest can't be read. */
static bool take_element(struct taking *taking, struct json_elements *elements)
{
    struct intake *intake = taking->http->intake;
    struct refusal refusal = {.code = REFUSAL_NONE};
    struct event event;
    int r =
        event_from_json(&intake->document, elements->text, &elements->position, &event, &refusal);

    if (r == EVENT_BROKEN) {
        refuse_broken(taking, &refusal);
        return false;
    }
    take_event(taking, r, &event, &refusal);
    return true;
}

static void take_batch(struct taking *taking)
{
    struct json_elements elements;
    const char *broken = NULL;

    if (!json_elements_begin(&elements, taking->request->body)) {
        refuse_no_array(taking);
        return;
    }
    while (json_elements_next(&elements, &broken)) {
        if (taking->index == INTAKE_EVENTS_MAX) {
            refuse_too_many(taking);
            return;
        }
        if (!take_element(taking, &elements))
            return;
    }
    if (broken) {
        char detail[256];
        snprintf(detail, sizeof(detail),
                 "The body isn't JSON: %s, at byte %zu; correct it and send all of it again.",
                 broken, elements.position);
        refuse_request(taking, 400, "invalid_json", detail);
    }
}

static bool has_content(struct text line)
{
    return json_skip_space(line, 0) < line.length;
}

static void take_lines(struct taking *taking)
{
    struct text rest = taking->request->body;

    while (rest.length > 0) {
        struct text line = text_cut(&rest, '\n');
        struct refusal refusal = {.code = REFUSAL_NONE};
        if (!has_content(line))
            continue;
        if (taking->index == INTAKE_EVENTS_MAX) {
            refuse_too_many(taking);
            return;
        }
        if (!read_whole(taking, line, &refusal))
            take_refused(taking, text_of(NULL), &refusal);
    }
}

/* --- binary mode --- */

static bool is_attribute_header(const struct http_header *header)
{
    return header->name.length > 3 &&
           text_equal_ignoring_case(text_from(header->name.at, 3), text_of("ce-"));
}

/* The attribute's name: what follows `ce-`, in lower case; absent when the arena is full. */
static struct text attribute_name(struct arena *arena, struct text name)
{
    struct text copy = arena_copy(arena, text_from(name.at + 3, name.length - 3));

    for (size_t i = 0; i < copy.length; i++) {
        char *c = (char *)(uintptr_t)&copy.at[i];
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    }
    return copy;
}

static size_t gather_attributes(struct taking *taking, struct event_attribute *attributes,
                                struct refusal *refusal)
{
    struct arena *arena = &taking->http->intake->arena;
    const struct http_request *request = taking->request;
    size_t count = 0;

    for (size_t i = 0; i < request->header_count && count < EVENT_ATTRIBUTES_MAX; i++) {
        const struct http_header *header = &request->headers[i];
        struct event_attribute *attribute = &attributes[count];
        if (!is_attribute_header(header))
            continue;
        attribute->name = attribute_name(arena, header->name);
        if (text_is_absent(attribute->name) ||
            event_decode_header(attribute->name, header->value, arena, &attribute->value, refusal))
            attribute->value = header->value;
        count++;
    }
    return count;
}

static void take_binary(struct taking *taking)
{
    struct intake *intake = taking->http->intake;
    struct event_attribute attributes[EVENT_ATTRIBUTES_MAX];
    struct refusal refusal = {.code = REFUSAL_NONE};
    struct event_binary binary = {
        .attributes = attributes,
        .content_type = http_header(taking->request, "content-type"),
        .body = taking->request->body,
    };
    struct event event;
    int r;

    if (taking->request->body.length > INTAKE_SINGLE_BYTES_MAX) {
        refuse_request(taking, 413, "body_too_large", "A single event may have 1 MiB: shorten it.");
        return;
    }
    binary.count = gather_attributes(taking, attributes, &refusal);
    r = event_from_binary(&intake->document, &binary, &event, &refusal);
    take_event(taking, r, &event, &refusal);
}

static void take_gateway(struct taking *taking)
{
    struct intake *intake = taking->http->intake;
    struct gateway_event gateway;
    const char *reason = "";
    char detail[256];
    size_t count = 0;

    if (gateway_batch_open(intake->gateway, taking->request->body, &count, &reason)) {
        snprintf(detail, sizeof(detail), "The body isn't a gateway's batch: %s.", reason);
        refuse_request(taking, 400, "invalid_batch", detail);
        return;
    }
    if (count > INTAKE_EVENTS_MAX) {
        refuse_too_many(taking);
        return;
    }
    while (gateway_batch_next(intake->gateway, &gateway)) {
        struct refusal refusal = {.code = REFUSAL_NONE};
        struct event event;
        int r = event_from_gateway(&intake->document, &gateway, &event, &refusal);
        take_event(taking, r, &event, &refusal);
    }
}

static void take_json(struct taking *taking)
{
    struct text body = taking->request->body;
    size_t first = json_skip_space(body, 0);

    if (first < body.length && body.at[first] == '[')
        take_batch(taking);
    else
        take_structured(taking);
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

void intake_http_expire(struct intake_http *http, int64_t now_ms)
{
    struct waiting *waiting = http->oldest;

    while (waiting && waiting->arrived_ms + http->config.answer_ms <= now_ms) {
        struct http_request *request = waiting->request;
        unlink_waiting(http, waiting);
        waiting->request = NULL;
        waiting = http->oldest;
        answer_unavailable(http, request, "not_acknowledged",
                           "Kafka hasn't acknowledged the events in time: send all of them again.");
    }
}

static void send_admitted(struct taking *taking)
{
    struct intake_http *http = taking->http;
    struct waiting *waiting = calloc(1, sizeof(*waiting));

    if (!waiting)
        abort();
    waiting->http = http;
    waiting->request = taking->request;
    waiting->answer = taking->answer;
    waiting->arrived_ms = taking->request->arrived_ms;
    link_waiting(http, waiting);
    delivery_hold(&waiting->waiter, on_settled);
    for (size_t i = 0; i < taking->count; i++)
        delivery_add(http->intake->delivery, &taking->admitted[i], &waiting->waiter);
    delivery_release(&waiting->waiter);
}

/* --- the whole --- */

static void finish(struct taking *taking)
{
    struct metrics *metrics = taking->http->intake->metrics;

    if (taking->is_answered) {
        answer_deinit(&taking->answer);
        return;
    }
    metrics_add(metrics, MEASURE_RECEIVED, INTAKE_HTTP, (int64_t)taking->index);
    for (size_t code = REFUSAL_NONE + 1; code < REFUSAL_COUNT; code++)
        if (taking->codes[code] > 0)
            metrics_add(metrics, MEASURE_REJECTED, code - 1, taking->codes[code]);
    if (taking->http->rate)
        rate_spend(taking->http->rate, taking->key, (int64_t)taking->index);
    taking->answer.accepted = taking->count;
    if (taking->count > 0) {
        send_admitted(taking);
        return;
    }
    answer_events(taking->http, taking->request, &taking->answer);
    answer_deinit(&taking->answer);
}

static void take(struct taking *taking, enum content_mode mode)
{
    switch (mode) {
    case CONTENT_STRUCTURED:
        take_structured(taking);
        break;
    case CONTENT_BATCH:
        take_batch(taking);
        break;
    case CONTENT_LINES:
        take_lines(taking);
        break;
    case CONTENT_BINARY:
        take_binary(taking);
        break;
    case CONTENT_JSON:
        take_json(taking);
        break;
    case CONTENT_GATEWAY:
        take_gateway(taking);
        break;
    }
}

static struct content_signs signs_of(const struct http_request *request)
{
    struct content_signs signs = {.content_type = http_header(request, "content-type")};

    signs.has_specversion = !text_is_absent(http_header(request, "ce-specversion"));
    for (size_t i = 0; i < request->header_count && !signs.has_attributes; i++)
        signs.has_attributes = is_attribute_header(&request->headers[i]);
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
        auth_check(http->intake->admission.catalog, http_bearer(request), instant_now());
    struct http_answer how = {.status = 401,
                              .content_type = "application/problem+json",
                              .headers = "WWW-Authenticate: Bearer\r\n"};

    if (!found) {
        answer_problem_with(http, request, &how, "unauthorized",
                            "Send an ingest key of this bucket: Authorization: Bearer KEY.");
        return false;
    }
    *key = found->id;
    return true;
}

static bool is_within_rate(struct intake_http *http, struct http_request *request, struct text key)
{
    struct http_answer how = {.status = 429, .content_type = "application/problem+json"};
    int64_t wait = http->rate ? rate_wait(http->rate, key, wall_ms()) : 0;
    char seconds[24];

    if (wait == 0)
        return true;
    snprintf(seconds, sizeof(seconds), "%lld", (long long)(wait + 999) / 1000);
    how.retry_after = seconds;
    answer_problem_with(http, request, &how, "rate_exceeded",
                        "The key has sent more events than it may: wait as Retry-After says.");
    return false;
}

static void on_events(struct http_request *request)
{
    struct intake_http *http = request->context;
    struct taking taking = {.http = http, .request = request, .admitted = http->admitted};
    struct content_signs signs = signs_of(request);
    enum content_mode mode;
    const char *remedy;

    if (!is_able(http, request) || !is_allowed(http, request, &taking.key) ||
        !is_within_rate(http, request, taking.key))
        return;
    if (content_mode_http(&signs, &mode, &remedy)) {
        answer_problem(http, request, 415, "unsupported_media_type", remedy);
        return;
    }
    intake_begin(http->intake);
    take(&taking, mode);
    finish(&taking);
}

struct http_route intake_http_route(struct intake_http *http)
{
    return (struct http_route){
        .method = HTTP_POST_METHOD,
        .path = "/v1/events",
        .handle = on_events,
        .body_max = INTAKE_BODY_BYTES_MAX,
        .context = http,
    };
}

void intake_http_init(struct intake_http *http, struct intake *intake,
                      const struct intake_http_config *config)
{
    *http = (struct intake_http){.intake = intake, .config = *config};
    http->admitted = calloc(INTAKE_EVENTS_MAX, sizeof(*http->admitted));
    if (!http->admitted)
        abort();
    if (config->key_rate > 0)
        http->rate = rate_new(config->key_rate);
}

void intake_http_deinit(struct intake_http *http)
{
    http->rate = rate_free(http->rate);
    free(http->admitted);
}
