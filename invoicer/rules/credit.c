#include "invoicer/rules/credit.h"

#include "common/base/fault.h"
#include "invoicer/rules/shape.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* --- computing --- */

struct computing {
    const struct subscription *old;
    struct instant at;
    bool is_paid_ahead; /* the running billing period's fees are billed, to its end */
    size_t phase;
    const struct invoice_sources *sources;
    struct arena *arena;
    struct credit *credit;
};

static const struct phase *phase_of(const struct computing *it)
{
    return &it->old->plan->phases[it->phase];
}

/* Whether the card is a flat fee for a period that holds `at`; its period. */
static bool is_cut(const struct computing *it, const struct rate_card *card,
                   struct card_period *period)
{
    if (!card->has_price || card->is_of_usage || card->is_once || card->price.kind != PRICE_FLAT ||
        card->price.term != PRICE_IN_ADVANCE)
        return false;
    return periods_card_at(it->old, it->phase, card, it->at, period);
}

/* What begins before `at` is paid, or will be; behind it what the last invoice has billed ahead. */
static int paid_until(const struct computing *it, const struct rate_card *card,
                      struct instant *until)
{
    const struct invoice_sources *sources = it->sources;
    struct billing_period running = periods_at(it->old, it->at);
    struct instant ahead = running.window.to;
    int r = it->is_paid_ahead && sources->fees_until
                ? sources->fees_until(sources->context, phase_of(it), card, &running, &ahead)
                : 0;

    if (r)
        return fault_pass(r);
    *until = it->is_paid_ahead && instant_compare(ahead, it->at) > 0 ? ahead : it->at;
    return 0;
}

/* What the fee came to, less its discounts. */
static int price_of(const struct computing *it, const struct rate_card *card, struct money *price)
{
    size_t room = rating_lines_max(&card->price);
    struct rated_line *lines = arena_take(it->arena, room * sizeof(*lines));
    struct rating_slice slice = {.is_last = true};
    struct rating rating;

    if (!lines)
        return CREDIT_NO_MEMORY;
    if (rating_rate(&card->price, &card->discounts, it->old->plan->currency, &slice, lines,
                    &rating))
        return CREDIT_OVERFLOW;
    *price = rating.total;
    return 0;
}

static bool is_same(struct window a, struct window b)
{
    return instant_compare(a.from, b.from) == 0 && instant_compare(a.to, b.to) == 0;
}

/* The charge with this period, or a new one. */
static struct credit_charge *charge_of(struct credit *credit, struct window period)
{
    for (size_t i = 0; i < credit->charge_count; i++)
        if (is_same(credit->charges[i].period, period))
            return &credit->charges[i];
    credit->charges[credit->charge_count] = (struct credit_charge){.period = period};
    return &credit->charges[credit->charge_count++];
}

static int add_to_charge(struct computing *it, struct window period, struct money price)
{
    struct credit_charge *charge = charge_of(it->credit, period);

    return money_add(charge->price, price, &charge->price) ? CREDIT_OVERFLOW : 0;
}

/* The periods behind the card's running one whose fees the same invoice billed, as one charge. */
static int add_ahead(struct computing *it, const struct rate_card *card, struct card_period period,
                     struct instant until, struct money price)
{
    struct window ahead = {period.window.to, period.window.to};
    struct money sum = {0};

    while (instant_compare(period.window.to, until) < 0 &&
           periods_card_next(it->old, it->phase, card, &period, &period)) {
        ahead.to = period.window.to;
        if (money_add(sum, price, &sum))
            return CREDIT_OVERFLOW;
    }
    return sum.minor ? add_to_charge(it, ahead, sum) : 0;
}

static int add_charges(struct computing *it)
{
    const struct phase *phase = phase_of(it);

    it->credit->charges =
        arena_take(it->arena, (2 * phase->card_count + 1) * sizeof(*it->credit->charges));
    if (!it->credit->charges)
        return CREDIT_NO_MEMORY;
    for (size_t i = 0; i < phase->card_count; i++) {
        struct card_period period;
        struct instant until = it->at;
        struct money price;
        int r;

        if (!is_cut(it, &phase->cards[i], &period))
            continue;
        r = paid_until(it, &phase->cards[i], &until);
        if (r)
            return fault_pass(r);
        if (instant_compare(period.window.from, until) >= 0)
            continue;
        r = price_of(it, &phase->cards[i], &price);
        if (r == 0)
            r = add_to_charge(it, period.window, price);
        if (r == 0)
            r = add_ahead(it, &phase->cards[i], period, until, price);
        if (r)
            return r;
    }
    return 0;
}

