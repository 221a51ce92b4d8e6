/*
 * card_json.h - what all lines of a rate card say alike, as members of an invoice's JSON.
 *
 * A plan's cards keep them as text: they are most of a line, and are written once a plan, not once
 * an invoice.
 *
 * Ownership  Appends to the caller's buffer; what is kept is the arena's.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/plan.h"
#include "invoicer/rules/rating.h"

/* What rated_write_open writes of such a detail around its quantity, up to its amount; NULL: it
 * isn't kept. */
const struct card_detail *card_kept_detail(const struct rate_card *card,
                                           const struct rated_line *detail);

/* Keeps what invoice lines of a card in this phase say, of the price version in `kept`: `names` and
 * `terms`. False: the arena is full. */
MUST_USE bool card_keep_line(struct rate_card *card, struct text phase_key, struct arena *arena);
/* Names the price version of a plan's card and keeps all there is; false: likewise. */
MUST_USE bool card_keep(const struct plan *plan, const struct phase *phase, struct rate_card *card,
                        struct arena *arena);
