/*
 * http_client.h - HTTP requests out, over libcurl: blocking for command lines, on a loop for
 * servers.
 *
 * Threads    http_fetch: any. http_client_*: the loop's own.
 */
#pragma once

#include "common/base/text.h"

#include <uv.h>

struct http_call {
    const char *method, *url;
    const char *bearer;       /* NULL: none */
    const char *content_type; /* NULL: none */
    const char *accept;       /* NULL: none */
    struct text body;
    int64_t timeout_ms;
};

/* Blocking. 0 with the status and body; FAULT_RETRY when no answer came. */
MUST_USE int http_fetch(const struct http_call *call, int *status, struct buffer *body);

struct http_client;
struct http_client *http_client_new(uv_loop_t *loop);
void http_client_close(struct http_client *client, void (*closed)(void *), void *context);
/* `done` runs on the loop; status 0 when no answer came, `body` then says why. The call's texts are
 * copied. */
void http_client_send(struct http_client *client, const struct http_call *call,
                      void (*done)(void *context, int status, struct text body), void *context);
