#include "invoicer/edges/backtests.h"

#include "common/base/fault.h"
#include "common/base/partition.h"
#include "invoicer/edges/bills.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/usage.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES_MAX = 256 * 1024 * 1024, DAY_MINUTES = 1440 };

struct running {
    struct store_txn *txn;
    struct bills *bills;
    struct text plan; /* "team@2" */
    struct window range;
    struct arena scratch; /* of one subscription */
    struct arena *arena;
    struct backtest_row *rows;
    size_t count, room;
};

/* --- usage --- */

static bool is_cut(const struct usage_source *source, struct instant instant)
{
    int64_t minute = instant_minute(instant);
    int64_t of_day = ((minute % DAY_MINUTES) + DAY_MINUTES) % DAY_MINUTES;

    for (size_t i = 0; i < source->cut_count; i++) {
        if (source->cuts[i] == of_day)
            return true;
    }
    return false;
}

/* The other plan's periods may begin where this subscription's windows aren't cut. */
static int usage_of(void *context, const struct rate_card *card, struct window period,
                    struct invoice_usage *usage)
{
    const struct usage_source *source = context;
    int r;

    if (!is_cut(source, period.from) || !is_cut(source, period.to))
        return fault(FAULT_REFUSE, "its usage isn't cut where periods of that plan begin");
    r = usage_in(source, card, period, usage);
    return r ? fault_pass(r) : 0;
}

static int price(struct running *it, const struct bill_subject *subject, const struct plan *plan,
                 struct money *total)
{
    struct usage_source source = {it->txn, subject->subscription.id, subject->cuts,
                                  subject->cut_count, &it->scratch};
    struct invoice_sources sources = {.usage_of = usage_of, .context = &source};
    struct subscription priced = subject->subscription;
    int r;

    priced.plan = plan;
    r = backtest_price(&priced, it->range, &sources, &it->scratch, total);
    if (r > 0)
        return fault(FAULT_REFUSE, "what was counted can't be priced by plan %.*s",
                     (int)plan->key.length, plan->key.at);
    return r ? fault_pass(r) : 0;
}

/* --- rows --- */

static struct backtest_row *add_row(struct running *it, struct text id)
{
    if (it->count == it->room) {
        it->room = it->room ? it->room * 2 : 64;
        it->rows = realloc(it->rows, it->room * sizeof(*it->rows));
        if (!it->rows)
            abort();
    }
    it->rows[it->count] = (struct backtest_row){.subscription = arena_copy(it->arena, id)};
    return &it->rows[it->count++];
}

static bool overlaps(const struct subscription *subscription, struct window range)
{
    return instant_compare(subscription->active_from, range.to) < 0 &&
           instant_compare(subscription->active_to, range.from) > 0;
}

static int compare(struct running *it, const struct bill_subject *subject, struct backtest_row *row)
{
    const struct plan *own = subject->subscription.plan, *other;
    char *id = text_copy(it->plan);
    int r = bills_plan(it->bills, it->txn, id, text_of(own->currency->code), &other);

    free(id);
    if (!r)
        r = price(it, subject, own, &row->now);
    if (!r)
        r = price(it, subject, other, &row->then);
    return r ? fault_pass(r) : 0;
}

static int take_subscription(void *context, struct text key, struct text value)
{
    static const size_t prefix = sizeof("subscription/") - 1, offset = sizeof(int64_t);
    struct running *it = context;
    CLEANUP(buffer_deinit) struct buffer plan = {0};
    struct bill_subject subject;
    struct backtest_row *row;
    int r;

    arena_reset(&it->scratch);
    r = bills_subject(it->bills, it->txn, text_from(value.at + offset, value.length - offset),
                      &it->scratch, &subject);
    if (r)
        return fault_pass(r);
    if (!overlaps(&subject.subscription, it->range))
        return 0;
    row = add_row(it, text_from(key.at + prefix, key.length - prefix));
    buffer_add_text(&plan, subject.subscription.plan->key);
    buffer_printf(&plan, "@%lld", (long long)subject.subscription.plan->version);
    row->plan = arena_copy(it->arena, buffer_text(&plan));
    row->customer = arena_copy(it->arena, subject.subscription.customer_name);
    row->currency = subject.subscription.plan->currency;
    r = compare(it, &subject, row);
    if (r == FAULT_REFUSE)
        row->why_not = arena_copy(it->arena, text_of(fault_text()));
    if (text_is_absent(row->plan) || text_is_absent(row->customer))
        return fault(FAULT_REFUSE, "the comparison has no room in memory");
    return r == FAULT_REFUSE || r == 0 ? 0 : fault_pass(r);
}

/* --- the plan --- */

struct versions {
    int64_t newest; /* 0: none */
};

static int take_version(void *context, struct text key, struct text value)
{
    struct versions *versions = context;
    const char *at = memchr(key.at, '@', key.length);
    int64_t version = 0;

    (void)value;
    for (at++; at < key.at + key.length; at++)
        version = version * 10 + (*at - '0');
    if (version > versions->newest)
        versions->newest = version;
    return 0;
}

/* Its version as it stands in the catalog, into the arena. */
static int find_plan(struct running *it, struct text plan, struct text *found)
{
    CLEANUP(buffer_deinit) struct buffer key = {0};
    struct versions versions = {0};
    struct text record;
    int64_t offset;
    int r = 0;

    buffer_add_string(&key, "plan/");
    buffer_add_text(&key, plan);
    if (!memchr(plan.at, '@', plan.length)) {
        buffer_add_char(&key, '@');
        r = books_each(it->txn, BOOKS_CATALOG, buffer_text(&key), take_version, &versions);
        buffer_add_int(&key, versions.newest);
    }
    if (!r && key.length > STORE_KEY_BYTES_MAX)
        return BACKTESTS_NO_PLAN;
    if (!r)
        r = books_catalog_get(it->txn, buffer_text(&key), &record, &offset);
    if (r)
        return r < 0 ? fault_pass(r) : BACKTESTS_NO_PLAN;
    *found = arena_copy(it->arena, text_from(key.at + 5, key.length - 5));
    return 0;
}

int backtests_run(struct store_txn *txn, struct text plan, struct window range, int32_t partitions,
                  struct arena *arena, struct backtest *backtest)
{
    struct running it = {.txn = txn, .range = range, .arena = arena};
    int r = find_plan(&it, plan, &it.plan);

    if (r)
        return r < 0 ? fault_pass(r) : r;
    it.bills = bills_new(partitions);
    arena_init(&it.scratch, ARENA_BYTES_MAX);
    r = books_each(txn, BOOKS_CATALOG, text_of("subscription/"), take_subscription, &it);
    arena_deinit(&it.scratch);
    bills_free(it.bills);
    *backtest =
        (struct backtest){.plan = it.plan, .range = range, .rows = it.rows, .count = it.count};
    if (!r && backtest_finish(backtest))
        r = fault(FAULT_REFUSE, "the sums have no room");
    return r ? fault_pass(r) : 0;
}
