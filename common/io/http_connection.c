/*
 * http_connection.c - one client: its bytes become requests one after the other, its deadlines, its
 * end.
 */
#include "common/io/http_connection.h"
#include "common/io/http_known.h"
#include "common/io/http_route.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNKED_ROOM_LEAST = 4096 };

static const struct http_refusal overloaded = {503, "overloaded",
                                               "too many request bodies are in memory: try again"};
static const struct http_refusal not_found = {404, "not_found", "there is nothing at this path"};
static const struct http_refusal other_method = {405, "method_not_allowed",
                                                 "this path takes the methods in Allow"};
static const struct http_refusal large_body = {413, "body_too_large",
                                               "the body is larger than this route takes"};
static const struct http_refusal slow_head = {408, "request_timeout",
                                              "the request's head took too long"};
static const struct http_refusal slow_body = {408, "request_timeout",
                                              "the request's body came too slowly"};

static void set_stage(struct http_connection *connection, enum http_stage stage)
{
    connection->stage = stage;
    connection->since_ms = uv_now(connection->server->loop);
}

static bool is_sending(const struct http_connection *connection)
{
    return connection->unsent.length > 0;
}

static void give_input(struct http_connection *connection)
{
    http_pool_give(&connection->server->pool, connection->input, connection->room);
    connection->input = NULL;
    connection->length = connection->room = connection->parsed = 0;
}

/* --- the socket --- */

static void settle(struct http_connection *connection);
static void end_sending(struct http_connection *connection);

/* As large as the last request was, so that one like it needs neither a second block nor a copy. */
static void take_input(struct http_connection *connection)
{
    struct http_pool *pool = &connection->server->pool;

    connection->input = http_pool_take(pool, connection->usual, &connection->room);
    if (!connection->input)
        connection->input = http_pool_take(pool, HTTP_BLOCK_BYTES, &connection->room);
}

/* Where the next bytes go; absent when no memory is left for them. */
static struct http_block room_for_input(struct http_connection *connection)
{
    struct http_server *server = connection->server;

    if (connection->stage == HTTP_STAGE_LINGER)
        return (struct http_block){.at = server->scratch, .room = sizeof(server->scratch)};
    if (!connection->input)
        take_input(connection);
    if (!connection->input)
        return (struct http_block){0};
    return (struct http_block){.at = connection->input + connection->length,
                               .room = connection->room - connection->length};
}

static void on_received(struct http_connection *connection, size_t count)
{
    if (count == 0) {
        connection->ended = true;
    } else if (connection->stage != HTTP_STAGE_LINGER) {
        if (connection->stage == HTTP_STAGE_HEAD && connection->length == 0)
            connection->since_ms = uv_now(connection->server->loop);
        connection->length += count;
    }
    http_connection_run(connection);
}

static void receive(struct http_connection *connection)
{
    struct http_block block = room_for_input(connection);
    ssize_t count = block.at ? recv(connection->fd, block.at, block.room, 0) : -1;

    assert(!block.at || block.room > 0); /* else 0 wouldn't be the end */
    if (count >= 0)
        on_received(connection, (size_t)count);
    else if (block.at && (errno == EAGAIN || errno == EINTR))
        settle(connection); /* nothing came: the block goes back */
    else
        http_connection_close(connection);
}

static void send_more(struct http_connection *connection)
{
    if (!http_connection_send_rest(connection))
        return;
    connection->since_ms = uv_now(connection->server->loop); /* what comes next has all its time */
    if (connection->stage == HTTP_STAGE_LINGER)
        end_sending(connection);
    http_connection_run(connection);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct http_connection *connection = (struct http_connection *)poll;

    if (status < 0) {
        http_connection_close(connection);
        return;
    }
    if (events & UV_WRITABLE)
        send_more(connection);
    if ((events & UV_READABLE) && connection->reading && !connection->closing)
        receive(connection);
}

