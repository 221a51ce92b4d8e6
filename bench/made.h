/*
 * made.h - the events that benchmarks send: event k is a function of k, the seed and the plan, in
 * each form that Tollway takes, and the same walk over them is their independent count.
 *
 * An event is some 340 bytes as JSON: an id like a UUID, a time, a value with one decimal, a path,
 * a method… Times advance by one millisecond every `pace` events. `duplicates` in a thousand are
 * sent a second time, within the next 100,000 events.
 *
 * Errors     A plan that makes no sense ends the program.
 * Ownership  made_free.
 * Threads    One at a time.
 */
#pragma once

#include "common/base/text.h"
#include "proto/usage.h"

enum {
    MADE_SUBSCRIPTION_BYTES = 26,
    MADE_ID_BYTES = 36,
    MADE_UUID_BYTES = 16,
    MADE_JSON_MAX = 512
};

struct made_plan {
    int64_t first, events; /* numbers first to first + events - 1 */
    int64_t subscriptions;
    int64_t duplicates; /* in a thousand */
    int64_t pace;       /* events a millisecond of their own time */
    int64_t start_ms;   /* of event 0 */
    uint64_t seed;
    bool is_zipf;     /* popularity with exponent 1; else uniform */
    bool is_numbered; /* each event has a sequence, its source's own */
};

struct made_event {
    int64_t number; /* who it is: a duplicate has its original's */
    uint64_t random[2];
    uint32_t subscription;
    uint32_t tenths; /* of its value: 100.0 to 999.9 */
    int64_t time_ms;
};

struct made_count { /* of a subscription */
    uint64_t counted, duplicate, tenths;
};

struct made;
struct made *made_new(const struct made_plan *plan);
struct made *made_free(struct made *made);
/* The event to send next, counted by this; false behind the last. */
bool made_next(struct made *made, struct made_event *event);
struct made_count made_total(struct made *made);
/* A line "subscription counted duplicate tenths" for each that has any. */
void made_write_counts(struct made *made, const char *path);

void made_subscription(const struct made_event *event, char name[MADE_SUBSCRIPTION_BYTES + 1]);
void made_id(const struct made_event *event, char id[MADE_ID_BYTES]);
void made_uuid(const struct made_event *event, uint8_t id[MADE_UUID_BYTES]); /* the same */
/* Returns its bytes. */
size_t made_json(struct made *made, const struct made_event *event, char json[MADE_JSON_MAX]);
/* As ingest would write it; false when the batch is full. */
bool made_usage(const struct made *made, struct usage_writer *writer,
                const struct made_event *event);
/* A gateway batch of the events: proto/gateway_batch.h. */
void made_gateway(const struct made_event *events, size_t count, bool is_numbered,
                  struct buffer *batch);
