/*
 * standing.h - says why a partition isn't where somebody waits for it: what is missing, since when,
 * whose it is, and what to do.
 *
 * Threads    Any.
 */
#pragma once

#include "invoicer/edges/mirror.h"

/* Appends it, of one that lacks something; `others` do, too. */
void standing_explain(const struct mirror_standing *standing, int32_t others, struct buffer *text);
/* The same as a FAULT_RETRY, of a partition as it stands in the store. */
MUST_USE int standing_fault(struct store *store, int32_t partition, int64_t target);
