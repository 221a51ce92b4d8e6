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

/* `"name":…,"phaseKey":…,"rateCardKey":…,"featureKey":…`, each with a comma before it. */
void card_write_names(const struct rate_card *card, struct text phase_key, struct buffer *json);
/* `"priceVersion":…,"price":…,"discounts":…`, likewise. */
void card_write_terms(const struct rate_card *card, struct text price_version, struct buffer *json);
/* Of what card_write_terms writes. */
struct card_digest card_digest_terms(const struct rate_card *card, struct text price_version);

/* A detail as rated_write_open writes it. */
void card_write_detail(const struct rate_card *card, const struct rated_line *detail,
                       const struct currency *currency, struct buffer *json);

/* Names the price version of each card and keeps all of these; false: the arena is full. */
MUST_USE bool card_keep(const struct plan *plan, const struct phase *phase, struct rate_card *card,
                        struct arena *arena);
