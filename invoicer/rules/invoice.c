/*
 * invoice.c - builds one invoice.
 *
 * What falls due is listed first, then made into lines. Fees come from the billing period that
 * begins, for every charge that starts in it; arrears from the one that ended, for every charge
 * that ended in it, its last moment included.
 */
#include "invoicer/rules/invoice.h"

#include "common/base/digits.h"
#include "common/base/fault.h"
#include "invoicer/rules/invoice_digest.h"

#include <assert.h>
#include <string.h>

/* One charge of a plan's rate card: what a line is about. */
struct charge {
    const struct plan *plan;
    size_t phase;
    const struct rate_card *card;
    struct card_period period;
};

struct builder {
    const struct subscription *subscription;
    const struct billing_boundary *boundary;
    const struct invoice_sources *sources;
    struct arena *arena;
    struct charge *charges; /* that fall due */
    size_t charge_count, charge_room;
    struct invoice_line *lines;
    size_t count;
    struct rated_line *details; /* where the next ones go */
    size_t detail_room;
};

/* --- what falls due --- */

enum { CHARGES_USUAL = 16, DETAILS_USUAL = 32 };

/* For one more charge. */
static int make_room(struct builder *builder)
{
    size_t room = builder->charge_room ? 2 * builder->charge_room : CHARGES_USUAL;
    struct charge *charges;

    if (builder->charge_count < builder->charge_room)
        return 0;
    if (builder->charge_count >= INVOICE_LINES_MAX)
        return INVOICE_TOO_LONG;
    charges = arena_take_unset(builder->arena, room * sizeof(*charges));
    if (!charges)
        return INVOICE_NO_MEMORY;
    if (builder->charge_count)
        memcpy(charges, builder->charges, builder->charge_count * sizeof(*charges));
    builder->charges = charges;
    builder->charge_room = room;
    return 0;
}

/* In advance those that begin within the billing period, in arrears those that end in it. */
static int list_periods(struct builder *builder, const struct rate_card *card,
                        const struct billing_period *billed)
{
    const struct subscription *subscription = builder->subscription;
    const struct window within = billed->window;
    size_t phase = (size_t)billed->phase;
    bool in_advance = card->price.term == PRICE_IN_ADVANCE;
    struct card_period period;
    bool found = periods_card_at(subscription, phase, card, within.from, &period);

    while (found && (in_advance ? instant_compare(period.window.from, within.to) < 0
                                : instant_compare(period.window.to, within.to) <= 0)) {
        int r = make_room(builder);

        if (r)
            return r;
        if (!in_advance || instant_compare(period.window.from, within.from) >= 0)
            builder->charges[builder->charge_count++] =
                (struct charge){subscription->plan, phase, card, period};
        if (instant_compare(period.window.to, within.to) >= 0)
            break; /* what follows lies behind */
        found = periods_card_next(subscription, phase, card, &period, &period);
    }
    return 0;
}

/* The charges from number `from` up to `to`, for another card that recurs alike. */
static int list_again(struct builder *builder, const struct rate_card *card, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        int r = make_room(builder);

        if (r)
            return r;
        builder->charges[builder->charge_count] = builder->charges[i];
        builder->charges[builder->charge_count++].card = card;
    }
    return 0;
}

static bool recur_alike(const struct rate_card *a, const struct rate_card *b)
{
    return a->is_once == b->is_once && a->cadence.months == b->cadence.months &&
           a->cadence.days == b->cadence.days && a->cadence.seconds == b->cadence.seconds;
}

/* Most of a plan's cards share a cadence: each looks at the one before it, and takes the charges of
 * the first that recurs so. */
static int list_term(struct builder *builder, const struct billing_period *period,
                     enum price_term term)
{
    const struct phase *phase;
    const struct rate_card *last = NULL;
    size_t from = 0, to = 0;
    int r = 0;

    if (period->phase == PERIODS_NONE)
        return 0;
    phase = &builder->subscription->plan->phases[period->phase];
    for (size_t i = 0; i < phase->card_count && r == 0; i++) {
        const struct rate_card *card = &phase->cards[i];

        if (!card->has_price || card->price.term != term)
            continue;
        if (last && recur_alike(last, card)) {
            r = list_again(builder, card, from, to);
        } else {
            from = builder->charge_count;
            r = list_periods(builder, card, period);
            to = builder->charge_count;
        }
        last = card;
    }
    return r;
}

