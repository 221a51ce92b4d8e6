/*
 * credit.h - what a customer who changes plans gets back for fees that are paid and not used up.
 *
 * product.md 3.7. Computed once, at the switch: for each flat fee in advance of the old plan's
 * running period, proration.h says what share is used up, by time and by the largest share of any
 * quota. Of a fee that recurs faster than its plan, and so was billed for periods to come, those
 * come back whole. What the old subscription had left of a credit of its own is carried over. The
 * record holds every input, so that anyone can compute it again, and the invoices of the new
 * subscription use it up (invoice.h).
 *
 *   {"amount","currency","at","mode","carried","plan":{"key","version"},
 *    "charges":[{"period":{"from","to"},"price","ratio","credit"}],
 *    "uses":[{"featureKey","period":{"from","to"},"usage","quota"}],
 *    "position":{"partition","nextOffset"}}
 *
 * Fees with the same period are one charge, rounded once; so are the periods of a fee that haven't
 * begun. A fee that is charged once in a phase
 * isn't for a period and gives nothing back.
 *
 * Units      Money in the plan's currency.
 * Errors     Outcomes below; a fault of the usage's source is passed on.
 * Ownership  Everything is the arena's.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/invoice.h"

#include <jansson.h>

/* Fees in advance of one period, and what comes back of them. */
struct credit_charge {
    struct window period;
    struct money price;
    struct decimal ratio; /* that is used up */
    struct money credit;
};

/* What was used of an entitlement in its own running period. */
struct credit_use {
    struct text feature_key;
    struct window period;
    struct proration_use use;
};

struct credit {
    const struct plan *plan; /* the old one */
    struct instant at;
    enum proration_mode mode;
    struct money carried;
    struct credit_charge *charges;
    size_t charge_count;
    struct credit_use *uses;
    size_t use_count;
    struct money amount; /* carried over and of the charges */
};

enum credit_outcome {
    CREDIT_OVERFLOW = 1, /* an amount has no room */
    CREDIT_NO_MEMORY,
    /* of credit_verify: */
    CREDIT_MALFORMED,
    CREDIT_CHARGE_DIFFERS,
    CREDIT_SUM_DIFFERS,
};

/* Whether the credit depends on what was used: worth waiting for the counters. */
bool credit_needs_usage(const struct subscription *old, struct instant at);

/*
 * For a switch at `at`, which lies within the old subscription's term. `sources` gives its usage; a
 * fee that begins at `at` or later counts only when it is billed already: when its boundary isn't
 * behind `billed`, the last one that was, or the far past.
 */
MUST_USE int credit_compute(const struct subscription *old, struct instant at,
                            struct instant billed, const struct invoice_sources *sources,
                            struct arena *arena, struct credit *credit);
/* What is left of the subscription's own credit for boundaries from `at` on, and nothing else: for
 * a change that isn't immediate. */
MUST_USE int credit_carry(const struct subscription *old, struct instant at, struct instant billed,
                          struct arena *arena, struct credit *credit);
/* The record, new. */
json_t *credit_write(const struct credit *credit, const struct invoice_position *position);

struct credit_fault {
    size_t charge;
    char detail[160];
};
/* Computes a strict record again from its inputs. */
MUST_USE int credit_verify(const json_t *record, struct credit_fault *fault);
