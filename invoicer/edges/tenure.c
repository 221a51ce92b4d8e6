#include "invoicer/edges/tenure.h"

#include "common/base/fault.h"
#include "common/base/instant.h"
#include "common/io/log.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/outbox.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONTROL_MESSAGES_MAX = 64 };

struct tenure {
    char bucket[TOPIC_NAME_MAX];
    struct store *store;
    struct producer *producer;
    struct consumer *consumer;
    enum tenure_state state;
    int64_t epoch;
    int64_t fence_catalog, fence_invoices; /* offsets; -1: not there yet */
    unsigned attempt; /* grows with every assignment: what belongs to an earlier one is ignored */
};

/* What a confirmation is for. */
struct claim {
    struct tenure *tenure;
    unsigned attempt;
    int64_t *offset; /* where it goes */
};

const char *tenure_state_name(enum tenure_state state)
{
    static const char *const names[] = {
        [TENURE_WAITING] = "waiting",   [TENURE_ASSIGNED] = "assigned",
        [TENURE_CLAIMING] = "claiming", [TENURE_CLAIMED] = "claimed",
        [TENURE_FENCING] = "fencing",   [TENURE_FENCED] = "fenced",
        [TENURE_ACTING] = "acting",
    };

    return names[state];
}

static int set_acting(struct tenure *tenure, bool is_acting)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(tenure->store, STORE_WRITE, &txn);

    if (!r)
        r = books_set_number(txn, "tenure/acting", is_acting);
    if (!r && is_acting)
        r = books_set_number(txn, "tenure/epoch", tenure->epoch);
    if (!r && is_acting)
        r = books_set_number(txn, "tenure/foreign", 0);
    if (!r)
        r = store_commit(&txn);
    return r ? fault_pass(r) : 0;
}

static int on_assigned(void *context, int32_t partition, int64_t *offset)
{
    struct tenure *tenure = context;

    (void)partition;
    tenure->state = TENURE_ASSIGNED;
    tenure->attempt++;
    *offset = -1;
    return 0;
}

int tenure_lose(struct tenure *tenure)
{
    int r = 0;

    if (tenure->state == TENURE_ACTING)
        r = set_acting(tenure, false);
    tenure->state = TENURE_WAITING;
    tenure->attempt++;
    return r ? fault_pass(r) : 0;
}

static void on_revoked(void *context, int32_t partition, bool lost)
{
    struct tenure *tenure = context;

    (void)partition;
    if (tenure->state == TENURE_ACTING)
        log_event(LOG_INFO, "tenure_ended", "lost", lost ? "true" : "false", NULL);
    if (tenure_lose(tenure))
        log_fault(LOG_ERROR, "tenure_end_failed");
}

/*
 * A broker makes a member's id from its client's, and of a group's members the first in their order
 * gets the only partition: whoever began first keeps it when another one joins or leaves.
 */
static int join_group(struct tenure *tenure, const struct kafka_config *kafka, const char *group,
                      const char *topic)
{
    static const struct consumer_ops ops = {on_assigned, on_revoked};
    CLEANUP(buffer_deinit) struct buffer name = {0};
    struct kafka_config own = *kafka;
    int r;

    buffer_printf(&name, "%s-%015lld", kafka->client_id, (long long)instant_ms(instant_now()));
    buffer_add_char(&name, '\0');
    own.client_id = name.at;
    r = consumer_new(&own, group, topic, &ops, tenure, &tenure->consumer);
    return r ? fault_pass(r) : 0;
}

int tenure_new(const struct kafka_config *kafka, const char *bucket, struct store *store,
               struct producer *producer, struct tenure **tenure)
{
    struct tenure *made = calloc(1, sizeof(*made));
    struct buffer group = {0};
    char topic[TOPIC_NAME_MAX];
    int r;

    assert(made);
    snprintf(made->bucket, sizeof(made->bucket), "%s", bucket);
    made->store = store;
    made->producer = producer;
    made->epoch = -1;
    topic_name(TOPIC_CONTROL, bucket, topic);
    buffer_printf(&group, "%s.invoicer", bucket);
    buffer_add_char(&group, '\0');
    r = set_acting(made, false);
    if (!r)
        r = join_group(made, kafka, group.at, topic);
    buffer_deinit(&group);
    if (r) {
        tenure_free(made);
        return fault_pass(r);
    }
    *tenure = made;
    return 0;
}

struct tenure *tenure_free(struct tenure *tenure)
{
    if (tenure && tenure->consumer)
        consumer_free(tenure->consumer);
    free(tenure);
    return NULL;
}