/* The card's fees that begin in the period that ended, behind those billed when it began. */
static int list_missed_of(struct builder *builder, const struct rate_card *card)
{
    const struct invoice_sources *sources = builder->sources;
    const struct billing_period *ended = &builder->boundary->ended;
    const struct subscription *subscription = builder->subscription;
    size_t phase = (size_t)ended->phase;
    struct instant until = ended->window.to;
    struct card_period period;
    int r = 0;

    if (!periods_card_at(subscription, phase, card, ended->window.from, &period) ||
        instant_compare(period.window.to, ended->window.to) >= 0)
        return 0; /* it has no other in there */
    r = sources->fees_until(sources->context, &subscription->plan->phases[phase], card, ended,
                            &until);
    if (r)
        return fault_pass(r);
    while (r == 0 && periods_card_next(subscription, phase, card, &period, &period) &&
           instant_compare(period.window.from, ended->window.to) < 0) {
        if (instant_compare(period.window.from, until) < 0)
            continue;
        r = make_room(builder);
        if (r == 0)
            builder->charges[builder->charge_count++] =
                (struct charge){subscription->plan, phase, card, period};
    }
    return r;
}

static int list_missed(struct builder *builder)
{
    const struct billing_period *ended = &builder->boundary->ended;
    const struct phase *phase;
    int r = 0;

    if (ended->phase == PERIODS_NONE || !builder->sources->fees_until)
        return 0;
    phase = &builder->subscription->plan->phases[ended->phase];
    for (size_t i = 0; i < phase->card_count && r == 0; i++)
        if (phase->cards[i].has_price && phase->cards[i].price.term == PRICE_IN_ADVANCE)
            r = list_missed_of(builder, &phase->cards[i]);
    return r < 0 ? fault_pass(r) : r;
}

static int list_charges(struct builder *builder)
{
    int r = list_missed(builder);

    if (r == 0)
        r = list_term(builder, &builder->boundary->begins, PRICE_IN_ADVANCE);
    return r ? r : list_term(builder, &builder->boundary->ended, PRICE_IN_ARREARS);
}

/* --- lines --- */

/* What the parts make together, in the arena; absent when it is full. */
static struct text join(struct arena *arena, const struct text *parts, size_t count)
{
    size_t length = 0;
    char *at;

    for (size_t i = 0; i < count; i++)
        length += parts[i].length;
    at = arena_take_unset(arena, length);
    if (!at)
        return (struct text){0};
    length = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].length)
            memcpy(at + length, parts[i].at, parts[i].length);
        length += parts[i].length;
    }
    return text_from(at, length);
}

enum { ADJUSTMENT_MAX = DIGITS_MAX + 16 };

/* {subscription}/{phase}/{card}/v[1]/period[n], and /adjustment[k]; absent when the arena is full.
 */
static struct text line_id(struct builder *builder, const struct charge *charge, size_t adjustment)
{
    struct text subscription = builder->subscription->id, path = charge->card->kept.path;
    char *id = arena_take_unset(builder->arena,
                                subscription.length + path.length + DIGITS_MAX + ADJUSTMENT_MAX);
    char *end = id;

    if (!id)
        return text_of(NULL);
    end = text_write(end, subscription);
    end = text_write(end, path);
    end = digits_write_int(end, charge->period.index);
    *end++ = ']';
    if (adjustment) {
        end = string_write(end, "/adjustment[");
        end = digits_write_int(end, (int64_t)adjustment);
        *end++ = ']';
    }
    return text_from(id, (size_t)(end - id));
}

/* Who the line is about, and what only some have; the rest is written once it is counted and rated.
 */
static int name_line(struct builder *builder, const struct charge *charge, size_t adjustment,
                     struct invoice_line *line)
{
    line->id = line_id(builder, charge, adjustment);
    line->phase_key = charge->plan->phases[charge->phase].key;
    line->card = charge->card;
    line->period = charge->period;
    line->billed_quantity = (struct decimal){0};
    line->billed_total = line->discount = line->credit = (struct money){0};
    return text_is_absent(line->id) ? INVOICE_NO_MEMORY : 0;
}

/* For one more rating's lines: for several at once, so that little is left over of each room. */
static int make_detail_room(struct builder *builder, size_t most)
{
    size_t room = 2 * most + DETAILS_USUAL;

    if (most <= builder->detail_room)
        return 0;
    builder->details = arena_take_unset(builder->arena, room * sizeof(*builder->details));
    if (!builder->details)
        return INVOICE_NO_MEMORY;
    builder->detail_room = room;
    return 0;
}

static struct rating_slice slice_of(const struct invoice_line *line)
{
    enum price_kind kind = line->card->price.kind;
    struct rating_slice slice = {.is_last = true};

