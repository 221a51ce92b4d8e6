/*
 * cuts.h - the minutes of the UTC day at which a subscription's billing can begin or end anything.
 *
 * Every billing period, phase and term of the subscription begins and ends on one of its cuts,
 * whatever the day, so a period's usage is a sum of whole billing windows (proto/counters.h). They
 * follow from the minutes of its start, end, anchor and phases: longer cadences keep the minute of
 * the day, PT1H has one in each hour.
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/attrs.h"
#include "proto/catalog.h"

#include <jansson.h>
#include <stdint.h>

/* Of start, anchor and phases, so that whatever began can end at any minute. */
enum { CUTS_RECURRING_MAX = CATALOG_CUTS_MAX - 1 };
enum cuts_outcome { CUTS_TOO_MANY = 1 /* more than CUTS_RECURRING_MAX */ };

/* Of records as catalog_file.h makes them strict. Ascending minutes in `cuts`, at least one. */
MUST_USE int cuts_of(const json_t *subscription, const json_t *plan, uint16_t *cuts, size_t *count);