/* The card's entitlement in its running period, which is a card's with that cadence. */
static bool quota_period(const struct computing *it, const struct rate_card *card,
                         struct card_period *period)
{
    const struct rate_card grants = {.cadence = card->quota.period};

    return card->quota.is_there && card->quota.granted.units > 0 &&
           periods_card_at(it->old, it->phase, &grants, it->at, period);
}

static int add_uses(struct computing *it)
{
    const struct phase *phase = phase_of(it);

    it->credit->uses = arena_take(it->arena, (phase->card_count + 1) * sizeof(*it->credit->uses));
    if (!it->credit->uses)
        return CREDIT_NO_MEMORY;
    for (size_t i = 0; i < phase->card_count; i++) {
        const struct rate_card *card = &phase->cards[i];
        /* A quota is of the meter's whole quantity, however the card prices it. */
        const struct rate_card counted = {.feature_key = card->feature_key, .is_of_usage = true};
        struct invoice_usage usage;
        struct card_period period;
        struct credit_use *use;
        int r;

        if (!quota_period(it, card, &period))
            continue;
        r = it->sources->usage_of(it->sources->context, &counted, period.window, &usage);
        if (r)
            return fault_pass(r);
        use = &it->credit->uses[it->credit->use_count++];
        *use = (struct credit_use){
            card->feature_key, period.window, {usage.quantity, card->quota.granted}};
        if (use->use.usage.units < 0)
            use->use.usage.units = 0;
    }
    return 0;
}

/* Of what hasn't begun nothing is used up, whatever was used of the running quota. */
static size_t uses_of(struct window period, struct instant at, size_t count)
{
    return instant_compare(period.from, at) > 0 ? 0 : count;
}

/* Every charge that has begun by the same uses. */
static int prorate(struct computing *it)
{
    struct credit *credit = it->credit;
    struct proration_use *uses = arena_take(it->arena, (credit->use_count + 1) * sizeof(*uses));

    if (!uses)
        return CREDIT_NO_MEMORY;
    for (size_t i = 0; i < credit->use_count; i++)
        uses[i] = credit->uses[i].use;
    for (size_t i = 0; i < credit->charge_count; i++) {
        struct credit_charge *charge = &credit->charges[i];
        struct proration_question question = {
            credit->mode, charge->price, charge->period,
            credit->at,   uses,          uses_of(charge->period, credit->at, credit->use_count)};
        struct proration prorated;

        if (proration_of(&question, &prorated)) /* no second long: nothing comes back */
            continue;
        charge->ratio = prorated.ratio;
        charge->credit = prorated.credit;
        if (money_add(credit->amount, prorated.credit, &credit->amount))
            return CREDIT_OVERFLOW;
    }
    return 0;
}

static bool has_phase(const struct subscription *old, struct instant at, size_t *phase)
{
    struct billing_period period = periods_at(old, at);

    if (period.phase == PERIODS_NONE)
        return false;
    *phase = (size_t)period.phase;
    return true;
}

bool credit_needs_usage(const struct subscription *old, struct instant at)
{
    struct computing it = {.old = old, .at = at, .is_paid_ahead = true};
    bool has_charge = false, has_quota = false;
    struct card_period period;

    if (old->plan->proration != PRORATION_MAX_CONSUMPTION_BASED || !has_phase(old, at, &it.phase))
        return false;
    for (size_t i = 0; i < phase_of(&it)->card_count; i++) {
        has_charge |= is_cut(&it, &phase_of(&it)->cards[i], &period);
        has_quota |= quota_period(&it, &phase_of(&it)->cards[i], &period);
    }
    return has_charge && has_quota;
}

/* Whether the subscription bills the boundary though it ends at `at`. */
static bool is_kept(const struct billing_boundary *boundary, struct instant at,
                    struct instant billed)
{
    return instant_compare(boundary->at, at) < 0 || instant_compare(boundary->at, billed) <= 0;
}

/* The fees of a boundary; one that isn't billed yet will find its period ended by `at`. */
static struct billing_boundary fees_of(const struct billing_boundary *boundary, struct instant at,
                                       struct instant billed)
{
    struct billing_boundary fees = {
        .at = boundary->at, .ended = {.phase = PERIODS_NONE}, .begins = boundary->begins};

    if (instant_compare(boundary->at, billed) > 0 && instant_compare(at, fees.begins.window.to) < 0)
        fees.begins.window.to = at;
    return fees;
}

/*
 * Each boundary before `at` uses what its invoice does, whether it is issued yet or not: how much
 * follows from the plan alone.
 */
