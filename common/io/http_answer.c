/*
 * http_answer.c - answers: one head, one body, one write.
 */
#include "common/io/http_connection.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static const char *phrase_of(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } known[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (known[i].status == status)
            return known[i].phrase;
    }
    return "Unknown";
}

static const char *date_of(struct http_server *server)
{
    time_t now = http_server_now_ms(server) / 1000;
    struct tm parts;

    if (now != server->date_second) {
        gmtime_r(&now, &parts);
        strftime(server->date, sizeof(server->date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        server->date_second = now;
    }
    return server->date;
}

static void add_line(struct buffer *head, const char *name, const char *value)
{
    buffer_add_string(head, name);
    buffer_add_string(head, value);
    buffer_add(head, "\r\n", 2);
}

static void add_length(struct buffer *head, size_t length)
{
    char digits[24];
    char *at = digits + sizeof(digits);

    *--at = '\0';
    do {
        *--at = (char)('0' + length % 10);
        length /= 10;
    } while (length > 0);
    add_line(head, "Content-Length: ", at);
}

static void build_head(struct http_server *server, const struct http_exchange *exchange,
                       const struct http_answer *answer, size_t length, bool keep_alive)
{
    struct buffer *head = &server->head;
    char status[] = {(char)('0' + answer->status / 100), (char)('0' + answer->status / 10 % 10),
                     (char)('0' + answer->status % 10), ' ', '\0'};

    buffer_clear(head);
    buffer_add(head, "HTTP/1.1 ", 9);
    add_line(head, status, phrase_of(answer->status));
    add_line(head, "Date: ", date_of(server));
    if (answer->content_type)
        add_line(head, "Content-Type: ", answer->content_type);
    if (answer->status != 204 && answer->status != 304)
        add_length(head, length);
    if (answer->retry_after)
        add_line(head, "Retry-After: ", answer->retry_after);
    if (!keep_alive)
        add_line(head, "Connection: ", "close");
    else if (exchange && exchange->head.minor == 0)
        add_line(head, "Connection: ", "keep-alive");
    if (answer->headers)
        buffer_add_string(head, answer->headers);
    buffer_add(head, "\r\n", 2);
}

/* Most answers' heads are the last one's, to the byte: the same status to as long a body within the
 * same second. */
static void take_head(struct http_server *server, const struct http_exchange *exchange,
                      const struct http_answer *answer, size_t length, bool keep_alive)
{
    struct http_kept_head *kept = &server->kept;
    bool is_usual = keep_alive && exchange && exchange->head.minor > 0 && !answer->retry_after &&
                    !answer->headers;

    if (is_usual && kept->length > 0 && kept->status == answer->status &&
        kept->body_length == length && kept->content_type == answer->content_type &&
        kept->second == http_server_now_ms(server) / 1000) {
        server->head.length = kept->length;
        return;
    }
    build_head(server, exchange, answer, length, keep_alive);
    *kept = (struct http_kept_head){.length = is_usual ? server->head.length : 0,
                                    .status = answer->status,
                                    .content_type = answer->content_type,
                                    .body_length = length,
                                    .second = server->date_second};
}

static bool is_try_again(int error)
{
    return error == EAGAIN || error == EINTR || error == ENOBUFS;
}

/* Head and body; send() takes the kernel less than sendmsg(). -1 with errno. */
static ssize_t send_parts(const struct http_connection *connection, struct text head,
                          struct text body)
{
    struct iovec parts[2] = {{(char *)(uintptr_t)head.at, head.length},
                             {(char *)(uintptr_t)body.at, body.length}};
    const struct msghdr both = {.msg_iov = parts, .msg_iovlen = 2};

    if (body.length == 0)
        return send(connection->fd, head.at, head.length, MSG_NOSIGNAL);
    return sendmsg(connection->fd, &both, MSG_NOSIGNAL);
}

/* Of head and body together, `sent` bytes have gone. */
static void keep_rest(struct http_connection *connection, struct text head, struct text body,
                      size_t sent)
{
    size_t of_head = sent < head.length ? sent : head.length;
    size_t of_body = sent - of_head;

    buffer_reserve(&connection->unsent, head.length + body.length - sent);
    buffer_add(&connection->unsent, head.at + of_head, head.length - of_head);
    buffer_add(&connection->unsent, body.at + of_body, body.length - of_body);
}

static void write_parts(struct http_connection *connection, struct text head, struct text body)
{
    ssize_t sent = 0;

    if (connection->closing)
        return;
    if (connection->unsent.length == 0)
        sent = send_parts(connection, head, body);
    if (sent < 0 && !is_try_again(errno))
        http_connection_close(connection);
    else if (sent < (ssize_t)(head.length + body.length))
        keep_rest(connection, head, body, sent > 0 ? (size_t)sent : 0);
}

bool http_connection_send_rest(struct http_connection *connection)
{
    struct buffer *unsent = &connection->unsent;
    ssize_t sent = send(connection->fd, unsent->at + connection->sent,
                        unsent->length - connection->sent, MSG_NOSIGNAL);

    if (sent < 0) {
        if (!is_try_again(errno))
            http_connection_close(connection);
        return false;
    }
    connection->sent += (size_t)sent;
    if (connection->sent < unsent->length)
        return false;
    buffer_deinit(unsent);
    connection->sent = 0;
    return true;
}

void http_connection_write_continue(struct http_connection *connection)
{
    write_parts(connection, text_of("HTTP/1.1 100 Continue\r\n\r\n"), (struct text){0});
}

void http_connection_write(struct http_connection *connection, const struct http_exchange *exchange,
                           const struct http_answer *answer, struct text body, bool keep_alive)
{
    struct http_server *server = connection->server;
    bool bodiless = answer->status == 204 || answer->status == 304;

    assert(answer->status >= 200 && answer->status <= 599);
    assert(!bodiless || body.length == 0);

    server->counts.answers_by_class[answer->status / 100]++;
    take_head(server, exchange, answer, body.length, keep_alive);
    if (exchange && exchange->head_only)
        body = (struct text){0};
    if (body.length <= HTTP_JOINED_BODY_MAX) {
        buffer_add_text(&server->head, body);
        body = (struct text){0};
    }
    write_parts(connection, buffer_text(&server->head), body);
}

static void add_member(struct buffer *json, const char *name, const char *value)
{
    if (!value)
        return;
    buffer_add_string(json, name);
    buffer_add_json_string(json, text_of(value));
}

static struct text build_problem(struct buffer *json, const struct http_refusal *refusal,
                                 const char *pointer)
{
    buffer_clear(json);
    buffer_printf(json, "{\"type\":\"urn:tollway:problem:%s\"", refusal->code);
    add_member(json, ",\"title\":", phrase_of(refusal->status));
    buffer_printf(json, ",\"status\":%d", refusal->status);
    add_member(json, ",\"code\":", refusal->code);
    add_member(json, ",\"detail\":", refusal->detail);
    add_member(json, ",\"pointer\":", pointer);
    buffer_add_char(json, '}');
    return buffer_text(json);
}

void http_connection_write_problem(struct http_connection *connection,
                                   const struct http_exchange *exchange,
                                   const struct http_refusal *refusal, const char *headers,
                                   bool keep_alive)
{
    struct http_answer answer = {refusal->status, "application/problem+json", NULL, headers};
    struct text body = build_problem(&connection->server->problem, refusal, NULL);

    http_connection_write(connection, exchange, &answer, body, keep_alive);
}

void http_answer(struct http_request *request, const struct http_answer *answer, struct text body)
{
    struct http_exchange *exchange = (struct http_exchange *)request;
    struct http_connection *connection = exchange->connection;
    struct http_server *server = connection->server;
    bool keep_alive = exchange->keep_alive && !server->draining &&
                      connection->requests < server->limits.requests_a_connection;

    assert(connection->exchange == exchange);
    assert(connection->stage == HTTP_STAGE_ANSWER);

    http_connection_write(connection, exchange, answer, body, keep_alive);
    http_connection_answered(connection, keep_alive);
}

void http_answer_json(struct http_request *request, int status, struct text body)
{
    struct http_answer answer = {.status = status, .content_type = "application/json"};

    http_answer(request, &answer, body);
}

static void answer_problem(struct http_request *request, const struct http_refusal *refusal,
                           const char *pointer, const char *retry_after)
{
    struct http_exchange *exchange = (struct http_exchange *)request;
    struct http_answer answer = {.status = refusal->status,
                                 .content_type = "application/problem+json",
                                 .retry_after = retry_after,
                                 .headers = refusal->status == 401 ? "WWW-Authenticate: Bearer\r\n"
                                                                   : NULL};

    http_answer(request, &answer,
                build_problem(&exchange->connection->server->problem, refusal, pointer));
}

void http_answer_problem(struct http_request *request, int status, const char *code,
                         const char *detail, const char *pointer)
{
    struct http_refusal refusal = {status, code, detail};

    answer_problem(request, &refusal, pointer, status == 503 || status == 429 ? "1" : NULL);
}

void http_answer_problem_later(struct http_request *request, int status, const char *code,
                               const char *detail, const char *seconds)
{
    struct http_refusal refusal = {status, code, detail};

    answer_problem(request, &refusal, NULL, seconds);
}
