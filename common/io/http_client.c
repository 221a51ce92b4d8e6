/*
 * http_client.c - libcurl's multi interface, driven by a libuv loop.
 *
 * libcurl says which sockets it waits for and when it next wants to be called; each socket is a
 * uv_poll_t, which dies in its close callback, and the rest is one timer.
 */
#include "common/io/http_client.h"
#include "common/io/http_easy.h"

#include <assert.h>
#include <stdlib.h>

enum { CONNECTIONS_KEPT_MAX = 64 };

struct client_call {
    struct http_easy easy;
    void (*done)(void *context, const struct http_reply *reply);
    void *context;
    struct client_call *next, *previous;
};

struct http_client {
    uv_loop_t *loop;
    uv_timer_t timer;
    CURLM *multi;
    struct client_call *calls;
    size_t open_handles; /* the timer and each socket's */
    void (*closed)(void *context);
    void *context;
};

struct client_socket {
    uv_poll_t poll; /* first */
    struct http_client *client;
    curl_socket_t fd;
};

static void unlink_call(struct http_client *client, struct client_call *call)
{
    if (call->previous)
        call->previous->next = call->next;
    else
        client->calls = call->next;
    if (call->next)
        call->next->previous = call->previous;
}

static void finish_call(struct http_client *client, struct client_call *call, CURLcode rc)
{
    int status = http_easy_status(&call->easy, rc);
    struct http_reply reply = {
        .status = status,
        .body = status ? buffer_text(&call->easy.body) : text_of(call->easy.error),
        .easy = &call->easy,
    };

    curl_multi_remove_handle(client->multi, call->easy.curl);
    unlink_call(client, call);
    call->done(call->context, &reply);
    http_easy_deinit(&call->easy);
    free(call);
}

struct text http_reply_header(const struct http_reply *reply, const char *name)
{
    struct curl_header *header;

    if (!reply->status ||
        curl_easy_header(reply->easy->curl, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return text_of(NULL);
    return text_of(header->value);
}

static void take_finished(struct http_client *client)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(client->multi, &left))) {
        char *call = NULL;
        CURLcode rc = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        finish_call(client, (struct client_call *)(void *)call, rc);
    }
}

static void on_readiness(uv_poll_t *poll, int status, int events)
{
    struct client_socket *socket = (struct client_socket *)poll;
    struct http_client *client = socket->client;
    int mask = status < 0 ? CURL_CSELECT_ERR : 0;
    int running;

    mask |= (events & UV_READABLE) ? CURL_CSELECT_IN : 0;
    mask |= (events & UV_WRITABLE) ? CURL_CSELECT_OUT : 0;
    curl_multi_socket_action(client->multi, socket->fd, mask, &running);
    take_finished(client);
}

static void on_timer(uv_timer_t *timer)
{
    struct http_client *client = timer->data;
    int running;

    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    take_finished(client);
}

static int on_timeout_wanted(CURLM *multi, long timeout_ms, void *context)
{
    struct http_client *client = context;

    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&client->timer);
    else
        uv_timer_start(&client->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static void forget_handle(struct http_client *client)
{
    if (--client->open_handles > 0)
        return;
    client->closed(client->context);
    free(client);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct client_socket *socket = (struct client_socket *)handle;
    struct http_client *client = socket->client;

    free(socket);
    forget_handle(client);
}

static struct client_socket *add_socket(struct http_client *client, curl_socket_t fd)
{
    struct client_socket *socket = calloc(1, sizeof(*socket));

    if (!socket || uv_poll_init_socket(client->loop, &socket->poll, fd))
        abort();
    socket->client = client;
    socket->fd = fd;
    client->open_handles++;
    curl_multi_assign(client->multi, fd, socket);
    return socket;
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    struct http_client *client = context;
    struct client_socket *socket = known;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        curl_multi_assign(client->multi, fd, NULL);
        if (socket)
            uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
        return 0;
    }
    if (!socket)
        socket = add_socket(client, fd);
    events |= (what & CURL_POLL_IN) ? UV_READABLE : 0;
    events |= (what & CURL_POLL_OUT) ? UV_WRITABLE : 0;
    uv_poll_start(&socket->poll, events, on_readiness);
    return 0;
}

struct http_client *http_client_new(uv_loop_t *loop)
{
    struct http_client *client = calloc(1, sizeof(*client));

    if (!client)
        abort();
    client->loop = loop;
    client->multi = curl_multi_init();
    if (!client->multi || uv_timer_init(loop, &client->timer))
        abort();
    client->timer.data = client;
    client->open_handles = 1;
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT_MAX);
    return client;
}

void http_client_send(struct http_client *client, const struct http_call *call,
                      void (*done)(void *context, const struct http_reply *reply), void *context)
{
    struct client_call *made = calloc(1, sizeof(*made));

    assert(call->timeout_ms > 0);
    assert(!client->closed);

    if (!made)
        abort();
    http_easy_init(&made->easy, call);
    made->done = done;
    made->context = context;
    made->next = client->calls;
    if (client->calls)
        client->calls->previous = made;
    client->calls = made;
    curl_easy_setopt(made->easy.curl, CURLOPT_PRIVATE, made);
    if (curl_multi_add_handle(client->multi, made->easy.curl))
        abort();
}

static void on_timer_closed(uv_handle_t *handle)
{
    forget_handle(handle->data);
}

void http_client_close(struct http_client *client, void (*closed)(void *), void *context)
{
    client->closed = closed;
    client->context = context;
    while (client->calls)
        finish_call(client, client->calls, CURLE_ABORTED_BY_CALLBACK);
    curl_multi_cleanup(client->multi); /* takes its sockets back, one callback each */
    uv_close((uv_handle_t *)&client->timer, on_timer_closed);
}
