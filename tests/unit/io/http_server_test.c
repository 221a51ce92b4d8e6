/*
 * http_server_test.c - the server against raw bytes on a real socket.
 */
#include "common/base/instant.h"
#include "common/io/http_connection.h"
#include "tests/unit/io/http_fixture.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct fixture fixture;

static void start(void)
{
    fixture_start(&fixture, NULL);
}

static void stop(void)
{
    fixture_stop(&fixture);
}

TestSuite(http_server, .init = start, .fini = stop, .timeout = 60);

#define HOST         "Host: a\r\n"
#define POST_TO_ECHO "POST /echo HTTP/1.1\r\n" HOST

/* Every request that has to be refused before a handler sees it: facts about HTTP, one a line. */
static const struct {
    const char *why;
    const char *bytes;
    const char *status;
    const char *code;
} refused[] = {
    {"TE + CL", POST_TO_ECHO "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
     "400", "bad_request"},
    {"CL + TE", POST_TO_ECHO "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     "400", "bad_request"},
    {"two lengths", POST_TO_ECHO "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400",
     "bad_request"},
    {"signed length", POST_TO_ECHO "Content-Length: +3\r\n\r\nabc", "400", "bad_request"},
    {"negative length", POST_TO_ECHO "Content-Length: -3\r\n\r\nabc", "400", "bad_request"},
    {"length list", POST_TO_ECHO "Content-Length: 3, 3\r\n\r\nabc", "400", "bad_request"},
    {"huge length", POST_TO_ECHO "Content-Length: 99999999999999999999999\r\n\r\n", "400",
     "bad_request"},
    {"xchunked", POST_TO_ECHO "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "501",
     "not_implemented"},
    {"gzip", POST_TO_ECHO "Transfer-Encoding: gzip\r\n\r\n", "501", "not_implemented"},
    {"gzip, chunked", POST_TO_ECHO "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501",
     "not_implemented"},
    {"two TEs",
     POST_TO_ECHO "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "501",
     "not_implemented"},
    {"TE on 1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400",
     "bad_request"},
    {"huge chunk", POST_TO_ECHO "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "400",
     "bad_request"},
    {"large chunk", POST_TO_ECHO "Transfer-Encoding: chunked\r\n\r\n10001\r\n", "413",
     "body_too_large"},
    {"chunk without size", POST_TO_ECHO "Transfer-Encoding: chunked\r\n\r\n\r\nabc\r\n", "400",
     "bad_request"},
    {"LF in a chunk line", POST_TO_ECHO "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
     "400", "bad_request"},
    {"chunk longer than said",
     POST_TO_ECHO "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", "400", "bad_request"},
    {"bare CR in a value", "GET /hello HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", "400", "bad_request"},
    {"control in a value", "GET /hello HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", "400", "bad_request"},
    {"lower-case method", "get /hello HTTP/1.1\r\n" HOST "\r\n", "400", "bad_request"},
    {"unknown method", "BREW /hello HTTP/1.1\r\n" HOST "\r\n", "400", "bad_request"},
    {"bare LF after the request line", "GET /hello HTTP/1.1\n" HOST "\r\n", "400", "bad_request"},
    {"bare LF after a header", "GET /hello HTTP/1.1\r\nHost: a\n\r\n", "400", "bad_request"},
    {"bare LF at the end", "GET /hello HTTP/1.1\r\n" HOST "\n", "400", "bad_request"},
    {"head ended by a bare CR", "GET /hello HTTP/1.1\r\n" HOST "\rX\r\n\r\n", "400", "bad_request"},
    {"space before the colon", "GET /hello HTTP/1.1\r\nHost : a\r\n\r\n", "400", "bad_request"},
    {"spaced TE", POST_TO_ECHO "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400",
     "bad_request"},
    {"header without a name", "GET /hello HTTP/1.1\r\n" HOST ": b\r\n\r\n", "400", "bad_request"},
    {"HTTP/1.2", "GET /hello HTTP/1.2\r\n" HOST "\r\n", "505", "version_not_supported"},
    {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505", "version_not_supported"},
    {"HTTP/0.9", "GET /hello\r\n", "400", "bad_request"},
    {"HTTP/0.9 by name", "GET /hello HTTP/0.9\r\n" HOST "\r\n", "505", "version_not_supported"},
    {"folded header", "GET /hello HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", "400", "bad_request"},
    {"folded TE", POST_TO_ECHO "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "400",
     "bad_request"},
    {"fold before any header", "GET /hello HTTP/1.1\r\n Host: a\r\n\r\n", "400", "bad_request"},
    {"no Host", "GET /hello HTTP/1.1\r\n\r\n", "400", "bad_request"},
    {"two Hosts", "GET /hello HTTP/1.1\r\n" HOST HOST "\r\n", "400", "bad_request"},
    {"Host with a path", "GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n", "400", "bad_request"},
    {"other host in the target", "GET http://b/hello HTTP/1.1\r\n" HOST "\r\n", "400",
     "bad_request"},
    {"target without a slash", "GET hello HTTP/1.1\r\n" HOST "\r\n", "400", "bad_request"},
    {"fragment", "GET /hello#a HTTP/1.1\r\n" HOST "\r\n", "400", "bad_request"},
    {"NUL in the path", "GET /hello%00 HTTP/1.1\r\n" HOST "\r\n", "400", "bad_request"},
    {"half an escape", "GET /hello%4 HTTP/1.1\r\n" HOST "\r\n", "400", "bad_request"},
    {"no hex escape", "GET /hello?a=%zz HTTP/1.1\r\n" HOST "\r\n", "400", "bad_request"},
    {"body on GET", "GET /hello HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", "400",
     "bad_request"},
    {"chunked body on GET",
     "GET /hello HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400",
     "bad_request"},
    {"upgrade", "GET /hello HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
     "501", "not_implemented"},
    {"upgrade to h2c", POST_TO_ECHO "Upgrade: h2c\r\nContent-Length: 3\r\n\r\nabc", "501",
     "not_implemented"},
    {"CONNECT", "CONNECT a:80 HTTP/1.1\r\n" HOST "\r\n", "501", "not_implemented"},
    {"Expect of something else", POST_TO_ECHO "Expect: tea\r\nContent-Length: 3\r\n\r\nabc", "417",
     "expectation_failed"},
    {"unknown path", "GET /nothing HTTP/1.1\r\n" HOST "\r\n", "404", "not_found"},
    {"trailing slash", "GET /hello/ HTTP/1.1\r\n" HOST "\r\n", "404", "not_found"},
    {"empty parameter", "GET /items//parts/2 HTTP/1.1\r\n" HOST "\r\n", "404", "not_found"},
    {"dots", "GET /items/../hello HTTP/1.1\r\n" HOST "\r\n", "404", "not_found"},
    {"other method", "POST /hello HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", "405",
     "method_not_allowed"},
    {"OPTIONS", "OPTIONS /hello HTTP/1.1\r\n" HOST "\r\n", "405", "method_not_allowed"},
    {"body past the limit", POST_TO_ECHO "Content-Length: 65537\r\n\r\n", "413", "body_too_large"},
    {"unknown coding", POST_TO_ECHO "Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc", "415",
     "unsupported_encoding"},
    {"two codings", POST_TO_ECHO "Content-Encoding: gzip, gzip\r\nContent-Length: 3\r\n\r\nabc",
     "415", "unsupported_encoding"},
    {"two coding headers",
     POST_TO_ECHO
     "Content-Encoding: gzip\r\nContent-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc",
     "415", "unsupported_encoding"},
    {"TLS", "\x16\x03\x01\x02\x01\x01", "400", "bad_request"},
};

static void check_refusal(size_t i, size_t step)
{
    struct text bytes = text_of(refused[i].bytes);
    CLEANUP(buffer_deinit) struct buffer answer = fixture_talk(&fixture, bytes, step);
    char status[32];
    char code[64];

    snprintf(status, sizeof(status), "HTTP/1.1 %s ", refused[i].status);
    snprintf(code, sizeof(code), "\"code\":\"%s\"", refused[i].code);
    cr_assert(contains(&answer, status), "%s: %.*s", refused[i].why, (int)answer.length, answer.at);
    cr_assert(contains(&answer, code), "%s: %.*s", refused[i].why, (int)answer.length, answer.at);
    cr_assert(contains(&answer, "application/problem+json"));
    cr_assert_eq(count_of(&answer, "\r\nContent-Length: "), 1, "%s", refused[i].why);
    cr_assert_eq(fixture.handled, 0, "%s reached a handler", refused[i].why);
}

Test(http_server, what_rfc_9112_forbids_is_refused_before_any_handler)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        check_refusal(i, 100000);
}

Test(http_server, refusals_are_the_same_when_every_byte_comes_alone)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        check_refusal(i, 1);
}

