/*
 * http_connection.h - the inside of the HTTP server, shared by its own files alone.
 *
 * A connection is a socket that the loop watches. recv() and send() are its own: read() and
 * write(), which libuv's streams call, take the kernel 90 and 100 ns more. It reads into one block
 * of the pool. Its stage says what the bytes are for: a head, a body, what comes behind a request
 * that a handler holds, or nothing (lingering, so that a client that still sends can read its
 * refusal). An exchange is one request with its answer; it exists from the end of the head to the
 * answer.
 *
 * Ownership  The server owns all connections and spare exchanges. A connection dies in its close
 *            callback, or with the answer that a handler still owes.
 * Threads    The loop's.
 */
#pragma once

#include "common/io/http.h"
#include "common/io/http_body.h"
#include "common/io/http_check.h"
#include "common/io/http_pool.h"

#include <llhttp.h>

enum {
    HTTP_OPERATIONS_ROUTES = 4,
    HTTP_DRAIN_MS = 5000,           /* for what has come in part when the server drains */
    HTTP_LINGER_MS = 2000,          /* for a refused client to take its answer */
    HTTP_TURNED_AWAY_MAX = 256,     /* connections past the limit that linger */
    HTTP_CHUNK_EXTENSION_MAX = 256, /* bytes in all */
    HTTP_ARENA_KEPT_MAX = 256 * 1024,
    HTTP_SPARE_EXCHANGES_MAX = 1024,
    HTTP_DIRECT_ROOM_MAX = 256 * 1024, /* taken at once for a body that announces its length */
    HTTP_JOINED_BODY_MAX = 1024,       /* an answer's, copied behind its head to be one buffer */
};

enum http_stage { HTTP_STAGE_HEAD, HTTP_STAGE_BODY, HTTP_STAGE_ANSWER, HTTP_STAGE_LINGER };

struct http_exchange {
    struct http_request request; /* first: http_answer gets it back from the handler */
    struct http_connection *connection;
    struct http_exchange *next; /* among the spare ones */
    struct arena arena;
    llhttp_t parser;
    struct http_head head;
    const struct http_route *route;
    const struct http_refusal *refusal; /* found inside a callback of llhttp */
    struct http_refusal malformed;      /* room for one of llhttp's own */
    struct http_block inflated;
    size_t head_length;
    size_t body_length;          /* behind the head, chunk framing taken out */
    size_t trailers, extensions; /* bytes of them, among the chunks */
    bool headers_complete, complete, keep_alive, head_only;
    bool is_known; /* a known head's own: it isn't among the spare ones */
    struct http_header headers[];
};

struct http_connection {
    uv_poll_t poll; /* first */
    int fd;
    int watched; /* enum uv_poll_event: what `poll` waits for */
    struct http_server *server;
    struct http_connection *next, *previous;
    enum http_stage stage;
    struct http_scan scan;
    char *input;
    size_t length, room, parsed; /* of input; `parsed` has been given to llhttp */
    size_t usual;                /* bytes of the last request */
    struct http_exchange *exchange;
    struct http_known *known; /* the last head, once there were two; or NULL */
    size_t unknown;           /* heads since one was known */
    size_t requests;
    struct buffer unsent; /* what the socket didn't take at once; of it `sent` are sent meanwhile */
    size_t sent;
    size_t queued;     /* bytes that the client hadn't taken when last looked at */
    uint64_t since_ms; /* loop time at which the stage began, or its first byte came */
    bool running, reading, ended, closing, gone, close_after_sending;
    bool turned_away; /* past the limit of connections */
};

/* For /metrics; the loop's thread alone writes. */
struct http_counts {
    uint64_t connections_total, requests, answers_by_class[6], refusals, timeouts, overloads;
};

/* What the head in `head` of the server is for, beside HTTP/1.1 and a connection that goes on. */
struct http_kept_head {
    size_t length; /* 0: it is none to keep */
    int status;
    const char *content_type;
    size_t body_length;
    int64_t second;
};

struct http_server {
    uv_loop_t *loop;
    uv_poll_t listener;
    int fd; /* the listener's, or -1 */
    uv_timer_t timer;
    struct http_limits limits;
    struct http_route *routes;
    size_t route_count;
    struct http_connection *connections;
    size_t connection_count, turned_away; /* all of them; those past the limit that linger */
    struct http_exchange *spare;
    size_t spare_count;
    struct http_pool pool;
    struct http_decoder *decoder;
    struct buffer head, problem; /* of the answer being written */
    struct http_kept_head kept;
    int64_t clock_ms; /* read at the loop's clock_turn_ms; 0: not yet */
    uint64_t clock_turn_ms;
    int64_t date_second;
    char date[40];
    char address[64];
    char scratch[4096]; /* where lingering bytes go */
    struct http_counts counts;
    struct http_operations *operations;
    bool draining;
    int open_handles; /* listener and timer */
    uint64_t drain_ms;
    void (*closed)(void *context);
    void *closed_context;
};

/* --- http_server.c --- */
/* Serves a connected stream socket as if it had been accepted; takes it unless it faults. */
MUST_USE int http_server_adopt(struct http_server *server, int fd);
int64_t http_server_now_ms(struct http_server *server);      /* the clock, as http_now_ms says */
void http_server_forget(struct http_connection *connection); /* unlinks and frees it */
MUST_USE struct http_exchange *http_exchange_take(struct http_connection *connection);
void http_exchange_give(struct http_exchange *exchange);
void http_exchange_give_inflated(struct http_exchange *exchange); /* its body's block, if any */

/* --- http_connection.c --- */
void http_connection_start(struct http_connection *connection);
void http_connection_run(struct http_connection *connection); /* as far as its bytes go */
void http_connection_check(struct http_connection *connection, uint64_t now_ms); /* deadlines */
void http_connection_drain(struct http_connection *connection);
void http_connection_close(struct http_connection *connection);
void http_connection_answered(struct http_connection *connection, bool keep_alive);
/* Answers what has no request yet, or one that can't be taken. The connection goes on when the
 * whole request has been read; else it lingers and closes. */
void http_connection_refuse(struct http_connection *connection, const struct http_refusal *refusal);

/* --- http_exchange.c: one request's bytes through llhttp --- */
/* Parses the whole head at the input's begin; NULL, or the refusal. */
MUST_USE const struct http_refusal *http_exchange_parse(struct http_exchange *exchange);
/* Gives llhttp what has come of the body; NULL with `complete` set once it is whole. */
MUST_USE const struct http_refusal *http_exchange_feed(struct http_exchange *exchange);
/* Moves every text of the request that lies in the old input to the new one. */
void http_exchange_rebase(struct http_exchange *exchange, const char *old, size_t length,
                          const char *input);

/* --- http_answer.c --- */
/* One write: head and body. `exchange` may be NULL, for a head that couldn't be read. */
void http_connection_write(struct http_connection *connection, const struct http_exchange *exchange,
                           const struct http_answer *answer, struct text body, bool keep_alive);
void http_connection_write_problem(struct http_connection *connection,
                                   const struct http_exchange *exchange,
                                   const struct http_refusal *refusal, const char *headers,
                                   bool keep_alive);
void http_connection_write_continue(struct http_connection *connection);
/* Sends more of what is unsent; true once nothing is. */
bool http_connection_send_rest(struct http_connection *connection);
