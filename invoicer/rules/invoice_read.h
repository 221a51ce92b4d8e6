/*
 * invoice_read.h - an issued invoice, from the JSON that render_json wrote of it.
 *
 * What is read is written again and compared byte by byte: an invoice that doesn't come out as it
 * went in is refused, not shown. Prices that price by matrix can't be read back.
 *
 * Errors     Outcome below.
 * Ownership  Everything is the arena's.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/invoice.h"

enum invoice_read_outcome { INVOICE_READ_MALFORMED = 1 };

MUST_USE int invoice_read(struct text json, struct arena *arena, struct invoice *invoice);