static void watch(struct http_connection *connection)
{
    int events =
        (connection->reading ? UV_READABLE : 0) | (is_sending(connection) ? UV_WRITABLE : 0);

    if (events == connection->watched)
        return;
    connection->watched = events;
    if (events == 0)
        uv_poll_stop(&connection->poll);
    else if (uv_poll_start(&connection->poll, events, on_ready))
        http_connection_close(connection);
}

void http_connection_start(struct http_connection *connection)
{
    set_stage(connection, HTTP_STAGE_HEAD);
    connection->reading = true;
    watch(connection);
}

/* --- a request, from its head to its handler --- */

static enum http_method method_of(const llhttp_t *parser)
{
    switch (parser->method) {
    case HTTP_GET:
    case HTTP_HEAD:
        return HTTP_GET_METHOD;
    case HTTP_POST:
        return HTTP_POST_METHOD;
    case HTTP_PUT:
        return HTTP_PUT_METHOD;
    case HTTP_DELETE:
        return HTTP_DELETE_METHOD;
    case HTTP_PATCH:
        return HTTP_PATCH_METHOD;
    default:
        return HTTP_METHOD_COUNT;
    }
}

static const struct http_refusal *choose_route(struct http_exchange *exchange)
{
    struct http_server *server = exchange->connection->server;
    struct http_request *request = &exchange->request;
    struct text authority, path;
    size_t index;
    int r;

    if (!http_cut_target(exchange->head.target, &authority, &path, &request->query))
        return &not_found;
    request->method = method_of(&exchange->parser);
    r = http_route_find(server->routes, server->route_count, request->method, path,
                        &exchange->arena, request->parameters, &index);
    if (r)
        return r == HTTP_ROUTE_UNKNOWN ? &not_found : &other_method;
    exchange->route = &server->routes[index];
    request->path = http_decode_percent(&exchange->arena, path, false);
    request->context = exchange->route->context;
    request->headers = exchange->headers;
    request->header_count = exchange->head.header_count;
    request->arena = &exchange->arena;
    return NULL;
}

static const struct http_refusal *check_length(const struct http_exchange *exchange)
{
    if (exchange->head.content_length > exchange->route->body_max ||
        (exchange->head.chunked && exchange->route->body_max == 0))
        return &large_body;
    return NULL;
}

/* How large the input has to become now; the room that it has when that is enough. */
static size_t room_wanted(const struct http_connection *connection)
{
    const struct http_exchange *exchange = connection->exchange;
    size_t room = connection->room;
    size_t whole = exchange->head_length + exchange->head.content_length;

    if (exchange->head.chunked)
        return room - connection->length < CHUNKED_ROOM_LEAST ? room * 2 : room;
    if (whole <= HTTP_DIRECT_ROOM_MAX)
        return whole > room ? whole : room;
    if (room < HTTP_DIRECT_ROOM_MAX)
        return HTTP_DIRECT_ROOM_MAX;
    if (connection->length < room || whole <= room)
        return room;
    return whole < room * 2 ? whole : room * 2;
}

/* An announced length is believed up to HTTP_DIRECT_ROOM_MAX; beyond it, memory follows what came.
 */
static const struct http_refusal *make_room(struct http_connection *connection)
{
    struct http_pool *pool = &connection->server->pool;
    size_t wanted = room_wanted(connection);
    char *input;
    size_t room;

    if (wanted == connection->room)
        return NULL;
    input = http_pool_take(pool, wanted, &room);
    if (!input)
        return &overloaded;
    memcpy(input, connection->input, connection->length);
    http_exchange_rebase(connection->exchange, connection->input, connection->length, input);
    http_pool_give(pool, connection->input, connection->room);
    connection->input = input;
    connection->room = room;
    return NULL;
}

/* Keeping a head takes a fifth of what parsing it does: of a client whose heads are all others,
 * with an id of each request, ever fewer are kept. A first one may be the only one. */
static bool is_worth_keeping(const struct http_connection *connection)
{
    return connection->requests > 1 && (connection->unknown & (connection->unknown - 1)) == 0;
}

