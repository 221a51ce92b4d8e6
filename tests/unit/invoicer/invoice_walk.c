/*
 * invoice_walk.c - random plans, walked from start to end: every charge is billed exactly once.
 *
 * What should have been billed is listed card by card from the cards' own periods, without a
 * boundary or an invoice: the other way round than the engine goes.
 */
#include "tests/unit/invoicer/billing.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 150, CHARGES_MAX = 4000, HORIZON_DAYS = 800 };

struct charges {
    char *ids[CHARGES_MAX];
    size_t count;
};

static void add_id(struct charges *charges, const char *format, ...) PRINTF_LIKE(2, 3);

static void add_id(struct charges *charges, const char *format, ...)
{
    va_list arguments;

    cr_assert_lt(charges->count, CHARGES_MAX);
    va_start(arguments, format);
    cr_assert_geq(vasprintf(&charges->ids[charges->count++], format, arguments), 0);
    va_end(arguments);
}

static int by_id(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void charges_free(struct charges *charges)
{
    for (size_t i = 0; i < charges->count; i++)
        free(charges->ids[i]);
    charges->count = 0;
}

/* --- random plans --- */

static const char *one_of(const char *const *choices, size_t count)
{
    return choices[(size_t)rand() % count];
}

static void add_card(struct buffer *plan, size_t number, const char *plan_cadence)
{
    static const char *const months[] = {"P1D", "P1M", "P3M", "P1Y"};
    static const char *const weeks[] = {"P1D", "P1W", "P2W", "P4W"};
    bool is_weekly = strchr(plan_cadence, 'W') != NULL;
    const char *cadence = is_weekly ? one_of(weeks, 4) : one_of(months, 4);
    int kind = rand() % 4;

    buffer_printf(plan, "%s{'key':'card%zu',", number ? "," : "", number);
    if (kind == 0)
        buffer_printf(plan,
                      "'type':'usage_based','featureKey':'m','billingCadence':'%s',"
                      "'price':{'type':'unit','amount':'0.01'}}",
                      cadence);
    else
        buffer_printf(plan,
                      "'type':'flat_fee',%s%s%s'price':{'type':'flat','amount':'1',"
                      "'paymentTerm':'%s'}}",
                      kind == 3 ? "" : "'billingCadence':'", kind == 3 ? "" : cadence,
                      kind == 3 ? "" : "',", rand() % 2 ? "in_advance" : "in_arrears");
}

static void make_plan(struct buffer *plan)
{
    static const char *const cadences[] = {"P1M", "P3M", "P1Y", "P1W", "P2W", "P4W"};
    static const char *const durations[] = {"P1M", "P5D", "P2M", "PT36H", "P1W", "P6M"};
    const char *cadence = one_of(cadences, 6);
    size_t phases = (size_t)rand() % 3 + 1;

    buffer_printf(plan,
                  "{'key':'p','version':1,'name':'P','currency':'EUR','billingCadence':'%s',"
                  "'phases':[",
                  cadence);
    for (size_t i = 0; i < phases; i++) {
        size_t cards = (size_t)rand() % 3 + 1;

        buffer_printf(plan, "%s{'key':'phase%zu','name':'N',", i ? "," : "", i);
        if (i + 1 < phases)
            buffer_printf(plan, "'duration':'%s',", one_of(durations, 6));
        buffer_add_string(plan, "'rateCards':[");
        for (size_t j = 0; j < cards; j++)
            add_card(plan, j, cadence);
        buffer_add_string(plan, "]}");
    }
    buffer_add_string(plan, "]}");
    buffer_add_char(plan, '\0');
}

static void make_subscription(struct buffer *text)
{
    buffer_printf(text,
                  "{'id':'01ARZ3NDEKTSV4RRFFQ69G5FAV','customerKey':'acme',"
                  "'activeFrom':'2024-%02d-%02dT%02d:%02d:00Z'",
                  rand() % 12 + 1, rand() % 4 ? rand() % 28 + 1 : 28, rand() % 24, rand() % 60);
    if (rand() % 3 == 0)
        buffer_printf(text, ",'billingAnchor':'2023-%02d-%02dT06:30:00Z'", rand() % 6 * 2 + 1,
                      rand() % 31 + 1);
    if (rand() % 3 == 0)
        buffer_printf(text, ",'activeTo':'2025-%02d-%02dT12:00:00Z'", rand() % 12 + 1,
                      rand() % 28 + 1);
    buffer_add_char(text, '}');
    buffer_add_char(text, '\0');
}

/* --- both ways --- */

/* Walks the boundaries; returns where it stopped: the last one within the horizon. */
static struct billing_boundary bill_all(struct billing *billing, struct charges *billed)
{
    struct invoice_sources sources = billing_sources(billing);
    struct instant horizon = instant_from_minute(instant_minute(billing->subscription.active_from) +
                                                 (int64_t)HORIZON_DAYS * 1440);
    struct billing_boundary at, next;
    struct invoice invoice;
    bool goes_on = periods_first(&billing->subscription, &at);

    cr_assert(goes_on);
    while (goes_on) {
        int r = invoice_build(&billing->subscription, &at, &sources, &billing->arena, &invoice);

        cr_assert(r == 0 || r == INVOICE_NOTHING, "%d", r);
        for (size_t i = 0; r == 0 && i < invoice.line_count; i++)
            add_id(billed, "%.*s", (int)invoice.lines[i].id.length, invoice.lines[i].id.at);
        goes_on = periods_next(&billing->subscription, &at, &next) &&
                  instant_compare(next.at, horizon) <= 0;
        if (goes_on)
            at = next;
    }
    return at;
}

/* Fees of periods that begin before the end of the billing period under way, arrears of those that
 * have ended by the last boundary. */
static bool was_due(const struct rate_card *card, const struct card_period *period,
                    const struct billing_boundary *last)
{
    struct instant until = last->begins.phase == PERIODS_NONE ? last->at : last->begins.window.to;

    if (card->price.term == PRICE_IN_ADVANCE)
        return instant_compare(period->window.from, until) < 0;
    return instant_compare(period->window.to, last->at) <= 0;
}

static void list_card(const struct billing *billing, size_t phase, size_t number,
                      const struct billing_boundary *last, struct charges *expected)
{
    const struct rate_card *card = &billing->plan.phases[phase].cards[number];
    struct card_period period;
    bool found = periods_card_first(&billing->subscription, phase, card, &period);

    for (int64_t index = 0; found && index < HORIZON_DAYS * 2; index++) {
        cr_assert_eq(period.index, index);
        if (was_due(card, &period, last))
            add_id(expected, "01ARZ3NDEKTSV4RRFFQ69G5FAV/phase%zu/card%zu/v[1]/period[%lld]", phase,
                   number, (long long)period.index);
        found = periods_card_next(&billing->subscription, phase, card, &period, &period);
    }
}

static void check(const char *plan, const char *subscription)
{
    static struct charges billed, expected;
    struct billing billing;
    struct billing_boundary last;

    billing_init(&billing, plan, subscription);
    last = bill_all(&billing, &billed);
    for (size_t i = 0; i < billing.plan.phase_count; i++)
        for (size_t j = 0; j < billing.plan.phases[i].card_count; j++)
            list_card(&billing, i, j, &last, &expected);
    qsort(billed.ids, billed.count, sizeof(*billed.ids), by_id);
    qsort(expected.ids, expected.count, sizeof(*expected.ids), by_id);
    for (size_t i = 0; i < billed.count && i < expected.count; i++)
        cr_assert_str_eq(billed.ids[i], expected.ids[i], "%s %s", plan, subscription);
    cr_assert_eq(billed.count, expected.count, "%s %s", plan, subscription);
    charges_free(&billed);
    charges_free(&expected);
    billing_deinit(&billing);
}

Test(invoice, bills_every_charge_exactly_once)
{
    srand(20260101);
    for (int i = 0; i < ROUNDS; i++) {
        CLEANUP(buffer_deinit) struct buffer plan = {0}, subscription = {0};

        make_plan(&plan);
        make_subscription(&subscription);
        check(plan.at, subscription.at);
    }
}
