/*
 * http_limits_test.c - bodies that are encoded, slow, too many; and the server's end.
 */
#include "common/base/monotonic.h"
#include "common/io/http_connection.h"
#include "tests/unit/io/http_fixture.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

static struct fixture fixture;

static void start(void)
{
    fixture_start(&fixture, NULL);
}

static void stop(void)
{
    fixture_stop(&fixture);
}

TestSuite(http_body, .init = start, .fini = stop, .timeout = 60);

static void add_gzip(struct buffer *out, const char *bytes, size_t length)
{
    z_stream gzip = {0};

    cr_assert_eq(deflateInit2(&gzip, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    buffer_reserve(out, deflateBound(&gzip, length));
    gzip.next_in = (Bytef *)(uintptr_t)bytes;
    gzip.avail_in = (uInt)length;
    gzip.next_out = (Bytef *)out->at + out->length;
    gzip.avail_out = (uInt)(out->room - out->length);
    cr_assert_eq(deflate(&gzip, Z_FINISH), Z_STREAM_END);
    out->length += gzip.total_out;
    deflateEnd(&gzip);
}

static void add_zstd(struct buffer *out, const char *bytes, size_t length)
{
    size_t bound = ZSTD_compressBound(length);

    buffer_reserve(out, bound);
    out->length += ZSTD_compress(out->at + out->length, bound, bytes, length, 3);
}

/* Text that compresses like events do, some 5 to 1. */
static struct buffer ordinary_text(size_t length)
{
    struct buffer text = {0};
    unsigned seed = 7;

    while (text.length < length) {
        seed = seed * 1103515245 + 12345;
        buffer_printf(&text, "{\"id\":\"%08x%08x\",\"type\":\"request\"},", seed,
                      seed * 2654435761U);
    }
    text.length = length;
    return text;
}

static struct buffer post(const char *path, const char *coding, struct text body, size_t step)
{
    CLEANUP(buffer_deinit) struct buffer request = {0};

    buffer_printf(&request,
                  "POST %s HTTP/1.1\r\nHost: a\r\nContent-Encoding: %s\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  path, coding, body.length);
    buffer_add_text(&request, body);
    return fixture_talk(&fixture, buffer_text(&request), step);
}

static bool ends_with(const struct buffer *answer, struct text body)
{
    return answer->length >= body.length &&
           memcmp(answer->at + answer->length - body.length, body.at, body.length) == 0;
}

Test(http_body, gzip_and_zstd_are_inflated)
{
    CLEANUP(buffer_deinit) struct buffer text = ordinary_text(FIXTURE_ECHO_MAX);
    CLEANUP(buffer_deinit) struct buffer gzip = {0};
    CLEANUP(buffer_deinit) struct buffer zstd = {0};
    CLEANUP(buffer_deinit) struct buffer first = {0};
    CLEANUP(buffer_deinit) struct buffer second = {0};

    add_gzip(&gzip, text.at, text.length);
    add_zstd(&zstd, text.at, text.length);
    first = post("/echo", "gzip", buffer_text(&gzip), 1000);
    second = post("/echo", "ZSTD", buffer_text(&zstd), 1000);

    cr_assert(ends_with(&first, buffer_text(&text)));
    cr_assert(ends_with(&second, buffer_text(&text)));
}

Test(http_body, a_waiting_request_whose_input_is_forgotten_holds_no_memory)
{
    CLEANUP(buffer_deinit) struct buffer text = ordinary_text(FIXTURE_ECHO_MAX);
    CLEANUP(buffer_deinit) struct buffer request = {0};
    CLEANUP(buffer_deinit) struct buffer gzip = {0};
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    int fd = fixture_connect(&fixture);

    add_gzip(&gzip, text.at, text.length);
    buffer_printf(&request,
                  "POST /forget HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  gzip.length);
    buffer_add_text(&request, buffer_text(&gzip));
    fixture_send(&fixture, fd, buffer_text(&request), SIZE_MAX);

    cr_assert_eq(fixture.handled, 1);
    cr_assert_null(fixture.server->connections->input);
    cr_assert_eq(fixture.server->pool.in_flight, 0);
    cr_assert(fixture_wait_for(&fixture, fd, &answer, "HTTP/1.1 202 Accepted", 5000));
    cr_assert_eq(fixture.server->connections->usual, request.length, "room for one like it");
    fixture_send(&fixture, fd, text_of("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"), SIZE_MAX);
    cr_assert(fixture_wait_for(&fixture, fd, &answer, "HTTP/1.1 200 OK", 5000));
    cr_assert(memmem(answer.at, answer.length, text.at, text.length));
    close(fd);
}

Test(http_body, several_frames_are_one_body)
{
    CLEANUP(buffer_deinit) struct buffer gzip = {0};
    CLEANUP(buffer_deinit) struct buffer zstd = {0};
    CLEANUP(buffer_deinit) struct buffer first = {0};
    CLEANUP(buffer_deinit) struct buffer second = {0};

    add_gzip(&gzip, "one,", 4);
    add_gzip(&gzip, "two", 3);
    add_zstd(&zstd, "one,", 4);
    add_zstd(&zstd, "two", 3);
    first = post("/echo", "gzip", buffer_text(&gzip), 1000);
    second = post("/echo", "zstd", buffer_text(&zstd), 1000);

    cr_assert(ends_with(&first, text_of("\r\n\r\none,two")));
    cr_assert(ends_with(&second, text_of("\r\n\r\none,two")));
}

Test(http_body, a_body_cut_anywhere_is_invalid_encoding)
{
    CLEANUP(buffer_deinit) struct buffer gzip = {0};
    CLEANUP(buffer_deinit) struct buffer zstd = {0};

    add_gzip(&gzip, "{\"id\":\"1\"}", 10);
    add_zstd(&zstd, "{\"id\":\"1\"}", 10);
    for (size_t length = 0; length < gzip.length; length++) {
        CLEANUP(buffer_deinit)
        struct buffer answer = post("/echo", "gzip", text_from(gzip.at, length), 1000);

        cr_assert(contains(&answer, "HTTP/1.1 400 "), "gzip at %zu", length);
        cr_assert(contains(&answer, "invalid_encoding"), "gzip at %zu", length);
    }
    for (size_t length = 0; length < zstd.length; length++) {
        CLEANUP(buffer_deinit)
        struct buffer answer = post("/echo", "zstd", text_from(zstd.at, length), 1000);

        cr_assert(contains(&answer, "invalid_encoding"), "zstd at %zu", length);
    }
    cr_assert_eq(fixture.handled, 0);
}

Test(http_body, bytes_that_arent_what_they_claim_are_invalid_encoding)
{
    CLEANUP(buffer_deinit) struct buffer plain = post("/echo", "gzip", text_of("{}"), 100);
    CLEANUP(buffer_deinit) struct buffer gzip = {0};
    CLEANUP(buffer_deinit) struct buffer trailed = {0};

    add_gzip(&gzip, "abc", 3);
    buffer_add_string(&gzip, "garbage");
    trailed = post("/echo", "gzip", buffer_text(&gzip), 100);

    cr_assert(contains(&plain, "invalid_encoding"));
    cr_assert(contains(&trailed, "invalid_encoding"));
}

Test(http_body, the_inflated_body_has_the_routes_limit)
{
    for (size_t more = 0; more <= 1; more++) {
        CLEANUP(buffer_deinit) struct buffer text = ordinary_text(FIXTURE_LARGE_MAX + more);
        CLEANUP(buffer_deinit) struct buffer gzip = {0};
        CLEANUP(buffer_deinit) struct buffer answer = {0};

        add_gzip(&gzip, text.at, text.length);
        answer = post("/echo/large", "gzip", buffer_text(&gzip), 100000);
        cr_assert_eq(contains(&answer, "HTTP/1.1 200 "), more == 0);
        cr_assert_eq(contains(&answer, "body_too_large"), more == 1);
    }
}

Test(http_body, a_bomb_is_refused_at_a_hundred_times_what_was_sent)
{
    size_t length = FIXTURE_LARGE_MAX;
    char *zeros = calloc(1, length);
    CLEANUP(buffer_deinit) struct buffer gzip = {0};
    CLEANUP(buffer_deinit) struct buffer zstd = {0};
    CLEANUP(buffer_deinit) struct buffer first = {0};
    CLEANUP(buffer_deinit) struct buffer second = {0};

    add_gzip(&gzip, zeros, length);
    add_zstd(&zstd, zeros, length);
    free(zeros);
    first = post("/echo/large", "gzip", buffer_text(&gzip), 100000);
    second = post("/echo/large", "zstd", buffer_text(&zstd), 100000);

    cr_assert(contains(&first, "HTTP/1.1 413 "));
    cr_assert(contains(&first, "more than 100 times"));
    cr_assert(contains(&second, "more than 100 times"));
    cr_assert_eq(fixture.handled, 0);
}

/* --- time --- */

TestSuite(http_time, .timeout = 60);

static void start_with(void (*change)(struct http_limits *limits))
{
    struct http_limits limits = http_limits_usual;

    limits.header_ms = 60;
    limits.body_ms = 60;
    limits.idle_ms = 120;
    change(&limits);
    fixture_start(&fixture, &limits);
}

static void as_they_are(struct http_limits *limits)
{
    (void)limits;
}

Test(http_time, a_head_that_takes_too_long_is_408)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    int64_t since_ms = monotonic_ms();
    int fd;

    start_with(as_they_are);
    fd = fixture_connect(&fixture);
    for (int i = 0; i < 100 && !contains(&answer, "HTTP/1.1 408 "); i++) {
        fixture_send(&fixture, fd, text_of(i ? "a" : "GET /hello HTTP/1.1\r\nA:"), 100);
        fixture_receive(&fixture, fd, &answer);
        usleep(3000);
    }

    cr_assert(contains(&answer, "HTTP/1.1 408 "), "a byte now and then doesn't keep it alive");
    cr_assert_geq(monotonic_ms() - since_ms, 60);
    close(fd);
    fixture_stop(&fixture);
}

Test(http_time, a_body_below_the_least_rate_is_408)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    int fd;

    start_with(as_they_are);
    fd = fixture_connect(&fixture);
    fixture_send(&fixture, fd,
                 text_of("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n"), 1000);
    for (int i = 0; i < 100 && !contains(&answer, "HTTP/1.1 408 "); i++) {
        fixture_send(&fixture, fd, text_of("a"), 1);
        fixture_receive(&fixture, fd, &answer);
        usleep(3000);
    }

    cr_assert(contains(&answer, "HTTP/1.1 408 "));
    cr_assert_eq(fixture.handled, 0);
    close(fd);
    fixture_stop(&fixture);
}

static void slowly(struct http_limits *limits)
{
    limits->body_bytes_a_second = 100;
}

Test(http_time, a_body_above_the_least_rate_has_the_time_it_needs)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    int64_t since_ms = monotonic_ms();
    int fd;

    start_with(slowly);
    fd = fixture_connect(&fixture);
    fixture_send(&fixture, fd,
                 text_of("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n"), 1000);
    for (int i = 0; i < 40; i++) {
        fixture_send(&fixture, fd, text_of("a"), 1);
        usleep(4000);
    }

    cr_assert(fixture_wait_for(&fixture, fd, &answer, "HTTP/1.1 200 ", 1000));
    cr_assert_gt(monotonic_ms() - since_ms, 120);
    close(fd);
    fixture_stop(&fixture);
}

Test(http_time, an_idle_connection_is_closed_without_a_word)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    int64_t since_ms;
    int fd;

    start_with(as_they_are);
    fd = fixture_connect(&fixture);
    fixture_send(&fixture, fd, text_of("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"), 1000);
    cr_assert(fixture_wait_for(&fixture, fd, &answer, "world", 1000));
    since_ms = monotonic_ms();
    cr_assert(fixture_wait_closed(&fixture, fd, &answer, 3000));

    cr_assert_geq(monotonic_ms() - since_ms, 90);
    cr_assert_eq(count_of(&answer, "HTTP/1.1 "), 1);
    close(fd);
    fixture_stop(&fixture);
}

