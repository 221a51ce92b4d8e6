/*
 * http_check.h - what a request's head must be before it is believed: the checks that llhttp, even
 * in strict mode, leaves out.
 *
 * Pure. http_scan_head finds the head's end, refusing line by line what no head may hold, so that
 * the answer doesn't depend on how the bytes were split on their way. http_check_head looks at the
 * parsed head as a whole.
 *
 * Errors     Both return a refusal: the answer's status, code and detail.
 * Ownership  Refusals are constants.
 * Threads    Any.
 */
#pragma once

#include "common/io/http.h"

struct http_refusal {
    int status;
    const char *code;
    const char *detail;
};

/* How far a head has been looked at; zeroed for a new one. */
struct http_scan {
    size_t at;      /* all before it are checked */
    size_t line;    /* where the open line begins */
    size_t headers; /* where the header lines begin; 0 while the request line is open */
};

enum http_scan_outcome {
    HTTP_SCAN_MORE = 1, /* so far, so good: the head isn't complete */
    HTTP_SCAN_REFUSED,
};

/*
 * `bytes` begin with the head, and hold at least what the last call for this head saw.
 *
 * Returns 0 with the head's length, its closing empty line included; HTTP_SCAN_MORE;
 * HTTP_SCAN_REFUSED with the refusal.
 */
MUST_USE int http_scan_head(struct http_scan *scan, struct text bytes,
                            const struct http_limits *limits, size_t *length,
                            const struct http_refusal **refusal);

enum http_coding { HTTP_IDENTITY, HTTP_GZIP, HTTP_ZSTD };

/* A parsed head. */
struct http_head {
    struct text target;
    const struct http_header *headers;
    size_t header_count;
    unsigned minor; /* of HTTP/1.minor */
    bool chunked, upgraded, reads_only /* GET or HEAD */;
    uint64_t content_length;
    /* Found by http_check_head. */
    enum http_coding coding;
    bool expects_continue;
};

/* NULL with `coding` and `expects_continue` filled in, or the refusal. */
MUST_USE const struct http_refusal *http_check_head(struct http_head *head);

/* Cuts origin-form and absolute-form targets into path and query (absent when there is no '?'). */
MUST_USE bool http_cut_target(struct text target, struct text *authority, struct text *path,
                              struct text *query);
