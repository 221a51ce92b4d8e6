#include "invoicer/edges/audits.h"

#include "common/base/fault.h"
#include "common/base/money.h"
#include "invoicer/edges/billed.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/mirror.h"
#include "invoicer/rules/audit_count.h"
#include "invoicer/rules/audit_credit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_HORIZON_MS (INT64_C(35) * 86400000)

enum { MESSAGES_AT_ONCE = 1000, POLL_MS = 1000, SILENT_POLLS_MAX = 30 };

/* A quantity on an invoice: of a line, or of one of its windows. */
struct check {
    size_t invoice;
    const json_t *line, *window; /* window: NULL for the line's own */
    struct audit_want *want;
};

struct audit {
    const struct audit_request *request;
    struct audit_report *report;
    json_t **invoices;
    size_t invoice_count, invoice_room;
    struct check *checks; /* in the order of the invoices and their lines */
    size_t check_count, check_room;
    struct audit_want *wants;
    int64_t *ends; /* of each partition: how far is to be read; 0: not at all */
    int64_t *next; /* where its reading is */
    audit_progress *progress;
    void *context;
};

static void *grow(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    *room = *room ? *room * 2 : 64;
    array = realloc(array, *room * size);
    if (!array)
        abort();
    return array;
}

static const char *string_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

/* --- differences --- */

static void note(struct audit *audit, const json_t *invoice, const json_t *line, const char *what,
                 const char *stated, const char *found)
{
    struct audit_report *report = audit->report;

    report->differences =
        grow(report->differences, report->count, &report->room, sizeof(*report->differences));
    report->differences[report->count++] = (struct audit_difference){
        .invoice = text_copy(text_of(string_of(invoice, "id"))),
        .line = line ? text_copy(text_of(string_of(line, "id"))) : NULL,
        .what = text_copy(text_of(what)),
        .stated = text_copy(text_of(stated)),
        .found = text_copy(text_of(found)),
    };
}

void audit_report_deinit(struct audit_report *report)
{
    for (size_t i = 0; i < report->count; i++) {
        free(report->differences[i].invoice);
        free(report->differences[i].line);
        free(report->differences[i].what);
        free(report->differences[i].stated);
        free(report->differences[i].found);
    }
    free(report->differences);
}

static void compare_money(struct audit *audit, const json_t *invoice, const json_t *line,
                          const char *name, int128 found)
{
    const struct currency *currency = currency_find(text_of(string_of(invoice, "currency")));
    const char *stated = string_of(line ? line : invoice, name);
    char text[MONEY_TEXT_MAX];
    struct money money;

    audit->report->amounts++;
    if (money_parse(text_of(stated), currency, &money) == 0 && money.minor == found)
        return;
    (void)money_format((struct money){found}, currency, text);
    note(audit, invoice, line, name, stated, text);
}

/* --- what is asked for --- */

static bool has_usage(const json_t *line)
{
    return strcmp(string_of(line, "kind"), "fee") != 0;
}

static void add_check(struct audit *audit, const json_t *line, const json_t *window)
{
    audit->checks =
        grow(audit->checks, audit->check_count, &audit->check_room, sizeof(*audit->checks));
    audit->checks[audit->check_count++] =
        (struct check){.invoice = audit->invoice_count, .line = line, .window = window};
}

static int take_invoice(void *context, struct text key, struct text value)
{
    struct audit *audit = context;
    json_t *invoice = json_loadb(value.at, value.length, 0, NULL), *line, *window;
    size_t i, j;

    (void)key;
    if (!invoice)
        return fault(FAULT_STOP, "an invoice of the store isn't JSON");
    if (audit->request->subscription &&
        strcmp(audit->request->subscription, string_of(invoice, "subscription")) != 0) {
        json_decref(invoice);
        return 0;
    }
    json_array_foreach(json_object_get(invoice, "lines"), i, line)
    {
        if (!has_usage(line))
            continue;
        add_check(audit, line, NULL);
        json_array_foreach(json_object_get(line, "windows"), j, window)
            add_check(audit, line, window);
    }
    audit->invoices =
        grow(audit->invoices, audit->invoice_count, &audit->invoice_room, sizeof(json_t *));
    audit->invoices[audit->invoice_count++] = invoice;
    return 0;
}