static void half_a_second(struct http_limits *limits)
{
    limits->idle_ms = 500;
}

Test(http_time, a_client_that_takes_its_answer_bit_by_bit_has_the_time_it_needs)
{
    const int little = 4096;
    char bytes[2048];
    int64_t since_ms;
    int fd;

    start_with(half_a_second);
    fd = fixture_connect(&fixture);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
    fixture_send(&fixture, fd, text_of("GET /large HTTP/1.1\r\nHost: a\r\n\r\n"), 1000);
    for (since_ms = monotonic_ms(); monotonic_ms() - since_ms < 1500; usleep(5000)) {
        cr_assert_neq(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), 0);
        fixture_step(&fixture);
    }
    cr_assert_eq(fixture.server->connection_count, 1);

    for (since_ms = monotonic_ms(); fixture.server->connection_count > 0; usleep(5000)) {
        cr_assert_lt(monotonic_ms() - since_ms, 5000, "who takes nothing more is let go");
        fixture_step(&fixture);
    }
    close(fd);
    fixture_stop(&fixture);
}

static void slow_to_take(struct http_limits *limits)
{
    limits->header_ms = 400;
    limits->idle_ms = 5000;
}

/* Takes `bytes` of an answer as fast as it can. */
static void take(int fd, size_t bytes)
{
    static char room[256 * 1024];

    while (bytes > 0) {
        ssize_t got = recv(fd, room, sizeof(room), MSG_DONTWAIT);

        fixture_step(&fixture);
        cr_assert(got > 0 || (got < 0 && errno == EAGAIN));
        if (got > 0)
            bytes -= (size_t)got < bytes ? (size_t)got : bytes;
    }
}

