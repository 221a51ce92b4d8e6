/*
 * http_body.h - the inside of a body that came as gzip or zstd.
 *
 * The inflated body is refused past its limit while it grows, so a bomb costs no more memory than
 * an honest body: at most the route's limit, and at most HTTP_RATIO_MAX times what was sent.
 *
 * Ownership  The inflated body is a block of the pool, the caller's.
 * Threads    One a decoder.
 */
#pragma once

#include "common/io/http_check.h"
#include "common/io/http_pool.h"

enum {
    HTTP_RATIO_MAX = 100,      /* inflated bytes for each sent */
    HTTP_ZSTD_WINDOW_LOG = 23, /* 8 MiB: the most that a frame may make us remember */
};

struct http_decoder; /* zlib's and zstd's state, used again for each body */
struct http_decoder *http_decoder_new(void);
struct http_decoder *http_decoder_free(struct http_decoder *decoder);

struct http_block {
    char *at;
    size_t length, room;
};

enum http_decode_outcome { HTTP_DECODE_REFUSED = 1 };
/* Inflates `sent`, which is gzip or zstd. 0 with the body in a block of the pool; or
 * HTTP_DECODE_REFUSED with 400 invalid_encoding, 413 body_too_large or 503 overloaded. */
MUST_USE int http_decode(struct http_decoder *decoder, struct http_pool *pool,
                         enum http_coding coding, struct text sent, size_t body_max,
                         struct http_block *body, const struct http_refusal **refusal);
