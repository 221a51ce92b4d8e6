/*
 * prorate_json.h - a question about proration in JSON, and its answer.
 *
 *   {"mode":"max_consumption_based","price":"29.00","currency":"USD",
 *    "period":{"from":"2026-06-01T00:00:00Z","to":"2026-07-01T00:00:00Z"},
 *    "at":"2026-06-16T00:00:00Z","usage":"7000","quota":"10000"}
 *   {"ratio":"0.700000000000","credit":"8.70","charge":"20.30"}
 *
 * Without a mode it is max_consumption_based; without usage or quota time alone decides.
 *
 * Errors     QUESTION_REFUSED: the answer is why.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/question.h"

/* Appends the answer, or {"error":{"code","pointer","detail"}}. */
MUST_USE int prorate_json(struct text question, struct buffer *answer);
/* The same for people: a table, or a sentence without its line's end. */
MUST_USE int prorate_table(struct text question, struct buffer *answer);
