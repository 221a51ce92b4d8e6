/*
 * periods.h - which billing periods a subscription has, and when something falls due.
 *
 * A subscription runs through its plan's phases, which begin at its start plus the durations of the
 * phases before, counted from the start. A new billing period begins with each phase. Within a
 * phase periods recur by the plan's cadence from the subscription's billing anchor where it has one
 * of its own (other than its start), else from the phase's start; the phase's bounds and the
 * subscription's end cut the first and the last one short. Rate cards recur likewise by their own
 * cadence.
 *
 * At each boundary one invoice falls due: the advance fees of the card periods that begin in the
 * billing period that begins there, and the arrears of those that ended in the one that ends there.
 *
 * Units      Half-open periods of whole minutes.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/plan.h"

enum { PERIODS_NONE = -1 };

/* A billing period: of the plan, within one phase. */
struct billing_period {
    int phase; /* index in the plan; PERIODS_NONE: there is no such period */
    struct window window;
};

/* A moment at which an invoice falls due. */
struct billing_boundary {
    struct instant at;
    struct billing_period ended;  /* the one before; none at the subscription's start */
    struct billing_period begins; /* the one after; none at its end */
};

/* The billing period that holds the instant; none outside the subscription's term. */
struct billing_period periods_at(const struct subscription *subscription, struct instant at);
/*
 * An anchor from which a subscription that goes on from this phase keeps its boundaries: the
 * subscription's own, else where the phase's periods are counted from.
 */
struct instant periods_anchor(const struct subscription *subscription, size_t phase);

/* The bounds of a phase as this subscription runs through it; empty when it never gets there. */
struct window periods_phase(const struct subscription *subscription, size_t phase);
/* The boundary at the subscription's start. False: it has none (its end isn't after its start). */
MUST_USE bool periods_first(const struct subscription *subscription,
                            struct billing_boundary *boundary);
/* The first boundary after `boundary`. False: it was the last. */
MUST_USE bool periods_next(const struct subscription *subscription,
                           const struct billing_boundary *boundary, struct billing_boundary *next);
/* The last boundary at or before an instant. False: none has come yet. */
MUST_USE bool periods_last_due(const struct subscription *subscription, struct instant at,
                               struct billing_boundary *boundary);

/* Whether something in arrears runs over an instant: an invoice of that time doesn't have it yet.
 */
bool periods_owes(const struct subscription *subscription, struct instant at);

/* A charge's own period: number n of its rate card in its phase, from 0. */
struct card_period {
    int64_t index;
    struct window
        window; /* its end is the far future for a card that is charged once, in the end */
};
/* The card's first period in a phase; false: the subscription never gets there. */
MUST_USE bool periods_card_first(const struct subscription *subscription, size_t phase,
                                 const struct rate_card *card, struct card_period *period);
MUST_USE bool periods_card_next(const struct subscription *subscription, size_t phase,
                                const struct rate_card *card, const struct card_period *period,
                                struct card_period *next);
/* The period of a card that holds an instant within the phase. */
MUST_USE bool periods_card_at(const struct subscription *subscription, size_t phase,
                              const struct rate_card *card, struct instant at,
                              struct card_period *period);
