/*
 * admit.h - what an event counts for, or why it isn't taken (metering.md 8 to 18).
 *
 * The event is the unit: one bad value refuses it whole.
 *
 * Units      Arrival in ms since the epoch: the clock when an HTTP body was complete, or the
 *            record's timestamp. No other clock is used, so a replay gives the same verdicts.
 * Ownership  The verdict's texts are the event's, the catalog's or the arena's.
 * Threads    Any, with the catalog at rest.
 */
#pragma once

#include "ingest/rules/event.h"
#include "ingest/rules/fingerprint.h"

struct admission {
    const struct catalog *catalog;
    struct fingerprint_key key; /* of the catalog's seed */
    struct span future;         /* how far ahead of its arrival an event's time may be */
};

struct admitted {
    const struct catalog_subscription *subscription;
    struct usage_event event;       /* but for the fields that the batch sets */
    const struct usage_part *parts; /* at least one, ascending by the meter's slug */
    size_t part_count;
};

/* 0 with the verdict, or EVENT_REFUSED with the refusal filled. */
MUST_USE int admit(const struct admission *admission, const struct event *event, int64_t arrival_ms,
                   struct arena *arena, struct admitted *admitted, struct refusal *refusal);
