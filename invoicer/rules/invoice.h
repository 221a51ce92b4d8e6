/*
 * invoice.h - one subscription's invoice at one boundary, as a pure function of what it is made
 * from.
 *
 * Lines, in this order: fees in advance, those of the period that ended which weren't billed when
 * it began, because the subscription was to end before, and those of the period that begins; the
 * arrears of the one that ended; each by phase, rate card and period. Then adjustments, in the
 * order in which they are given. A line belongs to one rate card and one period of it, and has a
 * detail a tier. An adjustment is the difference of what a closed period costs now and what was
 * billed for it.
 *
 * A credit that the subscription brought along from the one before it (credit.h) pays for the flat
 * fees in advance, at each boundary as many of them as it suffices for, and what is left waits for
 * the next one. Over several fees it is spread in proportion to their totals.
 *
 * Units      Money in the plan's currency.
 * Errors     Outcomes below.
 * Ownership  Everything in an invoice is the arena's or borrowed from its inputs.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/periods.h"
#include "invoicer/rules/rating.h"

enum { INVOICE_DIGEST_TEXT = 33, INVOICE_LINES_MAX = 100000 };

/* What was counted in one billing window (proto/counters.h). */
struct invoice_window {
    struct window window;
    struct decimal quantity; /* the window's own answer; only SUM's and COUNT's add up */
};

struct invoice_usage {
    /* The period's, aggregated as the meter says; of a matrix price the sum of its cells'. */
    struct decimal quantity;
    uint64_t events; /* how many were counted */
    /* PRICE_MATRIX: by the price's dimensions, each aggregated by itself, null before texts. */
    const struct rating_cell *cells;
    size_t cell_count;
    const struct invoice_window *windows; /* with usage, in the order of time */
    size_t window_count;
};

/* The log position up to which usage was counted: all of the subscription's is in one partition. */
struct invoice_position {
    int32_t partition;
    int64_t next_offset;
};

/* A card's closed period with what invoices so far billed for it, adjustments included. */
struct invoice_billed {
    const struct plan *plan; /* the version that it was billed by */
    size_t phase, card;
    struct card_period period;
    struct decimal quantity;
    struct money total;
    size_t adjustments; /* how many there were */
};

struct invoice_sources {
    struct invoice_position position;
    /*
     * The usage of a card's meter within a period; windows and cells stay good until the invoice
     * is done with. A fault is passed on.
     */
    int (*usage_of)(void *context, const struct rate_card *card, struct window period,
                    struct invoice_usage *usage);
    /*
     * Until when the fees of a card of the phase were billed at the boundary at which its billing
     * period began: less than it lasts where the subscription was to end before, and goes on now.
     * NULL: as far as it lasts. A fault is passed on.
     */
    int (*fees_until)(void *context, const struct phase *phase, const struct rate_card *card,
                      const struct billing_period *period, struct instant *until);
    void *context;
    const struct invoice_billed *billed; /* periods to look at for late usage */
    size_t billed_count;
    struct money credit_used; /* of the subscription's credit, by its invoices before this one */
};

enum invoice_line_kind { INVOICE_FEE, INVOICE_USAGE, INVOICE_ADJUSTMENT };

struct invoice_line {
    enum invoice_line_kind kind;
    struct text id; /* {subscription}/{phase}/{card}/v[1]/period[n], and /adjustment[k] */
    struct text phase_key;
    const struct rate_card *card;
    struct card_period period;
    struct invoice_usage usage;     /* not of fees */
    struct decimal billed_quantity; /* adjustments: what had been billed before */
    struct money billed_total;
    struct money amount, discount;
    struct money credit;              /* of fees in advance */
    struct money total;               /* amount - discount - credit */
    const struct rated_line *details; /* adjustments: of the whole period as it is now */
    size_t detail_count;
};

/* How the subscription's credit stands; all 0 for one that has none, or has used it up before. */
struct invoice_credit {
    struct money granted, used_before, used, remaining;
};

struct invoice {
    struct text id; /* {subscription}-{boundary as 20260201T0000Z} */
    const struct subscription *subscription;
    struct billing_boundary boundary;
    struct invoice_position position;
    const struct invoice_line *lines;
    size_t line_count;
    struct money amount, discount, total; /* sums of the lines' */
    struct invoice_credit credit;
    char digest[INVOICE_DIGEST_TEXT]; /* XXH3-128 over all that it was made from */
};

enum invoice_outcome {
    INVOICE_NOTHING = 1, /* no line: nothing priced falls due */
    INVOICE_OVERFLOW,    /* an amount or quantity has no room */
    INVOICE_NOT_RATED,   /* a price that can't rate what was counted, such as a negative quantity */
    INVOICE_NO_MEMORY,   /* the arena is full */
    INVOICE_TOO_LONG,    /* more than INVOICE_LINES_MAX lines */
};

/* Absent when the arena is full. */
MUST_USE struct text invoice_id(const struct subscription *subscription, struct instant boundary,
                                struct arena *arena);
/*
 * A boundary with neither period holds adjustments alone: late usage of an ended subscription.
 * A fee is due in full, however short its period was cut.
 */
MUST_USE int invoice_build(const struct subscription *subscription,
                           const struct billing_boundary *boundary,
                           const struct invoice_sources *sources, struct arena *arena,
                           struct invoice *invoice);
/* Whether the subscription had some of a credit left before this invoice. */
bool invoice_has_credit(const struct invoice *invoice);
const char *invoice_line_kind_name(enum invoice_line_kind kind); /* "fee", "usage", "adjustment" */
