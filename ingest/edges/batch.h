/*
 * batch.h - the events of a body that holds many, one by one, whatever door it came in by: a JSON
 * array, JSON lines, or a gateway's batch.
 *
 * Events are read a few at a time, and what weighing them will look at is fetched for all of them
 * together (intake.h).
 *
 * Threads    The loop's own.
 */
#pragma once

#include "ingest/edges/intake.h"
#include "ingest/rules/content_mode.h"

struct batch_sink {
    /* Weighs event `index`, whatever reading it returned: EVENT_BROKEN is a line that isn't JSON.
     */
    void (*take)(void *context, size_t index, struct intake_reading *reading);
    void *context;
    size_t events_max;
};

enum batch_outcome {
    BATCH_BROKEN = 1, /* it stops being JSON; the events before that were given */
    BATCH_NO_ARRAY,   /* JSON, but no array */
    BATCH_NO_GATEWAY, /* not a gateway's batch */
    BATCH_TOO_MANY,   /* more than events_max */
};

/* Whether a body of that mode holds many events. */
bool batch_is(enum content_mode mode);

/*
 * Gives the body's events to the sink, after intake_begin. `mode` is one of those of batch_is. 0;
 * or an outcome with the reason in `why`, but for BATCH_TOO_MANY, and in `end` the index of the
 * first event that wasn't given.
 */
MUST_USE int batch_read(struct intake *intake, enum content_mode mode, struct text body,
                        const struct batch_sink *sink, size_t *end, struct refusal *why);
