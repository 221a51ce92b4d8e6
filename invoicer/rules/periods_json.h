/*
 * periods_json.h - a question about billing periods in JSON, and its answer.
 *
 *   {"anchor":"2024-01-31T00:00:00Z","cadence":"P1M","timeZone":"Europe/Berlin",
 *    "from":"2024-02-01T00:00:00Z","count":3}
 *   {"periods":[{"index":0,"from":"2024-01-31T00:00:00Z","to":"2024-02-29T00:00:00Z"},…]}
 *
 * The first period contains `from`; the anchor is where period 0 begins, and periods before it have
 * negative indices. A period that a zone skipped whole isn't among them, though it keeps its index.
 * Without a time zone it is UTC.
 *
 * Errors     QUESTION_REFUSED: the answer is why.
 * Threads    Any.
 */
#pragma once

#include "common/base/zone_cache.h"
#include "invoicer/rules/question.h"

enum { PERIODS_COUNT_MAX = 100000 };

/* Appends the answer, or {"error":{"code","pointer","detail"}}. */
MUST_USE int periods_json(struct text question, struct zone_cache *zones, struct buffer *answer);
/* The same for people: a table, or a sentence without its line's end. */
MUST_USE int periods_table(struct text question, struct zone_cache *zones, struct buffer *answer);
