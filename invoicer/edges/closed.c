#include "invoicer/edges/closed.h"

#include "common/base/fault.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/late.h"

#include <assert.h>
#include <stdlib.h>

struct finding {
    struct store_txn *txn;
    const struct bill_subject *subject;
    struct instant until; /* billed up to here */
    int64_t *late;        /* minutes; NULL: all periods are wanted */
    size_t late_count;
    struct closed_list *list;
};

void closed_deinit(struct closed_list *list)
{
    free(list->at);
    *list = (struct closed_list){0};
}

static struct invoice_billed *add(struct closed_list *list)
{
    if (list->count == list->room) {
        list->room = list->room ? list->room * 2 : 16;
        list->at = realloc(list->at, list->room * sizeof(*list->at));
        assert(list->at);
    }
    return &list->at[list->count];
}

static int add_period(struct finding *finding, size_t phase, size_t card,
                      const struct card_period *period)
{
    const struct subscription *subscription = &finding->subject->subscription;
    const struct plan *plan = subscription->plan;
    const struct phase *in = &plan->phases[phase];
    struct billed_period billed;
    struct invoice_billed *made;
    int r =
        billed_of(finding->txn, subscription->id, in->key, in->cards[card].key,
                  instant_minute(period->window.from), instant_minute(period->window.to), &billed);

    if (r)
        return fault_pass(r);
    made = add(finding->list);
    *made = (struct invoice_billed){.plan = plan,
                                    .phase = phase,
                                    .card = card,
                                    .period = *period,
                                    .adjustments = (size_t)billed.adjustments};
    if (decimal_parse_sum(text_of(billed.quantity), &made->quantity) ||
        money_parse(text_of(billed.total), plan->currency, &made->total))
        return fault(FAULT_STOP, "the store holds a billed period that isn't one");
    finding->list->count++;
    return 0;
}

static bool is_closed(const struct finding *finding, const struct card_period *period)
{
    return instant_compare(period->window.to, finding->until) <= 0;
}

static int add_all(struct finding *finding, size_t phase, size_t card)
{
    const struct subscription *subscription = &finding->subject->subscription;
    const struct rate_card *of = &subscription->plan->phases[phase].cards[card];
    struct card_period period;
    bool found = periods_card_first(subscription, phase, of, &period);
    int r = 0;

    while (!r && found && is_closed(finding, &period)) {
        r = add_period(finding, phase, card, &period);
        found = periods_card_next(subscription, phase, of, &period, &period);
    }
    return r ? fault_pass(r) : 0;
}

/* The periods that the noted windows begin in. */
static int add_late(struct finding *finding, size_t phase, size_t card)
{
    const struct subscription *subscription = &finding->subject->subscription;
    const struct rate_card *of = &subscription->plan->phases[phase].cards[card];
    struct instant end = {INT64_MIN}; /* of the one before */
    struct card_period period;
    int r = 0;

    for (size_t i = 0; !r && i < finding->late_count; i++) {
        struct instant at = instant_from_minute(finding->late[i]);

        if (instant_compare(at, end) < 0 ||
            !periods_card_at(subscription, phase, of, at, &period) || !is_closed(finding, &period))
            continue;
        end = period.window.to;
        r = add_period(finding, phase, card, &period);
    }
    return r ? fault_pass(r) : 0;
}

static int each_card(struct finding *finding,
                     int (*add_of)(struct finding *finding, size_t phase, size_t card))
{
    const struct plan *plan = finding->subject->subscription.plan;
    int r = 0;

    for (size_t i = 0; !r && i < plan->phase_count; i++)
        for (size_t j = 0; !r && j < plan->phases[i].card_count; j++)
            if (plan->phases[i].cards[j].is_of_usage && plan->phases[i].cards[j].has_price)
                r = add_of(finding, i, j);
    return r ? fault_pass(r) : 0;
}

int closed_find(struct store_txn *txn, const struct bill_subject *subject, struct closed_list *list)
{
    struct finding finding = {.txn = txn, .subject = subject, .list = list};
    struct text id = subject->subscription.id;
    int64_t minute, next;
    int r = billed_last(txn, id, &minute);

    if (r)
        return r < 0 ? fault_pass(r) : 0;
    finding.until = instant_from_minute(minute);
    r = late_settled(txn, id, &subject->record, &next);
    if (r == LATE_UNSETTLED) {
        r = each_card(&finding, add_all);
        return r ? fault_pass(r) : 0;
    }
    if (!r)
        r = late_minutes(txn, id, &finding.late, &finding.late_count);
    if (!r && finding.late_count)
        r = each_card(&finding, add_late);
    free(finding.late);
    return r ? fault_pass(r) : 0;
}
