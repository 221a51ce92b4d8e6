/*
 * fuzz_http.c - the HTTP server on any bytes, over a socket pair: at once, in pieces as long as the
 * last byte says, and to a server that knows no head again. All get the same answers, every answer
 * is whole, and the connection ends.
 */
#include "common/base/text.h"
#include "common/io/http_connection.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_MAX = 64 * 1024, IDLE_STEPS_MAX = 1000 };

static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";

/* Answers with copies of the headers and the body. */
static void echo(struct http_request *request)
{
    static const struct http_answer answer = {.status = 200, .content_type = "text/plain"};
    CLEANUP(buffer_deinit) struct buffer body = {0};
    struct text name, value;

    for (size_t i = 0; i < http_query_count(request); i++)
        assert(http_query_at(request, i, &name, &value) == 0);
    (void)http_bearer(request);
    for (size_t i = 0; i < request->header_count; i++) {
        buffer_add_text(&body, request->headers[i].name);
        buffer_add_text(&body, request->headers[i].value);
    }
    buffer_add_text(&body, request->body);
    http_forget_input(request);
    http_answer(request, &answer, buffer_text(&body));
}

static struct http_server *start(uv_loop_t *loop, size_t known_head)
{
    static const struct http_route routes[] = {
        {HTTP_GET_METHOD, "/", echo, 0, NULL},
        {HTTP_POST_METHOD, "/", echo, BODY_MAX, NULL},
        {HTTP_GET_METHOD, "/a/{b}/c/{d}", echo, 0, NULL},
    };
    struct http_limits limits = http_limits_usual;
    struct http_server *server = NULL;

    limits.in_flight_bytes = (size_t)16 * 1024 * 1024;
    limits.known_head = known_head;
    if (http_server_new(loop, "127.0.0.1:0", routes, ARRAY_LEN(routes), &limits, &server))
        abort();
    return server;
}

/* True at the end of the server's answers. */
static bool receive(int fd, struct buffer *answers)
{
    char bytes[16384];
    ssize_t count;

    while ((count = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        buffer_add(answers, bytes, (size_t)count);
    return count == 0;
}

static void remove_all(struct buffer *answers, const char *first, const char *last)
{
    char *at;
    char *end;

    while ((at = memmem(answers->at, answers->length, first, strlen(first)))) {
        size_t left = (size_t)(answers->at + answers->length - at) - strlen(first);

        end = memmem(at + strlen(first), left, last, strlen(last));
        end = end ? end + strlen(last) : answers->at + answers->length;
        memmove(at, end, (size_t)(answers->at + answers->length - end));
        answers->length -= (size_t)(end - at);
    }
}

static struct buffer talk(uv_loop_t *loop, struct http_server *server, struct text bytes,
                          size_t step)
{
    struct buffer answers = {0};
    bool ended = false;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) || http_server_adopt(server, fds[1]))
        abort();
    while (bytes.length > 0 && !ended) {
        size_t wanted = step < bytes.length ? step : bytes.length;
        ssize_t sent = send(fds[0], bytes.at, wanted, MSG_DONTWAIT | MSG_NOSIGNAL);

        uv_run(loop, UV_RUN_NOWAIT);
        ended = receive(fds[0], &answers);
        if (sent > 0)
            bytes = text_from(bytes.at + sent, bytes.length - (size_t)sent);
    }
    shutdown(fds[0], SHUT_WR);
    for (int i = 0; !ended; i++) {
        assert(i < IDLE_STEPS_MAX);
        uv_run(loop, UV_RUN_NOWAIT);
        ended = receive(fds[0], &answers);
    }
    close(fds[0]);
    uv_run(loop, UV_RUN_NOWAIT);
    buffer_reserve(&answers, 1);
    remove_all(&answers, interim, "");
    remove_all(&answers, "\r\nDate: ", "GMT");
    return answers;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static uv_loop_t loop;
    static struct http_server *server, *forgetful;
    struct text whole = text_from(bytes, length);
    size_t step = length > 0 ? bytes[length - 1] % 64 + 1 : 1;
    struct buffer at_once, split, parsed;

    if (!server) {
        uv_loop_init(&loop);
        server = start(&loop, http_limits_usual.known_head);
        forgetful = start(&loop, 0);
    }
    at_once = talk(&loop, server, whole, length + 1);
    split = talk(&loop, server, whole, step);
    parsed = talk(&loop, forgetful, whole, length + 1);
    assert(text_equal(buffer_text(&at_once), buffer_text(&split)));
    assert(text_equal(buffer_text(&at_once), buffer_text(&parsed)));
    assert(at_once.length == 0 || memcmp(at_once.at, "HTTP/1.1 ", 9) == 0);
    assert(server->connection_count == 0 && server->pool.in_flight == 0);
    buffer_deinit(&at_once);
    buffer_deinit(&split);
    buffer_deinit(&parsed);
    return 0;
}