Test(http_time, a_head_has_its_time_from_when_the_answer_before_it_was_taken)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    int64_t since_ms;
    int fd;

    start_with(slow_to_take);
    fd = fixture_connect(&fixture);
    fixture_send(&fixture, fd,
                 text_of("GET /large HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHo"), 1000);
    for (since_ms = monotonic_ms(); monotonic_ms() - since_ms < 600; usleep(5000))
        fixture_step(&fixture);

    take(fd, (size_t)8 * 1024 * 1024);
    for (since_ms = monotonic_ms(); monotonic_ms() - since_ms < 150; usleep(5000))
        fixture_step(&fixture);
    fixture_send(&fixture, fd, text_of("st: a\r\n\r\n"), 1000);

    cr_assert(fixture_wait_for(&fixture, fd, &answer, "world", 1000));
    cr_assert(!contains(&answer, "408"));
    close(fd);
    fixture_stop(&fixture);
}

/* --- numbers --- */

TestSuite(http_number, .timeout = 60);

static void three_requests(struct http_limits *limits)
{
    limits->requests_a_connection = 3;
}

/* Heads of requests with a body aren't parsed again. */
Test(http_number, the_last_request_that_a_connection_may_make_closes_it)
{
    static const char *const requests[] = {
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    };

    start_with(three_requests);
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        CLEANUP(buffer_deinit) struct buffer sent = {0};
        CLEANUP(buffer_deinit) struct buffer answer = {0};

        for (int times = 0; times < 5; times++)
            buffer_add_string(&sent, requests[i]);
        answer = fixture_talk(&fixture, buffer_text(&sent), 1000);
        cr_assert_eq(count_of(&answer, "HTTP/1.1 200"), 3);
        cr_assert_eq(count_of(&answer, "Connection: close"), 1);
    }
    fixture_stop(&fixture);
}