    if (kind == PRICE_MATRIX) {
        slice.cells = line->usage.cells;
        slice.cell_count = line->usage.cell_count;
        return slice;
    }
    slice.quantity = line->usage.quantity;
    if (kind == PRICE_PERCENTAGE)
        slice.counted = line->usage.events;
    return slice;
}

/* Rates the whole of the line's period and keeps the detail lines. */
static int rate_line(struct builder *builder, const struct charge *charge,
                     struct invoice_line *line, struct rating *rating)
{
    const struct rate_card *card = line->card;
    struct rating_slice slice = slice_of(line);
    int r = make_detail_room(builder, rating_lines_max(&card->price));

    if (r)
        return r;
    r = rating_rate(&card->price, &card->discounts, charge->plan->currency, &slice,
                    builder->details, rating);
    if (r)
        return r == RATING_OVERFLOW ? INVOICE_OVERFLOW : INVOICE_NOT_RATED;
    line->details = builder->details;
    line->detail_count = rating->line_count;
    builder->details += rating->line_count;
    builder->detail_room -= rating->line_count;
    return 0;
}

/* What the card's meter counted in the period; nothing for a card that is billed without one. */
static int count_usage(const struct builder *builder, const struct charge *charge,
                       struct invoice_usage *usage)
{
    const struct rate_card *card = charge->card;
    int r;

    *usage = (struct invoice_usage){0};
    if (!card->is_of_usage)
        return 0;
    r = builder->sources->usage_of(builder->sources->context, card, charge->period.window, usage);
    return r ? fault_pass(r) : 0;
}

static int add_charge(struct builder *builder, const struct charge *charge)
{
    struct invoice_line *line = &builder->lines[builder->count++];
    struct rating rating;
    int r = name_line(builder, charge, 0, line);

    if (r == 0)
        r = count_usage(builder, charge, &line->usage);
    if (r == 0)
        r = rate_line(builder, charge, line, &rating);
    if (r)
        return r;
    line->kind = line->card->is_of_usage ? INVOICE_USAGE : INVOICE_FEE;
    line->amount = rating.amount;
    line->discount = rating.discount;
    line->total = rating.total;
    return 0;
}

/* Whether the quantity alone says what is due: a percentage also counts events, and a matrix's
 * cells can change places within the same sum. */
static bool is_said_by_quantity(const struct charge *charge)
{
    enum price_kind kind = charge->card->price.kind;

    return kind != PRICE_PERCENTAGE && kind != PRICE_MATRIX;
}

/* The period as it is now, less what was billed for it; no line when nothing came in late. */
static int add_adjustment(struct builder *builder, const struct invoice_billed *billed)
{
    struct charge charge = {billed->plan, billed->phase,
                            &billed->plan->phases[billed->phase].cards[billed->card],
                            billed->period};
    struct invoice_line *line = &builder->lines[builder->count];
    struct invoice_usage usage;
    struct rating rating;
    int r = count_usage(builder, &charge, &usage);
    bool is_same = decimal_compare(usage.quantity, billed->quantity) == 0;

    if (r || (is_same && is_said_by_quantity(&charge)))
        return r;
    r = name_line(builder, &charge, billed->adjustments + 1, line);
    line->usage = usage;
    if (r == 0)
        r = rate_line(builder, &charge, line, &rating);
    if (r || (is_same && money_compare(rating.total, billed->total) == 0))
        return r;
    line->kind = INVOICE_ADJUSTMENT;
    line->billed_quantity = billed->quantity;
    line->billed_total = billed->total;
    if (money_subtract(rating.total, billed->total, &line->amount))
        return INVOICE_OVERFLOW;
    line->total = line->amount;
    builder->count++;
    return 0;
}

static int add_lines(struct builder *builder)
{
    int r = list_charges(builder);
    size_t room = builder->charge_count + builder->sources->billed_count;

    if (r)
        return r;
    if (room > INVOICE_LINES_MAX)
        return INVOICE_TOO_LONG;
    builder->lines = arena_take_unset(builder->arena, room * sizeof(*builder->lines));
    if (!builder->lines)
        return INVOICE_NO_MEMORY;
    for (size_t i = 0; i < builder->charge_count && r == 0; i++)
        r = add_charge(builder, &builder->charges[i]);
    for (size_t i = 0; i < builder->sources->billed_count && r == 0; i++)
        r = add_adjustment(builder, &builder->sources->billed[i]);
    return r;
}

/* --- credit --- */