static int take_invoices(struct audit *audit, struct store_txn *txn)
{
    const char *only = audit->request->invoice;
    struct text json;
    int r;

    if (!only) {
        r = billed_each_invoice(txn, take_invoice, audit);
        return r ? fault_pass(r) : 0;
    }
    r = billed_invoice(txn, text_of(only), &json);
    if (r)
        return r < 0 ? fault_pass(r) : AUDITS_NO_INVOICE;
    r = take_invoice(audit, text_of(only), json);
    return r ? fault_pass(r) : 0;
}

static const json_t *matrix_of(const json_t *line)
{
    const json_t *price = json_object_get(line, "price");

    return strcmp(string_of(price, "type"), "matrix") == 0 ? price : NULL;
}

static bool fill_want(const struct audit *audit, size_t about, struct audit_want *want)
{
    const struct check *check = &audit->checks[about];
    const json_t *invoice = audit->invoices[check->invoice];
    const json_t *period = check->window ? check->window : json_object_get(check->line, "period");
    const json_t *position = json_object_get(invoice, "position");

    *want = (struct audit_want){
        .subscription = text_of(string_of(invoice, "subscription")),
        .meter = text_of(string_of(check->line, "featureKey")),
        .partition = (int32_t)json_integer_value(json_object_get(position, "partition")),
        .next_offset = json_integer_value(json_object_get(position, "nextOffset")),
        .matrix = check->window ? NULL : matrix_of(check->line),
        .about = about,
    };
    return want->partition >= 0 && want->partition < audit->request->partitions &&
           instant_parse(text_of(string_of(period, "from")), &want->from) == 0 &&
           instant_parse(text_of(string_of(period, "to")), &want->to) == 0;
}

static int fill_wants(struct audit *audit)
{
    audit->wants = calloc(audit->check_count + 1, sizeof(*audit->wants));
    audit->ends = calloc((size_t)audit->request->partitions, sizeof(*audit->ends));
    audit->next = calloc((size_t)audit->request->partitions, sizeof(*audit->next));
    if (!audit->wants || !audit->ends || !audit->next)
        abort();
    for (size_t i = 0; i < audit->check_count; i++) {
        struct audit_want *want = &audit->wants[i];

        if (!fill_want(audit, i, want))
            return fault(FAULT_STOP, "invoice %s has no position or period that can be read",
                         string_of(audit->invoices[audit->checks[i].invoice], "id"));
        if (want->next_offset > audit->ends[want->partition])
            audit->ends[want->partition] = want->next_offset;
    }
    return 0;
}

/* --- the log --- */

static bool is_read(const struct audit *audit)
{
    for (int32_t i = 0; i < audit->request->partitions; i++) {
        if (audit->next[i] < audit->ends[i])
            return false;
    }
    return true;
}

static void take_message(struct audit *audit, struct audit_count *count,
                         struct usage_reader *reader, const struct kafka_message *message)
{
    int64_t *next = &audit->next[message->partition];
    struct usage_batch batch;
    const char *reason;

    if (message->offset >= audit->ends[message->partition])
        return;
    if (*next == 0 && message->offset > 0)
        audit->report->missing++;
    *next = message->offset + 1;
    if (usage_decode(reader, message->value, &batch, &reason))
        return; /* foreign: rejected, not counted */
    audit->report->events += batch.event_count;
    audit_count_take(count, message->partition, message->offset, &batch);
}

static void tell(const struct audit *audit)
{
    int64_t done = 0, total = 0;

    for (int32_t i = 0; i < audit->request->partitions; i++) {
        done += audit->next[i] < audit->ends[i] ? audit->next[i] : audit->ends[i];
        total += audit->ends[i];
    }
    if (audit->progress)
        audit->progress(audit->context, done, total);
}

static int read_messages(struct audit *audit, struct audit_count *count, struct follower *follower)
{
    struct kafka_message messages[MESSAGES_AT_ONCE];
    struct usage_reader *reader = usage_reader_new();
    int silent = 0, got = 0;

    while (got >= 0 && !is_read(audit) && silent < SILENT_POLLS_MAX) {
        got = follower_poll(follower, messages, MESSAGES_AT_ONCE, POLL_MS);
        silent = got == 0 ? silent + 1 : 0;
        for (int i = 0; i < got; i++)
            take_message(audit, count, reader, &messages[i]);
        tell(audit);
    }
    (void)usage_reader_free(reader);
    if (got < 0)
        return fault_pass(got);
    return is_read(audit) ? 0
                          : fault(FAULT_RETRY, "%s doesn't reach the positions of the invoices",
                                  audit->request->usage_topic);
}

