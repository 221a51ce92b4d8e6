#include "ingest/edges/measures.h"

#include "ingest/rules/refusal.h"

#include <assert.h>

static const char *const intakes[] = {"http", "kafka", NULL};
static const char *const statuses[] = {"202", "400", "401", "413", "415",
                                       "429", "500", "503", NULL};

/* The table must be static; the codes' names come from the rules when it is made. */
static const char *codes[REFUSAL_COUNT];

static const struct metric table[MEASURE_COUNT] = {
    [MEASURE_RECEIVED] = {"tollway_ingest_events_received_total",
                          "Events that came in, whatever became of them.", METRIC_COUNTER, "intake",
                          intakes},
    [MEASURE_ACCEPTED] = {"tollway_ingest_events_accepted_total",
                          "Events written to a usage batch, duplicates among them.", METRIC_COUNTER,
                          "intake", intakes},
    [MEASURE_REJECTED] = {"tollway_ingest_events_rejected_total",
                          "Events refused, by the code that the sender was told.", METRIC_COUNTER,
                          "code", codes},
    [MEASURE_ANSWERS] = {"tollway_ingest_answers_total", "Answers to POST /v1/events, by status.",
                         METRIC_COUNTER, "status", statuses},
    [MEASURE_BATCHES] = {"tollway_ingest_batches_total",
                         "Usage batches that Kafka has acknowledged.", METRIC_COUNTER, NULL, NULL},
    [MEASURE_BATCH_BYTES] = {"tollway_ingest_batch_bytes_total",
                             "Bytes of the usage batches that Kafka has acknowledged.",
                             METRIC_COUNTER, NULL, NULL},
    [MEASURE_DELIVERY_FAILURES] = {"tollway_ingest_delivery_failures_total",
                                   "Messages that Kafka didn't take: their senders were told.",
                                   METRIC_COUNTER, NULL, NULL},
    [MEASURE_REQUEST_SECONDS] =
        {"tollway_ingest_request_seconds",
         "From a whole request to its answer, packing and Kafka included, by the "
         "clock of the loop's turns: what is refused in the turn that reads "
         "it takes 0.",
         METRIC_HISTOGRAM, NULL, NULL},
    [MEASURE_IN_FLIGHT_BYTES] = {"tollway_ingest_in_flight_bytes",
                                 "Bytes accepted and not acknowledged yet; at queue-bytes new "
                                 "requests are answered 503.",
                                 METRIC_GAUGE, NULL, NULL},
    [MEASURE_UNCONFIRMED] = {"tollway_ingest_kafka_unconfirmed",
                             "Messages handed to Kafka and not acknowledged yet.", METRIC_GAUGE,
                             NULL, NULL},
    [MEASURE_WAITING_REQUESTS] = {"tollway_ingest_waiting_requests",
                                  "Requests that wait for Kafka's acknowledgement.", METRIC_GAUGE,
                                  NULL, NULL},
    [MEASURE_BROKER_CONNECTED] = {"tollway_ingest_broker_connected",
                                  "1 while a Kafka broker answers.", METRIC_GAUGE, NULL, NULL},
    [MEASURE_CATALOG_SUBSCRIPTIONS] = {"tollway_ingest_catalog_subscriptions",
                                       "Subscriptions in the catalog that events are checked by.",
                                       METRIC_GAUGE, NULL, NULL},
    [MEASURE_READY] = {"tollway_ingest_ready", "1 while /readyz says so.", METRIC_GAUGE, NULL,
                       NULL},
};

struct metrics *measures_new(void)
{
    for (size_t code = REFUSAL_NONE + 1; code < REFUSAL_COUNT; code++)
        codes[code - 1] = refusal_name((enum refusal_code)code);
    codes[REFUSAL_COUNT - 1] = NULL;
    return metrics_new(table, MEASURE_COUNT);
}

enum measure_status measure_status_of(int status)
{
    static const int numbers[] = {202, 400, 401, 413, 415, 429, 500, 503};

    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (numbers[i] == status)
            return (enum measure_status)i;
    assert(!"an HTTP status that isn't in the table");
    return STATUS_500;
}
