#include "aggregator/edges/answer_parts.h"

#include "aggregator/edges/unread.h"
#include "aggregator/edges/vault_parts.h"
#include "aggregator/rules/ledger.h"
#include "common/base/fault.h"
#include "common/io/log.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A subscription's counts, or those of what can't be decoded (absent). */
struct entry {
    char *subscription; /* malloc'd; NULL: of nobody */
    struct account_counts counts;
};

struct audit {
    struct answer_job job;
    struct answers *answers;
    struct http_request *request;
    struct answer_partitions partitions;
    struct text filter[QUERY_SUBSCRIPTIONS_MAX];
    size_t filter_count;
    int64_t *ends; /* of every partition of `usage`, asked before the counts are read */
    struct unread_stretch *unread; /* of every partition; of ours, what isn't counted yet */
    uint64_t accepted;             /* of the partition that is read, filtered or not */
    struct entry *entries;
    size_t count, room;
    int64_t lag;
    char path[64];
    int result;
    struct buffer out;
    char why[256];
};

/* --- on the pool --- */

static void add_entry(struct audit *audit, struct text subscription,
                      const struct account_counts *counts)
{
    if (audit->filter_count &&
        (text_is_absent(subscription) ||
         !query_list_has((struct query_list){audit->filter, audit->filter_count}, subscription)))
        return;
    if (audit->count == audit->room) {
        audit->room = audit->room ? audit->room * 2 : 64;
        audit->entries = realloc(audit->entries, audit->room * sizeof(*audit->entries));
        if (!audit->entries)
            abort();
    }
    audit->entries[audit->count++] = (struct entry){
        .subscription = text_is_absent(subscription) ? NULL : text_copy(subscription),
        .counts = *counts,
    };
}

static int damaged_account(void)
{
    return fault(FAULT_STOP, "the store is damaged: an account; remedy: aggregator verify");
}

/* Adds the rows of a block, whose names the cursor comes to one after the other. */
static int add_rows(struct audit *audit, const struct ledger_rows *rows, struct store_cursor *names)
{
    for (size_t i = 0; i < rows->count; i++) {
        struct text key = text_from("", 0), value, name, subscription;
        int r = store_cursor_next(names, &key, &value);

        if (r < 0)
            return fault_pass(r);
        if (r || !sealed_open(key, value, &name) || !account_name_decode(name, &subscription))
            return damaged_account();
        audit->accepted += rows->at[i].counts.accepted;
        add_entry(audit, subscription, &rows->at[i].counts);
    }
    return 0;
}

static int read_accounts(struct audit *audit, struct store_txn *txn)
{
    CLEANUP(store_cursor_drop) struct store_cursor *cursor = NULL;
    CLEANUP(store_cursor_drop) struct store_cursor *names = NULL;
    struct text key = text_from("", 0), value;
    int r = store_cursor_new(txn, VAULT_LEDGER, &cursor);

    if (!r)
        r = store_cursor_new(txn, VAULT_ACCOUNTS, &names);
    if (r)
        return fault_pass(r);
    for (r = store_cursor_seek(cursor, &key, &value); r == 0;
         r = store_cursor_next(cursor, &key, &value)) {
        struct ledger_rows rows;
        int m =
            ledger_decode(key, value, &rows) ? add_rows(audit, &rows, names) : damaged_account();

        if (m)
            return fault_pass(m);
    }
    return r == STORE_NOT_FOUND ? 0 : fault_pass(r);
}

static int scan_one(void *context, const struct owned_view *view)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    struct audit *audit = context;
    struct vault_state state = {.next_offset = 0};
    struct unread_stretch *unread = &audit->unread[view->partition];
    int r = store_begin(view->store, STORE_READ, &txn);

    if (!r)
        r = vault_read_state(txn, &state);
    if (r == VAULT_DAMAGED)
        return fault(FAULT_STOP, "the store is damaged: its state; remedy: aggregator verify");
    if (r && r != VAULT_EMPTY)
        return fault_pass(r);
    audit->accepted = 0;
    r = read_accounts(audit, txn);
    *unread = (struct unread_stretch){
        .from = state.next_offset, .to = audit->ends[view->partition], .accepted = audit->accepted};
    return r ? fault_pass(r) : 0;
}

