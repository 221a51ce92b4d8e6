/*
 * http_fixture.c - a server and a raw client, stepped by the test.
 */
#include "tests/unit/io/http_fixture.h"

#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGE_ANSWER_BYTES = 8 * 1024 * 1024, LATER_MS = 20, STEPS = 3 };

static void hello(struct http_request *request)
{
    struct fixture *fixture = request->context;

    fixture->handled++;
    http_answer_json(request, 200, text_of("{\"hello\":\"world\"}"));
}

static void echo(struct http_request *request)
{
    static const struct http_answer answer = {.status = 200, .content_type = "text/plain"};
    struct fixture *fixture = request->context;

    fixture->handled++;
    fixture->arrived_ms = request->arrived_ms;
    http_answer(request, &answer, request->body);
}

static void tell_text(struct buffer *out, struct text text)
{
    buffer_add_char(out, '|');
    buffer_add_text(out, text);
}

static void tell(struct http_request *request)
{
    static const struct http_answer answer = {.status = 200, .content_type = "text/plain"};
    struct fixture *fixture = request->context;
    CLEANUP(buffer_deinit) struct buffer out = {0};

    fixture->handled++;
    buffer_add_int(&out, (int64_t)request->method);
    tell_text(&out, request->path);
    tell_text(&out, request->query);
    tell_text(&out, request->parameters[0]);
    for (size_t i = 0; i < request->header_count; i++) {
        tell_text(&out, request->headers[i].name);
        tell_text(&out, request->headers[i].value);
    }
    tell_text(&out, request->body);
    http_answer(request, &answer, buffer_text(&out));
}

static void part(struct http_request *request)
{
    struct fixture *fixture = request->context;
    CLEANUP(buffer_deinit) struct buffer out = {0};
    struct http_answer answer = {.status = 200, .content_type = "text/plain"};

    fixture->handled++;
    buffer_add_text(&out, request->parameters[0]);
    buffer_add_char(&out, '|');
    buffer_add_text(&out, request->parameters[1]);
    for (size_t i = 0; i < http_query_count(request); i++) {
        struct text name, value;

        cr_assert_eq(http_query_at(request, i, &name, &value), 0);
        buffer_printf(&out, "|%.*s=%.*s", (int)name.length, name.at, (int)value.length, value.at);
    }
    http_answer(request, &answer, buffer_text(&out));
}

static void free_timer(uv_handle_t *handle)
{
    free(handle);
}

static void on_later(uv_timer_t *timer)
{
    struct http_request *request = timer->data;

    uv_close((uv_handle_t *)timer, free_timer);
    http_answer_json(request, 202, request->body);
}

static void later(struct http_request *request)
{
    struct fixture *fixture = request->context;
    uv_timer_t *timer = calloc(1, sizeof(*timer));

    fixture->handled++;
    uv_timer_init(&fixture->loop, timer);
    timer->data = request;
    uv_timer_start(timer, on_later, LATER_MS, 0);
}

/* A request whose input has gone when it is answered. */
struct forgotten {
    uv_timer_t timer; /* first */
    struct http_request *request;
    struct buffer body;
};

static void on_forgotten(uv_timer_t *timer)
{
    struct forgotten *forgotten = (struct forgotten *)timer;

    http_answer_json(forgotten->request, 202, buffer_text(&forgotten->body));
    buffer_deinit(&forgotten->body);
    uv_close((uv_handle_t *)timer, free_timer);
}

static void forget(struct http_request *request)
{
    struct fixture *fixture = request->context;
    struct forgotten *forgotten = calloc(1, sizeof(*forgotten));

    fixture->handled++;
    buffer_add_text(&forgotten->body, http_header(request, "id"));
    buffer_add_text(&forgotten->body, request->body);
    forgotten->request = request;
    http_forget_input(request);
    cr_assert_eq(request->body.length, 0);
    uv_timer_init(&fixture->loop, &forgotten->timer);
    uv_timer_start(&forgotten->timer, on_forgotten, LATER_MS, 0);
}

static void large(struct http_request *request)
{
    static const struct http_answer answer = {.status = 200, .content_type = "text/plain"};
    char *bytes = malloc(LARGE_ANSWER_BYTES);

    memset(bytes, 'x', LARGE_ANSWER_BYTES);
    http_answer(request, &answer, text_from(bytes, LARGE_ANSWER_BYTES));
    free(bytes);
}

static void headers(struct http_request *request)
{
    CLEANUP(buffer_deinit) struct buffer lines = {0};
    struct http_answer answer = {.status = 200, .content_type = "text/plain"};
    struct text many = http_query(request, "many", 0);

    for (size_t i = 0; i < many.length; i++)
        buffer_printf(&lines, "Header-%zu: %01000zu\r\n", i, i);
    buffer_add_char(&lines, '\0');
    answer.headers = lines.at;
    http_answer(request, &answer, text_of("ok"));
}

