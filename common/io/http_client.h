/*
 * http_client.h - HTTP requests out, over libcurl: blocking for command lines, on a loop for
 * servers.
 *
 * http and https alone, certificates verified, no redirects; an answer's body is at most
 * HTTP_CLIENT_BODY_MAX bytes, its headers HTTP_CLIENT_HEADERS_MAX. Connections are reused.
 *
 * Errors     No answer (refused, timed out, too large, cut) is FAULT_RETRY or status 0, with why.
 * Ownership  The call's texts are borrowed until the function returns.
 * Threads    http_fetch: any. http_client_*: the loop's own.
 */
#pragma once

#include "common/base/text.h"

#include <uv.h>

enum { HTTP_CLIENT_BODY_MAX = 64 * 1024 * 1024, HTTP_CLIENT_HEADERS_MAX = 64 * 1024 };

struct http_call_header {
    const char *name, *value; /* value NULL: left out */
};

struct http_call {
    const char *method, *url;
    const char *bearer;                     /* NULL: none */
    const char *content_type;               /* NULL: none */
    const char *accept;                     /* NULL: none */
    const struct http_call_header *headers; /* more of them */
    size_t header_count;
    struct text body;
    int64_t timeout_ms; /* of the whole call */
};

/* Blocking. 0 with the status, and the body added to `body`; FAULT_RETRY when no answer came. */
MUST_USE int http_fetch(const struct http_call *call, int *status, struct buffer *body);

struct http_client;
struct http_client *http_client_new(uv_loop_t *loop);
/* Gives up what is under way (each `done` runs with status 0), then calls `closed` from the loop
 * and frees the client. */
void http_client_close(struct http_client *client, void (*closed)(void *), void *context);
struct http_easy;
struct http_reply {
    int status;       /* 0: no answer came */
    struct text body; /* why, when none came */
    struct http_easy *easy;
};
/* A header of the answer, the first of that name; absent: there is none. */
struct text http_reply_header(const struct http_reply *reply, const char *name);
/* `done` runs once on the loop, never from within this call; the reply lives until it returns. */
void http_client_send(struct http_client *client, const struct http_call *call,
                      void (*done)(void *context, const struct http_reply *reply), void *context);
