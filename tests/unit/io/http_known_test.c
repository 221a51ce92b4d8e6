/*
 * http_known_test.c - heads that come again on their connection.
 */
#include "common/io/http_known.h"
#include "tests/unit/io/http_fixture.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
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

TestSuite(http_known, .init = start, .fini = stop, .timeout = 120);

#define BODY "twelve bytes"

static const char *const requests[] = {
    "POST /tell/a?b=%20c HTTP/1.1\r\nHost: a\r\nContent-Type: x/y\r\n"
    "Authorization: Bearer k\r\nContent-Length: 12\r\n\r\n" BODY,
    "\r\nPOST http://a:1/tell/b HTTP/1.0\r\ncontent-length:  12 \r\nConnection: keep-alive\r\n"
    "Host: a:1\r\nEmpty:\r\n\r\n" BODY,
    "POST /tell/c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0012\r\n\r\n" BODY,
};

static void add(struct buffer *buffer, struct text text, int times)
{
    for (int i = 0; i < times; i++)
        buffer_add_text(buffer, text);
}

/* `third`, sent behind `known` twice, is answered as on a connection of its own. */
static void check_third(struct text known, const struct buffer *known_answer, struct text third,
                        size_t step)
{
    CLEANUP(buffer_deinit) struct buffer alone = fixture_talk(&fixture, third, third.length);
    CLEANUP(buffer_deinit) struct buffer sent = {0};
    CLEANUP(buffer_deinit) struct buffer wanted = {0};
    CLEANUP(buffer_deinit) struct buffer got = {0};

    add(&sent, known, 2);
    add(&sent, third, 1);
    add(&wanted, buffer_text(known_answer), 2);
    add(&wanted, buffer_text(&alone), 1);
    got = fixture_talk(&fixture, buffer_text(&sent), step);
    cr_assert(text_equal(buffer_text(&got), buffer_text(&wanted)), "%.*s\n---\n%.*s\n---\n%.*s",
              (int)third.length, third.at, (int)wanted.length, wanted.at, (int)got.length, got.at);
}

/* The request with bytes [at, at + cut) replaced by `bytes`, as third. */
static void check_changed(struct text known, const struct buffer *known_answer, size_t at,
                          size_t cut, struct text bytes)
{
    CLEANUP(buffer_deinit) struct buffer changed = {0};

    buffer_add(&changed, known.at, at);
    buffer_add_text(&changed, bytes);
    buffer_add(&changed, known.at + at + cut, known.length - at - cut);
    check_third(known, known_answer, buffer_text(&changed), SIZE_MAX);
}

Test(http_known, a_head_behind_its_like_means_what_it_means_alone_whatever_byte_differs)
{
    static const char others[] = "\0\t\r\n 01:,;Aa\x80";

    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct text request = text_of(requests[i]);
        CLEANUP(buffer_deinit)
        struct buffer answer = fixture_talk(&fixture, request, request.length);

        cr_assert_eq(count_of(&answer, "HTTP/1.1 200 OK"), 1);
        for (size_t at = 0; at < request.length - strlen(BODY); at++) {
            check_changed(request, &answer, at, 1, text_of(""));
            check_changed(request, &answer, at, 0, text_from(request.at + at, 1));
            for (size_t c = 0; c < sizeof(others) - 1; c++)
                check_changed(request, &answer, at, 1, text_from(&others[c], 1));
        }
    }
}

Test(http_known, a_head_that_comes_in_pieces_means_the_same)
{
    for (size_t i = 0; i < ARRAY_LEN(requests) - 1; i++) {
        struct text request = text_of(requests[i]);
        CLEANUP(buffer_deinit)
        struct buffer answer = fixture_talk(&fixture, request, request.length);

        for (size_t step = 1; step < 3 * request.length; step += 7)
            check_third(request, &answer, request, step);
    }
}

/* --- what is known --- */

static void ask(int fd, const char *request, const char *wanted)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};

    fixture_send(&fixture, fd, text_of(request), SIZE_MAX);
    cr_assert(fixture_wait_for(&fixture, fd, &answer, wanted, 5000));
}

static int connection_with(const char *request, int times)
{
    int fd = fixture_connect(&fixture);

    for (int i = 0; i < times; i++)
        ask(fd, request, "HTTP/1.1 200 OK");
    return fd;
}

static size_t known_length(const char *bytes, uint64_t *content_length)
{
    return http_known_length(fixture.server->connections->known, text_of(bytes), content_length);
}