void fixture_start(struct fixture *fixture, const struct http_limits *limits)
{
    const struct http_route routes[] = {
        {HTTP_GET_METHOD, "/hello", hello, 0, fixture},
        {HTTP_POST_METHOD, "/echo", echo, FIXTURE_ECHO_MAX, fixture},
        {HTTP_POST_METHOD, "/echo/large", echo, FIXTURE_LARGE_MAX, fixture},
        {HTTP_POST_METHOD, "/tell/{what}", tell, FIXTURE_ECHO_MAX, fixture},
        {HTTP_GET_METHOD, "/items/{item}/parts/{part}", part, 0, fixture},
        {HTTP_POST_METHOD, "/later", later, FIXTURE_ECHO_MAX, fixture},
        {HTTP_POST_METHOD, "/forget", forget, FIXTURE_ECHO_MAX, fixture},
        {HTTP_GET_METHOD, "/large", large, 0, fixture},
        {HTTP_GET_METHOD, "/headers", headers, 0, fixture},
    };
    int r;

    *fixture = (struct fixture){0};
    uv_loop_init(&fixture->loop);
    r = http_server_new(&fixture->loop, "127.0.0.1:0", routes, ARRAY_LEN(routes), limits,
                        &fixture->server);
    cr_assert_eq(r, 0);
    fixture->port = atoi(strrchr(http_server_address(fixture->server), ':') + 1);
}

static void on_closed(void *context)
{
    struct fixture *fixture = context;

    fixture->closed = true;
}

void fixture_stop(struct fixture *fixture)
{
    http_server_drain(fixture->server, on_closed, fixture);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    cr_assert(fixture->closed);
    http_server_free(fixture->server);
    cr_assert_eq(uv_loop_close(&fixture->loop), 0, "a handle was left open");
}

int fixture_connect(struct fixture *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fixture->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void fixture_step(struct fixture *fixture)
{
    for (int i = 0; i < STEPS; i++)
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
}

bool fixture_receive(struct fixture *fixture, int fd, struct buffer *answer)
{
    char bytes[65536];
    ssize_t count;

    fixture_step(fixture);
    while ((count = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        buffer_add(answer, bytes, (size_t)count);
        fixture_step(fixture);
    }
    return count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

void fixture_send(struct fixture *fixture, int fd, struct text bytes, size_t step)
{
    int idle = 0;

    while (bytes.length > 0 && idle < 1000) {
        size_t wanted = step < bytes.length ? step : bytes.length;
        ssize_t sent = send(fd, bytes.at, wanted, MSG_DONTWAIT | MSG_NOSIGNAL);

        fixture_step(fixture);
        if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
            return; /* refused before all was sent */
        idle = sent > 0 ? 0 : idle + 1;
        if (sent > 0)
            bytes = text_from(bytes.at + sent, bytes.length - (size_t)sent);
    }
}

bool fixture_wait_closed(struct fixture *fixture, int fd, struct buffer *answer, int ms)
{
    for (int i = 0; i < ms; i++) {
        if (fixture_receive(fixture, fd, answer))
            return true;
        usleep(1000);
    }
    return false;
}

bool fixture_wait_for(struct fixture *fixture, int fd, struct buffer *answer, const char *wanted,
                      int ms)
{
    for (int i = 0; i < ms; i++) {
        fixture_receive(fixture, fd, answer);
        if (contains(answer, wanted))
            return true;
        usleep(1000);
    }
    return false;
}

static void drop_dates(struct buffer *answer)
{
    char *at;

    buffer_add_char(answer, '\0');
    while ((at = strstr(answer->at, "\r\nDate: "))) {
        char *end = strstr(at + 2, "\r\n");

        memmove(at, end, (size_t)(answer->at + answer->length - end));
        answer->length -= (size_t)(end - at);
    }
    answer->length--;
}

struct buffer fixture_talk(struct fixture *fixture, struct text bytes, size_t step)
{
    struct buffer answer = {0};
    int fd = fixture_connect(fixture);

    fixture_send(fixture, fd, bytes, step);
    shutdown(fd, SHUT_WR);
    cr_assert(fixture_wait_closed(fixture, fd, &answer, 5000), "the server didn't close");
    close(fd);
    drop_dates(&answer);
    return answer;
}

struct buffer fixture_say(struct fixture *fixture, const char *bytes)
{
    return fixture_talk(fixture, text_of(bytes), strlen(bytes));
}

bool contains(const struct buffer *answer, const char *wanted)
{
    return answer->length && memmem(answer->at, answer->length, wanted, strlen(wanted));
}

size_t count_of(const struct buffer *answer, const char *wanted)
{
    const char *at = answer->at;
    const char *end = answer->at + answer->length;
    size_t count = 0;

    while (at && (at = memmem(at, (size_t)(end - at), wanted, strlen(wanted)))) {
        at++;
        count++;
    }
    return count;
}
