/*
 * http_known.h - a head that its connection has sent before isn't parsed again.
 *
 * What a head means hangs on its bytes alone: llhttp starts anew with each request, and the routes
 * and limits of a server don't change. So a head whose bytes are those of the one that was kept
 * means the same. The digits of its Content-Length may be others, as many: nothing but the
 * number is made of them, which is set.
 *
 * Kept is a head whose request has a Content-Length, 1 to 999,999,999, by its own connection alone:
 * it holds a key. How long comparing takes says nothing of where bytes differ.
 *
 * Limits     `known_head` of the server's limits.
 * Ownership  The connection's: http_known_free, once its exchange was given back.
 * Threads    The loop's.
 */
#pragma once

#include "common/io/http_connection.h"

/* Keeps the exchange's head, parsed and routed, instead of what `known` is, which may be NULL;
 * returns NULL when it is none to keep. */
MUST_USE struct http_known *http_known_keep(struct http_known *known,
                                            const struct http_exchange *exchange);
struct http_known *http_known_free(struct http_known *known);
/* The known head's length when the bytes begin with it, with the Content-Length that they say;
 * else 0. `known` may be NULL. */
size_t http_known_length(const struct http_known *known, struct text bytes,
                         uint64_t *content_length);
/* The exchange that parsing and routing the head at its connection's input made, but for its
 * length, for the next request. Its texts lie in `known`. */
MUST_USE struct http_exchange *http_known_recall(struct http_known *known, uint64_t content_length);