static void two_connections(struct http_limits *limits)
{
    limits->connections = 2;
    limits->header_ms = limits->idle_ms = 5000;
}

Test(http_number, a_connection_past_the_limit_is_turned_away_with_503)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    int first, second, third;

    start_with(two_connections);
    first = fixture_connect(&fixture);
    second = fixture_connect(&fixture);
    fixture_step(&fixture);
    third = fixture_connect(&fixture);
    cr_assert(fixture_wait_closed(&fixture, third, &answer, 1000));

    cr_assert(contains(&answer, "HTTP/1.1 503 "));
    cr_assert(contains(&answer, "Retry-After: 1"));
    close(first);
    fixture_step(&fixture);
    answer.length = 0;
    close(third);
    third = fixture_connect(&fixture);
    fixture_send(&fixture, third, text_of("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"), 1000);
    cr_assert(fixture_wait_for(&fixture, third, &answer, "world", 1000));
    close(second);
    close(third);
    fixture_stop(&fixture);
}

Test(http_number, who_is_turned_away_gets_the_answer_and_an_end_though_it_has_sent_something)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    int first, second, third;
    char bytes[2048];
    ssize_t got;

    start_with(two_connections);
    first = fixture_connect(&fixture);
    second = fixture_connect(&fixture);
    fixture_step(&fixture);
    third = fixture_connect(&fixture);
    cr_assert_eq(send(third, "GET /hello HTTP/1.1\r\n", 21, 0), 21);
    fixture_step(&fixture);
    cr_assert_eq(send(third, "Host: a\r\n\r\n", 11, 0), 11);
    fixture_step(&fixture);

    while ((got = recv(third, bytes, sizeof(bytes), 0)) > 0)
        buffer_add(&answer, bytes, (size_t)got);
    cr_assert_eq(got, 0, "an end, not a reset");
    cr_assert(contains(&answer, "HTTP/1.1 503 "));

    close(first);
    answer.length = 0;
    fixture_step(&fixture);
    first = fixture_connect(&fixture);
    fixture_send(&fixture, first, text_of("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"), 1000);
    cr_assert(fixture_wait_for(&fixture, first, &answer, "world", 1000),
              "who lingers takes no place of those that are served");
    close(first);
    close(second);
    close(third);
    fixture_stop(&fixture);
}

