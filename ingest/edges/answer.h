/*
 * answer.h - the bodies of ingest's answers: what was accepted, what rejected and why.
 *
 * Limits     At most intake_limits.request_events refusals of bounded texts each.
 * Ownership  The buffer is the caller's.
 * Threads    Any.
 */
#pragma once

#include "ingest/rules/refusal.h"

struct answer {
    size_t accepted, rejected;
    struct buffer refusals; /* JSON objects, joined by commas */
};

void answer_deinit(struct answer *answer);
void answer_add_refusal(struct answer *answer, size_t index, struct text id,
                        const struct refusal *refusal);
/* Writes the body: of a 202, or of the problem when nothing was accepted. */
void answer_write(const struct answer *answer, struct buffer *body);
/* 202, or 400 when events came and none is acceptable (metering.md 28). */
int answer_status(const struct answer *answer);
