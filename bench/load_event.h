/*
 * load_event.h - the JSON of one event that a subscription's gateway would send.
 *
 * Threads    One.
 */
#pragma once

#include "bench/load_catalog.h"

/* Whom and when the event is of. */
struct load_subject {
    const struct load_catalog *catalog;
    const struct load_subscription *subscription;
    struct instant time;
    bool by_id; /* must name the subscription itself */
    uint64_t number;
    uint64_t seed;
};

/* From 0 to below - 1; `below` > 0. */
uint64_t load_random(uint64_t *state, uint64_t below);
void load_event_write(const struct load_subject *subject, uint64_t *random, struct buffer *json);
/*
 * Breaks the event in one of many ways and returns the code that it must be refused with. Some of
 * them leave no JSON (*is_raw), which only NDJSON survives.
 */
const char *load_event_break(const struct load_subject *subject, uint64_t *random, bool is_ndjson,
                             struct buffer *json, bool *is_raw);