/* What must be taken. */
static const char *const taken[] = {
    "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /hello HTTP/1.0\r\n\r\n",
    "GET http://A/hello HTTP/1.1\r\nhost: a\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: [::1]:8080\r\nEmpty:\r\nTabbed:\tb\t\r\n\r\n",
    "GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Encoding: identity\r\nContent-Length: 1\r\n\r\na",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
    "2\r\nab\r\n003;x=\"q\"\r\ncde\r\n0\r\nTrailer: t\r\n\r\n",
    "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
    "POST /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "GET /items/a%2Fb/parts/%C3%A9?x=1&y=a+b%2B&&z HTTP/1.1\r\nHost: a\r\n\r\n",
};

Test(http_server, a_request_fed_byte_by_byte_gets_the_same_answer_as_at_once)
{
    for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
        CLEANUP(buffer_deinit) struct buffer whole = fixture_say(&fixture, taken[i]);

        cr_assert(contains(&whole, "HTTP/1.1 20"), "%s: %.*s", taken[i], (int)whole.length,
                  whole.at);
        for (size_t step = 1; step <= 7; step++) {
            CLEANUP(buffer_deinit)
            struct buffer split = fixture_talk(&fixture, text_of(taken[i]), step);

            cr_assert(text_equal(buffer_text(&whole), buffer_text(&split)), "%s by %zu:\n%.*s",
                      taken[i], step, (int)split.length, split.at);
        }
    }
}

