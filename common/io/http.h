/*
 * http.h - an HTTP/1.1 server on a libuv loop: llhttp in strict mode with the checks of RFC 9112
 * that it leaves out.
 *
 * A handler gets a whole request, its body already decoded (gzip, zstd) and within the route's
 * limit, and answers at once or later, from the loop's thread, exactly once: http_answer. A client
 * that has gone away in the meantime changes nothing for the handler. Pipelined requests are taken
 * one after the other. HEAD is answered by the GET route, without its body.
 *
 * Refusals of the server itself (400, 404, 405, 408, 413, 414, 415, 417, 431, 501, 503, 505) are
 * problem+json; 400 invalid_encoding, 413 body_too_large and 415 unsupported_encoding among them.
 * /healthz, /readyz, /metrics and /version are served by http_serve_operations.
 *
 * Limits     struct http_limits. Body bytes in memory are capped over all connections: beyond that,
 *            503 with Retry-After.
 * Ownership  A request lives until http_answer; its texts do, too, unless http_forget_input.
 * Threads    The loop's own.
 */
#pragma once

#include "common/base/arena.h"

#include <uv.h>

enum http_method {
    HTTP_GET_METHOD,
    HTTP_POST_METHOD,
    HTTP_PUT_METHOD,
    HTTP_DELETE_METHOD,
    HTTP_PATCH_METHOD,
    HTTP_METHOD_COUNT
};

enum { HTTP_PARAMETERS_MAX = 4 };

struct http_header {
    struct text name; /* as sent */
    struct text value;
};

struct http_request {
    enum http_method method;
    struct text path;  /* percent-decoded, without the query */
    struct text query; /* raw, without '?' */
    struct text body;  /* decoded; empty when none */
    const struct http_header *headers;
    size_t header_count;
    int64_t arrived_ms; /* clock when the loop's turn began in which its body was whole */
    /* What {...} of the route's path stood for, percent-decoded. */
    struct text parameters[HTTP_PARAMETERS_MAX];
    struct arena *arena; /* the request's own */
    void *context;       /* the route's */
};

typedef void http_handler(struct http_request *request);

struct http_route {
    enum http_method method;
    const char *path; /* "/v3/metering/{bucket}/meters/{slug}/query"; must outlive the server */
    http_handler *handle;
    size_t body_max; /* bytes, as sent and inflated alike; 0: no body is taken */
    void *context;
};

struct http_limits {
    size_t connections, requests_a_connection;
    size_t request_line, header_bytes, headers;
    size_t known_head;      /* bytes of a head that isn't parsed again when it comes again */
    size_t in_flight_bytes; /* of bodies beyond each connection's first 32 KiB */
    size_t arena_bytes;     /* what one request's arena may hold */
    int64_t header_ms;      /* from a head's first byte to its last */
    int64_t body_ms;        /* what a body may take beyond body_bytes_a_second */
    int64_t body_bytes_a_second;
    int64_t idle_ms; /* between requests, and for a client that doesn't read its answer */
};
extern const struct http_limits http_limits_usual;

struct http_server;
/*
 * Listens on "127.0.0.1:8080", "[::1]:8080" or "localhost:0" (0: any free port). The routes and the
 * limits are copied; NULL limits are the usual ones.
 * Faults: FAULT_REFUSE when the address isn't one; FAULT_RETRY when it is taken.
 */
MUST_USE int http_server_new(uv_loop_t *loop, const char *listen, const struct http_route *routes,
                             size_t route_count, const struct http_limits *limits,
                             struct http_server **server);
const char *http_server_address(const struct http_server *server); /* "127.0.0.1:43211" as bound */
/*
 * Stops accepting, closes idle connections, lets requests under way finish, those that the sockets
 * hold unread among them; then calls `closed`.
 * What has come in part is given 5 s. A request in a handler's hands is waited for.
 */
void http_server_drain(struct http_server *server, void (*closed)(void *context), void *context);
struct http_server *http_server_free(struct http_server *server); /* after `closed`, or NULL */

struct text http_header(const struct http_request *request, const char *name); /* or absent */

/* The value of a query parameter, decoded into the arena ('+' is a space); `nth` counts repeats
 * from 0; absent when there is none or the arena is full. */
struct text http_query(struct http_request *request, const char *name, size_t nth);
size_t http_query_count(const struct http_request *request);
/* The parameter at `index` (below http_query_count), decoded. FAULT_REFUSE when the arena is full.
 */
MUST_USE int http_query_at(struct http_request *request, size_t index, struct text *name,
                           struct text *value);
/* A form that an answer can have: its media type and, unless NULL, which version of it. */
struct http_offer {
    const char *type, *version;
};
/* Which of them the client's Accept likes best by its q, the first named on a tie; 0 when it names
 * none. Wildcards name none: they take the usual, which is the first. */
size_t http_choose(const struct http_request *request, const struct http_offer *offers,
                   size_t count);

/* The clock when this turn of the loop began, as `arrived_ms` is. */
int64_t http_now_ms(const struct http_request *request);

/* Of a request whose answer has to wait: what the client sent isn't needed any more, and its memory
 * is the next request's. Left are `method`, `arrived_ms`, `arena` and `context`. */
void http_forget_input(struct http_request *request);

/* The key of `Authorization: Bearer KEY`; absent when there is none. */
struct text http_bearer(const struct http_request *request);

struct http_answer {
    int status;
    const char *content_type; /* must outlive the server */
    const char *retry_after;  /* seconds, or NULL */
    const char *headers;      /* further "Name: value\r\n" lines, or NULL */
};
/* `body` is written or copied before this returns. */
void http_answer(struct http_request *request, const struct http_answer *answer, struct text body);
void http_answer_json(struct http_request *request, int status, struct text body);
/* RFC 9457: {"type","title","status","code","detail","pointer"?}. `detail`, `pointer` may be NULL.
 */
void http_answer_problem(struct http_request *request, int status, const char *code,
                         const char *detail, const char *pointer);
/* 429 or 503 that says when to come again. */
void http_answer_problem_later(struct http_request *request, int status, const char *code,
                               const char *detail, const char *seconds);

/* What /readyz asks: true, or false with what is missing and the remedy in `reason`. */
typedef bool http_ready(void *context, struct buffer *reason);
struct metrics;
/* Adds the four operations routes. Call before traffic. */
void http_serve_operations(struct http_server *server, http_ready *ready, void *context,
                           const struct metrics *metrics, const char *process);