int credit_carry(const struct subscription *old, struct instant at, struct instant billed,
                 struct arena *arena, struct credit *credit)
{
    struct credit carried = {.plan = old->plan, .at = at, .mode = old->plan->proration};
    struct invoice_sources sources = {.credit_used = {0}};
    struct billing_boundary boundary;
    bool found = old->credit.minor > 0 && periods_first(old, &boundary);

    while (found && is_kept(&boundary, at, billed) &&
           money_compare(sources.credit_used, old->credit) < 0) {
        struct billing_boundary begins = fees_of(&boundary, at, billed);
        struct invoice invoice;
        int r = invoice_build(old, &begins, &sources, arena, &invoice);

        if (r != 0 && r != INVOICE_NOTHING)
            return r < 0 ? fault_pass(r)
                         : (r == INVOICE_NO_MEMORY ? CREDIT_NO_MEMORY : CREDIT_OVERFLOW);
        if (r == 0)
            sources.credit_used.minor += invoice.credit.used.minor;
        found = periods_next(old, &boundary, &boundary);
    }
    carried.carried.minor = old->credit.minor - sources.credit_used.minor;
    carried.amount = carried.carried;
    *credit = carried;
    return 0;
}

int credit_compute(const struct subscription *old, struct instant at, struct instant billed,
                   const struct invoice_sources *sources, struct arena *arena,
                   struct credit *credit)
{
    struct credit computed;
    struct computing it = {
        .old = old, .at = at, .sources = sources, .arena = arena, .credit = &computed};
    int r = credit_carry(old, at, billed, arena, &computed);

    it.is_paid_ahead = instant_compare(periods_at(old, at).window.from, billed) <= 0;

    if (r == 0 && computed.mode != PRORATION_NONE && has_phase(old, at, &it.phase)) {
        r = add_charges(&it);
        if (r == 0 && credit_needs_usage(old, at))
            r = add_uses(&it);
        if (r == 0)
            r = prorate(&it);
    }
    if (r)
        return r < 0 ? fault_pass(r) : r;
    *credit = computed;
    return 0;
}

/* --- the record --- */

static void set_text(json_t *object, const char *name, struct text text)
{
    json_object_set_new(object, name, json_stringn(text.at, text.length));
}

static void set_money(json_t *object, const char *name, struct money money,
                      const struct currency *currency)
{
    char text[MONEY_TEXT_MAX];

    (void)money_format(money, currency, text);
    json_object_set_new(object, name, json_string(text));
}

static void set_decimal(json_t *object, const char *name, struct decimal decimal)
{
    char text[DECIMAL_TEXT_MAX];

    (void)decimal_format(decimal, text);
    json_object_set_new(object, name, json_string(text));
}

static void set_instant(json_t *object, const char *name, struct instant instant)
{
    char text[INSTANT_TEXT_MAX];

    (void)instant_format(instant, text);
    json_object_set_new(object, name, json_string(text));
}

static void set_period(json_t *object, struct window window)
{
    json_t *period = json_object();

    set_instant(period, "from", window.from);
    set_instant(period, "to", window.to);
    json_object_set_new(object, "period", period);
}