Test(http_server, chunks_are_put_together_and_trailers_dropped)
{
    CLEANUP(buffer_deinit) struct buffer answer = fixture_say(&fixture, taken[9]);

    cr_assert(contains(&answer, "Content-Length: 5\r\n"));
    cr_assert(contains(&answer, "\r\n\r\nabcde"));
}

Test(http_server, path_parameters_and_the_query_are_decoded)
{
    CLEANUP(buffer_deinit) struct buffer answer = fixture_say(&fixture, taken[12]);

    cr_assert(contains(&answer, "\r\n\r\na/b|\xc3\xa9|x=1|y=a b+|z="), "%.*s", (int)answer.length,
              answer.at);
}

Test(http_server, head_is_answered_as_get_without_the_body)
{
    CLEANUP(buffer_deinit)
    struct buffer answer = fixture_say(&fixture, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");

    cr_assert(contains(&answer, "Content-Length: 17\r\n"));
    cr_assert(text_equal(text_from(answer.at + answer.length - 4, 4), text_of("\r\n\r\n")));
}

Test(http_server, a_refused_method_names_those_that_are_taken)
{
    CLEANUP(buffer_deinit)
    struct buffer answer = fixture_say(&fixture, "DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n"
                                                 "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");

    cr_assert(contains(&answer, "Allow: GET, HEAD\r\n"), "%.*s", (int)answer.length, answer.at);
    cr_assert(contains(&answer, "HTTP/1.1 200 OK"), "a whole request leaves the connection usable");
}

Test(http_server, pipelined_requests_are_answered_in_order)
{
    static const char *const paths[20] = {[0] = "later", [7] = "forget", [8] = "forget"};
    CLEANUP(buffer_deinit) struct buffer requests = {0};
    CLEANUP(buffer_deinit) struct buffer wanted = {0};
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    const char *at;

    for (int i = 0; i < 200; i++)
        buffer_printf(&requests, "POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n%04d",
                      paths[i % 20] ? paths[i % 20] : "echo", i);
    answer = fixture_talk(&fixture, buffer_text(&requests), requests.length);

    cr_assert_eq(count_of(&answer, "HTTP/1.1 20"), 200);
    buffer_add_char(&answer, '\0');
    at = answer.at;
    for (int i = 0; i < 200; i++) {
        buffer_clear(&wanted);
        buffer_printf(&wanted, "\r\n\r\n%04d", i);
        buffer_add_char(&wanted, '\0');
        at = strstr(at, wanted.at);
        cr_assert(at, "answer %d is missing or out of order", i);
    }
}

static int64_t clock_ms(void)
{
    return instant_ms(instant_now());
}

Test(http_server, a_request_has_the_time_at_which_it_came)
{
    for (int i = 0; i < 3; i++) {
        CLEANUP(buffer_deinit) struct buffer answer = {0};
        int64_t before_ms = clock_ms();

        usleep(3000);
        answer =
            fixture_say(&fixture, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");

        cr_assert(contains(&answer, "200 OK"));
        cr_assert_geq(fixture.arrived_ms, before_ms);
        cr_assert_leq(fixture.arrived_ms, clock_ms());
    }
}

static void hold_little(int fd, int option)
{
    int bytes = 4096;

    cr_assert_eq(setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof(bytes)), 0);
}

Test(http_server, answers_that_the_socket_does_not_take_come_later_and_whole)
{
    CLEANUP(buffer_deinit) struct buffer requests = {0};
    CLEANUP(buffer_deinit) struct buffer answers = {0};
    int fd = fixture_connect(&fixture);

    fixture_step(&fixture);
    hold_little(fixture.server->connections->fd, SO_SNDBUF);
    hold_little(fd, SO_RCVBUF);
    for (int i = 0; i < 900; i++)
        buffer_add_string(&requests, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    fixture_send(&fixture, fd, buffer_text(&requests), SIZE_MAX);
    cr_assert_gt(fixture.server->connections->unsent.length, 0, "its client doesn't read");
    shutdown(fd, SHUT_WR);

    cr_assert(fixture_wait_closed(&fixture, fd, &answers, 10000));
    cr_assert_eq(count_of(&answers, "HTTP/1.1 200 OK\r\nDate: "), 900);
    cr_assert_eq(count_of(&answers, "\r\n\r\n{\"hello\":\"world\"}"), 900);
    close(fd);
}

/* The fields that a kept head could have of another one. */
static void check_head(const char *request, const char *status, const char *type, const char *more)
{
    CLEANUP(buffer_deinit) struct buffer answer = fixture_say(&fixture, request);

    cr_assert(contains(&answer, status), "%s: %.*s", request, (int)answer.length, answer.at);
    cr_assert(contains(&answer, type), "%s: %.*s", request, (int)answer.length, answer.at);
    cr_assert(contains(&answer, more), "%s: %.*s", request, (int)answer.length, answer.at);
}

Test(http_server, an_answers_head_is_its_own_whatever_was_answered_before_it)
{
    static const struct {
        const char *request, *status, *type, *more;
    } all[] = {
        {"GET /hello HTTP/1.1\r\n" HOST "\r\n", " 200 OK\r\n", ": application/json\r\n",
         "-Length: 17\r\n\r\n{"},
        {POST_TO_ECHO "Content-Length: 17\r\n\r\n0123456789abcdefg", " 200 OK\r\n",
         ": text/plain\r\n", "-Length: 17\r\n\r\n0"},
        {POST_TO_ECHO "Content-Length: 1\r\n\r\n0", " 200 OK\r\n", ": text/plain\r\n",
         "-Length: 1\r\n\r\n0"},
        {"POST /later HTTP/1.1\r\n" HOST "Content-Length: 17\r\n\r\n0123456789abcdefg",
         " 202 Accepted\r\n", ": application/json\r\n", "-Length: 17\r\n\r\n0"},
        {POST_TO_ECHO "Connection: close\r\nContent-Length: 17\r\n\r\n0123456789abcdefg",
         " 200 OK\r\n", ": text/plain\r\n", "-Length: 17\r\nConnection: close\r\n\r\n0"},
        {"HEAD /hello HTTP/1.1\r\n" HOST "\r\n", " 200 OK\r\n", ": application/json\r\n",
         "-Length: 17\r\n\r\n"},
        {"GET /hello HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n", " 200 OK\r\n",
         ": application/json\r\n", "-Length: 17\r\nConnection: keep-alive\r\n\r\n{"},
    };

    for (size_t i = 0; i < ARRAY_LEN(all) * ARRAY_LEN(all); i++) {
        size_t before = i / ARRAY_LEN(all), now = i % ARRAY_LEN(all);

        check_head(all[before].request, all[before].status, all[before].type, all[before].more);
        check_head(all[now].request, all[now].status, all[now].type, all[now].more);
    }
}

Test(http_server, an_answer_is_dated_when_it_is_sent)
{
    const char *request = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    CLEANUP(buffer_deinit) struct buffer first = {0};
    CLEANUP(buffer_deinit) struct buffer second = {0};
    int fd = fixture_connect(&fixture);

    fixture_send(&fixture, fd, text_of(request), SIZE_MAX);
    cr_assert(fixture_wait_for(&fixture, fd, &first, "{", 1000));
    usleep(1000000);
    fixture_send(&fixture, fd, text_of(request), SIZE_MAX);
    cr_assert(fixture_wait_for(&fixture, fd, &second, "{", 1000));

    cr_assert(contains(&second, "Date: "));
    cr_assert_not(text_equal(buffer_text(&first), buffer_text(&second)));
    close(fd);
}

Test(http_server, expect_100_continue_is_honoured_when_the_body_waits_for_it)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    int fd = fixture_connect(&fixture);

    fixture_send(&fixture, fd,
                 text_of("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                         "Content-Length: 3\r\n\r\n"),
                 1000);
    cr_assert(fixture_wait_for(&fixture, fd, &answer, "HTTP/1.1 100 Continue\r\n\r\n", 1000));
    fixture_send(&fixture, fd, text_of("abc"), 3);
    cr_assert(fixture_wait_for(&fixture, fd, &answer, "\r\n\r\nabc", 1000));
    cr_assert_eq(count_of(&answer, "HTTP/1.1 "), 2);
    close(fd);
}

Test(http_server, a_body_that_would_be_refused_is_not_asked_for)
{
    CLEANUP(buffer_deinit)
    struct buffer answer =
        fixture_say(&fixture, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                              "Content-Length: 65537\r\n\r\n");

    cr_assert(contains(&answer, "HTTP/1.1 413 "));
    cr_assert_eq(count_of(&answer, "100 Continue"), 0);
}

static struct buffer sized_request(const char *path, size_t length)
{
    struct buffer request = {0};

    buffer_printf(&request, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", path,
                  length);
    for (size_t i = 0; i < length; i++)
        buffer_add_char(&request, (char)('a' + i % 23));
    return request;
}

Test(http_server, a_body_at_the_limit_is_taken_whole_and_one_byte_more_refused)
{
    CLEANUP(buffer_deinit)
    struct buffer fits = sized_request("/echo/large", FIXTURE_LARGE_MAX);
    CLEANUP(buffer_deinit)
    struct buffer exceeds = sized_request("/echo/large", FIXTURE_LARGE_MAX + 1);
    CLEANUP(buffer_deinit)
    struct buffer taken_whole = fixture_talk(&fixture, buffer_text(&fits), fits.length);
    CLEANUP(buffer_deinit)
    struct buffer refusal = fixture_talk(&fixture, buffer_text(&exceeds), exceeds.length);

    cr_assert_gt(taken_whole.length, FIXTURE_LARGE_MAX);
    cr_assert(memcmp(taken_whole.at + taken_whole.length - FIXTURE_LARGE_MAX,
                     fits.at + fits.length - FIXTURE_LARGE_MAX, FIXTURE_LARGE_MAX) == 0);
    cr_assert(contains(&refusal, "body_too_large"),
              "the refusal reaches a client that still sends");
}

Test(http_server, a_chunked_body_at_the_limit_is_taken_whole_and_one_byte_more_refused)
{
    for (size_t more = 0; more <= 1; more++) {
        CLEANUP(buffer_deinit) struct buffer request = {0};
        CLEANUP(buffer_deinit) struct buffer answer = {0};
        size_t left = FIXTURE_ECHO_MAX + more;

        buffer_add_string(&request, "POST /echo HTTP/1.1\r\nHost: a\r\n"
                                    "Transfer-Encoding: chunked\r\n\r\n");
        while (left > 0) {
            size_t chunk = left < 7001 ? left : 7001;

            buffer_printf(&request, "%zx\r\n%0*d\r\n", chunk, (int)chunk, 7);
            left -= chunk;
        }
        buffer_add_string(&request, "0\r\n\r\n");
        answer = fixture_talk(&fixture, buffer_text(&request), 5000);
        cr_assert_eq(contains(&answer, "Content-Length: 65536\r\n"), more == 0);
        cr_assert_eq(contains(&answer, "body_too_large"), more == 1);
    }
}

Test(http_server, chunk_extensions_are_taken_up_to_256_bytes)
{
    for (int length = 240; length <= 270; length += 30) {
        CLEANUP(buffer_deinit) struct buffer request = {0};
        CLEANUP(buffer_deinit) struct buffer answer = {0};

        buffer_printf(&request,
                      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "1;%0*d\r\na\r\n0\r\n\r\n",
                      length, 7);
        answer = fixture_talk(&fixture, buffer_text(&request), request.length);
        cr_assert_eq(contains(&answer, "HTTP/1.1 200"), length < 256, "%d: %.*s", length,
                     (int)answer.length, answer.at);
    }
}

static void check_limit(const char *format, int length, const char *wanted)
{
    CLEANUP(buffer_deinit) struct buffer request = {0};
    struct buffer answer;

    for (size_t step = 1; step <= 100000; step += 99999) {
        buffer_clear(&request);
        if (*format == 'l')
            buffer_printf(&request, "GET /hello?%0*d HTTP/1.1\r\nHost: a\r\n\r\n", length, 7);
        if (*format == 'h')
            buffer_printf(&request, "GET /hello HTTP/1.1\r\nHost: a\r\nA: %0*d\r\n\r\n", length, 7);
        if (*format == 'n') {
            buffer_add_string(&request, "GET /hello HTTP/1.1\r\nHost: a\r\n");
            for (int i = 1; i < length; i++)
                buffer_printf(&request, "A: %d\r\n", i);
            buffer_add_string(&request, "\r\n");
        }
        if (*format == 't')
            buffer_printf(&request,
                          POST_TO_ECHO "Transfer-Encoding: chunked\r\n\r\n0\r\nT: %0*d\r\n\r\n",
                          length, 7);
        answer = fixture_talk(&fixture, buffer_text(&request), step);
        cr_assert(contains(&answer, wanted), "%s %d by %zu: %.*s", format, length, step,
                  (int)answer.length, answer.at);
        buffer_deinit(&answer);
    }
}

Test(http_server, request_line_headers_and_their_number_are_taken_up_to_their_limits)
{
    enum { LINE = 2048 - 20, HEADERS = 16 * 1024 - 9 - 5 - 2 };

    check_limit("line", LINE, "HTTP/1.1 200");
    check_limit("line", LINE + 1, "HTTP/1.1 414");
    check_limit("headers", HEADERS, "HTTP/1.1 200");
    check_limit("headers", HEADERS + 1, "HTTP/1.1 431");
    check_limit("number", 64, "HTTP/1.1 200");
    check_limit("number", 65, "HTTP/1.1 431");
}

Test(http_server, trailers_are_passed_over_up_to_the_limit_of_headers)
{
    check_limit("trailers", 16 * 1024 - 1, "HTTP/1.1 200");
    check_limit("trailers", 16 * 1024, "HTTP/1.1 431");
}

Test(http_server, answers_of_any_length_come_whole)
{
    for (size_t length = HTTP_JOINED_BODY_MAX - 1; length <= HTTP_JOINED_BODY_MAX + 1; length++) {
        CLEANUP(buffer_deinit) struct buffer request = sized_request("/echo", length);
        CLEANUP(buffer_deinit)
        struct buffer answer = fixture_talk(&fixture, buffer_text(&request), request.length);
        const char *body = answer.at + answer.length - length;

        cr_assert_gt(answer.length, length);
        cr_assert(memcmp(body, request.at + request.length - length, length) == 0);
        cr_assert(memcmp(body - 4, "\r\n\r\n", 4) == 0);
    }
}

Test(http_server, a_slow_reader_gets_a_large_answer_whole)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    char bytes[4096];
    int fd = fixture_connect(&fixture);

    fixture_send(&fixture, fd,
                 text_of("GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
                         "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
                 1000);
    for (ssize_t count = 1; count > 0;) {
        fixture_step(&fixture);
        count = recv(fd, bytes, sizeof(bytes), 0);
        if (count > 0)
            buffer_add(&answer, bytes, (size_t)count);
    }
    cr_assert(contains(&answer, "{\"hello\":\"world\"}"));
    cr_assert_gt(answer.length, 8 * 1024 * 1024);
    close(fd);
}

Test(http_server, a_client_that_went_away_changes_nothing_for_the_handler)
{
    int fd = fixture_connect(&fixture);
    const struct linger at_once = {.l_onoff = 1};

    fixture_send(&fixture, fd, text_of(taken[10]), 1000);
    cr_assert_eq(fixture.handled, 1);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
    for (int i = 0; i < 50; i++) {
        fixture_step(&fixture);
        usleep(1000);
    }
}

Test(http_server, bearer_and_headers_are_found_whatever_their_case)
{
    struct http_header headers[] = {{text_of("X-One"), text_of("1")},
                                    {text_of("AUTHORIZATION"), text_of("bearer  mk_test_1 ")}};
    struct http_request request = {.headers = headers, .header_count = 2};

    cr_assert(text_is(http_header(&request, "x-one"), "1"));
    cr_assert(text_is_absent(http_header(&request, "x-two")));
    cr_assert(text_is(http_bearer(&request), "mk_test_1"));
    headers[1].value = text_of("Basic abc");
    cr_assert(text_is_absent(http_bearer(&request)));
}

Test(http_server, an_address_that_is_taken_or_isnt_one_is_a_fault)
{
    struct http_server *server = NULL;

    cr_assert_lt(
        http_server_new(&fixture.loop, http_server_address(fixture.server), NULL, 0, NULL, &server),
        0);
    cr_assert_lt(http_server_new(&fixture.loop, "nonsense", NULL, 0, NULL, &server), 0);
    cr_assert_null(server);
}