/* Whether a credit may pay for the line: a flat fee in advance that costs something. */
static bool takes_credit(const struct invoice_line *line)
{
    return line->kind == INVOICE_FEE && line->card->price.kind == PRICE_FLAT &&
           line->card->price.term == PRICE_IN_ADVANCE && line->total.minor > 0;
}

/* What the fees come to; their totals stand in `weights`, 0 for other lines. */
static int weigh_fees(const struct builder *builder, struct money *weights, struct money *sum)
{
    *sum = (struct money){0};
    for (size_t i = 0; i < builder->count; i++) {
        const struct invoice_line *line = &builder->lines[i];

        weights[i] = takes_credit(line) ? line->total : (struct money){0};
        if (money_add(*sum, weights[i], sum))
            return INVOICE_OVERFLOW;
    }
    return 0;
}

/* Spreads `credit` over the fees, by their totals: none gets more than its own. */
static int spread_credit(struct builder *builder, struct invoice_credit *credit)
{
    size_t size = (builder->count + 1) * sizeof(struct money);
    struct money *weights = arena_take(builder->arena, size);
    struct money *shares = arena_take(builder->arena, size);
    struct money fees;
    int r = weights && shares ? weigh_fees(builder, weights, &fees) : INVOICE_NO_MEMORY;

    if (r || fees.minor == 0)
        return r;
    credit->used = money_compare(credit->remaining, fees) < 0 ? credit->remaining : fees;
    if (rating_split(credit->used, weights, builder->count, shares))
        return INVOICE_OVERFLOW;
    for (size_t i = 0; i < builder->count; i++) {
        builder->lines[i].credit = shares[i];
        builder->lines[i].total.minor -= shares[i].minor;
    }
    credit->remaining.minor -= credit->used.minor;
    return 0;
}

static int use_credit(struct builder *builder, struct invoice_credit *credit)
{
    struct money granted = builder->subscription->credit, before = builder->sources->credit_used;

    *credit = (struct invoice_credit){.granted = {0}};
    if (money_compare(granted, before) <= 0)
        return 0;
    *credit = (struct invoice_credit){.granted = granted, .used_before = before};
    credit->remaining.minor = granted.minor - before.minor;
    return spread_credit(builder, credit);
}

bool invoice_has_credit(const struct invoice *invoice)
{
    return invoice->credit.granted.minor > 0;
}

/* --- the invoice --- */

static int sum_lines(struct invoice *invoice)
{
    for (size_t i = 0; i < invoice->line_count; i++) {
        const struct invoice_line *line = &invoice->lines[i];

        if (money_add(invoice->amount, line->amount, &invoice->amount) ||
            money_add(invoice->discount, line->discount, &invoice->discount) ||
            money_add(invoice->total, line->total, &invoice->total))
            return INVOICE_OVERFLOW;
    }
    assert(invoice->total.minor ==
           invoice->amount.minor - invoice->discount.minor - invoice->credit.used.minor);
    return 0;
}

struct text invoice_id(const struct subscription *subscription, struct instant boundary,
                       struct arena *arena)
{
    char text[INSTANT_TEXT_MAX];

    const struct text parts[] = {subscription->id, {"-", 1},       {text, 4},      {text + 5, 2},
                                 {text + 8, 3},    {text + 11, 2}, {text + 14, 2}, {"Z", 1}};

    (void)instant_format(boundary, text); /* 2026-02-01T00:00:00Z */
    return join(arena, parts, ARRAY_LEN(parts));
}

int invoice_build(const struct subscription *subscription, const struct billing_boundary *boundary,
                  const struct invoice_sources *sources, struct arena *arena,
                  struct invoice *invoice)
{
    struct builder builder = {
        .subscription = subscription, .boundary = boundary, .sources = sources, .arena = arena};
    struct invoice built = {
        .subscription = subscription, .boundary = *boundary, .position = sources->position};
    int r = add_lines(&builder);

    if (r)
        return r;
    if (builder.count == 0)
        return INVOICE_NOTHING;
    r = use_credit(&builder, &built.credit);
    if (r)
        return r;
    built.lines = builder.lines;
    built.line_count = builder.count;
    built.id = invoice_id(subscription, boundary->at, arena);
    if (text_is_absent(built.id))
        return INVOICE_NO_MEMORY;
    r = sum_lines(&built);
    if (r)
        return r;
    if (!invoice_digest(&built, arena, built.digest))
        return INVOICE_NO_MEMORY;
    *invoice = built;
    return 0;
}

const char *invoice_line_kind_name(enum invoice_line_kind kind)
{
    static const char *const names[] = {"fee", "usage", "adjustment"};

    return names[kind];
}