Test(http_number, no_more_than_so_many_of_those_turned_away_are_waited_for)
{
    int fds[HTTP_TURNED_AWAY_MAX + 4];

    start_with(two_connections);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = fixture_connect(&fixture);
        fixture_step(&fixture);
    }
    fixture_step(&fixture);

    cr_assert_eq(fixture.server->connection_count, HTTP_TURNED_AWAY_MAX + 2);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    fixture_step(&fixture);
    cr_assert_eq(fixture.server->connection_count, 0);
    fixture_stop(&fixture);
}

static void allow_files(rlim_t count)
{
    struct rlimit limit;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = count;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

Test(http_number, a_connection_that_no_file_is_left_for_waits_and_is_served)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    int fd;

    start_with(two_connections);
    fd = fixture_connect(&fixture);
    allow_files((rlim_t)fd + 1);
    fixture_send(&fixture, fd, text_of("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"), 1000);
    cr_assert_not(fixture_wait_for(&fixture, fd, &answer, "world", 100));
    cr_assert_not(uv_is_active((uv_handle_t *)&fixture.server->listener), "else the loop spins");

    allow_files(256);
    cr_assert(fixture_wait_for(&fixture, fd, &answer, "world", 5000));
    close(fd);
    fixture_stop(&fixture);
}

static void little_memory(struct http_limits *limits)
{
    limits->in_flight_bytes = (size_t)1024 * 1024;
    limits->body_ms = limits->idle_ms = 5000;
}