#define HEAD_OF(length)                                                                            \
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " length "\r\nX: y\r\n\r\n"

Test(http_known, a_head_is_known_by_all_its_bytes_but_the_digits_of_its_length)
{
    const char *known = HEAD_OF("12");
    int fd = connection_with(HEAD_OF("12") BODY, 2);
    uint64_t length = 0;

    cr_assert_eq(known_length(known, &length), strlen(known));
    cr_assert_eq(length, 12);
    cr_assert_eq(known_length(HEAD_OF("97") "and more", &length), strlen(known));
    cr_assert_eq(length, 97);
    cr_assert_eq(known_length(HEAD_OF("07"), &length), strlen(known));
    cr_assert_eq(length, 7);
    for (size_t cut = 0; cut < strlen(known); cut++)
        cr_assert_eq(
            http_known_length(fixture.server->connections->known, text_from(known, cut), &length),
            0);
    cr_assert_eq(known_length(HEAD_OF("1"), &length), 0);
    cr_assert_eq(known_length(HEAD_OF("123"), &length), 0);
    cr_assert_eq(known_length(HEAD_OF("00"), &length), 0);
    cr_assert_eq(known_length(HEAD_OF("1 "), &length), 0);
    cr_assert_eq(known_length(HEAD_OF("+1"), &length), 0);
    cr_assert_eq(known_length(HEAD_OF("1a"), &length), 0);
    close(fd);
}

Test(http_known, a_known_head_with_a_length_beyond_the_route_is_refused)
{
    CLEANUP(buffer_deinit) struct buffer request = {0};
    int fd;

    buffer_add_string(&request, HEAD_OF("10000"));
    for (int i = 0; i < 10000; i++)
        buffer_add_char(&request, 'x');
    buffer_add_char(&request, '\0');
    fd = connection_with(request.at, 2);
    ask(fd, HEAD_OF("65537"), "413 Content Too Large");
    close(fd);
}

/* The known one was parsed while another's exchange was in use, the last is not. */
Test(http_known, a_known_head_is_its_own_requests_whoever_is_served_beside_it)
{
    CLEANUP(buffer_deinit) struct buffer later = {0};
    int slow = fixture_connect(&fixture);
    int fd;

    fixture_send(&fixture, slow,
                 text_of("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"),
                 SIZE_MAX);
    fd = connection_with(HEAD_OF("12") BODY, 2);
    cr_assert(fixture_wait_for(&fixture, slow, &later, "202 Accepted", 5000));
    ask(fd, HEAD_OF("12") "other  bytes", "\r\n\r\nother  bytes");
    close(slow);
    close(fd);
}

Test(http_known, a_known_head_is_known_still_when_its_input_was_forgotten)
{
    int fd = fixture_connect(&fixture);

    for (int i = 0; i < 5; i++) {
        char request[128], wanted[64];
        int length = i % 2 ? 12 : 37;

        snprintf(request, sizeof(request),
                 "POST /forget HTTP/1.1\r\nHost: a\r\nId: mine\r\nContent-Length: %d\r\n\r\n%0*d",
                 length, length, i);
        snprintf(wanted, sizeof(wanted), "\r\n\r\nmine%0*d", length, i);
        ask(fd, request, wanted);
    }
    cr_assert_eq(fixture.server->connections->unknown, 0);
    close(fd);
}

Test(http_known, what_has_no_length_or_was_decoded_is_not_kept)
{
    static const char *const others[] = {
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        "POST /tell/%61 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0000000001\r\n\r\nx",
    };

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        int fd = connection_with(others[i], 3);

        cr_assert_null(fixture.server->connections->known, "%s", others[i]);
        close(fd);
        fixture_step(&fixture);
    }
}

/* A request with an id of its own; whether its head is known once it was answered. */
static bool makes_known(int fd, int nth)
{
    char request[128];
    uint64_t length;

    snprintf(request, sizeof(request),
             "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nId: %d\r\n\r\nx", nth);
    ask(fd, request, "HTTP/1.1 200 OK");
    return known_length(request, &length) > 0;
}

Test(http_known, heads_that_do_not_come_again_are_kept_ever_more_seldom)
{
    int fd = fixture_connect(&fixture);

    for (int nth = 1; nth <= 40; nth++)
        cr_assert_eq(makes_known(fd, nth), nth > 1 && (nth & (nth - 1)) == 0, "%d", nth);
    cr_assert(makes_known(fd, 32));
    cr_assert(makes_known(fd, 41), "one was known, so the next may be");
    close(fd);
}
