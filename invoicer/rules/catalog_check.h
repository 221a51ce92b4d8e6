/*
 * catalog_check.h - the checks of a catalog file, one file a kind; catalog_file.c runs them in
 * turn.
 *
 * Each takes the members of one array of the file that are objects, checks and completes them in
 * place. What stands in the file wins over what stands in the catalog.
 */
#pragma once

#include "invoicer/rules/catalog_file.h"
#include "invoicer/rules/shape.h"

struct catalog_check {
    struct issues *issues;
    const struct catalog_state *state;
    /* What the file holds, by its key; borrowed. */
    json_t *meters, *features, *plans, *customers, *subscriptions;
    json_t *consumers;     /* consumer name to the ids of subscriptions that have it, of the file */
    json_t *configuration; /* as it stands in the file; NULL: it isn't there */
    json_t *held;          /* customer to its subscriptions; NULL until it is needed */
};

void catalog_check_configuration(struct catalog_check *check, const struct pointer *where,
                                 json_t *configuration);
void catalog_check_meter(struct catalog_check *check, const struct pointer *where, json_t *meter);
void catalog_check_feature(struct catalog_check *check, const struct pointer *where,
                           json_t *feature);
void catalog_check_plan(struct catalog_check *check, const struct pointer *where, json_t *plan);
/* `plan` has a cadence and a currency. */
void catalog_check_card(struct catalog_check *check, const struct pointer *where, json_t *card,
                        const json_t *plan);
/* What a price is of: its card, the meter that the card counts by (NULL: none), the currency. */
struct catalog_priced {
    const json_t *card, *meter;
    const char *currency;
    bool of_usage; /* of a usage_based card */
};
void catalog_check_price(struct catalog_check *check, const struct pointer *where, json_t *price,
                         const struct catalog_priced *of);
/* A card's prices in further currencies; `of` is as of its price in the plan's own. */
void catalog_check_prices(struct catalog_check *check, const struct pointer *where,
                          const struct catalog_priced *of);
/* That all priced cards have the same further currencies. */
void catalog_check_price_lists(struct catalog_check *check, const struct pointer *where,
                               const json_t *plan);
/* Which currency a subscription pays in, and writes it into it. */
void catalog_check_currency_of(struct catalog_check *check, const struct pointer *where,
                               json_t *subscription, const json_t *plan);
/* A plan's or a card's; NULL: it has none. */
void catalog_check_tax(struct catalog_check *check, const struct pointer *where, json_t *tax);
/* The models that ask something of their meter: catalog_matrix.c, for catalog_price.c alone. */
void catalog_check_matrix(struct catalog_check *check, const struct pointer *where, json_t *price,
                          const struct catalog_priced *of);
/* A dimension that a published price is by stays with its meter: of catalog_meter.c. */
void catalog_check_dimension_use(struct catalog_check *check, const struct pointer *where,
                                 const json_t *meter);
void catalog_check_percentage(struct catalog_check *check, const struct pointer *where,
                              json_t *price, const struct catalog_priced *of);
/* catalog_sale.c: whether a subscription may be on this plan, of that version or, with 0, a new
 * one. */
void catalog_check_for_sale(struct catalog_check *check, const struct pointer *where,
                            const json_t *subscription, const json_t *plan, int64_t version);
void catalog_check_no_plan(struct catalog_check *check, const struct pointer *where,
                           const char *key);
void catalog_check_archived(const struct catalog_check *check, json_t *feature);
void catalog_check_features_of(struct catalog_check *check, const struct pointer *where,
                               const json_t *plan);
void catalog_check_several(struct catalog_check *check, const struct pointer *where,
                           const json_t *subscription);
/* Whether two subscriptions of a customer are active at one time. */
bool catalog_terms_meet(const json_t *a, const json_t *b);
void catalog_check_customer(struct catalog_check *check, const struct pointer *where,
                            json_t *customer);
void catalog_check_subscription(struct catalog_check *check, const struct pointer *where,
                                json_t *subscription);

/* Of a subscription that has one; `plan` is the subscription's, or NULL. */
void catalog_check_credit(struct catalog_check *check, const struct pointer *where,
                          json_t *subscription, const json_t *plan);

/* From the file, else from the catalog; NULL: nowhere. A plan's is its latest version. */
json_t *catalog_check_find_meter(const struct catalog_check *check, const char *slug);
json_t *catalog_check_find_feature(const struct catalog_check *check, const char *key);
json_t *catalog_check_find_plan(const struct catalog_check *check, const char *key);
json_t *catalog_check_find_subscription(const struct catalog_check *check, const char *id);
json_t *catalog_check_find_customer(const struct catalog_check *check, const char *key);