Test(http_number, bodies_past_the_memory_limit_get_503_and_free_it_when_they_end)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    CLEANUP(buffer_deinit) struct buffer body = ordinary_text(500 * 1024);
    int fds[4];
    size_t refused = 0;

    start_with(little_memory);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = fixture_connect(&fixture);
        fixture_send(&fixture, fds[i],
                     text_of("POST /echo/large HTTP/1.1\r\nHost: a\r\n"
                             "Content-Length: 512000\r\n\r\n"),
                     1000);
        fixture_send(&fixture, fds[i], text_from(body.at, body.length - 1), 100000);
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        buffer_clear(&answer);
        fixture_receive(&fixture, fds[i], &answer);
        refused += contains(&answer, "HTTP/1.1 503 ") && contains(&answer, "overloaded") &&
                   contains(&answer, "Retry-After: 1");
    }
    cr_assert_gt(refused, 0);
    cr_assert_lt(refused, ARRAY_LEN(fds), "what has its memory keeps it");

    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    for (int i = 0; i < 10; i++) {
        CLEANUP(buffer_deinit) struct buffer request = {0};
        struct buffer echoed;

        buffer_add_string(&request, "POST /echo/large HTTP/1.1\r\nHost: a\r\n"
                                    "Content-Length: 512000\r\n\r\n");
        buffer_add_text(&request, buffer_text(&body));
        echoed = fixture_talk(&fixture, buffer_text(&request), 100000);
        cr_assert(ends_with(&echoed, buffer_text(&body)));
        buffer_deinit(&echoed);
    }
    fixture_stop(&fixture);
}

/* Takes 256 KiB for a body that doesn't come. */
static int announce(void)
{
    int fd = fixture_connect(&fixture);

    fixture_send(&fixture, fd,
                 text_of("POST /echo/large HTTP/1.1\r\nHost: a\r\nContent-Length: 204800\r\n\r\n"),
                 1000);
    return fd;
}

/* Sends a body of 200 KiB and reads the answer. */
static int connect_and_send_much(void)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    CLEANUP(buffer_deinit) struct buffer request = {0};
    CLEANUP(buffer_deinit) struct buffer body = ordinary_text(200 * 1024 - 3);
    int fd = fixture_connect(&fixture);

    buffer_add_string(&request,
                      "POST /echo/large HTTP/1.1\r\nHost: a\r\nContent-Length: 204800\r\n\r\n");
    buffer_add_text(&request, buffer_text(&body));
    buffer_add_string(&request, "end");
    fixture_send(&fixture, fd, buffer_text(&request), 100000);
    cr_assert(fixture_wait_for(&fixture, fd, &answer, "end", 1000));
    return fd;
}

static bool is_overloaded(int fd)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};

    fixture_receive(&fixture, fd, &answer);
    return contains(&answer, "overloaded");
}

Test(http_number, a_connection_takes_at_once_what_its_last_request_needed)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    int fds[4], fd;

    start_with(little_memory);
    fd = connect_and_send_much();
    fixture_send(&fixture, fd, text_of("G"), 1);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = announce();
    cr_assert_not(is_overloaded(fds[2]));
    cr_assert(is_overloaded(fds[3]));

    fixture_send(&fixture, fd, text_of("ET /hello HTTP/1.1\r\nHost: a\r\n\r\nG"), 1000);
    cr_assert(fixture_wait_for(&fixture, fd, &answer, "world", 1000));
    close(fds[3]);
    fds[3] = announce();
    cr_assert(is_overloaded(fds[3]), "the next request has begun in the same block");
    answer.length = 0;
    fixture_send(&fixture, fd, text_of("ET /hello HTTP/1.1\r\nHost: a\r\n\r\n"), 1000);
    cr_assert(fixture_wait_for(&fixture, fd, &answer, "world", 1000));
    fixture_send(&fixture, fd, text_of("G"), 1);
    close(fds[3]);
    fds[3] = announce();
    cr_assert_not(is_overloaded(fds[3]), "a small one takes a small block");

    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    close(fd);
    fixture_stop(&fixture);
}

