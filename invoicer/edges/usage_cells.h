/*
 * usage_cells.h - a period's usage by the dimensions of a matrix price.
 *
 * Totals whose dimensions agree in those that the price names are one cell, aggregated as the
 * meter says: the greatest of a region is that of all its models. A dimension that is missing is
 * null, which no value of a price matches.
 *
 * Errors     FAULT_REFUSE when a sum or the arena has no room; FAULT_STOP for dimensions that
 * aren't as counters.h writes them. Ownership  The cells are the arena's. Threads    One at a time.
 */
#pragma once

#include "invoicer/rules/invoice.h"
#include "proto/counters.h"

struct usage_cells;

/* `price` is borrowed, and is a matrix. */
struct usage_cells *usage_cells_new(const struct price *price, struct arena *arena);
struct usage_cells *usage_cells_free(struct usage_cells *cells); /* takes NULL */
/* A window's total, or one of its unique values. */
MUST_USE int usage_cells_add(struct usage_cells *cells, const struct counters_total *total);
/* Writes the cells, in the order of their dimensions, and the sum of their quantities. */
MUST_USE int usage_cells_finish(struct usage_cells *cells, struct invoice_usage *usage);
