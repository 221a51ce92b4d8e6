/*
 * taking.h - one HTTP request's events, read and weighed one by one, whatever form they come in.
 *
 * Nothing is packed here: a broken array is refused whole, however late it breaks.
 *
 * Ownership  What was admitted lives until the next intake_begin; `answer` is the caller's.
 * Threads    The loop's own.
 */
#pragma once

#include "common/io/http.h"
#include "ingest/edges/answer.h"
#include "ingest/edges/intake.h"
#include "ingest/rules/content_mode.h"

enum { TAKING_DETAIL_MAX = 512 };

struct taking {
    struct intake *intake;
    const struct http_request *request;
    struct admitted *admitted; /* room for intake->limits.request_events */
    size_t count;              /* of them */
    size_t events;             /* weighed, admitted or not */
    struct answer answer;      /* the refusals */
    uint32_t codes[REFUSAL_COUNT];
    int status; /* 0, or the request is refused whole, with code and detail */
    const char *code;
    char detail[TAKING_DETAIL_MAX];
};

/* Reads all events of the request's body, after intake_begin. */
void taking_read(struct taking *taking, enum content_mode mode);
/* Whether a header is an attribute of binary mode. */
bool taking_is_attribute(const struct http_header *header);
