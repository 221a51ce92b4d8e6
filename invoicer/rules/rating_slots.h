/*
 * rating_slots.h - what a price makes of a period's cumulated quantity, line by line, before
 * slices.
 *
 * A price has a fixed number of slots, in line order; a slot is what one line would hold if the
 * period ended at that quantity. A slice's line is the difference of its slot at two quantities.
 *
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/rating.h"

size_t rating_slot_count(const struct price *price);
/* Whether nothing can stand in the slot at `quantity` or less: not worth rating. */
bool rating_slot_is_empty(const struct price *price, size_t index, struct decimal quantity);
/* PRICE_MATRIX: the quantity of each slot, left in the line of its number. */
MUST_USE int rating_matrix(const struct price *price, const struct rating_slice *slice,
                           struct rated_line *lines);
/* Of the slot number `index` at `quantity`: quantity, unit amount and rounded amount. */
MUST_USE int rating_slot(const struct price *price, const struct currency *currency,
                         const struct rating_slice *slice, size_t index, struct decimal quantity,
                         struct rated_line *line);
/* The amount that a percentage price charges for, and its fees, of all events together. */
MUST_USE int rating_events(const struct price_percentage *percentage, struct decimal rate,
                           const struct rating_slice *slice, struct decimal *charged,
                           struct exact *fees);
