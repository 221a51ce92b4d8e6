/*
 * zone_rule.h - the rule at the end of a TZif file, by which a zone's clock goes on for ever.
 *
 * `std offset[dst[offset][,start[/time],end[/time]]]` of POSIX, with RFC 8536's hours up to 167.
 *
 * Units      As zone.h.
 * Threads    Any.
 */
#pragma once

#include "common/base/zone.h"

enum zone_day_kind { ZONE_DAY_OF_WEEK, ZONE_DAY_WITHOUT_LEAP, ZONE_DAY_OF_YEAR };

/* M3.2.0, J60 or 59, and the time of that day. */
struct zone_day {
    enum zone_day_kind kind;
    int month, week, day;
    int32_t seconds;
};

struct zone_rule {
    bool changes; /* false: one offset for ever */
    int32_t standard, summer;
    struct zone_day start, end; /* of summer */
};

enum zone_rule_outcome { ZONE_RULE_NOT_ONE = 1 };

MUST_USE int zone_rule_parse(struct text text, struct zone_rule *rule);
/* Of a rule that changes. */
struct zone_segment zone_rule_segment(const struct zone_rule *rule, int64_t seconds);
