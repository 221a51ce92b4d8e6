/*
 * http_server.c - listening, accepting, the connections' deadlines, draining.
 */
#include "common/io/http_connection.h"
#include "common/io/http_known.h"

#include "common/base/fault.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 511, TICK_MS_MAX = 1000, TICKS_A_LIMIT = 8 };

const struct http_limits http_limits_usual = {
    .connections = 10000,
    .requests_a_connection = 1000,
    .request_line = 2048,
    .header_bytes = 16 * 1024,
    .headers = 64,
    .known_head = 1024,
    .in_flight_bytes = (size_t)256 * 1024 * 1024,
    .arena_bytes = (size_t)8 * 1024 * 1024,
    .header_ms = 10000,
    .body_ms = 10000,
    .body_bytes_a_second = 4096,
    .idle_ms = 60000,
};

/* --- the clock --- */

/* Read once a millisecond of the loop's turns: a look at the clock takes 40 to 60 ns in a virtual
 * machine. */
int64_t http_server_now_ms(struct http_server *server)
{
    uint64_t turn_ms = uv_now(server->loop);
    struct timespec now;

    if (server->clock_ms == 0 || server->clock_turn_ms != turn_ms) {
        clock_gettime(CLOCK_REALTIME, &now);
        server->clock_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
        server->clock_turn_ms = turn_ms;
    }
    return server->clock_ms;
}

int64_t http_now_ms(const struct http_request *request)
{
    const struct http_exchange *exchange = (const struct http_exchange *)request;

    return http_server_now_ms(exchange->connection->server);
}

/* --- exchanges --- */

struct http_exchange *http_exchange_take(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    struct http_exchange *exchange = server->spare;
    struct arena arena;

    if (exchange) {
        server->spare = exchange->next;
        server->spare_count--;
        arena = exchange->arena;
    } else {
        exchange = malloc(sizeof(*exchange) + server->limits.headers * sizeof(struct http_header));
        if (!exchange)
            abort();
        arena_init(&arena, server->limits.arena_bytes);
    }
    *exchange = (struct http_exchange){.connection = connection, .arena = arena};
    return exchange;
}

void http_exchange_give_inflated(struct http_exchange *exchange)
{
    struct http_pool *pool = &exchange->connection->server->pool;

    http_pool_give(pool, exchange->inflated.at, exchange->inflated.room);
    exchange->inflated = (struct http_block){0};
}

void http_exchange_give(struct http_exchange *exchange)
{
    struct http_server *server = exchange->connection->server;

    http_exchange_give_inflated(exchange);
    if (exchange->is_known) {
        arena_deinit(&exchange->arena);
        return;
    }
    if (server->spare_count == HTTP_SPARE_EXCHANGES_MAX) {
        arena_deinit(&exchange->arena);
        free(exchange);
        return;
    }
    if (exchange->arena.used > HTTP_ARENA_KEPT_MAX)
        arena_deinit(&exchange->arena);
    else
        arena_reset(&exchange->arena);
    exchange->next = server->spare;
    server->spare = exchange;
    server->spare_count++;
}

/* --- connections --- */

static void check_closed(struct http_server *server)
{
    if (server->draining && server->connection_count == 0 && server->open_handles == 0)
        server->closed(server->closed_context);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;

    server->open_handles--;
    check_closed(server);
}

/* The timer lives until the last connection has gone: it holds their deadlines. */
static void stop_timer(struct http_server *server)
{
    if (server->draining && server->connection_count == 0 &&
        !uv_is_closing((uv_handle_t *)&server->timer))
        uv_close((uv_handle_t *)&server->timer, on_handle_closed);
}

void http_server_forget(struct http_connection *connection)
{
    struct http_server *server = connection->server;

    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    server->connection_count--;
    server->turned_away -= connection->turned_away;
    http_pool_give(&server->pool, connection->input, connection->room);
    http_known_free(connection->known);
    buffer_deinit(&connection->unsent);
    free(connection);
    stop_timer(server);
}

/* NULL when the loop can't watch `fd`, which is the caller's then. */
static struct http_connection *new_connection(struct http_server *server, int fd)
{
    struct http_connection *connection = calloc(1, sizeof(*connection));

