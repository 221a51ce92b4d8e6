/*
 * load_scenario.h - a month of traffic out of a catalog and a seed: the same batches every time.
 *
 * Customers differ in size, days have hours, some events come twice, some too late, some broken,
 * some with other spellings of the same. Every other batch is NDJSON. Times rise through the month,
 * a little out of order.
 *
 * Ownership  The catalog is borrowed.
 * Threads    One.
 */
#pragma once

#include "bench/load_batch.h"
#include "bench/load_catalog.h"

/* Shares are in millionths of the events. */
struct load_plan {
    struct instant from, to;           /* the month */
    struct instant plain_from;         /* no event but a late one is before */
    struct instant late_from, late_to; /* when late ones happen */
    int64_t events, batch;
    int64_t duplicate, late, broken;
    uint64_t seed;
};

struct load_scenario;
struct load_scenario *load_scenario_new(const struct load_catalog *catalog,
                                        const struct load_plan *plan, FILE *log);
struct load_scenario *load_scenario_free(struct load_scenario *scenario);
/* Fills the next batch and logs its events; false when all are made. */
MUST_USE bool load_scenario_next(struct load_scenario *scenario, struct load_batch *batch);
const struct load_counts *load_scenario_counts(const struct load_scenario *scenario);
