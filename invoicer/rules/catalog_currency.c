/*
 * Price lists (product.md 8, L6): a card's `price` is in the plan's own currency, its `prices` in
 * further ones. All priced cards of a plan have the same further ones, so that whoever pays in one
 * of them can pay everything. A subscription pays in the currency that it names, else that of the
 * subscription it was changed from, else its customer's where the plan has it, else the plan's own;
 * which one stands in its record and stays.
 */
#include "invoicer/rules/catalog_check.h"

#include "common/base/money.h"
#include "invoicer/rules/plan_life.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "EUR, GBP" in order, "none": what a card's prices are in beside its price. */
static void list_prices(const json_t *prices, struct buffer *list)
{
    const char **names = calloc(json_object_size(prices) + 1, sizeof(*names));
    size_t count = 0;
    const char *name;
    json_t *price;

    if (!names)
        abort();
    json_object_foreach((json_t *)prices, name, price) names[count++] = name;
    qsort(names, count, sizeof(*names), by_name);
    for (size_t i = 0; i < count; i++)
        buffer_printf(list, "%s%s", i ? ", " : "", names[i]);
    if (count == 0)
        buffer_add_string(list, "none");
    free(names);
}

/* The first card of a plan that has a price; NULL: none. */
static const json_t *first_priced(const json_t *plan)
{
    json_t *phase, *card;
    size_t i, j;

    json_array_foreach(json_object_get(plan, "phases"), i, phase)
        json_array_foreach(json_object_get(phase, "rateCards"), j, card)
    {
        if (json_object_get(card, "price"))
            return card;
    }
    return NULL;
}

bool plan_has_currency(const json_t *plan, const char *currency)
{
    return text_is(shape_text(plan, "currency"), currency) ||
           json_object_get(json_object_get(first_priced(plan), "prices"), currency);
}

void plan_currencies(const json_t *plan, struct buffer *list)
{
    const json_t *prices = json_object_get(first_priced(plan), "prices");

    buffer_add_string(list, shape_string(plan, "currency"));
    if (json_object_size(prices) == 0)
        return;
    buffer_add_string(list, ", ");
    list_prices(prices, list);
}

/* --- plans --- */

static void check_list(struct catalog_check *check, const struct pointer *where, const json_t *card,
                       const json_t *first)
{
    struct pointer place = pointer_member(where, "prices");
    CLEANUP(buffer_deinit) struct buffer expected = {0}, found = {0};

    if (!json_object_get(card, "price"))
        return;
    list_prices(json_object_get(first, "prices"), &expected);
    list_prices(json_object_get(card, "prices"), &found);
    if (!text_equal(buffer_text(&expected), buffer_text(&found)))
        issue_add(
            check->issues, &place, "plan_currencies_differ",
            "the further currencies of rate card %s are %.*s, those of %s before it are %.*s: "
            "every priced card of a plan has the same",
            shape_string(card, "key"), (int)found.length, found.at, shape_string(first, "key"),
            (int)expected.length, expected.at);
}

void catalog_check_price_lists(struct catalog_check *check, const struct pointer *where,
                               const json_t *plan)
{
    struct pointer phases = pointer_member(where, "phases");
    const json_t *first = first_priced(plan);
    json_t *phase, *card;
    size_t i, j;

    json_array_foreach(json_object_get(plan, "phases"), i, phase)
    {
        struct pointer of_phase = pointer_element(&phases, i);
        struct pointer cards = pointer_member(&of_phase, "rateCards");

        json_array_foreach(json_object_get(phase, "rateCards"), j, card)
        {
            struct pointer place = pointer_element(&cards, j);

            check_list(check, &place, card, first);
        }
    }
}

void catalog_check_prices(struct catalog_check *check, const struct pointer *where,
                          const struct catalog_priced *of)
{
    json_t *prices = json_object_get(of->card, "prices");
    const char *currency;
    json_t *price;

    if (prices && !json_object_get(of->card, "price"))
        issue_add(check->issues, where, "prices_without_price",
                  "a card without a price in the plan's own currency is free in every other too");
    json_object_foreach(prices, currency, price)
    {
        struct pointer place = pointer_member(where, currency);
        struct catalog_priced in = *of;

        in.currency = currency;
        if (!currency_find(text_of(currency)))
            issue_add(check->issues, &place, "currency_invalid",
                      "%s isn't an ISO 4217 currency such as EUR", currency);
        else if (of->currency && strcmp(currency, of->currency) == 0)
            issue_add(check->issues, &place, "prices_own_currency",
                      "%s is the plan's own currency: its price is in the member price", currency);
        else if (!json_is_object(price))
            issue_add(check->issues, &place, "invalid_type", "isn't an object");
        else
            catalog_check_price(check, &place, price, &in);
    }
}

/* --- subscriptions --- */

/* What a subscription that stands pays in: records from before price lists don't say. */
static const char *standing_currency(const struct catalog_check *check, const json_t *subscription)
{
    const char *named = shape_string(subscription, "currency");
    const json_t *plan = json_object_get(subscription, "plan");
    const char *key = shape_string(plan, "key");

    if (named || !key)
        return named;
    return shape_string(
        catalog_state_plan(check->state, key, json_integer_value(json_object_get(plan, "version"))),
        "currency");
}

/* What a new subscription pays in when it doesn't say. */
static const char *usual_currency(const struct catalog_check *check, const json_t *subscription,
                                  const json_t *plan)
{
    const json_t *annotations = json_object_get(subscription, "annotations");
    const json_t *previous = catalog_check_find_subscription(
        check, shape_string(annotations, "subscription.previous.id"));
    const json_t *customer =
        catalog_check_find_customer(check, shape_string(subscription, "customerKey"));
    const char *currency = standing_currency(check, previous);

    if (currency)
        return currency;
    currency = shape_string(customer, "currency");
    if (currency && plan_has_currency(plan, currency))
        return currency;
    return shape_string(plan, "currency");
}

void catalog_check_currency_of(struct catalog_check *check, const struct pointer *where,
                               json_t *subscription, const json_t *plan)
{
    struct pointer place = pointer_member(where, "currency");
    const char *id = shape_string(subscription, "id");
    const char *asked = shape_string(subscription, "currency");
    const char *stands =
        standing_currency(check, catalog_state_find(check->state, "subscription", id));
    CLEANUP(buffer_deinit) struct buffer list = {0};
    const char *currency = asked ? asked : stands;

    if (!currency)
        currency = usual_currency(check, subscription, plan);
    if (!currency || !shape_string(plan, "currency"))
        return;
    if (asked && stands && strcmp(asked, stands) != 0) {
        issue_add(check->issues, &place, "subscription_currency_immutable",
                  "subscription %s pays in %s for good, not in %s: another currency is another "
                  "subscription",
                  id, stands, asked);
    } else if (!plan_has_currency(plan, currency)) {
        plan_currencies(plan, &list);
        issue_add(check->issues, &place, "subscription_currency_not_in_plan",
                  "subscription %s pays in %s, and plan %s has prices in %.*s", id ? id : "",
                  currency, shape_string(plan, "key"), (int)list.length, list.at);
    }
    shape_default_string(subscription, "currency", currency);
}
