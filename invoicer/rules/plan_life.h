/*
 * plan_life.h - a plan's way: drafted, published, in later versions, archived (product.md 2.1).
 *
 * A published version is a record of its own, plan/<key>@<version>, and never changes but for its
 * end. Its status isn't stored; it follows from effectiveFrom and effectiveTo. A draft is what
 * becomes the next version: draft/<key>, one a plan, which may be wrong, so it is kept as it was
 * written and checked again whenever it is looked at:
 *
 *   draft/<key>   {"key","plan":{…},"updatedAt"}
 *
 * Ownership  New JSON is the caller's.
 * Threads    Any.
 */
#pragma once

#include "common/base/instant.h"
#include "invoicer/rules/catalog_state.h"
#include "invoicer/rules/issue.h"

enum plan_status { PLAN_DRAFT, PLAN_SCHEDULED, PLAN_ACTIVE, PLAN_ARCHIVED };
const char *plan_status_name(enum plan_status status); /* "draft", … */

/* Of a version's record; one without effectiveFrom has been there ever since. */
enum plan_status plan_status_of(const json_t *record, struct instant now);
/* What the plan's key alone names: its newest active version; 0: none is active. */
int64_t plan_current_version(const struct catalog_state *state, const char *key);
/* Whether two plans or versions say the same, whenever they are or were for sale. */
bool plan_says_the_same(const json_t *a, const json_t *b);
bool plan_has_currency(const json_t *plan, const char *currency);
void plan_currencies(const json_t *plan, struct buffer *list); /* "USD, EUR, GBP", its own first */
/*
 * Whether a change from one plan to another is a downgrade (product.md 2.3): `configuration` lists
 * both in its planOrder, the new one before the old one. With a private plan it never is.
 */
bool plan_is_lower(const json_t *configuration, const json_t *new_plan, const json_t *old_plan);
/* The plan without what its version adds: what a file says. */
json_t *plan_of_version(const json_t *record);
/* A strict plan as the record of a version. */
json_t *plan_version_of(const json_t *plan, int64_t version, struct instant from);

json_t *plan_draft_of(const json_t *plan, const char *key, struct instant now);
/*
 * What stands in the way of publishing a draft: [{"path","code","message"}] in the order of the
 * checks, without warnings; empty: nothing.
 */
json_t *plan_validation_errors(const json_t *draft, const struct catalog_state *state);
/* A copy of a plan, strict; what is wrong with it, by pointers into it, stands in `issues`. */
json_t *plan_strict(const json_t *plan, const struct catalog_state *state, struct issues *issues);