    if (!connection)
        abort();
    if (uv_poll_init(server->loop, &connection->poll, fd)) {
        free(connection);
        return NULL;
    }
    connection->fd = fd;
    connection->server = server;
    connection->next = server->connections;
    if (server->connections)
        server->connections->previous = connection;
    server->connections = connection;
    server->connection_count++;
    server->counts.connections_total++;
    return connection;
}

/* With its answer, which it may lose when more of them linger than may. */
static void turn_away(struct http_connection *connection)
{
    static const struct http_refusal crowded = {503, "overloaded",
                                                "too many connections: try again"};

    struct http_server *server = connection->server;

    server->counts.overloads++;
    http_connection_write_problem(connection, NULL, &crowded, "Retry-After: 1\r\n", false);
    if (server->turned_away == HTTP_TURNED_AWAY_MAX) {
        http_connection_close(connection);
        return;
    }
    connection->turned_away = true;
    server->turned_away++;
    http_connection_answered(connection, false);
}

static void take_connection(struct http_server *server, int fd)
{
    struct http_connection *connection = new_connection(server, fd);
    const int on = 1;

    if (!connection) {
        close(fd);
        return;
    }
    if (server->connection_count - server->turned_away > server->limits.connections) {
        turn_away(connection);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    http_connection_start(connection);
}

/* Until the next tick, for which the loop goes on. */
static void pause_accepting(struct http_server *server)
{
    uv_poll_stop(&server->listener);
    uv_ref((uv_handle_t *)&server->timer);
}

/* Without a file or memory for one more, whoever comes next waits. */
static void on_connection(uv_poll_t *listener, int status, int events)
{
    struct http_server *server = listener->data;
    int fd;

    (void)status;
    (void)events;
    while ((fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        take_connection(server, fd);
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        pause_accepting(server);
}

static void resume_accepting(struct http_server *server)
{
    if (server->fd < 0 || uv_is_active((uv_handle_t *)&server->listener))
        return;
    (void)uv_poll_start(&server->listener, UV_READABLE, on_connection);
    uv_unref((uv_handle_t *)&server->timer);
}

int http_server_adopt(struct http_server *server, int fd)
{
    struct http_connection *connection = new_connection(server, fd);

    if (!connection)
        return fault(FAULT_REFUSE, "socket %d can't be watched", fd);
    http_connection_start(connection);
    return 0;
}

static void on_tick(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    uint64_t now_ms = uv_now(server->loop);

    for (struct http_connection *c = server->connections, *next; c; c = next) {
        next = c->next;
        http_connection_check(c, now_ms);
    }
    resume_accepting(server);
}

/* --- the listener --- */

/* "host:port" or "[host]:port", resolved. */
static int resolve(const char *listen, struct sockaddr_storage *address)
{
    const char *colon = strrchr(listen, ':');
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    char host[256];
    size_t length = colon ? (size_t)(colon - listen) : 0;
    size_t bracket = length > 1 && listen[0] == '[' && listen[length - 1] == ']';
    int rc;

    if (!colon || length >= sizeof(host) || length <= 2 * bracket)
        return fault(FAULT_REFUSE, "listen address \"%s\": want host:port", listen);
    memcpy(host, listen + bracket, length - 2 * bracket);
    host[length - 2 * bracket] = '\0';
    rc = getaddrinfo(host, colon + 1, &hints, &found);
    if (rc)
        return fault(FAULT_REFUSE, "listen address \"%s\": %s", listen, gai_strerror(rc));
    memcpy(address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

static void note_address(struct http_server *server)
{
    struct sockaddr_storage bound;
    struct sockaddr *address = (struct sockaddr *)&bound;
    socklen_t length = sizeof(bound);
    char host[INET6_ADDRSTRLEN];
    char port[8];

    if (getsockname(server->fd, address, &length) ||
        getnameinfo(address, length, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV))
        return;
    snprintf(server->address, sizeof(server->address),
             bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

/* -1 with errno. */
static int open_listener(const struct sockaddr_storage *address)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) || listen(fd, BACKLOG)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int start_listening(struct http_server *server, const char *listen)
{
    struct sockaddr_storage address;
    int r = resolve(listen, &address);

    if (r)
        return fault_pass(r);
    server->fd = open_listener(&address);
    if (server->fd < 0)
        return fault(FAULT_RETRY, "listen on %s: %s", listen, strerror(errno));
    if (uv_poll_init(server->loop, &server->listener, server->fd))
        abort(); /* fails for what isn't a socket, or without memory */
    server->listener.data = server;
    server->open_handles++;
    resume_accepting(server);
    note_address(server);
    return 0;
}

static uint64_t tick_ms(const struct http_limits *limits)
{
    int64_t least = limits->header_ms;

    if (limits->body_ms < least)
        least = limits->body_ms;
    if (limits->idle_ms < least)
        least = limits->idle_ms;
    least = least / TICKS_A_LIMIT + 1;
    return least < TICK_MS_MAX ? (uint64_t)least : TICK_MS_MAX;
}

static void copy_routes(struct http_server *server, const struct http_route *routes, size_t count)
{
    server->routes = calloc(count + HTTP_OPERATIONS_ROUTES, sizeof(*server->routes));
    if (!server->routes)
        abort();
    for (size_t i = 0; i < count; i++) {
        assert(routes[i].path[0] == '/');
        server->routes[i] = routes[i];
    }
    server->route_count = count;
}

static struct http_server *build(uv_loop_t *loop, const struct http_limits *limits)
{
    struct http_server *server = calloc(1, sizeof(*server));

    if (!server)
        abort();
    server->loop = loop;
    server->limits = *limits;
    http_pool_init(&server->pool, limits->in_flight_bytes);
    server->decoder = http_decoder_new();
    uv_timer_init(loop, &server->timer);
    server->timer.data = server;
    server->open_handles = 1;
    server->fd = -1;
    return server;
}

static void forget_server(void *context)
{
    http_server_free(context);
}

int http_server_new(uv_loop_t *loop, const char *listen, const struct http_route *routes,
                    size_t route_count, const struct http_limits *limits,
                    struct http_server **server)
{
    struct http_server *made;
    int r;

    limits = limits ? limits : &http_limits_usual;
    assert(limits->request_line + limits->header_bytes < HTTP_BLOCK_BYTES);
    assert(limits->body_bytes_a_second > 0);

    made = build(loop, limits);
    copy_routes(made, routes, route_count);
    r = start_listening(made, listen);
    if (r) {
        http_server_drain(made, forget_server, made);
        return fault_pass(r);
    }
    uv_timer_start(&made->timer, on_tick, tick_ms(limits), tick_ms(limits));
    uv_unref((uv_handle_t *)&made->timer);
    *server = made;
    return 0;
}

const char *http_server_address(const struct http_server *server)
{
    return server->address;
}

/* Who has connected already is still served. */
static void stop_listening(struct http_server *server)
{
    if (server->fd < 0)
        return;
    on_connection(&server->listener, 0, UV_READABLE);
    uv_close((uv_handle_t *)&server->listener, on_handle_closed);
    close(server->fd);
    server->fd = -1;
}

void http_server_drain(struct http_server *server, void (*closed)(void *context), void *context)
{
    assert(!server->draining);

    server->draining = true;
    server->drain_ms = uv_now(server->loop);
    server->closed = closed;
    server->closed_context = context;
    stop_listening(server);
    for (struct http_connection *c = server->connections, *next; c; c = next) {
        next = c->next;
        http_connection_drain(c);
    }
    stop_timer(server);
}

struct http_server *http_server_free(struct http_server *server)
{
    if (!server)
        return NULL;
    assert(server->connection_count == 0 && server->open_handles == 0);

    while (server->spare) {
        struct http_exchange *exchange = server->spare;

        server->spare = exchange->next;
        arena_deinit(&exchange->arena);
        free(exchange);
    }
    http_pool_deinit(&server->pool);
    http_decoder_free(server->decoder);
    buffer_deinit(&server->head);
    buffer_deinit(&server->problem);
    free(server->operations);
    free(server->routes);
    free(server);
    return NULL;
}
