#include "aggregator/edges/reject.h"

#include "common/base/fault.h"
#include "common/base/instant.h"
#include "common/io/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { WHY_MAX = 128 };
enum { HEADERS = 7, HEADERS_MAX = 64, FULL_WAIT_MS = 50, FULL_WAITS_MAX = 200 };

struct reject_copies {
    int64_t unconfirmed;
    bool is_orphan;    /* nobody asks any more */
    char why[WHY_MAX]; /* one of them was given up; "": none */
};

static void on_copy(void *context, int64_t offset, const char *why)
{
    struct reject_copies *copies = context;

    copies->unconfirmed--;
    if (offset < 0)
        (void)snprintf(copies->why, sizeof(copies->why), "%s", why);
    if (copies->is_orphan && copies->unconfirmed == 0)
        free(copies);
}

void reject_init(struct reject *reject, struct producer *producer, const char *topic,
                 const char *usage_topic)
{
    *reject = (struct reject){.producer = producer,
                              .topic = topic,
                              .usage_topic = usage_topic,
                              .writer = usage_writer_new(),
                              .copies = calloc(1, sizeof(*reject->copies))};
    if (!reject->copies)
        abort();
}

void reject_deinit(struct reject *reject)
{
    reject->writer = usage_writer_free(reject->writer);
    reject->copies->is_orphan = true;
    if (reject->copies->unconfirmed == 0)
        free(reject->copies);
    reject->copies = NULL;
}

int reject_check(const struct reject *reject)
{
    if (!reject->copies->why[0])
        return 0;
    return fault(FAULT_RETRY,
                 "Kafka has given up a copy for %s (%s), which is read again from the last commit; "
                 "remedy: raise max.message.bytes of the topic, if it was too large",
                 reject->topic, reject->copies->why);
}

/* What is told about a message: the texts behind the headers. */
struct place {
    char partition[16], offset[24], index[24], time[INSTANT_TEXT_MAX];
    struct kafka_header headers[HEADERS_MAX + HEADERS];
    size_t count, foreign; /* the message's own, which come first */
};

static void add_header(struct place *place, const char *name, struct text value)
{
    place->headers[place->count++] = (struct kafka_header){.name = name, .value = value};
}

static void describe(struct place *place, const struct reject *reject,
                     const struct kafka_message *message, const char *reason, const char *detail)
{
    place->count = 0;
    for (size_t i = 0; i < message->header_count && i < HEADERS_MAX; i++)
        add_header(place, message->headers[i].name, message->headers[i].value);
    place->foreign = place->count;
    (void)snprintf(place->partition, sizeof(place->partition), "%d", message->partition);
    (void)snprintf(place->offset, sizeof(place->offset), "%lld", (long long)message->offset);
    instant_format(instant_from_ms(message->timestamp_ms), place->time);
    add_header(place, "tollway_reason", text_of(reason));
    add_header(place, "tollway_detail", text_of(detail));
    add_header(place, "tollway_topic", text_of(reject->usage_topic));
    add_header(place, "tollway_partition", text_of(place->partition));
    add_header(place, "tollway_offset", text_of(place->offset));
    add_header(place, "tollway_time", text_of(place->time));
}

static int send(struct reject *reject, const struct kafka_message *copy)
{
    int r = PRODUCER_FULL;

    for (int waits = 0; r == PRODUCER_FULL && waits < FULL_WAITS_MAX; waits++) {
        r = producer_send(reject->producer, reject->topic, copy, on_copy, reject->copies);
        if (r == PRODUCER_FULL)
            producer_poll(reject->producer, FULL_WAIT_MS);
    }
    if (r == PRODUCER_FULL)
        return fault(FAULT_RETRY, "%s takes no more records just now", reject->topic);
    reject->copies->unconfirmed += r == 0;
    return r ? fault_pass(r) : 0;
}

/* A message may be as large as one can be, and its copy is larger: then what is said of it is kept,
 * at least. */
static int send_copy(struct reject *reject, const struct kafka_message *message,
                     const struct place *place, struct text value)
{
    struct kafka_message copy = {.partition = message->partition,
                                 .key = message->key,
                                 .value = value,
                                 .headers = place->headers,
                                 .header_count = place->count};
    int r = send(reject, &copy);

    if (r == FAULT_REFUSE) {
        log_fault(LOG_WARN, "rejected_kept_without_value");
        copy.value = text_of(NULL);
        r = send(reject, &copy);
    }
    if (r == FAULT_REFUSE) {
        log_fault(LOG_WARN, "rejected_kept_without_key");
        copy.key = text_of(NULL);
        copy.headers += place->foreign;
        copy.header_count -= place->foreign;
        r = send(reject, &copy);
    }
    return r ? fault_pass(r) : 0;
}

static const char *detail_of(enum aside_reason reason)
{
    switch (reason) {
    case ASIDE_LATE:
        return "the event is older than the dedup horizon at its arrival";
    case ASIDE_CONFLICT:
        return "the event's identity was counted before with another payload";
    case ASIDE_MISPLACED:
        return "the subscription belongs to another partition";
    case ASIDE_OVERFLOW:
        return "the partition's values would exceed what a total can hold";
    }
    return "";
}

int reject_event(struct reject *reject, const struct kafka_message *message,
                 const struct usage_batch *batch, const struct aside *aside)
{
    struct usage_event event = usage_event_at(batch, aside->event);
    struct usage_series series[USAGE_METERS_MAX];
    union usage_value values[USAGE_METERS_MAX];
    struct place place;

    for (size_t i = 0; i < event.entry_count; i++) {
        struct usage_entry entry = usage_entry_at(batch, event.first_entry + i);

        series[i] = usage_series_at(batch, entry.series);
        values[i] = entry.value;
    }
    usage_writer_reset(reject->writer);
    if (usage_writer_add(reject->writer, &event, series, values, event.entry_count))
        assert(!"a batch of one event isn't full");
    describe(&place, reject, message, aside_reason_name(aside->reason), detail_of(aside->reason));
    (void)snprintf(place.index, sizeof(place.index), "%u", aside->event);
    add_header(&place, "tollway_index", text_of(place.index));
    return send_copy(reject, message, &place, usage_writer_finish(reject->writer));
}

int reject_message(struct reject *reject, const struct kafka_message *message, const char *reason,
                   const char *detail)
{
    struct place place;

    describe(&place, reject, message, reason, detail);
    return send_copy(reject, message, &place, message->value);
}
