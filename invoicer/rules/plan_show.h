/*
 * plan_show.h - plans, their versions and drafts, for people and for programs.
 *
 *   {…the plan…,"version"?,"status","effectiveFrom"?,"effectiveTo"?,"currencies":[…],
 *    "validationErrors":[{"path","code","message"}]}     validationErrors: of drafts alone
 *
 * Ownership  New JSON is the caller's.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/plan_life.h"

/* A version's record, or a draft's, as it is shown. */
json_t *plan_shown(const json_t *record, const struct catalog_state *state);
/*
 * All plans by their keys, the draft before the versions, the newest version first; with how many
 * subscriptions go on it, as `subscribers` says by "key@version".
 */
json_t *plan_listed(const struct catalog_state *state, const json_t *subscribers);
void plan_list_write(const json_t *listed, struct buffer *text);
void plan_show_write(const json_t *shown, struct buffer *text);
