/*
 * content_mode.h - in which form events come, by content type and headers.
 *
 * metering.md 31 and 32; facts.md E.1. Names compare in either case. A charset that isn't UTF-8 is
 * refused in every form.
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

enum content_mode {
    CONTENT_STRUCTURED, /* one event */
    CONTENT_BATCH,      /* an array of events */
    CONTENT_LINES,      /* an event a line */
    CONTENT_BINARY,     /* attributes in headers, the body is data */
    CONTENT_JSON,       /* an object is one event, an array a batch */
    CONTENT_GATEWAY,    /* proto/gateway_batch.h */
};

enum content_outcome { CONTENT_UNSUPPORTED = 1 };

struct content_signs {
    struct text content_type; /* absent: none was sent */
    bool has_attributes;      /* any `ce-` or `ce_` header */
    bool has_specversion;     /* `ce-specversion` among them */
};

/* 0 with the mode, or CONTENT_UNSUPPORTED with what to send instead. */
MUST_USE int content_mode_http(const struct content_signs *signs, enum content_mode *mode,
                               const char **remedy);
MUST_USE int content_mode_kafka(const struct content_signs *signs, enum content_mode *mode,
                                const char **remedy);