static void on_written(void *context, int64_t offset, const char *why)
{
    struct claim *claim = context;

    if (claim->attempt == claim->tenure->attempt) {
        if (offset >= 0) {
            *claim->offset = offset;
        } else {
            log_event(LOG_WARN, "tenure_claim_failed", "why", why, NULL);
            claim->tenure->state = TENURE_ASSIGNED;
            claim->tenure->attempt++;
        }
    }
    free(claim);
}

static int write_record(struct tenure *tenure, enum topic topic, const char *key, int64_t *offset)
{
    struct claim *claim = malloc(sizeof(*claim));
    struct kafka_message message = {.partition = 0, .key = text_of(key)};
    struct buffer value = {0};
    char name[TOPIC_NAME_MAX], host[256] = "", at[INSTANT_TEXT_MAX];
    int r;

    assert(claim);
    *claim = (struct claim){tenure, tenure->attempt, offset};
    gethostname(host, sizeof(host) - 1);
    instant_format(instant_now(), at);
    buffer_add_char(&value, '{');
    if (topic != TOPIC_CONTROL)
        buffer_printf(&value, "\"epoch\":%lld,", (long long)tenure->epoch);
    buffer_add_string(&value, "\"host\":");
    buffer_add_json_string(&value, text_of(host));
    buffer_printf(&value, ",\"pid\":%d,\"at\":\"%s\"}", (int)getpid(), at);
    message.value = buffer_text(&value);
    *offset = -1;
    topic_name(topic, tenure->bucket, name);
    r = producer_send(tenure->producer, name, &message, on_written, claim);
    buffer_deinit(&value);
    if (r)
        free(claim);
    if (r == PRODUCER_FULL)
        return fault(FAULT_RETRY, "the producer's queue is full");
    return r ? fault_pass(r) : 0;
}

/* Before the fences stand, so that reading them back later is known to be our own doing. */
static int note_claim(struct tenure *tenure)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(tenure->store, STORE_WRITE, &txn);

    if (!r)
        r = books_set_number(txn, "tenure/claimed", tenure->epoch);
    if (!r)
        r = store_commit(&txn);
    return r ? fault_pass(r) : 0;
}

static int claim(struct tenure *tenure)
{
    int r = write_record(tenure, TOPIC_CONTROL, "invoicer", &tenure->epoch);

    if (!r)
        tenure->state = TENURE_CLAIMING;
    return r ? fault_pass(r) : 0;
}

static int fence(struct tenure *tenure)
{
    int r = note_claim(tenure);

    if (!r)
        r = write_record(tenure, TOPIC_CATALOG, "tenure/invoicer", &tenure->fence_catalog);
    if (!r)
        r = write_record(tenure, TOPIC_INVOICES, "tenure/invoicer", &tenure->fence_invoices);
    if (!r)
        tenure->state = TENURE_FENCING;
    return r ? fault_pass(r) : 0;
}

static int act(struct tenure *tenure)
{
    char text[32];
    int r = set_acting(tenure, true);

    if (r)
        return fault_pass(r);
    tenure->state = TENURE_ACTING;
    snprintf(text, sizeof(text), "%lld", (long long)tenure->epoch);
    log_event(LOG_INFO, "tenure_begun", "epoch", text, NULL);
    return 0;
}

static int move_on(struct tenure *tenure, int64_t catalog_next, int64_t invoices_next)
{
    switch (tenure->state) {
    case TENURE_ASSIGNED:
        return claim(tenure);
    case TENURE_CLAIMING:
        if (tenure->epoch >= 0)
            tenure->state = TENURE_CLAIMED;
        return 0;
    case TENURE_CLAIMED:
        return fence(tenure);
    case TENURE_FENCING:
        if (tenure->fence_catalog >= 0 && tenure->fence_invoices >= 0)
            tenure->state = TENURE_FENCED;
        return 0;
    case TENURE_FENCED:
        if (catalog_next <= tenure->fence_catalog || invoices_next <= tenure->fence_invoices)
            return 0;
        return act(tenure);
    default:
        return 0;
    }
}

int tenure_step(struct tenure *tenure, int timeout_ms, int64_t catalog_next, int64_t invoices_next)
{
    struct kafka_message messages[CONTROL_MESSAGES_MAX];
    int count = consumer_poll(tenure->consumer, messages, CONTROL_MESSAGES_MAX, timeout_ms);
    int r;

    if (count < 0)
        return fault_pass(count);
    r = move_on(tenure, catalog_next, invoices_next);
    return r ? fault_pass(r) : 0;
}

enum tenure_state tenure_state(const struct tenure *tenure)
{
    return tenure->state;
}

int64_t tenure_epoch(const struct tenure *tenure)
{
    return tenure->epoch;
}
