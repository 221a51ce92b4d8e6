/*
 * http_body.c - gzip and zstd bodies, inflated into a block that grows up to a limit.
 */
#include "common/io/http_body.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

enum { GZIP_WINDOW_BITS = 15 + 16 /* 16: gzip's wrapper alone */ };

static const struct http_refusal broken = {400, "invalid_encoding",
                                           "the body isn't what Content-Encoding says, or is cut"};
static const struct http_refusal too_large = {413, "body_too_large",
                                              "the inflated body is larger than this route takes"};
static const struct http_refusal too_dense = {
    413, "body_too_large", "the body inflates to more than 100 times what was sent"};
static const struct http_refusal no_memory = {503, "overloaded",
                                              "too many request bodies are in memory: try again"};

struct http_decoder {
    z_stream gzip;
    ZSTD_DCtx *zstd;
};

struct http_decoder *http_decoder_new(void)
{
    struct http_decoder *decoder = calloc(1, sizeof(*decoder));

    if (!decoder || inflateInit2(&decoder->gzip, GZIP_WINDOW_BITS) != Z_OK)
        abort();
    decoder->zstd = ZSTD_createDCtx();
    if (!decoder->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(decoder->zstd, ZSTD_d_windowLogMax,
                                                              HTTP_ZSTD_WINDOW_LOG)))
        abort();
    return decoder;
}

struct http_decoder *http_decoder_free(struct http_decoder *decoder)
{
    if (decoder) {
        inflateEnd(&decoder->gzip);
        ZSTD_freeDCtx(decoder->zstd);
        free(decoder);
    }
    return NULL;
}

/* One body on its way: what is left of `sent`, and the block. */
struct inflation {
    struct http_decoder *decoder;
    struct http_pool *pool;
    struct text sent;
    size_t length_max;
    const struct http_refusal *past_max; /* the refusal at length_max */
    struct http_block body;
    bool ended; /* the last frame is whole */
};

/* Makes room for one byte beyond the limit, by which an overlong body is known. */
static const struct http_refusal *make_room(struct inflation *inflation)
{
    struct http_block *body = &inflation->body;
    size_t wanted = body->room ? body->room * 2 : (size_t)HTTP_BLOCK_BYTES;
    size_t room;
    char *at;

    if (body->length < body->room)
        return NULL;
    if (wanted > inflation->length_max + 1)
        wanted = inflation->length_max + 1;
    at = http_pool_take(inflation->pool, wanted, &room);
    if (!at)
        return &no_memory;
    if (body->length)
        memcpy(at, body->at, body->length);
    http_pool_give(inflation->pool, body->at, body->room);
    *body = (struct http_block){at, body->length, room};
    return NULL;
}

/* Each step reads and writes what it can; both codings take frame after frame, as their tools do.
 */
static bool step_gzip(struct inflation *inflation)
{
    z_stream *gzip = &inflation->decoder->gzip;
    struct http_block *body = &inflation->body;
    int rc;

    if (inflation->ended && inflateReset(gzip) != Z_OK)
        return false;
    gzip->next_in = (Bytef *)(uintptr_t)inflation->sent.at;
    gzip->avail_in = (uInt)inflation->sent.length;
    gzip->next_out = (Bytef *)(body->at + body->length);
    gzip->avail_out = (uInt)(body->room - body->length);
    rc = inflate(gzip, Z_NO_FLUSH);
    body->length = body->room - gzip->avail_out;
    inflation->sent = text_from(gzip->next_in, gzip->avail_in);
    inflation->ended = rc == Z_STREAM_END;
    return rc == Z_OK || rc == Z_STREAM_END;
}

static bool step_zstd(struct inflation *inflation)
{
    struct http_block *body = &inflation->body;
    ZSTD_inBuffer in = {inflation->sent.at, inflation->sent.length, 0};
    ZSTD_outBuffer out = {body->at, body->room, body->length};
    size_t rc = ZSTD_decompressStream(inflation->decoder->zstd, &out, &in);

    body->length = out.pos;
    inflation->sent = text_from(inflation->sent.at + in.pos, in.size - in.pos);
    inflation->ended = rc == 0;
    return !ZSTD_isError(rc);
}

static const struct http_refusal *inflate_all(struct inflation *inflation, enum http_coding coding)
{
    for (;;) {
        const struct http_refusal *refusal = make_room(inflation);
        size_t before = inflation->body.length;
        size_t left = inflation->sent.length;

        if (refusal)
            return refusal;
        if (!(coding == HTTP_GZIP ? step_gzip(inflation) : step_zstd(inflation)))
            return &broken;
        if (inflation->body.length > inflation->length_max)
            return inflation->past_max;
        if (inflation->ended && inflation->sent.length == 0)
            return NULL;
        if (inflation->body.length == before && inflation->sent.length == left)
            return &broken; /* it wants more than there is: cut */
    }
}

static void reset(struct http_decoder *decoder, enum http_coding coding)
{
    if (coding == HTTP_GZIP)
        inflateReset(&decoder->gzip);
    else
        ZSTD_DCtx_reset(decoder->zstd, ZSTD_reset_session_only);
}

int http_decode(struct http_decoder *decoder, struct http_pool *pool, enum http_coding coding,
                struct text sent, size_t body_max, struct http_block *body,
                const struct http_refusal **refusal)
{
    bool dense = sent.length <= body_max / HTTP_RATIO_MAX;
    struct inflation inflation = {
        .decoder = decoder,
        .pool = pool,
        .sent = sent,
        .length_max = dense ? sent.length * HTTP_RATIO_MAX : body_max,
        .past_max = dense ? &too_dense : &too_large,
    };
    const struct http_refusal *found;

    reset(decoder, coding);
    found = inflate_all(&inflation, coding);
    if (!found) {
        *body = inflation.body;
        return 0;
    }
    http_pool_give(pool, inflation.body.at, inflation.body.room);
    *refusal = found;
    return HTTP_DECODE_REFUSED;
}
