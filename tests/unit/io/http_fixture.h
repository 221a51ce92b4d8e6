/*
 * http_fixture.h - a server on 127.0.0.1 and a client that speaks raw bytes to it, both stepped by
 * the test.
 *
 * Routes: GET /hello; POST /echo (64 KiB) and /echo/large (4 MiB) answer with the body; POST
 * /tell/{what} with all that a handler sees of the request;
 * GET /items/{item}/parts/{part}; POST /later answers 20 ms later, and so does
 * POST /forget, which forgets its input and answers with copies of the header Id and the body;
 * GET /large answers 8 MiB; GET /headers?many=xxx has as many headers Header-0, … of 1,000 bytes as
 * there are x.
 */
#pragma once

#include "common/io/http.h"

enum { FIXTURE_ECHO_MAX = 64 * 1024, FIXTURE_LARGE_MAX = 4 * 1024 * 1024 };

struct fixture {
    uv_loop_t loop;
    struct http_server *server;
    int port;
    size_t handled;     /* requests that reached a handler */
    int64_t arrived_ms; /* of the last one to /echo */
    bool closed;
};

void fixture_start(struct fixture *fixture, const struct http_limits *limits);
void fixture_stop(struct fixture *fixture); /* drains, frees, checks that nothing is left */
int fixture_connect(struct fixture *fixture);
void fixture_step(struct fixture *fixture); /* the loop, as far as it goes without waiting */
/* Sends `bytes`, `step` at a time. */
void fixture_send(struct fixture *fixture, int fd, struct text bytes, size_t step);
/* Adds what has come in; true once the server has closed the connection. */
bool fixture_receive(struct fixture *fixture, int fd, struct buffer *answer);
/* Runs the loop until the connection is closed; false after `ms`. */
bool fixture_wait_closed(struct fixture *fixture, int fd, struct buffer *answer, int ms);
/* Runs the loop until `answer` has `wanted` in it; false after `ms`. */
bool fixture_wait_for(struct fixture *fixture, int fd, struct buffer *answer, const char *wanted,
                      int ms);
/* One connection's whole talk: sends, closes its side, gathers the answers without Date lines.
 * The caller's to buffer_deinit. */
struct buffer fixture_talk(struct fixture *fixture, struct text bytes, size_t step);
struct buffer fixture_say(struct fixture *fixture, const char *bytes);
bool contains(const struct buffer *answer, const char *wanted);
size_t count_of(const struct buffer *answer, const char *wanted);
