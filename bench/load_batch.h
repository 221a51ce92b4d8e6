/*
 * load_batch.h - one request's worth of events, and the log of what was sent.
 *
 * The log is NDJSON, for code that recomputes everything on its own:
 *   {"batch":3,"index":7,"kind":"plain","event":{…}}             as it was sent
 *   {"batch":4,"index":0,"kind":"duplicate","of":[3,7],"event":{…}}
 *   {"batch":4,"index":1,"kind":"late","event":{…}}
 *   {"batch":4,"index":2,"kind":"broken","expect":"unknown_type","event":{…}}
 *   {"batch":5,"index":9,"kind":"broken","expect":"invalid_json","raw":"{\"id\":"}
 *   {"batch":4,"try":1,"status":503}                              sent again: it may have been
 * taken
 *   {"batch":4,"status":202,"accepted":98,"rejected":[{"index":2,"code":"unknown_type"},…]}
 *
 * Threads    One.
 */
#pragma once

#include "common/base/text.h"

#include <stdio.h>

struct load_batch {
    uint64_t number;
    struct buffer body;
    const char *content_type;
    size_t event_count;
    unsigned tries;
};

struct load_counts {
    uint64_t events, plain, duplicate, late, broken; /* made */
    uint64_t batches, accepted, rejected, tries;     /* answered; tries: beyond the first */
    uint64_t bytes;
};

/* An event's line; `json` is the event, or `raw` what should have been one. */
struct load_line {
    uint64_t batch;
    size_t index;
    const char *kind;
    const char *expect; /* NULL: none */
    uint64_t of_batch;  /* of a duplicate */
    size_t of_index;
    bool is_duplicate, is_raw;
    struct text event;
};
void load_log_event(FILE *log, const struct load_line *line); /* a NULL log takes nothing */