static int read_log(struct audit *audit)
{
    const struct audit_request *request = audit->request;
    struct audit_count *count;
    struct follower *follower = NULL;
    int64_t *starts = calloc((size_t)request->partitions, sizeof(*starts));
    int r;

    if (!starts)
        abort();
    for (int32_t i = 0; i < request->partitions; i++)
        starts[i] = audit->ends[i] ? -2 : -1;
    count = audit_count_new(audit->wants, audit->check_count, request->partitions,
                            request->horizons_ms);
    r = is_read(audit) ? 0
                       : follower_new(&request->kafka, request->usage_topic, starts,
                                      (size_t)request->partitions, &follower);
    if (!r && follower)
        r = read_messages(audit, count, follower);
    (void)follower_free(follower);
    audit->report->late = audit_count_late(count);
    (void)audit_count_free(count);
    free(starts);
    return r ? fault_pass(r) : 0;
}

/* --- comparing --- */

static void compare_quantity(struct audit *audit, const struct check *check,
                             struct audit_want *want)
{
    const char *stated = string_of(check->window ? check->window : check->line, "quantity");
    struct decimal quantity, found = audit_want_answer(want);
    char text[DECIMAL_TEXT_MAX];

    audit->report->quantities++;
    if (!want->found.has_overflow && decimal_parse_sum(text_of(stated), &quantity) == 0 &&
        decimal_compare(quantity, found) == 0)
        return;
    (void)decimal_format(found, text);
    note(audit, audit->invoices[check->invoice], check->line,
         check->window ? string_of(check->window, "from") : "quantity", stated,
         want->found.has_overflow ? "too large" : text);
}

static void compare_details(struct audit *audit, const json_t *invoice, const json_t *line,
                            const struct audit_rating *rating)
{
    const struct currency *currency = currency_find(text_of(string_of(invoice, "currency")));
    json_t *detail;
    size_t i, at = 0;

    json_array_foreach(json_object_get(line, "details"), i, detail)
    {
        struct money amount, discount, total;

        if (money_parse(text_of(string_of(detail, "amount")), currency, &amount) ||
            money_parse(text_of(string_of(detail, "discount")), currency, &discount) ||
            money_parse(text_of(string_of(detail, "total")), currency, &total)) {
            note(audit, invoice, line, "details", "an amount that can't be read", "");
            return;
        }
        if (amount.minor == 0)
            continue;
        audit->report->amounts += 3;
        if (at == rating->count || rating->details[at].amount != amount.minor ||
            rating->details[at].discount != discount.minor ||
            rating->details[at].total != total.minor) {
            note(audit, invoice, line, "details", string_of(detail, "description"),
                 "another amount");
            return;
        }
        at++;
    }
    if (at < rating->count)
        note(audit, invoice, line, "details", "fewer lines", "more that move money");
}

/* An adjustment is what the period costs now, less what was billed for it. */
static void compare_sums(struct audit *audit, const json_t *invoice, const json_t *line,
                         const struct audit_rating *rating, struct audit_detail *sums)
{
    const struct currency *currency = currency_find(text_of(string_of(invoice, "currency")));
    struct audit_detail found = rating->sum;
    struct money billed = {0}, credit = {0};

    if (strcmp(string_of(line, "kind"), "adjustment") == 0) {
        if (money_parse(text_of(string_of(line, "billedTotal")), currency, &billed))
            note(audit, invoice, line, "billedTotal", string_of(line, "billedTotal"), "no amount");
        found = (struct audit_detail){.amount = found.total - billed.minor};
    }
    if (json_object_get(line, "credit") &&
        money_parse(text_of(string_of(line, "credit")), currency, &credit))
        note(audit, invoice, line, "credit", string_of(line, "credit"), "no amount");
    found.total = found.amount - found.discount - credit.minor;
    compare_money(audit, invoice, line, "amount", found.amount);
    compare_money(audit, invoice, line, "discount", found.discount);
    compare_money(audit, invoice, line, "total", found.total);
    sums->amount += found.amount;
    sums->discount += found.discount;
    sums->total += found.total;
}

/* Invoices are in the order of their ids: a subscription's in that of their boundaries. */
struct credit_use {
    const char *subscription;
    struct money used; /* by its invoices so far */
};

