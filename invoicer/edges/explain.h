/*
 * explain.h - the way from an invoice's cents to the log: line, price version, steps, billing
 * windows, partition and offsets.
 *
 * Ownership  Appends to the caller's buffer.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/invoice.h"

/* `close` is the JSON of the close that made it; absent: not known. */
void explain_tree(const char *bucket, const struct invoice *invoice, struct text close,
                  struct buffer *text);
/* {"invoice":…,"close":…|null,"log":{"topic","partition","from","to"}} */
void explain_json(const char *bucket, struct text invoice, struct text close, struct buffer *text);
