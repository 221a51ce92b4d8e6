/*
 * http_exchange.c - one request's bytes through llhttp.
 *
 * The head is given to llhttp whole, so every name and value comes in one piece and can be kept as
 * a text of the input. The body stays where it was read to: with a Content-Length it is in place
 * already, and chunks are moved together over their framing.
 */
#include "common/io/http_connection.h"

#include <string.h>

static const struct http_refusal many_headers = {431, "headers_too_large",
                                                 "there are too many headers"};
static const struct http_refusal long_trailers = {431, "headers_too_large",
                                                  "the trailers are too large"};
static const struct http_refusal long_extensions = {400, "bad_request",
                                                    "there are too many chunk extensions"};
static const struct http_refusal large_body = {413, "body_too_large",
                                               "the body is larger than this route takes"};

static int refuse(struct http_exchange *exchange, const struct http_refusal *refusal)
{
    exchange->refusal = refusal;
    return HPE_USER;
}

/* llhttp may report a run in pieces that touch. */
static struct text extend(struct text text, const char *at, size_t length)
{
    return text.at && text.at + text.length == at ? text_from(text.at, text.length + length)
                                                  : text_from(at, length);
}

static int on_target(llhttp_t *parser, const char *at, size_t length)
{
    struct http_exchange *exchange = parser->data;

    exchange->head.target = extend(exchange->head.target, at, length);
    return 0;
}

static int on_trailer(struct http_exchange *exchange, size_t length)
{
    exchange->trailers += length;
    if (exchange->trailers > exchange->connection->server->limits.header_bytes)
        return refuse(exchange, &long_trailers);
    return 0;
}

static int on_header_name(llhttp_t *parser, const char *at, size_t length)
{
    struct http_exchange *exchange = parser->data;
    size_t count = exchange->head.header_count;
    struct http_header *last = count ? &exchange->headers[count - 1] : NULL;

    if (exchange->headers_complete)
        return on_trailer(exchange, length);
    if (last && last->name.at + last->name.length == at) {
        last->name.length += length;
        return 0;
    }
    if (count == exchange->connection->server->limits.headers)
        return refuse(exchange, &many_headers);
    exchange->headers[count] = (struct http_header){text_from(at, length), {at + length, 0}};
    exchange->head.header_count++;
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t length)
{
    struct http_exchange *exchange = parser->data;
    struct http_header *header;

    if (exchange->headers_complete)
        return on_trailer(exchange, length);
    header = &exchange->headers[exchange->head.header_count - 1];
    header->value = extend(header->value, at, length);
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct http_exchange *exchange = parser->data;
    struct http_head *head = &exchange->head;
    const struct http_refusal *refusal;

    for (size_t i = 0; i < head->header_count; i++)
        exchange->headers[i].value = text_trim(exchange->headers[i].value);
    head->headers = exchange->headers;
    head->minor = parser->http_minor;
    head->upgraded = parser->upgrade;
    head->chunked = (parser->flags & F_CHUNKED) != 0;
    head->content_length = (parser->flags & F_CONTENT_LENGTH) ? parser->content_length : 0;
    head->reads_only = parser->method == HTTP_GET || parser->method == HTTP_HEAD;
    exchange->head_only = parser->method == HTTP_HEAD;
    exchange->headers_complete = true;
    exchange->keep_alive = llhttp_should_keep_alive(parser);
    refusal = http_check_head(head);
    return refusal ? refuse(exchange, refusal) : 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    struct http_exchange *exchange = parser->data;
    char *end = exchange->connection->input + exchange->head_length + exchange->body_length;

    if (length > exchange->route->body_max - exchange->body_length)
        return refuse(exchange, &large_body);
    if (at != end)
        memmove(end, at, length);
    exchange->body_length += length;
    return 0;
}

static int on_chunk_header(llhttp_t *parser)
{
    struct http_exchange *exchange = parser->data;

    if (parser->content_length > exchange->route->body_max - exchange->body_length)
        return refuse(exchange, &large_body);
    return 0;
}