static void compare_credit(struct audit *audit, const json_t *invoice,
                           const struct currency *currency, struct credit_use *use)
{
    const char *subscription = string_of(invoice, "subscription");
    struct audit_credit_difference difference;
    char text[MONEY_TEXT_MAX];

    if (!use->subscription || strcmp(use->subscription, subscription) != 0)
        *use = (struct credit_use){.subscription = subscription};
    if (audit_credit(invoice, currency, audit->request->invoice ? NULL : &use->used, &difference)) {
        (void)money_format(difference.found, currency, text);
        note(audit, invoice, difference.line, difference.what, difference.stated, text);
    }
    use->used.minor += audit_credit_used(invoice, currency).minor;
}

/* The checks of a line stand together, its own first. */
static void compare_line(struct audit *audit, const json_t *invoice, const json_t *line,
                         size_t *check, struct audit_detail *sums)
{
    const struct currency *currency = currency_find(text_of(string_of(invoice, "currency")));
    struct audit_counted counted = {.quantity = {0}};
    struct audit_rating rating = {0};

    audit->report->lines++;
    if (has_usage(line)) {
        struct audit_want *want = audit->checks[*check].want;

        counted.quantity = audit_want_answer(want);
        counted.events = want->found.events;
        counted.values = want->values;
        do
            (*check)++;
        while (*check < audit->check_count && audit->checks[*check].line == line);
    }
    if (audit_rate(line, &counted, currency->digits, &rating))
        note(audit, invoice, line, "price", "a price that can't be recomputed", "");
    compare_details(audit, invoice, line, &rating);
    compare_sums(audit, invoice, line, &rating, sums);
    audit_rating_deinit(&rating);
}

static void compare_invoice(struct audit *audit, const json_t *invoice, size_t *check,
                            struct credit_use *use)
{
    const struct currency *currency = currency_find(text_of(string_of(invoice, "currency")));
    struct audit_detail sums = {0};
    json_t *line;
    size_t i;

    audit->report->invoices++;
    if (!currency) {
        note(audit, invoice, NULL, "currency", string_of(invoice, "currency"), "no currency");
        return;
    }
    json_array_foreach(json_object_get(invoice, "lines"), i, line)
        compare_line(audit, invoice, line, check, &sums);
    compare_credit(audit, invoice, currency, use);
    compare_money(audit, invoice, NULL, "amount", sums.amount);
    compare_money(audit, invoice, NULL, "discountTotal", sums.discount);
    compare_money(audit, invoice, NULL, "total", sums.total);
}

static void compare_all(struct audit *audit)
{
    struct credit_use use = {.subscription = NULL};
    size_t check = 0;

    for (size_t i = 0; i < audit->check_count; i++) {
        struct audit_want *want = &audit->wants[i];

        audit->checks[want->about].want = want;
        compare_quantity(audit, &audit->checks[want->about], want);
    }
    for (size_t i = 0; i < audit->invoice_count; i++)
        compare_invoice(audit, audit->invoices[i], &check, &use);
}

int audits_horizons(struct store_txn *txn, int32_t partitions, int64_t *horizons_ms,
                    bool *are_known)
{
    int64_t others = -1;
    int r = 0;

    for (int32_t i = 0; i < partitions && r == 0; i++) {
        struct counters_mark mark;

        r = mirror_mark(txn, i, &mark);
        horizons_ms[i] = r == 0 && mark.has_horizon ? mark.horizon_ms : -1;
        others = horizons_ms[i] >= 0 ? horizons_ms[i] : others;
        r = r == MIRROR_NONE ? 0 : r;
    }
    *are_known = others >= 0;
    for (int32_t i = 0; i < partitions; i++)
        if (horizons_ms[i] < 0)
            horizons_ms[i] = *are_known ? others : USUAL_HORIZON_MS;
    return r ? fault_pass(r) : 0;
}

int audits_run(struct store_txn *txn, const struct audit_request *request, audit_progress *progress,
               void *context, struct audit_report *report)
{
    struct audit audit = {
        .request = request, .report = report, .progress = progress, .context = context};
    int r;

    *report = (struct audit_report){0};
    r = take_invoices(&audit, txn);
    if (!r)
        r = fill_wants(&audit);
    if (!r)
        r = read_log(&audit);
    if (!r)
        compare_all(&audit);
    for (size_t i = 0; audit.wants && i < audit.check_count; i++)
        audit_want_deinit(&audit.wants[i]);
    for (size_t i = 0; i < audit.invoice_count; i++)
        json_decref(audit.invoices[i]);
    free(audit.invoices);
    free(audit.checks);
    free(audit.wants);
    free(audit.ends);
    free(audit.next);
    return r < 0 ? fault_pass(r) : r;
}
