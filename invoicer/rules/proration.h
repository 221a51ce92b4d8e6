/*
 * proration.h - how much of a period's price is used up at an instant, and the credit for the rest.
 *
 * rating.md 22 and product.md 3.7. By max_consumption_based the share that is used up is the larger
 * of the time that has passed and of the largest part of any quota that was consumed; time_based
 * looks at the time alone; by none everything is used up and nothing comes back. The share stays an
 * exact fraction until the credit is rounded, once, half away from zero.
 *
 * Units      Time in whole seconds: what is finer is cut off each instant. Usage and quota in the
 *            meter's unit.
 * Errors     Outcome below.
 * Threads    Any.
 */
#pragma once

#include "common/base/calendar.h"
#include "common/base/money.h"

enum proration_mode { PRORATION_MAX_CONSUMPTION_BASED, PRORATION_TIME_BASED, PRORATION_NONE };

/* What was used of one metered entitlement in the period. */
struct proration_use {
    struct decimal usage; /* >= 0; above the quota counts as all of it */
    struct decimal quota; /* >= 0; 0: there is none, and time alone decides */
};

struct proration_question {
    enum proration_mode mode;
    struct money price;               /* of the whole period, >= 0 */
    struct window period;             /* the one that the price was charged for */
    struct instant at;                /* outside the period it counts as its nearest end */
    const struct proration_use *uses; /* the largest share counts; none: time alone decides */
    size_t use_count;
};

struct proration {
    struct decimal ratio;        /* used up, 0 to 1, rounded at the twelfth decimal: for people */
    struct money credit, charge; /* credit + charge = price */
};

enum proration_outcome { PRORATION_NO_PERIOD = 1 /* it doesn't last a second */ };

MUST_USE int proration_of(const struct proration_question *question, struct proration *proration);

const char *proration_mode_name(enum proration_mode mode); /* "max_consumption_based", … */
MUST_USE bool proration_mode_from(struct text name, enum proration_mode *mode);