static const struct http_refusal *understand(struct http_connection *connection, size_t length)
{
    struct http_exchange *exchange = http_exchange_take(connection);
    const struct http_refusal *refusal;

    connection->exchange = exchange;
    connection->requests++;
    connection->unknown++;
    exchange->head_length = length;
    refusal = http_exchange_parse(exchange);
    if (!refusal)
        refusal = choose_route(exchange);
    if (!refusal && is_worth_keeping(connection))
        connection->known = http_known_keep(connection->known, exchange);
    return refusal;
}

static const struct http_refusal *begin_body(struct http_connection *connection)
{
    const struct http_exchange *exchange = connection->exchange;
    const struct http_refusal *refusal = check_length(exchange);

    if (refusal)
        return refusal;
    if (exchange->head.expects_continue && !exchange->complete &&
        connection->length == exchange->head_length)
        http_connection_write_continue(connection);
    set_stage(connection, HTTP_STAGE_BODY);
    return NULL;
}

static bool recall(struct http_connection *connection, struct text bytes)
{
    uint64_t content_length;

    if (http_known_length(connection->known, bytes, &content_length) == 0)
        return false;
    connection->unknown = 0;
    connection->requests++;
    connection->exchange = http_known_recall(connection->known, content_length);
    return true;
}

/* True when there may be more to do. */
static bool read_head(struct http_connection *connection)
{
    struct text bytes = {connection->input, connection->length};
    const struct http_refusal *refusal = NULL;
    size_t length = 0;

    if (bytes.length == 0)
        return false;
    if (!recall(connection, bytes)) {
        if (http_scan_head(&connection->scan, bytes, &connection->server->limits, &length,
                           &refusal) == HTTP_SCAN_MORE)
            return false;
        if (!refusal)
            refusal = understand(connection, length);
    }
    if (!refusal)
        refusal = begin_body(connection);
    if (refusal)
        http_connection_refuse(connection, refusal);
    return true;
}

static const struct http_refusal *decode_body(struct http_exchange *exchange)
{
    struct http_server *server = exchange->connection->server;
    struct http_request *request = &exchange->request;
    const struct http_refusal *refusal = NULL;

    if (exchange->head.coding == HTTP_IDENTITY || exchange->route->body_max == 0)
        return NULL;
    if (http_decode(server->decoder, &server->pool, exchange->head.coding, request->body,
                    exchange->route->body_max, &exchange->inflated, &refusal))
        return refusal;
    request->body = text_from(exchange->inflated.at, exchange->inflated.length);
    return NULL;
}

static bool read_body(struct http_connection *connection)
{
    struct http_exchange *exchange = connection->exchange;
    const struct http_refusal *refusal = http_exchange_feed(exchange);

    if (!refusal && !exchange->complete)
        refusal = make_room(connection);
    if (!refusal && !exchange->complete)
        return false;
    if (!refusal) {
        exchange->request.arrived_ms = http_server_now_ms(connection->server);
        exchange->request.body =
            text_from(connection->input + exchange->head_length, exchange->body_length);
        refusal = decode_body(exchange);
    }
    if (refusal) {
        http_connection_refuse(connection, refusal);
        return true;
    }
    set_stage(connection, HTTP_STAGE_ANSWER);
    connection->server->counts.requests++;
    exchange->route->handle(&exchange->request);
    return true;
}

static bool step(struct http_connection *connection)
{
    if (connection->closing || is_sending(connection))
        return false;
    switch (connection->stage) {
    case HTTP_STAGE_HEAD:
        return read_head(connection);
    case HTTP_STAGE_BODY:
        return read_body(connection);
    case HTTP_STAGE_ANSWER:
    case HTTP_STAGE_LINGER:
        return false;
    }
    return false;
}

static bool is_done(const struct http_connection *connection)
{
    bool idle = connection->stage == HTTP_STAGE_HEAD && connection->length == 0;

    if (is_sending(connection) || connection->stage == HTTP_STAGE_ANSWER)
        return false;
    return connection->close_after_sending || connection->ended ||
           (idle && connection->server->draining);
}

