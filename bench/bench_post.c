/*
 * bench_post.c - posts made events to ingest over a few connections, at full speed or at a rate,
 * and says how long answers took. Costs as little as it can: events are patched into place, one
 * thread.
 *
 *   bench-post port=N key=KEY events=N batch=N connections=N [rate=EVENTS/S] [counts=FILE] …
 *
 * A request's time runs from when the rate wanted it sent, so a stalled server can't hide what
 * waited behind it. Every answer must be 202. Prints a JSON object.
 */
#include "bench/made.h"
#include "bench/words.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, HEAD_ROOM = 512, ANSWER_MAX = 65536, WAIT_MS = 60000 };

struct connection {
    int socket;
    char *request; /* HEAD_ROOM, then the body */
    char answer[ANSWER_MAX];
    size_t answered;
    int64_t due_ns;      /* when its request was wanted; 0: it is idle */
    size_t from, length; /* of the request */
};

struct post {
    const char *key, *counts;
    int64_t port, batch, connections, rate, zipf;
    struct made_plan plan;
    struct made *made;
    struct made_event *events;
    struct connection *connection;
    struct pollfd polls[CONNECTIONS_MAX];
    int64_t *latency_us, requests, sent, in_flight, began_ns;
    bool is_made;
};

static void fail(const char *what)
{
    fprintf(stderr, "bench-post: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- a connection --- */

static void open_connection(const struct post *post, struct connection *connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)post->port)};
    int on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->socket < 0 ||
        connect(connection->socket, (struct sockaddr *)&address, sizeof(address)))
        fail("connect");
    setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void send_all(int socket, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(socket, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
            return; /* the answer won't come either: it is sent again then */
        if (sent < 0)
            fail("send");
        bytes += sent;
        length -= (size_t)sent;
    }
}

static size_t write_body(struct post *post, size_t count, char *body)
{
    size_t length = 0;

    if (post->batch == 1)
        return made_json(post->made, &post->events[0], body);
    for (size_t i = 0; i < count; i++) {
        body[length++] = i ? ',' : '[';
        length += made_json(post->made, &post->events[i], body + length);
    }
    body[length++] = ']';
    return length;
}

/* Makes the next request and sends it; false when all events are made. */
static bool send_next(struct post *post, struct connection *connection, int64_t due_ns)
{
    size_t count = 0, body, head;
    char text[HEAD_ROOM];

    while ((int64_t)count < post->batch && made_next(post->made, &post->events[count]))
        count++;
    post->is_made = (int64_t)count < post->batch;
    if (count == 0)
        return false;
    body = write_body(post, count, connection->request + HEAD_ROOM);
    head = (size_t)snprintf(text, sizeof(text),
                            "POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
                            "%s\r\nContent-Type: application/cloudevents%s+json\r\n"
                            "Content-Length: %zu\r\n\r\n",
                            post->key, post->batch == 1 ? "" : "-batch", body);
    memcpy(connection->request + HEAD_ROOM - head, text, head);
    connection->from = HEAD_ROOM - head;
    connection->length = head + body;
    connection->due_ns = due_ns;
    connection->answered = 0;
    post->in_flight++;
    post->sent += (int64_t)count;
    send_all(connection->socket, connection->request + connection->from, connection->length);
    return true;
}

static bool is_whole(struct connection *connection)
{
    char *end, *length;

    connection->answer[connection->answered] = '\0';
    end = strstr(connection->answer, "\r\n\r\n");
    if (!end)
        return false;
    length = strcasestr(connection->answer, "content-length:");
    return length && connection->answered >=
                         (size_t)(end + 4 - connection->answer) + strtoul(length + 15, NULL, 10);
}

static void reopen(struct post *post, struct connection *connection)
{
    close(connection->socket);
    open_connection(post, connection);
    post->polls[connection - post->connection].fd = connection->socket;
}

/* The server may have closed an idle connection while a request was under way to it: that one goes
 * out again, as events have ids. */
static void begin_again(struct post *post, struct connection *connection)
{
    reopen(post, connection);
    if (connection->due_ns)
        send_all(connection->socket, connection->request + connection->from, connection->length);
}

static void take_answer(struct post *post, struct connection *connection)
{
    ssize_t got = recv(connection->socket, connection->answer + connection->answered,
                       ANSWER_MAX - 1 - connection->answered, 0);

    if (got <= 0 && (connection->due_ns == 0 || connection->answered == 0)) {
        begin_again(post, connection);
        return;
    }
    if (got <= 0)
        fail("the connection broke");
    connection->answered += (size_t)got;
    if (!is_whole(connection))
        return;
    if (strncmp(connection->answer, "HTTP/1.1 202", 12) != 0) {
        fprintf(stderr, "bench-post: %.300s\n", connection->answer);
        exit(1);
    }
    post->latency_us[post->requests++] = (clock_wall_ns() - connection->due_ns) / 1000;
    connection->due_ns = 0;
    post->in_flight--;
}

