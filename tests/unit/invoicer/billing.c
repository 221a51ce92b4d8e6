/*
 * billing.c - the fixture of the tests of periods and invoices.
 */
#include "tests/unit/invoicer/billing.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *json_of(const char *text)
{
    char *quoted = text_copy(text_of(text));
    json_error_t error;
    json_t *json;

    for (char *at = quoted; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    json = json_loads(quoted, 0, &error);
    cr_assert_not_null(json, "%s: %s", error.text, quoted);
    free(quoted);
    return json;
}

void billing_init(struct billing *billing, const char *plan, const char *subscription)
{
    struct price_issue issue = {0};
    json_t *json = json_of(plan);

    *billing = (struct billing){0};
    arena_init(&billing->arena, 16 << 20);
    cr_assert_eq(plan_read(json, &billing->arena, &billing->plan, &issue), 0, "%s %s",
                 issue.pointer, issue.detail);
    json_decref(json);
    json = json_of(subscription);
    cr_assert_eq(
        subscription_read(json, &billing->plan, &billing->arena, &billing->subscription, &issue), 0,
        "%s %s", issue.pointer, issue.detail);
    json_decref(json);
}

void billing_deinit(struct billing *billing)
{
    arena_deinit(&billing->arena);
}

struct instant billing_instant(const char *text)
{
    struct instant instant;

    cr_assert_eq(instant_parse(text_of(text), &instant), 0, "%s", text);
    return instant;
}

void billing_count(struct billing *billing, const char *meter, const char *day,
                   const char *quantity)
{
    struct billing_counted *counted = &billing->counted[billing->counted_count++];
    char text[INSTANT_TEXT_MAX];
    int64_t first;

    cr_assert_leq(billing->counted_count, BILLING_COUNTED_MAX);
    (void)snprintf(text, sizeof(text), "%sT00:00:00Z", day);
    first = instant_minute(billing_instant(text));
    counted->meter = meter;
    counted->window =
        (struct window){instant_from_minute(first), instant_from_minute(first + 1440)};
    cr_assert_eq(decimal_parse(text_of(quantity), &counted->quantity), 0);
}

static int usage_of(void *context, const struct rate_card *card, struct window period,
                    struct invoice_usage *usage)
{
    struct billing *billing = context;
    struct invoice_window *windows =
        arena_take(&billing->arena, sizeof(*windows) * (billing->counted_count + 1));
    struct invoice_usage sum = {.windows = windows};

    if (billing->fault)
        return billing->fault;
    for (size_t i = 0; i < billing->counted_count; i++) {
        const struct billing_counted *counted = &billing->counted[i];

        if (!text_is(card->feature_key, counted->meter) ||
            instant_compare(counted->window.from, period.from) < 0 ||
            instant_compare(counted->window.to, period.to) > 0)
            continue;
        windows[sum.window_count++] = (struct invoice_window){counted->window, counted->quantity};
        sum.quantity.units += counted->quantity.units;
    }
    *usage = sum;
    return 0;
}

struct invoice_sources billing_sources(struct billing *billing)
{
    return (struct invoice_sources){
        .position = {.partition = 3, .next_offset = 4711},
        .usage_of = usage_of,
        .context = billing,
    };
}

struct billing_boundary billing_boundary_at(const struct billing *billing, size_t index)
{
    struct billing_boundary boundary;

    cr_assert(periods_first(&billing->subscription, &boundary));
    for (; index > 0; index--)
        cr_assert(periods_next(&billing->subscription, &boundary, &boundary));
    return boundary;
}

const char *billing_text(struct instant instant)
{
    static char texts[4][INSTANT_TEXT_MAX];
    static size_t turn;
    char *text = texts[turn++ % 4];

    (void)instant_format(instant, text);
    return text;
}

const char *billing_money(const struct billing *billing, struct money money)
{
    static char texts[4][MONEY_TEXT_MAX];
    static size_t turn;
    char *text = texts[turn++ % 4];

    (void)money_format(money, billing->plan.currency, text);
    return text;
}