static int on_chunk_extension(llhttp_t *parser, const char *at, size_t length)
{
    struct http_exchange *exchange = parser->data;

    (void)at;
    exchange->extensions += length; /* a name or value may come in pieces */
    if (exchange->extensions > HTTP_CHUNK_EXTENSION_MAX)
        return refuse(exchange, &long_extensions);
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct http_exchange *exchange = parser->data;

    exchange->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t callbacks = {
    .on_url = on_target,
    .on_header_field = on_header_name,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_message_complete = on_message_complete,
};

/* NULL when llhttp went on or paused because the message is complete. */
static const struct http_refusal *outcome_of(struct http_exchange *exchange, llhttp_errno_t rc)
{
    const char *reason = llhttp_get_error_reason(&exchange->parser);
    bool version = rc == HPE_INVALID_VERSION;

    if (exchange->refusal)
        return exchange->refusal;
    if (rc == HPE_OK || (rc == HPE_PAUSED && exchange->complete))
        return NULL;
    exchange->malformed = (struct http_refusal){
        version ? 505 : 400,
        version ? "version_not_supported" : "bad_request",
        reason && *reason ? reason : "the request isn't HTTP/1.1",
    };
    return &exchange->malformed;
}

const struct http_refusal *http_exchange_parse(struct http_exchange *exchange)
{
    static const struct http_refusal unfinished = {400, "bad_request",
                                                   "the head isn't closed by an empty line"};
    struct http_connection *connection = exchange->connection;
    const struct http_refusal *refusal;
    llhttp_errno_t rc;

    llhttp_init(&exchange->parser, HTTP_REQUEST, &callbacks);
    exchange->parser.data = exchange;
    rc = llhttp_execute(&exchange->parser, connection->input, exchange->head_length);
    refusal = outcome_of(exchange, rc);
    connection->parsed = exchange->head_length;
    if (refusal)
        return refusal;
    return exchange->headers_complete ? NULL : &unfinished;
}

static const struct http_refusal *feed_chunks(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;
    const char *from = connection->input + connection->parsed;
    const struct http_refusal *refusal;
    llhttp_errno_t rc;

    rc = llhttp_execute(&exchange->parser, from, connection->length - connection->parsed);
    refusal = outcome_of(exchange, rc);
    if (refusal)
        return refusal;
    if (exchange->complete)
        connection->parsed = (size_t)(llhttp_get_error_pos(&exchange->parser) - connection->input);
    else
        connection->parsed = connection->length = exchange->head_length + exchange->body_length;
    return NULL;
}

/* Of as many bytes as the head says, which are the body as they stand. */
static void feed_plain(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;
    size_t come = connection->length - exchange->head_length;

    exchange->complete = come >= exchange->head.content_length;
    exchange->body_length = exchange->complete ? exchange->head.content_length : come;
    connection->parsed = exchange->head_length + exchange->body_length;
}

const struct http_refusal *http_exchange_feed(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;

    if (exchange->complete || connection->parsed == connection->length)
        return NULL;
    if (exchange->head.chunked)
        return feed_chunks(exchange);
    feed_plain(exchange);
    return NULL;
}

static void rebase(struct text *text, const char *old, size_t length, const char *input)
{
    uintptr_t at = (uintptr_t)text->at;

    if (at >= (uintptr_t)old && at < (uintptr_t)old + length)
        text->at = input + (at - (uintptr_t)old);
}

void http_exchange_rebase(struct http_exchange *exchange, const char *old, size_t length,
                          const char *input)
{
    struct http_request *request = &exchange->request;

    rebase(&exchange->head.target, old, length, input);
    rebase(&request->path, old, length, input);
    rebase(&request->query, old, length, input);
    for (size_t i = 0; i < HTTP_PARAMETERS_MAX; i++)
        rebase(&request->parameters[i], old, length, input);
    for (size_t i = 0; i < exchange->head.header_count; i++) {
        rebase(&exchange->headers[i].name, old, length, input);
        rebase(&exchange->headers[i].value, old, length, input);
    }
}
