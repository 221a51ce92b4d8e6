/*
 * billing.h - plans, subscriptions and usage for the tests of periods and invoices.
 *
 * Ownership  Everything is the fixture's arena's.
 */
#pragma once

#include "invoicer/rules/invoice.h"

enum { BILLING_COUNTED_MAX = 64 };

/* Usage of a meter at an instant: what the counters would hold of it in one window. */
struct billing_counted {
    const char *meter;
    struct window window;
    struct decimal quantity;
};

struct billing {
    struct arena arena;
    struct plan plan;
    struct subscription subscription;
    struct billing_counted counted[BILLING_COUNTED_MAX];
    size_t counted_count;
    int fault; /* what asking for usage returns */
};

/* Reads a plan and a subscription; single quotes stand for double ones. */
void billing_init(struct billing *billing, const char *plan, const char *subscription);
void billing_deinit(struct billing *billing);
/* Adds usage in the UTC day of `day` ("2026-01-05"). */
void billing_count(struct billing *billing, const char *meter, const char *day,
                   const char *quantity);
struct invoice_sources billing_sources(struct billing *billing);
/* The boundary number `index` of the subscription, from 0; asserts that there is one. */
struct billing_boundary billing_boundary_at(const struct billing *billing, size_t index);
struct instant billing_instant(const char *text);
/* "2026-01-31T00:00:00Z", in one of a few buffers that take turns. */
const char *billing_text(struct instant instant);
const char *billing_money(const struct billing *billing, struct money money);