static void settle(struct http_connection *connection)
{
    if (connection->closing)
        return;
    if (is_done(connection)) {
        http_connection_close(connection);
        return;
    }
    if (connection->length == 0)
        give_input(connection);
    connection->reading =
        !connection->ended && (connection->stage == HTTP_STAGE_LINGER || !connection->input ||
                               connection->length < connection->room);
    watch(connection);
}

/* Handlers may answer from within, which comes back here: the loop outside goes on instead. */
void http_connection_run(struct http_connection *connection)
{
    if (connection->running)
        return;
    connection->running = true;
    while (step(connection))
        ;
    connection->running = false;
    settle(connection);
}

/* --- after an answer --- */

/* Says that nothing more comes, once all has been sent. */
static void end_sending(struct http_connection *connection)
{
    if (!is_sending(connection) && shutdown(connection->fd, SHUT_WR))
        connection->close_after_sending = true;
}

/* Closing before all that the client sends is read would reset the connection, and the answer could
 * be lost. */
static void linger(struct http_connection *connection)
{
    give_input(connection);
    set_stage(connection, HTTP_STAGE_LINGER);
    if (connection->ended)
        connection->close_after_sending = true;
    else
        end_sending(connection);
}

/* Once a request, be it with its answer or before. */
static void drop_input(struct http_connection *connection)
{
    size_t left = connection->length - connection->parsed;

    if (connection->parsed == 0)
        return;
    connection->usual =
        connection->parsed < HTTP_DIRECT_ROOM_MAX ? connection->parsed : HTTP_DIRECT_ROOM_MAX;
    if (left > 0)
        memmove(connection->input, connection->input + connection->parsed, left);
    connection->length = left;
    connection->parsed = 0;
    connection->scan = (struct http_scan){0};
}

void http_forget_input(struct http_request *request)
{
    struct http_exchange *exchange = (struct http_exchange *)request;
    struct http_connection *connection = exchange->connection;

    assert(connection->stage == HTTP_STAGE_ANSWER);

    if (!exchange->is_known) /* whose head isn't the input's */
        *request = (struct http_request){.method = request->method,
                                         .arrived_ms = request->arrived_ms,
                                         .arena = request->arena,
                                         .context = request->context};
    request->body = (struct text){0};
    http_exchange_give_inflated(exchange);
    drop_input(connection);
    if (connection->length == 0)
        give_input(connection);
}

void http_connection_answered(struct http_connection *connection, bool keep_alive)
{
    if (connection->exchange)
        http_exchange_give(connection->exchange);
    connection->exchange = NULL;
    if (connection->gone) {
        http_server_forget(connection);
        return;
    }
    if (connection->closing)
        return;
    drop_input(connection);
    if (keep_alive)
        set_stage(connection, HTTP_STAGE_HEAD);
    else
        linger(connection);
    http_connection_run(connection);
}

static const char *headers_of(struct http_connection *connection,
                              const struct http_refusal *refusal, struct buffer *headers)
{
    struct http_server *server = connection->server;
    struct http_exchange *exchange = connection->exchange;
    struct text authority, path, query;

    if (refusal->status == 415)
        return "Accept-Encoding: gzip, zstd\r\n";
    if (refusal->status == 503)
        return "Retry-After: 1\r\n";
    if (refusal->status != 405 ||
        !http_cut_target(exchange->head.target, &authority, &path, &query))
        return NULL;
    buffer_add_string(headers, "Allow: ");
    http_route_methods(server->routes, server->route_count, path, &exchange->arena, headers);
    buffer_add(headers, "\r\n", sizeof("\r\n"));
    return headers->at;
}

void http_connection_refuse(struct http_connection *connection, const struct http_refusal *refusal)
{
    CLEANUP(buffer_deinit) struct buffer headers = {0};
    struct http_exchange *exchange = connection->exchange;
    struct http_server *server = connection->server;
    bool keep_alive = exchange && exchange->complete && exchange->keep_alive && !server->draining &&
                      connection->requests < server->limits.requests_a_connection;

    server->counts.refusals++;
    server->counts.overloads += refusal->status == 503;
    server->counts.timeouts += refusal->status == 408;
    http_connection_write_problem(connection, exchange, refusal,
                                  headers_of(connection, refusal, &headers), keep_alive);
    http_connection_answered(connection, keep_alive);
}