/* --- all of them --- */

/* When the next request is wanted; without a rate: now. */
static int64_t next_due(const struct post *post)
{
    return post->rate > 0 ? post->began_ns + post->sent * 1000000000 / post->rate : clock_wall_ns();
}

static void feed(struct post *post)
{
    for (int64_t i = 0; i < post->connections && !post->is_made; i++) {
        int64_t due = next_due(post);
        if (due > clock_wall_ns())
            return;
        if (post->connection[i].due_ns == 0)
            (void)send_next(post, &post->connection[i], due);
    }
}

static void run(struct post *post)
{
    post->began_ns = clock_wall_ns();
    while (!post->is_made || post->in_flight > 0) {
        int ready;
        feed(post);
        ready = poll(post->polls, (nfds_t)post->connections, post->rate > 0 ? 1 : WAIT_MS);
        if (ready < 0 || (ready == 0 && post->rate == 0 && post->in_flight > 0))
            fail("no answer in a minute");
        for (int64_t i = 0; i < post->connections && ready > 0; i++)
            if (post->polls[i].revents)
                take_answer(post, &post->connection[i]);
    }
}

static void set_up(struct post *post)
{
    post->made = made_new(&post->plan);
    post->events = calloc((size_t)post->batch, sizeof(*post->events));
    post->connection = calloc((size_t)post->connections, sizeof(*post->connection));
    post->latency_us = calloc((size_t)(post->plan.events / post->batch + 2), sizeof(int64_t));
    if (!post->events || !post->connection || !post->latency_us)
        fail("no memory");
    for (int64_t i = 0; i < post->connections; i++) {
        post->connection[i].request = malloc(HEAD_ROOM + 2 + (size_t)post->batch * MADE_JSON_MAX);
        if (!post->connection[i].request)
            fail("no memory");
        open_connection(post, &post->connection[i]);
        post->polls[i] = (struct pollfd){.fd = post->connection[i].socket, .events = POLLIN};
    }
}

static void read_words(struct post *post, int argc, char **argv)
{
    int64_t seed = 1;
    const struct word words[] = {
        {.name = "key", .text = &post->key},
        {.name = "counts", .text = &post->counts},
        {.name = "port", .number = &post->port},
        {.name = "batch", .number = &post->batch},
        {.name = "connections", .number = &post->connections},
        {.name = "rate", .number = &post->rate},
        {.name = "first", .number = &post->plan.first},
        {.name = "events", .number = &post->plan.events},
        {.name = "subscriptions", .number = &post->plan.subscriptions},
        {.name = "duplicates", .number = &post->plan.duplicates},
        {.name = "pace", .number = &post->plan.pace},
        {.name = "start-ms", .number = &post->plan.start_ms},
        {.name = "seed", .number = &seed},
        {.name = "zipf", .number = &post->zipf},
    };

    words_read("bench-post", argc, argv, words, (int)ARRAY_LEN(words));
    if (!post->key || post->port < 1 || post->batch < 1 || post->connections < 1 ||
        post->connections > CONNECTIONS_MAX) {
        errno = EINVAL;
        fail("needs port, key, batch and connections");
    }
    post->plan.seed = (uint64_t)seed;
    post->plan.is_zipf = post->zipf;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double share_ms(const struct post *post, int64_t thousandths)
{
    return (double)post->latency_us[(post->requests - 1) * thousandths / 1000] / 1000;
}

int main(int argc, char **argv)
{
    static struct post post = {
        .batch = 100,
        .connections = 8,
        .plan = {.events = 100000, .subscriptions = 100000, .pace = 1000},
    };
    struct made_count total;
    int64_t cpu, wall;

    read_words(&post, argc, argv);
    set_up(&post);
    cpu = clock_process_ns();
    wall = clock_wall_ns();
    run(&post);
    cpu = clock_process_ns() - cpu;
    wall = clock_wall_ns() - wall;
    total = made_total(post.made);
    qsort(post.latency_us, (size_t)post.requests, sizeof(int64_t), compare);
    printf("{\"events\":%lld,\"counted\":%llu,\"duplicate\":%llu,\"requests\":%lld,\"p50_ms\":%.3f,"
           "\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"cpu_ns\":%lld,\"wall_ns\":%lld}\n",
           (long long)post.sent, (unsigned long long)total.counted,
           (unsigned long long)total.duplicate, (long long)post.requests, share_ms(&post, 500),
           share_ms(&post, 990), share_ms(&post, 999), (long long)cpu, (long long)wall);
    if (post.counts)
        made_write_counts(post.made, post.counts);
    return 0;
}
