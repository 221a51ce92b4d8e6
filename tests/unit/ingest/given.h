/*
 * given.h - what the unit tests of ingest's rules start from: arenas, a document, a catalog.
 *
 * Threads    One.
 */
#pragma once

#include "ingest/rules/admit.h"

struct given {
    struct arena nodes, arena;
    struct json_document document;
    struct event event;
    struct refusal refusal;
};

void given_init(struct given *given);
void given_deinit(struct given *given);

/* Scans a whole text as an event's JSON; the outcome. The error is kept in `given_error`. */
int given_scan(struct given *given, struct text text);
extern struct json_error given_error;

/* Reads a structured event; EVENT_REFUSED leaves given->refusal. */
int given_event(struct given *given, const char *json);

/* A catalog of records {key, JSON}, the caller's, and what admits events by it: up to five minutes
 * ahead. */
struct catalog *given_catalog(const char *const records[][2], size_t count,
                              struct admission *admission);

/* Asserts that the event is refused with this code at this pointer, and that the detail is a
 * sentence, the first time and when it comes again and again. */
void expect_refused(const char *json, enum refusal_code code, const char *pointer);
/* Asserts that the attribute rules let the event through, each time. */
void expect_read(const char *json);