/* --- deadlines and the end --- */

static bool is_past(uint64_t since_ms, int64_t limit_ms, uint64_t now_ms)
{
    return now_ms > since_ms && now_ms - since_ms > (uint64_t)limit_ms;
}

/* Of an answer; the socket alone can hold megabytes of it. */
static size_t untaken(const struct http_connection *connection)
{
    int in_socket = 0;

    (void)ioctl(connection->fd, TIOCOUTQ, &in_socket);
    return connection->unsent.length - connection->sent + (size_t)in_socket;
}

/* A client that takes its answer bit by bit has all the time it needs. */
static void note_progress(struct http_connection *connection, uint64_t now_ms)
{
    size_t queued = untaken(connection);

    if (connection->queued != queued)
        connection->since_ms = now_ms;
    connection->queued = queued;
}

static void check_head(struct http_connection *connection, uint64_t now_ms)
{
    const struct http_limits *limits = &connection->server->limits;
    bool waits = connection->length == 0 || is_sending(connection);
    bool is_new = connection->requests == 0 && !is_sending(connection);

    if (!is_past(connection->since_ms, waits && !is_new ? limits->idle_ms : limits->header_ms,
                 now_ms))
        return;
    if (waits)
        http_connection_close(connection);
    else
        http_connection_refuse(connection, &slow_head);
}

static void check_body(struct http_connection *connection, uint64_t now_ms)
{
    const struct http_limits *limits = &connection->server->limits;
    int64_t earned_ms =
        (int64_t)connection->exchange->body_length * 1000 / limits->body_bytes_a_second;

    if (is_past(connection->since_ms, limits->body_ms + earned_ms, now_ms))
        http_connection_refuse(connection, &slow_body);
}

static void check_linger(struct http_connection *connection, uint64_t now_ms)
{
    int64_t limit_ms = is_sending(connection) ? connection->server->limits.idle_ms : HTTP_LINGER_MS;

    if (is_past(connection->since_ms, limit_ms, now_ms))
        http_connection_close(connection);
}

void http_connection_check(struct http_connection *connection, uint64_t now_ms)
{
    struct http_server *server = connection->server;
    bool unfinished = connection->stage == HTTP_STAGE_HEAD || connection->stage == HTTP_STAGE_BODY;

    if (connection->closing)
        return;
    if (is_sending(connection))
        note_progress(connection, now_ms);
    if (server->draining && unfinished && !is_sending(connection) &&
        is_past(server->drain_ms, HTTP_DRAIN_MS, now_ms))
        http_connection_close(connection);
    else if (connection->stage == HTTP_STAGE_HEAD)
        check_head(connection, now_ms);
    else if (connection->stage == HTTP_STAGE_BODY)
        check_body(connection, now_ms);
    else if (connection->stage == HTTP_STAGE_LINGER)
        check_linger(connection, now_ms);
}

/* What the socket holds came before the end: closing now would reset the connection. */
static bool has_unread(const struct http_connection *connection)
{
    char byte;

    return connection->reading && recv(connection->fd, &byte, 1, MSG_PEEK) > 0;
}

void http_connection_drain(struct http_connection *connection)
{
    if (!connection->closing && !connection->running && !has_unread(connection))
        settle(connection);
}

static void on_closed(uv_handle_t *handle)
{
    struct http_connection *connection = (struct http_connection *)handle;

    connection->gone = true;
    if (connection->stage == HTTP_STAGE_ANSWER && connection->exchange)
        return; /* http_answer will come back for it */
    if (connection->exchange)
        http_exchange_give(connection->exchange);
    connection->exchange = NULL;
    http_server_forget(connection);
}

void http_connection_close(struct http_connection *connection)
{
    if (connection->closing)
        return;
    connection->closing = true;
    uv_close((uv_handle_t *)&connection->poll, on_closed);
    close(connection->fd);
}
