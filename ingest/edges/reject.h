/*
 * reject.h - the headers that a refused record carries on <bucket>.rejected (metering.md 33).
 *
 * Ownership  The headers' texts live as long as the record's and the reject struct.
 * Threads    Any.
 */
#pragma once

#include "common/io/kafka.h"
#include "ingest/rules/refusal.h"

enum { REJECT_HEADERS_MAX = 100 + 8 };

struct reject {
    struct kafka_header headers[REJECT_HEADERS_MAX];
    size_t count, foreign; /* the record's own, which come first */
    char partition[16], offset[24], time[40];
};

/* Copies of the record's own headers come first; those of its that pretend to be ours are left out.
 * `index` is absent, or says which events of the batch are refused for this reason: "0,3,17". */
void reject_headers(struct reject *reject, const struct kafka_message *record, const char *topic,
                    const struct refusal *refusal, struct text index, int64_t now_ms);
