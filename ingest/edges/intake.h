/*
 * intake.h - the one place where an event, whatever door it came in by, is weighed and packed.
 *
 * Holds the memory that events are read into: used by one request or group of records at a time, so
 * its size doesn't grow with the number of clients.
 *
 * Events are read a few at a time before the first of them is weighed: weighing looks for the
 * subscription, and what that waits for is fetched for all of them together (intake_prefetch).
 *
 * Limits     struct intake_limits; nodes and texts may each take INTAKE_ARENA_SHARE times a body.
 * Ownership  What was weighed lives until the next intake_begin.
 * Threads    The loop's own.
 */
#pragma once

#include "ingest/edges/delivery.h"
#include "ingest/rules/admit.h"
#include "ingest/rules/json_shape.h"
#include "proto/gateway_batch.h"

enum { INTAKE_ARENA_SHARE = 48 }; /* a batch of the worst JSON needs half of it */

enum {
    INTAKE_GROUP = CATALOG_PREFETCH_MAX,
    INTAKE_GROUP_BYTES = 64 * 1024, /* of texts read together; a larger one is read alone */
};

/* An event that was read, and what reading returned. */
struct intake_reading {
    struct json_document document;
    const struct gateway_event *gateway; /* of its batch; NULL: the document has the event */
    struct event event;
    struct refusal refusal;
    int outcome;
};

struct intake_limits {
    size_t single_bytes;   /* of a request of one event, inflated */
    size_t body_bytes;     /* of any request, as sent and inflated */
    size_t request_events; /* over HTTP */
};

struct intake {
    struct intake_limits limits;
    struct admission admission; /* its catalog is NULL until one is loaded */
    int32_t partitions;         /* those that batches are packed for */
    struct delivery *delivery;
    struct metrics *metrics;
    struct arena nodes, arena;
    struct intake_reading readings[INTAKE_GROUP];
    struct json_shape shape;    /* of the JSON events so far */
    struct event_places places; /* of the request's JSON events */
    struct gateway_reader *gateway;
};

void intake_init(struct intake *intake, const struct intake_limits *limits,
                 struct delivery *delivery, struct metrics *metrics, struct span future);
void intake_deinit(struct intake *intake);
/* The catalog is whole: from now on events are weighed by it. */
void intake_open(struct intake *intake, const struct catalog *catalog);
/* Not before that, and not when the bucket's record has been changed or removed since. */
bool intake_is_open(const struct intake *intake);

/* Forgets the last request's events. */
void intake_begin(struct intake *intake);
/* The nth of the group, with nothing refused yet. */
struct intake_reading *intake_reading(struct intake *intake, size_t index);
/* Reads the one event that the text holds; the outcome is EVENT_BROKEN when the text isn't JSON. */
void intake_read(struct intake *intake, struct text text, struct intake_reading *reading);
/* The id of the event that was read, for the answer; absent when it has none that can be shown. */
struct text intake_id(const struct intake_reading *reading);
/* The first `count` are read: fetches what weighing them will look at. */
void intake_prefetch(struct intake *intake, size_t count);
/* 0 with the verdict, or EVENT_REFUSED with the reading's refusal. */
MUST_USE int intake_weigh(struct intake *intake, struct intake_reading *reading, int64_t arrival_ms,
                          struct admitted *admitted);