static json_t *write_charges(const struct credit *credit)
{
    json_t *array = json_array();

    for (size_t i = 0; i < credit->charge_count; i++) {
        const struct credit_charge *charge = &credit->charges[i];
        json_t *object = json_object();

        set_period(object, charge->period);
        set_money(object, "price", charge->price, credit->plan->currency);
        set_decimal(object, "ratio", charge->ratio);
        set_money(object, "credit", charge->credit, credit->plan->currency);
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *write_uses(const struct credit *credit)
{
    json_t *array = json_array();

    for (size_t i = 0; i < credit->use_count; i++) {
        const struct credit_use *use = &credit->uses[i];
        json_t *object = json_object();

        set_text(object, "featureKey", use->feature_key);
        set_period(object, use->period);
        set_decimal(object, "usage", use->use.usage);
        set_decimal(object, "quota", use->use.quota);
        json_array_append_new(array, object);
    }
    return array;
}

json_t *credit_write(const struct credit *credit, const struct invoice_position *position)
{
    const struct currency *currency = credit->plan->currency;
    json_t *record = json_object(), *plan = json_object();

    set_text(plan, "key", credit->plan->key);
    json_object_set_new(plan, "version", json_integer(credit->plan->version));
    set_money(record, "amount", credit->amount, currency);
    set_text(record, "currency", text_of(currency->code));
    set_instant(record, "at", credit->at);
    set_text(record, "mode", text_of(proration_mode_name(credit->mode)));
    set_money(record, "carried", credit->carried, currency);
    json_object_set_new(record, "plan", plan);
    json_object_set_new(record, "charges", write_charges(credit));
    json_object_set_new(record, "uses", write_uses(credit));
    json_object_set_new(record, "position",
                        json_pack("{s:i,s:I}", "partition", (int)position->partition, "nextOffset",
                                  (json_int_t)position->next_offset));
    return record;
}

/* --- checking a record --- */

struct verifying {
    const json_t *record;
    const struct currency *currency;
    struct proration_question question;
    size_t use_count;
    struct credit_fault *fault;
};

static int malformed(struct verifying *it, const char *what)
{
    (void)snprintf(it->fault->detail, sizeof(it->fault->detail), "%s", what);
    return CREDIT_MALFORMED;
}

static bool read_money(const struct verifying *it, const json_t *object, const char *name,
                       struct money *money)
{
    return money_parse(shape_text(object, name), it->currency, money) == 0 && money->minor >= 0;
}

static int read_uses(struct verifying *it, struct proration_use *uses)
{
    const json_t *use;
    size_t i;

    json_array_foreach(json_object_get(it->record, "uses"), i, use)
    {
        if (decimal_parse_sum(shape_text(use, "usage"), &uses[i].usage) ||
            decimal_parse(shape_text(use, "quota"), &uses[i].quota))
            return malformed(it, "a use's usage or quota isn't an amount");
    }
    it->question.uses = uses;
    it->use_count = json_array_size(json_object_get(it->record, "uses"));
    return 0;
}

static int verify_charge(struct verifying *it, const json_t *charge, struct money *sum)
{
    const json_t *period = json_object_get(charge, "period");
    char text[MONEY_TEXT_MAX];
    struct proration prorated;
    struct decimal ratio;
    struct money credit;

    if (!read_money(it, charge, "price", &it->question.price) ||
        !read_money(it, charge, "credit", &credit))
        return malformed(it, "a charge's price or credit isn't an amount of the currency");
    if (instant_parse(shape_text(period, "from"), &it->question.period.from) ||
        instant_parse(shape_text(period, "to"), &it->question.period.to) ||
        decimal_parse(shape_text(charge, "ratio"), &ratio))
        return malformed(it, "a charge's period or ratio can't be read");
    it->question.use_count = uses_of(it->question.period, it->question.at, it->use_count);
    if (proration_of(&it->question, &prorated))
        return malformed(it, "a charge's period ends at or before its start");
    if (money_compare(credit, prorated.credit) != 0 ||
        decimal_compare(ratio, prorated.ratio) != 0) {
        (void)money_format(prorated.credit, it->currency, text);
        (void)snprintf(it->fault->detail, sizeof(it->fault->detail),
                       "its price, period and uses come to a credit of %s", text);
        return CREDIT_CHARGE_DIFFERS;
    }
    return money_add(*sum, credit, sum) ? malformed(it, "has no room") : 0;
}

static int verify_charges(struct verifying *it)
{
    struct money sum, amount;
    char text[MONEY_TEXT_MAX];
    const json_t *charge;
    size_t i;

    if (!read_money(it, it->record, "carried", &sum) ||
        !read_money(it, it->record, "amount", &amount))
        return malformed(it, "amount or carried isn't an amount of the currency");
    json_array_foreach(json_object_get(it->record, "charges"), i, charge)
    {
        int r = verify_charge(it, charge, &sum);

        it->fault->charge = i;
        if (r)
            return r;
    }
    if (money_compare(sum, amount) == 0)
        return 0;
    (void)money_format(sum, it->currency, text);
    (void)snprintf(it->fault->detail, sizeof(it->fault->detail),
                   "what was carried over and the charges' credits come to %s", text);
    return CREDIT_SUM_DIFFERS;
}

int credit_verify(const json_t *record, struct credit_fault *fault)
{
    struct verifying it = {.record = record, .fault = fault};
    struct proration_use *uses;
    int r;

    it.currency = currency_find(shape_text(record, "currency"));
    if (!it.currency || instant_parse(shape_text(record, "at"), &it.question.at))
        return malformed(&it, "currency or at is missing");
    if (!proration_mode_from(shape_text(record, "mode"), &it.question.mode))
        return malformed(&it, "mode isn't max_consumption_based, time_based or none");
    uses = calloc(json_array_size(json_object_get(record, "uses")) + 1, sizeof(*uses));
    assert(uses);
    r = read_uses(&it, uses);
    if (r == 0)
        r = verify_charges(&it);
    free(uses);
    return r;
}