static uint64_t count_of(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

/* A peer's ledger is one of the public shape. */
static int merge_one(void *context, struct text body)
{
    struct audit *audit = context;
    json_t *ledger = json_loadb(body.at, body.length, JSON_REJECT_DUPLICATES, NULL);
    json_t *list = json_object_get(ledger, "subscriptions"), *one;
    size_t i;

    if (!json_is_array(list)) {
        json_decref(ledger);
        return ANSWER_UNOWNED;
    }
    audit->lag += json_integer_value(json_object_get(ledger, "lag"));
    json_array_foreach(list, i, one)
    {
        const json_t *name = json_object_get(one, "subscription");
        struct account_counts counts = {.accepted = count_of(one, "accepted"),
                                        .counted = count_of(one, "counted"),
                                        .duplicate = count_of(one, "duplicate"),
                                        .conflict = count_of(one, "conflict"),
                                        .rejected = count_of(one, "rejected"),
                                        .late = count_of(one, "late")};
        add_entry(audit, text_of(json_string_value(name)), &counts);
    }
    json_decref(ledger);
    return 0;
}

/* --- writing --- */

static int compare_entries(const void *a, const void *b)
{
    return text_compare(text_of(((const struct entry *)a)->subscription),
                        text_of(((const struct entry *)b)->subscription));
}

static void write_counts(struct buffer *out, const struct account_counts *counts)
{
    buffer_printf(out,
                  "\"accepted\":%llu,\"counted\":%llu,\"duplicate\":%llu,\"conflict\":%llu,"
                  "\"rejected\":%llu,\"late\":%llu",
                  (unsigned long long)counts->accepted, (unsigned long long)counts->counted,
                  (unsigned long long)counts->duplicate, (unsigned long long)counts->conflict,
                  (unsigned long long)counts->rejected, (unsigned long long)counts->late);
}

/* A subscription has an entry a partition only when its events were misplaced: they are one. */
static size_t unite(struct audit *audit)
{
    size_t kept = 0;

    if (audit->count)
        qsort(audit->entries, audit->count, sizeof(*audit->entries), compare_entries);
    for (size_t i = 0; i < audit->count; i++) {
        if (kept && compare_entries(&audit->entries[kept - 1], &audit->entries[i]) == 0) {
            account_counts_add(&audit->entries[kept - 1].counts, &audit->entries[i].counts);
            free(audit->entries[i].subscription);
            continue;
        }
        audit->entries[kept++] = audit->entries[i];
    }
    return kept;
}

static void write_ledger(struct audit *audit)
{
    struct account_counts sum = {0};

    audit->count = unite(audit);
    for (size_t i = 0; i < audit->count; i++)
        account_counts_add(&sum, &audit->entries[i].counts);
    buffer_add_char(&audit->out, '{');
    write_counts(&audit->out, &sum);
    buffer_printf(&audit->out, ",\"lag\":%lld,\"subscriptions\":[", (long long)audit->lag);
    for (size_t i = 0; i < audit->count; i++) {
        buffer_add_string(&audit->out, i ? ",{\"subscription\":" : "{\"subscription\":");
        buffer_add_json_string(&audit->out, text_of(audit->entries[i].subscription));
        buffer_add_char(&audit->out, ',');
        write_counts(&audit->out, &audit->entries[i].counts);
        buffer_add_char(&audit->out, '}');
    }
    buffer_add_string(&audit->out, "]}\n");
}

static void work_on(void *context)
{
    static const struct answer_ops ops = {.scan = scan_one, .merge = merge_one};
    struct audit *audit = context;
    struct answer_peer_call call = {
        .method = "GET", .path = audit->path, .bearer = http_bearer(audit->request)};
    char topic[160];

    /* The ends first: what is counted afterwards can only be more, so lag 0 is never too early. */
    snprintf(topic, sizeof(topic), "%s.usage", audit->answers->bucket);
    audit->result =
        topic_ends(audit->answers->kafka, topic, audit->ends, (size_t)audit->partitions.count);
    if (!audit->result)
        audit->result =
            answer_gather(audit->answers, &audit->partitions, &ops, audit, &call, &audit->out);
    if (audit->result < 0) {
        snprintf(audit->why, sizeof(audit->why), "%s", fault_text());
    } else if (audit->result == 0) {
        audit->lag += unread_events(audit->answers->kafka, topic, audit->unread,
                                    (size_t)audit->partitions.count);
        write_ledger(audit);
    }
}

/* --- the answer --- */

static void answer_later(struct http_request *request, const char *detail)
{
    http_answer_problem(request, 503, "partition_unavailable", detail, NULL);
}

static void audit_free(struct audit *audit)
{
    for (size_t i = 0; i < audit->count; i++)
        free(audit->entries[i].subscription);
    free(audit->entries);
    free(audit->ends);
    free(audit->unread);
    buffer_deinit(&audit->out);
    free(audit);
}

static void work_done(void *context)
{
    struct audit *audit = context;

    if (audit->result == 0) {
        http_answer_json(audit->request, 200, buffer_text(&audit->out));
    } else if (audit->result > 0) {
        answer_later(audit->request, "a partition has no owner that answers just now: it is "
                                     "moving, or an aggregator is missing");
    } else {
        log_message(LOG_WARN, "ledger_failed", "%s", audit->why);
        answer_later(audit->request, audit->why);
    }
    audit_free(audit);
}

/* --- the question --- */

static bool read_filter(struct http_request *request, struct audit *audit)
{
    for (size_t i = 0; i < http_query_count(request); i++) {
        struct text name, value;
        if (http_query_at(request, i, &name, &value)) {
            http_answer_problem(request, 400, "invalid_parameter", "the query is too large", NULL);
            return false;
        }
        if (text_is(name, "partitions") && audit->partitions.is_internal)
            continue;
        if (!text_is(name, "filterSubscription")) {
            http_answer_problem(request, 400, "unknown_parameter",
                                "the ledger takes filterSubscription alone", NULL);
            return false;
        }
        if (audit->filter_count == QUERY_SUBSCRIPTIONS_MAX) {
            http_answer_problem(request, 400, "invalid_parameter", "more than 1000 subscriptions",
                                "/filterSubscription");
            return false;
        }
        audit->filter[audit->filter_count++] = value;
    }
    return true;
}

static void ask(struct http_request *request, bool is_internal)
{
    struct audit *audit;

    if (!answer_admits(request->context, request))
        return;
    audit = calloc(1, sizeof(*audit));
    if (!audit)
        abort();
    audit->answers = request->context;
    audit->request = request;
    audit->job = (struct answer_job){.answers = audit->answers,
                                     .is_internal = is_internal,
                                     .run = work_on,
                                     .done = work_done,
                                     .question = audit};
    audit->partitions.is_internal = is_internal;
    snprintf(audit->path, sizeof(audit->path), "/internal/v1/ledger");
    if (!read_filter(request, audit)) {
        audit_free(audit);
        return;
    }
    if (!answer_choose(audit->answers, request, is_internal, audit->filter, audit->filter_count,
                       &audit->partitions)) {
        http_answer_problem(request, 400, "invalid_parameter", "the partitions aren't ours",
                            "/partitions");
        audit_free(audit);
        return;
    }
    audit->ends = calloc((size_t)audit->partitions.count, sizeof(*audit->ends));
    audit->unread = calloc((size_t)audit->partitions.count, sizeof(*audit->unread));
    if (!audit->ends || !audit->unread)
        abort();
    answer_submit(&audit->job);
}

void answer_ledger(struct http_request *request)
{
    ask(request, false);
}

void answer_ledger_internal(struct http_request *request)
{
    ask(request, true);
}