Test(http_number, a_connection_that_sent_much_is_served_while_memory_is_short)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    int fds[4], fd;

    start_with(little_memory);
    fd = connect_and_send_much();
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = announce();
    cr_assert_not(is_overloaded(fds[3]));

    fixture_send(&fixture, fd, text_of("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"), 1000);
    cr_assert(fixture_wait_for(&fixture, fd, &answer, "world", 1000));

    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    close(fd);
    fixture_stop(&fixture);
}

/* --- the end --- */

TestSuite(http_drain, .init = start, .timeout = 60);

static void note_closed(void *context)
{
    bool *closed = context;

    *closed = true;
}

Test(http_drain, a_request_under_way_is_finished_and_idle_clients_are_let_go)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    CLEANUP(buffer_deinit) struct buffer nothing = {0};
    CLEANUP(buffer_deinit) struct buffer late = {0};
    bool closed = false;
    int busy = fixture_connect(&fixture);
    int idle = fixture_connect(&fixture);
    int partial = fixture_connect(&fixture);

    fixture_send(&fixture, busy,
                 text_of("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"), 1000);
    fixture_send(&fixture, partial,
                 text_of("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na"), 1000);
    http_server_drain(fixture.server, note_closed, &closed);
    cr_assert(fixture_wait_closed(&fixture, idle, &nothing, 1000));
    cr_assert(!closed);
    fixture_send(&fixture, partial, text_of("bc"), 1000);
    cr_assert(fixture_wait_for(&fixture, partial, &late, "\r\n\r\nabc", 1000));
    cr_assert(fixture_wait_for(&fixture, busy, &answer, "\r\n\r\n{}", 1000));

    cr_assert_eq(nothing.length, 0);
    cr_assert(contains(&answer, "HTTP/1.1 202 "));
    cr_assert(contains(&answer, "Connection: close"));
    close(busy);
    close(partial);
    uv_run(&fixture.loop, UV_RUN_DEFAULT);
    cr_assert(closed);
    close(idle);
    http_server_free(fixture.server);
    cr_assert_eq(uv_loop_close(&fixture.loop), 0);
}

Test(http_drain, what_a_client_has_sent_before_is_answered_though_nothing_is_read_of_it_yet)
{
    static const char request[] = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    bool closed = false;
    int fds[2] = {fixture_connect(&fixture)};

    fixture_step(&fixture);
    fds[1] = fixture_connect(&fixture); /* isn't accepted before the end */
    for (int i = 0; i < 2; i++)
        cr_assert_eq(send(fds[i], request, sizeof(request) - 1, 0), sizeof(request) - 1);
    http_server_drain(fixture.server, note_closed, &closed);

    for (int i = 0; i < 2; i++) {
        CLEANUP(buffer_deinit) struct buffer answer = {0};

        cr_assert(fixture_wait_closed(&fixture, fds[i], &answer, 1000));
        cr_assert(contains(&answer, "world"));
        cr_assert(contains(&answer, "Connection: close"));
        close(fds[i]);
    }
    uv_run(&fixture.loop, UV_RUN_DEFAULT);
    cr_assert(closed);
    http_server_free(fixture.server);
    cr_assert_eq(uv_loop_close(&fixture.loop), 0);
}

Test(http_drain, a_handler_that_still_owes_an_answer_is_waited_for_when_its_client_is_gone)
{
    bool closed = false;
    int fd = fixture_connect(&fixture);
    const struct linger at_once = {.l_onoff = 1};

    fixture_send(&fixture, fd,
                 text_of("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"), 1000);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
    http_server_drain(fixture.server, note_closed, &closed);
    fixture_step(&fixture);
    cr_assert(!closed);
    uv_run(&fixture.loop, UV_RUN_DEFAULT);

    cr_assert(closed);
    http_server_free(fixture.server);
    cr_assert_eq(uv_loop_close(&fixture.loop), 0);
}
