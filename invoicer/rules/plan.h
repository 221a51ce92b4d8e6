/*
 * plan.h - plans and subscriptions as billing sees them: strict catalog records, parsed once.
 *
 * Errors     PLAN_MALFORMED with an issue: the record isn't one that catalog_file.h lets through.
 * Ownership  Everything is the arena's.
 * Threads    Any.
 */
#pragma once

#include "common/base/calendar.h"
#include "invoicer/rules/hash128.h"
#include "invoicer/rules/price.h"
#include "invoicer/rules/proration.h"

/* What a rate card grants of its meter: entitlementTemplate, type metered (product.md 1.10). */
struct quota {
    bool is_there;
    struct decimal granted; /* issueAfterReset; 0 when it isn't given */
    struct duration period; /* usagePeriod, else the card's cadence */
};

/* What the details of one kind and tier say alike, around their quantity. */
struct card_detail {
    struct decimal unit_amount; /* theirs */
    struct text before, behind;
};

/* What the lines of a card have in common, kept as text (card_json.h). */
struct card_kept {
    struct text version; /* {plan}@{version}/{phase}/{card}: the price version */
    struct text path;    /* of their ids: /{phase}/{card}/v[1]/period[; absent in one from JSON */
    struct text names;   /* `,"name":…,"phaseKey":…,"rateCardKey":…,"featureKey":…` */
    struct text terms;   /* `,"priceVersion":…,"price":…,"discounts":…` */
    uint8_t terms_digest[HASH128_BYTES];
    const struct card_detail *details; /* by tier: of its usage, of its flat price */
    size_t detail_count;               /* 0 in an invoice that was read */
};

struct rate_card {
    struct text key, name, feature_key; /* feature_key absent: billing only */
    bool is_of_usage;                   /* usage_based, else flat_fee */
    bool is_once;                       /* no cadence: once in its phase */
    struct duration cadence;
    bool has_price; /* false: free, never a line */
    struct price price;
    struct price_discounts discounts;
    struct quota quota;
    struct card_kept kept;
};

struct phase {
    struct text key, name;
    bool is_open; /* the last one: no duration */
    struct duration duration;
    const struct rate_card *cards;
    size_t card_count;
};

/* In one of its currencies: a plan with price lists is read once for each. */
struct plan {
    struct text key, name;
    int64_t version;
    const struct currency *currency;
    struct duration cadence;
    enum proration_mode proration; /* PRORATION_NONE too where proRatingConfig is switched off */
    bool must_align;               /* alignment.billablesMustAlign */
    const struct phase *phases;
    size_t phase_count;
};

struct subscription {
    struct text id, customer_key, customer_name;
    const struct plan *plan;
    const struct zone *zone; /* of its calendar: UTC */
    struct instant active_from;
    struct instant active_to; /* the far future (INT64_MAX) while open */
    struct instant anchor;
    struct instant deleted_at; /* before it began; the far future: it stands */
    struct text previous_id;   /* of the one that it was changed from; absent: none */
    struct money credit;       /* for what was paid of that one and not used; 0: none */
};

enum plan_outcome { PLAN_MALFORMED = 1 };

/* `currency` is one that the plan has prices in; absent: the plan's own. */
MUST_USE int plan_read_in(const json_t *record, struct text currency, struct arena *arena,
                          struct plan *plan, struct price_issue *issue);
/* In its own. */
MUST_USE int plan_read(const json_t *record, struct arena *arena, struct plan *plan,
                       struct price_issue *issue);
/*
 * `plan` is the version that the record names. The customer's name is its key here: whoever has the
 * customer's record sets it.
 */
MUST_USE int subscription_read(const json_t *record, const struct plan *plan, struct arena *arena,
                               struct subscription *subscription, struct price_issue *issue);
