#include "common/io/http_known.h"

#include "common/base/secret.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_MOST = 9 };

struct http_known {
    size_t length;            /* of the head */
    size_t digits_at, digits; /* where its Content-Length stands */
    /* Both lie behind this, in one allocation. */
    struct http_exchange *exchange; /* its texts are parts of `bytes` */
    char *bytes;                    /* the head's */
};

struct http_known *http_known_free(struct http_known *known)
{
    if (known)
        arena_deinit(&known->exchange->arena);
    free(known);
    return NULL;
}

/* Of the only Content-Length, as sent; llhttp lets neither a second one through nor anything but
 * digits. */
static struct text length_of(const struct http_exchange *exchange)
{
    for (size_t i = 0; i < exchange->head.header_count; i++)
        if (text_equal_ignoring_case(exchange->headers[i].name, text_of("content-length")))
            return exchange->headers[i].value;
    return (struct text){0};
}

/* Nothing of it lies elsewhere, and its body is still to come, all of it. */
static bool can_be_kept(const struct http_exchange *exchange, struct text digits)
{
    const struct http_server *server = exchange->connection->server;

    return exchange->head_length <= server->limits.known_head && exchange->arena.used == 0 &&
           !exchange->complete && !exchange->head.chunked && digits.length > 0 &&
           digits.length <= DIGITS_MOST;
}

static struct http_known *make(const struct http_exchange *exchange)
{
    size_t headers = exchange->head.header_count * sizeof(struct http_header);
    struct http_known *known =
        malloc(sizeof(*known) + sizeof(*exchange) + headers + exchange->head_length);

    if (!known)
        abort();
    known->length = exchange->head_length;
    known->exchange = (struct http_exchange *)(known + 1);
    known->bytes = (char *)known->exchange->headers + headers;
    *known->exchange = *exchange;
    memcpy(known->exchange->headers, exchange->headers, headers);
    known->exchange->is_known = true;
    known->exchange->request.arena = &known->exchange->arena;
    known->exchange->request.headers = known->exchange->head.headers = known->exchange->headers;
    arena_init(&known->exchange->arena, exchange->connection->server->limits.arena_bytes);
    return known;
}

struct http_known *http_known_keep(struct http_known *known, const struct http_exchange *exchange)
{
    const char *input = exchange->connection->input;
    struct text digits = length_of(exchange);

    known = http_known_free(known);
    if (!can_be_kept(exchange, digits))
        return NULL;
    known = make(exchange);
    known->digits_at = (size_t)(digits.at - input);
    known->digits = digits.length;
    memcpy(known->bytes, input, known->length);
    http_exchange_rebase(known->exchange, input, known->length, known->bytes);
    return known;
}

static bool read_digits(struct text digits, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9')
            return false;
        *number = *number * 10 + (uint64_t)(digits.at[i] - '0');
    }
    return *number > 0; /* without a body the request ends with its head */
}

size_t http_known_length(const struct http_known *known, struct text bytes,
                         uint64_t *content_length)
{
    size_t behind;

    if (!known || bytes.length < known->length)
        return 0;
    behind = known->digits_at + known->digits;
    if (!secret_equal(bytes.at, known->bytes, known->digits_at) ||
        !secret_equal(bytes.at + behind, known->bytes + behind, known->length - behind) ||
        !read_digits(text_from(bytes.at + known->digits_at, known->digits), content_length))
        return 0;
    return known->length;
}

struct http_exchange *http_known_recall(struct http_known *known, uint64_t content_length)
{
    struct http_exchange *exchange = known->exchange;
    struct http_connection *connection = exchange->connection;

    assert(content_length > 0);
    memcpy(known->bytes + known->digits_at, connection->input + known->digits_at, known->digits);
    exchange->head.content_length = content_length;
    exchange->request.body = (struct text){0};
    exchange->body_length = 0;
    exchange->complete = false;
    exchange->refusal = NULL;
    connection->parsed = known->length;
    return exchange;
}
